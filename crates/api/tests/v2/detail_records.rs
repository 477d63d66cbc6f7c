use ringtrip_model::{
    CallId, CallerId, Direction, Generator, HangupCause, HangupSource, LegId, LegRecord, NodeId,
    Timestamp,
};
use serde_json::{Value, json};

use crate::support::{START, Tenant, World};

const PATH: &str = "/v2/detail_records";
const DAY: i64 = 86_400;

/// A leg that began so many seconds before now, and was answered for a minute.
fn record(tenant: &Tenant, name: &str, ago: i64, rng: &mut Generator) -> LegRecord {
    let at = |secs: i64| Timestamp::from_micros(START + secs * 1_000_000);
    LegRecord {
        leg: LegId::generate(rng),
        call: CallId::generate(rng),
        node: NodeId(1),
        account: tenant.account,
        connection: tenant.connection.parse().unwrap(),
        credential: None,
        user: format!("user{name}"),
        protocol_call_id: name.to_owned(),
        direction: Direction::Outbound,
        caller: CallerId {
            name: "Ann".to_owned(),
            number: "+14165550123".to_owned(),
        },
        destination: "+4930901820".to_owned(),
        started_at: at(-ago),
        answered_at: Some(at(-ago + 3)),
        ended_at: at(-ago + 63),
        cause: HangupCause::NormalClearing,
        source: HangupSource::Caller,
        audio: None,
        video: None,
        quality: None,
    }
}

/// Legs of Alice's a minute, a day, eight days and forty days ago, and one of Bob's.
async fn world_with_records() -> (World, Vec<LegRecord>) {
    let world = World::new().await;
    let rng = &mut Generator::from_seed([5; 32]);
    let mut records = vec![
        record(&world.alice, "minute", 60, rng),
        record(&world.alice, "day", DAY, rng),
        record(&world.alice, "week", 8 * DAY, rng),
        record(&world.alice, "month", 40 * DAY, rng),
        record(&world.bob, "bobs", 60, rng),
    ];
    records[1].direction = Direction::Inbound;
    records[1].answered_at = None;
    records[1].destination = "sip:alice".to_owned();
    world.store.insert_leg_records(&records).await.unwrap();
    (world, records)
}

fn names(body: &Value) -> String {
    let rows = body["data"].as_array().unwrap().iter();
    let names: Vec<_> = rows.map(|row| row["call_id"].as_str().unwrap()).collect();
    names.join(" ")
}

#[tokio::test]
async fn a_webrtc_record_has_every_key() {
    let (world, records) = world_with_records().await;
    let answer = world
        .get(
            &world.alice,
            &format!("{PATH}?filter[record_type]=webrtc&filter[date_range]=today"),
        )
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let leg = records[0].leg.to_string();
    assert_eq!(
        answer.json(),
        json!({
            "data": [{
                "record_type": "webrtc_detail_record",
                "id": leg,
                "auth_username": "userminute",
                "connection_id": world.alice.connection,
                "connection_name": "main",
                "session_id": "",
                "call_id": "minute",
                "telnyx_session_id": records[0].call.to_string(),
                "telnyx_leg_id": leg,
                "telnyx_call_control_id": "",
                "fs_channel_id": "",
                "direction": "outbound",
                "cli": "+14165550123",
                "cld": "+4930901820",
                "caller_name": "Ann",
                "caller_number": "+14165550123",
                "dest_number": "+4930901820",
                "started_at": "2026-11-21T09:29:00.123Z",
                "finished_at": "2026-11-21T09:30:03.123Z",
                "call_sec": 60,
                "billed_sec": 0,
                "rate": "0.0000",
                "cost": "0.0000",
                "currency": "EUR",
                "payment_method": "rate-deck",
                "country_code": "DE",
                "source_country_code": "CA",
                "billing_group_id": "",
                "billing_group_name": "",
                "tags": "",
            }],
            "meta": {"page_number": 1, "page_size": 20, "total_pages": 1, "total_results": 1},
        })
    );
}

#[tokio::test]
async fn the_sort_of_records_must_be_named_and_most_have_none() {
    let (world, _) = world_with_records().await;
    for query in [
        "",
        "filter[record_type]=",
        "filter[record_type]=telex",
        "filter[date_range]=today",
    ] {
        let answer = world.get(&world.alice, &format!("{PATH}?{query}")).await;
        answer.assert_error(400, "10015", "filter[record_type]");
    }
    for (kind, total) in [
        ("webrtc", 4),
        ("sip-trunking", 0),
        ("call-control", 0),
        ("messaging", 0),
    ] {
        let path = format!("{PATH}?filter[record_type]={kind}");
        let body = world.get(&world.alice, &path).await.json();
        assert_eq!(body["meta"]["total_results"], total, "{kind}");
    }
    let path = format!("{PATH}?filter[record_type]=webrtc");
    assert_eq!(names(&world.get(&world.bob, &path).await.json()), "bobs");
}

