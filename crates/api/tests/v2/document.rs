//! The OpenAPI document: it says of every route what is true, no more loosely than the contract does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use ringtrip_api::{Access, ROUTES, document};
use serde_json::{Map, Value, json};

use crate::support::{Answer, World};

/// The document, parsed.
pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(document()).unwrap());

/// Returns the operation that a method and a plain path belong to, and its path as the table writes it.
pub(crate) fn operation(method: &str, path: &str) -> Option<(&'static str, &'static Value)> {
    let segments: Vec<_> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    let matches = |template: &str| {
        let parts: Vec<_> = template.split('/').skip(1).collect();
        parts.len() == segments.len()
            && parts
                .iter()
                .zip(&segments)
                .all(|(part, segment)| part.starts_with('{') || part == segment)
    };
    let method = if method == "HEAD" { "GET" } else { method };
    let fitting = ROUTES.iter().filter(|route| matches(route.path));
    // What is spelled out wins over what stands in braces, whatever the method.
    let path = fitting
        .min_by_key(|route| route.path.matches('{').count())?
        .path;
    let route = ROUTES
        .iter()
        .find(|route| route.method == method && route.path == path)?;
    let operation = &DOCUMENT["paths"][route.path][method.to_ascii_lowercase()];
    assert!(operation.is_object(), "{route:?} is not in the document");
    Some((route.path, operation))
}

/// Returns the method and the operation of a route that has an id in its path, by that path.
pub(crate) fn operation_of_path(path: &str) -> (&'static str, &'static Value) {
    let methods = DOCUMENT["paths"][path].as_object().unwrap();
    let (method, operation) = methods.iter().next().unwrap();
    (method, operation)
}

/// Follows a reference within the document.
pub(crate) fn resolved(schema: &'static Value) -> &'static Value {
    match schema["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').unwrap();
            let found = DOCUMENT.pointer(pointer);
            resolved(found.unwrap_or_else(|| panic!("{reference} leads nowhere")))
        }
        None => schema,
    }
}

/// Asserts that an answer is one that the document tells of: status, content type, headers, body. An answer
/// of no operation must be an error in the envelope.
pub(crate) fn assert_documented(method: &str, path: &str, answer: &Answer) {
    let status = answer.status.to_string();
    let Some((template, operation)) = operation(method, path) else {
        // The portal's own routes are not part of the public interface.
        if method != "OPTIONS" && !path.starts_with("/portal/") {
            assert!(answer.status >= 400, "{method} {path}: {answer:?}");
            assert_fits(
                "error",
                &DOCUMENT["components"]["responses"]["NotFound"],
                method,
                answer,
            );
        }
        return;
    };
    let declared = &operation["responses"][&status];
    assert!(
        declared.is_object(),
        "{method} {template} answers with {status}, which the document does not tell of: {answer:?}"
    );
    assert_fits(
        &format!("{method} {template} {status}"),
        resolved(declared),
        method,
        answer,
    );
}

fn assert_fits(what: &str, declared: &'static Value, method: &str, answer: &Answer) {
    for (name, header) in declared["headers"].as_object().unwrap() {
        let header = resolved(header);
        let value = answer.header(name);
        assert!(
            !value.is_empty() || header["required"] != true,
            "{what}: the header {name} is missing"
        );
    }
    if method == "HEAD" {
        return;
    }
    let Some(contents) = declared["content"].as_object() else {
        assert!(answer.body.is_empty(), "{what}: {answer:?}");
        return;
    };
    let content_type = answer.header("content-type").split(';').next().unwrap();
    let content = contents
        .get(content_type)
        .unwrap_or_else(|| panic!("{what} has the content type {content_type:?}"));
    let value = if content_type.ends_with("json") {
        serde_json::from_slice(&answer.body).unwrap()
    } else {
        Value::String(String::from_utf8(answer.body.to_vec()).unwrap())
    };
    // What a schema does not name may not come: the document must tell of it.
    let mut validators = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner);
    let validator = validators
        .entry(what.to_owned())
        .or_insert_with(|| validator(&content["schema"], true));
    if let Some(error) = validator.iter_errors(&value).next() {
        panic!(
            "{what} does not fit its schema: {error}, at {} of {value}",
            error.instance_path()
        );
    }
}

