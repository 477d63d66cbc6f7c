//! The signalling path is lost and comes back; the media path is rebuilt.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for the few outputs it is about"
)]

mod harness;

use harness::{Desk, Scene};
use ringtrip_model::*;
use ringtrip_switch::Output;

fn attaches(desk: &Desk) -> Vec<String> {
    desk.commands()
        .filter_map(|c| {
            if let LegCommand::Attach { offer, .. } = c {
                Some(offer.0.clone())
            } else {
                None
            }
        })
        .collect()
}

fn attached(desk: &Desk, leg: LegId) -> usize {
    desk.commands()
        .filter(|c| **c == LegCommand::Attached { leg })
        .count()
}

fn answer_attach(desk: &mut Desk, leg: LegId) {
    desk.leg(LegEvent::AttachAnswered {
        leg,
        answer: SdpAnswer("again".to_owned()),
    });
}

#[test]
fn a_returned_leg_is_offered_the_frozen_codec_like_its_far_leg() {
    let mut desk = Scene::default().dial();
    desk.picks = Some(AudioCodec::Pcmu);
    let b = desk.bridge();
    for (leg, like, shown) in [(b, desk.a, "+15550100"), (desk.a, b, "bob")] {
        desk.leg(LegEvent::Lost { leg });
        assert_eq!(desk.fresh_commands(), []);
        desk.leg(LegEvent::Returned { leg });
        let fresh = desk.fresh();
        let command = MediaCommand::MakeOffer {
            leg,
            like,
            audio: vec![AudioCodec::Pcmu],
            video: false,
        };
        assert!(fresh.contains(&Output::Media(command)), "{fresh:?}");
        let remote = fresh.iter().find_map(|o| match o {
            Output::Leg(LegCommand::Attach {
                leg: to, remote, ..
            }) if *to == leg => Some(remote.number.clone()),
            _ => None,
        });
        assert_eq!(remote.as_deref(), Some(shown));
        answer_attach(&mut desk, leg);
        assert_eq!(desk.fresh_commands(), [LegCommand::Attached { leg }]);
        for kind in [
            CallEventKind::SignallingLost,
            CallEventKind::SignallingReturned,
            CallEventKind::Attached,
        ] {
            assert_eq!(desk.happened(leg, &kind), 1, "{kind:?}");
        }
    }
}

#[test]
fn hold_survives() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.leg(LegEvent::HoldRequested {
        leg: b,
        held: Some(true),
    });
    desk.leg(LegEvent::Returned { leg: b });
    answer_attach(&mut desk, b);
    desk.fresh();
    desk.leg(LegEvent::HoldRequested { leg: b, held: None });
    assert_eq!(
        desk.fresh_commands(),
        [LegCommand::Held {
            leg: b,
            held: false
        }],
        "it was held"
    );
}

#[test]
fn a_listed_call_that_never_attaches_goes_on() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.leg(LegEvent::Lost { leg: b });
    desk.leg(LegEvent::Returned { leg: b });
    desk.pass(600);
    assert_eq!(desk.told(b), None);
}

#[test]
fn a_second_return_begins_anew_with_a_fresh_offer() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.leg(LegEvent::Returned { leg: b });
    desk.leg(LegEvent::Returned { leg: b });
    assert_eq!(attaches(&desk), ["offer 2", "offer 3"]);
    answer_attach(&mut desk, b);
    assert_eq!(attached(&desk, b), 1);
}

#[test]
fn returns_while_the_offer_is_in_the_making_share_it() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.auto = false;
    for _ in 0..100 {
        desk.leg(LegEvent::Returned { leg: b });
    }
    assert_eq!(desk.owed.len(), 1);
    desk.serve_all();
    assert_eq!(attaches(&desk).len(), 1);
}

