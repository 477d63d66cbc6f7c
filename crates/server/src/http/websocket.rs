//! The upgrade to a WebSocket, and a guard that bounds frames before anything is kept of them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header,
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// The largest message of a client that has not logged in.
const MAX_GUEST_MESSAGE: usize = 64 * 1024;
/// The largest message of a client that has.
const MAX_MESSAGE: usize = 1024 * 1024;

/// A WebSocket of a client.
pub(crate) type ClientSocket = WebSocketStream<Guarded<TokioIo<Upgraded>>>;

/// How large the messages of a socket may be; shared with whoever lets it log in.
#[derive(Debug, Clone)]
pub(crate) struct MessageLimit(Arc<AtomicUsize>);

impl MessageLimit {
    /// The limit of a client that has not logged in.
    pub(crate) fn of_a_guest() -> Self {
        Self(Arc::new(AtomicUsize::new(MAX_GUEST_MESSAGE)))
    }

    /// The client has logged in.
    pub(crate) fn raise(&self) {
        self.0.store(MAX_MESSAGE, Ordering::Relaxed);
    }

    fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed) as u64
    }
}

/// What an upgrade needs once its answer is on the way.
pub(crate) struct Upgrade {
    connection: OnUpgrade,
}

/// Tells whether a request asks for a WebSocket.
pub(crate) fn is_asked_for(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE);
    upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Accepts an upgrade (RFC 6455 §4.2): the answer, and what becomes of the connection.
///
/// # Errors
/// Says what is wrong with the request.
pub(crate) fn accept(
    request: &mut Request<Body>,
) -> Result<(Response<Body>, Upgrade), &'static str> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err("A WebSocket begins with GET.");
    }
    if !has_token(headers, &header::CONNECTION, "upgrade") {
        return Err("A WebSocket needs the header Connection: upgrade.");
    }
    let version = headers.get(header::SEC_WEBSOCKET_VERSION);
    if version.is_none_or(|version| version.as_bytes() != b"13") {
        return Err("A WebSocket needs the header Sec-WebSocket-Version: 13.");
    }
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
        return Err("A WebSocket needs the header Sec-WebSocket-Key.");
    };
    let proof = derive_accept_key(key.as_bytes());
    let proof = HeaderValue::try_from(proof).map_err(|_| "The Sec-WebSocket-Key is of no use.")?;
    let connection = hyper::upgrade::on(request);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, proof);
    Ok((response, Upgrade { connection }))
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let texts = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut tokens = texts.flat_map(|text| text.split(','));
    tokens.any(|candidate| candidate.trim().eq_ignore_ascii_case(token))
}

impl Upgrade {
    /// Waits until the answer has left; the connection is a WebSocket then.
    ///
    /// # Errors
    /// When the connection ended before.
    pub(crate) async fn finish(self) -> Result<(ClientSocket, MessageLimit), hyper::Error> {
        let connection = TokioIo::new(self.connection.await?);
        let limit = MessageLimit::of_a_guest();
        let guarded = Guarded::new(connection, limit.clone());
        // The library's defaults read and write by 128 KiB, for each idle session.
        let config = WebSocketConfig::default()
            .read_buffer_size(4096)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let socket = WebSocketStream::from_raw_socket(guarded, Role::Server, Some(config)).await;
        Ok((socket, limit))
    }
}

/// A connection whose client's frames are looked at as they pass. A message that is too large is not
/// handed on: what has been sent of it is dropped as it comes, and reading ends.
#[derive(Debug)]
pub(crate) struct Guarded<S> {
    stream: S,
    limit: MessageLimit,
    reader: FrameReader,
}

impl<S> Guarded<S> {
    fn new(stream: S, limit: MessageLimit) -> Self {
        Self {
            stream,
            limit,
            reader: FrameReader::default(),
        }
    }

    /// Tells whether reading ended because a message was too large.
    pub(crate) const fn found_too_large(&self) -> bool {
        matches!(self.reader.at, At::TooLarge { .. })
    }
}

/// Follows the frames of a client (RFC 6455 §5.2) by their heads.
#[derive(Debug, Default)]
struct FrameReader {
    at: At,
    /// Bytes of the message that fragments have announced so far.
    message: u64,
}

#[derive(Debug, Clone, Copy)]
enum At {
    /// Within a head, of which so many bytes are here.
    Head { len: usize, bytes: [u8; 10] },
    /// Within a mask or payload that ends after so many bytes.
    Rest { left: u64 },
    /// Within a frame that is too large and ends after so many bytes.
    TooLarge { left: u64 },
}

impl Default for At {
    fn default() -> Self {
        Self::Head {
            len: 0,
            bytes: [0; 10],
        }
    }
}

/// A frame's head.
struct Head {
    is_control: bool,
    is_continuation: bool,
    /// Bytes behind the length: the mask, if there is one, and the payload.
    rest: u64,
    payload: u64,
}

impl Head {
    /// Reads a head; none while it is not complete.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        let payload = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
            127 => u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?),
            short => u64::from(short),
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        Some(Self {
            is_control: first & 0x08 != 0,
            is_continuation: first & 0x0f == 0,
            rest: payload.saturating_add(mask),
            payload,
        })
    }
}

