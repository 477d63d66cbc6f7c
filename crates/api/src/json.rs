//! JSON bodies: read with a bound and a deadline, checked before anything looks into them.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use ringtrip_model::{FieldError, FieldErrorKind};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::error::ApiError;
use crate::operation::{Input, Operation};
use crate::portal::PortalAccess;

/// The largest body of a REST request.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 20;

/// The largest body of somebody who has not said who they are: a name, an address, a password.
const MAX_STRANGER_BODY_BYTES: usize = 16 * 1024;

/// A body that is larger than this takes one of the places for large ones.
const LARGE_BODY_BYTES: usize = 64 * 1024;

/// The large bodies that are held at once, in all.
static LARGE_BODIES: Semaphore = Semaphore::const_new(64);

/// How deeply arrays and objects may be nested.
const MAX_DEPTH: usize = 64;

/// How long a sender may pause within a body.
const BODY_IDLE: Duration = Duration::from_secs(10);

/// How long a whole body may take.
const BODY_TOTAL: Duration = Duration::from_secs(120);

/// The object that a request carries. No body, an empty one and `[]` (which PHP writes for an empty
/// object) are the empty object.
///
/// The content type does not matter as long as the body is JSON, since `curl --data` names JSON a form;
/// it only decides whether anything else is called broken JSON or an unsupported type.
#[derive(Debug)]
pub(crate) struct JsonObject(pub(crate) Map<String, Value>);

impl<S: Sync> FromRequest<S> for JsonObject {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let is_stranger = parts.extensions.get() == Some(&PortalAccess::Anyone);
        let limit = if is_stranger {
            MAX_STRANGER_BODY_BYTES
        } else {
            MAX_BODY_BYTES
        };
        // Held until the body is parsed.
        let mut place = None;
        let bytes = read_and(body, limit, |length| {
            if length > LARGE_BODY_BYTES && place.is_none() {
                let found = LARGE_BODIES.try_acquire();
                place = Some(found.map_err(|_| ApiError::TooManyBodies)?);
            }
            Ok(())
        });
        let bytes = bytes.await?;
        if !is_plain(&parts.headers) && !bytes.is_empty() {
            return Err(ApiError::UnsupportedMediaType);
        }
        match parse(&bytes) {
            Err(ApiError::InvalidJson { .. } | ApiError::NotUtf8)
                if !may_be_json(&parts.headers) =>
            {
                Err(ApiError::UnsupportedMediaType)
            }
            parsed => parsed.map(Self),
        }
    }
}

/// A body whose content does not matter: taken in, so that the connection can go on, and dropped.
#[derive(Debug)]
pub(crate) struct IgnoredBody;

impl<S: Sync> FromRequest<S> for IgnoredBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        take(request.into_body(), MAX_BODY_BYTES, |_| Ok(()))
            .await
            .map(|()| Self)
    }
}

impl Input for JsonObject {
    fn describe(operation: &mut Operation) {
        operation.reads_object();
        IgnoredBody::describe(operation);
        operation.fails(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        operation.fails(StatusCode::UNPROCESSABLE_ENTITY);
    }
}

impl Input for IgnoredBody {
    fn describe(operation: &mut Operation) {
        operation.fails(StatusCode::BAD_REQUEST);
        operation.fails(StatusCode::REQUEST_TIMEOUT);
        operation.fails(StatusCode::PAYLOAD_TOO_LARGE);
    }
}

fn is_plain(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_ENCODING)
        .is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn may_be_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return true;
    };
    let media_type = value
        .as_bytes()
        .split(|b| *b == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    media_type.is_empty() || media_type.to_ascii_lowercase().ends_with(b"json")
}

/// Takes a body of at most `limit` bytes from the connection.
///
/// # Errors
///
/// As [`take`].
pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    read_and(body, limit, |_| Ok(())).await
}

/// As [`read`]; `grow` is told how long the body has become, before it has.
async fn read_and(
    body: Body,
    limit: usize,
    mut grow: impl FnMut(usize) -> Result<(), ApiError>,
) -> Result<Bytes, ApiError> {
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    take(body, limit, |data| {
        grow(first.len() + rest.len() + data.len())?;
        // A body in one piece, which is nearly every one, is never copied.
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
        Ok(())
    })
    .await?;
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}

