//! Puts hyper's own refusals into the envelope. A head that cannot be read, or is too large, never
//! reaches a handler: hyper writes a bare status and closes. A head that frames its body in two ways, of which
//! hyper would choose one, is made one that cannot be read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// The statuses that hyper answers by itself, what they mean, and whether more can be said.
const REFUSALS: [(&str, &str, &str); 3] = [
    (
        "400 Bad Request",
        "Bad Request",
        "The request could not be read: it is not HTTP/1.1, or its framing is ambiguous.",
    ),
    (
        "414 URI Too Long",
        "URI too long",
        "The URL of the request is too long.",
    ),
    (
        "431 Request Header Fields Too Large",
        "Request header fields too large",
        "The head of the request is too large: at most 100 headers and 64 KiB are read.",
    ),
];

/// What is still read, and dropped, of a request that was refused: a connection that is closed with
/// something unread is reset, and the client may never see the answer.
const LINGER_BYTES: usize = 1024 * 1024;
/// How long it is.
const LINGER: Duration = Duration::from_secs(2);

/// A connection on which no answer is bare.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    stream: S,
    /// None once another protocol is spoken.
    framing: Option<Framing>,
    /// What is written in place of a bare refusal, and how much of it is written.
    said: Option<(Vec<u8>, usize)>,
    /// After a refusal: how much may still come, and until when.
    lingering: Option<(usize, Pin<Box<Sleep>>)>,
    /// Nothing more is written.
    shut: bool,
}

impl<S> Wire<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self {
            stream,
            framing: Some(Framing::new()),
            said: None,
            lingering: None,
            shut: false,
        }
    }

    /// Says something in place of a refusal.
    fn say(&mut self, answer: Vec<u8>) {
        self.said = Some((answer, 0));
        let deadline = Instant::now() + LINGER;
        self.lingering = Some((LINGER_BYTES, Box::pin(sleep_until(deadline))));
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// Drops what a client that was refused still sends, until it stops or has sent enough.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((left, deadline)) = &mut self.lingering else {
            return Poll::Ready(());
        };
        let mut scratch = [0; 4096];
        while *left > 0 && deadline.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {
                    *left = left.saturating_sub(buf.filled().len());
                }
                Ok(()) | Err(_) => break,
            }
        }
        self.lingering = None;
        Poll::Ready(())
    }
}

/// Finds the answer in the envelope for a bare refusal of hyper's. No handler of ours answers one of
/// these statuses without a body.
fn in_the_envelope(written: &[u8]) -> Option<Vec<u8>> {
    let line = written.strip_prefix(b"HTTP/1.1 4")?;
    let (status, title, detail) = REFUSALS
        .iter()
        .find(|(status, ..)| line.starts_with(&status.as_bytes()[1..]))?;
    let head = std::str::from_utf8(written)
        .ok()?
        .strip_suffix("\r\n\r\n")?;
    let bare = |line: &str| line.eq_ignore_ascii_case("content-length: 0");
    if !head.split("\r\n").any(bare) {
        return None;
    }
    let date = head.split("\r\n").find(|line| {
        line.get(..5)
            .is_some_and(|name| name.eq_ignore_ascii_case("date:"))
    });
    let date = date.map_or(String::new(), |line| format!("{line}\r\n"));
    let error = json!({"code": "10015", "title": title, "detail": detail});
    let body = json!({"errors": [error]}).to_string();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         access-control-allow-origin: *\r\ncache-control: no-store\r\nconnection: close\r\n{date}\r\n{body}",
        body.len()
    );
    Some(answer.into_bytes())
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let this = &mut *self;
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if let Some(framing) = &mut this.framing {
            framing.look(&mut buf.filled_mut()[before..]);
        }
        read
    }
}

/// The longest name that matters.
const NAME: usize = TRANSFER_ENCODING.len();
const CONTENT_LENGTH: &[u8] = b"content-length";
const TRANSFER_ENCODING: &[u8] = b"transfer-encoding";

/// Looks for a `Content-Length` beside a `Transfer-Encoding`: whoever stands in front may take the body to end
/// elsewhere than we do (RFC 9112 §11.2). It knows heads from bodies by nothing; but a body in which a line
/// begins like that is no JSON either.
#[derive(Debug)]
struct Framing {
    /// How the line begins, in lower case.
    line: [u8; NAME],
    /// How long it has become.
    len: usize,
    length: bool,
    coding: bool,
}

