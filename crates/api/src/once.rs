//! `Idempotency-Key`: a create that is sent again under its key is carried out once, and answered alike.
//!
//! The answer of a create is kept for a day, written in the transaction that creates the row
//! ([`Store::noting`]): after a crash, a lost connection or a commit whose outcome nobody knows, the client
//! sends the create again and there is one row. Only successes are kept: what was refused may be tried
//! again.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use ringtrip_model::{AccountId, Secret};
use ringtrip_store::{KeptAnswer, NamedCreate, Repeated, Store};
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use crate::Api;
use crate::error::ApiError;
use crate::operation::{Answer, Input, Operation};
use crate::respond::Keep;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(crate) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// The longest key.
pub(crate) const MAX_KEY_LEN: usize = 255;

/// The key that a client named its create by, if it did. A handler that takes one creates with
/// [`Once::create`].
#[derive(Debug)]
pub(crate) struct Once {
    key: Option<String>,
    method: Method,
    path: String,
}

/// An answer, given now or given again.
#[derive(Debug)]
pub(crate) enum Made<A> {
    /// What was just made.
    Now(A),
    /// What was made when the create came first.
    Before(KeptAnswer),
}

/// The creates under way that have a key. As many as there are requests.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Mutex<HashSet<String>>);

/// A create under way, until it is dropped.
struct Turn<'a> {
    under_way: &'a UnderWay,
    id: &'a str,
}

impl UnderWay {
    /// Lets a create begin; nothing if the same one is under way.
    fn begin<'a>(&'a self, id: &'a str) -> Option<Turn<'a>> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A turn that is not taken must not be made: it would end the other one.
        under_way.insert(id.to_owned()).then(|| Turn {
            under_way: self,
            id,
        })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let under_way = &self.under_way.0;
        let mut under_way = under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.remove(self.id);
    }
}

impl<S: Sync> FromRequestParts<S> for Once {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self {
            key: read_key(parts)?,
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
        })
    }
}

impl Input for Once {
    fn describe(operation: &mut Operation) {
        let schema = json!({
            "type": "string", "minLength": 1, "maxLength": MAX_KEY_LEN, "pattern": "^[A-Za-z0-9_:-]*$",
        });
        let text = "Names this request: when it is sent again within a day under the same name, nothing is made and \
             the first answer is given again.";
        operation.in_header("Idempotency-Key", schema, text);
        operation.fails(StatusCode::BAD_REQUEST);
        operation.fails(StatusCode::CONFLICT);
        operation.fails(StatusCode::UNPROCESSABLE_ENTITY);
    }
}

impl<A: Answer> Answer for Made<A> {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        A::describe(operation, schemas);
    }
}

fn read_key(parts: &Parts) -> Result<Option<String>, ApiError> {
    let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b':');
    let bytes = value.as_bytes();
    let is_key = (1..=MAX_KEY_LEN).contains(&bytes.len()) && bytes.iter().all(allowed);
    match value.to_str() {
        Ok(key) if is_key && values.next().is_none() => Ok(Some(key.to_owned())),
        _ => Err(ApiError::InvalidHeader {
            detail: "Idempotency-Key must be one text of 1 to 255 letters, digits, underscores, hyphens and colons.",
        }),
    }
}

