//! The sliver of STUN (RFC 8489) that an ICE-lite endpoint needs: reading connectivity checks and
//! answering them.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::hmac;

/// Length of the fixed header.
pub const HEADER_LEN: usize = 20;

/// The longest response this module writes: header, IPv6 XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY and
/// FINGERPRINT; a role conflict is shorter.
pub const MAX_RESPONSE_LEN: usize = HEADER_LEN + 24 + 24 + 8;

/// The longest request that is looked at. Checks take about 100 bytes.
const MAX_REQUEST_LEN: usize = 1024;

const MAGIC_COOKIE: u32 = 0x2112_A442;
const FINGERPRINT_XOR: u32 = 0x5354_554e;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;

const INTEGRITY_LEN: usize = 20;

/// Why a datagram is no binding request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StunError {
    /// Too short, too long, no magic cookie, or lengths that do not add up.
    #[error("the datagram is not a STUN message")]
    Malformed,
    /// A STUN message, but not a binding request.
    #[error("the STUN message is not a binding request")]
    NotRequest,
    /// USERNAME or MESSAGE-INTEGRITY is missing.
    #[error("the STUN request is not authenticated")]
    Unauthenticated,
    /// FINGERPRINT is missing or does not match; checks must carry one (RFC 8445 §7.1).
    #[error("the STUN fingerprint is missing or does not match")]
    Fingerprint,
}

/// A binding request as read, its integrity not yet verified.
#[derive(Debug, Clone, Copy)]
pub struct BindingRequest<'a> {
    message: &'a [u8],
    integrity_at: usize,
    username: &'a [u8],
    use_candidate: bool,
    controlled: bool,
}

/// Returns whether a datagram's first byte is in STUN's range (RFC 7983 §7).
pub const fn is_stun(first: u8) -> bool {
    first < 4
}

impl<'a> BindingRequest<'a> {
    /// Reads a connectivity check (RFC 8445 §7.3). Attributes behind MESSAGE-INTEGRITY do not count,
    /// FINGERPRINT apart (RFC 8489 §14.5). Unknown attributes are passed over, even those that a full
    /// STUN server would have to refuse: no attribute that a check may carry changes its meaning.
    ///
    /// # Errors
    /// Whatever keeps it from being a request that could be verified; nothing should be sent back.
    pub fn parse(message: &'a [u8]) -> Result<Self, StunError> {
        if !(HEADER_LEN..=MAX_REQUEST_LEN).contains(&message.len()) || message[0] >= 4 {
            return Err(StunError::Malformed);
        }
        let length = usize::from(u16_at(message, 2).ok_or(StunError::Malformed)?);
        let cookie = u32_at(message, 4).ok_or(StunError::Malformed)?;
        if cookie != MAGIC_COOKIE || length % 4 != 0 || length + HEADER_LEN != message.len() {
            return Err(StunError::Malformed);
        }
        if u16_at(message, 0) != Some(BINDING_REQUEST) {
            return Err(StunError::NotRequest);
        }

        let mut username = None;
        let mut integrity_at = None;
        let (mut use_candidate, mut controlled) = (false, false);
        let mut fingerprinted = false;
        let mut at = HEADER_LEN;
        while at < message.len() {
            let kind = u16_at(message, at).ok_or(StunError::Malformed)?;
            let len = usize::from(u16_at(message, at + 2).ok_or(StunError::Malformed)?);
            let value = message
                .get(at + 4..at + 4 + len)
                .ok_or(StunError::Malformed)?;
            if kind == FINGERPRINT {
                let expected = crc32(&message[..at]) ^ FINGERPRINT_XOR;
                let last = at + 8 == message.len();
                if !last || len != 4 || u32_at(value, 0) != Some(expected) {
                    return Err(StunError::Fingerprint);
                }
                fingerprinted = true;
            } else if integrity_at.is_none() {
                match kind {
                    USERNAME if username.is_none() => username = Some(value),
                    MESSAGE_INTEGRITY if len == INTEGRITY_LEN => integrity_at = Some(at),
                    MESSAGE_INTEGRITY => return Err(StunError::Malformed),
                    USE_CANDIDATE => use_candidate = true,
                    ICE_CONTROLLED => controlled = true,
                    _ => {}
                }
            }
            at += 4 + len.next_multiple_of(4);
        }
        if !fingerprinted {
            return Err(StunError::Fingerprint);
        }
        match (username, integrity_at) {
            (Some(username), Some(integrity_at)) => Ok(Self {
                message,
                integrity_at,
                username,
                use_candidate,
                controlled,
            }),
            (Some(_) | None, Some(_) | None) => Err(StunError::Unauthenticated),
        }
    }

