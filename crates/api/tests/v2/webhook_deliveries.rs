use ringtrip_model::{
    CallId, Generator, Timestamp, WebhookAnswer, WebhookAttempt, WebhookDeliveryId, WebhookError,
    WebhookEventId, WebhookEventType,
};
use ringtrip_store::NewWebhook;
use serde_json::{Value, json};

use crate::support::{START, Tenant, World};

const PATH: &str = "/v2/webhook_deliveries";

/// Puts a delivery with one attempt into a tenant's log; returns its id.
pub(crate) async fn delivered(
    world: &World,
    tenant: &Tenant,
    number: u8,
    error: Option<WebhookError>,
) -> String {
    let mut rng = Generator::from_seed([number; 32]);
    let id = WebhookDeliveryId::generate(&mut rng);
    let at = Timestamp::from_micros(START + i64::from(number) * 1_000_000);
    let new = NewWebhook {
        id,
        call_event: number.into(),
        account: tenant.account,
        connection: tenant.connection.parse().unwrap(),
        call: CallId::generate(&mut rng),
        event: WebhookEventId::generate(&mut rng),
        event_type: WebhookEventType::CallAnswered,
        occurred_at: at,
        payload: json!({"state": "answered"}).to_string(),
    };
    let queued = world
        .store
        .queue_webhooks(vec![new], number.into(), at)
        .await;
    let attempt = WebhookAttempt {
        started_at: at,
        finished_at: at,
        error,
        url: Some("https://hooks.example/calls".to_owned()),
        request_headers: vec![("telnyx-timestamp".to_owned(), "17".to_owned())],
        answer: error.is_none().then(|| WebhookAnswer {
            status: 200,
            headers: vec![("server".to_owned(), "x".to_owned())],
            body: "ok".to_owned(),
        }),
    };
    // A thing that is asked for twice is there the second time.
    let Some(number) = queued.unwrap().first().map(|queued| queued.number) else {
        return id.to_string();
    };
    let recorded = world.store.record_webhook_attempt(number, attempt, true);
    recorded.await.unwrap();
    id.to_string()
}

