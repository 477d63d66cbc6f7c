use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn the_balance_is_what_the_operator_configured() {
    let world = World::new().await;
    let answer = world.get(&world.alice, "/v2/balance").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.json()["data"],
        json!({
            "record_type": "balance",
            "pending": "0.00",
            "balance": "12.50",
            "credit_limit": "100.00",
            "available_credit": "112.50",
            "currency": "EUR",
        })
    );
}