impl Once {
    /// Creates something: `insert` does it with the store that it is given, and `show` makes the answer of
    /// what was made. If the same create was carried out during the last day, its answer is given again and
    /// nothing is done.
    ///
    /// # Errors
    /// What `insert` fails with; 409 while the same create is under way; 422 if its key was used with another
    /// body.
    pub(crate) async fn create<T, A>(
        self,
        api: &Api,
        account: AccountId,
        body: &Map<String, Value>,
        show: impl Fn(T) -> A + Send + Sync + 'static,
        insert: impl AsyncFnOnce(Store) -> Result<T, ApiError>,
    ) -> Result<Made<A>, ApiError>
    where
        T: Clone + 'static,
        A: Keep,
    {
        let Self { key, method, path } = self;
        let Some(key) = key else {
            let made = insert(api.store().clone()).await?;
            return Ok(Made::Now(show(made)));
        };
        let body = canonical(body);
        let create = NamedCreate::new(account, method.as_str(), &path, &key, body.expose());
        let turn = api.under_way().begin(create.id());
        let _turn = turn.ok_or(ApiError::BeingProcessed)?;
        if let Some(repeated) = api.store().repeated(&create, api.now()).await? {
            return again(repeated);
        }
        let show = Arc::new(show);
        let kept = Arc::clone(&show);
        let store = api
            .store()
            .noting(create.clone(), api.now(), move |made: &T| {
                kept(made.clone()).keep()
            });
        match insert(store).await {
            Ok(made) => Ok(Made::Now(show(made))),
            // Maybe another node was faster, or an attempt whose outcome nobody knew, or whose client went away,
            // has come to its end: then its row may stand in the way as one of that name.
            Err(error) => match api.store().repeated(&create, api.now()).await {
                Ok(Some(repeated)) => again(repeated),
                Ok(None) | Err(_) => Err(error),
            },
        }
    }
}

fn again<A>(repeated: Repeated) -> Result<Made<A>, ApiError> {
    match repeated {
        Repeated::Same(answer) => Ok(Made::Before(answer)),
        Repeated::OtherBody => Err(ApiError::KeyReused),
    }
}

/// Writes a body such that the order of its keys and the blanks between them do not matter.
fn canonical(body: &Map<String, Value>) -> Secret<Vec<u8>> {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let map: BTreeMap<_, _> = map
                    .iter()
                    .map(|(key, value)| (key, sorted(value)))
                    .collect();
                map.into_iter()
                    .map(|(key, value)| (key.clone(), value))
                    .collect()
            }
            Value::Array(items) => items.iter().map(sorted).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }
    let sorted = sorted(&Value::Object(body.clone()));
    Secret::new(serde_json::to_vec(&sorted).expect("JSON serializes into memory"))
}

impl<A: IntoResponse> IntoResponse for Made<A> {
    fn into_response(self) -> Response {
        let KeptAnswer { status, body } = match self {
            Self::Now(answer) => return answer.into_response(),
            Self::Before(answer) => answer,
        };
        let mut response = Response::new(Body::from(body.expose().clone()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(values: &[&str]) -> Result<Option<String>, ApiError> {
        let mut request = axum::http::Request::builder();
        for value in values {
            request = request.header("Idempotency-Key", *value);
        }
        read_key(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn a_key_is_one_short_plain_text() {
        assert_eq!(key(&[]).unwrap(), None);
        for good in ["a", "order:17_B-2", &"k".repeat(255)] {
            assert_eq!(key(&[good]).unwrap().as_deref(), Some(good));
        }
        for bad in [
            &[""][..],
            &["a b"],
            &["a.b"],
            &["a/b"],
            &["a", "a"],
            &[&"k".repeat(256)],
        ] {
            assert!(key(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_order_of_keys_does_not_matter_and_that_of_items_does() {
        let canonical = |text: &str| canonical(&serde_json::from_str(text).unwrap());
        assert_eq!(
            canonical(r#"{"a": 1, "b": {"c": [1, 2], "d": null}}"#).expose(),
            canonical(r#"{"b":{"d":null,"c":[1,2]},"a":1}"#).expose()
        );
        assert_ne!(
            canonical(r#"{"a": [1, 2]}"#).expose(),
            canonical(r#"{"a": [2, 1]}"#).expose()
        );
    }

    #[test]
    fn a_create_is_under_way_once() {
        let under_way = UnderWay::default();
        let turn = under_way.begin("a").unwrap();
        assert!(under_way.begin("a").is_none());
        assert!(under_way.begin("b").is_some());
        drop(turn);
        assert!(under_way.begin("a").is_some());
        assert!(under_way.0.lock().unwrap().is_empty());
    }
}
