//! Placing a call.

use ringtrip_model::{CustomHeader, HangupCause, LegCommand, LegEvent, SdpOffer};
use serde_json::json;

use crate::client::{ALICE, BOB, World, answer, call, dialog, error_of, invite, party, shown};

#[test]
fn an_invite_has_its_result_before_anything_else_and_tells_the_call_everything() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let response = world.ask(alice.socket, "telnyx_rtc.invite", invite("call-a", BOB));
    let sessid = alice.session.to_string();
    assert_eq!(
        response["result"],
        json!({"callID": "call-a", "message": "CALL CREATED", "sessid": sessid})
    );
    let LegEvent::Incoming {
        session,
        party: caller_party,
        destination,
        caller,
        offer,
        protocol_call_id,
        custom_headers,
        client_state,
        ..
    } = world.event()
    else {
        panic!("not incoming")
    };
    assert_eq!(session, alice.session);
    assert_eq!(caller_party, party(ALICE));
    assert_eq!(destination, BOB);
    assert_eq!(caller, shown("Alice", "+15550100"));
    assert_eq!(offer, SdpOffer("v=0 offer".to_owned()));
    assert_eq!(protocol_call_id, "call-a");
    assert_eq!(
        custom_headers,
        [CustomHeader {
            name: "X-Order".to_owned(),
            value: "17".to_owned()
        }]
    );
    assert_eq!(client_state.as_deref(), Some("c3RhdGU="));
    world.assert_silent(alice.socket);
}

#[test]
fn ringing_and_answer_reach_the_caller_in_their_documented_shape() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.dial(alice, "call-a", BOB);
    world.command(LegCommand::Ringing {
        leg,
        call: call(),
        caller: shown("Alice", ALICE),
        callee: shown("", BOB),
    });
    assert_eq!(
        world.frame_of(alice.socket, "telnyx_rtc.ringing"),
        json!({
            "callID": "call-a",
            "caller_id_name": "Alice", "caller_id_number": ALICE,
            "callee_id_name": "Outbound Call", "callee_id_number": BOB,
            "display_direction": "inbound",
            "telnyx_session_id": call().to_string(),
            "telnyx_leg_id": leg.to_string(),
            "telnyx_call_control_id": format!("v3:{leg}"),
            "dialogParams": {"custom_headers": []},
        })
    );
    world.command(LegCommand::Answer {
        leg,
        call: call(),
        answer: ringtrip_model::SdpAnswer("v=0 our answer".to_owned()),
        custom_headers: vec![CustomHeader {
            name: "X-Agent".to_owned(),
            value: "7".to_owned(),
        }],
    });
    assert_eq!(
        world.frame_of(alice.socket, "telnyx_rtc.answer"),
        json!({
            "callID": "call-a",
            "sdp": "v=0 our answer",
            "dialogParams": {"custom_headers": [{"name": "X-Agent", "value": "7"}]},
            "variables": {},
            "telnyx_session_id": call().to_string(),
            "telnyx_leg_id": leg.to_string(),
            "telnyx_call_control_id": format!("v3:{leg}"),
        })
    );
    // A second answer, or ringing after it, would confuse the SDK.
    world.command(answer(leg));
    world.command(LegCommand::Ringing {
        leg,
        call: call(),
        caller: shown("", ""),
        callee: shown("", ""),
    });
    world.assert_silent(alice.socket);
}

#[test]
fn a_refused_call_has_its_result_and_then_a_bye_with_the_cause() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.dial(alice, "call-a", "nobody");
    world.command(LegCommand::Hangup {
        leg,
        cause: HangupCause::UnallocatedNumber,
    });
    let bye = world.frame_of(alice.socket, "telnyx_rtc.bye");
    assert_eq!(
        (&bye["cause"], &bye["causeCode"]),
        (&json!("UNALLOCATED_NUMBER"), &json!(1))
    );
    assert_eq!(
        (&bye["sipCode"], &bye["sipReason"]),
        (&json!(404), &json!("Not Found"))
    );
}

