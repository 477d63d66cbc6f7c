//! Nonsense of every sort for every route of the table, made from the document. Whatever is not as the document
//! says is answered with 4xx in the envelope, at the place of the fault, and changes nothing.

use std::collections::BTreeSet;
use std::fmt::Write;

use axum::body::Body;
use axum::http::Request;
use ringtrip_api::{Access, ROUTES, Route};
use serde_json::{Map, Value, json};

use crate::document::{operation, validator};
use crate::objects::{filled, object_of_alices, path_of_alices, resource, unknown_id};
use crate::support::{Answer, World};

/// Text that means something to a database, a file system, a shell, a browser or a printer.
pub(crate) const METACHARACTERS: &[&str] = &[
    "'; DROP TABLE accounts; --",
    "' OR '1'='1",
    "\" OR \"\"=\"",
    "\\'; --",
    "$1",
    "?1",
    "%",
    "_%_",
    "*)(|(a=*",
    "../../../../etc/passwd",
    "..\\..\\windows",
    "/dev/null",
    "`id`$(id)|id;id&",
    "{{7*7}}${7*7}<%=7*7%>",
    "<script>alert(1)</script>",
    "a\r\nset-cookie: b=c",
    "\u{feff}\u{202e}\u{200d}",
    "\u{1f468}\u{200d}\u{1f469}",
    "\u{7f}\u{1b}[31m",
    "NaN",
    "-Infinity",
    "null",
    "undefined",
    "0x7fffffffffffffff",
    "9223372036854775808",
    "1e308",
];

/// What is no page and no size of one.
pub(crate) const PAGES: &[&str] = &[
    "0",
    "-1",
    "1.5",
    "1e3",
    "",
    "%20",
    "x",
    "NaN",
    "0x10",
    "%D9%A1",
    "99999999999999999999999999999999",
    "9223372036854775808",
    "1;DROP%20TABLE%20accounts",
];

fn keyed_routes() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.access == Access::Key)
}

/// Returns the schema of the object that a route reads, if it reads one.
fn body_schema(route: &Route) -> Option<&'static Value> {
    let (_, operation) = operation(route.method, route.path).unwrap();
    operation.pointer("/requestBody/content/application~1json/schema")
}

/// Returns the query parameters of a route.
fn query_parameters(route: &Route) -> Vec<&'static Value> {
    let (_, operation) = operation(route.method, route.path).unwrap();
    let parameters = operation["parameters"].as_array();
    parameters
        .into_iter()
        .flatten()
        .filter(|parameter| parameter["in"] == "query")
        .collect()
}

/// Lists every field of an object, nested ones after those that hold them, by JSON pointer.
fn fields(schema: &'static Value) -> Vec<(String, &'static Value)> {
    fn walk(schema: &'static Value, prefix: &str, found: &mut Vec<(String, &'static Value)>) {
        for (key, field) in schema["properties"].as_object().into_iter().flatten() {
            let pointer = format!("{prefix}/{key}");
            found.push((pointer.clone(), field));
            walk(field, &pointer, found);
        }
    }
    let mut found = Vec::new();
    walk(schema, "", &mut found);
    found
}

/// Makes the object that holds `value` at a pointer, and nothing else.
fn body_with(pointer: &str, value: Value) -> Value {
    let keys = pointer.rsplit('/').filter(|key| !key.is_empty());
    keys.fold(value, |value, key| {
        Value::Object(Map::from_iter([(key.to_owned(), value)]))
    })
}

/// Values of which a field refuses those that its schema does.
pub(crate) fn candidates() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!("true"),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(4_294_967_295_u64),
        json!(4_294_967_296_u64),
        json!(9_007_199_254_740_993_u64),
        json!(18_446_744_073_709_551_615_u64),
        json!(-9_223_372_036_854_775_808_i64),
        json!(1e308),
        json!("17"),
        json!("no such word"),
        json!("x".repeat(100_000)),
        json!(["x"]),
        json!([1]),
        json!([null]),
        json!([["x"]]),
        json!([{"x": 1}]),
        json!(vec!["x"; 10_000]),
        json!({"no such field": {}}),
    ]
}

