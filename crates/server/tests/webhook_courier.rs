//! Applications are told of calls: signed, in order, at least once, whatever happens in between.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::database::Database;
use support::http::Rest;
use support::phone::{OFFER, Phone, call, people};
use support::process::Server;
use support::receiver::{Received, Receiver};
use support::site::Site;
use support::soon;

const DELIVERIES: &str = "/v2/webhook_deliveries";
const DELIVERED: &str = "ringtrip_webhook_deliveries_total{result=\"delivered\"}";

/// Sets the URLs of the first tenant's connection.
async fn tell(rest: &mut Rest, server: &Server, url: &str, failover: &str) -> String {
    let connection = server.said("/accounts/0/connection_id");
    let body = json!({
        "webhook_event_url": url, "webhook_event_failover_url": failover, "webhook_api_version": "2",
        "tags": ["office"],
    });
    let path = format!("/v2/credential_connections/{connection}");
    rest.data("PATCH", &path, Some(&body)).await;
    connection
}

/// Makes a call from one to the other, and lets the caller end it.
async fn talk(caller: &mut Phone, callee: &mut Phone) {
    let (mine, _) = call(caller, callee).await;
    caller.bye(&mine).await;
    callee.event("telnyx_rtc.bye").await;
}

fn of(received: &Received) -> (String, String) {
    (
        received.text("/data/payload/call_leg_id"),
        received.text("/data/event_type"),
    )
}

fn verify(received: &Received, key: &UnparsedPublicKey<Vec<u8>>) {
    let timestamp = received.header("telnyx-timestamp");
    assert!(timestamp.bytes().all(|b| b.is_ascii_digit()), "{timestamp}");
    let mut signed = format!("{timestamp}|").into_bytes();
    signed.extend_from_slice(&received.body);
    let signature = STANDARD
        .decode(received.header("telnyx-signature-ed25519"))
        .unwrap();
    key.verify(&signed, &signature).expect("our signature");
    *signed.last_mut().unwrap() ^= 1;
    assert!(key.verify(&signed, &signature).is_err());
}

