//! A logged-in client: a WebSocket with what the SDK would say over it.
//!
//! Only text frames up to 64 KiB, unfragmented: all that the server sends.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// How long anything may take that a call or login waits for.
const PATIENCE: Duration = Duration::from_secs(20);
/// RFC 6455 §5.3. Any value works; what matters is that the server has to unmask.
const MASK: [u8; 4] = [0x5a, 0x13, 0xc7, 0x88];
/// Opcodes of RFC 6455 §5.2, with FIN set.
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;

/// A frame with the moment it was read.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) at: Instant,
    pub(crate) frame: Value,
}

/// A session. Its socket is read by a task of its own, which answers pings and requests.
pub(crate) struct Session {
    socket: Rc<Socket>,
    frames: mpsc::UnboundedReceiver<Received>,
    /// Whom others dial to reach it.
    pub(crate) name: String,
    sessid: String,
    next_id: u64,
}

struct Socket {
    stream: TcpStream,
    pings: Cell<u64>,
}

impl Session {
    /// Connects, logs in by token and asks for the gateway's state, as the SDK does.
    ///
    /// # Errors
    /// When any step is refused or takes too long.
    pub(crate) async fn log_in(
        server: SocketAddr,
        name: &str,
        token: &str,
    ) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let socket = Rc::new(Socket {
            stream,
            pings: Cell::new(0),
        });
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Origin: http://{server}\r\n\r\n"
        );
        socket.write(request.as_bytes()).await?;
        let rest = socket.read_upgrade().await?;
        let (sender, frames) = mpsc::unbounded_channel();
        let reader = Rc::clone(&socket);
        tokio::task::spawn_local(async move {
            // The end of the socket is the end of the channel; whoever waits on it learns it there.
            let _ = reader.read_frames(rest, &sender).await;
        });
        let mut session = Self {
            socket,
            frames,
            name: name.to_owned(),
            sessid: String::new(),
            next_id: 0,
        };
        let id = session
            .request(
                "login",
                json!({
                    "login_token": token,
                    "userVariables": {"push_when_active": false, "pn_late_fanout": false},
                    "reconnection": false,
                    "loginParams": {"early_sdp_answer": false},
                    "User-Agent": {"sdkVersion": "2.27.10", "data": "Mozilla/5.0 (X11; Linux x86_64) bench"},
                }),
            )
            .await?
            .0;
        let result = session.result(&id).await?;
        let sessid = result.frame["result"]["sessid"].as_str();
        session.sessid = sessid.context("a login without sessid")?.to_owned();
        session.event("telnyx_rtc.clientReady").await?;
        let id = session
            .request("telnyx_rtc.gatewayState", json!({}))
            .await?
            .0;
        let state = session.result(&id).await?;
        if state.frame["result"]["params"]["state"] != "REGED" {
            bail!("not registered: {}", state.frame);
        }
        Ok(session)
    }

    /// Sends a request. Returns its id and the moment before it was written.
    ///
    /// # Errors
    /// When the socket is closed.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        mut params: Value,
    ) -> anyhow::Result<(String, Instant)> {
        self.next_id += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.next_id);
        if !self.sessid.is_empty() {
            params["sessid"] = json!(self.sessid);
        }
        let frame =
            json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string();
        let bytes = masked(TEXT, frame.as_bytes());
        let at = Instant::now();
        self.socket.write(&bytes).await?;
        Ok((id, at))
    }

    /// Waits for the successful response to a request; other frames are passed over.
    ///
    /// # Errors
    /// When it is an error, or does not come.
    pub(crate) async fn result(&mut self, id: &str) -> anyhow::Result<Received> {
        let received = self
            .next(|frame| frame["id"] == id && frame.get("method").is_none())
            .await?;
        if received.frame.get("error").is_some() {
            bail!("refused: {}", received.frame);
        }
        Ok(received)
    }

    /// Waits for a request of the server; other frames are passed over.
    ///
    /// # Errors
    /// When it does not come, or the call ends instead.
    pub(crate) async fn event(&mut self, method: &str) -> anyhow::Result<Received> {
        let received = self
            .next(|frame| frame["method"] == method || frame["method"] == "telnyx_rtc.bye")
            .await?;
        if received.frame["method"] != method {
            bail!("the call ended instead of {method}: {}", received.frame);
        }
        Ok(received)
    }

    /// Measures how long the server takes to answer a ping.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) async fn ping(&mut self) -> anyhow::Result<Duration> {
        let (id, asked) = self.request("telnyx_rtc.ping", json!({})).await?;
        Ok(self.result(&id).await?.at - asked)
    }

    async fn next(&mut self, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Received> {
        let search = async {
            loop {
                let received = self
                    .frames
                    .recv()
                    .await
                    .context("the server closed the socket")?;
                if wanted(&received.frame) {
                    return anyhow::Ok(received);
                }
            }
        };
        tokio::time::timeout(PATIENCE, search)
            .await
            .context("the server does not answer")?
    }

    /// Forgets frames that nobody waited for.
    pub(crate) fn forget(&mut self) {
        while self.frames.try_recv().is_ok() {}
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A close frame; the reading task ends with the server's. If the buffer is full, closing
        // the stream says the same.
        let _ = self
            .socket
            .stream
            .try_write(&masked(CLOSE, &1000_u16.to_be_bytes()));
    }
}

