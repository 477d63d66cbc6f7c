//! The few lines of ICE that a controlling agent needs towards an ICE-lite server: one check, named and
//! signed, repeated until it is answered (RFC 8445 §7, RFC 8489).

use str0m::crypto::CryptoProvider;

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const SUCCESS: [u8; 2] = [0x01, 0x01];
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const ICE_CONTROLLING: u16 = 0x802A;
const FINGERPRINT: u16 = 0x8028;
const FINGERPRINT_XOR: u32 = 0x5354_554E;
/// Of a peer-reflexive candidate, as RFC 8445 §5.1.2.1 recommends.
const PRIORITY_VALUE: u32 = (110 << 24) | (65_535 << 8) | 255;

/// Writes a nominating binding request.
pub(crate) fn check(
    crypto: &CryptoProvider,
    transaction: [u8; 12],
    local_ufrag: &str,
    remote_ufrag: &str,
    remote_pwd: &str,
) -> Vec<u8> {
    let mut message = vec![0x00, 0x01, 0, 0];
    message.extend_from_slice(&MAGIC_COOKIE);
    message.extend_from_slice(&transaction);
    attribute(
        &mut message,
        USERNAME,
        format!("{remote_ufrag}:{local_ufrag}").as_bytes(),
    );
    attribute(&mut message, PRIORITY, &PRIORITY_VALUE.to_be_bytes());
    attribute(&mut message, ICE_CONTROLLING, &transaction[..8]);
    attribute(&mut message, USE_CANDIDATE, &[]);
    // Both digests count a length that includes their own attribute.
    set_length(&mut message, 24);
    let mac = crypto
        .sha1_hmac_provider
        .sha1_hmac(remote_pwd.as_bytes(), &[&message]);
    attribute(&mut message, MESSAGE_INTEGRITY, &mac);
    set_length(&mut message, 8);
    let crc = crc32(&message) ^ FINGERPRINT_XOR;
    attribute(&mut message, FINGERPRINT, &crc.to_be_bytes());
    message
}

/// Returns whether a datagram is STUN (RFC 7983 §7).
pub(crate) fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 4)
}

/// Returns whether a datagram is the success response to a transaction. Its integrity is not checked:
/// between this client and the server under test nobody forges.
pub(crate) fn is_success(datagram: &[u8], transaction: [u8; 12]) -> bool {
    datagram.starts_with(&SUCCESS) && datagram.get(8..20) == Some(&transaction)
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend_from_slice(&kind.to_be_bytes());
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    message.extend_from_slice(&len.to_be_bytes());
    message.extend_from_slice(value);
    message.resize(message.len().next_multiple_of(4), 0);
    set_length(message, 0);
}

fn set_length(message: &mut [u8], more: usize) {
    let len = u16::try_from(message.len() - 20 + more).unwrap_or(u16::MAX);
    message[2..4].copy_from_slice(&len.to_be_bytes());
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringtrip_media::stun::{BindingRequest, integrity_key};

    #[test]
    fn the_server_accepts_a_check() {
        let crypto = str0m::crypto::from_feature_flags();
        let message = check(&crypto, [7; 12], "mine", "theirs", "a password of theirs");
        let request = BindingRequest::parse(&message).expect("a request");
        assert_eq!(request.local_ufrag(), b"theirs");
        assert!(request.use_candidate() && !request.controlled());
        assert!(request.verify(&integrity_key("a password of theirs")));
        assert!(!request.verify(&integrity_key("another one")));
    }
}
