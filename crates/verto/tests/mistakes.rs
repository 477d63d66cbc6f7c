//! What is most likely to be got wrong: one test for each of the twelve classic mistakes that this
//! crate can meet. Clause 5 (the SDK's `rtcIp` changes no host) concerns the listener alone, clause
//! 12 (CORS) the HTTP surface; here it is only that a report's id is the one announced.

use ringtrip_model::{HangupCause, LegCommand, LegEvent, LoginRefusal};
use ringtrip_verto::Output;
use serde_json::{Value, json};

use crate::client::{ALICE, BOB, World, answer, attach, call, dialog, invite, shown};

#[test]
fn clause_1_a_refused_login_is_never_answered_with_authentication_required() {
    let mut world = World::new();
    let socket = world.open();
    for params in [json!({"login_token": "bad"}), json!({}), json!(7)] {
        world.request(socket, "login", params);
        if !world.logins.is_empty() {
            world.authenticated(Err(LoginRefusal::BadToken));
        }
        assert_eq!(world.frame(socket)["error"]["code"], -32001);
    }
}

#[test]
fn clause_2_a_clients_ping_gets_a_result_and_no_ping() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    for _ in 0..10 {
        assert_eq!(
            world.ask(alice.socket, "telnyx_rtc.ping", json!({}))["result"]["message"],
            "PONG"
        );
        world.assert_silent(alice.socket);
    }
}

#[test]
fn clause_3_every_frame_has_a_voice_sdk_id_that_stays_over_a_reconnect() {
    let mut world = World::new();
    let guest = world.open();
    world.send_text(guest, "not JSON");
    world.request(guest, "telnyx_rtc.ping", json!({}));
    for frame in world.frames(guest) {
        assert!(frame["voice_sdk_id"].is_string(), "{frame}");
    }
    let alice = world.log_in(ALICE);
    let before = world.ask(alice.socket, "telnyx_rtc.ping", json!({}))["voice_sdk_id"].clone();
    world.close(alice.socket);
    let socket = world.open();
    world.log_in_on(socket, ALICE, json!({"sessid": alice.session.to_string()}));
    assert_eq!(
        world.ask(socket, "telnyx_rtc.ping", json!({}))["voice_sdk_id"],
        before
    );
}

#[test]
fn clause_4_the_invites_result_leaves_before_the_call_hears_of_it() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let frame = json!({"id": "i", "method": "telnyx_rtc.invite", "params": invite("a", BOB)});
    world
        .endpoint
        .handle_frame(alice.socket, &frame.to_string(), world.now);
    assert!(
        matches!(world.endpoint.poll_output(), Some(Output::Send { frame, .. }) if frame.contains("CALL CREATED"))
    );
    assert!(matches!(
        world.endpoint.poll_output(),
        Some(Output::Leg(LegEvent::Incoming { .. }))
    ));
    assert!(world.endpoint.poll_output().is_none());
}

#[test]
fn clause_6_frames_without_a_method_are_answered() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    for frame in [
        json!({"id": 1, "type": "debug_report_start"}),
        json!({"id": 2, "type": "future"}),
        json!({"id": 3}),
    ] {
        world.send(alice.socket, &frame);
        assert_eq!(world.frame(alice.socket)["id"], frame["id"]);
    }
}

#[test]
fn clause_7_hold_and_unhold_carry_their_state_and_reach_the_call() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    for (action, held, state) in [("hold", true, "held"), ("unhold", false, "active")] {
        world.request(
            alice.socket,
            "telnyx_rtc.modify",
            dialog("a", json!({"action": action})),
        );
        assert_eq!(
            world.event(),
            LegEvent::HoldRequested {
                leg,
                held: Some(held)
            }
        );
        world.command(LegCommand::Held { leg, held });
        assert_eq!(world.frame(alice.socket)["result"]["holdState"], state);
    }
}

#[test]
fn clause_8_the_cause_of_a_cancel_is_not_passed_on() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.dial(alice, "a", BOB);
    let bye = dialog("a", json!({"cause": "USER_BUSY", "causeCode": 17}));
    assert_eq!(
        world.ask(alice.socket, "telnyx_rtc.bye", bye)["result"]["cause"],
        "ORIGINATOR_CANCEL"
    );
    assert_eq!(world.event(), LegEvent::Hangup { leg, cause: None });
}

