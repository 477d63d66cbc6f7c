//! The shapes of answers.

use std::fmt::Display;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};

use crate::page::Meta;

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

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
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
    let mut text = Vec::with_capacity(capacity);
    serde_json::to_writer(&mut text, value)
        .expect("answers are made of plain structs, which serialize into memory");
    answer(status, "application/json", Body::from(text))
}

fn answer(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
