//! Logging in again on a live socket.

use ringtrip_model::{HangupCause, Identity, LegCommand, LegEvent, MediaPolicy, RevokeScope};
use serde_json::json;

use crate::client::{ALICE, BOB, World, dialog, identity, offer, party};

#[test]
fn a_renewal_keeps_session_and_calls() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let active = world.call_out(alice, "active");
    let ringing = world.ring(alice);
    let (result, ready) = world.log_in_fully(alice.socket, ALICE, json!({"sessid": "x"}));
    assert_eq!(result["sessid"], alice.session.to_string());
    assert_eq!(
        ready["reattached_sessions"],
        json!(["active", ringing.to_string()])
    );
    world.assert_no_events();
    assert!(world.closed.is_empty());
    world.ask(
        alice.socket,
        "telnyx_rtc.modify",
        dialog("nothing", json!({"action": "hold"})),
    );
    world.request(
        alice.socket,
        "telnyx_rtc.modify",
        dialog("active", json!({"action": "hold"})),
    );
    assert_eq!(
        world.event(),
        LegEvent::HoldRequested {
            leg: active,
            held: Some(true)
        }
    );
}

#[test]
fn a_renewal_announces_what_changed_about_the_party() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let mut changed = party(ALICE);
    changed.policy = MediaPolicy::from_codec_names(["OPUS", "VP8"]);
    world.request(alice.socket, "login", json!({"login_token": "t"}));
    world.authenticated(Ok(Identity {
        party: changed.clone(),
        expires_at: None,
    }));
    assert_eq!(world.bound.get(&alice.session), Some(&changed));
}

#[test]
fn another_user_on_the_same_socket_gets_a_fresh_session_and_former_calls_go_on() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "kept");
    let (result, ready) = world.log_in_fully(
        alice.socket,
        BOB,
        json!({"sessid": alice.session.to_string()}),
    );
    assert_ne!(result["sessid"], alice.session.to_string());
    assert_eq!(ready["reattached_sessions"], json!(["kept"]));
    world.assert_no_events();
    assert_eq!(
        world
            .bound
            .values()
            .map(|party| party.user.as_str())
            .collect::<Vec<_>>(),
        [BOB]
    );

    // The former session's call still answers to this socket, but it gets no new ones.
    world.request(
        alice.socket,
        "telnyx_rtc.modify",
        dialog("kept", json!({"action": "hold"})),
    );
    assert_eq!(
        world.event(),
        LegEvent::HoldRequested {
            leg,
            held: Some(true)
        }
    );
    let unwanted = ringtrip_model::LegId::generate(&mut world.rng);
    world.command(offer(unwanted, alice.session));
    let cause = Some(HangupCause::SubscriberAbsent);
    assert_eq!(
        world.event(),
        LegEvent::Hangup {
            leg: unwanted,
            cause
        }
    );

    // Its last call gone, the former session is gone.
    world.command(LegCommand::Held { leg, held: true });
    world.frames(alice.socket);
    let bye = world.ask(alice.socket, "telnyx_rtc.bye", dialog("kept", json!({})));
    assert_eq!(bye["error"]["code"], json!(null));
    assert_eq!(world.event(), LegEvent::Hangup { leg, cause: None });
    let (back, _) = world.log_in_fully(alice.socket, ALICE, json!({}));
    assert_ne!(back["sessid"], alice.session.to_string());
}

#[test]
fn switching_back_finds_the_former_session() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    world.call_out(alice, "kept");
    world.log_in_on(alice.socket, BOB, json!({}));
    let again = world.log_in_on(alice.socket, ALICE, json!({}));
    assert_eq!(again.session, alice.session);
    assert_eq!(
        world
            .bound
            .values()
            .map(|party| party.user.as_str())
            .collect::<Vec<_>>(),
        [ALICE]
    );
    world.assert_no_events();
}

#[test]
fn former_sessions_are_few_and_the_oldest_ends_with_its_calls() {
    let mut world = World::new();
    let socket = world.open();
    let mut legs = Vec::new();
    for user in ["u0", "u1", "u2", "u3"] {
        let client = world.log_in_on(socket, user, json!({}));
        legs.push(world.call_out(client, user));
        world.frames(socket);
    }
    world.request(socket, "login", json!({"login_token": "u4"}));
    world.authenticated(Ok(identity("u4")));
    assert_eq!(world.frame_of(socket, "telnyx_rtc.bye")["callID"], "u0");
    let cause = Some(HangupCause::SwitchCongestion);
    assert_eq!(
        world.event(),
        LegEvent::Hangup {
            leg: legs[0],
            cause
        }
    );
    world.frames(socket);
    world.assert_no_events();
    let (_, ready) = world.log_in_fully(socket, "u4", json!({}));
    assert_eq!(ready["reattached_sessions"], json!(["u3", "u2", "u1"]));
}

#[test]
fn losing_the_socket_loses_current_and_former_calls() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let kept = world.call_out(alice, "kept");
    let bob = world.log_in_on(alice.socket, BOB, json!({}));
    let newer = world.call_out(bob, "newer");
    world.close(alice.socket);
    assert_eq!(world.event(), LegEvent::Lost { leg: newer });
    assert_eq!(world.event(), LegEvent::Lost { leg: kept });
    assert!(world.bound.is_empty());
}

#[test]
fn revoking_a_former_user_spares_the_socket() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "kept");
    world.log_in_on(alice.socket, BOB, json!({}));
    world.endpoint.handle_revoked(
        RevokeScope::Credential(party(ALICE).credential.unwrap()),
        world.now,
    );
    world.drain();
    assert_eq!(
        world.frame_of(alice.socket, "telnyx_rtc.bye")["callID"],
        "kept"
    );
    world.assert_silent(alice.socket);
    let cause = Some(HangupCause::BearerCapabilityNotAuth);
    assert_eq!(world.event(), LegEvent::Hangup { leg, cause });
    assert!(world.closed.is_empty());
    assert_eq!(identity(BOB).party, *world.bound.values().next().unwrap());
}
