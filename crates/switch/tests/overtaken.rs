//! A hang-up may overtake any step: what comes for an ended leg is dropped, its anchor is closed.

mod harness;

use harness::{Desk, Scene};
use ringtrip_model::*;
use ringtrip_switch::Output;

/// Brings a call with two devices, both ringing and the first answering, `steps` answers far.
fn stopped_after(steps: usize) -> Desk {
    let mut desk = Desk::silent(Scene::devices(2));
    let mut answered = false;
    for _ in 0..steps {
        if desk.owed.is_empty() && !answered {
            answered = true;
            let b = desk.b();
            desk.ring(b[0]);
            desk.ring(b[1]);
            desk.answer(b[0]);
        }
        if !desk.owed.is_empty() {
            desk.serve();
        }
    }
    desk
}

fn is_bridged(desk: &Desk) -> bool {
    desk.media_commands()
        .any(|c| matches!(c, MediaCommand::Bridge { .. }))
}

#[test]
fn the_caller_may_hang_up_at_any_step() {
    let mut bridged = 0;
    for steps in 0..12 {
        let mut desk = stopped_after(steps);
        let was_bridged = is_bridged(&desk);
        bridged += usize::from(was_bridged);
        let before = desk.commands().count();
        desk.hang_up(desk.a);
        let cause = if was_bridged {
            HangupCause::NormalClearing
        } else {
            HangupCause::OriginatorCancel
        };
        for command in desk.commands().skip(before) {
            assert!(
                matches!(command, LegCommand::Hangup { cause: told, .. } if *told == cause),
                "after {steps} steps: {command:?}"
            );
        }
        let commands = desk.commands().count();
        desk.serve_all(); // everything that was under way arrives late
        assert_eq!(desk.commands().count(), commands, "after {steps} steps");
        assert_eq!(desk.record(desk.a).cause, cause);
        desk.over();
    }
    assert!(bridged >= 2, "the walk reaches the conversation");
}

#[test]
fn the_answering_device_may_hang_up_at_any_step() {
    for steps in 5..12 {
        let mut desk = stopped_after(steps);
        let b = desk.b();
        let was_bridged = is_bridged(&desk);
        desk.hang_up(b[0]);
        desk.serve_all();
        if desk.told(desk.a).is_none() {
            // The other device still rings.
            desk.hang_up(b[1]);
            desk.serve_all();
        }
        let cause = if was_bridged {
            HangupCause::NormalClearing
        } else {
            HangupCause::UserBusy
        };
        assert_eq!(desk.told(desk.a), Some(cause), "after {steps} steps");
        desk.over();
    }
}

#[test]
fn both_may_hang_up_at_once() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.hang_up(desk.a);
    let outputs = desk.log.len();
    desk.hang_up(b);
    desk.hang_up(desk.a);
    assert_eq!(desk.log.len(), outputs);
    desk.over();
}

#[test]
fn the_node_may_end_the_call_at_any_step() {
    for steps in 0..12 {
        let mut desk = stopped_after(steps);
        desk.call
            .abort(HangupCause::NormalTemporaryFailure, desk.now);
        desk.drain();
        desk.serve_all();
        assert_eq!(desk.told(desk.a), Some(HangupCause::NormalTemporaryFailure));
        assert_eq!(desk.end(desk.a).1, HangupSource::Server);
        desk.over();
    }
}

#[test]
fn events_of_strangers_change_nothing() {
    let mut desk = Scene::default().dial();
    desk.bridge();
    let leg = LegId::generate(&mut harness::rng(77));
    for event in [
        LegEvent::Ringing { leg },
        LegEvent::HoldRequested { leg, held: None },
        LegEvent::AttachAnswered {
            leg,
            answer: SdpAnswer(String::new()),
        },
        LegEvent::Hangup { leg, cause: None },
    ] {
        desk.leg(event);
    }
    desk.media(MediaEvent::Failed { leg, failure: None });
    assert_eq!(desk.fresh(), []);
}

#[test]
fn answers_without_a_question_change_nothing() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    for leg in [desk.a, b] {
        desk.media(MediaEvent::OfferReady {
            leg,
            offer: SdpOffer(String::new()),
        });
        desk.media(MediaEvent::AnswerReady {
            leg,
            answer: SdpAnswer(String::new()),
        });
        desk.media(MediaEvent::RestartRefused { leg });
        desk.media(MediaEvent::Refused {
            leg,
            failure: MediaFailure::Full,
        });
    }
    desk.call.handle_route(Route::Unknown, desk.now);
    desk.call.handle_permit(Err(PermitRefusal::Node), desk.now);
    desk.call.handle_persisted(desk.now);
    desk.drain();
    assert_eq!(desk.fresh(), []);
}

#[test]
fn time_does_not_run_backwards() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.now = Time::ZERO;
    desk.hang_up(b);
    assert!(
        desk.records()
            .all(|record| record.ended_at >= record.started_at)
    );
    assert!(
        desk.log
            .iter()
            .any(|output| matches!(output, Output::Record(_)))
    );
}

#[test]
fn a_leg_that_its_protocol_side_does_not_know_yet_takes_no_events() {
    let mut desk = Desk::silent(Scene::default());
    for _ in 0..3 {
        desk.serve();
    }
    let leg = desk.b()[0];
    desk.fresh();
    desk.leg(LegEvent::HoldRequested { leg, held: None });
    desk.leg(LegEvent::Hangup { leg, cause: None });
    assert_eq!(desk.fresh(), []);
    desk.serve();
    assert!(matches!(
        desk.fresh_commands()[..],
        [LegCommand::Offer { .. }]
    ));
}
