//! A node that gives up work while calls go on.

use ringtrip_model::HangupCause;
use ringtrip_verto::CloseReason;
use serde_json::json;

use crate::client::{ALICE, BOB, World, error_of, identity, invite};

#[test]
fn idle_sessions_are_punted_and_calls_go_on() {
    let mut world = World::new();
    let (alice, bob) = (world.log_in(ALICE), world.log_in(BOB));
    world.call_out(alice, "live");
    world.frames(alice.socket);
    world.endpoint.handle_drain(world.now);
    world.drain();
    assert_eq!(world.frame_of(bob.socket, "telnyx_rtc.punt"), json!({}));
    assert_eq!(world.closed.get(&bob.socket), Some(&CloseReason::Shutdown));
    world.assert_silent(alice.socket);
    assert!(!world.closed.contains_key(&alice.socket));

    // Saying it again, with the call still there, changes nothing; once the call is over it does.
    world.endpoint.handle_drain(world.now);
    world.drain();
    world.assert_silent(alice.socket);
    let params = json!({"cause": "NORMAL_CLEARING", "dialogParams": {"callID": "live"}});
    let ended = world.ask(alice.socket, "telnyx_rtc.bye", params);
    assert_eq!(ended["result"]["message"], "CALL ENDED", "{ended}");
    world.endpoint.handle_drain(world.now);
    world.drain();
    world.frame_of(alice.socket, "telnyx_rtc.punt");
    assert_eq!(
        world.closed.get(&alice.socket),
        Some(&CloseReason::Shutdown)
    );
    assert!(world.bound.is_empty());
}

#[test]
fn no_call_can_be_placed_any_more() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    world.call_out(alice, "live");
    world.endpoint.handle_drain(world.now);
    world.drain();
    let params = invite("late", BOB);
    let created = world.ask(alice.socket, "telnyx_rtc.invite", params);
    assert_eq!(created["result"]["message"], "CALL CREATED", "{created}");
    let bye = world.frame_of(alice.socket, "telnyx_rtc.bye");
    assert_eq!(
        (&bye["callID"], &bye["causeCode"]),
        (&json!("late"), &json!(HangupCause::SwitchCongestion.code()))
    );
    world.assert_no_events();
}

#[test]
fn a_new_login_is_told_why_it_is_refused_and_one_with_a_call_returns() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    world.call_out(alice, "live");
    world.endpoint.handle_drain(world.now);
    world.drain();

    let stranger = world.open();
    world.send(
        stranger,
        &json!({"jsonrpc": "2.0", "id": 1, "method": "login", "params": {"login_token": "t"}}),
    );
    world.authenticated(Ok(identity(BOB)));
    let refused = world.frame(stranger);
    assert_eq!(
        error_of(&refused),
        (-32001, "Server Is Shutting Down".to_owned())
    );
    assert_eq!(world.closed.get(&stranger), Some(&CloseReason::Shutdown));

    world.close(alice.socket);
    let back = world.open();
    let sessid = json!({"sessid": alice.session.to_string()});
    let back = world.log_in_on(back, ALICE, sessid);
    assert_eq!(back.session, alice.session);
}

#[test]
fn a_guest_can_be_crowded_out_and_a_member_cannot() {
    let mut world = World::new();
    let (alice, guest) = (world.log_in(ALICE), world.open());
    for socket in [alice.socket, guest] {
        world.endpoint.crowd_out(socket, world.now);
    }
    world.drain();
    assert_eq!(world.closed.get(&guest), Some(&CloseReason::HalfOpen));
    assert!(!world.closed.contains_key(&alice.socket));
}