/// Bodies that are no object, and how they are answered.
pub(crate) fn no_objects() -> Vec<(String, u16)> {
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(64), "]".repeat(64));
    let bodies = [
        ("{", 400),
        ("{\"x\":}", 400),
        ("{} {}", 400),
        ("x=1", 400),
        (deep.as_str(), 400),
        ("\u{feff}{}", 400),
        ("null", 422),
        ("true", 422),
        ("17", 422),
        ("\"{}\"", 422),
        ("[{}]", 422),
    ];
    bodies
        .map(|(body, status)| (body.to_owned(), status))
        .into()
}

/// An object that is larger than any may be.
pub(crate) fn too_large() -> String {
    format!("{{\"x\":\"{}\"}}", "x".repeat(1 << 20))
}

/// Everything that the lists of the API show, of both tenants.
async fn everything_there_is(world: &World) -> Vec<(String, Value)> {
    let mut seen = Vec::new();
    for route in keyed_routes().filter(|route| route.method == "GET" && !route.path.contains('{')) {
        // Tells of one user, and there is none of the name that is filled in.
        if route.path == "/v2/sip_registration_status" {
            continue;
        }
        let path = format!("{}{}", route.path, required_query(route));
        for tenant in [&world.alice, &world.bob] {
            let answer = world.get(tenant, &path).await;
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            seen.push((path.clone(), answer.json()));
        }
    }
    seen
}

/// Fills in the query parameters that a route needs, as a query string.
fn required_query(route: &Route) -> String {
    let mut query = String::new();
    for parameter in query_parameters(route)
        .iter()
        .filter(|parameter| parameter["required"] == true)
    {
        let value = parameter["schema"]["enum"][0].as_str().unwrap_or("x");
        let mark = if query.is_empty() { '?' } else { '&' };
        write!(
            query,
            "{mark}{}={value}",
            parameter["name"].as_str().unwrap()
        )
        .unwrap();
    }
    query
}

pub(crate) fn assert_refused(answer: &Answer, what: &str) {
    assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
    assert!(
        !answer.json()["errors"].as_array().unwrap().is_empty(),
        "{what}"
    );
}

/// Asserts that an answer refuses a field: 422, and that the place of an error is the field or lies within.
pub(crate) fn assert_refuses_field(answer: &Answer, pointer: &str, what: &str) {
    assert_eq!(answer.status, 422, "{what}: {answer:?}");
    let body = answer.json();
    let mut places = body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|error| error["source"]["pointer"].as_str());
    let within = |place: &str| place == pointer || place.starts_with(&format!("{pointer}/"));
    assert!(
        places.any(within),
        "{what}: no error names {pointer}: {answer:?}"
    );
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        write!(encoded, "%{byte:02X}").unwrap();
    }
    encoded
}

pub(crate) fn shortened(value: &Value) -> String {
    let text = value.to_string();
    text.chars().take(80).collect()
}

#[tokio::test]
async fn a_field_of_a_wrong_type_or_out_of_bounds_is_named_and_nothing_is_written() {
    let world = World::new().await;
    for route in keyed_routes() {
        let Some(schema) = body_schema(route) else {
            continue;
        };
        let path = path_of_alices(&world, route.path).await;
        let before = everything_there_is(&world).await;
        for (pointer, field) in fields(schema) {
            let valid = validator(field, false);
            let bounds =
                [("minimum", -1), ("maximum", 1)]
                    .into_iter()
                    .filter_map(|(bound, step)| {
                        let at = field[bound].as_i64()?;
                        Some(json!(at + step))
                    });
            let long = field["maxLength"]
                .as_u64()
                .map(|max| json!("é".repeat(usize::try_from(max).unwrap() + 1)));
            for value in candidates().into_iter().chain(bounds).chain(long) {
                if valid.is_valid(&value) {
                    continue;
                }
                let what = format!(
                    "{} {} {pointer} {}",
                    route.method,
                    route.path,
                    shortened(&value)
                );
                let body = body_with(&pointer, value).to_string();
                let answer = world.request(&world.alice, route.method, &path, body).await;
                assert_refuses_field(&answer, &pointer, &what);
            }
        }
        assert_eq!(everything_there_is(&world).await, before, "{route:?}");
    }
}

