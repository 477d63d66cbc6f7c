//! Destinations that lead nowhere, and look-ups that fail.

mod harness;

use harness::{Desk, Scene};
use ringtrip_model::*;
use ringtrip_switch::Output;

fn check(scene: Scene, cause: HangupCause, asks: bool) {
    let desk = scene.dial();
    assert_eq!(desk.told(desk.a), Some(cause));
    assert_eq!(desk.end(desk.a), (cause, HangupSource::Server));
    assert_eq!(
        desk.log
            .iter()
            .any(|output| matches!(output, Output::NeedRoute(_))),
        asks
    );
    assert!(
        !desk
            .log
            .iter()
            .any(|output| matches!(output, Output::NeedPermit(_)))
    );
    desk.over();
}

#[test]
fn unknown_user() {
    check(
        Scene {
            route: Some(Route::Unknown),
            ..Scene::default()
        },
        HangupCause::UnallocatedNumber,
        true,
    );
}

#[test]
fn user_without_a_device() {
    check(Scene::devices(0), HangupCause::SubscriberAbsent, true);
}

#[test]
fn store_that_cannot_be_asked() {
    check(
        Scene {
            route: Some(Route::Unavailable),
            ..Scene::default()
        },
        HangupCause::NormalTemporaryFailure,
        true,
    );
}

#[test]
fn destinations_that_are_no_users() {
    for (destination, cause) in [
        ("+13125550100", HangupCause::NoRouteDestination),
        ("tel:+13125550100", HangupCause::NoRouteDestination),
        ("sip:bob@example.com", HangupCause::BearerCapabilityNotAuth),
        ("", HangupCause::InvalidNumberFormat),
        ("bob smith", HangupCause::InvalidNumberFormat),
    ] {
        check(
            Scene {
                destination: destination.to_owned(),
                ..Scene::default()
            },
            cause,
            false,
        );
    }
}

#[test]
fn a_monstrous_destination_is_cut_in_the_record() {
    let desk = Scene {
        destination: "é".repeat(5_000),
        ..Scene::default()
    }
    .dial();
    assert_eq!(desk.told(desk.a), Some(HangupCause::InvalidNumberFormat));
    assert_eq!(desk.record(desk.a).destination, "é".repeat(128));
}

#[test]
fn look_ups_that_never_answer_fail_the_call() {
    // The offer is never read; the route, the permit, the device's offer never come.
    for served in 0..4 {
        let mut desk = Desk::silent(Scene::default());
        for _ in 0..served {
            desk.serve();
        }
        desk.pass(4);
        assert_eq!(desk.told(desk.a), None, "after {served} answers");
        desk.pass(1);
        assert_eq!(
            desk.told(desk.a),
            Some(HangupCause::NormalTemporaryFailure),
            "after {served} answers"
        );
        desk.pass(5);
        desk.over();
    }
}

#[test]
fn a_route_that_comes_too_late_is_dropped() {
    let mut desk = Desk::silent(Scene::default());
    desk.serve();
    desk.hang_up(desk.a);
    desk.serve(); // the route
    assert!(desk.b().is_empty());
    desk.serve_all();
    desk.over();
}
