//! Losing a socket and coming back.

use std::time::Duration;

use ringtrip_model::{HangupCause, LegCommand, LegEvent, SdpAnswer};
use serde_json::json;

use crate::client::{ALICE, BOB, World, attach, call, dialog, error_of};

#[test]
fn an_answered_call_outlives_its_socket_and_is_attached_anew() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    world.close(alice.socket);
    assert_eq!(world.event(), LegEvent::Lost { leg });
    assert!(world.bound.is_empty());
    world.pass_secs(5);

    let socket = world.open();
    let sessid = alice.session.to_string();
    let (result, ready) = world.log_in_fully(
        socket,
        ALICE,
        json!({"sessid": sessid, "reconnection": true}),
    );
    assert_eq!(result["sessid"], sessid);
    assert_eq!(ready["reattached_sessions"], json!(["a"]));
    assert!(world.bound.contains_key(&alice.session));
    assert_eq!(world.event(), LegEvent::Returned { leg });

    world.command(attach(leg));
    assert_eq!(
        world.frame_of(socket, "telnyx_rtc.attach"),
        json!({
            "callID": "a", "sdp": "v=0 fresh offer",
            "caller_id_name": "Bob", "caller_id_number": BOB,
            "callee_id_name": "Outbound Call", "callee_id_number": ALICE,
            "display_direction": "inbound",
            "dialogParams": {"custom_headers": []}, "variables": {},
            "telnyx_session_id": call().to_string(), "telnyx_leg_id": leg.to_string(),
            "telnyx_call_control_id": format!("v3:{leg}"),
            "client_state": "c3RhdGU=",
        })
    );
    let mut params = dialog("a", json!({"sdp": "v=0 answer"}));
    params["dialogParams"]["attach"] = json!(true);
    let id = world.request(socket, "telnyx_rtc.attach", params);
    assert_eq!(
        world.event(),
        LegEvent::AttachAnswered {
            leg,
            answer: SdpAnswer("v=0 answer".to_owned())
        }
    );
    world.assert_silent(socket);
    world.command(LegCommand::Attached { leg });
    let response = world.frame(socket);
    assert_eq!(response["id"], id);
    assert_eq!(response["result"], json!({"callID": "a", "sessid": sessid}));
    // The call goes on as before.
    world.ask(socket, "telnyx_rtc.bye", dialog("a", json!({})));
    assert_eq!(world.event(), LegEvent::Hangup { leg, cause: None });
}

#[test]
fn the_callees_side_shows_who_called() {
    let mut world = World::new();
    let bob = world.log_in(BOB);
    let leg = world.call_in(bob);
    world.close(bob.socket);
    let socket = world.open();
    world.log_in_on(socket, BOB, json!({"sessid": bob.session.to_string()}));
    world.command(attach(leg));
    let params = world.frame_of(socket, "telnyx_rtc.attach");
    assert_eq!(
        (&params["callID"], &params["display_direction"]),
        (&json!(leg.to_string()), &json!("outbound"))
    );
}

#[test]
fn unanswered_calls_end_with_their_socket() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let calling = world.dial(alice, "a", BOB);
    let ringing = world.ring(alice);
    let answering = world.ring(alice);
    world.request(
        alice.socket,
        "telnyx_rtc.answer",
        dialog(&answering.to_string(), json!({"sdp": "v=0"})),
    );
    world.event();
    world.close(alice.socket);
    for leg in [calling, ringing, answering] {
        let cause = Some(HangupCause::DestinationOutOfOrder);
        assert_eq!(world.event(), LegEvent::Hangup { leg, cause });
    }
    world.assert_no_events();
}

#[test]
fn grace_is_60_seconds_from_the_last_frame() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    world.pass_secs(15);
    world.close(alice.socket);
    assert_eq!(world.event(), LegEvent::Lost { leg });
    world.pass(Duration::from_millis(44_999));
    world.assert_no_events();
    world.pass(Duration::from_millis(1));
    let cause = Some(HangupCause::RecoveryOnTimerExpire);
    assert_eq!(world.event(), LegEvent::Hangup { leg, cause });
}

#[test]
fn who_comes_back_too_late_for_a_call_is_told_how_it_ended() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let first = world.call_out(alice, "first");
    let second = world.call_out(alice, "second");
    world.close(alice.socket);
    world.command(LegCommand::Hangup {
        leg: first,
        cause: HangupCause::NormalClearing,
    });
    world.events.clear();
    let socket = world.open();
    world.request(
        socket,
        "login",
        json!({"login_token": "t", "sessid": alice.session.to_string()}),
    );
    world.authenticated(Ok(crate::client::identity(ALICE)));
    let frames = world.frames(socket);
    assert_eq!(frames[0]["result"]["message"], "logged in");
    assert_eq!(frames[1]["method"], "telnyx_rtc.bye");
    assert_eq!(
        (
            &frames[1]["params"]["callID"],
            &frames[1]["params"]["causeCode"]
        ),
        (&json!("first"), &json!(16))
    );
    assert_eq!(frames[2]["method"], "telnyx_rtc.clientReady");
    assert_eq!(
        frames[2]["params"]["reattached_sessions"],
        json!(["second"])
    );
    assert_eq!(world.event(), LegEvent::Returned { leg: second });
}

