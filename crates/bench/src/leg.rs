//! One party's media: a connectivity check, a DTLS handshake, then SRTP of our own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ringtrip_media::rtp::{self, OutgoingHeader, RtpHeader};
use ringtrip_media::srtp::{SrtpKeys, SrtpProfile, SrtpReceiver, SrtpSender};
use str0m::crypto::CryptoProvider;
use str0m::crypto::dtls::{
    DtlsCert, DtlsInstance, DtlsOutput, DtlsVersion, SrtpProfile as Negotiated,
};

use crate::sdp::{AUDIO_LEVEL, Remote};
use crate::stun;

/// How long an unanswered check waits before it is sent again; a browser's pace.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// How often an answered check is repeated for consent (RFC 7675 §5.1, halved as browsers do).
const CONSENT_INTERVAL: Duration = Duration::from_millis(2500);
/// Bytes of sound in a packet: what 20 ms of G.711 take, more than most Opus.
const PAYLOAD_LEN: usize = 160;
/// Clock units of 20 ms at 48 kHz.
const FRAME_UNITS: u32 = 960;
/// A silent voice flag and −50 dB.
const LEVEL: u8 = 50;

/// What all legs share.
pub(crate) struct Tools {
    pub(crate) crypto: CryptoProvider,
    certificate: DtlsCert,
    fingerprint: String,
    /// What times in packets count from.
    base: Instant,
}

impl Tools {
    /// Makes a certificate.
    ///
    /// # Errors
    /// When the library cannot.
    pub(crate) fn new() -> anyhow::Result<Arc<Self>> {
        let crypto = str0m::crypto::from_feature_flags();
        let certificate = crypto
            .dtls_provider
            .generate_certificate()
            .context("no certificate")?;
        let hash = crypto.sha256_provider.sha256(&certificate.certificate);
        let fingerprint = hash
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect::<Vec<_>>()
            .join(":");
        Ok(Arc::new(Self {
            crypto,
            certificate,
            fingerprint,
            base: Instant::now(),
        }))
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from((at - self.base).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// What a description says of a leg.
#[derive(Debug, Clone)]
pub(crate) struct LegDescription {
    pub(crate) number: usize,
    pub(crate) address: SocketAddr,
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
    pub(crate) fingerprint: String,
    pub(crate) ssrc: u32,
}

/// What arrived.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Nothing to tell.
    Nothing,
    /// The keys are there: from now on it can send.
    Connected,
    /// A packet of the other party: who sent it when and in which window of measurement.
    Sound { delay: Duration, window: u32 },
}

/// A leg. It is told what arrives and what time it is, and says what to send.
pub(crate) struct Leg {
    tools: Arc<Tools>,
    dtls: Box<dyn DtlsInstance>,
    state: State,
    ufrag: String,
    pwd: String,
    ssrc: u32,
    payload_type: u8,
    index: u64,
    timestamp: u32,
}

enum State {
    Waiting,
    Checking {
        remote: Remote,
        transaction: [u8; 12],
        again: Instant,
    },
    Handshaking {
        remote: Remote,
        retry: Option<Instant>,
        consent: Instant,
    },
    Talking {
        remote: Option<Remote>,
        sender: SrtpSender,
        receiver: SrtpReceiver,
        consent: Instant,
    },
}

impl Leg {
    /// Prepares a leg; the costly parts are done here, before anything is timed.
    ///
    /// # Errors
    /// When the library cannot.
    pub(crate) fn new(tools: &Arc<Tools>, number: usize, now: Instant) -> anyhow::Result<Self> {
        let provider = tools.crypto.dtls_provider;
        let dtls = provider
            .new_dtls(&tools.certificate, now, DtlsVersion::Dtls12, None)
            .map_err(|error| anyhow::anyhow!("DTLS: {error}"))?;
        Ok(Self {
            tools: Arc::clone(tools),
            dtls,
            state: State::Waiting,
            ufrag: format!("u{number:07}"),
            pwd: format!("p{number:023}"),
            ssrc: 0x1000_0000 + u32::try_from(number)?,
            payload_type: crate::sdp::OPUS,
            index: 1_000,
            timestamp: 0,
        })
    }

    /// Returns what its description has to say.
    pub(crate) fn description(&self, number: usize, address: SocketAddr) -> LegDescription {
        LegDescription {
            number,
            address,
            ufrag: self.ufrag.clone(),
            pwd: self.pwd.clone(),
            fingerprint: self.tools.fingerprint.clone(),
            ssrc: self.ssrc,
        }
    }

    /// Begins: the other side's description is known.
    pub(crate) fn start(
        &mut self,
        remote: Remote,
        payload_type: u8,
        now: Instant,
        mut send: impl FnMut(&[u8]),
    ) {
        self.payload_type = payload_type;
        self.dtls.set_active(remote.active);
        let transaction = self.transaction(now);
        self.send_check(&remote, transaction, &mut send);
        self.state = State::Checking {
            remote,
            transaction,
            again: now + CHECK_INTERVAL,
        };
    }

    /// Skips check and handshake: the keys of both directions are given.
    ///
    /// # Errors
    /// When they are of the wrong length.
    pub(crate) fn start_with(
        &mut self,
        own: &[u8],
        other: &[u8],
        now: Instant,
    ) -> anyhow::Result<()> {
        let profile = SrtpProfile::AeadAes128Gcm;
        let secret = |bytes: &[u8]| ringtrip_model::Secret::new(bytes.to_vec());
        self.state = State::Talking {
            remote: None,
            sender: SrtpSender::new(profile, &secret(own))?,
            receiver: SrtpReceiver::new(profile, &secret(other))?,
            consent: now + Duration::from_secs(3600),
        };
        Ok(())
    }

    /// Returns when [`timeout`](Self::timeout) is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting => None,
            State::Checking { again, .. } => Some(*again),
            State::Handshaking { retry, consent, .. } => {
                Some(retry.map_or(*consent, |at| at.min(*consent)))
            }
            State::Talking { consent, .. } => Some(*consent),
        }
    }