impl Framing {
    const fn new() -> Self {
        Self {
            line: [0; NAME],
            len: 0,
            length: false,
            coding: false,
        }
    }

    /// Looks at bytes that arrived, and breaks the second of the two headers.
    fn look(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            match *byte {
                b'\n' => {
                    if self.len == 0 {
                        (self.length, self.coding) = (false, false);
                    }
                    self.len = 0;
                }
                b'\r' => {}
                b':' if self.len <= NAME => {
                    let name = &self.line[..self.len];
                    let (length, coding) = (name == CONTENT_LENGTH, name == TRANSFER_ENCODING);
                    self.length |= length;
                    self.coding |= coding;
                    if (length || coding) && self.length && self.coding {
                        *byte = 0;
                    }
                    self.len = NAME + 1;
                }
                other => {
                    if let Some(place) = self.line.get_mut(self.len) {
                        *place = other.to_ascii_lowercase();
                    }
                    self.len = self.len.saturating_add(1);
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// What comes after the answer 101 has no heads.
    fn look_for_upgrade(&mut self, written: &[u8]) {
        if self.framing.is_some() && written.starts_with(b"HTTP/1.1 101") {
            self.framing = None;
        }
    }

    /// Writes the rest of what is said in place of a refusal.
    fn poll_said(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((text, done)) = &mut self.said {
            let wrote = ready!(Pin::new(&mut self.stream).poll_write(cx, &text[*done..]))?;
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *done += wrote;
            if *done == text.len() {
                self.said = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_said(cx))?;
        self.look_for_upgrade(buf);
        if let Some(answer) = in_the_envelope(buf) {
            self.say(answer);
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_said(cx))?;
        if let Some(first) = bufs.first() {
            self.look_for_upgrade(first);
        }
        // A bare refusal is one piece, since it has no body.
        if let [only] = bufs
            && let Some(answer) = in_the_envelope(only)
        {
            self.say(answer);
            return Poll::Ready(Ok(only.len()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_said(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_said(cx))?;
        if !self.shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.shut = true;
        }
        ready!(self.poll_linger(cx));
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_refusals_are_put_into_the_envelope() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\
            date: Thu, 26 Nov 2026 23:00:00 GMT\r\n\r\n";
        let answer = String::from_utf8(in_the_envelope(bare).unwrap()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"));
        assert!(head.contains(&format!("content-length: {}", body.len())));
        assert!(head.contains("date: Thu") && body.contains("\"10015\""));
        for other in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            "content-length: 0\r\n\r\n",
            "",
        ] {
            assert!(in_the_envelope(other.as_bytes()).is_none(), "{other}");
        }
    }

    #[test]
    fn a_body_that_is_framed_twice_is_broken_and_nothing_else_is() {
        for (text, broken) in [
            (
                "POST / HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
                true,
            ),
            (
                "POST / HTTP/1.1\nTRANSFER-ENCODING:chunked\nx: y\ncontent-length:2\n\n",
                true,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                false,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 2\r\nX: transfer-encoding: chunked\r\n\r\n{}",
                false,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 2\r\nX-Transfer-Encoding: chunked\r\n\r\n",
                false,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
                false,
            ),
        ] {
            for step in [1, 7, text.len()] {
                let mut framing = Framing::new();
                let mut bytes = text.as_bytes().to_vec();
                for piece in bytes.chunks_mut(step) {
                    framing.look(piece);
                }
                assert_eq!(bytes != text.as_bytes(), broken, "{text} by {step}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_written_behind_comes_after_it() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        // A pipe that takes seven bytes at a time.
        let (mut client, server) = tokio::io::duplex(7);
        let written = tokio::spawn(async move {
            let mut wire = Wire::new(server);
            wire.write_all(b"HTTP/1.1 414 URI Too Long\r\ncontent-length: 0\r\n\r\n")
                .await?;
            wire.write_all(b"behind").await?;
            wire.shutdown().await
        });
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        drop(client);
        written.await.unwrap().unwrap();
        assert!(text.starts_with("HTTP/1.1 414 URI Too Long\r\ncontent-type: application/json"));
        assert!(text.ends_with("behind"), "{text}");
    }
}
