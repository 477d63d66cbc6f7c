//! SRTP and SRTCP (RFC 3711, RFC 7714): packets are protected and unprotected in place, keys are
//! scheduled once, and nothing is allocated per packet.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use ringtrip_model::Secret;

use crate::rtp;

/// The most bytes that protecting adds: an AEAD tag and the SRTCP index.
pub const MAX_OVERHEAD: usize = GCM_TAG_LEN + RTCP_INDEX_LEN;

/// SSRCs whose replay state is kept per receiver; the one that was quiet longest makes room.
const MAX_STREAMS: usize = 8;

const GCM_TAG_LEN: usize = 16;
const HMAC_TAG_LEN: usize = 10;
const RTCP_INDEX_LEN: usize = 4;
const RTCP_HEADER_LEN: usize = 8;
const RTCP_ENCRYPTED: u32 = 1 << 31;

/// Protection profiles we can use (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SrtpProfile {
    /// AES-128 in GCM, 16-byte tag.
    AeadAes128Gcm,
    /// AES-256 in GCM, 16-byte tag.
    AeadAes256Gcm,
    /// AES-128 in counter mode, HMAC-SHA1 with 80 bits.
    Aes128CmSha1_80,
}

impl SrtpProfile {
    /// Returns the length of a master key in bytes.
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::Aes128CmSha1_80 => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// Returns the length of a master salt in bytes.
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
            Self::Aes128CmSha1_80 => 14,
        }
    }
}

/// Why a packet was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    /// The packet is shorter than its own framing.
    #[error("the packet is too short")]
    TooShort,
    /// It was seen before, or is older than the window.
    #[error("the packet is a replay or too old")]
    Replay,
    /// Its tag is wrong.
    #[error("the packet is not authentic")]
    NotAuthentic,
    /// Keying material of the wrong length, or a key used up.
    #[error("the key cannot be used")]
    Key,
}

/// The master keys of one session, by direction of travel.
#[derive(Debug, Clone)]
pub struct SrtpKeys {
    /// What they are for.
    pub profile: SrtpProfile,
    /// Key and salt of the DTLS client's packets.
    pub client: Secret<Vec<u8>>,
    /// Key and salt of the DTLS server's packets.
    pub server: Secret<Vec<u8>>,
}

impl SrtpKeys {
    /// Cuts exported keying material into its four parts (RFC 5764 §4.2).
    ///
    /// # Errors
    /// When its length is not the profile's.
    pub fn from_keying_material(profile: SrtpProfile, material: &[u8]) -> Result<Self, SrtpError> {
        let (key, salt) = (profile.key_len(), profile.salt_len());
        if material.len() != 2 * (key + salt) {
            return Err(SrtpError::Key);
        }
        let (keys, salts) = material.split_at(2 * key);
        let half =
            |n: usize| Secret::new([&keys[n * key..][..key], &salts[n * salt..][..salt]].concat());
        Ok(Self {
            profile,
            client: half(0),
            server: half(1),
        })
    }
}

/// Protects what one side sends.
#[derive(Debug)]
pub struct SrtpSender {
    ciphers: Ciphers,
    rtcp_index: u32,
}

impl SrtpSender {
    /// Derives session keys from a master key followed by its salt.
    ///
    /// # Errors
    /// When the length is not the profile's.
    pub fn new(profile: SrtpProfile, master: &Secret<Vec<u8>>) -> Result<Self, SrtpError> {
        Ok(Self {
            ciphers: Ciphers::derive(profile, master.expose())?,
            rtcp_index: 0,
        })
    }

