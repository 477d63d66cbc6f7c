use serde_json::{Value, json};

use crate::support::World;

const PATH: &str = "/v2/trunks";

async fn create(world: &World, body: Value) -> Value {
    let answer = world.post(&world.alice, PATH, body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(
        !answer.body.windows(4).any(|bytes| bytes == b"hush"),
        "a secret came back"
    );
    answer.json()["data"].clone()
}

#[tokio::test]
async fn a_trunk_is_shown_without_its_password() {
    let world = World::new().await;
    let mut made = create(
        &world,
        json!({"name": "carrier", "host": "SIP.Carrier.example."}),
    )
    .await;
    let id = made["id"].take();
    let expected = json!({
        "id": null, "record_type": "trunk", "name": "carrier", "enabled": true, "host": "sip.carrier.example",
        "port": 5060, "transport": "udp", "auth_username": null, "auth_password_set": false,
        "registration": {"enabled": false, "expires_secs": 3600}, "number_format": "+E.164",
        "codecs": ["G722", "G711U", "G711A"], "priority": 0, "weight": 1, "prefixes": [], "tags": [],
        "channel_limit": null, "health": "unknown",
        "created_at": "2026-11-21T09:30:00.123Z", "updated_at": "2026-11-21T09:30:00.123Z",
    });
    assert_eq!(made, expected);
    let path = format!("{PATH}/{}", id.as_str().unwrap());
    let change = json!({
        "transport": "tls", "auth_username": "us", "auth_password": "hush", "registration": {"enabled": true},
        "prefixes": ["+44"], "health": "up",
    });
    let changed = world.patch(&world.alice, &path, change).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let changed = changed.json()["data"].clone();
    assert_eq!(
        (&changed["port"], &changed["auth_password_set"]),
        (&json!(5061), &json!(true))
    );
    assert_eq!(
        changed["registration"],
        json!({"enabled": true, "expires_secs": 3600})
    );
    assert_eq!(changed["health"], "unknown", "nobody but us can tell");
    // It stays through other changes, and goes with null.
    let renamed = world
        .patch(&world.alice, &path, json!({"name": "other"}))
        .await
        .json();
    assert_eq!(renamed["data"]["auth_password_set"], true);
    let without = json!({"auth_password": null});
    let without = world.patch(&world.alice, &path, without).await.json();
    assert_eq!(without["data"]["auth_password_set"], false);
    let deleted = world.delete(&world.alice, &path).await;
    assert_eq!(
        (deleted.status, &deleted.json()["data"]["name"]),
        (200, &json!("other"))
    );
    world
        .get(&world.alice, &path)
        .await
        .assert_error(404, "10005", "");
}

#[tokio::test]
async fn faults_are_named_by_their_place() {
    let world = World::new().await;
    create(&world, json!({"name": "Taken", "host": "192.0.2.1"})).await;
    for (body, code, place) in [
        (json!({"host": "a.example"}), "10004", "/name"),
        (json!({"name": "x"}), "10004", "/host"),
        (
            json!({"name": "tAKEN", "host": "a.example"}),
            "10012",
            "/name",
        ),
        (
            json!({"name": "x", "host": "sip:a.example"}),
            "10015",
            "/host",
        ),
        (json!({"name": "x", "host": "2130706433"}), "10015", "/host"),
        (json!({"name": "x", "host": "0.0.0.0"}), "10015", "/host"),
        (
            json!({"name": "x", "host": "a.example", "port": 0}),
            "10015",
            "/port",
        ),
        (
            json!({"name": "x", "host": "a.example", "transport": "ws"}),
            "10015",
            "/transport",
        ),
        (
            json!({"name": "x", "host": "a.example", "prefixes": ["44"]}),
            "10016",
            "/prefixes/0",
        ),
        (
            json!({"name": "x", "host": "a.example", "registration": {"enabled": true}}),
            "10004",
            "/auth_username",
        ),
        (
            json!({"name": "x", "host": "a.example", "registration": {"expires_secs": 59}}),
            "10015",
            "/registration/expires_secs",
        ),
    ] {
        world
            .post(&world.alice, PATH, body)
            .await
            .assert_error(422, code, place);
    }
    // Another tenant has names of its own.
    let body = json!({"name": "Taken", "host": "192.0.2.1"});
    assert_eq!(world.post(&world.bob, PATH, body).await.status, 201);
    let listed = world.get(&world.alice, PATH).await.json();
    assert_eq!(listed["meta"]["total_results"], 1);
}

#[tokio::test]
async fn trunks_are_listed_by_filter_and_order() {
    let world = World::new().await;
    for (name, priority, enabled) in [("beta", 5, true), ("Alpha", 9, false), ("gamma", 5, true)] {
        world.advance_secs(1);
        let body =
            json!({"name": name, "host": "a.example", "priority": priority, "enabled": enabled});
        create(&world, body).await;
    }
    for (query, expected) in [
        ("", &["gamma", "Alpha", "beta"][..]),
        ("sort=priority", &["beta", "gamma", "Alpha"]),
        ("sort=-name", &["gamma", "beta", "Alpha"]),
        ("filter[enabled]=true", &["gamma", "beta"]),
        ("filter[enabled]=false&sort=enabled", &["Alpha"]),
        ("filter[name][contains]=ET", &["beta"]),
        ("page[size]=2&page[number]=2", &["beta"]),
    ] {
        let listed = world
            .get(&world.alice, &format!("{PATH}?{query}"))
            .await
            .json();
        let names: Vec<_> = listed["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, expected, "{query}");
    }
    let bad = world
        .get(&world.alice, &format!("{PATH}?filter[enabled]=yes"))
        .await;
    bad.assert_error(400, "10015", "filter[enabled]");
}
