//! Being called and answering.

use ringtrip_model::{
    CustomHeader, HangupCause, LegCommand, LegEvent, LegId, SdpAnswer, SessionId,
};
use serde_json::json;

use crate::client::{ALICE, BOB, World, call, dialog, error_of, offer};

#[test]
fn a_device_is_invited_with_all_that_the_sdks_need_and_rings_at_once() {
    let mut world = World::new();
    let bob = world.log_in(BOB);
    let leg = LegId::generate(&mut world.rng);
    let LegCommand::Offer {
        call,
        session,
        offer,
        caller,
        callee,
        client_state,
        ..
    } = offer(leg, bob.session)
    else {
        unreachable!()
    };
    let custom_headers = vec![CustomHeader {
        name: "X-Order".to_owned(),
        value: "17".to_owned(),
    }];
    world.command(LegCommand::Offer {
        leg,
        call,
        session,
        offer,
        caller,
        callee,
        custom_headers,
        client_state,
    });
    assert_eq!(
        world.frame_of(bob.socket, "telnyx_rtc.invite"),
        json!({
            "callID": leg.to_string(),
            "sdp": "v=0 our offer",
            "caller_id_name": "Alice", "caller_id_number": ALICE,
            "callee_id_name": "Outbound Call", "callee_id_number": BOB,
            "display_direction": "outbound",
            "dialogParams": {"custom_headers": [{"name": "X-Order", "value": "17"}]},
            "telnyx_session_id": call.to_string(),
            "telnyx_leg_id": leg.to_string(),
            "telnyx_call_control_id": format!("v3:{leg}"),
            "client_state": "c3RhdGU=",
        })
    );
    assert_eq!(world.event(), LegEvent::Ringing { leg });
    world.assert_silent(bob.socket);
}

#[test]
fn the_answers_result_waits_for_the_call() {
    let mut world = World::new();
    let bob = world.log_in(BOB);
    let leg = world.ring(bob);
    let mut params = dialog(&leg.to_string(), json!({"sdp": "v=0 answer"}));
    params["dialogParams"]["custom_headers"] = json!([{"name": "X-Agent", "value": "7"}]);
    let id = world.request(bob.socket, "telnyx_rtc.answer", params);
    let custom_headers = vec![CustomHeader {
        name: "X-Agent".to_owned(),
        value: "7".to_owned(),
    }];
    let answer = SdpAnswer("v=0 answer".to_owned());
    assert_eq!(
        world.event(),
        LegEvent::Answered {
            leg,
            answer,
            custom_headers
        }
    );
    world.assert_silent(bob.socket);
    world.command(LegCommand::Accepted { leg });
    let response = world.frame(bob.socket);
    assert_eq!(response["id"], id);
    let sessid = bob.session.to_string();
    assert_eq!(
        response["result"],
        json!({"callID": leg.to_string(), "message": "CALL ANSWERED", "sessid": sessid})
    );
    world.command(LegCommand::Accepted { leg });
    world.assert_silent(bob.socket);
}

#[test]
fn a_leg_hung_up_first_refuses_the_answer_and_says_bye() {
    let mut world = World::new();
    let bob = world.log_in(BOB);
    let leg = world.ring(bob);
    let id = world.request(
        bob.socket,
        "telnyx_rtc.answer",
        dialog(&leg.to_string(), json!({"sdp": "v=0"})),
    );
    world.event();
    world.command(LegCommand::Hangup {
        leg,
        cause: HangupCause::LoseRace,
    });
    let response = world.frame(bob.socket);
    assert_eq!(response["id"], id);
    assert_eq!(error_of(&response), (-32002, "CALL ERROR".to_owned()));
    let bye = world.frame_of(bob.socket, "telnyx_rtc.bye");
    assert_eq!(
        (&bye["cause"], &bye["causeCode"]),
        (&json!("LOSE_RACE"), &json!(502))
    );
    world.command(LegCommand::Accepted { leg });
    world.assert_silent(bob.socket);
    world.assert_no_events();
}

#[test]
fn only_a_ringing_call_can_be_answered_and_only_once() {
    let mut world = World::new();
    let bob = world.log_in(BOB);
    let leg = world.ring(bob);
    let name = leg.to_string();
    let no_sdp = world.refused(bob.socket, "telnyx_rtc.answer", dialog(&name, json!({})));
    assert_eq!(no_sdp, (-32002, "SDP missing".to_owned()));
    let long = json!({"sdp": "v".repeat(64 * 1024 + 1)});
    assert_eq!(
        world
            .refused(bob.socket, "telnyx_rtc.answer", dialog(&name, long))
            .1,
        "SDP too long"
    );
    world.assert_no_events();
    world.request(
        bob.socket,
        "telnyx_rtc.answer",
        dialog(&name, json!({"sdp": "v=0"})),
    );
    world.event();
    for _ in 0..2 {
        let again = world.refused(
            bob.socket,
            "telnyx_rtc.answer",
            dialog(&name, json!({"sdp": "v=0"})),
        );
        assert_eq!(again, (-32002, "CALL ERROR".to_owned()));
        world.command(LegCommand::Accepted { leg });
        world.frames(bob.socket);
    }
    let unknown = world.refused(
        bob.socket,
        "telnyx_rtc.answer",
        dialog("other", json!({"sdp": "v=0"})),
    );
    assert_eq!(unknown, (-32002, "CALL DOES NOT EXIST".to_owned()));
    world.assert_no_events();
}

#[test]
fn a_device_that_is_not_there_ends_its_leg() {
    let mut world = World::new();
    let bob = world.log_in(BOB);
    let leg = world.call_in(bob);
    world.close(bob.socket);
    assert_eq!(world.event(), LegEvent::Lost { leg });
    let nobody = SessionId::generate(&mut world.rng);
    for session in [bob.session, nobody] {
        let leg = LegId::generate(&mut world.rng);
        world.command(offer(leg, session));
        let cause = Some(HangupCause::SubscriberAbsent);
        assert_eq!(world.event(), LegEvent::Hangup { leg, cause });
    }
}

#[test]
fn a_leg_is_offered_once() {
    let mut world = World::new();
    let bob = world.log_in(BOB);
    let leg = world.ring(bob);
    world.command(offer(leg, bob.session));
    world.assert_silent(bob.socket);
    world.assert_no_events();
    assert_eq!(call().to_string().len(), 36);
}
