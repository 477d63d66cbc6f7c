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

#[test]
fn a_leg_that_ends_before_its_offer_is_read_still_has_a_beginning() {
    let mut desk = Desk::silent(Scene::default());
    desk.hang_up(desk.a);
    let kinds: Vec<_> = desk.events().map(|event| event.kind.clone()).collect();
    let [
        CallEventKind::Initiated(begun),
        CallEventKind::Hangup { cause, .. },
    ] = &kinds[..]
    else {
        panic!("{kinds:?}");
    };
    assert_eq!(begun.offered, None);
    assert_eq!(begun.connection, desk.scene.caller.connection);
    assert_eq!(*cause, HangupCause::OriginatorCancel);
    desk.serve_all();
    desk.over();
}

#[test]
fn what_an_application_hands_through_is_told_up_to_a_limit() {
    let header = |size| CustomHeader {
        name: "X-A".to_owned(),
        value: "v".repeat(size),
    };
    let mut desk = Scene {
        headers: vec![header(1000), header(3000), header(100)],
        client_state: Some("c".repeat(MAX_TOLD_HEADERS_BYTES + 1)),
        ..Scene::default()
    }
    .dial();
    let begun: Vec<_> = desk
        .events()
        .filter_map(|event| {
            if let CallEventKind::Initiated(begun) = &event.kind {
                Some((begun.custom_headers.len(), begun.client_state.clone()))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(begun, [(2, None), (2, None)]);
    desk.hang_up(desk.a);
    desk.over();
}