#[test]
fn malformed_invites_are_refused_and_leave_nothing_behind() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let without = |path: &str| {
        let mut params = invite("call-a", BOB);
        match path.split_once('/') {
            Some((outer, inner)) => params[outer].as_object_mut().unwrap().remove(inner),
            None => params.as_object_mut().unwrap().remove(path),
        };
        params
    };
    let with = |path: &str, value: serde_json::Value| {
        let mut params = invite("call-a", BOB);
        match path.split_once('/') {
            Some((outer, inner)) => params[outer][inner] = value,
            None => params[path] = value,
        }
        params
    };
    for (params, message) in [
        (without("sdp"), "SDP missing"),
        (with("sdp", json!("")), "SDP missing"),
        (with("sdp", json!({"type": "offer"})), "SDP missing"),
        (
            with("sdp", json!("v".repeat(64 * 1024 + 1))),
            "SDP too long",
        ),
        (without("dialogParams"), "Dialog data missing"),
        (with("dialogParams", json!([])), "Dialog data missing"),
        (without("dialogParams/callID"), "CallID missing"),
        (with("dialogParams/callID", json!("")), "CallID missing"),
        (with("dialogParams/callID", json!(["a"])), "CallID missing"),
        (
            with("dialogParams/callID", json!("a\u{0}b")),
            "CallID invalid",
        ),
        (
            with("dialogParams/callID", json!("a".repeat(257))),
            "CallID invalid",
        ),
        (
            without("dialogParams/destination_number"),
            "Destination missing",
        ),
        (
            with("dialogParams/destination_number", json!("9".repeat(257))),
            "Destination invalid",
        ),
        (
            with("dialogParams/destination_number", json!("a\nb")),
            "Destination invalid",
        ),
        (
            with(
                "dialogParams/custom_headers",
                json!([{"name": "X Y", "value": "1"}]),
            ),
            "Custom headers invalid",
        ),
        (
            with("dialogParams/clientState", json!("s".repeat(8 * 1024 + 1))),
            "Client state invalid",
        ),
    ] {
        assert_eq!(
            world.refused(alice.socket, "telnyx_rtc.invite", params),
            (-32002, message.to_owned())
        );
        world.assert_no_events();
    }
    assert_eq!(
        world
            .refused(alice.socket, "telnyx_rtc.invite", json!("text"))
            .0,
        -32600
    );
    // The name is still free.
    world.dial(alice, "call-a", BOB);
}

#[test]
fn a_number_may_be_dialled_as_a_number_and_an_empty_one_is_the_calls_matter() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    for (dialled, destination) in [
        (json!(15_550_100), "15550100"),
        (json!(""), ""),
        (json!("ü".repeat(256)), &"ü".repeat(256)),
    ] {
        let mut params = invite(destination, BOB);
        params["dialogParams"]["callID"] = json!(format!("call {}", destination.len()));
        params["dialogParams"]["destination_number"] = dialled;
        world.ask(alice.socket, "telnyx_rtc.invite", params);
        assert!(
            matches!(world.event(), LegEvent::Incoming { destination: got, .. } if got == destination)
        );
    }
}

#[test]
fn a_call_id_is_taken_while_its_call_lives() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let uuid = "c215ade3-0d39-418e-94be-c5f780760199";
    world.dial(alice, uuid, BOB);
    for again in [uuid.to_owned(), uuid.to_uppercase()] {
        let refusal = world.refused(alice.socket, "telnyx_rtc.invite", invite(&again, BOB));
        assert_eq!(refusal, (-32002, "CALL ERROR".to_owned()));
    }
    world.ask(alice.socket, "telnyx_rtc.bye", dialog(uuid, json!({})));
    world.event();
    world.dial(alice, uuid, BOB);
}

#[test]
fn the_same_call_id_in_two_sessions_names_two_calls() {
    let mut world = World::new();
    let (alice, bob) = (world.log_in(ALICE), world.log_in(BOB));
    let first = world.dial(alice, "call", BOB);
    let second = world.dial(bob, "call", ALICE);
    assert_ne!(first, second);
    world.ask(alice.socket, "telnyx_rtc.bye", dialog("call", json!({})));
    assert_eq!(
        world.event(),
        LegEvent::Hangup {
            leg: first,
            cause: None
        }
    );
    world.command(answer(second));
    assert_eq!(
        world.frame_of(bob.socket, "telnyx_rtc.answer")["callID"],
        "call"
    );
}

#[test]
fn an_invite_without_an_id_is_carried_without_an_answer() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    world.send(
        alice.socket,
        &json!({"method": "telnyx_rtc.invite", "params": invite("call-a", BOB)}),
    );
    world.assert_silent(alice.socket);
    assert!(matches!(world.event(), LegEvent::Incoming { .. }));
    world.send(
        alice.socket,
        &json!({"method": "telnyx_rtc.invite", "params": invite("call-a", BOB)}),
    );
    world.assert_silent(alice.socket);
    world.assert_no_events();
}

#[test]
fn the_wrong_kind_of_answer_to_an_own_call_is_an_error() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    world.dial(alice, "call-a", BOB);
    let response = world.ask(
        alice.socket,
        "telnyx_rtc.answer",
        dialog("call-a", json!({"sdp": "v=0 mine"})),
    );
    assert_eq!(error_of(&response), (-32002, "CALL ERROR".to_owned()));
    world.assert_no_events();
}
