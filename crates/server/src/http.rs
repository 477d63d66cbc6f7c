//! The one HTTP port: REST, the signalling WebSocket on any path, the portal, health.

pub(crate) mod forwarded;
mod sources;
pub(crate) mod tls;
pub(crate) mod websocket;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use ringtrip_api::Peer;
use ringtrip_model::{ContactTransport, SocketId};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tower::ServiceExt;

use self::forwarded::TrustedProxies;
use self::sources::{Place, Sources};
use self::tls::{Accepted, Tls};
use self::wire::Wire;
use crate::dev::DevPortal;
use crate::drive::{Input, Origin, serve_socket, user_agent};
use crate::health::Health;
use crate::telemetry::Metrics;

/// Time for a request's head; for its body, the handlers have theirs.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at once.
const MAX_CONNECTIONS: usize = 50_000;

/// What the public port serves.
pub(crate) struct Surface {
    /// REST and call reports.
    pub(crate) api: Router,
    /// The way to signalling.
    pub(crate) inputs: mpsc::Sender<Input>,
    /// Present in `dev`: ready credentials for the Phone page, and metrics on this port.
    pub(crate) dev: Option<DevPortal>,
    /// Whether the node takes work.
    pub(crate) health: Arc<Health>,
    /// What `/metrics` prints.
    pub(crate) metrics: Arc<Metrics>,
    /// Present if the port speaks TLS.
    pub(crate) tls: Option<Arc<Tls>>,
    /// Who may say where a request came from.
    pub(crate) proxies: TrustedProxies,
    /// Connections that one source may have; 0 means any number.
    pub(crate) max_connections_per_source: usize,
    /// Origins whose pages may open a WebSocket; any if there are none.
    pub(crate) websocket_origins: Vec<String>,
}

#[derive(rust_embed::RustEmbed)]
#[folder = "../../web/dist"]
#[exclude = ".gitkeep"]
struct Portal;

/// How long a peer may leave what was sent to it unread.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(60);

static NEXT_SOCKET: AtomicU64 = AtomicU64::new(1);

/// Room that a connection takes up, until it is dropped.
struct Room {
    _of_all: OwnedSemaphorePermit,
    /// None for a proxy, which stands for many sources.
    _of_source: Option<Place>,
}

/// Accepts connections until told to stop; connections in progress end with their clients or with
/// the process.
pub(crate) async fn serve(
    listener: TcpListener,
    surface: Arc<Surface>,
    mut stop: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let sources = Sources::new(surface.max_connections_per_source);
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, address)) => {
                let peer = Peer {
                    source: address.ip().to_canonical(),
                    secure: false,
                };
                let of_source = if surface.proxies.trust(peer.source) {
                    None
                } else {
                    let Some(place) = sources.enter(peer.network()) else {
                        surface
                            .metrics
                            .connections_refused_total
                            .fetch_add(1, Ordering::Relaxed);
                        continue;
                    };
                    Some(place)
                };
                let room = Arc::new(Room {
                    _of_all: permit,
                    _of_source: of_source,
                });
                tokio::spawn(greet(stream, peer, Arc::clone(&surface), room));
            }
            Err(error) => {
                // Out of file descriptors, most likely: those we have go on, new ones wait.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Whoever is at the other end of a connection itself.
#[derive(Debug, Clone, Copy)]
struct Remote {
    peer: Peer,
    port: Option<u16>,
}

/// Finds out what a connection speaks, and serves it.
async fn greet(stream: TcpStream, peer: Peer, surface: Arc<Surface>, room: Arc<Room>) {
    // Latency matters more than a saved packet; a socket without the option still works.
    let _ = stream.set_nodelay(true);
    // Whoever takes nothing of what is sent is gone, or means no good.
    let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(UNREAD_TIMEOUT));
    // The port means something where nobody stands between.
    let port = stream.peer_addr().ok().map(|remote| remote.port());
    let Some(tls) = &surface.tls else {
        return serve_connection(stream, (peer, port), surface, room).await;
    };
    let source = (!surface.proxies.trust(peer.source)).then(|| peer.network());
    match tls.accept(stream, source).await {
        Some(Accepted::Secure(stream)) => {
            let peer = Peer {
                secure: true,
                ..peer
            };
            serve_connection(*stream, (peer, port), surface, room).await;
        }
        Some(Accepted::Plain(stream)) => refuse_plain(stream).await,
        None => {}
    }
}

