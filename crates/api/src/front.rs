//! What happens around every request: the path is brought to its plain form, preflights are
//! answered, a panic becomes an answer, and every answer gets its common headers.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH,
    CONTENT_TYPE, VARY,
};
use axum::http::uri::{PathAndQuery, Uri};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tower::Service;
use tracing::error;

use crate::error::ApiError;
use crate::limits::Shown;
use crate::peer::Peer;
use crate::router::{Access, ROUTES};
use crate::{Api, portal};

/// What a page of another origin may read of an answer's headers.
const EXPOSED: &str = "x-request-id, retry-after, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, idempotent-replayed";

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The service around the routes.
#[derive(Debug, Clone)]
pub(crate) struct Front {
    api: Api,
    routes: Router,
}

impl Front {
    pub(crate) const fn new(api: Api, routes: Router) -> Self {
        Self { api, routes }
    }
}

impl Service<Request> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Self { api, routes } = self.clone();
        Box::pin(async move { Ok(answer(&api, routes, request).await) })
    }
}

async fn answer(api: &Api, routes: Router, mut request: Request) -> Response {
    let asks_options = request.method() == Method::OPTIONS;
    if let Some(path) = plain_path(request.uri().path()) {
        *request.uri_mut() = with_path(request.uri(), &path);
    }
    // A browser adds the cookies of the portal by itself, so only the portal's own pages may speak to it.
    let is_open = !is_portal(request.uri().path());
    let mut shown = Shown::default();
    let mut response = if is_open
        && asks_options
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    {
        preflight(&request)
    } else {
        shown = Shown::begin(request.extensions_mut());
        match count_keyless(api, &request, &shown) {
            Ok(()) => handle(api, routes, request).await,
            Err(error) => error.into_response(),
        }
    };
    if asks_options && response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response = options(response);
    }
    finish(api, response, is_open, &shown)
}

/// Counts a request that brings no key against its source, and one that brings a key where nobody looks at it.
/// Call reports have bounds of their own, and many people whose calls end behind one address are no flood.
fn count_keyless(api: &Api, request: &Request, shown: &Shown) -> Result<(), ApiError> {
    let path = request.uri().path();
    let brings_key = request.headers().contains_key(AUTHORIZATION);
    if brings_key && looks_at_keys(request.method(), path) || path == "/call_report" {
        return Ok(());
    }
    let peer = request.extensions().get().copied();
    let peer = peer.unwrap_or(Peer::UNKNOWN);
    api.limits().take_source(peer, shown, api.now())
}

/// Tells whether a request comes to a route that takes keys.
fn looks_at_keys(method: &Method, path: &str) -> bool {
    let method = if method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    let fits = |template: &str| {
        let fits = |(wanted, actual): (&str, &str)| wanted.starts_with('{') || wanted == actual;
        template.split('/').count() == path.split('/').count()
            && template.split('/').zip(path.split('/')).all(fits)
    };
    // What is spelled out wins over what stands in braces, whatever the method.
    let fitting = ROUTES
        .iter()
        .map(|route| route.path)
        .filter(|path| fits(path));
    let Some(template) = fitting.min_by_key(|path| path.matches('{').count()) else {
        return false;
    };
    ROUTES.iter().any(|route| {
        route.path == template && route.method == method && route.access == Access::Key
    })
}

/// Gives an answer the headers that all have.
fn finish(api: &Api, mut response: Response, is_open: bool, shown: &Shown) -> Response {
    let headers = response.headers_mut();
    shown.write(headers);
    if is_open {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(EXPOSED),
        );
    }
    // Nearly every answer shows a password or a token, and none of the others is worth keeping.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_REQUEST_ID, api.request_id());
    response
}

fn is_portal(path: &str) -> bool {
    path == "/portal" || path.starts_with("/portal/")
}

/// Has a request handled; a panic becomes an answer.
async fn handle(api: &Api, routes: Router, request: Request) -> Response {
    let handled = {
        let mut handling = pin!(pass(api, routes, request));
        poll_fn(
            |cx| match catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(cx))) {
                Ok(poll) => poll.map(Ok),
                Err(panic) => Poll::Ready(Err(panic)),
            },
        )
        .await
    };
    match handled {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => error.into_response(),
        Err(panic) => {
            api.count_panic();
            let message = panic
                .downcast_ref::<&str>()
                .copied()
                .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
                .unwrap_or("no message");
            error!(panic = message, "a request handler panicked");
            ApiError::Panicked.into_response()
        }
    }
}

/// Passes a request to its route; one of the portal's for `/v2` under the name of its person.
async fn pass(api: &Api, mut routes: Router, request: Request) -> Result<Response, ApiError> {
    let (request, passage) = portal::enter(api, request).await?;
    let response = match routes.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    match passage {
        Some(passage) => passage.leave(response).await,
        None => Ok(response),
    }
}