#[tokio::test]
async fn characters_that_no_text_has_are_refused_in_every_field() {
    let world = World::new().await;
    for route in keyed_routes() {
        let Some(schema) = body_schema(route) else {
            continue;
        };
        let path = path_of_alices(&world, route.path).await;
        let before = everything_there_is(&world).await;
        for (pointer, _) in fields(schema) {
            let template = body_with(&pointer, "@".into()).to_string();
            for (text, status, code) in [
                (&b"\"a\\u0000b\""[..], 422, "10015"),
                (b"\"\\ud800\"", 400, "10023"),
                (b"\"\\udfff\\ud800\"", 400, "10023"),
                (b"\"\0\"", 400, "10023"),
                (b"\"\xff\"", 400, "10028"),
                (b"\"\xed\xa0\x80\"", 400, "10028"),
                (b"\"\xf4\x90\x80\x80\"", 400, "10028"),
                (b"1e999", 400, "10023"),
            ] {
                let (head, tail) = template.split_once("\"@\"").unwrap();
                let body = [head.as_bytes(), text, tail.as_bytes()].concat();
                let answer = world.request(&world.alice, route.method, &path, body).await;
                let place = match status {
                    422 => pointer.as_str(),
                    _ if code == "10023" => "/",
                    _ => "",
                };
                answer.assert_error(status, code, place);
            }
        }
        assert_eq!(everything_there_is(&world).await, before, "{route:?}");
    }
}

