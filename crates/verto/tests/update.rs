//! ICE restart by `updateMedia`.

use ringtrip_model::{LegCommand, LegEvent, SdpAnswer, SdpOffer};
use serde_json::{Value, json};

use crate::client::{ALICE, World, dialog, error_of};

fn update(sdp: &str) -> Value {
    dialog(
        "a",
        json!({"action": "updateMedia", "sdp": sdp, "trickle": true}),
    )
}

#[test]
fn a_restart_is_answered_with_our_new_description() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    let params = json!({"action": "updateMedia", "callID": "a", "sdp": "v=0 new"});
    let id = world.request(alice.socket, "telnyx_rtc.modify", params);
    assert_eq!(
        world.event(),
        LegEvent::UpdateRequested {
            leg,
            offer: SdpOffer("v=0 new".to_owned())
        }
    );
    world.assert_silent(alice.socket);
    world.command(LegCommand::Updated {
        leg,
        answer: SdpAnswer("v=0 ours".to_owned()),
    });
    let response = world.frame(alice.socket);
    assert_eq!(response["id"], id);
    let sessid = alice.session.to_string();
    assert_eq!(
        response["result"],
        json!({"callID": "a", "action": "updateMedia", "sdp": "v=0 ours", "sessid": sessid})
    );
}

#[test]
fn a_refused_restart_is_a_media_error() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    world.request(alice.socket, "telnyx_rtc.modify", update("v=0"));
    world.command(LegCommand::UpdateRefused { leg });
    assert_eq!(
        error_of(&world.frame(alice.socket)),
        (-32002, "MEDIA ERROR".to_owned())
    );
    let missing = world.refused(
        alice.socket,
        "telnyx_rtc.modify",
        dialog("a", json!({"action": "updateMedia"})),
    );
    assert_eq!(missing.1, "SDP missing");
}

#[test]
fn restarts_in_a_row_are_told_one_after_the_other() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    let first = world.request(alice.socket, "telnyx_rtc.modify", update("v=0 first"));
    let second = world.request(alice.socket, "telnyx_rtc.modify", update("v=0 second"));
    assert_eq!(
        world.event(),
        LegEvent::UpdateRequested {
            leg,
            offer: SdpOffer("v=0 first".to_owned())
        }
    );
    world.assert_no_events();
    world.command(LegCommand::UpdateRefused { leg });
    assert_eq!(world.frame(alice.socket)["id"], first);
    assert_eq!(
        world.event(),
        LegEvent::UpdateRequested {
            leg,
            offer: SdpOffer("v=0 second".to_owned())
        }
    );
    world.command(LegCommand::Updated {
        leg,
        answer: SdpAnswer("v=0 ours".to_owned()),
    });
    let response = world.frame(alice.socket);
    assert_eq!(
        (&response["id"], &response["result"]["sdp"]),
        (&second, &json!("v=0 ours"))
    );
    world.assert_no_events();
}

#[test]
fn a_result_finds_its_request_across_a_lost_socket() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    world.request(alice.socket, "telnyx_rtc.modify", update("v=0 old"));
    world.request(alice.socket, "telnyx_rtc.modify", update("v=0 never told"));
    world.event();
    world.close(alice.socket);
    assert_eq!(world.event(), LegEvent::Lost { leg });
    let socket = world.open();
    world.log_in_on(socket, ALICE, json!({"sessid": alice.session.to_string()}));
    assert_eq!(world.event(), LegEvent::Returned { leg });
    let id = world.request(socket, "telnyx_rtc.modify", update("v=0 new"));
    world.assert_no_events();
    world.command(LegCommand::Updated {
        leg,
        answer: SdpAnswer("v=0 for the old one".to_owned()),
    });
    world.assert_silent(socket);
    assert_eq!(
        world.event(),
        LegEvent::UpdateRequested {
            leg,
            offer: SdpOffer("v=0 new".to_owned())
        }
    );
    world.command(LegCommand::Updated {
        leg,
        answer: SdpAnswer("v=0 for the new one".to_owned()),
    });
    let response = world.frame(socket);
    assert_eq!(
        (&response["id"], &response["result"]["sdp"]),
        (&id, &json!("v=0 for the new one"))
    );
}
