//! Refused and missing logins.

use ringtrip_model::{Identity, LoginRefusal, RevokeScope, Timestamp};
use ringtrip_verto::CloseReason;
use serde_json::json;

use crate::client::{ALICE, World, error_of, identity, party};

#[test]
fn a_refused_login_is_told_nothing_but_that() {
    for refusal in [
        LoginRefusal::BadToken,
        LoginRefusal::UnknownUser,
        LoginRefusal::WrongPassword,
        LoginRefusal::Expired,
        LoginRefusal::Inactive,
    ] {
        let mut world = World::new();
        let socket = world.open();
        let id = world.request(socket, "login", json!({"login_token": "t"}));
        world.authenticated(Err(refusal));
        let response = world.frame(socket);
        assert_eq!(response["id"], id);
        assert_eq!(error_of(&response), (-32001, "Login Incorrect".to_owned()));
        world.assert_silent(socket);
        assert!(world.bound.is_empty() && world.closed.is_empty());
    }
}

#[test]
fn a_login_that_cannot_be_judged_is_not_refused_but_may_come_again() {
    let mut world = World::new();
    let socket = world.open();
    world.request(socket, "login", json!({"login_token": "t"}));
    world.authenticated(Err(LoginRefusal::Unavailable));
    world.assert_silent(socket);
    assert_eq!(world.closed.get(&socket), Some(&CloseReason::Unavailable));
    // A session goes on as whom it is known.
    let alice = world.log_in(ALICE);
    for _ in 0..6 {
        world.request(alice.socket, "login", json!({"login_token": "t"}));
        world.authenticated(Err(LoginRefusal::Unavailable));
        let error = error_of(&world.frame(alice.socket));
        assert_eq!(error, (-32001, "Service Unavailable".to_owned()));
    }
    assert!(world.bound.contains_key(&alice.session));
    assert!(!world.closed.contains_key(&alice.socket));
}

#[test]
fn a_login_that_shows_nothing_is_refused_without_asking() {
    let long = "x".repeat(10_000);
    for params in [
        json!({}),
        json!([]),
        json!(null),
        json!({"login": "u"}),
        json!({"login_token": ""}),
        json!({"login_token": {"a": 1}}),
        json!({"login_token": long}),
        json!({"login": long, "passwd": "p"}),
        json!({"login": "u", "passwd": long}),
    ] {
        let mut world = World::new();
        let socket = world.open();
        assert_eq!(
            world.refused(socket, "login", params.clone()).0,
            -32001,
            "{params}"
        );
        assert!(world.logins.is_empty());
    }
}

#[test]
fn a_socket_without_login_is_closed_after_10_seconds() {
    let mut world = World::new();
    let (idle, asking) = (world.open(), world.open());
    world.request(asking, "login", json!({"login_token": "t"}));
    world.pass_secs(9);
    assert!(world.closed.is_empty());
    world.pass_secs(1);
    assert_eq!(world.closed.get(&idle), Some(&CloseReason::LoginTimeout));
    // A verdict that takes too long helps nobody.
    assert_eq!(world.closed.get(&asking), Some(&CloseReason::LoginTimeout));
    world.authenticated(Ok(identity(ALICE)));
    assert!(world.bound.is_empty());
}

#[test]
fn a_refused_socket_stays_open_for_30_seconds_more() {
    let mut world = World::new();
    let socket = world.open();
    world.pass_secs(8);
    world.request(socket, "login", json!({"login_token": "t"}));
    world.authenticated(Err(LoginRefusal::BadToken));
    world.pass_secs(29);
    assert!(world.closed.is_empty());
    world.pass_secs(1);
    assert_eq!(world.closed.get(&socket), Some(&CloseReason::LoginTimeout));
}

#[test]
fn a_refused_socket_may_try_again() {
    let mut world = World::new();
    let socket = world.open();
    world.request(socket, "login", json!({"login_token": "t"}));
    world.authenticated(Err(LoginRefusal::BadToken));
    world.frames(socket);
    world.log_in_on(socket, ALICE, json!({}));
    world.pass_secs(35);
    assert!(world.closed.is_empty());
}

#[test]
fn five_refusals_close_a_socket() {
    let mut world = World::new();
    let socket = world.open();
    for attempt in 1..=5 {
        assert!(world.closed.is_empty(), "attempt {attempt}");
        world.request(socket, "login", json!({"login_token": "t"}));
        world.authenticated(Err(LoginRefusal::WrongPassword));
        assert_eq!(error_of(&world.frame(socket)).0, -32001);
    }
    assert_eq!(world.closed.get(&socket), Some(&CloseReason::LoginRefused));
    world.send(
        socket,
        &json!({"id": 1, "method": "login", "params": {"login_token": "t"}}),
    );
    world.assert_silent(socket);
}

#[test]
fn a_success_between_does_not_wipe_refusals() {
    let mut world = World::new();
    let socket = world.open();
    world.log_in_on(socket, ALICE, json!({}));
    for _ in 0..5 {
        world.request(
            socket,
            "login",
            json!({"login": "somebody", "passwd": "guess"}),
        );
        world.authenticated(Err(LoginRefusal::WrongPassword));
    }
    assert_eq!(world.closed.get(&socket), Some(&CloseReason::LoginRefused));
}

#[test]
fn a_refused_renewal_leaves_the_session_as_it_is() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    world.request(alice.socket, "login", json!({"login_token": "expired"}));
    world.authenticated(Err(LoginRefusal::BadToken));
    assert_eq!(error_of(&world.frame(alice.socket)).0, -32001);
    let state = world.ask(alice.socket, "telnyx_rtc.gatewayState", json!({}));
    assert_eq!(state["result"]["params"]["state"], "REGED");
    assert!(world.bound.contains_key(&alice.session));
}

#[test]
fn a_credential_whose_end_has_come_is_refused() {
    let mut world = World::new();
    let socket = world.open();
    for ended in [Timestamp::from_secs(0), crate::client::STARTED_AT] {
        world.request(socket, "login", json!({"login_token": "t"}));
        world.authenticated(Ok(Identity {
            party: party(ALICE),
            expires_at: Some(ended),
        }));
        assert_eq!(error_of(&world.frame(socket)).0, -32001);
    }
}

#[test]
fn a_credential_deleted_while_it_is_verified_is_refused() {
    let mut world = World::new();
    let socket = world.open();
    world.request(socket, "login", json!({"login_token": "t"}));
    world.endpoint.handle_revoked(
        RevokeScope::Credential(party(ALICE).credential.unwrap()),
        world.now,
    );
    world.authenticated(Ok(identity(ALICE)));
    assert_eq!(error_of(&world.frame(socket)).0, -32001);
    assert!(world.bound.is_empty());
    // Logins asked after the deletion are the store's matter again.
    world.log_in_on(socket, ALICE, json!({}));
}

#[test]
fn too_many_revocations_at_once_refuse_whoever_is_being_verified() {
    let mut world = World::new();
    let socket = world.open();
    world.request(socket, "login", json!({"login_token": "t"}));
    for connection in 100..2_000 {
        let scope =
            RevokeScope::Connection(ringtrip_model::CredentialConnectionId::from_i64(connection));
        world.endpoint.handle_revoked(scope, world.now);
    }
    world.authenticated(Ok(identity(ALICE)));
    assert_eq!(error_of(&world.frame(socket)).0, -32001);
    world.log_in_on(socket, ALICE, json!({}));
}
