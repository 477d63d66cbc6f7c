//! Carries the signalling engine's frames to and from WebSockets, and asks the store who logs in.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use futures_util::{SinkExt, StreamExt};
use ringtrip_model::{Contact, ContactTransport, SocketId, Timestamp};
use ringtrip_verto::CloseReason;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes, protocol::CloseFrame};

use super::Input;
use crate::http::websocket::{ClientSocket, MessageLimit};

/// Frames that may wait for a client to read them.
const MAX_QUEUED_FRAMES: usize = 256;
/// Bytes that may wait for a client to read them.
const MAX_QUEUED_BYTES: usize = 1024 * 1024;
/// Sockets of one source that may wait for their logins; beyond it the oldest of them is closed. A
/// quarter of what the engine allows in all.
const MAX_GUESTS_OF_ONE_SOURCE: usize = 256;
/// How long one frame may take to leave.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest name of a client that is kept, in bytes.
const MAX_USER_AGENT_BYTES: usize = 255;

/// Where a socket comes from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The client's address: of its connection, or what a trusted proxy says it is.
    pub(crate) address: IpAddr,
    /// The network that counts as one source: the address, or its /64.
    pub(crate) network: IpAddr,
    /// Its port; none behind a proxy.
    pub(crate) port: Option<u16>,
    /// What carries the socket.
    pub(crate) transport: ContactTransport,
    /// What the client calls itself; see [`user_agent`].
    pub(crate) user_agent: Option<String>,
}

impl Origin {
    /// Makes it the contact of a client that logged in at `since`.
    pub(crate) fn contact(self, since: Timestamp) -> Contact {
        Contact {
            address: self.address,
            port: self.port,
            transport: self.transport,
            user_agent: self.user_agent,
            since,
        }
    }
}

/// Reads what a client calls itself; nothing if that is no text, or one too long to keep.
pub(crate) fn user_agent(headers: &HeaderMap) -> Option<String> {
    let name = headers.get(USER_AGENT)?.to_str().ok()?;
    let fits = (1..=MAX_USER_AGENT_BYTES).contains(&name.len());
    fits.then(|| name.to_owned())
}

/// What a socket's task is told.
#[derive(Debug)]
pub(crate) enum ToSocket {
    /// Send a text frame.
    Frame(String),
    /// Close, with a reason for the client's log.
    Close(CloseReason),
}

/// The way to one socket: bounded in frames and bytes.
#[derive(Debug)]
pub(crate) struct Outbox {
    sender: mpsc::Sender<ToSocket>,
    queued_bytes: Arc<AtomicUsize>,
}

/// The other end of an [`Outbox`].
#[derive(Debug)]
struct Inbox {
    receiver: mpsc::Receiver<ToSocket>,
    queued_bytes: Arc<AtomicUsize>,
}

fn outbox() -> (Outbox, Inbox) {
    let (sender, receiver) = mpsc::channel(MAX_QUEUED_FRAMES);
    let queued_bytes = Arc::new(AtomicUsize::new(0));
    (
        Outbox {
            sender,
            queued_bytes: Arc::clone(&queued_bytes),
        },
        Inbox {
            receiver,
            queued_bytes,
        },
    )
}

impl Outbox {
    /// Queues a frame; false if the client reads too slowly for it.
    fn send(&self, frame: String) -> bool {
        let bytes = frame.len();
        if self.queued_bytes.load(Ordering::Relaxed) + bytes > MAX_QUEUED_BYTES {
            return false;
        }
        self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.sender.try_send(ToSocket::Frame(frame)).is_ok()
    }
}

/// The sockets of this node, by the name the engine knows them by.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    open: HashMap<SocketId, Open>,
    /// Those that have not proved who they are, by where they come from; the oldest has the lowest
    /// number.
    guests: HashMap<IpAddr, BTreeSet<SocketId>>,
}

#[derive(Debug)]
struct Open {
    origin: Origin,
    limit: MessageLimit,
    outbox: Outbox,
}

