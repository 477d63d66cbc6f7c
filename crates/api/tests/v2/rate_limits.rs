//! How often a key, and a source without one, may ask.

use std::net::IpAddr;

use axum::body::Body;
use axum::http::Request;
use ringtrip_api::{Peer, RateLimits};

use crate::support::{Answer, World};

async fn limited(per_key: u32, per_source: u32) -> World {
    World::limited(RateLimits {
        per_key,
        per_source,
    })
    .await
}

/// Asks with the text of an `Authorization` header, or without one, from an address.
async fn ask(world: &World, authorization: Option<&str>, source: &str, path: &str) -> Answer {
    let mut request = Request::get(path).extension(Peer {
        source: source.parse::<IpAddr>().unwrap(),
        secure: false,
    });
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    world.send(request.body(Body::empty()).unwrap()).await
}

fn standing(answer: &Answer) -> [&str; 3] {
    ["limit", "remaining", "reset"].map(|what| answer.header(&format!("x-ratelimit-{what}")))
}

#[tokio::test]
async fn a_key_sees_how_it_stands_and_is_refused_beyond_its_rate() {
    let world = limited(2, 0).await;
    // The world's own requests have gone by.
    world.advance_secs(60);
    for remaining in (0..20).rev() {
        let answer = world.get(&world.alice, "/v2/whoami").await;
        assert_eq!(answer.status, 200);
        let reset = (20 - remaining as u32).div_ceil(2).to_string();
        assert_eq!(standing(&answer), ["20", &remaining.to_string(), &reset]);
    }
    let answer = world.get(&world.alice, "/v2/whoami").await;
    answer.assert_error(429, "10011", "");
    assert_eq!(standing(&answer), ["20", "0", "10"]);
    assert_eq!(answer.header("retry-after"), "1");
    // Another key is not concerned, and time heals.
    assert_eq!(world.get(&world.bob, "/v2/whoami").await.status, 200);
    world.advance_secs(1);
    assert_eq!(world.get(&world.alice, "/v2/whoami").await.status, 200);
    assert_eq!(world.get(&world.alice, "/v2/whoami").await.status, 200);
    assert_eq!(world.get(&world.alice, "/v2/whoami").await.status, 429);
}

#[tokio::test]
async fn a_refused_request_does_nothing() {
    let world = limited(1, 0).await;
    world.advance_secs(60);
    while world.get(&world.alice, "/v2/whoami").await.status == 200 {}
    let body = serde_json::json!({"connection_id": world.alice.connection});
    let answer = world
        .post(&world.alice, "/v2/telephony_credentials", body)
        .await;
    answer.assert_error(429, "10011", "");
    world.advance_secs(60);
    let list = world.get(&world.alice, "/v2/telephony_credentials").await;
    assert_eq!(list.json()["meta"]["total_results"], 0);
}

#[tokio::test]
async fn a_source_is_refused_beyond_its_rate_whatever_it_shows() {
    let world = limited(100, 1).await;
    let unknown = format!("Bearer KEY{}_{}", "0".repeat(32), "a".repeat(22));
    // Where nobody looks at a key, a good one helps nobody.
    let good = format!("Bearer {}", world.alice.key);
    for (source, authorization, path) in [
        ("203.0.113.1", None, "/v2/whoami"),
        ("203.0.113.2", Some("Bearer nonsense"), "/v2/whoami"),
        ("203.0.113.3", Some("Basic eDp5"), "/v2/whoami"),
        ("203.0.113.4", Some(unknown.as_str()), "/v2/whoami"),
        ("203.0.113.5", None, "/v2/no_such_thing"),
        ("203.0.113.6", Some(good.as_str()), "/v2/no_such_thing"),
        ("2001:db8::1", None, "/v2/whoami"),
    ] {
        for remaining in (0..10).rev() {
            let answer = ask(&world, authorization, source, path).await;
            assert!(matches!(answer.status, 401 | 404), "{answer:?}");
            let [limit, left, _] = standing(&answer);
            assert_eq!((limit, left), ("10", remaining.to_string().as_str()));
        }
        let answer = ask(&world, authorization, source, path).await;
        answer.assert_error(429, "10011", "");
        assert_eq!(answer.header("retry-after"), "1");
    }
    // An IPv6 customer has a whole network; the neighbour has another one.
    let answer = ask(&world, None, "2001:db8::ffff", "/v2/whoami").await;
    assert_eq!(answer.status, 429);
    let answer = ask(&world, None, "2001:db8:0:1::1", "/v2/whoami").await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn a_good_key_is_not_locked_out_by_a_guesser_beside_it() {
    let world = limited(100, 1).await;
    let good = format!("Bearer {}", world.alice.key);
    let source = "203.0.113.9";
    while ask(&world, None, source, "/v2/whoami").await.status != 429 {}
    let answer = ask(&world, Some(&good), source, "/v2/whoami").await;
    assert_eq!(answer.status, 200);
    // A key that nobody has used lately has to wait, since looking it up is what a flood would cost.
    let unknown = format!("Bearer KEY{}_{}", "0".repeat(32), "a".repeat(22));
    let answer = ask(&world, Some(&unknown), source, "/v2/whoami").await;
    assert_eq!(answer.status, 429);
}

#[tokio::test]
async fn without_limits_nothing_is_said_of_them() {
    let world = World::new().await;
    let answer = world.get(&world.alice, "/v2/whoami").await;
    assert_eq!(standing(&answer), ["", "", ""]);
}

#[tokio::test]
async fn call_reports_and_preflights_do_not_count_against_their_source() {
    let world = limited(0, 1).await;
    for _ in 0..50 {
        let report = Request::post("/call_report").body(Body::empty()).unwrap();
        assert_eq!(world.send(report).await.status, 400);
        let preflight = Request::options("/v2/whoami")
            .header("origin", "https://app.example")
            .header("access-control-request-method", "GET");
        let preflight = preflight.body(Body::empty()).unwrap();
        assert_eq!(world.send(preflight).await.status, 204);
    }
}
