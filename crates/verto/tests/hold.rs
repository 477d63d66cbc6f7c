//! Hold by the server.

use ringtrip_model::{LegCommand, LegEvent};
use serde_json::json;

use crate::client::{ALICE, BOB, World, dialog};

#[test]
fn each_action_is_answered_with_the_state_that_the_call_decided() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    for (action, wish, held, state) in [
        ("hold", Some(true), true, "held"),
        ("unhold", Some(false), false, "active"),
        ("toggleHold", None, true, "held"),
        ("toggleHold", None, false, "active"),
    ] {
        let id = world.request(
            alice.socket,
            "telnyx_rtc.modify",
            dialog("a", json!({"action": action})),
        );
        assert_eq!(world.event(), LegEvent::HoldRequested { leg, held: wish });
        world.assert_silent(alice.socket);
        world.command(LegCommand::Held { leg, held });
        let response = world.frame(alice.socket);
        assert_eq!(response["id"], id);
        let sessid = alice.session.to_string();
        assert_eq!(
            response["result"],
            json!({"callID": "a", "action": action, "holdState": state, "sessid": sessid})
        );
    }
}

#[test]
fn react_native_names_the_call_differently() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_in(alice);
    let params =
        json!({"action": "hold", "dialogParams": {"callId": leg.to_string(), "userVariables": []}});
    world.request(alice.socket, "telnyx_rtc.modify", params);
    assert_eq!(
        world.event(),
        LegEvent::HoldRequested {
            leg,
            held: Some(true)
        }
    );
}

#[test]
fn wishes_in_a_row_are_answered_in_order() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    let ids = ["hold", "unhold"].map(|action| {
        world.request(
            alice.socket,
            "telnyx_rtc.modify",
            dialog("a", json!({"action": action})),
        )
    });
    world.command(LegCommand::Held { leg, held: true });
    world.command(LegCommand::Held { leg, held: false });
    world.command(LegCommand::Held { leg, held: false });
    let frames = world.frames(alice.socket);
    assert_eq!(frames.len(), 2);
    assert_eq!(
        (&frames[0]["id"], &frames[0]["result"]["holdState"]),
        (&ids[0], &json!("held"))
    );
    assert_eq!(
        (&frames[1]["id"], &frames[1]["result"]["holdState"]),
        (&ids[1], &json!("active"))
    );
}

#[test]
fn an_unanswered_call_cannot_be_held() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    world.dial(alice, "calling", BOB);
    let ringing = world.ring(alice).to_string();
    for name in ["calling", &ringing] {
        for params in [
            json!({"action": "hold"}),
            json!({"action": "updateMedia", "sdp": "v=0"}),
        ] {
            let refusal = world.refused(alice.socket, "telnyx_rtc.modify", dialog(name, params));
            assert_eq!(
                refusal,
                (
                    -32002,
                    "Cannot update a call that has not been answered.".to_owned()
                )
            );
        }
    }
    world.assert_no_events();
}

#[test]
fn other_actions_are_denied() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    world.call_out(alice, "a");
    for action in [
        json!("transfer"),
        json!("replace"),
        json!(null),
        json!(7),
        json!({}),
    ] {
        let params = dialog("a", json!({"action": action}));
        assert_eq!(
            world.refused(alice.socket, "telnyx_rtc.modify", params).0,
            -32602,
            "{action}"
        );
    }
    let unknown = world.refused(
        alice.socket,
        "telnyx_rtc.modify",
        dialog("b", json!({"action": "hold"})),
    );
    assert_eq!(unknown, (-32002, "CALL DOES NOT EXIST".to_owned()));
    world.assert_no_events();
}
