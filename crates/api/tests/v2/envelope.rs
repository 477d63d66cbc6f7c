//! The envelope of errors, and what every answer has.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use ringtrip_api::ROUTES;

use crate::support::World;

#[tokio::test]
async fn unknown_routes_are_answered_in_the_envelope() {
    let world = World::new().await;
    for path in [
        "/",
        "/v2",
        "/v2/",
        "/v3/whoami",
        "/v2/nothing",
        "/v2/telephony_credentials/a/b/c",
        "/%00",
        "/%ff",
        "/\u{7e}",
        "/v2/WHOAMI",
    ] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"] {
            let request = Request::builder()
                .method(method)
                .uri(path)
                .body(Body::empty())
                .unwrap();
            world.send(request).await.assert_error(404, "10005", "");
        }
    }
}

#[tokio::test]
async fn a_known_resource_without_v2_is_answered_with_a_hint() {
    let world = World::new().await;
    for (path, hinted) in [
        ("/telephony_credentials", true),
        ("/telephony_credentials/x/token", true),
        ("//credential_connections/", true),
        ("/whoami", true),
        ("/v2", false),
        ("/other", false),
    ] {
        let answer = world.get(&world.alice, path).await;
        answer.assert_error(404, "10005", "");
        let detail = answer.json()["errors"][0]["detail"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(detail.contains("/v2/"), hinted, "{path}: {detail}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_named_and_the_right_ones_listed() {
    let world = World::new().await;
    let paths: BTreeSet<_> = ROUTES.iter().map(|route| route.path).collect();
    for path in paths {
        let right: BTreeSet<_> = ROUTES
            .iter()
            .filter(|route| route.path == path)
            .map(|route| route.method)
            .collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"] {
            if right.contains(method) {
                continue;
            }
            let answer = world
                .request(&world.alice, method, &path.replace("{id}", "17"), "{}")
                .await;
            answer.assert_error(405, "10015", "");
            let allowed: BTreeSet<_> = answer
                .header("allow")
                .split(',')
                .filter(|m| *m != "HEAD")
                .collect();
            assert_eq!(allowed, right, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own_and_is_not_to_be_kept() {
    let world = World::new().await;
    let mut seen = BTreeSet::new();
    for path in [
        "/v2/whoami",
        "/v2/nothing",
        "/v2/credential_connections",
        "/v2/telephony_credentials?page[size]=0",
    ] {
        let answer = world.get(&world.alice, path).await;
        let id = answer.header("x-request-id").to_owned();
        assert!(uuid::Uuid::try_parse(&id).is_ok(), "{id}");
        assert!(seen.insert(id));
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("content-type"), "application/json");
    }
}

#[tokio::test]
async fn an_error_is_json_even_when_text_was_asked_for() {
    let world = World::new().await;
    let path = "/v2/telephony_credentials/c215ade3-0d39-418e-94be-c5f780760199/token";
    let request = Request::post(path)
        .header("authorization", format!("Bearer {}", world.alice.key))
        .header("accept", "text/plain")
        .body(Body::empty())
        .unwrap();
    world.send(request).await.assert_error(404, "10005", "");
}

#[tokio::test]
async fn slashes_too_many_do_not_matter() {
    let world = World::new().await;
    let plain = world
        .get(&world.alice, "/v2/credential_connections?page[size]=1")
        .await
        .json();
    for path in [
        "//v2/credential_connections?page[size]=1",
        "/v2//credential_connections?page[size]=1",
        "/v2/credential_connections/?page[size]=1",
        "///v2///credential_connections///?page[size]=1",
    ] {
        assert_eq!(world.get(&world.alice, path).await.json(), plain, "{path}");
    }
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let world = World::new().await;
    let get = world.get(&world.alice, "/v2/whoami").await;
    let head = world
        .request(&world.alice, "HEAD", "/v2/whoami", Body::empty())
        .await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), get.body.len().to_string());
}

#[tokio::test]
async fn a_closed_store_is_unavailable_and_may_be_tried_again() {
    let world = World::new().await;
    world.store.close().await;
    let answer = world
        .post(
            &world.alice,
            "/v2/telephony_credentials",
            serde_json::json!({"connection_id": world.alice.connection}),
        )
        .await;
    answer.assert_error(503, "10007", "");
    assert_eq!(answer.header("retry-after"), "1");
}
