use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn tells_whose_key_it_is() {
    let world = World::new().await;
    for (tenant, email) in [
        (&world.alice, "alice@example.org"),
        (&world.bob, "bob@example.org"),
    ] {
        let answer = world.get(tenant, "/v2/whoami").await;
        assert_eq!(answer.status, 200);
        let id = tenant.account.to_string();
        assert_eq!(
            answer.json()["data"],
            json!({
                "record_type": "whoami",
                "user_id": id,
                "email": email,
                "organization_id": id,
                "organization_name": email,
                "created_at": "2026-11-21T09:30:00.123Z",
                "updated_at": "2026-11-21T09:30:00.123Z",
            })
        );
    }
}