#[tokio::test]
async fn metacharacters_in_a_field_are_text_or_refused() {
    let world = World::new().await;
    for route in keyed_routes() {
        let Some(schema) = body_schema(route) else {
            continue;
        };
        for (pointer, _) in fields(schema) {
            let path = path_of_alices(&world, route.path).await;
            for text in METACHARACTERS {
                for value in [json!(text), json!([text])] {
                    let what = format!("{} {} {pointer} {value}", route.method, route.path);
                    let body = body_with(&pointer, value).to_string();
                    let answer = world.request(&world.alice, route.method, &path, body).await;
                    assert!(answer.status < 500, "{what}: {answer:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn bodies_that_are_no_object_or_too_large_are_refused_on_every_route() {
    let world = World::new().await;
    for route in keyed_routes() {
        let path = path_of_alices(&world, route.path).await;
        let before = everything_there_is(&world).await;
        if route.method != "GET" {
            let answer = world
                .request(&world.alice, route.method, &path, too_large())
                .await;
            assert_eq!(answer.status, 413, "{route:?}: {answer:?}");
        }
        if body_schema(route).is_some() {
            for (body, status) in no_objects() {
                let answer = world
                    .request(&world.alice, route.method, &path, body.clone())
                    .await;
                assert_eq!(answer.status, status, "{route:?} {body}: {answer:?}");
            }
        }
        assert_eq!(everything_there_is(&world).await, before, "{route:?}");
    }
}

#[tokio::test]
async fn what_a_body_says_does_not_tell_a_foreign_object_from_an_unknown_one() {
    let world = World::new().await;
    for route in keyed_routes().filter(|route| route.path.contains('{')) {
        let path = path_of_alices(&world, route.path).await;
        let unknown = filled(route.path, unknown_id(route.path));
        let before = everything_there_is(&world).await;
        let mut bodies = vec![
            "".to_owned(),
            "{}".to_owned(),
            "{".to_owned(),
            "17".to_owned(),
        ];
        for (pointer, _) in body_schema(route).map(fields).into_iter().flatten() {
            for value in [json!(17), json!("x"), json!({"x": 1}), Value::Null] {
                bodies.push(body_with(&pointer, value).to_string());
            }
        }
        for body in bodies {
            let mut said = Vec::new();
            for (who, path) in [
                (&world.bob, &path),
                (&world.bob, &unknown),
                (&world.alice, &unknown),
            ] {
                let answer = world.request(who, route.method, path, body.clone()).await;
                assert!(
                    (400..500).contains(&answer.status),
                    "{route:?} {body}: {answer:?}"
                );
                said.push((answer.status, answer.json()));
            }
            assert!(
                said.iter().all(|one| *one == said[0]),
                "{route:?} {body}: {said:?}"
            );
            if serde_json::from_str::<Map<String, Value>>(&body).is_ok() {
                assert_eq!(said[0].0, 404, "{route:?} {body}: {said:?}");
            }
        }
        assert_eq!(everything_there_is(&world).await, before, "{route:?}");
    }
}

/// Returns the ids of one thing of each resource, of Bob's.
async fn ids_of_bobs(world: &mut World) -> Vec<String> {
    std::mem::swap(&mut world.alice, &mut world.bob);
    let mut ids = Vec::new();
    let mut seen = BTreeSet::new();
    for route in keyed_routes().filter(|route| route.path.contains('{')) {
        if seen.insert(resource(route.path)) {
            ids.push(object_of_alices(world, route.path).await);
        }
    }
    std::mem::swap(&mut world.alice, &mut world.bob);
    ids
}

#[tokio::test]
async fn a_foreign_id_in_a_field_looks_like_an_unknown_one() {
    let mut world = World::new().await;
    let foreign = ids_of_bobs(&mut world).await;
    let mut tried = 0;
    for route in keyed_routes() {
        let Some(schema) = body_schema(route) else {
            continue;
        };
        let path = path_of_alices(&world, route.path).await;
        for (pointer, field) in fields(schema) {
            let valid = validator(field, false);
            if field["format"] != "uuid" && field["pattern"] != "^[1-9][0-9]{0,18}$" {
                continue;
            }
            for id in foreign.iter().filter(|id| valid.is_valid(&json!(id))) {
                let unknown = if field["format"] == "uuid" {
                    "c215ade3-0d39-418e-94be-c5f780760199"
                } else {
                    "1293384261075731499"
                };
                let mut said = Vec::new();
                for id in [id, unknown] {
                    let body = body_with(&pointer, id.into()).to_string();
                    let answer = world.request(&world.alice, route.method, &path, body).await;
                    let errors = (answer.status >= 400).then(|| answer.json());
                    said.push((answer.status, errors));
                }
                assert_eq!(said[0], said[1], "{route:?} {pointer} {id}");
                tried += 1;
            }
        }
    }
    assert!(tried >= 4, "only {tried} ids were tried");
}

#[tokio::test]
async fn without_a_key_nothing_is_read_and_nothing_is_told() {
    let world = World::new().await;
    for route in keyed_routes() {
        let path = path_of_alices(&world, route.path).await;
        let before = everything_there_is(&world).await;
        for body in ["", "{}", "{", "\u{0}"] {
            let request = Request::builder().method(route.method).uri(&path);
            let answer = world.send(request.body(Body::from(body)).unwrap()).await;
            answer.assert_error(401, "10009", "");
        }
        assert_eq!(everything_there_is(&world).await, before, "{route:?}");
    }
}

#[tokio::test]
async fn pages_out_of_range_are_refused_on_every_list() {
    let world = World::new().await;
    let mut lists = 0;
    for route in keyed_routes() {
        let path = path_of_alices(&world, route.path).await;
        let required = required_query(route);
        let mark = if required.is_empty() { '?' } else { '&' };
        for parameter in query_parameters(route) {
            let name = parameter["name"].as_str().unwrap();
            if !name.starts_with("page") || parameter["schema"]["type"] != "integer" {
                continue;
            }
            lists += 1;
            let beyond = parameter["schema"]["maximum"].as_u64().unwrap() + 1;
            for value in PAGES.iter().copied().chain([&*beyond.to_string()]) {
                let path = format!("{path}{required}{mark}{name}={value}");
                let answer = world.get(&world.alice, &path).await;
                assert!(matches!(answer.status, 400 | 422), "{path}: {answer:?}");
                assert_refused(&answer, &path);
            }
            let most = parameter["schema"]["maximum"].as_u64().unwrap();
            let path = format!("{path}{required}{mark}{name}={most}");
            assert_eq!(world.get(&world.alice, &path).await.status, 200, "{path}");
        }
    }
    assert!(lists >= 8, "only {lists} paging parameters were tried");
}

#[tokio::test]
async fn queries_that_make_no_sense_are_answered_or_refused_but_never_fail() {
    let world = World::new().await;
    for route in keyed_routes().filter(|route| route.method == "GET") {
        let path = path_of_alices(&world, route.path).await;
        let required = required_query(route);
        let mark = if required.is_empty() { '?' } else { '&' };
        for parameter in query_parameters(route) {
            let name = parameter["name"].as_str().unwrap();
            let at = format!("{path}{required}{mark}{name}");
            for (value, status) in [("a%00b", 422), ("%ff", 400), ("%ED%A0%80", 400)] {
                let answer = world.get(&world.alice, &format!("{at}={value}")).await;
                assert_eq!(answer.status, status, "{at}={value}: {answer:?}");
            }
            for text in METACHARACTERS
                .iter()
                .copied()
                .chain([&*"x".repeat(8000), ""])
            {
                let value = encoded(text);
                let answer = world.get(&world.alice, &format!("{at}={value}")).await;
                assert!(answer.status < 500, "{at}={value}: {answer:?}");
                let words = parameter["schema"]["enum"].as_array();
                let listed = words.is_none_or(|words| words.iter().any(|word| word == text));
                if !listed {
                    assert_refused(&answer, &format!("{at}={value}"));
                }
            }
        }
        if !query_parameters(route).is_empty() {
            let many = "filter[x]=x&".repeat(300);
            let answer = world.get(&world.alice, &format!("{path}?{many}")).await;
            assert_refused(&answer, &path);
        }
        for query in [
            "filter[",
            "filter[]=x",
            "[[[=]]]",
            "&&&=&=",
            "%",
            "%zz",
            "page[number]",
            "sort",
        ] {
            let answer = world
                .get(&world.alice, &format!("{path}{required}{mark}{query}"))
                .await;
            assert!(answer.status < 500, "{path} {query}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn every_word_that_the_document_lists_is_taken() {
    let world = World::new().await;
    for route in keyed_routes() {
        let path = path_of_alices(&world, route.path).await;
        let required = required_query(route);
        let mark = if required.is_empty() { '?' } else { '&' };
        for parameter in query_parameters(route) {
            let name = parameter["name"].as_str().unwrap();
            let schema = &parameter["schema"];
            for listed in [&schema["enum"], &schema["items"]["enum"]] {
                for word in listed
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                {
                    let at = format!("{path}{required}{mark}{name}={}", encoded(word));
                    let answer = world.get(&world.alice, &at).await;
                    // A word may ask for something that is not there; it is understood all the same.
                    assert!(matches!(answer.status, 200 | 404), "{at}: {answer:?}");
                }
            }
        }
        for (pointer, field) in body_schema(route).map(fields).into_iter().flatten() {
            for word in field["enum"].as_array().into_iter().flatten() {
                let body = body_with(&pointer, word.clone()).to_string();
                let answer = world.request(&world.alice, route.method, &path, body).await;
                if answer.status == 422 {
                    let said = answer.json();
                    let mut errors = said["errors"].as_array().unwrap().iter();
                    // What else the word needs is another matter.
                    let unknown = errors.any(|error| {
                        let detail = error["detail"].as_str().unwrap();
                        error["source"]["pointer"] == pointer
                            && detail.starts_with("Must be one of")
                    });
                    assert!(!unknown, "{route:?} {pointer} {word}: {answer:?}");
                }
            }
        }
    }
}