    /// Protects the RTP packet in the first `len` bytes of `buffer`, whose header takes `header_len`.
    /// `index` is its extended sequence number, roll-over counter included; no index may come twice.
    /// Returns the new length.
    ///
    /// # Errors
    /// When the buffer has no room for the tag.
    pub fn protect_rtp(
        &mut self,
        buffer: &mut [u8],
        header_len: usize,
        len: usize,
        index: u64,
    ) -> Result<usize, SrtpError> {
        let total = len + self.ciphers.tag_len();
        if header_len < rtp::HEADER_LEN || header_len > len || total > buffer.len() {
            return Err(SrtpError::TooShort);
        }
        let ssrc = [buffer[8], buffer[9], buffer[10], buffer[11]];
        let (packet, tag) = buffer[..total].split_at_mut(len);
        let (header, payload) = packet.split_at_mut(header_len);
        match &self.ciphers {
            Ciphers::Gcm { rtp, .. } => {
                let nonce = rtp.nonce(ssrc, index);
                let sealed = rtp
                    .key
                    .seal_in_place_separate_tag(nonce, Aad::from(&*header), payload)
                    .map_err(|_| SrtpError::Key)?;
                tag.copy_from_slice(sealed.as_ref());
            }
            Ciphers::Cm { rtp, .. } => {
                rtp.apply(ssrc, index, payload)?;
                let mac = rtp.tag(&[packet, &rollover(index)]);
                tag.copy_from_slice(&mac);
            }
        }
        Ok(total)
    }

    /// Protects the compound RTCP packet in the first `len` bytes of `buffer`. Returns the new length.
    ///
    /// # Errors
    /// When the buffer has no room, or after 2³¹ packets (RFC 3711 §9.2).
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let total = len + self.ciphers.tag_len() + RTCP_INDEX_LEN;
        if len < RTCP_HEADER_LEN || total > buffer.len() {
            return Err(SrtpError::TooShort);
        }
        let index = self.rtcp_index;
        if index >= RTCP_ENCRYPTED {
            return Err(SrtpError::Key);
        }
        self.rtcp_index += 1;
        let ssrc = [buffer[4], buffer[5], buffer[6], buffer[7]];
        let trailer = (index | RTCP_ENCRYPTED).to_be_bytes();
        let (packet, tail) = buffer[..total].split_at_mut(len);
        match &self.ciphers {
            Ciphers::Gcm { rtcp, .. } => {
                let (header, payload) = packet.split_at_mut(RTCP_HEADER_LEN);
                let aad = rtcp_aad(header, trailer);
                let nonce = rtcp.nonce(ssrc, u64::from(index));
                let sealed = rtcp
                    .key
                    .seal_in_place_separate_tag(nonce, Aad::from(aad), payload)
                    .map_err(|_| SrtpError::Key)?;
                tail[..GCM_TAG_LEN].copy_from_slice(sealed.as_ref());
                tail[GCM_TAG_LEN..].copy_from_slice(&trailer);
            }
            Ciphers::Cm { rtcp, .. } => {
                rtcp.apply(ssrc, u64::from(index), &mut packet[RTCP_HEADER_LEN..])?;
                let mac = rtcp.tag(&[packet, &trailer]);
                tail[..RTCP_INDEX_LEN].copy_from_slice(&trailer);
                tail[RTCP_INDEX_LEN..].copy_from_slice(&mac);
            }
        }
        Ok(total)
    }
}

/// Unprotects what one side receives, and refuses what it has seen.
#[derive(Debug)]
pub struct SrtpReceiver {
    ciphers: Ciphers,
    /// Most recently used first; never longer than [`MAX_STREAMS`].
    streams: Vec<Stream>,
}

impl SrtpReceiver {
    /// Derives session keys from a master key followed by its salt.
    ///
    /// # Errors
    /// When the length is not the profile's.
    pub fn new(profile: SrtpProfile, master: &Secret<Vec<u8>>) -> Result<Self, SrtpError> {
        Ok(Self {
            ciphers: Ciphers::derive(profile, master.expose())?,
            streams: Vec::with_capacity(MAX_STREAMS),
        })
    }