async fn serve_connection<S>(
    stream: S,
    (peer, port): (Peer, Option<u16>),
    surface: Arc<Surface>,
    room: Arc<Room>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let (surface, room) = (Arc::clone(&surface), Arc::clone(&room));
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Remote { peer, port });
            Ok::<_, std::convert::Infallible>(surface.route(request, peer, room).await)
        }
    });
    let connection = http1()
        .serve_connection(TokioIo::new(Wire::new(stream)), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn http1() -> hyper::server::conn::http1::Builder {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(64 * 1024);
    builder
}

/// Tells a client that speaks HTTP to the port of HTTPS so, whatever it asks.
async fn refuse_plain(stream: TcpStream) {
    let service = hyper::service::service_fn(|_: Request<hyper::body::Incoming>| async {
        let detail = "This port speaks HTTPS and WSS only: use https:// or wss:// in the URL.";
        let mut response = bad_request(detail);
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
        Ok::<_, std::convert::Infallible>(response)
    });
    let connection = http1().serve_connection(TokioIo::new(Wire::new(stream)), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection without TLS ended early");
    }
}

impl Surface {
    /// Answers a request. The connection ends with one that is chunked: hyper reads such a body by its
    /// chunks and hides a length beside them, after which nothing may follow (RFC 9112 §6.1).
    async fn route(&self, mut request: Request<Body>, peer: Peer, room: Arc<Room>) -> Response {
        let peer = self.proxies.resolve(peer, request.headers());
        request.extensions_mut().insert(peer);
        let method = request.method().clone();
        let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
        let mut response = self.dispatch(request, peer, room).await;
        self.metrics.requests.count(&method, response.status());
        if chunked {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }

    async fn dispatch(&self, request: Request<Body>, peer: Peer, room: Arc<Room>) -> Response {
        if websocket::is_asked_for(request.headers()) {
            return self.upgrade(request, peer, room);
        }
        if matches!(*request.method(), Method::GET | Method::HEAD)
            && let Some(response) = self.page(request.uri().path(), request.headers())
        {
            return response;
        }
        // REST is open to pages of any origin; what `/portal/dev` gives is not.
        if self.dev.is_some() && request.uri().path() == "/portal/dev" {
            return StatusCode::METHOD_NOT_ALLOWED.into_response();
        }
        match self.api.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    fn upgrade(&self, mut request: Request<Body>, peer: Peer, room: Arc<Room>) -> Response {
        if !self.may_open_socket(request.headers()) {
            let detail = "Pages of this origin may not open a WebSocket here.";
            return refusal(StatusCode::FORBIDDEN, "10010", "Not authorized", detail);
        }
        let origin = origin(&request, peer);
        let (response, upgrade) = match websocket::accept(&mut request) {
            Ok(accepted) => accepted,
            Err(detail) => return bad_request(detail),
        };
        let socket = SocketId(NEXT_SOCKET.fetch_add(1, Ordering::Relaxed));
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            match upgrade.finish().await {
                Ok(stream) => serve_socket(stream, (socket, origin), inputs).await,
                Err(error) => tracing::debug!(%error, "a connection ended before its upgrade"),
            }
            drop(room);
        });
        response
    }

    /// Tells whether whoever asks for a WebSocket is a page of an origin that may have one, or no page at all.
    fn may_open_socket(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        self.websocket_origins.is_empty()
            || origins.all(|origin| {
                let allowed =
                    |allowed: &String| origin.as_bytes().eq_ignore_ascii_case(allowed.as_bytes());
                self.websocket_origins.iter().any(allowed)
            })
    }

    fn page(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        match (path, &self.dev) {
            ("/livez", _) => Some("ok\n".into_response()),
            ("/readyz", _) => Some(self.health.readiness()),
            ("/metrics", Some(_)) => Some(metrics(&self.metrics)),
            ("/portal/dev", Some(dev)) => Some(dev.answer(headers)),
            ("/", _) => Some(asset("index.html").unwrap_or_else(unbuilt)),
            (path, _) => people_page(path).or_else(|| asset(path.trim_start_matches('/'))),
        }
    }
}

/// Tells where a socket comes from. The port is that of the connection, and means nothing behind a proxy.
fn origin(request: &Request<Body>, peer: Peer) -> Origin {
    let remote = request.extensions().get::<Remote>();
    let direct = remote.filter(|remote| remote.peer.source == peer.source);
    Origin {
        address: peer.source,
        network: peer.network(),
        port: direct.and_then(|remote| remote.port),
        transport: if peer.secure {
            ContactTransport::Wss
        } else {
            ContactTransport::Ws
        },
        user_agent: user_agent(request.headers()),
    }
}

fn bad_request(detail: &str) -> Response {
    refusal(StatusCode::BAD_REQUEST, "10015", "Bad Request", detail)
}

fn refusal(status: StatusCode, code: &str, title: &str, detail: &str) -> Response {
    let error = json!({"code": code, "title": title, "detail": detail});
    (status, axum::Json(json!({"errors": [error]}))).into_response()
}

/// Serves `/livez`, `/readyz`, `/health` and `/metrics` on the operator's own address.
pub(crate) fn admin(health: Arc<Health>, metrics: Arc<Metrics>) -> Router {
    use axum::routing::get;
    let (verbose, measured) = (Arc::clone(&health), Arc::clone(&metrics));
    Router::new()
        .route("/livez", get(|| std::future::ready("ok\n")))
        .route(
            "/readyz",
            get(move || std::future::ready(health.readiness())),
        )
        .route(
            "/health",
            get(move || std::future::ready(verbose.report(&measured))),
        )
        .route(
            "/metrics",
            get(move || std::future::ready(self::metrics(&metrics))),
        )
}

fn metrics(metrics: &Metrics) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4");
    ([(header::CONTENT_TYPE, kind)], metrics.render()).into_response()
}

