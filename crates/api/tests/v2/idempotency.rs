//! `Idempotency-Key`: a create that comes again is carried out once.

use axum::http::Request;
use serde_json::{Value, json};

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
