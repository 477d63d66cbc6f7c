use axum::body::Body;
use axum::http::Request;
use ringtrip_api::{Access, ROUTES};

use crate::objects::{filled, path_of_alices, unknown_id};
use crate::support::{Tenant, World};

#[test]
fn everything_under_v2_needs_a_key_and_little_lies_outside() {
    for route in ROUTES {
        let expected = match route.path {
            "/call_report" => Access::CallReportId,
            "/openapi.json" => Access::Open,
            _ => Access::Key,
        };
        assert_eq!(route.access, expected, "{route:?}");
        assert_eq!(
            route.path.starts_with("/v2/"),
            expected == Access::Key,
            "{route:?}"
        );
    }
}

#[tokio::test]
async fn no_route_answers_without_a_usable_key() {
    let world = World::new().await;
    let unknown = format!("Bearer KEY{}_{}", "0".repeat(32), "a".repeat(22));
    let wrong_secret = format!("Bearer {}_{}", &world.alice.key[..35], "a".repeat(22));
    let basic = format!("Basic {}", world.alice.key);
    let longer = format!("Bearer {}x", world.alice.key);
    let good = format!("Bearer {}", world.alice.key);
    for route in ROUTES.iter().filter(|route| route.access == Access::Key) {
        let path = path_of_alices(&world, route.path).await;
        for (headers, detail) in [
            (&[][..], "find any usable credentials"),
            (&[""], "understand the provided credentials"),
            (&["Bearer"], "understand the provided credentials"),
            (&["Bearer "], "understand the provided credentials"),
            (
                &["Bearer x' OR '1'='1"],
                "understand the provided credentials",
            ),
            (&[&basic], "understand the provided credentials"),
            (&[&longer], "understand the provided credentials"),
            (&[&good, &good], "understand the provided credentials"),
            (&[&unknown], "No key found"),
            (&[&wrong_secret], "No key found"),
        ] {
            let mut request = Request::builder().method(route.method).uri(&path);
            for value in headers {
                request = request.header("authorization", *value);
            }
            let answer = world
                .send(request.body(Body::from("{not json")).unwrap())
                .await;
            answer.assert_error(401, "10009", "");
            let said = answer.json()["errors"][0]["detail"]
                .as_str()
                .unwrap()
                .to_owned();
            assert!(
                said.to_lowercase().contains(&detail.to_lowercase()),
                "{route:?} {headers:?}: {said}"
            );
            assert!(!said.contains(&"a".repeat(22)), "a secret came back");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        let spelled = Request::builder()
            .method(route.method)
            .uri(&path)
            .header("authorization", format!("bearer  {} ", world.alice.key))
            .body(Body::empty())
            .unwrap();
        assert_ne!(world.send(spelled).await.status, 401, "{route:?}");
    }
}

#[tokio::test]
async fn what_belongs_to_another_tenant_looks_like_what_does_not_exist() {
    for route in ROUTES
        .iter()
        .filter(|route| route.path.contains('{') && route.access == Access::Key)
    {
        // Each route gets a world of its own: some of them delete.
        let world = World::new().await;
        let path = path_of_alices(&world, route.path).await;
        let unknown = unknown_id(route.path);
        let body = "{}";
        let foreign = world.request(&world.bob, route.method, &path, body).await;
        foreign.assert_error(404, "10005", "");
        let missing = world
            .request(&world.bob, route.method, &filled(route.path, unknown), body)
            .await;
        assert_eq!(foreign.json(), missing.json(), "{route:?}");
        for id in [
            "x",
            "0",
            "-1",
            "17%20",
            "%00",
            "%ff",
            "..",
            "c215ade3-0d39-418e-94be-c5f780760199x",
            "'%20OR%201=1",
            "{c215ade3-0d39-418e-94be-c5f780760199}",
            "99999999999999999999",
            "%F0%9F%98%80",
        ] {
            let id = id.replace('{', "%7B").replace('}', "%7D");
            let malformed = world
                .request(&world.bob, route.method, &filled(route.path, &id), body)
                .await;
            assert_eq!(malformed.json(), missing.json(), "{route:?} {id}");
            assert_eq!(malformed.status, 404);
        }
        // It is still there for its owner.
        let answer = world.request(&world.alice, route.method, &path, body).await;
        assert!((200..300).contains(&answer.status), "{route:?} {answer:?}");
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once() {
    let world = World::new().await;
    let get = async |tenant: &Tenant| world.get(tenant, "/v2/whoami").await.status;
    assert_eq!(get(&world.alice).await, 200);
    let page = ringtrip_store::Page { number: 1, size: 1 };
    let keys = world.store.list_api_keys(world.alice.account, page).await;
    let key = keys.unwrap().items.remove(0);
    let now = ringtrip_model::Timestamp::from_micros(crate::support::START);
    world
        .store
        .revoke_api_key(world.alice.account, key.id, now)
        .await
        .unwrap();
    assert_eq!(get(&world.alice).await, 401);
    assert_eq!(get(&world.bob).await, 200);
}
