use ringtrip_api::{Access, ROUTES};
use serde_json::{Value, json};

use crate::support::World;

async fn listed(world: &World, query: &str) -> Vec<Value> {
    world.store.write_notes().await.unwrap();
    let path = format!("/v2/audit_events?page_size=250&{query}");
    let answer = world.get(&world.alice, &path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["data"].as_array().unwrap().clone()
}

fn summary(events: &[Value]) -> Vec<String> {
    let line = |event: &Value| {
        let word = |key: &str| event[key].as_str().unwrap_or("-").to_owned();
        let (change, kind) = (word("change_type"), word("resource_type"));
        format!("{change} {kind} {}", word("result"))
    };
    events.iter().map(line).collect()
}

#[tokio::test]
async fn a_change_is_told_with_who_what_when_and_whence() {
    let world = World::new().await;
    let credential = world.credential(json!({})).await;
    let events = listed(&world, "filter[resource_type]=telephony_credential").await;
    let [event] = events.as_slice() else {
        panic!("{events:?}");
    };
    let keys = world.get(&world.alice, "/v2/api_keys").await.json();
    let mut event = event.clone();
    let id = event.as_object_mut().unwrap().remove("id").unwrap();
    assert_eq!(id.as_str().unwrap().len(), 36);
    assert_eq!(
        event,
        json!({
            "record_type": "audit_event",
            "organization_id": world.alice.account.to_string(),
            "user_id": null,
            "change_made_by": "account_owner",
            "change_type": "create",
            "resource_type": "telephony_credential",
            "resource_id": credential["id"],
            "alternate_resource_id": null,
            "changes": null,
            "actor": {"type": "api_key", "id": keys["data"][0]["id"], "name": "test"},
            "source_address": null,
            "result": "success",
            "created_at": "2026-11-21T09:30:00.123Z",
        })
    );
    let foreign = world.get(&world.bob, "/v2/audit_events").await;
    let foreign: Vec<Value> = serde_json::from_value(foreign.json()["data"].clone()).unwrap();
    assert_eq!(
        summary(&foreign),
        ["create credential_connection success"],
        "Bob's own"
    );
}

#[tokio::test]
async fn every_change_of_every_resource_is_told_with_its_id() {
    for route in ROUTES {
        let reads = route.method == "GET" || route.path.ends_with("check_registration_status");
        if route.access != Access::Key || reads || !route.path.contains("{id}") {
            continue;
        }
        let world = World::new().await;
        let path = crate::objects::path_of_alices(&world, route.path).await;
        let id = path.split('/').nth(3).unwrap().to_owned();
        let before = listed(&world, &format!("filter[resource_id]={id}"))
            .await
            .len();
        let answer = world.request(&world.alice, route.method, &path, "{}").await;
        assert!((200..300).contains(&answer.status), "{route:?} {answer:?}");
        let events = listed(&world, &format!("filter[resource_id]={id}")).await;
        assert_eq!(events.len(), before + 1, "{route:?} {events:?}");
        assert_eq!(events[0]["actor"]["type"], "api_key", "{route:?}");
    }
}

#[tokio::test]
async fn tokens_and_the_first_reading_of_a_secret_in_an_hour_are_told() {
    let world = World::new().await;
    let id = world.credential(json!({})).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v2/telephony_credentials/{id}");
    for _ in 0..3 {
        assert_eq!(world.get(&world.alice, &path).await.status, 200);
        let all = world.get(&world.alice, "/v2/telephony_credentials").await;
        assert_eq!(all.status, 200);
    }
    world
        .post(&world.alice, &format!("{path}/token"), json!({}))
        .await;
    let query = "filter[resource_type]=telephony_credential&sort=asc";
    let told = summary(&listed(&world, query).await);
    assert_eq!(
        told,
        [
            "create telephony_credential success",
            "read telephony_credential success",
            "list telephony_credential success",
            "create_token telephony_credential success",
        ]
    );
    world.advance_secs(3600);
    world.get(&world.alice, &path).await;
    world.get(&world.alice, &path).await;
    assert_eq!(listed(&world, query).await.len(), 5);
}

#[tokio::test]
async fn what_is_refused_and_what_is_not_there_leaves_nothing() {
    let world = World::new().await;
    let before = listed(&world, "").await.len();
    let unknown = "/v2/telephony_credentials/c215ade3-0d39-418e-94be-c5f780760199";
    world.delete(&world.alice, unknown).await;
    world.get(&world.alice, unknown).await;
    world
        .patch(&world.alice, unknown, json!({"name": "x"}))
        .await;
    world
        .post(&world.alice, "/v2/telephony_credentials", json!({}))
        .await;
    assert_eq!(listed(&world, "").await.len(), before);
}

#[tokio::test]
async fn no_secret_stands_in_the_log() {
    let world = World::new().await;
    let made = world.post(&world.alice, "/v2/api_keys", json!({})).await;
    let key = made.json()["data"]["api_key"].as_str().unwrap().to_owned();
    let credential = world.credential(json!({"name": "secret plans"})).await;
    let text = serde_json::to_string(&listed(&world, "").await).unwrap();
    for secret in [
        &key[36..],
        credential["sip_password"].as_str().unwrap(),
        "secret plans",
        "correct horse",
    ] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn impossible_queries_are_refused() {
    let world = World::new().await;
    for (query, place) in [
        ("filter[created_after]=yesterday", "filter[created_after]"),
        ("filter[created_before]=1", "filter[created_before]"),
        ("sort=actor", "/sort"),
        ("page[size]=251", "page/size"),
    ] {
        let path = format!("/v2/audit_events?{query}");
        let answer = world.get(&world.alice, &path).await;
        answer.assert_error(400, "10015", place);
    }
}
