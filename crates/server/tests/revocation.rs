//! The end of a credential is the end of its sessions and calls, before the answer to who ended it.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use serde_json::{Value, json};
use support::http::Rest;
use support::phone::{OFFER, Phone, call};
use support::process::Server;

/// A credential of the first tenant, and a phone that is logged in with it.
async fn person(server: &Server, rest: &mut Rest, body: Value) -> (String, String, Phone) {
    let made = rest
        .data("POST", "/v2/telephony_credentials", Some(&body))
        .await;
    let id = made["id"].as_str().unwrap().to_owned();
    let token = rest.token(&id).await;
    let mut phone = Phone::log_in(server.http, &token).await;
    phone.user = made["sip_username"].as_str().unwrap().to_owned();
    (id, token, phone)
}

/// Asserts that a phone lost its call and was told never to come back.
async fn expect_punt(phone: &mut Phone, call: &str) {
    let (frames, reason) = phone.until_closed().await;
    let methods: Vec<_> = frames.iter().filter_map(|f| f["method"].as_str()).collect();
    let at = |method| methods.iter().position(|m| *m == method);
    let (bye, punt) = (at("telnyx_rtc.bye"), at("telnyx_rtc.punt"));
    assert!(bye.is_some() && bye < punt, "{methods:?}");
    let bye = frames
        .iter()
        .find(|frame| frame["method"] == "telnyx_rtc.bye")
        .unwrap();
    assert_eq!(bye["params"]["callID"], call);
    assert_eq!(
        reason,
        Some((1008, "credential no longer valid".to_owned()))
    );
}

async fn expect_refused(server: &Server, login: Value) {
    let mut phone = Phone::connect(server.http).await;
    let answer = phone.login(login).await;
    assert_eq!(answer["error"]["code"], -32001, "{answer}");
}

#[tokio::test]
async fn a_deleted_credential_loses_its_call_its_socket_and_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let mut rest = server.rest(0).await;
    let connection = server.said("/accounts/0/connection_id");
    let body = json!({"connection_id": connection});
    let (id, token, mut dora) = person(&server, &mut rest, body).await;
    let mut second = Phone::log_in(server.http, &token).await;
    let mut alice = server.phone(0, 0).await;
    let mut bob = server.phone(0, 1).await;
    let (mine, hers) = call(&mut alice, &mut dora).await;
    // Her other device has lost the race, and nothing else.
    second.event("telnyx_rtc.invite").await;
    second.event("telnyx_rtc.bye").await;

    let path = format!("/v2/telephony_credentials/{id}");
    rest.data("DELETE", &path, None).await;
    // From here on it is dead: no login, no call to it, no metric that counts it.
    assert_eq!(server.metric("ringtrip_sessions_active").await, 2);
    expect_refused(&server, json!({"login_token": token})).await;
    let created = bob.invite("to-dora", &dora.user, OFFER).await;
    assert_eq!(created["result"]["message"], "CALL CREATED");
    assert_eq!(
        bob.event("telnyx_rtc.bye").await["cause"],
        "UNALLOCATED_NUMBER"
    );
    expect_punt(&mut dora, &hers).await;
    let (frames, _) = second.until_closed().await;
    assert_eq!(
        frames.last().unwrap()["method"],
        "telnyx_rtc.punt",
        "{frames:?}"
    );
    assert_eq!(alice.event("telnyx_rtc.bye").await["callID"], *mine);
    alice.expect_undisturbed().await;
    bob.expect_undisturbed().await;
    server
        .wait_for_metric("ringtrip_calls_active", |calls| calls == 0)
        .await;
}

#[tokio::test]
async fn a_frame_sent_before_the_deletion_was_answered_does_not_outlive_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let connection = server.said("/accounts/0/connection_id");
    let mut bob = server.phone(0, 1).await;
    for _ in 0..20 {
        let mut rest = server.rest(0).await;
        let body = json!({"connection_id": connection});
        let (id, token, mut eve) = person(&server, &mut rest, body).await;
        let path = format!("/v2/telephony_credentials/{id}");
        let mut late = Phone::connect(server.http).await;
        // All at once: the deletion, a call, another login.
        let (deleted, _, login) = tokio::join!(
            rest.call("DELETE", &path, None),
            eve.request(
                "telnyx_rtc.invite",
                json!({
                    "sdp": OFFER,
                    "dialogParams": {"callID": "last", "destination_number": bob.user},
                })
            ),
            late.request("login", json!({"login_token": token})),
        );
        assert_eq!(deleted.status, 200);
        // However it went, both sockets end, or the login was refused; and Bob does not go on ringing.
        eve.until_closed().await;
        let refused = |frame: &Value| frame["id"] == login.as_str() && frame.get("error").is_some();
        loop {
            match support::soon("the late login", late.hear()).await {
                support::phone::Heard::Frame(frame) if refused(&frame) => break,
                support::phone::Heard::Frame(_) => {}
                support::phone::Heard::Closed(_) => break,
            }
        }
        server
            .wait_for_metric("ringtrip_calls_active", |calls| calls == 0)
            .await;
        assert_eq!(server.metric("ringtrip_sessions_active").await, 1);
    }
    let pong = bob.ask("telnyx_rtc.ping", json!({})).await;
    assert_eq!(pong["result"]["message"], "PONG");
}

