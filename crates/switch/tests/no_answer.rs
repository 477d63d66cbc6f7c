//! Nobody answers in time.

mod harness;

use harness::Scene;
use ringtrip_model::*;

#[test]
fn the_callees_connection_says_how_long_it_rings() {
    let mut scene = Scene::devices(2);
    scene.callee.ring_timeout_secs = 30;
    let mut desk = scene.dial();
    let b = desk.b();
    desk.ring(b[0]);
    desk.pass(29);
    assert_eq!(desk.told(desk.a), None);
    desk.pass(1);
    assert_eq!(desk.told(desk.a), Some(HangupCause::NoAnswer));
    assert_eq!(
        desk.end(desk.a),
        (HangupCause::NoAnswer, HangupSource::Server)
    );
    for leg in b {
        assert_eq!(desk.told(leg), Some(HangupCause::OriginatorCancel));
    }
    desk.over();
}

#[test]
fn devices_that_never_rang_are_no_user_response() {
    let mut desk = Scene::default().dial();
    desk.pass(90);
    assert_eq!(desk.told(desk.a), Some(HangupCause::NoUserResponse));
    desk.over();
}

#[test]
fn ringing_is_bounded_whatever_the_connection_says() {
    for (secs, rings) in [(0, 1), (u32::MAX, 600)] {
        let mut scene = Scene::default();
        scene.callee.ring_timeout_secs = secs;
        let mut desk = scene.dial();
        desk.ring(desk.b()[0]);
        desk.pass(rings - 1);
        assert_eq!(desk.told(desk.a), None);
        desk.pass(1);
        assert_eq!(desk.told(desk.a), Some(HangupCause::NoAnswer));
    }
}

#[test]
fn an_answer_being_tried_stops_the_clock() {
    let mut desk = Scene::devices(2).dial();
    let b = desk.b();
    desk.ring(b[0]);
    desk.pass(88);
    desk.auto = false;
    desk.answer(b[0]);
    desk.pass(4);
    assert_eq!(desk.told(desk.a), None, "the answer may still be good");
    desk.refuse(b[0], MediaFailure::BadDescription);
    assert_eq!(
        desk.told(desk.a),
        Some(HangupCause::NoAnswer),
        "it was not, and the time is over"
    );
    desk.serve_all();
    desk.over();
}
