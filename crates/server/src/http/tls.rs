//! TLS on the HTTP port: the certificate and its key, read anew when asked, and handshakes that are
//! bounded in number, in time, and in the threads that compute them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::sources::Sources;
use crate::telemetry::Metrics;

/// Longest wait for the first byte, and again for the whole handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes under way at once.
const MAX_HANDSHAKES: usize = 512;
/// Handshakes of one source under way at once.
const MAX_HANDSHAKES_PER_SOURCE: usize = 128;
/// The type of the record that a TLS client begins with (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// Where the certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// `tls_cert`: the certificate, then those that lead to its root, in PEM.
    pub(crate) certificate: PathBuf,
    /// `tls_key`: the private key, in PEM.
    pub(crate) key: PathBuf,
}

/// Makes TLS streams of connections.
pub(crate) struct Tls {
    files: TlsFiles,
    current: RwLock<Arc<ServerConfig>>,
    places: Semaphore,
    sources: Arc<Sources>,
    /// Where handshakes are computed, so that a flood of them takes no thread from calls and REST.
    /// Always there until this is dropped.
    threads: Option<Runtime>,
    metrics: Arc<Metrics>,
}

/// What became of a connection to the TLS port.
pub(crate) enum Accepted {
    /// A client that speaks TLS.
    Secure(Box<TlsStream<TcpStream>>),
    /// A client that does not. What it sent has not been read yet.
    Plain(TcpStream),
}

impl TlsFiles {
    /// Reads both files.
    ///
    /// # Errors
    /// Says in one line which file cannot be used, by its key, and why.
    pub(crate) fn load(&self) -> anyhow::Result<Arc<ServerConfig>> {
        let certificates = certificates(&self.certificate)
            .with_context(|| format!("tls_cert {}", self.certificate.display()))?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| unreadable(error, "private key"))
            .with_context(|| format!("tls_key {}", self.key.display()))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("TLS cannot be used")?
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .map_err(|error| {
                let (certificate, key) = (self.certificate.display(), self.key.display());
                if matches!(error, rustls::Error::InconsistentKeys(_)) {
                    anyhow::anyhow!("tls_key {key} does not belong to tls_cert {certificate}")
                } else {
                    anyhow::anyhow!("tls_cert {certificate} and tls_key {key}: {error}")
                }
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = |error| unreadable(error, "certificate");
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(read)?.collect();
    let chain = chain.map_err(read)?;
    anyhow::ensure!(!chain.is_empty(), "holds no certificate in PEM");
    Ok(chain)
}

fn unreadable(error: rustls::pki_types::pem::Error, wanted: &str) -> anyhow::Error {
    use rustls::pki_types::pem::Error;
    if let Error::Io(error) = &error {
        anyhow::anyhow!("cannot be read: {error}")
    } else if matches!(error, Error::NoItemsFound) {
        anyhow::anyhow!("holds no {wanted} in PEM")
    } else {
        anyhow::anyhow!("is not PEM: {error}")
    }
}

impl Tls {
    /// Reads the files and starts the threads of handshakes.
    ///
    /// # Errors
    /// When the files cannot be used, or the threads cannot be started.
    pub(crate) fn start(files: TlsFiles, metrics: Arc<Metrics>) -> anyhow::Result<Arc<Self>> {
        let config = files.load()?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = Builder::new_multi_thread()
            .worker_threads(cores.div_ceil(2))
            .thread_name("ringtrip-tls")
            .enable_time()
            .build()
            .context("the threads of TLS cannot be started")?;
        Ok(Arc::new(Self {
            files,
            current: RwLock::new(config),
            places: Semaphore::new(MAX_HANDSHAKES),
            sources: Sources::new(MAX_HANDSHAKES_PER_SOURCE),
            threads: Some(threads),
            metrics,
        }))
    }

    /// Reads the files again. Connections go on with what they began with; if the files cannot be
    /// used, so does everything else.
    ///
    /// # Errors
    /// Says why the new files cannot be used.
    pub(crate) fn reload(&self) -> anyhow::Result<()> {
        let config = self.files.load()?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Makes a TLS stream of a connection; no source stands for a proxy. None if there is no room for its
    /// handshake, or it does not come to an end; the connection is closed then.
    pub(crate) async fn accept(
        self: &Arc<Self>,
        stream: TcpStream,
        source: Option<IpAddr>,
    ) -> Option<Accepted> {
        let tls = Arc::clone(self);
        let threads = self.threads.as_ref()?.handle();
        // Who says nothing takes no place from those who do.
        let mut first = [0];
        let spoken = tokio::time::timeout(HANDSHAKE_TIMEOUT, stream.peek(&mut first)).await;
        match spoken {
            Ok(Ok(1)) if first[0] == HANDSHAKE_RECORD => {}
            Ok(Ok(1)) => return Some(Accepted::Plain(stream)),
            Ok(Ok(_) | Err(_)) | Err(_) => {
                self.metrics
                    .tls_failed_total
                    .fetch_add(1, Ordering::Relaxed);
                return None;
            }
        }
        let handshake = threads.spawn(async move {
            let of_source = source.map(|source| tls.sources.enter(source));
            let place = (tls.places.try_acquire(), of_source);
            let (Ok(_), None | Some(Some(_))) = &place else {
                tls.metrics
                    .tls_refused_total
                    .fetch_add(1, Ordering::Relaxed);
                return None;
            };
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.shake_hands(stream)).await {
                Ok(Ok(stream)) => {
                    tls.metrics
                        .tls_handshakes_total
                        .fetch_add(1, Ordering::Relaxed);
                    Some(Accepted::Secure(Box::new(stream)))
                }
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a TLS handshake failed");
                    tls.metrics.tls_failed_total.fetch_add(1, Ordering::Relaxed);
                    None
                }
                Err(_) => {
                    tls.metrics.tls_failed_total.fetch_add(1, Ordering::Relaxed);
                    None
                }
            }
        });
        // A handshake that panics costs its own connection; the panic has been printed.
        handshake.await.ok().flatten()
    }

    async fn shake_hands(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(config).accept(stream).await
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        // Waiting for its threads is not allowed in a task.
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, TlsFiles) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let files = TlsFiles {
            certificate: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
        };
        (folder, files)
    }

    fn issue(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_and_its_key_are_taken() {
        let (cert, key) = issue("localhost");
        let (_folder, files) = folder(&[("cert.pem", &cert), ("key.pem", &key)]);
        let config = files.load().unwrap();
        assert_eq!(config.alpn_protocols, [b"http/1.1"]);
    }

    #[test]
    fn what_cannot_be_used_is_named_in_one_line() {
        let (cert, key) = issue("localhost");
        let (_, other_key) = issue("localhost");
        let broken = cert.replace('M', "!");
        for (cert, key, words) in [
            (None, Some(&key), "tls_cert"),
            (Some(&cert), None, "tls_key"),
            (Some(&String::new()), Some(&key), "no certificate"),
            (Some(&key), Some(&key), "no certificate"),
            (Some(&cert), Some(&cert), "no private key"),
            (Some(&cert), Some(&other_key), "does not belong to tls_cert"),
            (Some(&broken), Some(&key), "tls_cert"),
        ] {
            let mut written = Vec::new();
            written.extend(cert.map(|text| ("cert.pem", text.as_str())));
            written.extend(key.map(|text| ("key.pem", text.as_str())));
            let (_folder, files) = folder(&written);
            let error = format!("{:#}", files.load().unwrap_err());
            assert!(error.contains(words), "{words}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}
