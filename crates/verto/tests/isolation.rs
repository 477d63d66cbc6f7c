//! Names are not capabilities: nobody acts on another session's call.

use serde_json::json;

use crate::client::{ALICE, BOB, World, dialog, invite};

#[test]
fn no_method_reaches_a_call_of_another_session() {
    // Another user of the tenant, another tenant, and another device of the same user.
    for stranger in [BOB, "mallory@other", ALICE] {
        let mut world = World::new();
        let alice = world.log_in(ALICE);
        let mallory = world.log_in(stranger);
        let calling = world.dial(alice, "0b7c54a8-4b23-4f0c-8b58-4f1a3a3b7f6d", ALICE);
        let ringing = world.ring(alice);
        let active = world.call_in(alice);
        let names = [
            "0b7c54a8-4b23-4f0c-8b58-4f1a3a3b7f6d".to_owned(),
            calling.to_string(),
            ringing.to_string(),
            active.to_string(),
        ];
        for name in &names {
            for (method, params) in [
                ("answer", json!({"sdp": "v=0"})),
                ("bye", json!({})),
                ("modify", json!({"action": "hold"})),
                ("modify", json!({"action": "unhold"})),
                ("modify", json!({"action": "toggleHold"})),
                ("modify", json!({"action": "updateMedia", "sdp": "v=0"})),
                ("info", json!({"dtmf": "1"})),
                ("attach", json!({"sdp": "v=0"})),
            ] {
                let mut params = dialog(name, params);
                // Claiming the session by name opens nothing either.
                params["sessid"] = json!(alice.session.to_string());
                let refusal =
                    world.refused(mallory.socket, &format!("telnyx_rtc.{method}"), params);
                assert_eq!(
                    refusal,
                    (-32002, "CALL DOES NOT EXIST".to_owned()),
                    "{stranger} {method}"
                );
            }
        }
        world.assert_no_events();
        world.assert_silent(alice.socket);
        // The name is free in the stranger's own session, and means their own call there.
        let own = world.dial(mallory, &names[2], ALICE);
        assert_ne!(own, ringing);
        world.ask(mallory.socket, "telnyx_rtc.bye", invite(&names[2], ""));
        assert_eq!(world.event().leg(), own);
        assert!(world.endpoint.poll_output().is_none());
    }
}