/// Takes a body of at most `limit` bytes from the connection, piece by piece.
///
/// # Errors
///
/// 413 for a larger one (at once, if it says so), 408 for one that pauses for 10 s or takes 120 s, 400 for one that
/// breaks off.
async fn take(
    mut body: Body,
    limit: usize,
    mut keep: impl FnMut(Bytes) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let too_large = || ApiError::TooLarge { limit };
    if usize::try_from(body.size_hint().lower()).map_or(true, |least| least > limit) {
        return Err(too_large());
    }
    let start = Instant::now();
    let (mut idle_since, mut left) = (start, limit);
    while !body.is_end_stream() {
        let deadline = (idle_since + BODY_IDLE).min(start + BODY_TOTAL);
        let frame = timeout_at(deadline, poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))).await;
        let data = match frame {
            Err(_) => return Err(ApiError::BodyTimeout),
            Ok(Some(Err(_))) => return Err(ApiError::BodyBroken),
            Ok(None) => break,
            // Trailers say nothing we use.
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
        };
        left = left.checked_sub(data.len()).ok_or_else(too_large)?;
        keep(data)?;
        idle_since = Instant::now();
    }
    Ok(())
}

/// Checks that bytes are one JSON text: UTF-8, nested at most 64 deep.
///
/// # Errors
///
/// 400 otherwise.
pub(crate) fn check_text(bytes: &[u8]) -> Result<&str, ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ApiError::NotUtf8)?;
    if depth(bytes) > MAX_DEPTH {
        return Err(ApiError::InvalidJson {
            detail: format!("it is nested more than {MAX_DEPTH} deep"),
        });
    }
    Ok(text)
}

/// Reads the object that a body holds. Of a repeated key the last value counts.
///
/// # Errors
///
/// 400 for what is not JSON, 422 for JSON that is no object or holds U+0000.
pub(crate) fn parse(bytes: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    let text = check_text(bytes)?;
    let value = serde_json::from_str(text).map_err(|error| ApiError::InvalidJson {
        detail: error.to_string(),
    })?;
    // Only the escape can bring U+0000 in: JSON forbids the bare character.
    if text.contains("\\u0000")
        && let Some(pointer) = find_nul(&value)
    {
        return Err(ApiError::Fields(vec![FieldError::new(
            pointer,
            FieldErrorKind::Invalid,
            "Text must not hold the character U+0000.",
        )]));
    }
    match value {
        Value::Object(map) => Ok(map),
        Value::Array(items) if items.is_empty() => Ok(Map::new()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(ApiError::Fields(vec![FieldError::new(
                "/",
                FieldErrorKind::Invalid,
                "The body must be a JSON object.",
            )]))
        }
    }
}

/// Counts how deeply brackets nest outside of strings, without looking at anything else.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => {
                            bytes.next();
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