/// Waits until a delivery is as wanted.
async fn delivery(rest: &mut Rest, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    soon("a delivery", async {
        loop {
            let data = rest.data("GET", path, None).await;
            let found = match data.as_array() {
                Some(list) => list.iter().find(|one| wanted(one)).cloned(),
                None => wanted(&data).then_some(data),
            };
            if let Some(found) = found {
                return found;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_call_is_told_signed_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::dev(folder.path());
    let mut receiver = Receiver::start(|_| 200).await;
    let mut rest = server.rest(0).await;
    let connection = tell(&mut rest, &server, &receiver.url("/hooks?a=b"), "").await;
    let public = rest.data("GET", "/v2/public_key", None).await;
    let public = STANDARD.decode(public["public"].as_str().unwrap()).unwrap();
    assert_eq!(public.len(), 32);
    let key = UnparsedPublicKey::new(&ED25519, public);

    let (mut alice, mut bob) = (server.phone(0, 0).await, server.phone(0, 1).await);
    talk(&mut alice, &mut bob).await;
    let told = receiver.take(8).await;
    let mut legs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for received in &told {
        verify(received, &key);
        assert_eq!(received.path, "/hooks?a=b");
        assert_eq!(received.header("content-type"), "application/json");
        assert_eq!(received.header("user-agent"), "telnyx-webhooks");
        assert_eq!(
            received.text("/meta/delivered_to"),
            receiver.url("/hooks?a=b")
        );
        assert_eq!(received.json()["meta"]["attempt"], 1);
        assert_eq!(received.text("/data/record_type"), "event");
        let payload = &received.json()["data"]["payload"];
        assert_eq!(payload["connection_id"], connection);
        assert_eq!(payload["tags"], json!(["office"]));
        assert_eq!(payload["from"], alice.user);
        assert_eq!(payload["to"], bob.user);
        assert_eq!(payload["client_state"], Value::Null);
        let (leg, event) = of(received);
        assert_eq!(payload["call_control_id"], format!("v3:{leg}"));
        legs.entry(leg).or_default().push(event);
    }
    let life = [
        "call.initiated",
        "call.answered",
        "call.bridged",
        "call.hangup",
    ];
    assert_eq!(legs.len(), 2, "both legs are of this connection");
    assert!(legs.values().all(|events| events == &life), "{legs:?}");
    let first = &told[0].json()["data"]["payload"];
    assert_eq!(first["direction"], "outgoing");
    assert_eq!(first["state"], "bridging");
    assert!(
        first["connection_codecs"]
            .as_str()
            .unwrap()
            .contains("OPUS")
    );
    assert!(first["offered_codecs"].as_str().unwrap().contains("opus"));
    let sessions: BTreeSet<_> = told
        .iter()
        .map(|received| received.text("/data/payload/call_session_id"))
        .collect();
    assert_eq!(sessions.len(), 1);
    let last = told[7].json()["data"]["payload"].clone();
    assert_eq!(last["hangup_cause"], "normal_clearing");
    assert_eq!(last["hangup_source"], "caller");
    assert_eq!(last["sip_hangup_cause"], "200");
    assert!(
        last["call_quality_stats"]["inbound"]["packet_count"].is_string(),
        "{last}"
    );

    // The log of events and the log of deliveries say the same.
    server.wait_for_metric(DELIVERED, |count| count == 8).await;
    let events = rest.data("GET", "/v2/call_events", None).await;
    let names = |list: &Value, pointer: &str| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|one| one.pointer(pointer).unwrap().as_str().unwrap().to_owned())
            .collect()
    };
    let order: Vec<_> = told.iter().map(|r| r.text("/data/event_type")).collect();
    assert_eq!(names(&events, "/name"), order);
    let list = rest.call("GET", DELIVERIES, None).await.json();
    assert_eq!(list["meta"]["total_results"], 8);
    let mut ids = names(&list["data"], "/webhook/id");
    ids.reverse();
    assert_eq!(
        ids,
        told.iter().map(|r| r.text("/data/id")).collect::<Vec<_>>()
    );
    let one = &list["data"][0];
    assert_eq!(one["status"], "delivered");
    assert!(one["finished_at"].is_string());
    let attempt = &one["attempts"][0];
    assert_eq!(attempt["http"]["response"]["status"], 200);
    assert_eq!(attempt["http"]["response"]["body"], "done");
    assert_eq!(
        attempt["http"]["request"]["url"],
        receiver.url("/hooks?a=b")
    );
    assert!(server.stop().0.success());
}

#[tokio::test]
async fn what_fails_is_repeated_at_the_failover_and_can_be_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    // The first URL fails for ever, the second takes what has come to it before.
    let mut receiver = Receiver::start(|received| {
        let attempt = received.json()["meta"]["attempt"].as_u64().unwrap();
        match (received.path.as_str(), attempt) {
            ("/first", _) => 500,
            (_, 3) => 302,
            (_, _) => 204,
        }
    })
    .await;
    let mut rest = server.rest(0).await;
    tell(
        &mut rest,
        &server,
        &receiver.url("/first"),
        &receiver.url("/second"),
    )
    .await;
    let mut alice = server.phone(0, 0).await;
    alice.invite("to-nobody", "gencrednobody", OFFER).await;
    alice.event("telnyx_rtc.bye").await;
    let told = receiver.take(5).await;
    let seen: Vec<_> = told
        .iter()
        .map(|received| {
            let attempt = received.json()["meta"]["attempt"].as_u64().unwrap();
            (
                received.text("/data/event_type"),
                attempt,
                received.path.as_str(),
            )
        })
        .collect();
    let initiated = |attempt, path| ("call.initiated".to_owned(), attempt, path);
    assert_eq!(
        seen[..4],
        [
            initiated(1, "/first"),
            initiated(2, "/first"),
            initiated(3, "/second"),
            initiated(4, "/second")
        ]
    );
    assert_eq!(
        seen[4].0, "call.hangup",
        "only then comes the next of the call"
    );
    let ids: BTreeSet<_> = told[..4].iter().map(|r| r.text("/data/id")).collect();
    assert_eq!(ids.len(), 1, "the same event");

    let query = format!("{DELIVERIES}?filter[event_type]=call.initiated");
    let found = delivery(&mut rest, &query, |one| one["status"] == "delivered").await;
    let attempts = found["attempts"].as_array().unwrap();
    let errors: Vec<_> = attempts.iter().map(|a| a["errors"].clone()).collect();
    assert_eq!(errors, [json!([]), json!([8]), json!([8]), json!([8])]);
    let path = format!("{DELIVERIES}/{}", found["id"].as_str().unwrap());
    let again = rest
        .data("POST", &format!("{path}/actions/resend"), None)
        .await;
    assert_eq!(again["id"], found["id"]);
    assert_eq!(again["finished_at"], Value::Null);
    let mut resent = receiver.next().await;
    while resent.text("/data/event_type") != "call.initiated" {
        resent = receiver.next().await;
    }
    assert!(ids.contains(&resent.text("/data/id")));
    assert_eq!(resent.json()["meta"]["attempt"], 1);
    delivery(&mut rest, &path, |one| {
        one["attempts"].as_array().unwrap().len() == 8 && one["finished_at"].is_string()
    })
    .await;
}

#[tokio::test]
async fn webhooks_do_not_go_where_they_may_not() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let mut rest = server.rest(0).await;
    tell(
        &mut rest,
        &server,
        "http://169.254.169.254/latest/meta-data",
        "",
    )
    .await;
    let mut alice = server.phone(0, 0).await;
    alice.invite("to-nobody", "gencrednobody", OFFER).await;
    alice.event("telnyx_rtc.bye").await;
    let refused = delivery(&mut rest, DELIVERIES, |_| true).await;
    assert_eq!(refused["status"], "failed");
    let attempt = &refused["attempts"][0];
    assert_eq!(attempt["errors"], json!([2]));
    assert_eq!(attempt["http"].get("response"), None);
}

