//! What a browser or a link proves itself with: `PlainToken` is handed out once, `HashedToken` is stored.

use std::fmt;

use aws_lc_rs::digest;

use crate::{Generator, Secret};

/// 43 letters and digits: 256 bits.
const LEN: usize = 43;

/// A secret of sessions, known devices, and links that work once.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainToken(Secret<String>);

/// A token as it is stored and looked up: its SHA-256. As much is drawn as is hashed, so that nothing
/// can be guessed from a hash, or from how long a look-up takes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HashedToken([u8; 32]);

impl PlainToken {
    /// Makes a fresh token.
    pub fn generate(rng: &mut Generator) -> Self {
        Self(Secret::new(rng.alphanumeric(LEN)))
    }

    /// Reads a token; nothing that is not spelled like one.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == LEN && text.bytes().all(|b| b.is_ascii_alphanumeric());
        plain.then(|| Self(Secret::new(text.to_owned())))
    }

    /// Returns what may be stored.
    pub fn hashed(&self) -> HashedToken {
        HashedToken(sha256(self.0.expose().as_bytes()))
    }

    /// Derives another token that tells nothing of this one.
    pub fn derived(&self, purpose: &str) -> Self {
        let hash = sha256(format!("{purpose}\0{}", self.0.expose()).as_bytes());
        let mut rng = Generator::from_seed(hash);
        Self::generate(&mut rng)
    }

    /// Reads the token, to hand it out.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl HashedToken {
    /// Wraps a hash that was stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

impl fmt::Debug for PlainToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainToken")
    }
}

impl fmt::Debug for HashedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedToken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_back_and_other_spellings_do_not() {
        let token = PlainToken::generate(&mut Generator::from_seed([1; 32]));
        assert_eq!(PlainToken::parse(token.expose()), Some(token.clone()));
        assert_eq!(
            PlainToken::parse(token.expose()).unwrap().hashed(),
            token.hashed()
        );
        let long = format!("{}x", token.expose());
        let accented = "é".repeat(43);
        for bad in ["", "x", &token.expose()[1..], &long, &accented] {
            assert_eq!(PlainToken::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn derived_tokens_depend_on_purpose_and_origin() {
        let mut rng = Generator::from_seed([2; 32]);
        let (a, b) = (
            PlainToken::generate(&mut rng),
            PlainToken::generate(&mut rng),
        );
        assert_eq!(a.derived("x"), a.derived("x"));
        assert_ne!(a.derived("x"), a.derived("y"));
        assert_ne!(a.derived("x"), b.derived("x"));
        assert_ne!(a.derived("x"), a);
    }

    #[test]
    fn debug_shows_nothing() {
        let token = PlainToken::generate(&mut Generator::from_seed([3; 32]));
        assert_eq!(
            format!("{token:?} {:?}", token.hashed()),
            "PlainToken HashedToken"
        );
    }
}
