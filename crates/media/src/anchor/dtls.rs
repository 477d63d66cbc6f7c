//! The DTLS half of an anchor (RFC 5764, RFC 8842). The only place that knows the DTLS engine, and the
//! only one that turns [`Time`] into an [`Instant`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use dimpl::{Config, Dtls, DtlsCertificate, Output};
use ringtrip_model::{MediaFailure, Time};

use crate::plan::{DtlsRole, Fingerprint};
use crate::srtp::{SrtpKeys, SrtpProfile};

/// The first repeat of a lost flight. Calls wait for it, so it is shorter than for other uses; it
/// doubles with every repeat.
const FIRST_RETRY: Duration = Duration::from_millis(50);
/// More than time allows for: a party's own repeats are answered from the same budget.
const RETRIES: usize = 40;
/// How long a handshake may take before the path counts as unusable.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// Engine output larger than this is no handshake.
const MAX_OUTPUT: usize = 64 * 1024;

/// Why no certificate could be made or used.
#[derive(Debug, thiserror::Error)]
pub enum DtlsSetupError {
    /// Key generation or signing failed.
    #[error("cannot generate a DTLS certificate")]
    Certificate(#[source] dimpl::certificate::CertificateError),
    /// The engine refused the configuration.
    #[error("cannot configure DTLS")]
    Config(#[source] dimpl::Error),
}

/// What all handshakes of a process share: one certificate, and one configuration that is costly to
/// check and cheap to share.
pub struct DtlsContext {
    config: Arc<Config>,
    certificate: DtlsCertificate,
    fingerprint: Fingerprint,
    base: Instant,
}

impl DtlsContext {
    /// Makes a self-signed P-256 certificate. `base` is the instant of [`Time::ZERO`].
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn generate(base: Instant) -> Result<Self, DtlsSetupError> {
        let certificate = dimpl::certificate::generate_self_signed_certificate()
            .map_err(DtlsSetupError::Certificate)?;
        Self::from_certificate(certificate.certificate, certificate.private_key, base)
    }

    /// Uses an existing certificate and private key, both in DER. `base` is the instant of
    /// [`Time::ZERO`].
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn from_certificate(
        certificate: Vec<u8>,
        private_key: Vec<u8>,
        base: Instant,
    ) -> Result<Self, DtlsSetupError> {
        let config = Config::builder()
            // The address is validated by ICE before DTLS hears of it.
            .use_server_cookie(false)
            .flight_start_rto(FIRST_RETRY)
            .flight_retries(RETRIES)
            .handshake_timeout(HANDSHAKE_TIMEOUT)
            .build()
            .map_err(DtlsSetupError::Config)?;
        Ok(Self {
            config: Arc::new(config),
            fingerprint: fingerprint_of(&certificate),
            certificate: DtlsCertificate {
                certificate,
                private_key,
            },
            base,
        })
    }

    /// Returns the certificate's SHA-256 digest, for SDP.
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn instant(&self, now: Time) -> Instant {
        self.base + Duration::from_micros(now.as_micros())
    }

    fn time(&self, instant: Instant) -> Time {
        Time::ZERO + instant.saturating_duration_since(self.base)
    }
}

impl std::fmt::Debug for DtlsContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DtlsContext")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// Returns whether a datagram's first byte is in DTLS's range (RFC 7983 §7).
pub(crate) const fn is_dtls(first: u8) -> bool {
    first >= 20 && first < 64
}

fn fingerprint_of(certificate: &[u8]) -> Fingerprint {
    let hash = digest::digest(&digest::SHA256, certificate);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.as_ref());
    Fingerprint(bytes)
}

/// One DTLS association.
pub(crate) struct DtlsSession {
    dtls: Box<Dtls>,
    expected: Fingerprint,
    verified: bool,
    connected: bool,
    keys: Option<SrtpKeys>,
    deadline: Option<Time>,
}

impl DtlsSession {
    /// Prepares an association; nothing is sent before the first [`advance`](Self::advance).
    pub(crate) fn new(
        context: &DtlsContext,
        role: DtlsRole,
        expected: Fingerprint,
        now: Time,
    ) -> Self {
        // Version 1.2: browsers and str0m agree on it. As server the engine prefers AES-256-GCM to
        // AES-128-GCM to counter mode, in an order of its own; all three are ours to use.
        let mut dtls = Dtls::new_12(
            Arc::clone(&context.config),
            context.certificate.clone(),
            context.instant(now),
        );
        dtls.set_active(role == DtlsRole::Client);
        Self {
            dtls: Box::new(dtls),
            expected,
            verified: false,
            connected: false,
            keys: None,
            deadline: None,
        }
    }

