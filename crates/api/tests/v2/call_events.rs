use ringtrip_model::{
    AudioCodec, CallEvent, CallEventKind, CallId, CallerId, Direction, Generator, HangupCause,
    HangupSource, Initiation, LegId, OfferedMedia, Time, Timestamp,
};
use serde_json::Value;

use crate::support::{START, Tenant, World};

const PATH: &str = "/v2/call_events";

/// Puts a leg with its whole life into the log.
async fn leg(world: &World, tenant: &Tenant, number: u8) -> (LegId, CallId) {
    let mut rng = Generator::from_seed([number; 32]);
    let (leg, call) = (LegId::generate(&mut rng), CallId::generate(&mut rng));
    let initiation = Initiation {
        account: tenant.account,
        connection: tenant.connection.parse().unwrap(),
        direction: Direction::Outbound,
        caller: CallerId {
            name: "Ann".to_owned(),
            number: "+15550100".to_owned(),
        },
        to: "bob".to_owned(),
        offered: Some(OfferedMedia {
            audio: vec![AudioCodec::Opus, AudioCodec::Pcma],
            video: false,
        }),
        custom_headers: Vec::new(),
        client_state: None,
    };
    let kinds = [
        CallEventKind::Initiated(Box::new(initiation)),
        CallEventKind::MediaConnected,
        CallEventKind::Answered,
        CallEventKind::Bridged { with: leg },
        CallEventKind::Hangup {
            cause: HangupCause::NoAnswer,
            source: HangupSource::Server,
        },
    ];
    let events: Vec<_> = kinds
        .into_iter()
        .zip(1..)
        .map(|(kind, seq)| {
            let event = CallEvent {
                call,
                leg: Some(leg),
                seq,
                time: Time::ZERO,
                kind,
            };
            let secs = i64::from(number) * 10 + i64::from(seq);
            (event, Timestamp::from_micros(START + secs * 1_000_000))
        })
        .collect();
    world.store.insert_call_events(&events).await.unwrap();
    (leg, call)
}

async fn list(world: &World, query: &str) -> Vec<Value> {
    let answer = world.get(&world.alice, &format!("{PATH}{query}")).await;
    assert_eq!(answer.status, 200, "{query} {answer:?}");
    let json = answer.json();
    let data = json["data"].as_array().unwrap().clone();
    assert_eq!(json["meta"]["total_results"], data.len(), "{query}");
    data
}

#[tokio::test]
async fn events_are_shown_as_applications_are_told() {
    let world = World::new().await;
    let (leg, call) = leg(&world, &world.alice, 1).await;
    let events = list(&world, "").await;
    let names: Vec<&str> = events.iter().map(|e| e["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "call.initiated",
            "call.answered",
            "call.bridged",
            "call.hangup"
        ]
    );
    for event in &events {
        assert_eq!(event["record_type"], "call_event");
        assert_eq!(event["type"], "webhook");
        assert_eq!(event["call_leg_id"], leg.to_string());
        assert_eq!(event["call_session_id"], call.to_string());
        let metadata = &event["metadata"];
        assert_eq!(metadata["call_control_id"], format!("v3:{leg}"));
        assert_eq!(metadata["connection_id"], world.alice.connection);
        assert_eq!(
            (&metadata["from"], &metadata["to"]),
            (&"+15550100".into(), &"bob".into())
        );
    }
    assert_eq!(events[0]["event_timestamp"], "2026-11-21T09:30:11.123456Z");
    assert_eq!(events[0]["metadata"]["direction"], "outgoing");
    assert_eq!(events[0]["metadata"]["offered_codecs"], "opus,PCMA");
    assert_eq!(events[3]["metadata"]["hangup_cause"], "no_answer");
    assert_eq!(events[3]["metadata"]["hangup_source"], "unknown");
    let strangers = world.get(&world.bob, PATH).await.json();
    assert_eq!(strangers["meta"]["total_results"], 0);
}