impl Sockets {
    /// Takes in a socket. Returns the one that has to go for it, if its source has as many without a
    /// login as it may.
    pub(crate) fn insert(
        &mut self,
        socket: SocketId,
        (origin, limit): (Origin, MessageLimit),
        outbox: Outbox,
    ) -> Option<SocketId> {
        let source = origin.network;
        let open = Open {
            origin,
            limit,
            outbox,
        };
        self.open.insert(socket, open);
        let guests = self.guests.entry(source).or_default();
        let crowded = guests.len() >= MAX_GUESTS_OF_ONE_SOURCE;
        let oldest = if crowded { guests.pop_first() } else { None };
        guests.insert(socket);
        oldest
    }

    /// A socket has proved who it is: it may send more at once, and is no guest any more.
    pub(crate) fn prove(&mut self, socket: SocketId) {
        if let Some(open) = self.open.get(&socket) {
            open.limit.raise();
            let source = open.origin.network;
            self.forget_guest(socket, source);
        }
    }

    fn forget_guest(&mut self, socket: SocketId, source: IpAddr) {
        if let Some(guests) = self.guests.get_mut(&source) {
            guests.remove(&socket);
            if guests.is_empty() {
                self.guests.remove(&source);
            }
        }
    }

    fn take(&mut self, socket: SocketId) -> Option<Open> {
        let open = self.open.remove(&socket)?;
        self.forget_guest(socket, open.origin.network);
        Some(open)
    }

    /// Returns the address that a socket comes from.
    pub(crate) fn source(&self, socket: SocketId) -> Option<IpAddr> {
        self.open.get(&socket).map(|open| open.origin.network)
    }

    /// Returns all that is known of where a socket comes from.
    pub(crate) fn origin(&self, socket: SocketId) -> Option<Origin> {
        self.open.get(&socket).map(|open| open.origin.clone())
    }

    /// Forgets a socket that is gone.
    pub(crate) fn remove(&mut self, socket: SocketId) {
        self.take(socket);
    }

    /// Returns how many are open.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Queues a frame. False if the client reads too slowly: its socket is dropped then, and its
    /// task will report it closed.
    pub(crate) fn send(&mut self, socket: SocketId, frame: String) -> bool {
        let sent = self
            .open
            .get(&socket)
            .is_none_or(|open| open.outbox.send(frame));
        if !sent {
            self.take(socket);
        }
        sent
    }

    /// Closes a socket after what is queued for it.
    pub(crate) fn close(&mut self, socket: SocketId, reason: CloseReason) {
        if let Some(Open { outbox, .. }) = self.take(socket) {
            // If the queue is full, dropping the outbox closes the socket all the same.
            let _ = outbox.sender.try_send(ToSocket::Close(reason));
        }
    }
}

/// Serves one WebSocket until either side closes it.
pub(crate) async fn serve_socket(
    (mut stream, limit): (ClientSocket, MessageLimit),
    (socket, origin): (SocketId, Origin),
    inputs: mpsc::Sender<Input>,
) {
    let (outbox, mut inbox) = outbox();
    if inputs
        .send(Input::Opened {
            socket,
            origin,
            limit,
            outbox,
        })
        .await
        .is_err()
    {
        return;
    }
    loop {
        tokio::select! {
            message = stream.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    if inputs.send(Input::Frame { socket, text }).await.is_err() {
                        break;
                    }
                }
                Some(Ok(
                    Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_),
                )) => {}
                Some(Err(_)) if stream.get_ref().found_too_large() => {
                    let reason = ToSocket::Close(CloseReason::FrameTooLarge);
                    let written = write(&mut stream, &mut inbox, Some(reason));
                    // Its client may have gone.
                    let _ = tokio::time::timeout(WRITE_TIMEOUT, written).await;
                    break;
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
            },
            outgoing = inbox.receiver.recv() => {
                let written = tokio::time::timeout(WRITE_TIMEOUT, write(&mut stream, &mut inbox, outgoing));
                if !matches!(written.await, Ok(Ok(true))) {
                    break;
                }
            }
        }
    }
    // Signalling outlives its sockets; if it has stopped, there is nobody left to tell.
    let _ = inputs.send(Input::Closed { socket }).await;
}

