//! The one HTTP port: REST, the signalling WebSocket on any path, the portal, health.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequest, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use ringtrip_api::Peer;
use ringtrip_model::{ContactTransport, SocketId};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tower::ServiceExt;

use crate::dev::DevPortal;
use crate::drive::{Input, Origin, serve_socket, user_agent};
use crate::telemetry::Metrics;

/// Time for a request's head; for its body, the handlers have theirs.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A frame's size after login; before it, signalling itself takes no more than 64 KiB.
const MAX_FRAME: usize = 1024 * 1024;
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
    pub(crate) ready: Arc<AtomicBool>,
    /// What `/metrics` prints.
    pub(crate) metrics: Arc<Metrics>,
}

#[derive(rust_embed::RustEmbed)]
#[folder = "../../web/dist"]
#[exclude = ".gitkeep"]
struct Portal;

static NEXT_SOCKET: AtomicU64 = AtomicU64::new(1);

/// Accepts connections until told to stop; connections in progress end with their clients or with
/// the process.
pub(crate) async fn serve(
    listener: TcpListener,
    surface: Arc<Surface>,
    mut stop: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let surface = Arc::clone(&surface);
                let peer = Peer {
                    source: peer.ip().to_canonical(),
                    secure: false,
                };
                tokio::spawn(async move {
                    serve_connection(stream, peer, surface).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: those we have go on, new ones wait.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, peer: Peer, surface: Arc<Surface>) {
    // Latency matters more than a saved packet; a socket without the option still works.
    let _ = stream.set_nodelay(true);
    let remote = stream.peer_addr().ok();
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let surface = Arc::clone(&surface);
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(remote);
            Ok::<_, std::convert::Infallible>(surface.route(request, peer).await)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

impl Surface {
    /// Answers a request. The connection ends with one that is chunked: hyper reads such a body by its
    /// chunks and hides a length beside them, after which nothing may follow (RFC 9112 §6.1).
    async fn route(&self, mut request: Request<Body>, peer: Peer) -> Response {
        request.extensions_mut().insert(peer);
        let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
        let mut response = self.dispatch(request, peer).await;
        if chunked {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }

    async fn dispatch(&self, request: Request<Body>, peer: Peer) -> Response {
        if is_websocket(request.headers()) {
            return self.upgrade(request, peer).await;
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

    async fn upgrade(&self, request: Request<Body>, peer: Peer) -> Response {
        let origin = origin(&request, peer);
        let upgrade = match WebSocketUpgrade::from_request(request, &()).await {
            Ok(upgrade) => upgrade,
            Err(rejection) => return refused_upgrade(rejection.status(), &rejection.body_text()),
        };
        let socket = SocketId(NEXT_SOCKET.fetch_add(1, Ordering::Relaxed));
        let inputs = self.inputs.clone();
        upgrade
            // The defaults read and write by 128 KiB, for each idle session.
            .read_buffer_size(4096)
            .write_buffer_size(0)
            .max_message_size(MAX_FRAME)
            .max_frame_size(MAX_FRAME)
            .on_upgrade(move |stream| serve_socket(stream, (socket, origin), inputs))
    }

    fn page(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        match (path, &self.dev) {
            ("/livez", _) => Some("ok\n".into_response()),
            ("/readyz", _) => Some(readiness(&self.ready)),
            ("/metrics", Some(_)) => Some(metrics(&self.metrics)),
            ("/portal/dev", Some(dev)) => Some(dev.answer(headers)),
            ("/", _) => Some(asset("index.html").unwrap_or_else(unbuilt)),
            (path, _) => asset(path.trim_start_matches('/')),
        }
    }
}

/// Tells where a socket comes from. The port is that of the connection, and means nothing behind a proxy.
fn origin(request: &Request<Body>, peer: Peer) -> Origin {
    let remote = request.extensions().get::<Option<SocketAddr>>();
    let direct = |remote: &SocketAddr| remote.ip().to_canonical() == peer.source;
    Origin {
        address: peer.source,
        port: remote
            .copied()
            .flatten()
            .filter(direct)
            .map(|remote| remote.port()),
        transport: if peer.secure {
            ContactTransport::Wss
        } else {
            ContactTransport::Ws
        },
        user_agent: user_agent(request.headers()),
    }
}

fn refused_upgrade(status: StatusCode, detail: &str) -> Response {
    let error = json!({"code": "10015", "title": "Bad Request", "detail": detail});
    (status, axum::Json(json!({"errors": [error]}))).into_response()
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE);
    upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Serves `/livez`, `/readyz` and `/metrics` on the operator's own address.
pub(crate) fn admin(ready: Arc<AtomicBool>, metrics: Arc<Metrics>) -> Router {
    use axum::routing::get;
    Router::new()
        .route("/livez", get(|| std::future::ready("ok\n")))
        .route(
            "/readyz",
            get(move || std::future::ready(readiness(&ready))),
        )
        .route(
            "/metrics",
            get(move || std::future::ready(self::metrics(&metrics))),
        )
}

fn readiness(ready: &AtomicBool) -> Response {
    if ready.load(Ordering::Relaxed) {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}

fn metrics(metrics: &Metrics) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4");
    ([(header::CONTENT_TYPE, kind)], metrics.render()).into_response()
}

/// `'unsafe-inline'` for styles only: the component library sets style attributes.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; media-src 'self' blob:; connect-src 'self' ws: wss:; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

fn asset(path: &str) -> Option<Response> {
    let file = Portal::get(path)?;
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    // Built names carry a hash of their content; the page itself must be asked for each time.
    let caching = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let mut response = Body::from(file.data).into_response();
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(kind.as_ref()) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    for (name, value) in [
        (header::CACHE_CONTROL, caching),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Some(response)
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