#[tokio::test]
async fn events_are_filtered_as_the_sdks_ask() {
    let world = World::new().await;
    let (first, _) = leg(&world, &world.alice, 1).await;
    let (_, call) = leg(&world, &world.alice, 2).await;
    let (foreign, _) = leg(&world, &world.bob, 3).await;
    let connection = &world.alice.connection;
    for (query, expected) in [
        (String::new(), 8),
        (format!("?filter[leg_id]={first}"), 4),
        (format!("?filter[leg_id]={foreign}"), 0),
        ("?filter[leg_id]=x".to_owned(), 0),
        (format!("?filter[application_session_id]={call}"), 4),
        (format!("?filter[connection_id]={connection}"), 8),
        ("?filter[connection_id]=17".to_owned(), 0),
        ("?filter[application_name][contains]=MAI".to_owned(), 8),
        ("?filter[application_name][contains]=other".to_owned(), 0),
        (
            "?filter[outbound.outbound_voice_profile_id]=5".to_owned(),
            0,
        ),
        ("?filter[from]=%2B15550100&filter[to]=bob".to_owned(), 8),
        ("?filter[to]=carol".to_owned(), 0),
        ("?filter[name]=call.bridged".to_owned(), 2),
        ("?filter[name]=call.dtmf".to_owned(), 0),
        ("?filter[type]=webhook".to_owned(), 8),
        ("?filter[type]=command".to_owned(), 0),
        ("?filter[product]=call_control".to_owned(), 8),
        ("?filter[product]=fax".to_owned(), 0),
        ("?filter[status]=init".to_owned(), 2),
        ("?filter[status]=in_progress".to_owned(), 4),
        ("?filter[status]=completed".to_owned(), 2),
        ("?filter[failed]=true".to_owned(), 0),
        ("?filter[failed]=false".to_owned(), 8),
        (
            "?filter[occurred_at][gt]=2026-11-21T09:30:15.123456Z".to_owned(),
            4,
        ),
        (
            "?filter[occurred_at][gte]=2026-11-21T09:30:15.123456Z".to_owned(),
            5,
        ),
        (
            "?filter[occurred_at][lt]=2026-11-21T09:30:15.123456Z".to_owned(),
            3,
        ),
        (
            "?filter[occurred_at][lte]=2026-11-21T09:30:15.123456Z".to_owned(),
            4,
        ),
        (
            "?filter[occurred_at][eq]=2026-11-21T09:30:15.123456Z".to_owned(),
            1,
        ),
        (
            "?filter[occurred_at]=2026-11-21T09:30:15.123456Z".to_owned(),
            8,
        ),
        // The narrower bound counts, whichever it is.
        (
            "?filter[occurred_at][gte]=2026-11-21T09:30:15.123456Z\
             &filter[occurred_at][gt]=2026-11-21T09:30:15.123456Z"
                .to_owned(),
            4,
        ),
        (
            "?filter[occurred_at][lte]=2026-11-21T09:30:15.123456Z\
             &filter[occurred_at][lt]=2026-11-21T09:30:15.123456Z"
                .to_owned(),
            3,
        ),
        (
            "?filter[occurred_at][gte]=2026-11-21T00:00:00Z\
             &filter[occurred_at][eq]=2026-11-21T09:30:15.123456Z"
                .to_owned(),
            1,
        ),
    ] {
        assert_eq!(list(&world, &query).await.len(), expected, "{query}");
    }
    for (query, place) in [
        ("?filter[type]=x", "filter[type]"),
        ("?filter[status]=x", "filter[status]"),
        ("?filter[failed]=maybe", "filter[failed]"),
        ("?filter[occurred_at][gt]=x", "filter[occurred_at][gt]"),
        ("?page[size]=0", "page/size"),
    ] {
        let answer = world.get(&world.alice, &format!("{PATH}{query}")).await;
        answer.assert_error(400, "10015", place);
    }
}

#[tokio::test]
async fn without_a_leg_or_a_time_only_the_last_day_is_listed() {
    let world = World::new().await;
    let (first, _) = leg(&world, &world.alice, 1).await;
    world.advance_secs(24 * 3600 + 13);
    let names = |events: Vec<Value>| events.len();
    assert_eq!(names(list(&world, "").await), 3);
    world.advance_secs(60);
    assert_eq!(names(list(&world, "").await), 0);
    assert_eq!(
        names(list(&world, &format!("?filter[leg_id]={first}")).await),
        4
    );
    let since = "?filter[occurred_at][gte]=2026-01-01T00:00:00Z";
    assert_eq!(names(list(&world, since).await), 4);
}
