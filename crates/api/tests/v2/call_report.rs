use axum::body::Body;
use axum::http::Request;
use ringtrip_model::{Generator, LegParty, MediaPolicy, SessionId};

use crate::support::{Answer, World, contact};

const REPORT: &str = r#"{"summary":{"callId":"c"},"stats":[],"logs":["a\u0000b"]}"#;

fn log_in(world: &World, report_id: &str) -> (SessionId, LegParty) {
    let party = LegParty {
        account: world.alice.account,
        connection: world.alice.connection.parse().unwrap(),
        credential: None,
        user: "alice1".to_owned(),
        policy: MediaPolicy::from_codec_names(["OPUS"]),
        ring_timeout_secs: 90,
    };
    let session = SessionId::generate(&mut Generator::from_seed([1; 32]));
    world.bus.bind(session, &party, report_id, contact());
    (session, party)
}

async fn upload(world: &World, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let mut request = Request::post("/call_report").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_report_of_a_known_session_is_kept_with_its_call() {
    let world = World::new().await;
    let (session, party) = log_in(&world, "report-1");
    let headers = [
        ("x-call-report-id", "report-1"),
        ("x-call-id", "call-1"),
        ("x-voice-sdk-id", "sdk-1"),
    ];
    let answer = upload(&world, &headers, REPORT).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    // The last report of a call often comes after the session has ended.
    world
        .bus
        .unbind(session, &party, "report-1", contact().since);
    assert_eq!(upload(&world, &headers[..2], "{}").await.status, 200);
    let kept = world
        .store
        .list_call_reports(world.alice.account, "call-1")
        .await
        .unwrap();
    let kept: Vec<_> = kept
        .iter()
        .map(|r| (r.voice_sdk_id.as_str(), r.body.as_str()))
        .collect();
    assert_eq!(kept, [("sdk-1", REPORT), ("", "{}")]);
    assert!(
        world
            .store
            .list_call_reports(world.bob.account, "call-1")
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn an_unknown_id_is_refused_before_its_body_is_read() {
    let world = World::new().await;
    let never_read =
        Body::from_stream(futures_util::stream::pending::<Result<&[u8], std::io::Error>>());
    let headers = [("x-call-report-id", "made up"), ("x-call-id", "call-1")];
    upload(&world, &headers, never_read)
        .await
        .assert_error(404, "10005", "");
}

#[tokio::test]
async fn headers_must_name_the_session_and_the_call() {
    let world = World::new().await;
    log_in(&world, "report-1");
    let long = "x".repeat(129);
    for (headers, status) in [
        (&[][..], 400),
        (&[("x-call-id", "call-1")], 400),
        (&[("x-call-report-id", "report-1")], 400),
        (&[("x-call-report-id", ""), ("x-call-id", "call-1")], 400),
        (&[("x-call-report-id", &long), ("x-call-id", "call-1")], 400),
        (
            &[("x-call-report-id", "report-1"), ("x-call-id", &long)],
            400,
        ),
        (
            &[("x-call-report-id", "report-1"), ("x-call-id", "caf\u{e9}")],
            400,
        ),
        (
            &[
                ("x-call-report-id", "report-1"),
                ("x-call-id", "c"),
                ("x-voice-sdk-id", &long),
            ],
            400,
        ),
    ] {
        let answer = upload(&world, headers, "{}").await;
        answer.assert_error(status, "10015", "");
    }
}

#[tokio::test]
async fn a_report_must_be_json_of_at_most_four_mebibytes() {
    let world = World::new().await;
    log_in(&world, "report-1");
    let headers = [("x-call-report-id", "report-1"), ("x-call-id", "call-1")];
    let text = |len: usize| format!("\"{}\"", "x".repeat(len - 2));
    upload(&world, &headers, text((4 << 20) + 1))
        .await
        .assert_error(413, "10015", "");
    upload(&world, &headers, "")
        .await
        .assert_error(400, "10023", "/");
    upload(&world, &headers, "{")
        .await
        .assert_error(400, "10023", "/");
    upload(&world, &headers, "[".repeat(4 << 20))
        .await
        .assert_error(400, "10023", "/");
    upload(&world, &headers, b"\"\xff\"".to_vec())
        .await
        .assert_error(400, "10028", "");
    assert_eq!(upload(&world, &headers, text(4 << 20)).await.status, 200);
    assert_eq!(
        world
            .store
            .list_call_reports(world.alice.account, "call-1")
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_call_keeps_twenty_reports() {
    let world = World::new().await;
    log_in(&world, "report-1");
    let headers = [("x-call-report-id", "report-1"), ("x-call-id", "call-1")];
    for _ in 0..20 {
        assert_eq!(upload(&world, &headers, "{}").await.status, 200);
    }
    let answer = upload(&world, &headers, "{}").await;
    assert_eq!((answer.status, answer.error().1.as_str()), (422, "10015"));
    let other = [("x-call-report-id", "report-1"), ("x-call-id", "call-2")];
    assert_eq!(upload(&world, &other, "{}").await.status, 200);
}

fn never_ending() -> Body {
    Body::from_stream(futures_util::stream::pending::<Result<&[u8], std::io::Error>>())
}

#[tokio::test]
async fn invented_calls_do_not_get_a_session_more_room() {
    let world = World::new().await;
    log_in(&world, "report-1");
    log_in(&world, "report-2");
    let report = format!("\"{}\"", "x".repeat((4 << 20) - 2));
    let put = async |id: &str, call: usize, body: &str| {
        let call = format!("call-{call}");
        let headers = [("x-call-report-id", id), ("x-call-id", call.as_str())];
        upload(&world, &headers, body.to_owned()).await
    };
    for call in 0..16 {
        assert_eq!(put("report-1", call, &report).await.status, 200);
    }
    let full = put("report-1", 16, "{}").await;
    full.assert_error(429, "10011", "");
    assert_eq!(full.header("retry-after"), "60");
    assert_eq!(put("report-2", 16, "{}").await.status, 200);
}

#[tokio::test]
async fn a_third_upload_at_once_is_told_to_come_back() {
    let world = World::new().await;
    log_in(&world, "report-1");
    log_in(&world, "report-2");
    let (one, two) = (
        [("x-call-report-id", "report-1"), ("x-call-id", "call-1")],
        [("x-call-report-id", "report-2"), ("x-call-id", "call-2")],
    );
    let slow = futures_util::future::join(
        upload(&world, &one, never_ending()),
        upload(&world, &one, never_ending()),
    );
    let others = async {
        let third = upload(&world, &one, "{}").await;
        third.assert_error(429, "10011", "");
        assert_eq!(third.header("retry-after"), "1");
        assert_eq!(upload(&world, &two, "{}").await.status, 200);
    };
    tokio::select! {
        biased;
        _ = slow => panic!("a body without end has ended"),
        () = others => {}
    }
    // Whoever went away no longer counts.
    assert_eq!(upload(&world, &one, "{}").await.status, 200);
}