#[tokio::test]
async fn a_dead_endpoint_holds_up_no_other_connection() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let mut receiver = Receiver::start(|_| 200).await;
    // It accepts connections and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = format!("http://{}/", silent.local_addr().unwrap());
    let mut rest = server.rest(0).await;
    tell(&mut rest, &server, &dead, "").await;
    let body = json!({
        "connection_name": "other", "user_name": "othernumber", "password": "correct horse",
        "webhook_event_url": receiver.url("/"),
    });
    let other = rest
        .data("POST", "/v2/credential_connections", Some(&body))
        .await;
    let body = json!({"connection_id": other["id"]});
    let carol = rest
        .data("POST", "/v2/telephony_credentials", Some(&body))
        .await;
    let token = rest.token(carol["id"].as_str().unwrap()).await;
    let mut carol = Phone::log_in(server.http, &token).await;
    let mut alice = server.phone(0, 0).await;
    for round in 0..20 {
        alice
            .invite(&format!("to-nobody-{round}"), "gencrednobody", OFFER)
            .await;
        alice.event("telnyx_rtc.bye").await;
    }
    carol.invite("to-nobody", "gencrednobody", OFFER).await;
    carol.event("telnyx_rtc.bye").await;
    let told = receiver.take(2).await;
    assert_eq!(told[1].text("/data/event_type"), "call.hangup");
    let delivered = format!("{DELIVERIES}?filter[status][eq]=delivered");
    let first = delivery(&mut rest, &delivered, |_| true).await;
    assert_eq!(first["webhook"]["payload"]["connection_id"], other["id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_of_the_log_is_lost_by_kill_9() {
    lose_nothing_by_kill_9(Database::on_file()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_of_the_log_is_lost_by_kill_9_on_postgres() {
    let database = Database::new();
    if database.is_postgres() {
        lose_nothing_by_kill_9(database).await;
    }
}

async fn lose_nothing_by_kill_9(database: Database) {
    const ROUNDS: usize = 3;
    /// Webhooks after which a round ends.
    const A_ROUND: usize = 25;
    let site = Site::on(database, "webhook_allowed_targets = [\"127.0.0.0/8:*\"]\n");
    let mut receiver = Receiver::start(|_| 200).await;
    let mut received = Vec::new();
    let key = site.account("ops@acme.example");
    let mut server = site.serve();
    let mut rest = Rest::connect(server.http, &key).await;
    let people = people(
        &mut rest,
        2,
        &json!({"webhook_event_url": receiver.url("/")}),
    )
    .await;
    drop(rest);
    for round in 1..=ROUNDS {
        let calls = {
            let mut alice = Phone::of(server.http, &people[0]).await;
            let mut bob = Phone::of(server.http, &people[1]).await;
            // It ends with the server, in the middle of whatever it does.
            tokio::spawn(async move {
                loop {
                    talk(&mut alice, &mut bob).await;
                }
            })
        };
        let enough = received.len() + A_ROUND + round;
        while received.len() < enough {
            received.push(receiver.next().await);
        }
        calls.abort();
        server.kill();
        server = site.serve();
    }
    let mut rest = Rest::connect(server.http, &key).await;
    let mut log = Vec::new();
    for page in 1.. {
        let path = format!("/v2/call_events?page[size]=250&page[number]={page}");
        let events = rest.data("GET", &path, None).await;
        let events = events.as_array().unwrap().clone();
        if events.is_empty() {
            break;
        }
        log.extend(events);
    }
    let text = |event: &Value, key: &str| event[key].as_str().unwrap().to_owned();
    let expected: BTreeSet<_> = log
        .iter()
        .map(|event| (text(event, "call_leg_id"), text(event, "name")))
        .collect();
    assert_eq!(expected.len(), log.len());
    assert!(log.len() >= ROUNDS * A_ROUND / 2, "{}", log.len());
    let mut missing = expected.clone();
    for one in &received {
        missing.remove(&of(one));
    }
    while !missing.is_empty() {
        let one = receiver.next().await;
        missing.remove(&of(&one));
        received.push(one);
    }
    let delivered = format!("{DELIVERIES}?filter[status][eq]=delivered");
    soon("the end of all deliveries", async {
        loop {
            let list = rest.call("GET", &delivered, None).await.json();
            if list["meta"]["total_results"] == log.len() {
                return;
            }
        }
    })
    .await;
    received.extend(receiver.arrived());

    let mut ids: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    let mut first: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for one in &received {
        assert!(expected.contains(&of(one)), "told of what the log has not");
        let seen = ids.entry(of(one)).or_default();
        if seen.is_empty() {
            let call = one.text("/data/payload/call_session_id");
            first.entry(call).or_default().push(of(one));
        }
        seen.insert(one.text("/data/id"));
    }
    assert!(
        ids.values().all(|ids| ids.len() == 1),
        "a repetition has the id of the first"
    );
    for (call, order) in first {
        let of_call = log.iter().filter(|event| event["call_session_id"] == call);
        let wanted: Vec<_> = of_call
            .map(|event| (text(event, "call_leg_id"), text(event, "name")))
            .collect();
        assert_eq!(order, wanted, "call {call} in the order of the log");
    }
}
