//! ICE restarts.

mod harness;

use harness::{Desk, Scene};
use ringtrip_model::*;

fn restart(desk: &mut Desk, leg: LegId, sdp: &str) {
    desk.leg(LegEvent::UpdateRequested {
        leg,
        offer: SdpOffer(sdp.to_owned()),
    });
}

#[test]
fn a_restart_is_answered() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    restart(&mut desk, b, "renewed");
    let updated = LegCommand::Updated {
        leg: b,
        answer: SdpAnswer("restarted".to_owned()),
    };
    assert_eq!(desk.fresh_commands(), [updated]);
    assert_eq!(desk.happened(b, &CallEventKind::MediaRestarted), 1);
}

#[test]
fn an_unusable_restart_is_refused_and_the_call_goes_on() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    restart(&mut desk, b, "unusable");
    assert_eq!(
        desk.fresh_commands(),
        [LegCommand::UpdateRefused { leg: b }]
    );
    assert_eq!(desk.happened(b, &CallEventKind::MediaRestarted), 0);
    assert_eq!(desk.told(b), None);
}

#[test]
fn before_answer_there_is_nothing_to_restart() {
    let mut desk = Scene::default().dial();
    desk.fresh();
    for leg in [desk.a, desk.b()[0]] {
        restart(&mut desk, leg, "renewed");
        assert_eq!(desk.fresh_commands(), [LegCommand::UpdateRefused { leg }]);
    }
    assert!(
        !desk
            .media_commands()
            .any(|c| matches!(c, MediaCommand::Restart { .. }))
    );
}

#[test]
fn requests_on_top_are_refused_in_their_turn() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.auto = false;
    for _ in 0..3 {
        restart(&mut desk, b, "renewed");
    }
    assert_eq!(desk.owed.len(), 1);
    assert_eq!(desk.fresh_commands(), []);
    desk.serve();
    let commands = desk.fresh_commands();
    assert!(matches!(commands[0], LegCommand::Updated { .. }));
    assert_eq!(
        commands[1..],
        [
            LegCommand::UpdateRefused { leg: b },
            LegCommand::UpdateRefused { leg: b }
        ]
    );
    restart(&mut desk, b, "renewed");
    desk.serve();
    assert!(
        matches!(desk.fresh_commands()[..], [LegCommand::Updated { .. }]),
        "the next may work again"
    );
}

#[test]
fn a_restart_during_a_re_attachment_is_answered_and_the_attach_goes_on() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.leg(LegEvent::Returned { leg: b });
    restart(&mut desk, b, "renewed");
    desk.leg(LegEvent::AttachAnswered {
        leg: b,
        answer: SdpAnswer("again".to_owned()),
    });
    let commands = desk.fresh_commands();
    assert!(matches!(
        commands[..],
        [
            LegCommand::Attach { .. },
            LegCommand::Updated { .. },
            LegCommand::Attached { .. }
        ]
    ));
}

#[test]
fn a_media_engine_that_does_not_answer_ends_the_leg() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.auto = false;
    restart(&mut desk, b, "renewed");
    desk.pass(5);
    for leg in [desk.a, b] {
        assert_eq!(desk.told(leg), Some(HangupCause::NormalTemporaryFailure));
    }
}
