//! What REST tells of sessions and calls that live: who is registered and from where, and which calls
//! a connection has.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::http::Rest;
use support::phone::{OFFER, Phone, call};
use support::process::Server;

/// Reads a list with its meta.
async fn list(rest: &mut Rest, path: &str) -> (Vec<Value>, Value) {
    let answer = rest.call("GET", path, None).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    (
        json["data"].as_array().unwrap().clone(),
        json["meta"].clone(),
    )
}

#[tokio::test]
async fn live_legs_are_the_active_calls_of_their_connection() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let (mut rest, mut foreign) = (server.rest(0).await, server.rest(1).await);
    let connection = server.said("/accounts/0/connection_id");
    let path = format!("/v2/connections/{connection}/active_calls");
    let (mut alice, mut bob) = (server.phone(0, 0).await, server.phone(0, 1).await);
    assert_eq!(list(&mut rest, &path).await.0, [] as [Value; 0]);

    let (mine, his) = call(&mut alice, &mut bob).await;
    let (calls, meta) = list(&mut rest, &path).await;
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert_eq!(meta["total_items"], 2);
    assert_eq!(
        (&meta["next"], &meta["previous"]),
        (&Value::Null, &Value::Null)
    );
    let session = &calls[0]["call_session_id"];
    let mut legs = BTreeSet::new();
    for shown in &calls {
        assert_eq!(shown["record_type"], "call");
        assert_eq!(&shown["call_session_id"], session);
        assert!(
            shown["call_control_id"]
                .as_str()
                .unwrap()
                .starts_with("v3:")
        );
        assert!(shown["call_duration"].is_i64());
        assert!(legs.insert(shown["call_leg_id"].to_string()));
    }

    // By cursor, forth and back; by page, as the SDKs walk.
    let (first, meta) = list(&mut rest, &format!("{path}?page[limit]=1")).await;
    assert_eq!(first, calls[..1]);
    let (second, meta) = list(&mut rest, meta["next"].as_str().unwrap()).await;
    assert_eq!(second, calls[1..]);
    assert_eq!(meta["next"], Value::Null);
    let (back, _) = list(&mut rest, meta["previous"].as_str().unwrap()).await;
    assert_eq!(back, calls[..1]);
    let (second, meta) = list(&mut rest, &format!("{path}?page_number=2&page_size=1")).await;
    assert_eq!(second, calls[1..]);
    assert_eq!(
        (&meta["page_number"], &meta["total_pages"]),
        (&json!(2), &json!(2))
    );
    let (none, _) = list(&mut rest, &format!("{path}?page_number=3&page_size=1")).await;
    assert!(none.is_empty());
    assert_eq!(foreign.call("GET", &path, None).await.status, 404);

    // A call that only rings is alive too, and one that ended is not.
    bob.bye(&his).await;
    alice.bye(&mine).await;
    server
        .wait_for_metric("ringtrip_calls_active", |calls| calls == 0)
        .await;
    assert!(list(&mut rest, &path).await.0.is_empty());
    alice.invite("rings", &bob.user.clone(), OFFER).await;
    bob.event("telnyx_rtc.invite").await;
    assert_eq!(list(&mut rest, &path).await.0.len(), 2);
    alice.bye("rings").await;
    bob.event("telnyx_rtc.bye").await;
    assert!(list(&mut rest, &path).await.0.is_empty());
}

#[tokio::test]
async fn a_login_is_told_with_where_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let mut rest = server.rest(0).await;
    let connection = server.said("/accounts/0/connection_id");
    let path = format!("/v2/credential_connections/{connection}");
    let check = format!("{path}/actions/check_registration_status");
    let row = rest.data("GET", &path, None).await;
    assert_eq!(row["registration_status"], "Not Registered");
    assert_eq!(row["registration_status_updated_at"], Value::Null);
    let never = rest.data("POST", &check, None).await;
    let expected = json!({
        "record_type": "registration_status", "status": "Not Registered", "sip_username": row["user_name"],
        "ip_address": null, "port": null, "transport": null, "user_agent": null, "last_registration": null,
    });
    assert_eq!(never, expected);

    let mut office = Phone::connect(server.http).await;
    let login = json!({"login": row["user_name"], "passwd": row["password"]});
    office.login(login).await;
    let there = rest.data("POST", &check, None).await;
    assert_eq!(there["status"], "Registered");
    assert_eq!(there["ip_address"], "127.0.0.1");
    assert_eq!(there["port"], office.port());
    assert_eq!(there["transport"], "WS");
    let row = rest.data("GET", &path, None).await;
    assert_eq!(row["registration_status"], "Registered");
    assert_eq!(
        row["registration_status_updated_at"],
        there["last_registration"]
    );

    drop(office);
    server
        .wait_for_metric("ringtrip_sockets_open", |sockets| sockets == 0)
        .await;
    let gone = rest.data("POST", &check, None).await;
    assert_eq!(gone["status"], "Not Registered");
    assert_eq!(gone["ip_address"], Value::Null);
    assert_eq!(gone["last_registration"], there["last_registration"]);
}

#[tokio::test]
async fn a_credentials_registration_is_told_to_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let (mut rest, mut foreign) = (server.rest(0).await, server.rest(1).await);
    let user = server.said("/accounts/0/credentials/0/sip_username");
    let path =
        format!("/v2/sip_registration_status?credential_type=telephony_credential&username={user}");
    let away = rest.call("GET", &path, None).await.json();
    assert_eq!(away["registered"], false);
    assert_eq!(away["sip_registration_status"], "unknown");
    let alice = server.phone(0, 0).await;
    let here = rest.call("GET", &path, None).await.json();
    assert_eq!(here["registered"], true);
    assert_eq!(here["sip_registration_status"], "registered");
    assert_eq!(here["credential_username"], user);
    assert_eq!(
        here["connection_id"],
        server.said("/accounts/0/connection_id")
    );
    let details = &here["sip_registration_details"];
    assert_eq!(details["ua_ip"], "127.0.0.1");
    assert_eq!(details["ua_port"], alice.port());
    assert_eq!(details["transport"], "WS");
    assert!(details["uptime"].as_i64().unwrap() >= 0);
    assert_eq!(foreign.call("GET", &path, None).await.status, 404);
}
