//! The one way in which this process asks others over HTTP, so that nobody can use it to reach what only
//! this machine should.
//!
//! A host is resolved once, every address it has is checked, and the connection goes to an address that
//! was checked: a name cannot lead elsewhere in between. Addresses that are not on the public internet,
//! and ports other than 80 and 443, are refused unless the operator allows them. Redirects are not
//! followed. Each request has one deadline for everything, and of an answer at most 64 KiB are read.

mod names;
mod target;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use axum::body::Body;
use axum::http::{Request, Uri, header};
use futures_util::StreamExt;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

use self::names::Names;
pub(crate) use self::target::Target;
use self::target::{PORTS, is_public};

/// How much of an answer's body is read.
pub(crate) const MAX_ANSWER: usize = 64 * 1024;
/// How long an answer's head may be.
const MAX_HEAD: usize = 64 * 1024;
/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboundError {
    /// The text is not a URL that can be asked.
    #[error("not an http or https URL without credentials")]
    Url,
    /// The URL leads where requests may not go.
    #[error("{host} leads to {address}, where requests may not go")]
    Refused {
        /// The host as it was named.
        host: String,
        /// Where it leads.
        address: SocketAddr,
    },
    /// The host has no address.
    #[error("{host} cannot be resolved")]
    Resolve {
        /// The host.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// Nothing accepts connections there.
    #[error("there is no connection to {address}")]
    Connect {
        /// The last address that was tried.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// There is no TLS, or not with a certificate that is trusted.
    #[error("there is no trusted TLS connection to {host}")]
    Tls {
        /// The host.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// It took too long.
    #[error("there was no whole answer in time")]
    TimedOut,
    /// The answer is not HTTP.
    #[error("the answer cannot be read")]
    Answer(#[source] hyper::Error),
    /// The answer broke off.
    #[error("the answer's body cannot be read")]
    Body(#[source] axum::Error),
}

/// What an endpoint answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Its headers; what is not UTF-8 in them is replaced.
    pub(crate) headers: Vec<(String, String)>,
    /// The first [`MAX_ANSWER`] bytes of its body.
    pub(crate) body: Vec<u8>,
}

type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;
type Resolver = Arc<dyn Fn(String, u16) -> Resolving + Send + Sync>;

/// The client. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Outbound {
    allowed: Arc<[Target]>,
    tls: TlsConnector,
    resolver: Resolver,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

impl Outbound {
    /// Makes a client that may also go to these targets. It trusts the certificate authorities that
    /// browsers trust (Mozilla's list), and those in the file.
    pub(crate) fn new(allowed: &[String], ca_file: Option<&Path>) -> anyhow::Result<Self> {
        let allowed = allowed
            .iter()
            .map(|text| text.parse())
            .collect::<Result<Vec<Target>, _>>()?;
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        if let Some(path) = ca_file {
            let unusable = || format!("the certificates in {} cannot be used", path.display());
            let mut found = false;
            for certificate in CertificateDer::pem_file_iter(path).with_context(unusable)? {
                let certificate = certificate.with_context(unusable)?;
                roots.add(certificate).with_context(unusable)?;
                found = true;
            }
            if !found {
                return Err(anyhow!("there is no certificate in {}", path.display()));
            }
        }
        let provider = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider();
        let mut tls = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            allowed: allowed.into(),
            tls: TlsConnector::from(Arc::new(tls)),
            resolver: resolver(Names::of_system()?),
        })
    }

    /// Posts a JSON body and reads the answer; all of it within `timeout`.
    ///
    /// # Errors
    /// Any status is an answer. See [`OutboundError`] for what is none.
    pub(crate) async fn post(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<Answer, OutboundError> {
        tokio::time::timeout(timeout, self.exchange(url, headers, body))
            .await
            .unwrap_or(Err(OutboundError::TimedOut))
    }

    async fn exchange(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<Answer, OutboundError> {
        let url = Url::parse(url).map_err(|_| OutboundError::Url)?;
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(OutboundError::Url),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::Url);
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(OutboundError::Url);
        };
        let stream = self.connect(&host, port).await?;
        // A small message should not wait for another; a socket without the option still works.
        let _ = stream.set_nodelay(true);
        let request = request(&url, headers, body)?;
        if !secure {
            return converse(stream, request).await;
        }
        let name = match &host {
            Host::Domain(name) => ServerName::try_from((*name).to_owned()),
            Host::Ipv4(ip) => Ok(ServerName::from(IpAddr::V4(*ip))),
            Host::Ipv6(ip) => Ok(ServerName::from(IpAddr::V6(*ip))),
        };
        let name = name.map_err(|_| OutboundError::Url)?;
        let stream = self.tls.connect(name, stream).await;
        let stream = stream.map_err(|source| OutboundError::Tls {
            host: host.to_string(),
            source,
        })?;
        converse(stream, request).await
    }

    /// Connects to an address of the host, once all of them are checked.
    async fn connect(&self, host: &Host<&str>, port: u16) -> Result<TcpStream, OutboundError> {
        let (name, addresses) = match host {
            Host::Ipv4(ip) => (None, vec![SocketAddr::from((*ip, port))]),
            Host::Ipv6(ip) => (None, vec![SocketAddr::from((*ip, port))]),
            Host::Domain(name) => {
                let found = (self.resolver)((*name).to_owned(), port).await;
                let found = found.map_err(|source| OutboundError::Resolve {
                    host: (*name).to_owned(),
                    source,
                })?;
                (Some(*name), found)
            }
        };
        let refused = addresses
            .iter()
            .find(|address| !self.may_reach(name, **address));
        if let Some(&address) = refused {
            return Err(OutboundError::Refused {
                host: host.to_string(),
                address,
            });
        }
        let mut failure = OutboundError::Resolve {
            host: host.to_string(),
            source: io::Error::new(io::ErrorKind::NotFound, "it has no address"),
        };
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(source) => failure = OutboundError::Connect { address, source },
            }
        }
        Err(failure)
    }

    /// Tells whether a request for a host may go to an address that it has.
    fn may_reach(&self, host: Option<&str>, address: SocketAddr) -> bool {
        (is_public(address.ip()) && PORTS.contains(&address.port()))
            || self
                .allowed
                .iter()
                .any(|target| target.covers(host, address))
    }
}