    /// Returns when [`advance`](Self::advance) is due.
    pub(crate) const fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// Feeds a datagram. Returns the keys once the handshake is complete and the certificate is the
    /// promised one.
    pub(crate) fn handle_datagram(
        &mut self,
        context: &DtlsContext,
        bytes: &[u8],
        now: Time,
        mut send: impl FnMut(&[u8]),
    ) -> Result<Option<SrtpKeys>, MediaFailure> {
        self.dtls
            .handle_timeout(context.instant(now))
            .map_err(failure)?;
        self.drain(context, &mut send)?;
        self.dtls.handle_packet(bytes).map_err(failure)?;
        self.drain(context, &mut send)?;
        Ok(self.finished())
    }

    /// Lets time pass: begins the handshake (as client), repeats lost flights, gives up.
    pub(crate) fn advance(
        &mut self,
        context: &DtlsContext,
        now: Time,
        mut send: impl FnMut(&[u8]),
    ) -> Result<Option<SrtpKeys>, MediaFailure> {
        self.dtls
            .handle_timeout(context.instant(now))
            .map_err(failure)?;
        self.drain(context, &mut send)?;
        Ok(self.finished())
    }

    fn finished(&mut self) -> Option<SrtpKeys> {
        if self.connected && self.verified {
            self.keys.take()
        } else {
            None
        }
    }

    fn drain(
        &mut self,
        context: &DtlsContext,
        send: &mut impl FnMut(&[u8]),
    ) -> Result<(), MediaFailure> {
        let mut small = [0; 2048];
        let mut large = Vec::new();
        loop {
            let buffer = if large.is_empty() {
                &mut small[..]
            } else {
                &mut large[..]
            };
            match self.dtls.poll_output(buffer) {
                Output::Packet(packet) => send(packet),
                Output::BufferTooSmall { needed } if needed <= MAX_OUTPUT => {
                    large.resize(needed, 0);
                }
                Output::BufferTooSmall { .. } => return Err(MediaFailure::DtlsFailed),
                Output::Timeout(at) => {
                    self.deadline = Some(context.time(at));
                    return Ok(());
                }
                Output::Connected => self.connected = true,
                Output::PeerCert(certificate) => {
                    if fingerprint_of(certificate) != self.expected {
                        return Err(MediaFailure::FingerprintMismatch);
                    }
                    self.verified = true;
                }
                Output::KeyingMaterial(material, profile) => {
                    let profile = match profile {
                        dimpl::SrtpProfile::AEAD_AES_128_GCM => SrtpProfile::AeadAes128Gcm,
                        dimpl::SrtpProfile::AEAD_AES_256_GCM => SrtpProfile::AeadAes256Gcm,
                        dimpl::SrtpProfile::AES128_CM_SHA1_80 => SrtpProfile::Aes128CmSha1_80,
                        _ => return Err(MediaFailure::DtlsFailed),
                    };
                    let keys = SrtpKeys::from_keying_material(profile, &material);
                    self.keys = Some(keys.map_err(|_| MediaFailure::DtlsFailed)?);
                }
                // No data channels. A close_notify says nothing that signalling does not say better.
                Output::ApplicationData(_) | Output::CloseNotify => {}
                _ => {}
            }
        }
    }
}

impl std::fmt::Debug for DtlsSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DtlsSession")
            .field("connected", &self.connected)
            .finish_non_exhaustive()
    }
}

fn failure(error: dimpl::Error) -> MediaFailure {
    tracing::debug!(%error, "a DTLS association ended");
    MediaFailure::DtlsFailed
}