    /// Decrypts an RTP packet in place. `header_len` is the length of its header, extensions
    /// included. Returns its extended sequence number and its length without the tag.
    ///
    /// # Errors
    /// When it is a replay, too old, too short or forged; then nothing is remembered of it.
    pub fn unprotect_rtp(
        &mut self,
        packet: &mut [u8],
        header_len: usize,
    ) -> Result<(u64, usize), SrtpError> {
        let len = packet
            .len()
            .checked_sub(self.ciphers.tag_len())
            .ok_or(SrtpError::TooShort)?;
        if header_len < rtp::HEADER_LEN || header_len > len {
            return Err(SrtpError::TooShort);
        }
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let ssrc = [packet[8], packet[9], packet[10], packet[11]];
        let known = self.streams.iter().position(|s| s.ssrc == ssrc);
        let index = match known.and_then(|at| self.streams[at].rtp.highest()) {
            Some(highest) => extend(highest, sequence),
            None => u64::from(sequence),
        };
        if known.is_some_and(|at| !self.streams[at].rtp.is_new(index)) {
            return Err(SrtpError::Replay);
        }
        match &self.ciphers {
            Ciphers::Gcm { rtp, .. } => {
                let (header, rest) = packet.split_at_mut(header_len);
                let (payload, tag) = rest.split_at_mut(len - header_len);
                let nonce = rtp.nonce(ssrc, index);
                rtp.key
                    .open_in_place_separate_tag(nonce, Aad::from(&*header), tag, payload)
                    .map_err(|_| SrtpError::NotAuthentic)?;
            }
            Ciphers::Cm { rtp, .. } => {
                let (message, tag) = packet.split_at_mut(len);
                rtp.verify(&[message, &rollover(index)], tag)?;
                rtp.apply(ssrc, index, &mut message[header_len..])?;
            }
        }
        self.stream(known, ssrc).rtp.mark(index);
        Ok((index, len))
    }

    /// Decrypts a compound RTCP packet in place. Returns its length without index and tag.
    ///
    /// # Errors
    /// As [`unprotect_rtp`](Self::unprotect_rtp); an unencrypted packet counts as forged.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let overhead = self.ciphers.tag_len() + RTCP_INDEX_LEN;
        let len = packet
            .len()
            .checked_sub(overhead)
            .ok_or(SrtpError::TooShort)?;
        if len < RTCP_HEADER_LEN {
            return Err(SrtpError::TooShort);
        }
        let ssrc = [packet[4], packet[5], packet[6], packet[7]];
        let index_at = match &self.ciphers {
            Ciphers::Gcm { .. } => len + GCM_TAG_LEN,
            Ciphers::Cm { .. } => len,
        };
        let trailer: [u8; 4] = *packet[index_at..]
            .first_chunk()
            .ok_or(SrtpError::TooShort)?;
        let word = u32::from_be_bytes(trailer);
        if word & RTCP_ENCRYPTED == 0 {
            return Err(SrtpError::NotAuthentic);
        }
        let index = u64::from(word & !RTCP_ENCRYPTED);
        let known = self.streams.iter().position(|s| s.ssrc == ssrc);
        if known.is_some_and(|at| !self.streams[at].rtcp.is_new(index)) {
            return Err(SrtpError::Replay);
        }
        match &self.ciphers {
            Ciphers::Gcm { rtcp, .. } => {
                let (header, rest) = packet.split_at_mut(RTCP_HEADER_LEN);
                let (payload, tail) = rest.split_at_mut(len - RTCP_HEADER_LEN);
                let aad = rtcp_aad(header, trailer);
                let nonce = rtcp.nonce(ssrc, index);
                rtcp.key
                    .open_in_place_separate_tag(
                        nonce,
                        Aad::from(aad),
                        &tail[..GCM_TAG_LEN],
                        payload,
                    )
                    .map_err(|_| SrtpError::NotAuthentic)?;
            }
            Ciphers::Cm { rtcp, .. } => {
                let (message, tag) = packet.split_at_mut(len + RTCP_INDEX_LEN);
                rtcp.verify(&[message], tag)?;
                rtcp.apply(ssrc, index, &mut message[RTCP_HEADER_LEN..len])?;
            }
        }
        self.stream(known, ssrc).rtcp.mark(index);
        Ok(len)
    }

    /// Brings a stream to the front, making it if need be.
    fn stream(&mut self, known: Option<usize>, ssrc: [u8; 4]) -> &mut Stream {
        match known {
            Some(0) => {}
            Some(at) => self.streams[..=at].rotate_right(1),
            None => {
                self.streams.truncate(MAX_STREAMS - 1);
                self.streams.insert(0, Stream::new(ssrc));
            }
        }
        &mut self.streams[0]
    }
}

#[derive(Debug)]
struct Stream {
    ssrc: [u8; 4],
    /// Wide enough for what a video sender may resend.
    rtp: Window<16>,
    rtcp: Window<2>,
}