impl FrameReader {
    /// Looks at bytes that came; returns how many of them, from the first on, may be handed on.
    fn pass(&mut self, bytes: &[u8], limit: u64) -> usize {
        let mut seen = 0;
        while seen < bytes.len() {
            match &mut self.at {
                At::Head { len, bytes: head } => {
                    head[*len] = bytes[seen];
                    *len += 1;
                    seen += 1;
                    if let Some(head) = Head::read(&head[..*len]) {
                        self.begin(&head, limit);
                        if let At::TooLarge { .. } = self.at {
                            let handed_on = seen;
                            self.drop_rest(&bytes[seen..]);
                            return handed_on;
                        }
                    }
                }
                At::Rest { left } => {
                    let here =
                        (bytes.len() - seen).min(usize::try_from(*left).unwrap_or(usize::MAX));
                    seen += here;
                    *left -= here as u64;
                    if *left == 0 {
                        self.at = At::default();
                    }
                }
                At::TooLarge { .. } => {
                    self.drop_rest(&bytes[seen..]);
                    return seen;
                }
            }
        }
        seen
    }

    fn begin(&mut self, head: &Head, limit: u64) {
        if !head.is_control {
            let before = if head.is_continuation {
                self.message
            } else {
                0
            };
            self.message = before.saturating_add(head.payload);
        }
        let too_large = head.payload > limit || self.message > limit;
        self.at = match head.rest {
            left if too_large => At::TooLarge { left },
            0 => At::default(),
            left => At::Rest { left },
        };
    }

    fn drop_rest(&mut self, bytes: &[u8]) {
        if let At::TooLarge { left } = &mut self.at {
            *left = left.saturating_sub(bytes.len() as u64);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        loop {
            if let At::TooLarge { left } = this.reader.at {
                // A client that has sent all of it reads why it was closed; one that announces more
                // than anybody may send is not waited for.
                if left == 0 || left > MAX_MESSAGE as u64 {
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
            }
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            let came = &buf.filled()[before..];
            if came.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let passed = this.reader.pass(came, this.limit.bytes());
            let too_large = matches!(this.reader.at, At::TooLarge { .. });
            buf.set_filled(if too_large { before } else { before + passed });
            if !too_large {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A masked frame of a client.
    fn frame(first: u8, payload: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload {
            0..126 => bytes.push(0x80 | payload as u8),
            126..=0xffff => {
                bytes.push(0x80 | 126);
                bytes.extend_from_slice(&(payload as u16).to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend_from_slice(&(payload as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(&[0; 4]);
        bytes.resize(bytes.len() + payload, b'x');
        bytes
    }

    const TEXT: u8 = 0x81;
    const BEGIN: u8 = 0x01;
    const MORE: u8 = 0x00;
    const END: u8 = 0x80;
    const PING: u8 = 0x89;

    /// Tells whether frames pass a limit of 1,000, in pieces of any size.
    fn check(frames: &[Vec<u8>], passes: bool) {
        let bytes = frames.concat();
        for size in [1, 2, 3, 7, 100, bytes.len()] {
            let mut reader = FrameReader::default();
            let mut passed = 0;
            for piece in bytes.chunks(size) {
                passed += reader.pass(piece, 1000);
                if let At::TooLarge { .. } = reader.at {
                    break;
                }
            }
            let ended_well = passed == bytes.len() && !matches!(reader.at, At::TooLarge { .. });
            assert_eq!(ended_well, passes, "in pieces of {size}");
        }
    }

    #[test]
    fn messages_up_to_the_limit_pass_whatever_their_pieces() {
        check(
            &[
                frame(TEXT, 0),
                frame(TEXT, 125),
                frame(TEXT, 126),
                frame(TEXT, 1000),
            ],
            true,
        );
        check(
            &[
                frame(BEGIN, 400),
                frame(PING, 100),
                frame(MORE, 400),
                frame(END, 200),
            ],
            true,
        );
        check(
            &[frame(BEGIN, 900), frame(END, 100), frame(TEXT, 1000)],
            true,
        );
    }

    #[test]
    fn larger_ones_do_not() {
        check(&[frame(TEXT, 1001)], false);
        check(&[frame(TEXT, 70_000)], false);
        check(
            &[
                frame(TEXT, 10),
                frame(BEGIN, 900),
                frame(PING, 3),
                frame(END, 101),
            ],
            false,
        );
        check(&[frame(PING, 1001)], false);
    }

    #[tokio::test]
    async fn a_message_that_is_too_large_is_taken_from_the_wire_and_not_kept() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut client, server) = tokio::io::duplex(4096);
        let mut server = Guarded::new(server, MessageLimit::of_a_guest());
        let small = frame(TEXT, 10);
        let mut bytes = small.clone();
        bytes.extend_from_slice(&frame(TEXT, MAX_GUEST_MESSAGE + 1));
        let sent = tokio::spawn(async move { client.write_all(&bytes).await.map(|()| client) });
        let mut first = vec![0; small.len()];
        server.read_exact(&mut first).await.unwrap();
        assert_eq!(first, small);
        let mut rest = Vec::new();
        let error = server.read_to_end(&mut rest).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(server.found_too_large() && rest.is_empty());
        sent.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn after_login_a_message_may_be_larger() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut client, server) = tokio::io::duplex(4096);
        let limit = MessageLimit::of_a_guest();
        let mut server = Guarded::new(server, limit.clone());
        limit.raise();
        let bytes = frame(TEXT, MAX_MESSAGE);
        let length = bytes.len();
        let sent = tokio::spawn(async move { client.write_all(&bytes).await });
        let mut taken = Vec::new();
        server.read_to_end(&mut taken).await.unwrap();
        assert_eq!(taken.len(), length);
        sent.await.unwrap().unwrap();
    }
}
