//! Pages of any origin may call the API: only the key in a header gives access.

use axum::body::Body;
use axum::http::Request;

use crate::support::{Answer, World};

fn assert_open(answer: &Answer) {
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(
        !answer
            .headers
            .contains_key("access-control-allow-credentials")
    );
}

async fn preflight(world: &World, path: &str, method: &str, headers: Option<&str>) -> Answer {
    let mut request = Request::options(path)
        .header("origin", "https://dashboard.example")
        .header("access-control-request-method", method);
    if let Some(headers) = headers {
        request = request.header("access-control-request-headers", headers);
    }
    world.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_preflight_is_answered_for_any_origin_method_and_header() {
    let world = World::new().await;
    let sdk = "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-retry-count,x-stainless-timeout";
    let report = "content-type,x-call-id,x-call-report-id,x-voice-sdk-id";
    for (path, method, headers) in [
        ("/v2/telephony_credentials", "POST", Some(sdk)),
        ("/v2/telephony_credentials/17/", "PATCH", Some(sdk)),
        (
            "/v2/credential_connections/17",
            "DELETE",
            Some("x-something-new"),
        ),
        ("/call_report", "POST", Some(report)),
        ("/v2/whoami", "GET", None),
        ("/nothing/here", "PUT", None),
    ] {
        let answer = preflight(&world, path, method, headers).await;
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{path}");
        assert_open(&answer);
        assert_eq!(answer.header("access-control-allow-methods"), method);
        assert_eq!(
            answer.header("access-control-allow-headers"),
            headers.unwrap_or_default()
        );
        assert!(!answer.header("access-control-max-age").is_empty());
    }
}

#[tokio::test]
async fn every_answer_can_be_read_by_the_page_that_asked() {
    let world = World::new().await;
    for (path, status) in [
        ("/v2/whoami", 200),
        ("/v2/nothing", 404),
        ("/v2/telephony_credentials?page_size=0", 400),
    ] {
        let answer = world.get(&world.alice, path).await;
        assert_eq!(answer.status, status);
        assert_open(&answer);
    }
    let without_key = Request::get("/v2/whoami")
        .header("origin", "null")
        .body(Body::empty())
        .unwrap();
    let answer = world.send(without_key).await;
    assert_eq!(answer.status, 401);
    assert_open(&answer);
    let wrong_method = world.request(&world.alice, "PUT", "/v2/whoami", "").await;
    assert_eq!(wrong_method.status, 405);
    assert_open(&wrong_method);
}

#[tokio::test]
async fn options_without_a_question_lists_the_methods() {
    let world = World::new().await;
    let request = Request::options("/v2/telephony_credentials")
        .body(Body::empty())
        .unwrap();
    let answer = world.send(request).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    let mut allowed: Vec<_> = answer.header("allow").split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "OPTIONS", "POST"]);
}
