use ringtrip_model::{CallId, Generator, LegId, LiveLeg, Timestamp};
use serde_json::{Value, json};

use crate::support::{START, World};

#[tokio::test]
async fn a_connection_of_any_kind_is_shown_by_what_all_kinds_have() {
    let world = World::new().await;
    let profile = world
        .post(
            &world.alice,
            "/v2/outbound_voice_profiles",
            json!({"name": "office"}),
        )
        .await
        .id();
    let id = &world.alice.connection;
    let change = json!({
        "tags": ["a"], "webhook_event_url": "https://example.org/hook",
        "outbound": {"outbound_voice_profile_id": profile},
    });
    let path = format!("/v2/credential_connections/{id}");
    assert_eq!(world.patch(&world.alice, &path, change).await.status, 200);
    let expected = json!({
        "id": id, "record_type": "credential_connection", "active": true, "anchorsite_override": "Latency",
        "connection_name": "main", "outbound_voice_profile_id": profile, "tags": ["a"],
        "webhook_api_version": "1", "webhook_event_url": "https://example.org/hook",
        "webhook_event_failover_url": "",
        "created_at": "2026-11-21T09:30:00.123Z", "updated_at": "2026-11-21T09:30:00.123Z",
    });
    let one = world
        .get(&world.alice, &format!("/v2/connections/{id}"))
        .await;
    assert_eq!(one.json()["data"], expected);
    let all = world.get(&world.alice, "/v2/connections").await.json();
    assert_eq!(all["data"], json!([expected]));
    assert_eq!(all["meta"]["page_size"], 250);
    for (query, count) in [
        ("filter[connection_name][contains]=AIN", 1),
        ("filter[connection_name][contains]=xyz", 0),
        ("filter[fqdn]=x", 0),
        ("sort=-connection_name", 1),
    ] {
        let found = world
            .get(&world.alice, &format!("/v2/connections?{query}"))
            .await;
        assert_eq!(found.json()["meta"]["total_results"], count, "{query}");
    }
    let short = world.get(
        &world.alice,
        "/v2/connections?filter[connection_name][contains]=ma",
    );
    short
        .await
        .assert_error(400, "10015", "filter[connection_name][contains]");
    let unsorted = world.get(&world.alice, "/v2/connections?sort=id").await;
    unsorted.assert_error(400, "10015", "/sort");
}

#[tokio::test]
async fn the_calls_of_a_connection_are_walked_by_cursor_or_by_page() {
    let world = World::new().await;
    let mut rng = Generator::from_seed([2; 32]);
    let mut begin = |secs: i64| {
        let leg = LiveLeg {
            leg: LegId::generate(&mut rng),
            call: CallId::generate(&mut rng),
            account: world.alice.account,
            connection: world.alice.connection.parse().unwrap(),
            started_at: Timestamp::from_micros(START + secs * 1_000_000),
            client_state: (secs == 0).then(|| "c3RhdGU=".to_owned()),
        };
        world.bus.begin_leg(leg.clone());
        leg
    };
    let legs: Vec<LiveLeg> = (0..5).map(&mut begin).collect();
    world.advance_secs(10);
    let path = format!("/v2/connections/{}/active_calls", world.alice.connection);
    let list = async |query: &str| {
        let answer = world.get(&world.alice, query).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = answer.json();
        let ids: Vec<_> = body["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["call_leg_id"].clone())
            .collect();
        let index = |id: &Value| {
            legs.iter()
                .position(|leg| leg.leg.to_string() == *id)
                .unwrap()
        };
        (ids.iter().map(index).collect::<Vec<_>>(), body)
    };
    let (all, body) = list(&path).await;
    assert_eq!(all, [0, 1, 2, 3, 4]);
    assert_eq!(
        body["data"][0],
        json!({
            "record_type": "call", "call_control_id": format!("v3:{}", legs[0].leg),
            "call_leg_id": legs[0].leg.to_string(), "call_session_id": legs[0].call.to_string(),
            "call_duration": 10, "client_state": "c3RhdGU=",
        })
    );
    assert_eq!(
        (
            &body["data"][1]["client_state"],
            &body["data"][4]["call_duration"]
        ),
        (&json!(""), &json!(6))
    );
    assert_eq!(body["meta"]["total_items"], 5);

    let (first, body) = list(&format!("{path}?page[limit]=2")).await;
    assert_eq!(
        (first, &body["meta"]["previous"]),
        (vec![0, 1], &Value::Null)
    );
    let (second, body) = list(body["meta"]["next"].as_str().unwrap()).await;
    assert_eq!(second, [2, 3]);
    let after = body["meta"]["cursors"]["after"].as_str().unwrap();
    let (third, last) = list(&format!("{path}?page[after]={after}")).await;
    assert_eq!((third, &last["meta"]["next"]), (vec![4], &Value::Null));
    let (back, _) = list(body["meta"]["previous"].as_str().unwrap()).await;
    assert_eq!(back, [0, 1]);

    // The SDKs go on until the number of the page is the number of pages.
    for (number, expected) in [(1, &[0, 1][..]), (2, &[2, 3]), (3, &[4]), (4, &[])] {
        let (page, body) = list(&format!("{path}?page_number={number}&page_size=2")).await;
        assert_eq!(page, expected);
        assert_eq!(
            (&body["meta"]["page_number"], &body["meta"]["total_pages"]),
            (&json!(number), &json!(3))
        );
    }
    world.bus.end_leg(legs[2].leg);
    assert_eq!(list(&path).await.0, [0, 1, 3, 4]);
    for (query, place) in [
        ("page[after]=x", "page/after"),
        ("page[limit]=251", "page/limit"),
        ("page[number]=0", "page/number"),
    ] {
        let bad = world.get(&world.alice, &format!("{path}?{query}")).await;
        bad.assert_error(400, "10015", place);
    }
}
