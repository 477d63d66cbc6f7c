//! Trickled candidates and the small requests of mobile SDKs.

use serde_json::json;

use crate::client::{ALICE, BOB, World, dialog};

#[test]
fn candidates_are_acknowledged_for_any_call_and_for_none() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    world.dial(alice, "a", BOB);
    let sessid = alice.session.to_string();
    for name in ["a", "over", "never was"] {
        let candidate = json!({"candidate": "candidate:1 1 udp 1 h.local 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0});
        let response = world.ask(
            alice.socket,
            "telnyx_rtc.candidate",
            dialog(name, candidate),
        );
        assert_eq!(response["result"], json!({"sessid": sessid}));
        let response = world.ask(
            alice.socket,
            "telnyx_rtc.endOfCandidates",
            dialog(name, json!({"endOfCandidates": true})),
        );
        assert_eq!(response["result"], json!({"sessid": sessid}));
    }
    for params in [json!({}), json!([]), json!({"dialogParams": 7})] {
        let response = world.ask(alice.socket, "telnyx_rtc.candidate", params);
        assert_eq!(response["result"], json!({"sessid": sessid}));
    }
    world.assert_no_events();
}

#[test]
fn mobile_requests_get_a_sane_answer() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let sessid = alice.session.to_string();
    for (method, result) in [
        ("telnyx_rtc.attachCalls", json!({"sessid": sessid})),
        ("telnyx_rtc.ringing_ack", json!({"sessid": sessid})),
        (
            "telnyx_rtc.disable_push_notification",
            json!({"message": "disable push notification success", "sessid": sessid}),
        ),
    ] {
        assert_eq!(
            world.ask(alice.socket, method, json!({}))["result"],
            result,
            "{method}"
        );
    }
}

#[test]
fn unknown_methods_are_answered_with_their_error() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    for method in [
        "telnyx_rtc.subscribe",
        "telnyx_rtc.unsubscribe",
        "telnyx_rtc.broadcast",
        "telnyx_rtc.clientReady",
        "telnyx_rtc.punt",
        "telnyx_rtc.pong",
        "verto.invite",
        "ai_conversation",
        "",
    ] {
        let refusal = world.refused(alice.socket, method, json!({}));
        let message = "Invalid Method, Missing Method or Permission Denied".to_owned();
        assert_eq!(refusal, (-32601, message), "{method}");
    }
    world.send(
        alice.socket,
        &json!({"method": "ai_conversation", "params": {}}),
    );
    world.assert_silent(alice.socket);
}