#[test]
fn a_return_while_an_answer_is_read_supersedes_it() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.leg(LegEvent::Returned { leg: b });
    desk.auto = false;
    answer_attach(&mut desk, b);
    desk.leg(LegEvent::Returned { leg: b });
    assert_eq!(
        attached(&desk, b),
        1,
        "the request of the old path has its reply"
    );
    assert_eq!(desk.happened(b, &CallEventKind::Attached), 0);
    desk.refuse(b, MediaFailure::BadDescription); // what became of the old answer does not matter
    desk.auto = true;
    desk.drain();
    assert_eq!(attaches(&desk), ["offer 2", "offer 3"]);
    answer_attach(&mut desk, b);
    assert_eq!(attached(&desk, b), 2);
    assert_eq!(desk.happened(b, &CallEventKind::Attached), 1);
    assert_eq!(desk.told(b), None);
}

#[test]
fn an_answer_that_cannot_be_used_ends_the_leg() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.leg(LegEvent::Returned { leg: b });
    desk.leg(LegEvent::AttachAnswered {
        leg: b,
        answer: SdpAnswer("unusable".to_owned()),
    });
    assert_eq!(desk.told(b), Some(HangupCause::IncompatibleDestination));
    assert_eq!(
        desk.told(desk.a),
        Some(HangupCause::IncompatibleDestination)
    );
    desk.over();
}

#[test]
fn an_answer_with_another_codec_ends_the_leg() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.leg(LegEvent::Returned { leg: b });
    desk.picks = Some(AudioCodec::G722);
    answer_attach(&mut desk, b);
    assert_eq!(desk.told(b), Some(HangupCause::IncompatibleDestination));
    desk.over();
}

#[test]
fn no_room_for_a_second_anchor_leaves_the_first() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.auto = false;
    desk.leg(LegEvent::Returned { leg: b });
    desk.refuse(b, MediaFailure::Full);
    assert_eq!(desk.told(b), None);
    desk.auto = true;
    desk.leg(LegEvent::Returned { leg: b });
    assert_eq!(attaches(&desk).len(), 1, "and the next attempt may work");
}

#[test]
fn an_answer_nobody_waits_for_is_acknowledged() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    answer_attach(&mut desk, b);
    assert_eq!(desk.fresh(), [Output::Leg(LegCommand::Attached { leg: b })]);
}

#[test]
fn a_leg_given_up_after_its_grace_ends_the_call_with_102() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.leg(LegEvent::Lost { leg: desk.a });
    desk.leg(LegEvent::Hangup {
        leg: desk.a,
        cause: Some(HangupCause::RecoveryOnTimerExpire),
    });
    assert_eq!(desk.told(b), Some(HangupCause::RecoveryOnTimerExpire));
    assert_eq!(
        desk.end(desk.a),
        (HangupCause::RecoveryOnTimerExpire, HangupSource::Server)
    );
    desk.over();
}

#[test]
fn a_revoked_leg_ends_the_call_quietly_for_the_other() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.leg(LegEvent::Hangup {
        leg: b,
        cause: Some(HangupCause::BearerCapabilityNotAuth),
    });
    assert_eq!(desk.told(desk.a), Some(HangupCause::NormalClearing));
    assert_eq!(desk.end(b).0, HangupCause::BearerCapabilityNotAuth);
    desk.over();
}

#[test]
fn a_device_whose_socket_is_replaced_while_it_answers_is_attached_afterwards() {
    let mut desk = Scene::default().dial();
    let b = desk.b()[0];
    desk.auto = false;
    desk.answer(b);
    desk.leg(LegEvent::Returned { leg: b });
    desk.auto = true;
    desk.drain();
    assert_eq!(attaches(&desk).len(), 1);
}

#[test]
fn video_is_offered_again_if_it_ran() {
    let mut scene = Scene::default();
    scene.offered.video = true;
    let mut desk = scene.dial();
    let b = desk.bridge();
    desk.leg(LegEvent::Returned { leg: b });
    let offer = desk
        .media_commands()
        .filter(|c| matches!(c, MediaCommand::MakeOffer { .. }))
        .last();
    assert!(matches!(
        offer,
        Some(MediaCommand::MakeOffer { video: true, .. })
    ));
}
