use serde_json::{Value, json};

use crate::support::{Tenant, World};

const PATH: &str = "/v2/mobile_push_credentials";

/// Not keys: just what is shaped like them.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMAMCAQI=\n-----END PRIVATE KEY-----\n";

fn ios(alias: &str) -> Value {
    json!({"type": "ios", "alias": alias, "certificate": CERTIFICATE, "private_key": PRIVATE_KEY})
}

fn account_file() -> Value {
    json!({
        "type": "service_account",
        "project_id": "p",
        "private_key": PRIVATE_KEY,
        "client_email": "push@p.example",
    })
}

fn android(alias: &str) -> Value {
    json!({"type": "android", "alias": alias, "project_account_json_file": account_file()})
}

async fn create(world: &World, tenant: &Tenant, body: Value) -> Value {
    let answer = world.post(tenant, PATH, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["data"].clone()
}

#[tokio::test]
async fn both_platforms_have_every_key() {
    let world = World::new().await;
    let shown = |made: &Value, more: Value| {
        let mut expected = json!({
            "id": made["id"],
            "record_type": "push_credential",
            "certificate": "",
            "private_key": "",
            "project_account_json_file": {},
            "created_at": "2026-11-21T09:30:00.123Z",
            "updated_at": "2026-11-21T09:30:00.123Z",
        });
        for (key, value) in more.as_object().unwrap() {
            expected[key] = value.clone();
        }
        expected
    };
    for body in [ios("app"), android("droid")] {
        let made = create(&world, &world.alice, body.clone()).await;
        assert_eq!(made["id"].as_str().unwrap().len(), 36);
        assert_eq!(made, shown(&made, body));
        let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
        let read = world.get(&world.alice, &path).await;
        assert_eq!((read.status, &read.json()["data"]), (200, &made));
        let deleted = world.delete(&world.alice, &path).await;
        assert_eq!((deleted.status, deleted.body.len()), (204, 0));
        world
            .delete(&world.alice, &path)
            .await
            .assert_error(404, "10005", "");
        world
            .get(&world.alice, &path)
            .await
            .assert_error(404, "10005", "");
    }
}

#[tokio::test]
async fn what_a_platform_needs_is_checked() {
    let world = World::new().await;
    let with = |mut body: Value, key: &str, value: Value| {
        body[key] = value;
        body
    };
    let file = |key: &str, value: Value| {
        let mut body = android("a");
        body["project_account_json_file"][key] = value;
        body
    };
    for (body, code, place) in [
        (with(ios("a"), "type", json!("windows")), "10015", "/type"),
        (with(ios("a"), "type", Value::Null), "10004", "/type"),
        (with(ios("a"), "alias", json!(" ")), "10004", "/alias"),
        (
            with(ios("a"), "alias", json!("x".repeat(256))),
            "10015",
            "/alias",
        ),
        (
            with(ios("a"), "certificate", json!("x")),
            "10015",
            "/certificate",
        ),
        (
            with(ios("a"), "certificate", json!(17)),
            "10015",
            "/certificate",
        ),
        (
            with(ios("a"), "certificate", Value::Null),
            "10004",
            "/certificate",
        ),
        (
            with(ios("a"), "private_key", json!(CERTIFICATE)),
            "10015",
            "/private_key",
        ),
        (
            with(android("a"), "project_account_json_file", Value::Null),
            "10004",
            "/project_account_json_file",
        ),
        (
            with(android("a"), "project_account_json_file", json!("{}")),
            "10015",
            "/project_account_json_file",
        ),
        (
            file("type", json!("user")),
            "10015",
            "/project_account_json_file/type",
        ),
        (
            file("project_id", Value::Null),
            "10004",
            "/project_account_json_file/project_id",
        ),
        (
            file("client_email", json!("")),
            "10004",
            "/project_account_json_file/client_email",
        ),
        (
            file("private_key", json!("x")),
            "10015",
            "/project_account_json_file/private_key",
        ),
    ] {
        let answer = world.post(&world.alice, PATH, body.clone()).await;
        assert_eq!(answer.status, 422, "{body} {answer:?}");
        answer.assert_error(422, code, place);
    }
    let missing = world.post(&world.alice, PATH, json!({})).await.json();
    let mut places: Vec<_> = missing["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["source"]["pointer"].as_str().unwrap().to_owned())
        .collect();
    places.sort();
    assert_eq!(places, ["/alias", "/type"]);
    assert_eq!(
        world.get(&world.alice, PATH).await.json()["data"],
        json!([])
    );
}

#[tokio::test]
async fn an_alias_is_taken_once_an_account() {
    let world = World::new().await;
    create(&world, &world.alice, ios("app")).await;
    let again = world.post(&world.alice, PATH, android("app")).await;
    again.assert_error(422, "10012", "/alias");
    create(&world, &world.bob, ios("app")).await;
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let world = World::new().await;
    for body in [ios("one"), ios("two"), android("three")] {
        create(&world, &world.alice, body).await;
        world.advance_secs(1);
    }
    create(&world, &world.bob, ios("four")).await;
    for (query, expected, total) in [
        ("", "three two one", 3),
        ("filter[type]=ios", "two one", 2),
        ("filter[type]=android", "three", 1),
        ("filter[alias]=two", "two", 1),
        ("filter[alias]=four", "", 0),
        ("filter[alias]=one&filter[type]=android", "", 0),
        ("page_size=2", "three two", 3),
        ("page_number=2&page_size=2", "one", 3),
    ] {
        let body = world
            .get(&world.alice, &format!("{PATH}?{query}"))
            .await
            .json();
        let aliases: Vec<_> = body["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|credential| credential["alias"].as_str().unwrap())
            .collect();
        assert_eq!(aliases.join(" "), expected, "{query}");
        assert_eq!(body["meta"]["total_results"], total, "{query}");
    }
    let answer = world
        .get(&world.alice, &format!("{PATH}?filter[type]=windows"))
        .await;
    answer.assert_error(400, "10015", "filter[type]");
}

#[tokio::test]
async fn a_connection_uses_its_own_and_keeps_it_from_being_deleted() {
    let world = World::new().await;
    let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
    let apple = id(&create(&world, &world.alice, ios("app")).await);
    let google = id(&create(&world, &world.alice, android("droid")).await);
    let bobs = id(&create(&world, &world.bob, ios("app")).await);
    let connection = format!("/v2/credential_connections/{}", world.alice.connection);
    let patch = async |body| world.patch(&world.alice, &connection, body).await;
    for (key, wrong) in [
        ("ios_push_credential_id", [&google, &bobs]),
        ("android_push_credential_id", [&apple, &bobs]),
    ] {
        for value in [
            wrong[0].as_str(),
            wrong[1],
            "c215ade3-0d39-418e-94be-c5f780760199",
            "x",
        ] {
            let answer = patch(json!({key: value})).await;
            assert_eq!(answer.status, 422, "{key} {value}");
            assert_eq!(answer.error().2, format!("/{key}"));
        }
    }
    let set = json!({"ios_push_credential_id": apple, "android_push_credential_id": google});
    let answer = patch(set).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let shown = world.get(&world.alice, &connection).await.json()["data"].clone();
    assert_eq!(
        (
            &shown["ios_push_credential_id"],
            &shown["android_push_credential_id"]
        ),
        (&json!(apple), &json!(google))
    );
    let path = format!("{PATH}/{apple}");
    world
        .delete(&world.alice, &path)
        .await
        .assert_error(422, "10021", "/");
    assert_eq!(
        patch(json!({"ios_push_credential_id": null})).await.status,
        200
    );
    assert_eq!(world.delete(&world.alice, &path).await.status, 204);
    // Another setting can be changed without naming the other one again.
    let answer = patch(json!({"connection_name": "renamed"})).await;
    assert_eq!(
        answer.json()["data"]["android_push_credential_id"],
        json!(google)
    );
}