static VALIDATORS: LazyLock<Mutex<BTreeMap<String, Validator>>> = LazyLock::new(Mutex::default);

/// Builds the validator of a schema in the document; a closed one lets objects have no other properties than
/// those that are named.
pub(crate) fn validator(schema: &Value, closed: bool) -> Validator {
    assert!(schema.is_object(), "{schema} is no schema");
    let mut schema = schema.clone();
    schema["components"] = json!({"schemas": DOCUMENT["components"]["schemas"]});
    if closed {
        close(&mut schema);
    }
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap()
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("properties").is_some_and(Value::is_object)
                && object.get("type").is_some()
                && !object.contains_key("additionalProperties")
            {
                object.insert("additionalProperties".to_owned(), false.into());
            }
            object.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn operations() -> impl Iterator<Item = (&'static str, &'static str, &'static Map<String, Value>)> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap();
        methods.iter().map(move |(method, operation)| {
            (
                path.as_str(),
                method.as_str(),
                operation.as_object().unwrap(),
            )
        })
    })
}

#[test]
fn the_checked_in_document_is_what_the_code_says() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../openapi/v2.json");
    if std::env::var_os("RINGTRIP_WRITE_OPENAPI").is_some() {
        std::fs::write(&path, document()).unwrap();
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = checked_in
        .lines()
        .zip(document().lines())
        .position(|(have, want)| have != want);
    assert!(
        checked_in == document(),
        "openapi/v2.json differs from line {}; `make openapi` writes it anew",
        differs.map_or(0, |line| line + 1)
    );
}

#[test]
fn every_route_is_an_operation_with_an_id_of_its_own() {
    let described: BTreeSet<_> = operations()
        .map(|(path, method, _)| (path, method.to_ascii_uppercase()))
        .collect();
    let routes: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| (route.path, route.method.to_owned()))
        .collect();
    assert_eq!(described, routes);
    let ids: BTreeSet<_> = operations()
        .map(|(_, _, operation)| operation["operationId"].as_str())
        .collect();
    assert_eq!(ids.len(), ROUTES.len());
}

#[test]
fn an_operation_needs_a_key_where_its_route_does() {
    for route in ROUTES {
        let (_, operation) = operation(route.method, route.path).unwrap();
        let needs_key = operation["security"] == json!([{"ApiKey": []}]);
        assert_eq!(needs_key, route.access == Access::Key, "{route:?}");
        assert_eq!(
            operation["responses"].get("401").is_some(),
            needs_key,
            "{route:?}"
        );
    }
}

#[test]
fn parameters_are_named_once_and_those_in_the_path_stand_in_it() {
    for (path, method, operation) in operations() {
        let mut seen = BTreeSet::new();
        for parameter in operation
            .get("parameters")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let (place, name) = (&parameter["in"], parameter["name"].as_str().unwrap());
            assert!(
                seen.insert(format!("{place} {name}")),
                "{method} {path}: {name} comes twice"
            );
            assert_eq!(
                place == "path",
                path.contains(&format!("{{{name}}}")),
                "{method} {path}"
            );
        }
    }
}

#[test]
fn schemas_have_names_of_their_own_and_references_lead_somewhere() {
    for name in DOCUMENT["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
    {
        // Two types of one name get numbers.
        assert!(
            !name.ends_with(|c: char| c.is_ascii_digit()),
            "{name} is taken: rename one of the types"
        );
    }
    fn walk(value: &'static Value) {
        match value {
            Value::Object(object) => {
                resolved(value);
                object.values().for_each(walk);
            }
            Value::Array(items) => items.iter().for_each(walk),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    walk(&DOCUMENT);
}

#[tokio::test]
async fn the_document_is_served_to_everyone() {
    let world = World::new().await;
    let request = axum::http::Request::get("/openapi.json");
    let answer = world
        .send(request.body(axum::body::Body::empty()).unwrap())
        .await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "application/json")
    );
    assert_eq!(answer.body, document());
}