    /// Repeats what is due.
    ///
    /// # Errors
    /// When the handshake failed.
    pub(crate) fn timeout(
        &mut self,
        now: Instant,
        mut send: impl FnMut(&[u8]),
    ) -> anyhow::Result<Arrival> {
        let transaction = self.transaction(now);
        match &mut self.state {
            State::Waiting => Ok(Arrival::Nothing),
            State::Checking {
                remote,
                again,
                transaction,
            } => {
                *again = now + CHECK_INTERVAL;
                let (remote, transaction) = (remote.clone(), *transaction);
                self.send_check(&remote, transaction, &mut send);
                Ok(Arrival::Nothing)
            }
            State::Handshaking {
                remote, consent, ..
            }
            | State::Talking {
                remote: Some(remote),
                consent,
                ..
            } if *consent <= now => {
                *consent = now + CONSENT_INTERVAL;
                let remote = remote.clone();
                self.send_check(&remote, transaction, &mut send);
                Ok(Arrival::Nothing)
            }
            State::Handshaking { .. } => {
                self.dtls.handle_timeout(now)?;
                self.drain(now, &mut send)
            }
            State::Talking { .. } => Ok(Arrival::Nothing),
        }
    }

    /// Takes a datagram.
    ///
    /// # Errors
    /// When the handshake failed or sound cannot be decrypted.
    pub(crate) fn handle(
        &mut self,
        datagram: &mut [u8],
        now: Instant,
        mut send: impl FnMut(&[u8]),
    ) -> anyhow::Result<Arrival> {
        if stun::is_stun(datagram) {
            if let State::Checking {
                remote,
                transaction,
                ..
            } = &self.state
                && stun::is_success(datagram, *transaction)
            {
                let remote = remote.clone();
                self.state = State::Handshaking {
                    remote,
                    retry: None,
                    consent: now + CONSENT_INTERVAL,
                };
                self.dtls.handle_timeout(now)?;
                return self.drain(now, &mut send);
            }
            return Ok(Arrival::Nothing);
        }
        let is_sound = datagram
            .first()
            .is_some_and(|first| rtp::is_rtp_or_rtcp(*first));
        if !is_sound {
            self.dtls.handle_timeout(now)?;
            self.drain(now, &mut send)?;
            self.dtls.handle_packet(datagram)?;
            return self.drain(now, &mut send);
        }
        let State::Talking { receiver, .. } = &mut self.state else {
            return Ok(Arrival::Nothing);
        };
        if rtp::is_rtcp(datagram) {
            return Ok(Arrival::Nothing);
        }
        let header = RtpHeader::parse(datagram)?;
        let (_, len) = receiver.unprotect_rtp(datagram, header.header_len())?;
        let payload = header.payload(&datagram[..len]);
        let (Some(sent), Some(window)) = (
            payload.first_chunk(),
            payload.get(8..).and_then(<[u8]>::first_chunk),
        ) else {
            bail!("a packet of {len} bytes that is not ours");
        };
        let nanos = self
            .tools
            .nanos(now)
            .saturating_sub(u64::from_be_bytes(*sent));
        Ok(Arrival::Sound {
            delay: Duration::from_nanos(nanos),
            window: u32::from_be_bytes(*window),
        })
    }