#[test]
fn clause_9_a_closed_socket_is_no_hang_up_and_the_session_is_found_by_its_id_alone() {
    for extra in [
        json!({}),
        json!({"reconnection": false}),
        json!({"reconnection": true}),
    ] {
        let mut world = World::new();
        let alice = world.log_in(ALICE);
        let leg = world.call_out(alice, "a");
        world.close(alice.socket);
        assert_eq!(world.event(), LegEvent::Lost { leg });
        let mut extra = extra;
        extra["sessid"] = json!(alice.session.to_string());
        let socket = world.open();
        let (result, ready) = world.log_in_fully(socket, ALICE, extra);
        assert_eq!(result["sessid"], alice.session.to_string());
        assert_eq!(ready["reattached_sessions"], json!(["a"]));
    }
    // And `reconnection` alone gives nothing back.
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    world.close(alice.socket);
    let socket = world.open();
    let (result, _) = world.log_in_fully(socket, ALICE, json!({"reconnection": true}));
    assert_ne!(result["sessid"], alice.session.to_string());
}

#[test]
fn clause_10_a_caller_gets_one_description_and_nobody_gets_candidates() {
    let mut world = World::new();
    let (alice, bob) = (world.log_in(ALICE), world.log_in(BOB));
    let leg = world.dial(alice, "a", BOB);
    world.command(LegCommand::Ringing {
        leg,
        call: call(),
        caller: shown("", ALICE),
        callee: shown("", BOB),
    });
    world.command(answer(leg));
    world.call_in(bob);
    for _ in 0..3 {
        world.request(
            alice.socket,
            "telnyx_rtc.candidate",
            dialog("a", json!({"candidate": "c"})),
        );
    }
    let frames: Vec<Value> = world
        .frames(alice.socket)
        .into_iter()
        .chain(world.frames(bob.socket))
        .collect();
    let sdps = frames
        .iter()
        .filter(|frame| frame["params"]["sdp"].is_string());
    assert_eq!(sdps.count(), 1);
    assert!(
        frames
            .iter()
            .all(|f| f["method"] != "telnyx_rtc.candidate" && f["method"] != "telnyx_rtc.media")
    );
}

#[test]
fn clause_11_telnyx_ids_are_uuids_and_sessid_is_not_needed() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let mut params = invite("a", BOB);
    params.as_object_mut().unwrap().remove("sessid");
    world.ask(alice.socket, "telnyx_rtc.invite", params);
    let leg = world.event().leg();
    world.command(LegCommand::Ringing {
        leg,
        call: call(),
        caller: shown("", ALICE),
        callee: shown("", BOB),
    });
    world.command(answer(leg));
    world.command(attach(leg));
    let ringing = ringtrip_model::LegId::generate(&mut world.rng);
    world.command(crate::client::offer(ringing, alice.session));
    world.events.clear();
    let frames = world.frames(alice.socket);
    assert_eq!(frames.len(), 4);
    for frame in frames {
        for key in ["telnyx_session_id", "telnyx_leg_id"] {
            let id = frame["params"][key].as_str().unwrap();
            assert!(
                id.parse::<ringtrip_model::CallId>().is_ok(),
                "{key} of {frame}"
            );
        }
    }
    for (call_id, expected) in [
        (json!({"callId": "a"}), leg),
        (json!({"callID": ringing.to_string()}), ringing),
    ] {
        world.ask(
            alice.socket,
            "telnyx_rtc.bye",
            json!({"dialogParams": call_id}),
        );
        assert_eq!(
            world.event(),
            LegEvent::Hangup {
                leg: expected,
                cause: None
            }
        );
    }
}

#[test]
fn clause_12_reports_are_announced_under_the_id_that_the_client_gets() {
    let mut world = World::new();
    let socket = world.open();
    world.request(socket, "login", json!({"login_token": "t"}));
    let (_, number, _) = world.logins.pop_front().unwrap();
    world.endpoint.handle_authenticated(
        socket,
        number,
        Ok(crate::client::identity(ALICE)),
        world.now,
    );
    let announced =
        std::iter::from_fn(|| world.endpoint.poll_output()).find_map(|output| match output {
            Output::Bind { call_report_id, .. } => Some(call_report_id),
            Output::Send { .. }
            | Output::Close { .. }
            | Output::Authenticate { .. }
            | Output::Unbind { .. }
            | Output::Leg(_) => None,
        });
    let state = world.ask(socket, "telnyx_rtc.gatewayState", json!({}));
    assert_eq!(
        state["result"]["params"]["call_report_id"].as_str(),
        announced.as_deref()
    );
}

#[test]
fn a_caller_that_cancels_ends_the_callees_ringing_with_the_right_cause() {
    let mut world = World::new();
    let bob = world.log_in(BOB);
    let leg = world.ring(bob);
    world.command(LegCommand::Hangup {
        leg,
        cause: HangupCause::OriginatorCancel,
    });
    let bye = world.frame_of(bob.socket, "telnyx_rtc.bye");
    assert_eq!(
        (
            &bye["cause"],
            &bye["causeCode"],
            &bye["sipCode"],
            &bye["sipReason"]
        ),
        (
            &json!("ORIGINATOR_CANCEL"),
            &json!(487),
            &json!(487),
            &json!("Request Terminated")
        )
    );
}
