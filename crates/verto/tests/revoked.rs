//! Deleted and disabled credentials.

use ringtrip_model::{HangupCause, Identity, LegEvent, RevokeScope};
use ringtrip_verto::CloseReason;
use serde_json::json;

use crate::client::{ALICE, BOB, World, dialog, party};

#[test]
fn a_deleted_credential_ends_calls_then_punts_then_closes() {
    let mut world = World::new();
    let (alice, bob) = (world.log_in(ALICE), world.log_in(BOB));
    let active = world.call_out(alice, "active");
    let ringing = world.ring(alice);
    let hold = world.request(
        alice.socket,
        "telnyx_rtc.modify",
        dialog("active", json!({"action": "hold"})),
    );
    world.event();
    world.endpoint.handle_revoked(
        RevokeScope::Credential(party(ALICE).credential.unwrap()),
        world.now,
    );
    world.drain();
    let frames = world.frames(alice.socket);
    assert_eq!(
        (&frames[0]["id"], &frames[0]["error"]["code"]),
        (&hold, &json!(-32002))
    );
    for (frame, name) in frames[1..3]
        .iter()
        .zip(["active".to_owned(), ringing.to_string()])
    {
        assert_eq!(frame["method"], "telnyx_rtc.bye");
        assert_eq!(
            (&frame["params"]["callID"], &frame["params"]["causeCode"]),
            (&json!(name), &json!(57))
        );
    }
    assert_eq!(frames[3]["method"], "telnyx_rtc.punt");
    assert_eq!(frames.len(), 4);
    for leg in [active, ringing] {
        let cause = Some(HangupCause::BearerCapabilityNotAuth);
        assert_eq!(world.event(), LegEvent::Hangup { leg, cause });
    }
    assert_eq!(world.closed.get(&alice.socket), Some(&CloseReason::Revoked));
    assert_eq!(
        world.bound.keys().copied().collect::<Vec<_>>(),
        [bob.session]
    );
    world.ask(bob.socket, "telnyx_rtc.ping", json!({}));
}

#[test]
fn an_absent_session_is_revoked_too() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    world.close(alice.socket);
    world.event();
    world
        .endpoint
        .handle_revoked(RevokeScope::Connection(party(ALICE).connection), world.now);
    world.drain();
    let cause = Some(HangupCause::BearerCapabilityNotAuth);
    assert_eq!(world.event(), LegEvent::Hangup { leg, cause });
    assert_eq!(world.endpoint.poll_timeout(), None);
}

#[test]
fn scopes_reach_as_far_as_they_say() {
    let connection = party(ALICE).connection;
    let mut own_user = party("connection-user");
    own_user.credential = None;
    for (scope, left) in [
        (
            RevokeScope::Credential(party(ALICE).credential.unwrap()),
            vec![BOB, "carol@other", "connection-user"],
        ),
        (
            RevokeScope::ConnectionUser(connection),
            vec![ALICE, BOB, "carol@other"],
        ),
        (RevokeScope::Connection(connection), vec!["carol@other"]),
    ] {
        let mut world = World::new();
        for user in [ALICE, BOB, "carol@other"] {
            world.log_in(user);
        }
        let socket = world.open();
        world.request(
            socket,
            "login",
            json!({"login": "connection-user", "passwd": "p"}),
        );
        world.authenticated(Ok(Identity {
            party: own_user.clone(),
            expires_at: None,
        }));
        world.endpoint.handle_revoked(scope, world.now);
        world.drain();
        let mut users: Vec<&str> = world
            .bound
            .values()
            .map(|party| party.user.as_str())
            .collect();
        users.sort_unstable();
        let mut left = left;
        left.sort_unstable();
        assert_eq!(users, left, "{scope:?}");
    }
}
