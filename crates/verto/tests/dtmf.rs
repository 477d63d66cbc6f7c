//! Keys and texts in a call.

use ringtrip_model::{Digit, LegCommand, LegEvent};
use serde_json::json;

use crate::client::{ALICE, World, dialog};

fn digits(keys: &str) -> Vec<Digit> {
    keys.chars()
        .map(|key| Digit::from_char(key).unwrap())
        .collect()
}

#[test]
fn keys_are_told_to_the_call() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    for (dtmf, keys) in [
        (json!("5"), "5"),
        (json!("0123456789*#ABCDabcd"), "0123456789*#ABCDABCD"),
        (json!(7), "7"),
        (json!("1".repeat(32)), "11111111111111111111111111111111"),
    ] {
        let response = world.ask(
            alice.socket,
            "telnyx_rtc.info",
            dialog("a", json!({"dtmf": dtmf})),
        );
        let sessid = alice.session.to_string();
        assert_eq!(
            response["result"],
            json!({"message": "SENT", "sessid": sessid})
        );
        assert_eq!(
            world.event(),
            LegEvent::Dtmf {
                leg,
                digits: digits(keys)
            }
        );
    }
}

#[test]
fn what_is_no_key_is_refused() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    world.call_out(alice, "a");
    for dtmf in [
        json!(""),
        json!("E"),
        json!("1 2"),
        json!("1".repeat(33)),
        json!(-1),
        json!(["1"]),
        json!(null),
        json!("١"),
    ] {
        let refusal = world.refused(
            alice.socket,
            "telnyx_rtc.info",
            dialog("a", json!({"dtmf": dtmf})),
        );
        assert_eq!(refusal, (-32002, "DTMF invalid".to_owned()), "{dtmf}");
    }
    let unknown = world.refused(
        alice.socket,
        "telnyx_rtc.info",
        dialog("b", json!({"dtmf": "1"})),
    );
    assert_eq!(unknown, (-32002, "CALL DOES NOT EXIST".to_owned()));
    world.assert_no_events();
}

#[test]
fn a_text_message_is_not_pretended_to_be_sent() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    world.call_out(alice, "a");
    let message = dialog("a", json!({"msg": {"body": "hello"}}));
    let refusal = world.refused(alice.socket, "telnyx_rtc.info", message);
    assert_eq!(
        refusal,
        (-32002, "Text messages are not carried".to_owned())
    );
}

#[test]
fn the_far_sides_key_is_shown_to_an_answered_call() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    let digit = Digit::from_char('#').unwrap();
    world.command(LegCommand::Dtmf { leg, digit });
    assert_eq!(
        world.frame_of(alice.socket, "telnyx_rtc.info"),
        json!({"callID": "a", "dtmf": "#"})
    );
    let ringing = world.ring(alice);
    world.command(LegCommand::Dtmf {
        leg: ringing,
        digit,
    });
    world.assert_silent(alice.socket);
}
