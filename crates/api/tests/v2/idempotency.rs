//! `Idempotency-Key`: a create that comes again is carried out once.

use std::future::poll_fn;
use std::task::Poll;

use axum::http::Request;
use ringtrip_api::{Access, ROUTES};
use serde_json::{Value, json};

use crate::document::operation;
use crate::support::{Answer, Tenant, World};

async fn create(world: &World, tenant: &Tenant, path: &str, key: &str, body: &Value) -> Answer {
    let request = Request::post(path)
        .header("authorization", format!("Bearer {}", tenant.key))
        .header("idempotency-key", key)
        .body(body.to_string().into())
        .unwrap();
    world.send(request).await
}

async fn total(world: &World, path: &str) -> Value {
    world.get(&world.alice, path).await.json()["meta"]["total_results"].clone()
}

const CREDENTIALS: &str = "/v2/telephony_credentials";

#[tokio::test]
async fn a_create_that_comes_again_is_answered_alike_and_makes_nothing() {
    let world = World::new().await;
    let body = json!({"connection_id": world.alice.connection, "name": "desk"});
    let first = create(&world, &world.alice, CREDENTIALS, "order:1_a-B", &body).await;
    assert_eq!(first.status, 201);
    assert_eq!(first.header("idempotent-replayed"), "");
    world.advance_secs(3600);
    // The order of the fields does not matter.
    let same = json!({"name": "desk", "connection_id": world.alice.connection});
    let again = create(&world, &world.alice, CREDENTIALS, "order:1_a-B", &same).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.header("content-type"), "application/json");
    assert_eq!(total(&world, CREDENTIALS).await, 1);
    // Without the key, or under another one, it is another create.
    for key in ["order:2", "ORDER:1_A-B"] {
        let other = create(&world, &world.alice, CREDENTIALS, key, &body).await;
        assert_eq!(other.status, 201);
        assert_ne!(other.id(), first.id());
    }
    assert_eq!(total(&world, CREDENTIALS).await, 3);
}

#[tokio::test]
async fn another_body_under_the_same_key_is_refused() {
    let world = World::new().await;
    let body = json!({"connection_id": world.alice.connection});
    let first = create(&world, &world.alice, CREDENTIALS, "k", &body).await;
    assert_eq!(first.status, 201);
    let other = json!({"connection_id": world.alice.connection, "name": "x"});
    let refused = create(&world, &world.alice, CREDENTIALS, "k", &other).await;
    refused.assert_error(422, "10015", "");
    // Even one that would not be valid.
    let refused = create(&world, &world.alice, CREDENTIALS, "k", &json!({})).await;
    refused.assert_error(422, "10015", "");
    assert_eq!(total(&world, CREDENTIALS).await, 1);
}

#[tokio::test]
async fn a_key_is_its_owners_and_its_paths_and_lives_for_a_day() {
    let world = World::new().await;
    let body = json!({"connection_id": world.alice.connection});
    let first = create(&world, &world.alice, CREDENTIALS, "k", &body).await;
    let bobs = json!({"connection_id": world.bob.connection});
    let other = create(&world, &world.bob, CREDENTIALS, "k", &bobs).await;
    assert_eq!(other.status, 201);
    let connection =
        json!({"connection_name": "c", "user_name": "someone", "password": "correct horse"});
    let path = "/v2/credential_connections";
    assert_eq!(
        create(&world, &world.alice, path, "k", &connection)
            .await
            .status,
        201
    );
    world.advance_secs(24 * 3600);
    let late = create(&world, &world.alice, CREDENTIALS, "k", &body).await;
    assert_eq!(late.status, 201);
    assert_ne!(late.id(), first.id());
}

#[tokio::test]
async fn a_refused_create_may_be_tried_again() {
    let world = World::new().await;
    let missing = json!({"connection_id": "1293384261075731499"});
    let refused = create(&world, &world.alice, CREDENTIALS, "k", &missing).await;
    refused.assert_error(422, "10017", "/connection_id");
    let body = json!({"connection_id": world.alice.connection});
    let made = create(&world, &world.alice, CREDENTIALS, "k", &body).await;
    assert_eq!(made.status, 201);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_and_nothing_is_made() {
    let world = World::new().await;
    let body = json!({"connection_id": world.alice.connection});
    for key in ["", "a b", "a/b", "a.b", &"k".repeat(256)] {
        let refused = create(&world, &world.alice, CREDENTIALS, key, &body).await;
        refused.assert_error(400, "10015", "");
    }
    assert_eq!(total(&world, CREDENTIALS).await, 0);
    let longest = create(&world, &world.alice, CREDENTIALS, &"k".repeat(255), &body).await;
    assert_eq!(longest.status, 201);
}

#[tokio::test]
async fn many_at_once_make_one_and_the_others_are_told_to_wait() {
    let world = World::new().await;
    let body = json!({"connection_id": world.alice.connection});
    let attempts = (0..20).map(|_| create(&world, &world.alice, CREDENTIALS, "k", &body));
    let answers = futures_util::future::join_all(attempts).await;
    let made: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 201)
        .collect();
    assert!(!made.is_empty());
    assert!(made.iter().all(|answer| answer.body == made[0].body));
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.assert_error(409, "10036", "");
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(total(&world, CREDENTIALS).await, 1);
}

