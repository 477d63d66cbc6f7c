//! `/openapi.json`: what this API takes and answers, as an OpenAPI 3.1 document.
//!
//! It is made from the route table: of each route the declaration beside its handler, the types of the
//! handler, and for a body a recording of the code that reads it ([`crate::operation`]).

use std::collections::BTreeSet;
use std::sync::OnceLock;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::operation::{Answer, Operation};
use crate::{error, router};

/// The document itself.
#[derive(Debug)]
pub(crate) struct Document;

pub(crate) async fn retrieve() -> Document {
    Document
}

pub(crate) mod operations {
    use super::Operation;

    pub(crate) fn retrieve() -> Operation {
        Operation::new("Retrieve this document")
    }
}

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "application/json")], document()).into_response()
    }
}

impl Answer for Document {
    fn describe(operation: &mut Operation, _: &mut SchemaGenerator) {
        operation.answers(
            StatusCode::OK,
            "application/json",
            json!({"type": "object"}),
        );
    }
}

/// Returns the OpenAPI document of this API: JSON text that ends with a line feed. It is the same on
/// every node of a version.
pub fn document() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut text = serde_json::to_string_pretty(&assemble()).expect("a value can be printed");
        text.push('\n');
        text
    })
}

fn assemble() -> Value {
    let mut schemas = SchemaSettings::draft2020_12()
        .for_serialize()
        .with(|settings| "/components/schemas".clone_into(settings.definitions_path.to_mut()))
        .into_generator();
    let mut paths = Map::new();
    let mut tags = BTreeSet::new();
    for (route, module, handler, operation) in router::operations(&mut schemas) {
        let id = if route.path.contains("/actions/") {
            format!("{module}.actions.{handler}")
        } else {
            format!("{module}.{handler}")
        };
        let tag = module.replace('_', " ");
        let operation = operation.finish(&id, &tag, route.path);
        tags.insert(tag);
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        methods[route.method.to_ascii_lowercase()] = operation;
    }
    let answers = error::answers(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ringtrip",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Telephony for browsers and phones, on your own servers; compatible with the Telnyx v2 API.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags.into_iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "responses": answers,
            "headers": {
                "RequestId": {
                    "description": "Names this request in the log.",
                    "required": true,
                    "schema": {"type": "string", "format": "uuid"},
                },
                "RetryAfter": {
                    "description": "After how many seconds to try again.",
                    "required": false,
                    "schema": {"type": "integer", "minimum": 0},
                },
            },
            "securitySchemes": {
                "ApiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of the account, in the header Authorization.",
                },
            },
        },
    })
}
