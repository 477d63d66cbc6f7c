//! Whatever arrives is answered with 4xx in the envelope, and changes nothing.

use axum::body::{Body, Bytes};
use futures_util::stream;
use ringtrip_api::ROUTES;
use serde_json::{Value, json};

use crate::objects::path_of_alices;
use crate::support::{Answer, World};

const CREDENTIALS: &str = "/v2/telephony_credentials";
const CONNECTIONS: &str = "/v2/credential_connections";

/// Every route that reads its body.
async fn routes_with_bodies(world: &World) -> Vec<(&'static str, String)> {
    let credential = world.credential(json!({"name": "kept"})).await;
    vec![
        ("POST", CREDENTIALS.to_owned()),
        (
            "PATCH",
            format!("{CREDENTIALS}/{}", credential["id"].as_str().unwrap()),
        ),
        ("POST", CONNECTIONS.to_owned()),
        ("PATCH", format!("{CONNECTIONS}/{}", world.alice.connection)),
    ]
}

async fn everything_there_is(world: &World) -> (Value, Value) {
    (
        world.get(&world.alice, CREDENTIALS).await.json(),
        world.get(&world.alice, CONNECTIONS).await.json(),
    )
}

fn assert_4xx(answer: &Answer, what: &str) {
    assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
    let errors = answer.json()["errors"].as_array().unwrap().clone();
    assert!(!errors.is_empty());
    for error in errors {
        let code = error["code"].as_str().unwrap();
        assert!(code.len() == 5 && code.bytes().all(|b| b.is_ascii_digit()));
        assert!(
            error["title"].is_string() && error["detail"].is_string(),
            "{what}: {error}"
        );
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_named_for_what_they_are() {
    let world = World::new().await;
    let routes = routes_with_bodies(&world).await;
    let before = everything_there_is(&world).await;
    let deep = format!("{{\"name\":{}{}}}", "[".repeat(64), "]".repeat(64));
    let endless = "[".repeat(1 << 20);
    for (method, path) in &routes {
        for (body, status, code) in [
            (&b"{"[..], 400, "10023"),
            (b"{\"name\":}", 400, "10023"),
            (b"{} trailing", 400, "10023"),
            (b"name=x&tag=y", 400, "10023"),
            (b"<xml/>", 400, "10023"),
            (b"{\"name\":\"\\ud800\"}", 400, "10023"),
            (b"{\"name\":\"\\udc00\\ud800\"}", 400, "10023"),
            (b"{\"name\":1e400}", 400, "10023"),
            (b"{\"name\":\"raw \0\"}", 400, "10023"),
            (deep.as_bytes(), 400, "10023"),
            (endless.as_bytes(), 400, "10023"),
            (b"{\"name\":\"\xff\"}", 400, "10028"),
            (b"\xff\xfe{\0}\0", 400, "10028"),
            (b"{\"name\":\"\xed\xa0\x80\"}", 400, "10028"),
            (b"null", 422, "10015"),
            (b"[1]", 422, "10015"),
            (b"\"text\"", 422, "10015"),
            (b"17", 422, "10015"),
            (b"{\"name\":\"a\\u0000b\"}", 422, "10015"),
            (b"{\"connection_name\":\"a\\u0000b\"}", 422, "10015"),
            (b"{\"unknown\":{\"deep\":[\"\\u0000\"]}}", 422, "10015"),
            (b"{\"\\u0000\":1}", 422, "10015"),
        ] {
            let answer = world
                .request(&world.alice, method, path, body.to_vec())
                .await;
            let what = format!(
                "{method} {path} {}",
                String::from_utf8_lossy(&body[..body.len().min(60)])
            );
            assert_4xx(&answer, &what);
            assert_eq!(
                (answer.status, answer.error().1.as_str()),
                (status, code),
                "{what}"
            );
        }
    }
    assert_eq!(everything_there_is(&world).await, before);
}

#[tokio::test]
async fn a_forbidden_character_is_found_where_it_is() {
    let world = World::new().await;
    let body = r#"{"outbound":{"localization":"\u0000"}}"#;
    let path = format!("{CONNECTIONS}/{}", world.alice.connection);
    world
        .request(&world.alice, "PATCH", &path, body)
        .await
        .assert_error(422, "10015", "/outbound/localization");
}

#[tokio::test]
async fn bodies_over_one_mebibyte_are_refused_on_every_route() {
    let world = World::new().await;
    for route in ROUTES
        .iter()
        .filter(|route| route.path.starts_with("/v2/") && route.method != "GET")
    {
        let path = path_of_alices(&world, route.path).await;
        let text = format!("{{\"name\":\"{}\"}}", "x".repeat(1 << 20));
        let declared = world
            .request(&world.alice, route.method, &path, text.clone())
            .await;
        assert_4xx(&declared, &path);
        assert_eq!(declared.status, 413, "{route:?}");
        assert_eq!(declared.header("connection"), "close");
        // The same in pieces, without a length that tells beforehand.
        let pieces: Vec<_> = text
            .as_bytes()
            .chunks(65_536)
            .map(|c| Ok::<_, std::io::Error>(Bytes::copy_from_slice(c)))
            .collect();
        let streamed = Body::from_stream(stream::iter(pieces));
        assert_eq!(
            world
                .request(&world.alice, route.method, &path, streamed)
                .await
                .status,
            413,
            "{route:?}"
        );
    }
    // One that just fits is read.
    let padding = " ".repeat((1 << 20) - 2);
    let answer = world
        .request(&world.alice, "POST", CREDENTIALS, format!("{{{padding}}}"))
        .await;
    answer.assert_error(422, "10004", "/connection_id");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let world = World::new().await;
    let pieces = [
        Ok(Bytes::from_static(b"{\"name\"")),
        Err(std::io::Error::other("gone")),
    ];
    let body = Body::from_stream(stream::iter(pieces));
    world
        .request(&world.alice, "POST", CREDENTIALS, body)
        .await
        .assert_error(400, "10015", "");
}

#[tokio::test]
async fn texts_have_a_greatest_length() {
    let world = World::new().await;
    for key in ["name", "tag"] {
        for (length, status) in [(255, 201), (256, 422), (900_000, 422)] {
            let mut body = json!({"connection_id": world.alice.connection});
            body[key] = "é".repeat(length.min(400_000)).into();
            let answer = world.post(&world.alice, CREDENTIALS, body).await;
            assert_eq!(answer.status, status, "{key} {length}");
            if status == 422 {
                answer.assert_error(422, "10015", &format!("/{key}"));
            }
        }
    }
}

#[tokio::test]
async fn metacharacters_are_text() {
    let world = World::new().await;
    for text in [
        "'; DROP TABLE telephony_credentials; --",
        "%",
        "_",
        "\\",
        "\"",
        "a' OR '1'='1",
        "$1",
        "?1",
        "\u{202e}x",
        "\u{feff}",
        "<script>alert(1)</script>",
        "a\nb\tc\r",
        "\u{7f}\u{1}",
    ] {
        let made = world.credential(json!({"name": text, "tag": text})).await;
        assert_eq!(made["name"], *text);
        let encoded: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
        for key in ["name", "tag"] {
            let found = world
                .get(
                    &world.alice,
                    &format!("{CREDENTIALS}?filter[{key}]={encoded}"),
                )
                .await
                .json();
            assert_eq!(found["data"], json!([made]), "{text:?}");
        }
    }
    let all = world.get(&world.alice, CREDENTIALS).await.json();
    assert_eq!(all["meta"]["total_results"], 13);
}

#[tokio::test]
async fn extreme_queries_are_answered_or_refused_but_never_fail() {
    let world = World::new().await;
    world.credential(json!({})).await;
    let long = "x".repeat(8000);
    let many = "filter[tag]=x&".repeat(300);
    for path in [CREDENTIALS, CONNECTIONS] {
        for (query, status) in [
            ("page[number]=0", 400),
            ("page[number]=-1", 400),
            ("page[number]=4294967295&page[size]=250", 200),
            ("page[number]=4294967296", 400),
            ("page[number]=9223372036854775807", 400),
            ("page[number]=99999999999999999999999999", 400),
            ("page[number]=1.0", 400),
            ("page[number]=NaN", 400),
            ("page[number]=", 400),
            ("page[number]=%D9%A1", 400),
            ("page[size]=0", 400),
            ("page[size]=251", 400),
            ("page_size=1000000", 400),
            ("page_number=0&page[number]=1", 400),
            ("sort=;", if path == CONNECTIONS { 400 } else { 200 }),
            ("filter[name]=%00", 422),
            ("filter[name]=%ff", 400),
            ("%ff=1", 400),
            ("filter[name]=%ED%A0%80", 400),
            ("filter[", 200),
            ("filter[]=x", 200),
            ("filter[name", 200),
            ("[[[[=]]]]", 200),
            ("&&&=&=", 200),
            ("%", 200),
            (many.as_str(), 400),
            (
                &format!("filter[name]={long}&filter[connection_name][contains]={long}"),
                200,
            ),
        ] {
            let answer = world.get(&world.alice, &format!("{path}?{query}")).await;
            assert_eq!(answer.status, status, "{path}?{query}: {answer:?}");
            if status >= 400 {
                assert_4xx(&answer, query);
            } else {
                assert!(answer.json()["meta"]["total_results"].is_u64());
            }
        }
        for (query, place) in [
            ("page[number]=0", "page/number"),
            ("page_number=x", "page/number"),
            ("page[size]=251", "page/size"),
        ] {
            world
                .get(&world.alice, &format!("{path}?{query}"))
                .await
                .assert_error(400, "10015", place);
        }
    }
}

#[tokio::test]
async fn other_content_types_are_taken_when_the_body_is_json() {
    let world = World::new().await;
    let send = async |headers: &[(&str, &str)], body: &str| {
        let mut request = axum::http::Request::post(CREDENTIALS)
            .header("authorization", format!("Bearer {}", world.alice.key));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        world
            .send(request.body(Body::from(body.to_owned())).unwrap())
            .await
    };
    let good = json!({"connection_id": world.alice.connection}).to_string();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(send(&form, &good).await.status, 201);
    assert_eq!(send(&[], &good).await.status, 201);
    send(&form, "connection_id=17")
        .await
        .assert_error(415, "10014", "");
    send(&[("content-type", "text/xml")], "<a/>")
        .await
        .assert_error(415, "10014", "");
    send(&[("content-encoding", "gzip")], &good)
        .await
        .assert_error(415, "10014", "");
}