/// What the Phone page may do. The component library makes style elements at run time, which bear the
/// nonce of the page; nothing inline runs or styles without one.
fn content_security_policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; \
         font-src 'self'; media-src 'self' blob:; connect-src 'self' ws: wss:; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'"
    )
}

/// What stands in the built page where its nonce belongs.
const NONCE_PLACE: &[u8] = b"__CSP_NONCE__";

fn asset(path: &str) -> Option<Response> {
    let file = Portal::get(path)?;
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    // Built names carry a hash of their content; the page itself must be asked for each time.
    let caching = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let nonce = draw_nonce()?;
    let body = match path {
        "index.html" => Body::from(replaced(&file.data, NONCE_PLACE, nonce.as_bytes())),
        _ => Body::from(file.data),
    };
    Some(page_answer(
        body,
        kind.as_ref(),
        caching,
        &content_security_policy(&nonce),
    ))
}

/// Draws 128 bits that nobody can foresee.
fn draw_nonce() -> Option<String> {
    let mut bytes = [0; 16];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        tracing::error!("the system gives no random numbers");
        return None;
    }
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn replaced(text: &[u8], place: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some(at) = rest.windows(place.len()).position(|part| part == place) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(value);
        rest = &rest[at + place.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// The pages that the links of people lead to. They have no style and no script of their own inside.
fn people_page(path: &str) -> Option<Response> {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
        base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let (text, kind) = match path {
        "/setup" | "/invitation" | "/reset" | "/sign_in" => (
            include_str!("../pages/people.html"),
            "text/html; charset=utf-8",
        ),
        "/people.js" => (
            include_str!("../pages/people.js"),
            "text/javascript; charset=utf-8",
        ),
        "/people.css" => (
            include_str!("../pages/people.css"),
            "text/css; charset=utf-8",
        ),
        _ => return None,
    };
    Some(page_answer(Body::from(text), kind, "no-cache", POLICY))
}

fn page_answer(body: Body, kind: &str, caching: &'static str, policy: &str) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, policy),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    for (name, value) in [
        (header::CACHE_CONTROL, caching),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn unbuilt() -> Response {
    let page = "<!doctype html><title>ringtrip</title><h1>ringtrip</h1>\
        <p>The portal is not built yet. Run <code>make dev</code>, or <code>npm ci &amp;&amp; npm run build</code> in \
        <code>web/</code>, and start again. The API under <code>/v2</code> works meanwhile.</p>";
    (StatusCode::OK, axum::response::Html(page)).into_response()
}

/// Listens, with an error that names the option when the address is taken.
pub(crate) async fn listen(address: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        anyhow::anyhow!("{option} {address} cannot be used: {error}. Choose another with {option}.")
    })
}