/// Writes what is queued, in one flush. False once the socket is to be closed.
async fn write(
    stream: &mut ClientSocket,
    inbox: &mut Inbox,
    first: Option<ToSocket>,
) -> Result<bool, tungstenite::Error> {
    let mut next = first;
    loop {
        match next {
            Some(ToSocket::Frame(frame)) => {
                inbox.queued_bytes.fetch_sub(frame.len(), Ordering::Relaxed);
                stream.feed(Message::Text(Utf8Bytes::from(frame))).await?;
            }
            Some(ToSocket::Close(reason)) => {
                let frame = CloseFrame {
                    code: reason.code().into(),
                    reason: reason.text().into(),
                };
                stream.feed(Message::Close(Some(frame))).await?;
                stream.flush().await?;
                return Ok(false);
            }
            None => return Ok(false),
        }
        match inbox.receiver.try_recv() {
            Ok(more) => next = Some(more),
            Err(mpsc::error::TryRecvError::Empty) => break,
            Err(mpsc::error::TryRecvError::Disconnected) => next = None,
        }
    }
    stream.flush().await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn from(address: [u8; 4]) -> (Origin, MessageLimit) {
        let address = IpAddr::from(address);
        let origin = Origin {
            address,
            network: address,
            port: Some(5),
            transport: ContactTransport::Ws,
            user_agent: None,
        };
        (origin, MessageLimit::of_a_guest())
    }

    fn here() -> (Origin, MessageLimit) {
        from([127, 0, 0, 1])
    }

    #[test]
    fn a_client_without_a_usable_name_has_none() {
        let named = |name: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(USER_AGENT, HeaderValue::from_bytes(name).unwrap());
            user_agent(&headers)
        };
        assert_eq!(named(b"phone").as_deref(), Some("phone"));
        assert!(named(&[b'x'; 255]).is_some());
        assert_eq!(named(&[b'x'; 256]), None);
        assert_eq!(named(b""), None);
        assert_eq!(named(b"\xff"), None);
        assert_eq!(user_agent(&HeaderMap::new()), None);
    }

    #[test]
    fn guests_of_one_source_crowd_out_each_other_and_nobody_else() {
        let mut sockets = Sockets::default();
        let mut outboxes = Vec::new();
        let mut insert = |sockets: &mut Sockets, number: u64, source: [u8; 4]| {
            let (outbox, inbox) = outbox();
            outboxes.push(inbox);
            sockets.insert(SocketId(number), from(source), outbox)
        };
        assert_eq!(insert(&mut sockets, 1, [192, 0, 2, 1]), None);
        for number in 2..258 {
            assert_eq!(insert(&mut sockets, number, [203, 0, 113, 1]), None);
        }
        assert_eq!(
            insert(&mut sockets, 258, [203, 0, 113, 1]),
            Some(SocketId(2))
        );
        // One that has logged in, and one that is gone, make room.
        sockets.prove(SocketId(3));
        sockets.remove(SocketId(4));
        assert_eq!(insert(&mut sockets, 259, [203, 0, 113, 1]), None);
        assert_eq!(insert(&mut sockets, 260, [203, 0, 113, 1]), None);
        assert_eq!(
            insert(&mut sockets, 261, [203, 0, 113, 1]),
            Some(SocketId(5))
        );
        for number in 1..262 {
            sockets.remove(SocketId(number));
        }
        assert!(sockets.guests.is_empty() && sockets.open.is_empty());
    }

    #[test]
    fn a_slow_reader_is_cut_off_at_a_megabyte() {
        let (outbox, inbox) = outbox();
        let (socket, mut sockets) = (SocketId(1), Sockets::default());
        sockets.insert(socket, here(), outbox);
        for _ in 0..16 {
            assert!(sockets.send(socket, "x".repeat(64 * 1024)));
        }
        assert!(!sockets.send(socket, "x".to_owned()));
        assert_eq!(sockets.len(), 0);
        assert_eq!(inbox.receiver.len(), 16);
        assert!(
            sockets.send(socket, "x".to_owned()),
            "frames for a socket that is gone are no error"
        );
    }

    #[test]
    fn a_slow_reader_is_cut_off_at_the_frame_bound() {
        let (outbox, _inbox) = outbox();
        let (socket, mut sockets) = (SocketId(1), Sockets::default());
        sockets.insert(socket, here(), outbox);
        let sent = (0..1000)
            .take_while(|_| sockets.send(socket, "x".to_owned()))
            .count();
        assert_eq!(sent, MAX_QUEUED_FRAMES);
    }
}