impl Stream {
    const fn new(ssrc: [u8; 4]) -> Self {
        Self {
            ssrc,
            rtp: Window::new(),
            rtcp: Window::new(),
        }
    }
}

/// Which of the last `WORDS` × 64 indices were seen (RFC 3711 §3.3.2).
#[derive(Debug)]
struct Window<const WORDS: usize> {
    /// One more than the highest index seen; zero before the first.
    next: u64,
    seen: [u64; WORDS],
}

impl<const WORDS: usize> Window<WORDS> {
    const BITS: u64 = WORDS as u64 * 64;

    const fn new() -> Self {
        Self {
            next: 0,
            seen: [0; WORDS],
        }
    }

    const fn highest(&self) -> Option<u64> {
        self.next.checked_sub(1)
    }

    fn bit(index: u64) -> (usize, u64) {
        let at = index % Self::BITS;
        (usize::try_from(at / 64).unwrap_or(0), 1 << (at % 64))
    }

    fn is_new(&self, index: u64) -> bool {
        let (word, mask) = Self::bit(index);
        index >= self.next || (index + Self::BITS >= self.next && self.seen[word] & mask == 0)
    }

    fn mark(&mut self, index: u64) {
        if index >= self.next {
            if index - self.next >= Self::BITS {
                self.seen = [0; WORDS];
            } else {
                for passed in self.next..index {
                    let (word, mask) = Self::bit(passed);
                    self.seen[word] &= !mask;
                }
            }
            self.next = index + 1;
        }
        let (word, mask) = Self::bit(index);
        self.seen[word] |= mask;
    }
}

/// Finds the extended sequence number nearest to the highest one (RFC 3711 appendix A).
fn extend(highest: u64, sequence: u16) -> u64 {
    let rollover = highest >> 16;
    let last = highest & 0xFFFF;
    let sequence = u64::from(sequence);
    let rollover = if last < 0x8000 {
        if sequence > last + 0x8000 {
            rollover.saturating_sub(1)
        } else {
            rollover
        }
    } else if last - 0x8000 > sequence {
        rollover + 1
    } else {
        rollover
    };
    (rollover << 16) | sequence
}

/// The roll-over counter as it is authenticated.
fn rollover(index: u64) -> [u8; 4] {
    let bytes = (index >> 16).to_be_bytes();
    [bytes[4], bytes[5], bytes[6], bytes[7]]
}

/// RFC 7714 §9.2: the first eight bytes and the word that holds the index.
fn rtcp_aad(header: &[u8], trailer: [u8; 4]) -> [u8; 12] {
    let mut aad = [0; 12];
    aad[..8].copy_from_slice(&header[..8]);
    aad[8..].copy_from_slice(&trailer);
    aad
}

#[derive(Debug)]
enum Ciphers {
    Gcm { rtp: Gcm, rtcp: Gcm },
    Cm { rtp: Box<Cm>, rtcp: Box<Cm> },
}

impl Ciphers {
    fn derive(profile: SrtpProfile, master: &[u8]) -> Result<Self, SrtpError> {
        if master.len() != profile.key_len() + profile.salt_len() {
            return Err(SrtpError::Key);
        }
        let (key, salt) = master.split_at(profile.key_len());
        let derivation = Derivation::new(key, salt)?;
        Ok(match profile {
            SrtpProfile::AeadAes128Gcm | SrtpProfile::AeadAes256Gcm => Self::Gcm {
                rtp: Gcm::derive(&derivation, key.len(), 0)?,
                rtcp: Gcm::derive(&derivation, key.len(), 3)?,
            },
            SrtpProfile::Aes128CmSha1_80 => Self::Cm {
                rtp: Box::new(Cm::derive(&derivation, 0)?),
                rtcp: Box::new(Cm::derive(&derivation, 3)?),
            },
        })
    }

    const fn tag_len(&self) -> usize {
        match self {
            Self::Gcm { .. } => GCM_TAG_LEN,
            Self::Cm { .. } => HMAC_TAG_LEN,
        }
    }
}

