//! A REST client that keeps its connection: HTTP/1.1 as the SDKs speak it, and not one byte more.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One kept connection.
pub(crate) struct Rest {
    stream: TcpStream,
    host: SocketAddr,
    key: String,
    buffer: Vec<u8>,
}

/// A response's status and body.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// Returns the body of a response that must have this status.
    ///
    /// # Errors
    /// When it has another one.
    pub(crate) fn expect(self, status: u16) -> anyhow::Result<Vec<u8>> {
        if self.status == status {
            return Ok(self.body);
        }
        bail!(
            "{} instead of {status}: {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        )
    }
}

impl Rest {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub(crate) async fn connect(host: SocketAddr, key: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            host,
            key: key.to_owned(),
            buffer: Vec::with_capacity(4096),
        })
    }

    /// Sends a request and waits for its response.
    ///
    /// # Errors
    /// When the connection breaks or the response is no HTTP with a length.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> anyhow::Result<Response> {
        let (host, key) = (self.host, &self.key);
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\nAccept: application/json\r\n"
        );
        if let Some(body) = body {
            request += &format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        } else {
            request += "\r\n";
        }
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        let mut head = None;
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
            if head.is_none() {
                head = read_head(&self.buffer)?;
            }
            if let Some((status, start, len)) = head
                && self.buffer.len() >= start + len
            {
                return Ok(Response {
                    status,
                    body: self.buffer[start..start + len].to_vec(),
                });
            }
        }
    }
}

/// Finds status, start and length of the body, once the head is complete.
fn read_head(bytes: &[u8]) -> anyhow::Result<Option<(u16, usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end])?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>())
    });
    Ok(Some((
        status,
        end + 4,
        length.context("no Content-Length")??,
    )))
}

/// A credential as the load needs it.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    pub(crate) id: String,
    pub(crate) sip_username: String,
}

/// What a round of requests brought and took.
pub(crate) struct Round<T> {
    pub(crate) results: Vec<T>,
    /// Of each request.
    pub(crate) latencies: Vec<Duration>,
}

/// What is asked again and again.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// Create a credential under this connection.
    Create(String),
    /// A token for one of these credentials, in turn.
    Token(Vec<Credential>),
    /// One of these credentials, in turn.
    Get(Vec<Credential>),
    /// One of these paths, in turn.
    Read(Vec<String>),
    /// Create something at this path, which is answered with this status; `{n}` in the body becomes a number of
    /// its own.
    Post(&'static str, u16, String),
}

impl Question {
    async fn ask(&self, rest: &mut Rest, number: usize) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Create(connection) => {
                let body = format!(r#"{{"connection_id":"{connection}","name":"load {number}"}}"#);
                rest.ask("POST", "/v2/telephony_credentials", Some(&body))
                    .await?
                    .expect(201)
            }
            Self::Token(credentials) => {
                let id = &credentials[number % credentials.len()].id;
                let path = format!("/v2/telephony_credentials/{id}/token");
                rest.ask("POST", &path, Some("{}")).await?.expect(201)
            }
            Self::Get(credentials) => {
                let id = &credentials[number % credentials.len()].id;
                let path = format!("/v2/telephony_credentials/{id}");
                rest.ask("GET", &path, None).await?.expect(200)
            }
            Self::Read(paths) => {
                let path = &paths[number % paths.len()];
                rest.ask("GET", path, None).await?.expect(200)
            }
            Self::Post(path, status, body) => {
                let body = body.replace("{n}", &number.to_string());
                rest.ask("POST", path, Some(&body)).await?.expect(*status)
            }
        }
    }
}

/// Asks `count` times over `connections`, each of which has one request under way.
///
/// # Errors
/// When any request fails.
pub(crate) async fn round(
    connections: Vec<Rest>,
    question: &Question,
    count: usize,
) -> anyhow::Result<(Vec<Rest>, Round<Vec<u8>>)> {
    let each = count / connections.len();
    let tasks: Vec<_> = connections
        .into_iter()
        .enumerate()
        .map(|(index, mut rest)| {
            let question = question.clone();
            tokio::spawn(async move {
                let mut answers = Vec::with_capacity(each);
                for number in index * each..(index + 1) * each {
                    let asked = Instant::now();
                    let answer = question.ask(&mut rest, number).await?;
                    answers.push((answer, asked.elapsed()));
                }
                anyhow::Ok((rest, answers))
            })
        })
        .collect();
    let mut round = Round {
        results: Vec::new(),
        latencies: Vec::new(),
    };
    let mut connections = Vec::new();
    for task in tasks {
        let (rest, answers) = task.await??;
        connections.push(rest);
        for (answer, latency) in answers {
            round.results.push(answer);
            round.latencies.push(latency);
        }
    }
    Ok((connections, round))
}

/// Reads a created credential.
///
/// # Errors
/// When it is none.
pub(crate) fn read_credential(body: &[u8]) -> anyhow::Result<Credential> {
    let body: Value = serde_json::from_slice(body)?;
    let text = |name: &str| body["data"][name].as_str().map(str::to_owned);
    Ok(Credential {
        id: text("id").context("a credential has no id")?,
        sip_username: text("sip_username").context("a credential has no sip_username")?,
    })
}