fn resolver(names: Names) -> Resolver {
    let names = Arc::new(names);
    Arc::new(move |host, port| {
        let names = Arc::clone(&names);
        Box::pin(async move {
            let found = names.lookup(&host).await?.into_iter();
            Ok(found.map(|ip| SocketAddr::new(ip, port)).collect())
        })
    })
}

fn request(
    url: &Url,
    headers: &[(String, String)],
    body: Vec<u8>,
) -> Result<Request<Body>, OutboundError> {
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let uri: Uri = path.parse().map_err(|_| OutboundError::Url)?;
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut request = Request::post(uri)
        .header(header::HOST, authority)
        .header(header::CONNECTION, "close");
    for (name, value) in headers {
        request = request.header(name.as_str(), value.as_str());
    }
    request
        .body(Body::from(body))
        .map_err(|_| OutboundError::Url)
}

/// Ends a task with its owner.
struct Ended(tokio::task::JoinHandle<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Body>,
) -> Result<Answer, OutboundError> {
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(OutboundError::Answer)?;
    let _connection = Ended(tokio::spawn(async move {
        // What breaks the connection also breaks the request, which tells of it.
        let _ = connection.await;
    }));
    let response = sender.send_request(request).await;
    let response = response.map_err(OutboundError::Answer)?;
    let (head, incoming) = response.into_parts();
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let mut answer = Answer {
        status: head.status.as_u16(),
        headers: headers.collect(),
        body: Vec::new(),
    };
    let mut incoming = Body::new(incoming).into_data_stream();
    while answer.body.len() < MAX_ANSWER
        && let Some(data) = incoming.next().await
    {
        let data = data.map_err(OutboundError::Body)?;
        let room = MAX_ANSWER - answer.body.len();
        answer.body.extend_from_slice(&data[..data.len().min(room)]);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn client(allowed: &[&str]) -> Outbound {
        let allowed: Vec<String> = allowed.iter().map(|text| (*text).to_owned()).collect();
        Outbound::new(&allowed, None).unwrap()
    }

    impl Outbound {
        /// Lets a name lead to one address after the other, again from the start at the end.
        fn with_names(mut self, answers: Vec<Vec<SocketAddr>>) -> (Self, Arc<AtomicUsize>) {
            let asked = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&asked);
            self.resolver = Arc::new(move |_, _| {
                let at = count.fetch_add(1, Ordering::SeqCst);
                let answer = answers[at % answers.len()].clone();
                Box::pin(async move { Ok(answer) })
            });
            (self, asked)
        }

        async fn ask(&self, url: &str) -> Result<Answer, OutboundError> {
            self.post(url, &[], b"{}".to_vec(), PATIENCE).await
        }
    }

    /// Answers every connection with the same bytes, and counts them.
    struct Receiver {
        address: SocketAddr,
        connections: Arc<AtomicUsize>,
        requests: Arc<Mutex<Vec<String>>>,
    }

    impl Receiver {
        async fn at(address: &str, answer: &'static [u8]) -> Option<Self> {
            let listener = TcpListener::bind(address).await.ok()?;
            let receiver = Self {
                address: listener.local_addr().unwrap(),
                connections: Arc::default(),
                requests: Arc::default(),
            };
            let connections = Arc::clone(&receiver.connections);
            let requests = Arc::clone(&receiver.requests);
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    connections.fetch_add(1, Ordering::SeqCst);
                    let mut bytes = vec![0; 4096];
                    let count = stream.read(&mut bytes).await.unwrap_or(0);
                    let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
                    requests.lock().unwrap().push(text);
                    let _ = stream.write_all(answer).await;
                }
            });
            Some(receiver)
        }

        async fn new(answer: &'static [u8]) -> Self {
            Self::at("127.0.0.1:0", answer).await.unwrap()
        }

        fn connections(&self) -> usize {
            self.connections.load(Ordering::SeqCst)
        }
    }

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    #[tokio::test]
    async fn private_targets_get_not_one_connection() {
        let v4 = Receiver::new(OK).await;
        let port = v4.address.port();
        // The same port on the other loopback, if this machine has one.
        let v6 = Receiver::at(&format!("[::1]:{port}"), OK).await;
        let outbound = client(&[]);
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.0.1.",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "0.0.0.0",
            "0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:ffff:127.0.0.1]",
            "[::127.0.0.1]",
            "[64:ff9b::127.0.0.1]",
            "[2002:7f00:1::]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "169.254.169.254",
            "[fe80::1]",
            "10.0.0.1",
            "192.168.0.1",
            "%31%32%37.0.0.1",
            "①②⑦.⓪.⓪.①",
        ] {
            let url = format!("http://{host}:{port}/hook");
            let result = outbound.ask(&url).await;
            assert!(
                matches!(
                    result,
                    Err(OutboundError::Refused { .. }
                        | OutboundError::Url
                        | OutboundError::Resolve { .. })
                ),
                "{url}: {result:?}"
            );
        }
        assert_eq!(v4.connections(), 0);
        assert_eq!(v6.map_or(0, |v6| v6.connections()), 0);
    }

    #[tokio::test]
    async fn other_ports_of_public_hosts_are_refused() {
        let outbound = client(&[]);
        for url in [
            "http://1.1.1.1:22/",
            "https://1.1.1.1:8443/",
            "http://[2606:4700::1111]:25/",
        ] {
            let result = outbound.ask(url).await;
            assert!(
                matches!(result, Err(OutboundError::Refused { .. })),
                "{url}"
            );
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_elsewhere_the_second_time_leads_nowhere() {
        let receiver = Receiver::new(OK).await;
        let allowed = client(&[&format!("192.0.2.1:{}", receiver.address.port())]);
        let permitted = SocketAddr::from(([192, 0, 2, 1], receiver.address.port()));
        // What is checked is what is connected to: one look-up, and the private address of the second is
        // never seen. 192.0.2.1 answers nobody, so the request ends with its time.
        let (outbound, asked) = allowed
            .clone()
            .with_names(vec![vec![permitted], vec![receiver.address]]);
        let result = outbound
            .post(
                "http://flips.example/",
                &[],
                Vec::new(),
                Duration::from_millis(50),
            )
            .await;
        assert!(result.is_err(), "{result:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        // One private address among others is one too many.
        let (outbound, _) = allowed.with_names(vec![vec![permitted, receiver.address]]);
        let url = format!("http://both.example:{}/", receiver.address.port());
        let result = outbound.ask(&url).await;
        assert!(
            matches!(result, Err(OutboundError::Refused { address, .. }) if address == receiver.address)
        );
        assert_eq!(receiver.connections(), 0);
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_is_not_followed() {
        let inner = Receiver::new(OK).await;
        let redirect: &'static [u8] = format!(
            "HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n",
            inner.address
        )
        .leak()
        .as_bytes();
        let outer = Receiver::new(redirect).await;
        let outbound = client(&["127.0.0.0/8:*"]);
        let answer = outbound.ask(&format!("http://{}/", outer.address)).await;
        assert_eq!(answer.unwrap().status, 302);
        assert_eq!((outer.connections(), inner.connections()), (1, 0));
    }

    #[tokio::test]
    async fn a_request_carries_its_headers_and_body() {
        let receiver = Receiver::new(OK).await;
        let outbound = client(&[&receiver.address.to_string()]);
        let url = format!("http://{}/a/b?c=d#e", receiver.address);
        let headers = [("telnyx-timestamp".to_owned(), "17".to_owned())];
        let answer = outbound
            .post(&url, &headers, b"{\"a\":1}".to_vec(), PATIENCE)
            .await
            .unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"ok"[..]));
        let request = receiver.requests.lock().unwrap().remove(0).to_lowercase();
        assert!(
            request.starts_with("post /a/b?c=d http/1.1\r\n"),
            "{request}"
        );
        for part in [
            &format!("\r\nhost: {}\r\n", receiver.address),
            "\r\ntelnyx-timestamp: 17\r\n",
            "\r\ncontent-length: 7\r\n",
            "\r\n\r\n{\"a\":1}",
        ] {
            assert!(request.contains(part), "{part} in {request}");
        }
    }

    #[tokio::test]
    async fn a_long_answer_is_cut_and_a_broken_one_is_an_error() {
        let long: &'static [u8] = {
            let mut long = b"HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n".to_vec();
            long.resize(long.len() + 2 * MAX_ANSWER, b'x');
            long.leak()
        };
        let outbound = client(&["127.0.0.0/8:*"]);
        let receiver = Receiver::new(long).await;
        let answer = outbound.ask(&format!("http://{}/", receiver.address)).await;
        assert_eq!(answer.unwrap().body.len(), MAX_ANSWER);
        for broken in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok"[..],
            b"what do you want\r\n\r\n",
            b"",
        ] {
            let receiver = Receiver::new(broken).await;
            let result = outbound.ask(&format!("http://{}/", receiver.address)).await;
            assert!(
                matches!(
                    result,
                    Err(OutboundError::Answer(_) | OutboundError::Body(_))
                ),
                "{result:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_silent_endpoint_costs_no_more_than_its_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let outbound = client(&["127.0.0.0/8:*"]);
        let result = outbound
            .post(&url, &[], Vec::new(), Duration::from_millis(20))
            .await;
        assert!(matches!(result, Err(OutboundError::TimedOut)), "{result:?}");
    }

    #[tokio::test]
    async fn a_silent_nameserver_costs_no_more_than_the_time_of_a_request() {
        let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let names = Names::of("", silent.local_addr().unwrap(), PATIENCE);
        let mut outbound = client(&[]);
        outbound.resolver = resolver(names);
        let posts = (0..50).map(|n| {
            let (outbound, url) = (&outbound, format!("http://{n}.example/"));
            async move {
                let timeout = Duration::from_millis(20);
                outbound.post(&url, &[], Vec::new(), timeout).await
            }
        });
        for result in futures_util::future::join_all(posts).await {
            assert!(matches!(result, Err(OutboundError::TimedOut)), "{result:?}");
        }
    }

    #[tokio::test]
    async fn nobody_there_and_no_tls_are_told_apart() {
        let outbound = client(&["127.0.0.0/8:*"]);
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        let result = outbound.ask(&format!("http://{closed}/")).await;
        assert!(
            matches!(result, Err(OutboundError::Connect { .. })),
            "{result:?}"
        );
        let receiver = Receiver::new(OK).await;
        let result = outbound
            .ask(&format!("https://{}/", receiver.address))
            .await;
        assert!(
            matches!(result, Err(OutboundError::Tls { .. })),
            "{result:?}"
        );
    }

    /// An authority of its own, as PEM, and an endpoint for `localhost` with a certificate of it.
    async fn secure_endpoint() -> (String, SocketAddr) {
        use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
        use tokio_rustls::rustls::ServerConfig;
        use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
        use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut bytes = [0; 4096];
                    let _ = stream.read(&mut bytes).await;
                    let _ = stream.write_all(OK).await;
                    let _ = stream.shutdown().await;
                }
            }
        });
        (authority.pem(), address)
    }

    #[tokio::test]
    async fn a_private_authority_is_trusted_when_it_is_named() {
        let (authority, address) = secure_endpoint().await;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), authority).unwrap();
        let allowed = ["127.0.0.0/8:*".to_owned()];
        let trusting = Outbound::new(&allowed, Some(file.path())).unwrap();
        let port = address.port();
        let named = format!("https://hooks.example:{port}/");
        let url = format!("https://localhost:{port}/");
        let (trusting, _) = trusting.with_names(vec![vec![address]]);
        assert_eq!(trusting.ask(&url).await.unwrap().status, 200);
        let result = trusting.ask(&named).await;
        assert!(
            matches!(result, Err(OutboundError::Tls { .. })),
            "another name: {result:?}"
        );
        let (other, _) = client(&["127.0.0.0/8:*"]).with_names(vec![vec![address]]);
        let result = other.ask(&url).await;
        assert!(
            matches!(result, Err(OutboundError::Tls { .. })),
            "{result:?}"
        );
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Outbound::new(&[], Some(file.path())).is_err());
        assert!(Outbound::new(&[], Some(Path::new("/nowhere/ca.pem"))).is_err());
    }

    #[tokio::test]
    async fn what_is_no_url_of_ours_is_refused() {
        let outbound = client(&["0.0.0.0/0:*"]);
        for url in [
            "",
            "x",
            "ftp://example.org/",
            "file:///etc/passwd",
            "http://",
            "gopher://127.0.0.1:70/",
            "http://user:secret@example.org/",
            "http://user@example.org/",
        ] {
            let result = outbound.ask(url).await;
            assert!(
                matches!(result, Err(OutboundError::Url)),
                "{url}: {result:?}"
            );
        }
    }
}
