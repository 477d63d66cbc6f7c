//! The shapes of answers.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use ringtrip_model::Secret;
use ringtrip_store::KeptAnswer;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::operation::{Answer, Operation, schema_of};
use crate::page::Meta;
use crate::schema::{Named, Printed, words};

/// One object: `{"data": {…}}`.
#[derive(Debug, Serialize)]
pub(crate) struct Data<T> {
    pub(crate) data: T,
}

/// A freshly made object: `{"data": {…}}` with status 201.
#[derive(Debug)]
pub(crate) struct Created<T>(pub(crate) T);

/// One page of a list: `{"data": […], "meta": {…}}`.
#[derive(Debug, Serialize)]
pub(crate) struct List<T> {
    pub(crate) data: Vec<T>,
    pub(crate) meta: Meta,
}

/// A text by itself, with status 201.
#[derive(Debug)]
pub(crate) struct CreatedText(pub(crate) String);

/// Prints a value as a JSON string, as ids and times are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<T>(pub(crate) T);

/// Prints a value by its name, as one of the words that its type has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word<T>(pub(crate) T);

/// Nothing at all, with status 204.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoContent;

impl<T: Printed> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<T: Named> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<T: Printed> JsonSchema for Text<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        inline(T::schema())
    }
}

impl<T: Named> JsonSchema for Word<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        inline(words(T::NAMES))
    }
}

fn inline(schema: Value) -> Schema {
    Schema::try_from(schema).expect("these schemas are objects")
}

impl<T: JsonSchema> Answer for Data<T> {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        operation.answers(StatusCode::OK, JSON, data::<T>(schemas));
    }
}

impl<T: JsonSchema> Answer for Created<T> {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        operation.answers(StatusCode::CREATED, JSON, data::<T>(schemas));
    }
}

impl<T: JsonSchema> Answer for List<T> {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        let schema = json!({
            "type": "object",
            "properties": {
                "data": {"type": "array", "items": schema_of::<T>(schemas)},
                "meta": schema_of::<Meta>(schemas),
            },
            "required": ["data", "meta"],
        });
        operation.answers(StatusCode::OK, JSON, schema);
    }
}

impl Answer for CreatedText {
    fn describe(operation: &mut Operation, _: &mut SchemaGenerator) {
        operation.answers(StatusCode::CREATED, "text/plain", json!({"type": "string"}));
    }
}

impl Answer for NoContent {
    fn describe(operation: &mut Operation, _: &mut SchemaGenerator) {
        operation.answers_nothing(StatusCode::NO_CONTENT);
    }
}

fn data<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    json!({
        "type": "object",
        "properties": {"data": schema_of::<T>(schemas)},
        "required": ["data"],
    })
}

const JSON: &str = "application/json";

/// An answer that can be kept, and given again as it was.
pub(crate) trait Keep {
    /// Returns what is to be kept of it.
    fn keep(&self) -> KeptAnswer;
}

impl<T: Serialize> Keep for Created<T> {
    fn keep(&self) -> KeptAnswer {
        kept(StatusCode::CREATED, &Data { data: &self.0 })
    }
}

impl<T: Serialize> Keep for Data<T> {
    fn keep(&self) -> KeptAnswer {
        kept(StatusCode::OK, self)
    }
}

fn kept<T: Serialize>(status: StatusCode, value: &T) -> KeptAnswer {
    KeptAnswer {
        status: status.as_u16(),
        body: Secret::new(text(1024, value)),
    }
}

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl<T: Serialize> IntoResponse for Data<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, 1024, &self)
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        json(StatusCode::CREATED, 1024, &Data { data: self.0 })
    }
}

impl<T: Serialize> IntoResponse for List<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, 128 + 512 * self.data.len(), &self)
    }
}

impl IntoResponse for CreatedText {
    fn into_response(self) -> Response {
        answer(
            StatusCode::CREATED,
            "text/plain; charset=utf-8",
            Body::from(self.0),
        )
    }
}

/// Answers with a JSON text of about `capacity` bytes.
pub(crate) fn json<T: Serialize>(status: StatusCode, capacity: usize, value: &T) -> Response {
    answer(status, JSON, Body::from(text(capacity, value)))
}

fn text<T: Serialize>(capacity: usize, value: &T) -> Vec<u8> {
    let mut text = Vec::with_capacity(capacity);
    serde_json::to_writer(&mut text, value)
        .expect("answers are made of plain structs, which serialize into memory");
    text
}

fn answer(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