#[tokio::test]
async fn a_create_whose_client_went_away_is_answered_alike_though_its_name_is_taken_by_then() {
    let world = World::new().await;
    let path = "/v2/credential_connections";
    // The client goes away earlier or later, before or after the create is in the writer's queue.
    for polls in 0..30 {
        let before = total(&world, path).await.as_u64().unwrap();
        let key = format!("k{polls}");
        let body = json!({
            "connection_name": "desk",
            "user_name": format!("deskphones{polls}"),
            "password": "correct horse",
        });
        let mut first = Box::pin(create(&world, &world.alice, path, &key, &body));
        for _ in 0..polls {
            let polled = poll_fn(|context| Poll::Ready(first.as_mut().poll(context)));
            if polled.await.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(first);
        let again = create(&world, &world.alice, path, &key, &body).await;
        assert_eq!(again.status, 201, "{polls}: {again:?}");
        assert_eq!(total(&world, path).await, before + 1, "{polls}");
    }
}

#[tokio::test]
async fn whoever_is_answered_again_has_read_what_was_made() {
    let world = World::new().await;
    let body = json!({});
    let made = create(&world, &world.alice, "/v2/api_keys", "k", &body).await;
    let again = create(&world, &world.alice, "/v2/api_keys", "k", &body).await;
    assert_eq!(again.body, made.body);
    world.store.write_notes().await.unwrap();
    let path = "/v2/audit_events?filter[resource_type]=api_key&sort=asc";
    let events = world.get(&world.alice, path).await.json();
    let events = events["data"].as_array().unwrap().iter();
    let told: Vec<_> = events.map(|event| event["change_type"].clone()).collect();
    assert_eq!(told, ["create", "read"]);
}

/// A body that the create at `path` carries out for Alice.
///
/// # Panics
///
/// When it does not know one: a new create takes a key, too.
fn good_body(world: &World, path: &str) -> Value {
    match path {
        "/v2/api_keys" => json!({}),
        "/v2/credential_connections" => {
            json!({"connection_name": "desk", "user_name": "deskphones", "password": "correct horse"})
        }
        "/v2/mobile_push_credentials" => json!({
            "type": "ios",
            "alias": "desk",
            "certificate": "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----",
            "private_key": "-----BEGIN PRIVATE KEY-----\nMAMCAQI=\n-----END PRIVATE KEY-----",
        }),
        "/v2/outbound_voice_profiles" => json!({"name": "desk"}),
        "/v2/phone_numbers" => json!({"phone_number": "+13125550100"}),
        "/v2/telephony_credentials" => json!({"connection_id": world.alice.connection}),
        "/v2/trunks" => json!({"name": "desk", "host": "sip.carrier.example"}),
        other => panic!("this test does not know what to create at {other}"),
    }
}

#[tokio::test]
async fn every_create_takes_a_key() {
    let world = World::new().await;
    let creates = ROUTES
        .iter()
        .filter(|route| route.method == "POST" && route.access == Access::Key)
        .map(|route| route.path)
        .filter(|path| !path.contains('{'));
    for path in creates {
        let (_, operation) = operation("POST", path).unwrap();
        let parameters = operation["parameters"].as_array().unwrap();
        assert!(
            parameters
                .iter()
                .any(|parameter| parameter["name"] == "Idempotency-Key"),
            "the document does not tell of the key at {path}"
        );
        let before = total(&world, path).await.as_u64().unwrap();
        let body = good_body(&world, path);
        let first = create(&world, &world.alice, path, "k", &body).await;
        let again = create(&world, &world.alice, path, "k", &body).await;
        assert!(matches!(first.status, 200 | 201), "{path}: {first:?}");
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_eq!(again.header("idempotent-replayed"), "true", "{path}");
        assert_eq!(total(&world, path).await, before + 1, "{path}");
    }
}