/// Answers a CORS preflight: any origin may send any method with any headers, since only the bearer
/// key in a header gives access, and a browser never adds that by itself.
fn preflight(request: &Request) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    for (asked, allowed) in [
        (ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_ALLOW_METHODS),
        (ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_ALLOW_HEADERS),
    ] {
        if let Some(value) = request.headers().get(asked) {
            headers.insert(allowed, value.clone());
        }
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    headers.insert(
        VARY,
        HeaderValue::from_static("access-control-request-method, access-control-request-headers"),
    );
    response
}

/// Turns "method not allowed" for OPTIONS into the list of methods that are.
fn options(refused: Response) -> Response {
    let (mut parts, _) = refused.into_parts();
    parts.status = StatusCode::NO_CONTENT;
    parts.headers.remove(CONTENT_TYPE);
    parts.headers.remove(CONTENT_LENGTH);
    if let Some(allow) = parts
        .headers
        .get(ALLOW)
        .and_then(|allow| allow.to_str().ok())
        && let Ok(allow) = HeaderValue::try_from(format!("{allow},OPTIONS"))
    {
        parts.headers.insert(ALLOW, allow);
    }
    Response::from_parts(parts, Body::empty())
}

/// Collapses repeated slashes and drops the last one; nothing if there is none of either.
fn plain_path(path: &str) -> Option<String> {
    if !path.contains("//") && (path.len() == 1 || !path.ends_with('/')) {
        return None;
    }
    let mut plain = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        plain.push('/');
        plain.push_str(segment);
    }
    if plain.is_empty() {
        plain.push('/');
    }
    Some(plain)
}

fn with_path(uri: &Uri, path: &str) -> Uri {
    let rebuilt = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    let mut parts = uri.clone().into_parts();
    if let Ok(rebuilt) = rebuilt {
        parts.path_and_query = Some(rebuilt);
    }
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use axum::body::to_bytes;
    use axum::routing::get;
    use ringtrip_cluster::Bus;
    use ringtrip_model::{Generator, Timestamp};
    use ringtrip_store::{Store, StoreConfig};
    use tower::ServiceExt;

    use super::*;
    use crate::{ApiConfig, RateLimits};

    async fn api() -> Api {
        let mut rng = Generator::from_seed([3; 32]);
        let config = StoreConfig {
            url: "sqlite::memory:".to_owned(),
            key_file: PathBuf::new(),
        };
        let store = Store::open(config, &mut rng).await.unwrap();
        let clock = Arc::new(|| Timestamp::from_secs(1_790_000_000));
        Api::new(
            store,
            Bus::local(1),
            ApiConfig {
                clock,
                generator: rng,
                billing: crate::Billing::default(),
                limits: RateLimits::default(),
                portal: crate::PortalConfig::default(),
            },
        )
    }

    #[tokio::test]
    async fn a_panic_is_answered_counted_and_forgotten() {
        let api = api().await;
        let routes = Router::new()
            .route(
                "/at-once",
                get(async || -> () { panic!("on purpose, at once") }),
            )
            .route(
                "/later",
                get(async || -> () {
                    tokio::task::yield_now().await;
                    panic!("on purpose, later")
                }),
            )
            .route("/fine", get(async || "fine"));
        let front = Front::new(api.clone(), routes);
        let ask = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = front.clone().oneshot(request).await.unwrap();
            let status = response.status();
            let open = response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN);
            let body = to_bytes(response.into_body(), 1000).await.unwrap();
            (
                status.as_u16(),
                open,
                String::from_utf8(body.to_vec()).unwrap(),
            )
        };
        for (path, panics) in [("/at-once", 1), ("/later", 2)] {
            let (status, open, body) = ask(path).await;
            assert_eq!((status, open, api.panics()), (500, true, panics));
            assert!(
                body.contains(r#""code":"10007""#) && !body.contains("purpose"),
                "{body}"
            );
        }
        assert_eq!(ask("/fine").await, (200, true, "fine".to_owned()));
    }

    #[test]
    fn plain_paths_are_left_alone_and_others_brought_to_their_form() {
        for (path, expected) in [
            ("/", None),
            ("/v2/whoami", None),
            ("//", Some("/")),
            ("/v2/whoami/", Some("/v2/whoami")),
            (
                "//v2///telephony_credentials//",
                Some("/v2/telephony_credentials"),
            ),
            ("*", None),
        ] {
            assert_eq!(plain_path(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_query_survives() {
        let uri: Uri = "//v2//whoami/?a=//&b=1".parse().unwrap();
        assert_eq!(with_path(&uri, "/v2/whoami"), "/v2/whoami?a=//&b=1");
    }
}