    /// Returns the left half of USERNAME: the ufrag of the party that is asked, us.
    pub fn local_ufrag(&self) -> &'a [u8] {
        self.username
            .split(|b| *b == b':')
            .next()
            .unwrap_or_default()
    }

    /// Returns whether the sender nominates this pair (RFC 8445 §7.1.2).
    pub const fn use_candidate(&self) -> bool {
        self.use_candidate
    }

    /// Returns whether the sender takes itself for the controlled side.
    pub const fn controlled(&self) -> bool {
        self.controlled
    }

    /// Returns the transaction id.
    pub fn transaction(&self) -> [u8; 12] {
        let mut id = [0; 12];
        id.copy_from_slice(&self.message[8..HEADER_LEN]);
        id
    }

    /// Checks MESSAGE-INTEGRITY (RFC 8489 §14.5) in constant time. `key` is HMAC-SHA1 over our password.
    pub fn verify(&self, key: &hmac::Key) -> bool {
        // The length field counts up to and including MESSAGE-INTEGRITY, whatever follows it.
        let covered = self.integrity_at + 4 + INTEGRITY_LEN - HEADER_LEN;
        let Ok(covered) = u16::try_from(covered) else {
            return false;
        };
        let mut context = hmac::Context::with_key(key);
        context.update(&self.message[..2]);
        context.update(&covered.to_be_bytes());
        context.update(&self.message[4..self.integrity_at]);
        let tag = context.sign();
        let sent = &self.message[self.integrity_at + 4..self.integrity_at + 4 + INTEGRITY_LEN];
        subtle::ConstantTimeEq::ct_eq(tag.as_ref(), sent).into()
    }
}

/// Makes the key that MESSAGE-INTEGRITY is computed with from an ICE password (RFC 8489 §9.1.1).
pub fn integrity_key(password: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes())
}

/// Writes a success response that tells the sender its address (RFC 8489 §14.2). Returns its length.
pub fn write_success(
    transaction: [u8; 12],
    mapped: SocketAddr,
    key: &hmac::Key,
    out: &mut [u8; MAX_RESPONSE_LEN],
) -> usize {
    let mut writer = Writer::new(BINDING_SUCCESS, transaction, out);
    let port = mapped.port() ^ 0x2112;
    match mapped.ip() {
        IpAddr::V4(ip) => {
            writer.attribute(XOR_MAPPED_ADDRESS, 8);
            writer.bytes(&[0, 1]);
            writer.bytes(&port.to_be_bytes());
            writer.bytes(&(u32::from(ip) ^ MAGIC_COOKIE).to_be_bytes());
        }
        IpAddr::V6(ip) => {
            let mut mask = [0; 16];
            mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
            mask[4..].copy_from_slice(&transaction);
            let masked = u128::from(ip) ^ u128::from_be_bytes(mask);
            writer.attribute(XOR_MAPPED_ADDRESS, 20);
            writer.bytes(&[0, 2]);
            writer.bytes(&port.to_be_bytes());
            writer.bytes(&masked.to_be_bytes());
        }
    }
    writer.finish(key)
}

/// Writes 487 (Role Conflict): a lite endpoint is never the controlling side (RFC 8445 §6.1.1), so a
/// peer that says it is controlled must switch. Returns its length.
pub fn write_role_conflict(
    transaction: [u8; 12],
    key: &hmac::Key,
    out: &mut [u8; MAX_RESPONSE_LEN],
) -> usize {
    let mut writer = Writer::new(BINDING_ERROR, transaction, out);
    writer.attribute(ERROR_CODE, 4);
    writer.bytes(&[0, 0, 4, 87]);
    writer.finish(key)
}

struct Writer<'a> {
    out: &'a mut [u8; MAX_RESPONSE_LEN],
    len: usize,
}