impl Socket {
    async fn write(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.stream.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.stream.writable().await?
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn read(&self, buffer: &mut Vec<u8>) -> anyhow::Result<()> {
        loop {
            self.stream.readable().await?;
            let mut chunk = [0; 8192];
            match self.stream.try_read(&mut chunk) {
                Ok(0) => bail!("closed"),
                Ok(read) => {
                    buffer.extend_from_slice(&chunk[..read]);
                    return Ok(());
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads the response to the upgrade; returns what came behind it.
    async fn read_upgrade(&self) -> anyhow::Result<Vec<u8>> {
        let mut buffer = Vec::new();
        loop {
            self.read(&mut buffer).await?;
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                if !buffer.starts_with(b"HTTP/1.1 101 ") {
                    bail!("no upgrade: {}", String::from_utf8_lossy(&buffer[..end]));
                }
                return Ok(buffer.split_off(end + 4));
            }
        }
    }

    /// Reads frames until the socket closes; answers what needs an answer.
    async fn read_frames(
        &self,
        mut buffer: Vec<u8>,
        frames: &mpsc::UnboundedSender<Received>,
    ) -> anyhow::Result<()> {
        loop {
            while let Some((opcode, payload, whole)) = parse_frame(&buffer) {
                if opcode == CLOSE {
                    return Ok(());
                }
                let at = Instant::now();
                let frame =
                    (opcode == TEXT).then(|| serde_json::from_slice::<Value>(&buffer[payload]));
                buffer.drain(..whole);
                if let Some(frame) = frame {
                    self.take(Received { at, frame: frame? }, frames).await?;
                }
            }
            self.read(&mut buffer).await?;
        }
    }

    async fn take(
        &self,
        received: Received,
        frames: &mpsc::UnboundedSender<Received>,
    ) -> anyhow::Result<()> {
        let frame = &received.frame;
        match frame["method"].as_str() {
            // The SDK answers a ping with a ping.
            Some("telnyx_rtc.ping") => {
                self.pings.set(self.pings.get() + 1);
                let id = format!("00000000-0000-4000-9000-{:012}", self.pings.get());
                let ping =
                    json!({"jsonrpc": "2.0", "id": id, "method": "telnyx_rtc.ping", "params": {}});
                return self.write(&masked(TEXT, ping.to_string().as_bytes())).await;
            }
            Some(method) => {
                let answer =
                    json!({"jsonrpc": "2.0", "id": frame["id"], "result": {"method": method}});
                self.write(&masked(TEXT, answer.to_string().as_bytes()))
                    .await?;
            }
            None => {
                let id = frame["id"].as_str();
                if id.is_some_and(|id| id.starts_with("00000000-0000-4000-9000-")) {
                    return Ok(());
                }
            }
        }
        // A session that is gone wants no frames.
        let _ = frames.send(received);
        Ok(())
    }
}

/// Finds the first frame: its first byte, where its payload lies, and its whole length.
fn parse_frame(bytes: &[u8]) -> Option<(u8, std::ops::Range<usize>, usize)> {
    let [first, second, ..] = *bytes else {
        return None;
    };
    let (start, len) = match second {
        126 => (
            4,
            usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])),
        ),
        127 => (
            10,
            usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).ok()?,
        ),
        short => (2, usize::from(short)),
    };
    (bytes.len() >= start + len).then_some((first, start..start + len, start + len))
}

/// Writes a client's frame.
fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![opcode];
    match u16::try_from(payload.len()) {
        Ok(short @ 0..=125) => frame.push(0x80 | short.to_be_bytes()[1]),
        Ok(medium) => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&medium.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    frame.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_are_found() {
        for len in [0, 1, 125, 126, 65_535, 65_536] {
            let mut frame = masked(TEXT, &vec![b'x'; len]);
            // The server's frames are alike, without mask.
            frame[1] &= 0x7f;
            let mask_at = frame.len() - len - 4;
            frame.drain(mask_at..mask_at + 4);
            let (opcode, payload, whole) = parse_frame(&frame).expect("a whole frame");
            assert_eq!((opcode, payload.len(), whole), (TEXT, len, frame.len()));
            assert_eq!(parse_frame(&frame[..frame.len() - 1]), None, "{len}");
        }
    }
}