#[tokio::test]
async fn the_end_of_its_time_ends_a_session_in_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let mut rest = server.rest(0).await;
    let connection = server.said("/accounts/0/connection_id");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let in_seconds = |seconds: u64| {
        let at = i64::try_from(now.as_ref().unwrap().as_secs() + seconds).unwrap();
        ringtrip_model::Timestamp::from_secs(at).to_string()
    };
    // One that is made with an end, and one whose end is moved after it has logged in.
    let body = json!({"connection_id": connection, "expires_at": in_seconds(10)});
    let (id, token, mut dora) = person(&server, &mut rest, body).await;
    let body = json!({"connection_id": connection});
    let (moved, _, mut emil) = person(&server, &mut rest, body).await;
    let mut alice = server.phone(0, 0).await;
    let (mine, hers) = call(&mut alice, &mut dora).await;
    let path = format!("/v2/telephony_credentials/{moved}");
    let body = json!({"expires_at": in_seconds(10)});
    rest.data("PATCH", &path, Some(&body)).await;

    expect_punt(&mut dora, &hers).await;
    let (frames, _) = emil.until_closed().await;
    assert_eq!(
        frames.last().unwrap()["method"],
        "telnyx_rtc.punt",
        "{frames:?}"
    );
    assert_eq!(alice.event("telnyx_rtc.bye").await["callID"], *mine);
    expect_refused(&server, json!({"login_token": token})).await;
    let path = format!("/v2/telephony_credentials/{id}");
    // The connection from before has been idle for longer than the server keeps one.
    let mut rest = server.rest(0).await;
    let row = rest.data("GET", &path, None).await;
    assert_eq!(row["expired"], true);
    let response = rest.call("POST", &format!("{path}/token"), None).await;
    response.envelope(422);
    let login = json!({"login": row["sip_username"], "passwd": row["sip_password"]});
    expect_refused(&server, login).await;
    alice.expect_undisturbed().await;
}

#[tokio::test]
async fn a_connection_that_is_switched_off_ends_all_its_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let mut rest = server.rest(0).await;
    let connection = server.said("/accounts/0/connection_id");
    let path = format!("/v2/credential_connections/{connection}");
    let row = rest.data("GET", &path, None).await;
    let mut office = Phone::connect(server.http).await;
    let login = json!({"login": row["user_name"], "passwd": row["password"]});
    assert_eq!(
        office.login(login.clone()).await["result"]["message"],
        "logged in"
    );
    let (mut alice, mut bob) = (server.phone(0, 0).await, server.phone(0, 1).await);
    let (mine, his) = call(&mut alice, &mut bob).await;
    let mut carol = server.phone(1, 0).await;

    rest.data("PATCH", &path, Some(&json!({"active": false})))
        .await;
    assert_eq!(server.metric("ringtrip_sessions_active").await, 1);
    expect_punt(&mut alice, &mine).await;
    expect_punt(&mut bob, &his).await;
    let (frames, _) = office.until_closed().await;
    assert_eq!(frames.last().unwrap()["method"], "telnyx_rtc.punt");
    let token = server.said("/accounts/0/credentials/0/token");
    expect_refused(&server, json!({"login_token": token})).await;
    expect_refused(&server, login.clone()).await;
    carol.expect_undisturbed().await;

    rest.data("PATCH", &path, Some(&json!({"active": true})))
        .await;
    server.phone(0, 0).await.expect_undisturbed().await;

    // A new password ends those who used the old one.
    let mut office = Phone::connect(server.http).await;
    office.login(login.clone()).await;
    let change = json!({"password": "another-long-password"});
    rest.data("PATCH", &path, Some(&change)).await;
    let (frames, _) = office.until_closed().await;
    assert_eq!(frames.last().unwrap()["method"], "telnyx_rtc.punt");
    expect_refused(&server, login).await;
}

#[tokio::test]
async fn a_deleted_connection_takes_its_credentials_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let mut rest = server.rest(0).await;
    let connection = server.said("/accounts/0/connection_id");
    let mut alice = server.phone(0, 0).await;
    let response = rest
        .call(
            "DELETE",
            &format!("/v2/credential_connections/{connection}"),
            None,
        )
        .await;
    assert_eq!(response.status, 200, "{}", response.text());
    let (frames, _) = alice.until_closed().await;
    assert_eq!(frames.last().unwrap()["method"], "telnyx_rtc.punt");
    let token = server.said("/accounts/0/credentials/0/token");
    expect_refused(&server, json!({"login_token": token})).await;
}

#[tokio::test]
async fn a_credential_that_is_switched_off_is_out_at_once_and_can_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let mut rest = server.rest(0).await;
    let connection = server.said("/accounts/0/connection_id");
    let body = json!({"connection_id": connection});
    let (id, token, mut dora) = person(&server, &mut rest, body).await;
    let mut alice = server.phone(0, 0).await;
    let (mine, hers) = call(&mut alice, &mut dora).await;

    let path = format!("/v2/telephony_credentials/{id}/actions");
    let off = rest.call("POST", &format!("{path}/deactivate"), None).await;
    assert_eq!(off.status, 200, "{}", off.text());
    assert_eq!(server.metric("ringtrip_sessions_active").await, 1);
    expect_punt(&mut dora, &hers).await;
    assert_eq!(alice.event("telnyx_rtc.bye").await["callID"], *mine);
    expect_refused(&server, json!({"login_token": token})).await;
    let row = &off.json()["data"];
    let login = json!({"login": row["sip_username"], "passwd": row["sip_password"]});
    expect_refused(&server, login).await;
    let created = alice.invite("to-dora", &dora.user, OFFER).await;
    assert_eq!(created["result"]["message"], "CALL CREATED");
    assert_eq!(alice.event("telnyx_rtc.bye").await["callID"], "to-dora");

    let on = rest.call("POST", &format!("{path}/activate"), None).await;
    assert_eq!(on.status, 200, "{}", on.text());
    let mut again = Phone::log_in(server.http, &token).await;
    again.user.clone_from(&dora.user);
    call(&mut alice, &mut again).await;
}