impl<'a> Writer<'a> {
    fn new(kind: u16, transaction: [u8; 12], out: &'a mut [u8; MAX_RESPONSE_LEN]) -> Self {
        let mut writer = Self { out, len: 0 };
        writer.bytes(&kind.to_be_bytes());
        writer.bytes(&[0, 0]);
        writer.bytes(&MAGIC_COOKIE.to_be_bytes());
        writer.bytes(&transaction);
        writer
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.out[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn attribute(&mut self, kind: u16, len: u16) {
        self.bytes(&kind.to_be_bytes());
        self.bytes(&len.to_be_bytes());
    }

    fn set_length(&mut self, total: usize) {
        let body = u16::try_from(total - HEADER_LEN).unwrap_or(0);
        self.out[2..4].copy_from_slice(&body.to_be_bytes());
    }

    fn finish(mut self, key: &hmac::Key) -> usize {
        self.set_length(self.len + 4 + INTEGRITY_LEN);
        let tag = hmac::sign(key, &self.out[..self.len]);
        self.attribute(MESSAGE_INTEGRITY, 20);
        self.bytes(tag.as_ref());
        self.set_length(self.len + 8);
        let check = crc32(&self.out[..self.len]) ^ FINGERPRINT_XOR;
        self.attribute(FINGERPRINT, 4);
        self.bytes(&check.to_be_bytes());
        self.len
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// CRC-32 of ISO 3309, as FINGERPRINT wants it (RFC 8489 §14.7).
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut value = i as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 {
                    (value >> 1) ^ 0xEDB8_8320
                } else {
                    value >> 1
                };
                bit += 1;
            }
            table[i] = value;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc: u32, byte| {
        let index = (crc ^ u32::from(*byte)) & 0xff;
        (crc >> 8) ^ TABLE[index as usize]
    })
}

/// Appends MESSAGE-INTEGRITY and FINGERPRINT to a message whose attributes are complete.
#[cfg(test)]
pub(crate) fn seal(message: &mut Vec<u8>, key: &hmac::Key) {
    let set_length = |message: &mut Vec<u8>, more: usize| {
        let body = u16::try_from(message.len() + more - HEADER_LEN).unwrap_or(0);
        message[2..4].copy_from_slice(&body.to_be_bytes());
    };
    set_length(message, 4 + INTEGRITY_LEN);
    let tag = hmac::sign(key, message);
    message.extend([0, 8, 0, 20]);
    message.extend(tag.as_ref());
    set_length(message, 8);
    let check = crc32(message) ^ FINGERPRINT_XOR;
    message.extend([0x80, 0x28, 0, 4]);
    message.extend(check.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5769 §2.1: request with password `VOkJxbRl1RmTxUk/WvJxBt`, user `evtj:h6vY`.
    const REQUEST: [u8; 108] = [
        0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6,
        0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74,
        0x65, 0x73, 0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e,
        0x00, 0x01, 0xff, 0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36,
        0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20,
        0x20, 0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e,
        0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49, 0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5,
        0x7a, 0x3b, 0xcf,
    ];
    const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

    #[test]
    fn reads_and_verifies_the_sample_request_of_rfc_5769() {
        let request = BindingRequest::parse(&REQUEST).unwrap();
        assert_eq!(request.local_ufrag(), b"evtj");
        assert!(request.controlled() && !request.use_candidate());
        assert!(request.verify(&integrity_key(PASSWORD)));
        assert!(!request.verify(&integrity_key("another")));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let key = integrity_key(PASSWORD);
        for bit in 0..REQUEST.len() * 8 {
            let mut message = REQUEST;
            message[bit / 8] ^= 1 << (bit % 8);
            let accepted =
                BindingRequest::parse(&message).is_ok_and(|request| request.verify(&key));
            assert!(!accepted, "bit {bit}");
        }
    }

    #[test]
    fn writes_the_sample_addresses_of_rfc_5769() {
        let transaction = BindingRequest::parse(&REQUEST).unwrap().transaction();
        let mut out = [0; MAX_RESPONSE_LEN];
        let key = integrity_key(PASSWORD);
        let len = write_success(
            transaction,
            "192.0.2.1:32853".parse().unwrap(),
            &key,
            &mut out,
        );
        assert_eq!(len, 64);
        assert_eq!(
            out[20..32],
            [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]
        );
        let v6 = "[2001:db8:1234:5678:11:2233:4455:6677]:32853"
            .parse()
            .unwrap();
        let len = write_success(transaction, v6, &key, &mut out);
        assert_eq!(len, MAX_RESPONSE_LEN);
        assert_eq!(
            out[20..44],
            [
                0, 0x20, 0, 0x14, 0, 2, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79,
                0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9
            ]
        );
        assert!(len <= REQUEST.len() + 40);
    }

    #[test]
    fn nomination_behind_the_integrity_does_not_count() {
        // Integrity is valid; USE-CANDIDATE was added behind it by someone on the way.
        let mut message = REQUEST[..100].to_vec();
        message.extend([0, 0x25, 0, 0]);
        let message = fingerprinted(message);
        let request = BindingRequest::parse(&message).unwrap();
        assert!(request.verify(&integrity_key(PASSWORD)));
        assert!(!request.use_candidate());
    }

    /// Sets the length and appends FINGERPRINT.
    fn fingerprinted(mut message: Vec<u8>) -> Vec<u8> {
        let body = u16::try_from(message.len() + 8 - HEADER_LEN).unwrap();
        message[2..4].copy_from_slice(&body.to_be_bytes());
        let check = crc32(&message) ^ FINGERPRINT_XOR;
        message.extend([0x80, 0x28, 0, 4]);
        message.extend(check.to_be_bytes());
        message
    }

    #[test]
    fn what_is_no_request_is_refused() {
        use StunError::{Fingerprint, Malformed, NotRequest, Unauthenticated};
        let mut indication = REQUEST;
        indication[1] = 0x11;
        let bare = fingerprinted(REQUEST[..20].to_vec());
        for (message, error) in [
            (&[][..], Malformed),
            (&REQUEST[..19], Malformed),
            (&REQUEST[..104], Malformed),
            (&indication, NotRequest),
            (&bare, Unauthenticated),
            (
                &[&REQUEST[..2], &[0, 0], &REQUEST[4..20]].concat(),
                Fingerprint,
            ),
        ] {
            assert_eq!(BindingRequest::parse(message).map(|_| ()), Err(error));
        }
    }
}
