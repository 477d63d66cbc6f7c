//! A credential that ends by itself.

use std::time::Duration;

use ringtrip_model::{HangupCause, Identity, LegEvent};
use ringtrip_verto::CloseReason;
use serde_json::json;

use crate::client::{ALICE, STARTED_AT, World, identity, party};

#[test]
fn at_its_end_a_credential_is_as_good_as_deleted() {
    let mut world = World::new();
    let socket = world.open();
    world.request(socket, "login", json!({"login_token": "t"}));
    let expires_at = Some(STARTED_AT + Duration::from_secs(16));
    world.authenticated(Ok(Identity {
        party: party(ALICE),
        expires_at,
    }));
    let session = *world.bound.keys().next().unwrap();
    world.frames(socket);
    let leg = world.call_out(crate::client::Client { socket, session }, "a");
    world.pass(Duration::from_millis(14_999));
    world.assert_no_events();
    world.pass(Duration::from_millis(1));
    let cause = Some(HangupCause::BearerCapabilityNotAuth);
    assert_eq!(world.event(), LegEvent::Hangup { leg, cause });
    assert_eq!(world.frame_of(socket, "telnyx_rtc.bye")["callID"], "a");
    world.frame_of(socket, "telnyx_rtc.punt");
    assert_eq!(world.closed.get(&socket), Some(&CloseReason::Revoked));
    assert!(world.bound.is_empty());
}

#[test]
fn a_renewal_moves_the_end() {
    let mut world = World::new();
    let socket = world.open();
    world.request(socket, "login", json!({"login_token": "t"}));
    let expires_at = Some(STARTED_AT + Duration::from_secs(16));
    world.authenticated(Ok(Identity {
        party: party(ALICE),
        expires_at,
    }));
    world.request(socket, "login", json!({"login_token": "t"}));
    world.authenticated(Ok(identity(ALICE)));
    world.pass_secs(30);
    assert!(world.closed.is_empty());
}