fn find_nul(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| find_nul(item).map(|rest| format!("/{index}{rest}"))),
        Value::Object(map) => map.iter().find_map(|(key, item)| {
            let found = if key.contains('\0') {
                Some(String::new())
            } else {
                find_nul(item)
            };
            let key = key.replace('\0', "").replace('~', "~0").replace('/', "~1");
            found.map(|rest| format!("/{key}{rest}"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::http::Request as HttpRequest;
    use futures_util::{StreamExt, stream};

    use super::*;

    fn code(result: Result<Map<String, Value>, ApiError>) -> &'static str {
        match result {
            Ok(_) => "ok",
            Err(ApiError::InvalidJson { .. }) => "json",
            Err(ApiError::NotUtf8) => "utf8",
            Err(ApiError::Fields(_)) => "fields",
            Err(ApiError::UnsupportedMediaType) => "type",
            Err(ApiError::TooLarge { .. }) => "large",
            Err(ApiError::BodyTimeout) => "timeout",
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_objects_and_what_stands_for_an_empty_one() {
        for empty in ["", " \r\n", "{}", "[]"] {
            assert!(parse(empty.as_bytes()).unwrap().is_empty(), "{empty:?}");
        }
        assert_eq!(parse(br#"{"a":1,"a":2}"#).unwrap()["a"], 2);
    }

    #[test]
    fn refuses_everything_else() {
        for (body, expected) in [
            (&b"{"[..], "json"),
            (b"{\"a\":}", "json"),
            (b"{} {}", "json"),
            (b"name=x", "json"),
            (b"{\"a\":\"\\ud800\"}", "json"),
            (b"{\"a\":1e999}", "json"),
            (b"{\"a\":\"\0\"}", "json"),
            (b"\xef\xbb\xbf{}", "json"),
            (b"{\"a\":\"\xff\"}", "utf8"),
            (b"\xff\xfe{\0}\0", "utf8"),
            (b"{\"a\":\"\\u0000\"}", "fields"),
            (b"{\"\\u0000\":1}", "fields"),
            (b"{\"a\":{\"b\":[1,\"x\\u0000\"]}}", "fields"),
            (b"null", "fields"),
            (b"[1]", "fields"),
            (b"\"text\"", "fields"),
            (b"17", "fields"),
        ] {
            assert_eq!(
                code(parse(body)),
                expected,
                "{}",
                String::from_utf8_lossy(body)
            );
        }
        // The text backslash-u-0000 is no U+0000.
        assert_eq!(code(parse(br#"{"a":"\\u0000"}"#)), "ok");
    }

    #[test]
    fn names_the_place_of_a_forbidden_character() {
        let Err(ApiError::Fields(fields)) = parse(br#"{"a":{"b/c":[1,"\u0000"]}}"#) else {
            panic!()
        };
        assert_eq!(fields[0].pointer, "/a/b~1c/1");
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert_eq!(code(parse(nested(63).as_bytes())), "ok");
        assert_eq!(code(parse(nested(64).as_bytes())), "json");
        assert_eq!(code(parse("[".repeat(1 << 20).as_bytes())), "json");
        assert_eq!(
            code(parse(
                format!("{{\"a\":\"{}\"}}", "[".repeat(100)).as_bytes()
            )),
            "ok"
        );
        assert_eq!(
            code(parse(
                format!("{{\"a\":\"\\\"{}\"}}", "{".repeat(100)).as_bytes()
            )),
            "ok"
        );
    }

    async fn extract(headers: &[(&str, &str)], body: &'static [u8]) -> &'static str {
        let mut request = HttpRequest::post("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).unwrap();
        code(
            JsonObject::from_request(request, &())
                .await
                .map(|object| object.0),
        )
    }

    #[tokio::test]
    async fn content_types_only_decide_how_an_error_is_called() {
        for (headers, body, expected) in [
            (&[][..], &b"{}"[..], "ok"),
            (
                &[("content-type", "application/json; charset=utf-8")],
                b"",
                "ok",
            ),
            (
                &[("content-type", "application/x-www-form-urlencoded")],
                b"{\"a\":1}",
                "ok",
            ),
            (
                &[("content-type", "application/x-www-form-urlencoded")],
                b"a=1",
                "type",
            ),
            (
                &[("content-type", "multipart/form-data; boundary=x")],
                b"--x\r\n",
                "type",
            ),
            (
                &[("content-type", "application/vnd.api+json")],
                b"{",
                "json",
            ),
            (&[("content-type", "APPLICATION/JSON")], b"{", "json"),
            (&[("content-encoding", "gzip")], b"\x1f\x8b", "type"),
            (&[("content-encoding", "gzip")], b"", "ok"),
            (&[("content-encoding", "identity")], b"{}", "ok"),
        ] {
            assert_eq!(extract(headers, body).await, expected, "{headers:?}");
        }
    }

    /// A body that comes in the given pieces and then ends, or never does.
    fn body(pieces: &[&'static [u8]], ends: bool) -> Body {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|p| Ok::<_, Infallible>(Bytes::from_static(p)))
            .collect();
        let tail = if ends {
            stream::empty().boxed()
        } else {
            stream::pending().boxed()
        };
        Body::from_stream(stream::iter(pieces).chain(tail))
    }

    #[tokio::test]
    async fn a_stranger_sends_little_and_large_bodies_need_a_place() {
        let object = async |length: usize, access: Option<PortalAccess>| {
            let text = format!("{{\"a\":\"{}\"}}", "x".repeat(length));
            let mut request = HttpRequest::post("/").body(Body::from(text)).unwrap();
            if let Some(access) = access {
                request.extensions_mut().insert(access);
            }
            let read = JsonObject::from_request(request, &()).await;
            read.map(|_| ()).map_err(|error| error.to_string())
        };
        assert!(object(15_000, Some(PortalAccess::Anyone)).await.is_ok());
        assert!(object(20_000, Some(PortalAccess::Anyone)).await.is_err());
        assert!(object(20_000, Some(PortalAccess::Person)).await.is_ok());
        let free = u32::try_from(LARGE_BODIES.available_permits()).unwrap();
        let all = LARGE_BODIES.acquire_many(free).await.unwrap();
        let refused = object(LARGE_BODY_BYTES, None).await.unwrap_err();
        assert_eq!(refused, ApiError::TooManyBodies.to_string());
        assert!(object(1_000, None).await.is_ok());
        drop(all);
        assert!(object(LARGE_BODY_BYTES, None).await.is_ok());
    }

    #[tokio::test]
    async fn bodies_in_pieces_are_joined_and_bounded() {
        assert_eq!(
            read(body(&[b"{\"a\"", b":1", b"}"], true), 100)
                .await
                .unwrap(),
            "{\"a\":1}"
        );
        assert_eq!(read(body(&[b"", b"{}", b""], true), 2).await.unwrap(), "{}");
        assert!(matches!(
            read(body(&[b"{\"a\"", b":1", b"}"], true), 6).await,
            Err(ApiError::TooLarge { limit: 6 })
        ));
        assert!(matches!(
            read(Body::from("1234567"), 6).await,
            Err(ApiError::TooLarge { .. })
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_arriving_is_given_up() {
        let start = Instant::now();
        assert!(matches!(
            read(body(&[b"{"], false), 100).await,
            Err(ApiError::BodyTimeout)
        ));
        assert_eq!(start.elapsed().as_secs(), BODY_IDLE.as_secs());
    }
}