struct Gcm {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl Gcm {
    /// `label` is 0 for RTP and 3 for RTCP (RFC 3711 §4.3).
    fn derive(derivation: &Derivation, key_len: usize, label: u8) -> Result<Self, SrtpError> {
        let mut key = [0; 32];
        let key = &mut key[..key_len];
        derivation.fill(label, key)?;
        let algorithm = if key_len == 32 {
            &AES_256_GCM
        } else {
            &AES_128_GCM
        };
        let unbound = UnboundKey::new(algorithm, key).map_err(|_| SrtpError::Key)?;
        let mut salt = [0; 12];
        derivation.fill(label + 2, &mut salt)?;
        Ok(Self {
            key: LessSafeKey::new(unbound),
            salt,
        })
    }

    /// RFC 7714 §8.1 and §9.1: both put the SSRC at 2 and a 48-bit index at 6.
    fn nonce(&self, ssrc: [u8; 4], index: u64) -> Nonce {
        let mut nonce = self.salt;
        for (byte, value) in nonce[2..6].iter_mut().zip(ssrc) {
            *byte ^= value;
        }
        for (byte, value) in nonce[6..].iter_mut().zip(&index.to_be_bytes()[2..]) {
            *byte ^= value;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

impl std::fmt::Debug for Gcm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gcm")
    }
}

struct Cm {
    key: EncryptingKey,
    salt: [u8; 14],
    mac: hmac::Key,
}

impl Cm {
    fn derive(derivation: &Derivation, label: u8) -> Result<Self, SrtpError> {
        let mut key = [0; 16];
        derivation.fill(label, &mut key)?;
        let mut mac = [0; 20];
        derivation.fill(label + 1, &mut mac)?;
        let mut salt = [0; 14];
        derivation.fill(label + 2, &mut salt)?;
        Ok(Self {
            key: counter_key(&key)?,
            salt,
            mac: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &mac),
        })
    }

    /// Encrypts or decrypts (RFC 3711 §4.1.1).
    fn apply(&self, ssrc: [u8; 4], index: u64, data: &mut [u8]) -> Result<(), SrtpError> {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        for (byte, value) in iv[4..8].iter_mut().zip(ssrc) {
            *byte ^= value;
        }
        for (byte, value) in iv[8..14].iter_mut().zip(&index.to_be_bytes()[2..]) {
            *byte ^= value;
        }
        run_counter(&self.key, iv, data)
    }

    fn tag(&self, parts: &[&[u8]]) -> [u8; HMAC_TAG_LEN] {
        let mut context = hmac::Context::with_key(&self.mac);
        for part in parts {
            context.update(part);
        }
        let full = context.sign();
        let mut tag = [0; HMAC_TAG_LEN];
        tag.copy_from_slice(&full.as_ref()[..HMAC_TAG_LEN]);
        tag
    }

    fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> Result<(), SrtpError> {
        if subtle::ConstantTimeEq::ct_eq(&self.tag(parts)[..], tag).into() {
            Ok(())
        } else {
            Err(SrtpError::NotAuthentic)
        }
    }
}

impl std::fmt::Debug for Cm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cm")
    }
}

/// The key derivation of RFC 3711 §4.3.3, its rate zero. A 12-byte salt is followed by zeros
/// (RFC 7714 §11).
struct Derivation {
    key: EncryptingKey,
    salt: [u8; 14],
}

impl Derivation {
    fn new(key: &[u8], master_salt: &[u8]) -> Result<Self, SrtpError> {
        let mut salt = [0; 14];
        salt[..master_salt.len()].copy_from_slice(master_salt);
        Ok(Self {
            key: counter_key(key)?,
            salt,
        })
    }

    fn fill(&self, label: u8, out: &mut [u8]) -> Result<(), SrtpError> {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        iv[7] ^= label;
        out.fill(0);
        run_counter(&self.key, iv, out)
    }
}

fn counter_key(key: &[u8]) -> Result<EncryptingKey, SrtpError> {
    let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
    UnboundCipherKey::new(algorithm, key)
        .and_then(EncryptingKey::ctr)
        .map_err(|_| SrtpError::Key)
}

fn run_counter(key: &EncryptingKey, iv: [u8; 16], data: &mut [u8]) -> Result<(), SrtpError> {
    key.less_safe_encrypt(data, EncryptionContext::Iv128(FixedLength::from(iv)))
        .map(|_| ())
        .map_err(|_| SrtpError::Key)
}

#[cfg(test)]
mod tests;
