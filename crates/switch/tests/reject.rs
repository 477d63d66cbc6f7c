//! Devices decline, vanish or cannot be used.

mod harness;

use harness::Scene;
use ringtrip_model::*;

#[test]
fn a_decline_is_user_busy_whatever_the_sdk_said() {
    let mut desk = Scene::default().dial();
    let b = desk.b()[0];
    desk.ring(b);
    desk.hang_up(b);
    assert_eq!(desk.told(desk.a), Some(HangupCause::UserBusy));
    for leg in [desk.a, b] {
        assert_eq!(desk.end(leg), (HangupCause::UserBusy, HangupSource::Callee));
    }
    desk.over();
}

#[test]
fn one_decline_leaves_the_other_devices_ringing() {
    let mut desk = Scene::devices(2).dial();
    let b = desk.b();
    desk.hang_up(b[0]);
    assert_eq!(desk.told(desk.a), None);
    desk.answer(b[1]);
    assert!(
        desk.commands()
            .any(|c| *c == LegCommand::Accepted { leg: b[1] })
    );
    assert_eq!(desk.told(desk.a), None);
}

#[test]
fn a_decline_counts_more_than_devices_that_vanished() {
    for decline_first in [true, false] {
        let mut desk = Scene::devices(2).dial();
        let b = desk.b();
        let (declines, vanishes) = if decline_first {
            (b[0], b[1])
        } else {
            (b[1], b[0])
        };
        let gone = LegEvent::Hangup {
            leg: vanishes,
            cause: Some(HangupCause::DestinationOutOfOrder),
        };
        if decline_first {
            desk.hang_up(declines);
            desk.leg(gone);
        } else {
            desk.leg(gone);
            desk.hang_up(declines);
        }
        assert_eq!(desk.told(desk.a), Some(HangupCause::UserBusy));
        assert_eq!(
            desk.end(vanishes),
            (HangupCause::DestinationOutOfOrder, HangupSource::Server)
        );
        desk.over();
    }
}

#[test]
fn the_caller_hears_what_became_of_the_only_device() {
    for (device, caller) in [
        (
            HangupCause::DestinationOutOfOrder,
            HangupCause::DestinationOutOfOrder,
        ),
        (HangupCause::SubscriberAbsent, HangupCause::SubscriberAbsent),
        (
            HangupCause::BearerCapabilityNotAuth,
            HangupCause::SubscriberAbsent,
        ),
        (
            HangupCause::NormalClearing,
            HangupCause::NormalTemporaryFailure,
        ),
    ] {
        let mut desk = Scene::default().dial();
        let b = desk.b()[0];
        desk.leg(LegEvent::Hangup {
            leg: b,
            cause: Some(device),
        });
        assert_eq!(desk.told(desk.a), Some(caller), "{device:?}");
        assert_eq!(desk.end(desk.a).1, HangupSource::Server);
        desk.over();
    }
}

#[test]
fn an_unusable_answer_of_the_only_device_is_incompatible() {
    let mut desk = Scene::default().dial();
    let b = desk.b()[0];
    desk.answer_with(b, "unusable");
    for leg in [desk.a, b] {
        assert_eq!(desk.told(leg), Some(HangupCause::IncompatibleDestination));
    }
    desk.over();
}

#[test]
fn an_unusable_offer_of_the_caller_is_incompatible() {
    for (failure, cause) in [
        (
            MediaFailure::BadDescription,
            HangupCause::IncompatibleDestination,
        ),
        (
            MediaFailure::NoCommonCodec,
            HangupCause::IncompatibleDestination,
        ),
        (MediaFailure::Full, HangupCause::SwitchCongestion),
    ] {
        let mut desk = harness::Desk::silent(Scene::default());
        desk.refuse(desk.a, failure);
        assert_eq!(desk.told(desk.a), Some(cause));
        desk.serve_all();
        desk.over();
    }
}

#[test]
fn a_full_media_engine_refuses_the_call() {
    let mut desk = harness::Desk::silent(Scene::default());
    for _ in 0..3 {
        desk.serve();
    }
    let b = desk.b()[0];
    desk.refuse(b, MediaFailure::Full);
    assert_eq!(desk.told(b), None, "its protocol side never heard of it");
    assert_eq!(desk.told(desk.a), Some(HangupCause::SwitchCongestion));
    desk.serve_all();
    desk.over();
}
