//! The caller hangs up before answer.

mod harness;

use harness::{Desk, Scene};
use ringtrip_model::*;
use ringtrip_switch::Output;

#[test]
fn ringing_devices_are_told_originator_cancel() {
    let mut desk = Scene::devices(2).dial();
    let b = desk.b();
    desk.ring(b[0]);
    desk.hang_up(desk.a);
    for leg in b {
        assert_eq!(desk.told(leg), Some(HangupCause::OriginatorCancel));
        assert_eq!(
            desk.end(leg),
            (HangupCause::OriginatorCancel, HangupSource::Caller)
        );
    }
    assert_eq!(desk.told(desk.a), None);
    assert_eq!(
        desk.end(desk.a),
        (HangupCause::OriginatorCancel, HangupSource::Caller)
    );
    desk.over();
}

#[test]
fn a_caller_whose_leg_was_given_up_cancels_too() {
    for (cause, devices) in [
        (
            HangupCause::DestinationOutOfOrder,
            HangupCause::OriginatorCancel,
        ),
        (
            HangupCause::BearerCapabilityNotAuth,
            HangupCause::OriginatorCancel,
        ),
        (
            HangupCause::RecoveryOnTimerExpire,
            HangupCause::RecoveryOnTimerExpire,
        ),
    ] {
        let mut desk = Scene::default().dial();
        let b = desk.b()[0];
        desk.leg(LegEvent::Hangup {
            leg: desk.a,
            cause: Some(cause),
        });
        assert_eq!(desk.told(b), Some(devices));
        assert_eq!(desk.end(desk.a), (cause, HangupSource::Server));
        desk.over();
    }
}

#[test]
fn the_place_within_the_limits_is_given_back_at_once() {
    let mut desk = Scene::default().dial();
    desk.auto = false;
    desk.hang_up(desk.a);
    assert!(
        desk.log
            .iter()
            .any(|output| matches!(output, Output::Release { .. }))
    );
    assert!(!desk.call.is_over(), "the anchors are not closed");
    desk.serve_all();
    desk.over();
}

#[test]
fn a_cancel_before_any_device_was_told_commands_none() {
    let mut desk = Desk::silent(Scene::devices(2));
    desk.serve(); // offer read
    desk.serve(); // route
    desk.serve(); // permit: two offers are being made
    assert_eq!(desk.b().len(), 2);
    desk.hang_up(desk.a);
    assert_eq!(desk.commands().count(), 0);
    desk.serve_all(); // the offers come, then the anchors are closed
    assert_eq!(desk.commands().count(), 0);
    assert_eq!(desk.records().count(), 3);
    desk.over();
}