    /// Writes the next packet. Returns its length, or nothing before it is connected.
    pub(crate) fn packet(&mut self, window: u32, now: Instant, buffer: &mut [u8]) -> Option<usize> {
        let State::Talking { sender, .. } = &mut self.state else {
            return None;
        };
        self.index += 1;
        self.timestamp = self.timestamp.wrapping_add(FRAME_UNITS);
        let header = OutgoingHeader {
            marker: false,
            payload_type: self.payload_type,
            sequence: u16::try_from(self.index & 0xffff).unwrap_or(0),
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            level: Some((AUDIO_LEVEL, LEVEL)),
        };
        let start = header.write(buffer)?;
        let len = start + PAYLOAD_LEN;
        let payload = buffer.get_mut(start..len)?;
        payload[..8].copy_from_slice(&self.tools.nanos(now).to_be_bytes());
        payload[8..12].copy_from_slice(&window.to_be_bytes());
        sender.protect_rtp(buffer, start, len, self.index).ok()
    }

    fn transaction(&self, now: Instant) -> [u8; 12] {
        let mut transaction = [0; 12];
        transaction[..8].copy_from_slice(&self.tools.nanos(now).to_be_bytes());
        transaction[8..].copy_from_slice(&self.ssrc.to_be_bytes());
        transaction
    }

    fn send_check(&self, remote: &Remote, transaction: [u8; 12], send: &mut impl FnMut(&[u8])) {
        let Remote { ufrag, pwd, .. } = remote;
        send(&stun::check(
            &self.tools.crypto,
            transaction,
            &self.ufrag,
            ufrag,
            pwd,
        ));
    }

    fn drain(&mut self, now: Instant, send: &mut impl FnMut(&[u8])) -> anyhow::Result<Arrival> {
        let mut buffer = [0; 4096];
        let mut arrival = Arrival::Nothing;
        loop {
            match self.dtls.poll_output(&mut buffer) {
                DtlsOutput::Packet(packet) => send(packet),
                DtlsOutput::Timeout(at) => {
                    if let State::Handshaking { retry, .. } = &mut self.state {
                        *retry = Some(at.max(now + Duration::from_millis(1)));
                    }
                    return Ok(arrival);
                }
                DtlsOutput::KeyingMaterial(material, profile) => {
                    let profile = match profile {
                        Negotiated::AEAD_AES_128_GCM => SrtpProfile::AeadAes128Gcm,
                        Negotiated::AEAD_AES_256_GCM => SrtpProfile::AeadAes256Gcm,
                        Negotiated::AES128_CM_SHA1_80 => SrtpProfile::Aes128CmSha1_80,
                        _ => bail!("an unknown profile"),
                    };
                    let keys = SrtpKeys::from_keying_material(profile, &material)?;
                    let (own, other) = if self.dtls.is_active() {
                        (&keys.client, &keys.server)
                    } else {
                        (&keys.server, &keys.client)
                    };
                    let remote = match std::mem::replace(&mut self.state, State::Waiting) {
                        State::Checking { remote, .. } | State::Handshaking { remote, .. } => {
                            Some(remote)
                        }
                        State::Talking { remote, .. } => remote,
                        State::Waiting => None,
                    };
                    self.state = State::Talking {
                        remote,
                        sender: SrtpSender::new(profile, own)?,
                        receiver: SrtpReceiver::new(profile, other)?,
                        consent: now + CONSENT_INTERVAL,
                    };
                    arrival = Arrival::Connected;
                }
                DtlsOutput::BufferTooSmall { needed } => bail!("a DTLS record of {needed} bytes"),
                // The certificate is not compared with the fingerprint: between this client and the
                // server under test nobody stands.
                DtlsOutput::PeerCert(_)
                | DtlsOutput::Connected
                | DtlsOutput::ApplicationData(_)
                | DtlsOutput::CloseNotify
                | _ => {}
            }
        }
    }
}