#[test]
fn another_users_session_is_not_given_away() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    world.close(alice.socket);
    world.events.clear();
    for thief in [BOB, "mallory@other"] {
        let socket = world.open();
        let (result, ready) =
            world.log_in_fully(socket, thief, json!({"sessid": alice.session.to_string()}));
        assert_ne!(result["sessid"], alice.session.to_string());
        assert_eq!(ready["reattached_sessions"], json!([]));
        let refusal = world.refused(
            socket,
            "telnyx_rtc.attach",
            dialog("a", json!({"sdp": "v=0"})),
        );
        assert_eq!(refusal, (-32002, "CALL DOES NOT EXIST".to_owned()));
    }
    world.assert_no_events();
    let socket = world.open();
    world.log_in_on(socket, ALICE, json!({"sessid": alice.session.to_string()}));
    assert_eq!(world.event(), LegEvent::Returned { leg });
}

#[test]
fn an_idle_session_is_kept_for_90_seconds() {
    for (secs, kept) in [(89, true), (90, false)] {
        let mut world = World::new();
        let alice = world.log_in(ALICE);
        world.close(alice.socket);
        world.pass_secs(secs);
        let socket = world.open();
        let (result, _) =
            world.log_in_fully(socket, ALICE, json!({"sessid": alice.session.to_string()}));
        assert_eq!(
            result["sessid"] == alice.session.to_string(),
            kept,
            "after {secs} s"
        );
    }
}

#[test]
fn nothing_is_left_of_sessions_that_never_return() {
    let mut world = World::new();
    for number in 0..10 {
        let client = world.log_in(&format!("user{number}"));
        world.call_out(client, "a");
        world.close(client.socket);
        world.events.clear();
    }
    world.pass_secs(91);
    assert_eq!(world.endpoint.poll_timeout(), None);
    assert_eq!(world.pass_secs(1_000), 0);
}

#[test]
fn a_second_loss_while_attaching_starts_over() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    world.close(alice.socket);
    for _ in 0..2 {
        world.events.clear();
        let socket = world.open();
        world.log_in_on(socket, ALICE, json!({"sessid": alice.session.to_string()}));
        assert_eq!(world.events.pop_back(), Some(LegEvent::Returned { leg }));
        world.command(attach(leg));
        world.frame_of(socket, "telnyx_rtc.attach");
        world.request(
            socket,
            "telnyx_rtc.attach",
            dialog("a", json!({"sdp": "v=0"})),
        );
        assert!(matches!(world.event(), LegEvent::AttachAnswered { .. }));
        world.close(socket);
        assert_eq!(world.event(), LegEvent::Lost { leg });
        // Decided too late: there is nobody to tell.
        world.command(LegCommand::Attached { leg });
    }
}

#[test]
fn an_attach_that_nobody_offered_is_an_error() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    let unasked = world.refused(
        alice.socket,
        "telnyx_rtc.attach",
        dialog("a", json!({"sdp": "v=0"})),
    );
    assert_eq!(unasked, (-32002, "CALL ERROR".to_owned()));
    world.command(attach(leg));
    world.frames(alice.socket);
    assert_eq!(
        world
            .refused(alice.socket, "telnyx_rtc.attach", dialog("a", json!({})))
            .1,
        "SDP missing"
    );
    let id = world.request(
        alice.socket,
        "telnyx_rtc.attach",
        dialog("a", json!({"sdp": "v=0"})),
    );
    world.event();
    assert_eq!(
        world
            .refused(
                alice.socket,
                "telnyx_rtc.attach",
                dialog("a", json!({"sdp": "v=0"}))
            )
            .1,
        "CALL ERROR"
    );
    // A fresh offer overtakes the answer to the former one.
    world.command(attach(leg));
    let response = world.frame(alice.socket);
    assert_eq!(
        (&response["id"], error_of(&response).1),
        (&id, "MEDIA ERROR".to_owned())
    );
    world.frame_of(alice.socket, "telnyx_rtc.attach");
    world.assert_no_events();
}

#[test]
fn commands_for_an_absent_client_are_kept_in_step_and_sent_to_nobody() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    world.request(
        alice.socket,
        "telnyx_rtc.modify",
        dialog("a", json!({"action": "hold"})),
    );
    world.close(alice.socket);
    world.command(LegCommand::Held { leg, held: true });
    world.command(attach(leg));
    let socket = world.open();
    world.log_in_on(socket, ALICE, json!({"sessid": alice.session.to_string()}));
    world.assert_silent(socket);
    world.request(
        socket,
        "telnyx_rtc.modify",
        dialog("a", json!({"action": "unhold"})),
    );
    world.command(LegCommand::Held { leg, held: false });
    assert_eq!(world.frame(socket)["result"]["holdState"], "active");
}
