use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn an_account_shows_itself_and_can_be_renamed() {
    let world = World::new().await;
    let shown = world.get(&world.alice, "/v2/account").await;
    assert_eq!(shown.status, 200);
    let expected = json!({
        "record_type": "account",
        "id": world.alice.account.to_string(),
        "email": "alice@example.org",
        "organization_name": "alice@example.org",
        "created_at": "2026-11-21T09:30:00.123Z",
        "updated_at": "2026-11-21T09:30:00.123Z",
    });
    assert_eq!(shown.json()["data"], expected);
    world.advance_secs(60);
    let body = json!({"organization_name": " Acme ", "email": "eve@example.org", "id": "x"});
    let changed = world.patch(&world.alice, "/v2/account", body).await;
    let data = changed.json()["data"].clone();
    assert_eq!(data["organization_name"], "Acme");
    assert_eq!(data["email"], "alice@example.org", "only the name changes");
    assert_eq!(data["updated_at"], "2026-11-21T09:31:00.123Z");
    let whoami = world.get(&world.alice, "/v2/whoami").await;
    assert_eq!(whoami.json()["data"]["organization_name"], "Acme");
    let untouched = world.patch(&world.alice, "/v2/account", json!({})).await;
    assert_eq!(untouched.json()["data"]["organization_name"], "Acme");
    let foreign = world.get(&world.bob, "/v2/account").await;
    assert_eq!(
        foreign.json()["data"]["organization_name"],
        "bob@example.org"
    );
}

#[tokio::test]
async fn a_name_that_is_none_is_refused() {
    let world = World::new().await;
    for (name, code) in [
        (json!(""), "10004"),
        (json!("  "), "10004"),
        (json!(null), "10004"),
        (json!(5), "10015"),
        (json!("x".repeat(256)), "10015"),
    ] {
        let body = json!({"organization_name": name});
        let answer = world.patch(&world.alice, "/v2/account", body).await;
        answer.assert_error(422, code, "/organization_name");
    }
}
