//! HTTP/1.1 over a socket, byte by byte where a test wants that.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{Stream, soon};

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice: {self:?}");
        value
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// Asserts the shape that every error has; returns its first code.
    pub(crate) fn envelope(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        let json = self.json();
        let errors = json["errors"].as_array().unwrap();
        assert!(!errors.is_empty(), "{json}");
        for error in errors {
            for key in ["code", "title", "detail"] {
                assert!(error[key].is_string(), "{json}");
            }
        }
        errors[0]["code"].as_str().unwrap().to_owned()
    }
}

/// One connection, kept alive.
#[derive(Debug)]
pub(crate) struct Http {
    stream: BufReader<Box<dyn Stream>>,
    address: SocketAddr,
}

impl Http {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = soon("connect", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream, address)
    }

    /// Speaks over a connection that is there.
    pub(crate) fn over(stream: impl Stream + 'static, address: SocketAddr) -> Self {
        Self {
            stream: BufReader::new(Box::new(stream)),
            address,
        }
    }

    /// Writes bytes as they are.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        soon("write", self.stream.write_all(bytes)).await
    }

    /// Reads an answer; none if the connection ends before one.
    pub(crate) async fn read(&mut self, has_body: bool) -> std::io::Result<Option<Response>> {
        soon("an HTTP answer", self.read_patiently(has_body)).await
    }

    async fn read_patiently(&mut self, has_body: bool) -> std::io::Result<Option<Response>> {
        let Some(line) = self.line().await? else {
            return Ok(None);
        };
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status in {line}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?.unwrap_or_default();
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut response = Response {
            status,
            headers,
            body: Vec::new(),
        };
        if !has_body || matches!(status, 101 | 204 | 304) {
            return Ok(Some(response));
        }
        if let Some(length) = response.header("content-length") {
            response.body = vec![0; length.parse().unwrap()];
            self.stream.read_exact(&mut response.body).await?;
        } else if response.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = self.line().await?.unwrap_or_default();
                let size = usize::from_str_radix(&size, 16).unwrap();
                let start = response.body.len();
                response.body.resize(start + size, 0);
                self.stream.read_exact(&mut response.body[start..]).await?;
                self.line().await?;
                if size == 0 {
                    break;
                }
            }
        } else {
            self.stream.read_to_end(&mut response.body).await?;
        }
        Ok(Some(response))
    }

    async fn line(&mut self) -> std::io::Result<Option<String>> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        line.truncate(line.trim_end().len());
        Ok(Some(line))
    }

    /// Asserts that the server closes the connection without another word.
    pub(crate) async fn expect_close(&mut self) {
        let mut rest = Vec::new();
        // A reset closes as well: the server does not read what it has refused.
        match soon("close", self.stream.read_to_end(&mut rest)).await {
            Ok(_) => assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest)),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }

    /// Sends a request; an error means that the server went away.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> std::io::Result<Response> {
        use std::fmt::Write;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        if let Some(body) = body {
            write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body.unwrap_or_default());
        self.write(&bytes).await?;
        let response = self.read(method != "HEAD").await?;
        response.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
    }

    /// Sends a request that must be answered.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Response {
        self.send(method, path, headers, body).await.unwrap()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response {
        self.request("GET", path, &[], None).await
    }
}

/// REST with a key.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) http: Http,
    authorization: String,
}

impl Rest {
    pub(crate) async fn connect(address: SocketAddr, key: &str) -> Self {
        Self::over(Http::connect(address).await, key)
    }

    pub(crate) fn over(http: Http, key: &str) -> Self {
        Self {
            http,
            authorization: format!("Bearer {key}"),
        }
    }

    /// Sends a request; an error means that the server went away.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> std::io::Result<Response> {
        let headers = [
            ("Authorization", self.authorization.as_str()),
            ("Content-Type", "application/json"),
        ];
        let body = body.map(|body| body.to_string().into_bytes());
        self.http
            .send(method, path, &headers, body.as_deref())
            .await
    }

    /// Sends a request that must be answered.
    pub(crate) async fn call(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Response {
        self.send(method, path, body).await.unwrap()
    }

    /// Sends a request that must succeed; returns its `data`.
    pub(crate) async fn data(&mut self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let response = self.call(method, path, body).await;
        assert!(response.status < 300, "{}", response.text());
        response.json()["data"].clone()
    }

    /// Makes a token for a credential.
    pub(crate) async fn token(&mut self, credential: &str) -> String {
        let path = format!("/v2/telephony_credentials/{credential}/token");
        let response = self.call("POST", &path, None).await;
        assert_eq!(response.status, 201, "{}", response.text());
        response.text()
    }
}
