//! Stopping while calls go on.

mod support;

use rustix::process::Signal;
use serde_json::{Value, json};
use support::http::{Http, Rest};
use support::installation::Installation;
use support::phone::{OFFER, Phone, call, people};
use support::soon;

#[tokio::test]
async fn a_call_outlives_the_request_to_stop_and_nothing_new_begins() {
    let installation = Installation::new("");
    let (mut server, key) = installation.start("ops@acme.example");
    let people = people(&mut Rest::connect(server.http, &key).await, 3, &json!({})).await;
    let mut alice = Phone::of(server.http, &people[0]).await;
    let mut bob = Phone::of(server.http, &people[1]).await;
    let mut idle = Phone::of(server.http, &people[2]).await;
    let (mine, theirs) = call(&mut alice, &mut bob).await;
    server.signal(Signal::TERM);

    let (frames, reason) = idle.until_closed().await;
    assert_eq!(
        frames.last().unwrap()["method"],
        "telnyx_rtc.punt",
        "{frames:?}"
    );
    assert_eq!(reason, Some((1012, "server restart".to_owned())));
    let mut http = Http::connect(server.http).await;
    let ready = http.get("/readyz").await;
    assert_eq!(
        (ready.status, ready.text().as_str()),
        (503, "not ready: draining\n")
    );
    assert_eq!(http.get("/livez").await.status, 200);
    let mut operator = Http::connect(server.admin()).await;
    let health = operator.get("/health").await;
    assert_eq!(health.status, 503);
    assert_eq!(health.json()["phase"], "draining");
    assert_eq!(health.json()["calls_active"], 1);

    let mut late = Phone::connect(server.http).await;
    let answer = late.login(json!({"login_token": people[2].0})).await;
    assert_eq!(answer["error"]["code"], -32001, "{answer}");
    assert_eq!(answer["error"]["message"], "Server Is Shutting Down");
    assert_eq!(
        late.until_closed().await.1,
        Some((1012, "server restart".to_owned()))
    );
    let created = alice.invite("late", &people[2].1, OFFER).await;
    assert_eq!(created["result"]["message"], "CALL CREATED");
    let bye = alice.event("telnyx_rtc.bye").await;
    assert_eq!(
        (&bye["callID"], &bye["causeCode"]),
        (&json!("late"), &json!(42))
    );

    // A client that loses its socket in the call comes back to it.
    let sessid = alice.sessid.clone();
    drop(alice);
    let mut alice = Phone::connect(server.http).await;
    let params = json!({"login_token": people[0].0, "sessid": sessid, "reconnection": true});
    let answer = alice.login(params).await;
    assert_eq!(
        answer["result"]["sessid"],
        Value::String(sessid),
        "{answer}"
    );

    assert!(server.is_running());
    assert_eq!(alice.bye(&mine).await["result"]["message"], "CALL ENDED");
    assert_eq!(bob.event("telnyx_rtc.bye").await["callID"], *theirs);
    // With the last call nothing is left to wait for. Nobody is punted: the SDKs may come back.
    for phone in [&mut alice, &mut bob] {
        let (frames, reason) = phone.until_closed().await;
        let punted = frames
            .iter()
            .any(|frame| frame["method"] == "telnyx_rtc.punt");
        assert!(!punted, "{frames:?}");
        assert_eq!(reason, Some((1012, "server restart".to_owned())));
    }
    assert!(server.ended().success());
}

#[tokio::test]
async fn a_second_signal_ends_the_calls_now() {
    let installation = Installation::new("");
    let (mut server, key) = installation.start("ops@acme.example");
    let people = people(&mut Rest::connect(server.http, &key).await, 2, &json!({})).await;
    let mut alice = Phone::of(server.http, &people[0]).await;
    let mut bob = Phone::of(server.http, &people[1]).await;
    call(&mut alice, &mut bob).await;
    server.signal(Signal::TERM);
    let mut http = Http::connect(server.http).await;
    let leave = async { while http.get("/readyz").await.status == 200 {} };
    soon("the node to be no longer ready", leave).await;
    alice.expect_undisturbed().await;
    server.signal(Signal::INT);
    assert_eq!(alice.event("telnyx_rtc.bye").await["causeCode"], 41);
    assert!(server.ended().success());
}

#[tokio::test]
async fn calls_that_outlast_their_time_are_ended() {
    let installation = Installation::new("drain_timeout_secs = 1\n");
    let (mut server, key) = installation.start("ops@acme.example");
    let people = people(&mut Rest::connect(server.http, &key).await, 2, &json!({})).await;
    let mut alice = Phone::of(server.http, &people[0]).await;
    let mut bob = Phone::of(server.http, &people[1]).await;
    call(&mut alice, &mut bob).await;
    server.signal(Signal::TERM);
    assert_eq!(alice.event("telnyx_rtc.bye").await["causeCode"], 41);
    assert!(server.ended().success());
}

#[tokio::test]
async fn an_idle_node_stops_at_once_without_a_punt() {
    let installation = Installation::new("");
    let (mut server, key) = installation.start("ops@acme.example");
    let people = people(&mut Rest::connect(server.http, &key).await, 1, &json!({})).await;
    let mut alice = Phone::of(server.http, &people[0]).await;
    server.signal(Signal::TERM);
    let (frames, reason) = alice.until_closed().await;
    assert_eq!(frames, [] as [Value; 0]);
    assert_eq!(reason, Some((1012, "server restart".to_owned())));
    assert!(server.ended().success());
}
