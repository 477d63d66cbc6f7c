use serde_json::{Value, json};

use crate::support::{Tenant, World};

async fn create(world: &World, body: Value) -> Value {
    let answer = world.post(&world.alice, "/v2/api_keys", body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["data"].clone()
}

/// A stranger with somebody's key.
fn holder(world: &World, key: &Value) -> Tenant {
    Tenant {
        account: world.alice.account,
        key: key["api_key"].as_str().unwrap().to_owned(),
        connection: String::new(),
    }
}

#[tokio::test]
async fn a_key_is_shown_once_and_opens_the_account() {
    let world = World::new().await;
    world.advance_secs(1);
    let made = create(&world, json!({"name": " ci "})).await;
    let key = made["api_key"].as_str().unwrap();
    let (prefix, secret) = key.split_once('_').unwrap();
    assert_eq!(made["prefix"], prefix);
    assert_eq!(
        (made["record_type"].as_str(), made["name"].as_str()),
        (Some("api_key"), Some("ci"))
    );
    assert_eq!(made["status"], "active");
    assert_eq!(made["expires_at"], Value::Null);
    let mut later = made.clone();
    later.as_object_mut().unwrap().remove("api_key");
    let path = format!("/v2/api_keys/{}", made["id"].as_str().unwrap());
    let shown = world.get(&world.alice, &path).await;
    assert_eq!(shown.json()["data"], later);
    let listed = world.get(&world.alice, "/v2/api_keys").await;
    assert_eq!(listed.json()["meta"]["total_results"], 2);
    assert_eq!(listed.json()["data"][0], later, "the newest first");
    for answer in [&shown, &listed] {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains(secret));
    }
    let me = world.get(&holder(&world, &made), "/v2/whoami").await;
    assert_eq!(
        me.json()["data"]["user_id"],
        world.alice.account.to_string()
    );
}

#[tokio::test]
async fn a_key_is_renamed_and_revoked_at_once() {
    let world = World::new().await;
    let made = create(&world, json!({})).await;
    let path = format!("/v2/api_keys/{}", made["id"].as_str().unwrap());
    assert_eq!(made["name"], "");
    let renamed = world
        .patch(&world.alice, &path, json!({"name": "deploy"}))
        .await;
    assert_eq!(renamed.json()["data"]["name"], "deploy");
    let untouched = world.patch(&world.alice, &path, json!({})).await;
    assert_eq!(untouched.json()["data"]["name"], "deploy");
    let stranger = holder(&world, &made);
    assert_eq!(world.get(&stranger, "/v2/whoami").await.status, 200);
    let revoked = world.delete(&world.alice, &path).await;
    assert_eq!(revoked.json()["data"]["status"], "revoked");
    assert_eq!(world.get(&stranger, "/v2/whoami").await.status, 401);
    for answer in [
        world.get(&world.alice, &path).await,
        world.delete(&world.alice, &path).await,
        world.patch(&world.alice, &path, json!({"name": "x"})).await,
    ] {
        answer.assert_error(404, "10005", "");
    }
}

#[tokio::test]
async fn a_key_may_revoke_itself() {
    let world = World::new().await;
    let made = create(&world, json!({})).await;
    let stranger = holder(&world, &made);
    let path = format!("/v2/api_keys/{}", made["id"].as_str().unwrap());
    assert_eq!(world.delete(&stranger, &path).await.status, 200);
    world
        .delete(&stranger, &path)
        .await
        .assert_error(401, "10009", "");
}

#[tokio::test]
async fn a_key_ends_when_it_says_and_tells_when_it_was_used() {
    let world = World::new().await;
    let made = create(&world, json!({"expires_at": "2026-11-21T10:30:00Z"})).await;
    let path = format!("/v2/api_keys/{}", made["id"].as_str().unwrap());
    let stranger = holder(&world, &made);
    world.advance_secs(10);
    assert_eq!(world.get(&stranger, "/v2/whoami").await.status, 200);
    world.store.write_notes().await.unwrap();
    let shown = world.get(&world.alice, &path).await.json()["data"].clone();
    assert_eq!(shown["last_used_at"], "2026-11-21T09:30:10.123Z");
    world.advance_secs(3600);
    assert_eq!(world.get(&stranger, "/v2/whoami").await.status, 401);
    let shown = world.get(&world.alice, &path).await.json()["data"].clone();
    assert_eq!(shown["status"], "expired");
}

#[tokio::test]
async fn values_are_checked() {
    let world = World::new().await;
    for (body, pointer) in [
        (json!({"name": 5}), "/name"),
        (json!({"name": "x".repeat(256)}), "/name"),
        (json!({"expires_at": "tomorrow"}), "/expires_at"),
        (json!({"expires_at": "2026-11-21T09:30:00Z"}), "/expires_at"),
        (json!({"expires_at": 1_800_000_000}), "/expires_at"),
    ] {
        let answer = world.post(&world.alice, "/v2/api_keys", body).await;
        answer.assert_error(422, "10015", pointer);
    }
    let listed = world.get(&world.alice, "/v2/api_keys").await;
    assert_eq!(listed.json()["meta"]["total_results"], 1, "nothing written");
}
