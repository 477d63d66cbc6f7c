//! Entry points for fuzzing: each takes any bytes and must neither panic nor break its invariant.

use crate::{PlainApiKey, SigningKey, Timestamp, access_token};

/// Reads any bytes as an access token. A token that passes must be one that our key signed, which
/// random bytes are not.
pub fn fuzz_access_token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let key = SigningKey::generate(&mut crate::Generator::from_seed([0; 32]));
    let now = Timestamp::from_secs(1_790_000_000);
    if let Ok(claims) = access_token::verify(&[key], &text, now) {
        assert!(claims.expires_at > now, "an expired token passed");
    }
}

/// Reads any bytes as a REST key. What passes reads back as the same text.
pub fn fuzz_api_key(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(key) = PlainApiKey::parse(&text) {
        assert_eq!(key.expose(), text, "a key changed while it was read");
        assert_eq!(
            key.lookup().len(),
            35,
            "a key has a look-up part of fixed length"
        );
    }
}
