//! Two sockets with one session: the newest wins.

use ringtrip_model::{HangupCause, LegEvent};
use ringtrip_verto::CloseReason;
use serde_json::json;

use crate::client::{ALICE, BOB, World, dialog};

#[test]
fn the_newest_socket_gets_session_and_calls_and_the_older_is_punted() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let active = world.call_out(alice, "active");
    let calling = world.dial(alice, "calling", BOB);
    world.frames(alice.socket);
    let socket = world.open();
    let (result, ready) =
        world.log_in_fully(socket, ALICE, json!({"sessid": alice.session.to_string()}));
    assert_eq!(result["sessid"], alice.session.to_string());
    // What was not answered yet has no client any more that could go on with it.
    assert_eq!(ready["reattached_sessions"], json!(["active"]));
    assert_eq!(world.frame_of(alice.socket, "telnyx_rtc.punt"), json!({}));
    world.assert_silent(alice.socket);
    assert_eq!(
        world.closed.get(&alice.socket),
        Some(&CloseReason::TakenOver)
    );
    assert_eq!(world.event(), LegEvent::Lost { leg: active });
    let cause = Some(HangupCause::DestinationOutOfOrder);
    assert_eq!(
        world.event(),
        LegEvent::Hangup {
            leg: calling,
            cause
        }
    );
    assert_eq!(world.event(), LegEvent::Returned { leg: active });
    assert_eq!(world.bound.len(), 1);
    // The late close of the older socket changes nothing.
    world.close(alice.socket);
    world.assert_no_events();
    world.frames(socket);
    world.ask(socket, "telnyx_rtc.bye", dialog("active", json!({})));
    assert_eq!(
        world.event(),
        LegEvent::Hangup {
            leg: active,
            cause: None
        }
    );
}

#[test]
fn another_tab_of_the_same_user_has_its_own_session() {
    let mut world = World::new();
    let (first, second) = (world.log_in(ALICE), world.log_in(ALICE));
    assert_ne!(first.session, second.session);
    assert_eq!(world.bound.len(), 2);
    assert!(world.closed.is_empty());
}

#[test]
fn a_former_session_moves_without_harm_to_its_socket() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    let hold = world.request(
        alice.socket,
        "telnyx_rtc.modify",
        dialog("a", json!({"action": "hold"})),
    );
    world.event();
    let bob = world.log_in_on(alice.socket, BOB, json!({}));
    let socket = world.open();
    let again = world.log_in_on(socket, ALICE, json!({"sessid": alice.session.to_string()}));
    assert_eq!(again.session, alice.session);
    assert_eq!(world.event(), LegEvent::Lost { leg });
    assert_eq!(world.event(), LegEvent::Returned { leg });
    // Its socket lives on, so what it asked is answered there.
    let response = world.frame(bob.socket);
    assert_eq!(
        (&response["id"], &response["error"]["code"]),
        (&hold, &json!(-32002))
    );
    assert!(world.closed.is_empty());
    assert!(world.bound.contains_key(&bob.session) && world.bound.contains_key(&alice.session));
    assert_eq!(
        world
            .refused(bob.socket, "telnyx_rtc.bye", dialog("a", json!({})))
            .1,
        "CALL DOES NOT EXIST"
    );
}
