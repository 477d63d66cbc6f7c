//! Hanging up.

use ringtrip_model::{HangupCause, LegCommand, LegEvent};
use serde_json::{Value, json};

use crate::client::{ALICE, BOB, World, dialog};

fn busy(call_id: &str) -> Value {
    dialog(
        call_id,
        json!({"sipCode": null, "sip_call_id": null, "cause": "USER_BUSY", "causeCode": 17}),
    )
}

#[test]
fn a_bye_is_confirmed_with_the_cause_of_role_and_state() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let calling = world.dial(alice, "calling", BOB);
    let ringing = world.ring(alice);
    let active = world.call_out(alice, "active");
    for (leg, name, cause, code) in [
        (calling, "calling".to_owned(), "ORIGINATOR_CANCEL", 487),
        (ringing, ringing.to_string(), "USER_BUSY", 17),
        (active, "active".to_owned(), "NORMAL_CLEARING", 16),
    ] {
        let response = world.ask(alice.socket, "telnyx_rtc.bye", busy(&name));
        let sessid = alice.session.to_string();
        assert_eq!(
            response["result"],
            json!({"callID": name, "message": "CALL ENDED", "cause": cause, "causeCode": code, "sessid": sessid})
        );
        assert_eq!(world.event(), LegEvent::Hangup { leg, cause: None });
        world.command(LegCommand::Hangup {
            leg,
            cause: HangupCause::NormalClearing,
        });
        world.assert_silent(alice.socket);
    }
}

#[test]
fn byes_that_cross_succeed_for_a_minute() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    world.command(LegCommand::Hangup {
        leg,
        cause: HangupCause::NormalClearing,
    });
    world.frame_of(alice.socket, "telnyx_rtc.bye");
    world.pass_secs(35);
    world.frames(alice.socket);
    let response = world.ask(alice.socket, "telnyx_rtc.bye", busy("a"));
    assert_eq!(response["result"]["message"], "CALL ENDED");
    assert_eq!(response["result"]["cause"], "NORMAL_CLEARING");
    world.assert_no_events();
    world.pass_secs(26);
    world.frames(alice.socket);
    let refusal = world.refused(alice.socket, "telnyx_rtc.bye", busy("a"));
    assert_eq!(refusal, (-32002, "CALL DOES NOT EXIST".to_owned()));
}

#[test]
fn only_so_many_ended_calls_are_remembered() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    for number in 0..65 {
        let leg = world.dial(alice, &format!("call-{number}"), BOB);
        world.command(LegCommand::Hangup {
            leg,
            cause: HangupCause::UserBusy,
        });
        world.frames(alice.socket);
        world.pass(std::time::Duration::from_millis(100));
    }
    assert_eq!(
        world
            .refused(alice.socket, "telnyx_rtc.bye", busy("call-0"))
            .0,
        -32002
    );
    assert_eq!(
        world.ask(alice.socket, "telnyx_rtc.bye", busy("call-1"))["result"]["message"],
        "CALL ENDED"
    );
}

#[test]
fn android_and_ios_name_the_call_in_their_own_ways() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    for params in [
        json!({"dialogParams": {"callId": "a"}, "cause": "USER_BUSY", "causeCode": 17}),
        json!({"dialogParams": {}, "callID": "a", "sessId": "x"}),
        json!({"callID": "a"}),
    ] {
        let leg = world.call_out(alice, "a");
        world.ask(alice.socket, "telnyx_rtc.bye", params);
        assert_eq!(world.event(), LegEvent::Hangup { leg, cause: None });
    }
    let leg = world.ring(alice);
    world.ask(
        alice.socket,
        "telnyx_rtc.bye",
        busy(&leg.to_string().to_uppercase()),
    );
    assert_eq!(world.event(), LegEvent::Hangup { leg, cause: None });
}

#[test]
fn every_cause_reaches_the_client_in_full() {
    for cause in HangupCause::ALL {
        let mut world = World::new();
        let alice = world.log_in(ALICE);
        let leg = world.ring(alice);
        world.command(LegCommand::Hangup { leg, cause });
        let bye = world.frame_of(alice.socket, "telnyx_rtc.bye");
        let mut expected = json!({
            "callID": leg.to_string(),
            "cause": cause.name(), "causeCode": cause.code(),
            "sipCode": cause.sip_status(), "sipReason": cause.sip_reason(),
            "sip_call_id": leg.to_string(),
            "dialogParams": {"custom_headers": []},
            "client_state": "c3RhdGU=",
        });
        if cause == HangupCause::NormalClearing {
            expected
                .as_object_mut()
                .unwrap()
                .retain(|key, _| key != "sipCode" && key != "sipReason");
        }
        assert_eq!(bye, expected);
    }
}

#[test]
fn an_ended_leg_is_never_commanded() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    world.command(LegCommand::Hangup {
        leg,
        cause: HangupCause::NormalClearing,
    });
    world.frames(alice.socket);
    for command in [
        crate::client::answer(leg),
        crate::client::attach(leg),
        LegCommand::Accepted { leg },
        LegCommand::Held { leg, held: true },
        LegCommand::UpdateRefused { leg },
        LegCommand::Attached { leg },
        LegCommand::Hangup {
            leg,
            cause: HangupCause::UserBusy,
        },
    ] {
        world.command(command);
    }
    world.assert_silent(alice.socket);
    world.assert_no_events();
}

#[test]
fn requests_that_wait_are_answered_before_the_bye() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    let ids = [
        world.request(
            alice.socket,
            "telnyx_rtc.modify",
            dialog("a", json!({"action": "hold"})),
        ),
        world.request(
            alice.socket,
            "telnyx_rtc.modify",
            dialog("a", json!({"action": "updateMedia", "sdp": "v=0"})),
        ),
        world.request(
            alice.socket,
            "telnyx_rtc.modify",
            dialog("a", json!({"action": "updateMedia", "sdp": "v=1"})),
        ),
    ];
    world.command(LegCommand::Hangup {
        leg,
        cause: HangupCause::RecoveryOnTimerExpire,
    });
    let frames = world.frames(alice.socket);
    assert_eq!(frames.len(), 4);
    for (frame, id) in frames.iter().zip(&ids) {
        assert_eq!(frame["id"], *id);
        assert_eq!(frame["error"]["code"], -32002);
    }
    assert_eq!(frames[3]["method"], "telnyx_rtc.bye");
}
