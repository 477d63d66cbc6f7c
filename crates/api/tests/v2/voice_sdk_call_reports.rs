use ringtrip_model::Timestamp;
use serde_json::{Value, json};

use crate::support::{START, Tenant, World};

const PATH: &str = "/v2/voice_sdk_call_reports";

async fn keep(world: &World, tenant: &Tenant, call: &str, body: &str, secs: i64) {
    let at = Timestamp::from_micros(START + secs * 1_000_000);
    let sdk = if call == "call-2" { "" } else { "sdk-1" };
    let kept =
        world
            .store
            .insert_call_report(tenant.account, "report-1", call, sdk, body.to_owned(), at);
    kept.await.unwrap();
}

async fn world_with_reports() -> World {
    let world = World::new().await;
    let body = r#"{"summary":{"n":1,"big":123456789012345678901234567890},"logs":["a\u0000b"],"segment":7,
        "call_id":"forged","stats":[0.1000]}"#;
    keep(&world, &world.alice, "call-1", body, 0).await;
    keep(&world, &world.alice, "call-2", "[1, 2]", 1).await;
    keep(
        &world,
        &world.alice,
        "call-1",
        r#"{"created_at":"then"}"#,
        2,
    )
    .await;
    keep(&world, &world.bob, "call-1", "{}", 3).await;
    world
}

#[tokio::test]
async fn a_report_is_what_the_sdk_sent_and_what_is_known_of_it() {
    let world = world_with_reports().await;
    let answer = world.get(&world.alice, &format!("{PATH}/call-1")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let account = world.alice.account.to_string();
    let known = |at: &str| {
        json!({
            "call_id": "call-1",
            "call_report_id": "report-1",
            "voice_sdk_id": "sdk-1",
            "user_id": account,
            "organization_id": account,
            "stored_at": at,
        })
    };
    let with = |mut report: Value, more: Value| {
        report
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        report
    };
    let first =
        json!({"logs": ["a\u{0}b"], "segment": 7, "created_at": "2026-11-21T09:30:00.123Z"});
    let second = json!({"segment": 1, "created_at": "then"});
    let shown = answer.json();
    let mut shown = shown.as_array().unwrap().clone();
    assert_eq!(shown.len(), 2);
    let summary = shown[0].as_object_mut().unwrap().remove("summary");
    shown[0].as_object_mut().unwrap().remove("stats");
    assert_eq!(summary.unwrap()["n"], 1);
    assert_eq!(shown[0], with(first, known("2026-11-21T09:30:00.123Z")));
    assert_eq!(shown[1], with(second, known("2026-11-21T09:30:02.123Z")));
    // Numbers are passed on as they were written.
    let text = String::from_utf8_lossy(&answer.body);
    assert!(
        text.contains("123456789012345678901234567890") && text.contains("[0.1000]"),
        "{text}"
    );
}

#[tokio::test]
async fn a_report_that_is_no_object_is_shown_whole() {
    let world = world_with_reports().await;
    let shown = world
        .get(&world.alice, &format!("{PATH}/call-2"))
        .await
        .json();
    assert_eq!(shown[0]["report"], json!([1, 2]));
    assert_eq!(shown[0]["voice_sdk_id"], Value::Null);
}

#[tokio::test]
async fn lists_are_sorted_and_paged() {
    let world = world_with_reports().await;
    for (query, expected, size) in [
        ("", "2 1 0", 20),
        ("sort=desc", "2 1 0", 20),
        ("sort=-created_at", "2 1 0", 20),
        ("sort=asc", "0 1 2", 20),
        ("sort=created_at", "0 1 2", 20),
        ("page[size]=2", "2 1", 2),
        ("page_size=2&page_number=2", "0", 2),
        ("page_size=100&page_number=9", "", 100),
    ] {
        let answer = world.get(&world.alice, &format!("{PATH}?{query}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = answer.json();
        let found: Vec<_> = body["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|report| report["stored_at"].as_str().unwrap()[18..19].to_owned())
            .collect();
        assert_eq!(found.join(" "), expected, "{query}");
        assert_eq!(body["meta"]["total_results"], 3, "{query}");
        assert_eq!(body["meta"]["page_size"], size, "{query}");
    }
    let bobs = world.get(&world.bob, PATH).await.json();
    assert_eq!(bobs["meta"]["total_results"], 1);
    for (query, place) in [("sort=size", "/sort"), ("page[size]=101", "page/size")] {
        let answer = world.get(&world.alice, &format!("{PATH}?{query}")).await;
        answer.assert_error(400, "10015", place);
    }
}

#[tokio::test]
async fn a_call_without_a_report_is_not_found() {
    let world = world_with_reports().await;
    for call in ["call-3", "%ff", "a%00b", "x%C3%A9"] {
        let answer = world.get(&world.alice, &format!("{PATH}/{call}")).await;
        answer.assert_error(404, "10005", "");
    }
    let answer = world.get(&world.bob, &format!("{PATH}/call-2")).await;
    answer.assert_error(404, "10005", "");
}

#[tokio::test]
async fn an_empty_list_is_a_list() {
    let world = World::new().await;
    let answer = world.get(&world.alice, PATH).await;
    assert_eq!(
        answer.json(),
        json!({
            "data": [],
            "meta": {"page_number": 1, "page_size": 20, "total_pages": 0, "total_results": 0},
        })
    );
}
