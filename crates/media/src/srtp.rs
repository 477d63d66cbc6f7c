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
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let digit = |b: u8| char::from(b).to_digit(16).unwrap() as u8;
        digits
            .chunks(2)
            .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
            .collect()
    }

    fn pair(profile: SrtpProfile) -> (SrtpSender, SrtpReceiver) {
        let len = profile.key_len() + profile.salt_len();
        let material: Vec<u8> = (0..2 * len as u8).collect();
        let keys = SrtpKeys::from_keying_material(profile, &material).unwrap();
        (
            SrtpSender::new(profile, &keys.client).unwrap(),
            SrtpReceiver::new(profile, &keys.client).unwrap(),
        )
    }

    const PROFILES: [SrtpProfile; 3] = [
        SrtpProfile::AeadAes128Gcm,
        SrtpProfile::AeadAes256Gcm,
        SrtpProfile::Aes128CmSha1_80,
    ];

    /// Header with a sequence number and 40 bytes of payload.
    fn packet(sequence: u16) -> [u8; 52] {
        let mut packet = [0x55; 52];
        packet[..12].copy_from_slice(&[0x80, 111, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9]);
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        packet
    }

    fn protect(sender: &mut SrtpSender, index: u64) -> Vec<u8> {
        let mut buffer = [0; 128];
        let plain = packet((index & 0xFFFF) as u16);
        buffer[..52].copy_from_slice(&plain);
        let len = sender.protect_rtp(&mut buffer, 12, 52, index).unwrap();
        buffer[..len].to_vec()
    }

    #[test]
    fn derives_the_keys_of_rfc_3711_appendix_b_3() {
        let derivation = Derivation::new(
            &bytes("E1F97A0D3E018BE0D64FA32C06DE4139"),
            &bytes("0EC675AD498AFEEBB6960B3AABE6"),
        )
        .unwrap();
        for (label, expected) in [
            (0, "C61E7A93744F39EE10734AFE3FF7A087"),
            (1, "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"),
            (2, "30CBBC08863D8C85D49DB34A9AE1"),
        ] {
            let mut out = vec![0; expected.len() / 2];
            derivation.fill(label, &mut out).unwrap();
            assert_eq!(out, bytes(expected));
        }
    }

    #[test]
    fn makes_the_key_stream_of_rfc_3711_appendix_b_2() {
        let mut salt = [0; 14];
        salt.copy_from_slice(&bytes("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"));
        let cm = Cm {
            key: counter_key(&bytes("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap(),
            salt,
            mac: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[]),
        };
        let mut stream = [0; 48];
        cm.apply([0; 4], 0, &mut stream).unwrap();
        let expected = "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB
                        41E95B3BB0A2E8DD477901E4FCA894C0";
        assert_eq!(stream[..], bytes(expected));
    }

    fn gcm(key: &str) -> Gcm {
        let mut salt = [0; 12];
        salt.copy_from_slice(&bytes("517569642070726f2071756f"));
        let algorithm = if key.len() == 64 {
            &AES_256_GCM
        } else {
            &AES_128_GCM
        };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, &bytes(key)).unwrap());
        Gcm { key, salt }
    }

    const KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
    const KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn protects_the_rtp_packets_of_rfc_7714_section_16() {
        let plain = bytes(
            "8040f17b8041f8d35501a0b2 47616c6c696120657374206f6d6e697320646976697361
             20696e207061727465732074726573",
        );
        for (key, protected) in [
            (
                KEY_128,
                "8040f17b8041f8d35501a0b2 f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f
                 42a5f47a51c7d19b36de3adf8833 899d7f27beb16a9152cf765ee4390cce",
            ),
            (
                KEY_256,
                "8040f17b8041f8d35501a0b2 32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3
                 b50b2a0276ffae0f1ba63799b87b 7aa3db36dfffd6b0f9bb7878d7a76c13",
            ),
        ] {
            let ciphers = Ciphers::Gcm {
                rtp: gcm(key),
                rtcp: gcm(key),
            };
            let mut sender = SrtpSender {
                ciphers,
                rtcp_index: 0,
            };
            let mut buffer = [0; 128];
            buffer[..plain.len()].copy_from_slice(&plain);
            let len = sender
                .protect_rtp(&mut buffer, 12, plain.len(), 0xf17b)
                .unwrap();
            assert_eq!(buffer[..len], bytes(protected));

            let ciphers = Ciphers::Gcm {
                rtp: gcm(key),
                rtcp: gcm(key),
            };
            let mut receiver = SrtpReceiver {
                ciphers,
                streams: Vec::new(),
            };
            let (index, end) = receiver.unprotect_rtp(&mut buffer[..len], 12).unwrap();
            assert_eq!((index, &buffer[..end]), (0xf17b, &plain[..]));
        }
    }

    #[test]
    fn protects_the_rtcp_packet_of_rfc_7714_section_17() {
        let plain = bytes(
            "81c8000d4d617273 4e5450314e545032525450200000042a0000e9304c756e61
             deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
        );
        let protected = bytes(
            "81c8000d4d617273 63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32d
             c676a5f1730d6fda4ce09b4686303ded0bb9275b c84aa45896cf4d2fc5abf87245d9eade 800005d4",
        );
        let ciphers = Ciphers::Gcm {
            rtp: gcm(KEY_128),
            rtcp: gcm(KEY_128),
        };
        let mut sender = SrtpSender {
            ciphers,
            rtcp_index: 0x5d4,
        };
        let mut buffer = [0; 128];
        buffer[..plain.len()].copy_from_slice(&plain);
        let len = sender.protect_rtcp(&mut buffer, plain.len()).unwrap();
        assert_eq!(buffer[..len], protected);
    }

    #[test]
    fn what_is_protected_comes_back_once() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            let mut wire = protect(&mut sender, 7);
            assert_ne!(wire[12..52], packet(7)[12..]);
            assert!(wire.len() <= 52 + MAX_OVERHEAD);
            let again = wire.clone();
            let (index, len) = receiver.unprotect_rtp(&mut wire, 12).unwrap();
            assert_eq!((index, &wire[..len]), (7, &packet(7)[..]));
            let replay = receiver.unprotect_rtp(&mut again.clone(), 12);
            assert_eq!(replay, Err(SrtpError::Replay), "{profile:?}");
        }
    }

    #[test]
    fn control_packets_come_back_once() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            let plain = [0x80, 201, 0, 3, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8];
            let mut buffer = [0; 64];
            for _ in 0..3 {
                buffer[..16].copy_from_slice(&plain);
                let len = sender.protect_rtcp(&mut buffer, 16).unwrap();
                let again = buffer;
                let end = receiver.unprotect_rtcp(&mut buffer[..len]).unwrap();
                assert_eq!(buffer[..end], plain);
                let replay = receiver.unprotect_rtcp(&mut again.clone()[..len]);
                assert_eq!(replay, Err(SrtpError::Replay));
            }
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed_and_forgotten() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            let wire = protect(&mut sender, 7);
            for bit in (0..wire.len() * 8).filter(|bit| bit / 8 != 0) {
                let mut forged = wire.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                assert!(
                    receiver.unprotect_rtp(&mut forged, 12).is_err(),
                    "{profile:?} bit {bit}"
                );
            }
            assert!(receiver.unprotect_rtp(&mut wire.clone(), 12).is_ok());
        }
    }

    #[test]
    fn survives_roll_over_loss_and_reordering() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            for index in [
                0xFFF0, 0xFFFF, 0x1_0001, 0xFFFE, 0x1_0000, 0x1_7FFF, 0x1_FFFF, 0x2_0100,
            ] {
                let mut wire = protect(&mut sender, index);
                let got = receiver
                    .unprotect_rtp(&mut wire, 12)
                    .map(|(index, _)| index);
                assert_eq!(got, Ok(index), "{profile:?}");
            }
            let mut old = protect(&mut sender, 0x1_FD00);
            assert_eq!(receiver.unprotect_rtp(&mut old, 12), Err(SrtpError::Replay));
        }
    }

    #[test]
    fn streams_are_bounded_and_the_active_one_is_kept() {
        let (mut sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm);
        for other in 0..100_u32 {
            for (ssrc, index) in [(9, u64::from(other)), (1_000 + other, 5)] {
                let mut buffer = [0; 128];
                buffer[..52].copy_from_slice(&packet((index & 0xFFFF) as u16));
                buffer[8..12].copy_from_slice(&ssrc.to_be_bytes());
                let len = sender.protect_rtp(&mut buffer, 12, 52, index).unwrap();
                receiver.unprotect_rtp(&mut buffer[..len], 12).unwrap();
            }
        }
        assert_eq!(receiver.streams.len(), MAX_STREAMS);
        let mut replay = protect(&mut sender, 50);
        assert_eq!(
            receiver.unprotect_rtp(&mut replay, 12),
            Err(SrtpError::Replay)
        );
    }

    #[test]
    fn short_packets_and_buffers_are_refused() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            for len in 0..12 {
                assert!(receiver.unprotect_rtp(&mut packet(1)[..len], 12).is_err());
                assert!(receiver.unprotect_rtcp(&mut packet(1)[..len]).is_err());
            }
            assert_eq!(
                sender.protect_rtp(&mut packet(1), 12, 52, 1),
                Err(SrtpError::TooShort)
            );
            assert_eq!(
                sender.protect_rtcp(&mut packet(1), 52),
                Err(SrtpError::TooShort)
            );
            assert!(SrtpKeys::from_keying_material(profile, &[0; 10]).is_err());
        }
    }

    #[test]
    fn the_window_forgets_nothing_inside_and_everything_outside() {
        let mut window = Window::<2>::new();
        for index in [200, 100, 199, 73] {
            assert!(window.is_new(index));
            window.mark(index);
        }
        for (index, new) in [
            (200, false),
            (100, false),
            (73, false),
            (72, false),
            (74, true),
            (201, true),
        ] {
            assert_eq!(window.is_new(index), new, "{index}");
        }
        window.mark(10_000);
        assert!(window.is_new(9_900) && !window.is_new(200));
    }
}
