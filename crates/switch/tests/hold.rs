//! Hold: done by the server, by each side for itself.

mod harness;

use harness::Scene;
use ringtrip_model::*;
use ringtrip_switch::Output;

#[test]
fn a_hold_stops_media_tells_the_holder_and_nobody_else() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    let a = desk.a;
    desk.leg(LegEvent::HoldRequested {
        leg: a,
        held: Some(true),
    });
    let fresh = desk.fresh();
    assert_eq!(fresh.len(), 3);
    assert_eq!(
        fresh[0],
        Output::Media(MediaCommand::Hold { leg: a, held: true })
    );
    assert_eq!(
        fresh[2],
        Output::Leg(LegCommand::Held { leg: a, held: true })
    );
    assert_eq!(desk.happened(a, &CallEventKind::Held), 1);

    desk.leg(LegEvent::HoldRequested {
        leg: b,
        held: Some(true),
    });
    assert_eq!(
        desk.fresh()[0],
        Output::Media(MediaCommand::Hold { leg: b, held: true }),
        "both hold independently"
    );
    desk.leg(LegEvent::HoldRequested {
        leg: a,
        held: Some(false),
    });
    assert_eq!(
        desk.fresh()[0],
        Output::Media(MediaCommand::Hold {
            leg: a,
            held: false
        })
    );
    assert_eq!(desk.happened(a, &CallEventKind::Unheld), 1);
}

#[test]
fn a_toggle_turns_it_over() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    for held in [true, false, true] {
        desk.leg(LegEvent::HoldRequested { leg: b, held: None });
        assert_eq!(desk.fresh_commands(), [LegCommand::Held { leg: b, held }]);
    }
}

#[test]
fn a_repeated_wish_is_acknowledged_and_changes_nothing() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    for _ in 0..2 {
        desk.leg(LegEvent::HoldRequested {
            leg: b,
            held: Some(true),
        });
    }
    assert_eq!(
        desk.media_commands()
            .filter(|c| matches!(c, MediaCommand::Hold { .. }))
            .count(),
        1
    );
    assert_eq!(
        desk.commands()
            .filter(|c| matches!(c, LegCommand::Held { held: true, .. }))
            .count(),
        2
    );
    assert_eq!(desk.happened(b, &CallEventKind::Held), 1);
}

#[test]
fn before_answer_there_is_nothing_to_hold() {
    let mut desk = Scene::default().dial();
    let (a, b) = (desk.a, desk.b()[0]);
    desk.fresh();
    for leg in [a, b] {
        desk.leg(LegEvent::HoldRequested {
            leg,
            held: Some(true),
        });
        assert_eq!(
            desk.fresh(),
            [Output::Leg(LegCommand::Held { leg, held: false })]
        );
    }
}

#[test]
fn a_held_call_can_be_hung_up() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.leg(LegEvent::HoldRequested {
        leg: desk.a,
        held: Some(true),
    });
    desk.hang_up(b);
    assert_eq!(desk.told(desk.a), Some(HangupCause::NormalClearing));
    desk.over();
}