#[tokio::test]
async fn records_are_narrowed_sorted_and_paged() {
    let (world, records) = world_with_records().await;
    let leg = records[2].leg.to_string();
    let call = records[3].call.to_string();
    let connection = &world.alice.connection;
    for (query, expected) in [
        (String::new(), "minute day week month"),
        ("filter[date_range]=today".to_owned(), "minute"),
        ("filter[date_range]=yesterday".to_owned(), "day"),
        ("filter[date_range]=tomorrow".to_owned(), ""),
        ("filter[date_range]=this_week".to_owned(), "minute day"),
        ("filter[date_range]=last_week".to_owned(), "week"),
        ("filter[date_range]=next_week".to_owned(), ""),
        (
            "filter[date_range]=this_month".to_owned(),
            "minute day week",
        ),
        ("filter[date_range]=last_month".to_owned(), "month"),
        ("filter[date_range]=last_7_days".to_owned(), "minute day"),
        (
            "filter[date_range]=last_8_days".to_owned(),
            "minute day week",
        ),
        (
            "filter[started_at][gte]=2026-11-20".to_owned(),
            "minute day",
        ),
        ("filter[started_at][lt]=2026-11-20".to_owned(), "week month"),
        (
            "filter[started_at]=2026-11-21T09:29:00.123Z".to_owned(),
            "minute",
        ),
        (
            "filter[started_at][gt]=2026-11-21T09:29:00.123Z".to_owned(),
            "",
        ),
        (
            "filter[started_at][gte]=2026-11-21T09:29:00.123Z".to_owned(),
            "minute",
        ),
        (
            "filter[started_at][lte]=2026-11-20T09:30:00.123Z".to_owned(),
            "day week month",
        ),
        (
            "filter[finished_at][gt]=2026-11-21T10:30:03.122%2B01:00".to_owned(),
            "minute",
        ),
        (
            "filter[created_at][gte]=2026-11-21&filter[created_at][lt]=2026-11-22".to_owned(),
            "minute",
        ),
        (format!("filter[id]={leg}"), "week"),
        (format!("filter[telnyx_leg_id]={leg}"), "week"),
        (format!("filter[telnyx_session_id]={call}"), "month"),
        (
            format!("filter[connection_id]={connection}"),
            "minute day week month",
        ),
        ("filter[connection_id]=x".to_owned(), ""),
        ("filter[id]=x".to_owned(), ""),
        ("filter[direction]=inbound".to_owned(), "day"),
        ("filter[direction]=sideways".to_owned(), ""),
        ("filter[auth_username]=userday".to_owned(), "day"),
        ("filter[auth_username][contains]=ee".to_owned(), "week"),
        (
            "filter[auth_username][contains]=".to_owned(),
            "minute day week month",
        ),
        ("filter[call_id]=minute".to_owned(), "minute"),
        (
            "filter[cld][starts_with]=%2B49".to_owned(),
            "minute week month",
        ),
        ("filter[cld][ends_with]=alice".to_owned(), "day"),
        (
            "filter[cli]=%2B14165550123".to_owned(),
            "minute day week month",
        ),
        (
            "filter[connection_name]=main".to_owned(),
            "minute day week month",
        ),
        ("filter[call_sec]=0".to_owned(), "day"),
        ("filter[call_sec][gte]=60".to_owned(), "minute week month"),
        ("filter[unknown]=1".to_owned(), "minute day week month"),
        ("sort=started_at".to_owned(), "month week day minute"),
        ("sort=-started_at".to_owned(), "minute day week month"),
        (
            "sort[]=call_sec,-started_at".to_owned(),
            "day minute week month",
        ),
        (
            "sort[]=-call_sec&sort[]=started_at".to_owned(),
            "month week minute day",
        ),
        ("page[size]=3".to_owned(), "minute day week"),
        ("page_size=3&page_number=2".to_owned(), "month"),
    ] {
        let path = format!("{PATH}?filter[record_type]=webrtc&{query}");
        let answer = world.get(&world.alice, &path).await;
        assert_eq!(answer.status, 200, "{query} {answer:?}");
        assert_eq!(names(&answer.json()), expected, "{query}");
    }
    let long = "x".repeat(1025);
    let path = format!("{PATH}?filter[record_type]=webrtc&filter[cld]={long}");
    assert_eq!(names(&world.get(&world.alice, &path).await.json()), "");
    for (query, place) in [
        ("filter[date_range]=someday", "filter[date_range]"),
        ("filter[date_range]=last_0_days", "filter[date_range]"),
        ("filter[started_at][gte]=soon", "filter[started_at][gte]"),
        ("filter[call_sec][lt]=-1", "filter[call_sec][lt]"),
        ("filter[call_sec]=1.5", "filter[call_sec]"),
        ("sort=cost", "/sort"),
        ("sort[]=started_at,--call_sec", "/sort"),
        ("page[size]=51", "page/size"),
        ("page_size=0", "page/size"),
    ] {
        let path = format!("{PATH}?filter[record_type]=webrtc&{query}");
        world
            .get(&world.alice, &path)
            .await
            .assert_error(400, "10015", place);
    }
}