#[tokio::test]
async fn a_delivery_shows_what_was_told_and_how_it_was_answered() {
    let world = World::new().await;
    let id = delivered(&world, &world.alice, 1, None).await;
    let answer = world.get(&world.alice, &format!("{PATH}/{id}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let data = answer.json()["data"].clone();
    assert_eq!(data["record_type"], "webhook_delivery");
    assert_eq!(data["user_id"], world.alice.account.to_string());
    assert_eq!(data["status"], "delivered");
    assert_eq!(data["started_at"], "2026-11-21T09:30:01.123Z");
    assert_eq!(data["finished_at"], "2026-11-21T09:30:01.123Z");
    let webhook = &data["webhook"];
    assert_eq!(webhook["record_type"], "event");
    assert_eq!(webhook["event_type"], "call.answered");
    assert_eq!(webhook["occurred_at"], "2026-11-21T09:30:01.123456Z");
    assert_eq!(webhook["payload"], json!({"state": "answered"}));
    assert_eq!(
        data["attempts"],
        json!([{
            "status": "delivered",
            "started_at": "2026-11-21T09:30:01.123Z",
            "finished_at": "2026-11-21T09:30:01.123Z",
            "errors": [],
            "http": {
                "request": {
                    "url": "https://hooks.example/calls",
                    "headers": [["telnyx-timestamp", "17"]],
                },
                "response": {"status": 200, "headers": [["server", "x"]], "body": "ok"},
            },
        }])
    );
}

#[tokio::test]
async fn a_failure_shows_its_number_and_no_answer() {
    let world = World::new().await;
    let id = delivered(&world, &world.alice, 1, Some(WebhookError::TargetRefused)).await;
    let answer = world.get(&world.alice, &format!("{PATH}/{id}")).await;
    let attempt = answer.json()["data"]["attempts"][0].clone();
    assert_eq!(attempt["errors"], json!([2]));
    assert_eq!(attempt["status"], "failed");
    assert_eq!(attempt["http"].get("response"), None);
}

#[tokio::test]
async fn deliveries_are_filtered_as_the_sdks_ask() {
    let world = World::new().await;
    for (number, error) in [(1, None), (2, Some(WebhookError::TimedOut)), (3, None)] {
        delivered(&world, &world.alice, number, error).await;
    }
    delivered(&world, &world.bob, 4, None).await;
    for (query, expected) in [
        ("", 3),
        ("?filter[status][eq]=delivered", 2),
        ("?filter[status]=failed", 1),
        ("?filter[event_type]=call.answered,call.hangup", 3),
        ("?filter[event_type]=message.sent", 0),
        ("?filter[webhook][contains]=ANSWERED", 3),
        ("?filter[attempts][contains]=hooks.example", 3),
        ("?filter[attempts][contains]=nowhere", 0),
        ("?filter[started_at][gte]=2026-11-21T09:30:02Z", 2),
        ("?filter[started_at][lte]=2026-11-21T09:30:02Z", 1),
        ("?filter[finished_at][gte]=2026-11-21T10:30:02%2B01:00", 2),
        ("?filter[finished_at][lte]=2026-11-21T09:30:03", 2),
        ("?filter[unknown]=x", 3),
    ] {
        let answer = world.get(&world.alice, &format!("{PATH}{query}")).await;
        assert_eq!(answer.status, 200, "{query} {answer:?}");
        let json = answer.json();
        assert_eq!(json["meta"]["total_results"], expected, "{query}");
        assert_eq!(json["data"].as_array().unwrap().len(), expected, "{query}");
    }
    let json = world.get(&world.alice, PATH).await.json();
    assert_eq!(json["meta"]["page_size"], 20);
    let started: Vec<&str> = json["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["started_at"].as_str().unwrap())
        .collect();
    assert!(started.is_sorted_by(|a, b| a > b), "the latest first");
    for (query, place) in [
        ("?filter[status]=pending", "filter[status]"),
        (
            "?filter[started_at][gte]=yesterday",
            "filter[started_at][gte]",
        ),
    ] {
        let answer = world.get(&world.alice, &format!("{PATH}{query}")).await;
        answer.assert_error(400, "10015", place);
    }
}

#[tokio::test]
async fn a_delivery_that_is_over_is_queued_again() {
    let world = World::new().await;
    let id = delivered(&world, &world.alice, 1, Some(WebhookError::TimedOut)).await;
    let path = format!("{PATH}/{id}/actions/resend");
    let answer = world.post(&world.alice, &path, json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let data = answer.json()["data"].clone();
    assert_eq!(
        (&data["id"], &data["status"]),
        (&json!(id), &json!("failed"))
    );
    assert_eq!(data["finished_at"], Value::Null);
    let again = world.post(&world.alice, &path, json!({})).await;
    assert_eq!(again.json()["data"], data, "it is in the queue already");
    assert_eq!(world.store.resent_webhooks(0, 9).await.unwrap().len(), 1);
    let foreign = world.post(&world.bob, &path, json!({})).await;
    foreign.assert_error(404, "10005", "");
}

#[tokio::test]
async fn each_tenant_has_a_public_key_of_its_own() {
    let world = World::new().await;
    let key = async |tenant| {
        let answer = world.get(tenant, "/v2/public_key").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let data = answer.json()["data"].clone();
        assert_eq!(data["record_type"], "public_key");
        data["public"].as_str().unwrap().to_owned()
    };
    let alice = key(&world.alice).await;
    assert_eq!(alice.len(), 44);
    assert_eq!(key(&world.alice).await, alice);
    assert_ne!(key(&world.bob).await, alice);
    let stored = world.store.webhook_key(world.alice.account).await.unwrap();
    assert_eq!(stored.public(), alice);
}
