//! REST keys: `PlainApiKey` is shown once, `HashedApiKey` is stored.

use std::fmt;

use aws_lc_rs::digest;
use subtle::ConstantTimeEq;

use crate::field_error::{Faults, MAX_LABEL_CHARS};
use crate::{AccountId, ApiKeyId, FieldErrorKind, FieldErrors, Generator, Secret, Timestamp};

/// Keys of one account that are not revoked.
pub const MAX_API_KEYS: u32 = 1000;

const PREFIX: &str = "KEY";
const LOOKUP_LEN: usize = PREFIX.len() + 32;
const SECRET_LEN: usize = 22;

/// A REST key as its owner knows it: `KEY`, 32 upper-case hexadecimal digits, `_`, and a secret of 22
/// letters and digits (131 bits).
#[derive(Clone, PartialEq, Eq)]
pub struct PlainApiKey(Secret<String>);

/// Why a text is no REST key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no API key")]
pub struct ApiKeyError;

impl PlainApiKey {
    /// Makes a fresh key.
    pub fn generate(rng: &mut Generator) -> Self {
        let lookup = rng.hex(LOOKUP_LEN - PREFIX.len()).to_ascii_uppercase();
        let secret = Secret::new(rng.alphanumeric(SECRET_LEN));
        Self(Secret::new(format!("{PREFIX}{lookup}_{}", secret.expose())))
    }

    /// Reads a key.
    ///
    /// # Errors
    /// Refuses every other spelling.
    pub fn parse(text: &str) -> Result<Self, ApiKeyError> {
        let hex = |b: &u8| matches!(b, b'0'..=b'9' | b'A'..=b'F');
        match text.as_bytes().split_at_checked(LOOKUP_LEN) {
            Some((lookup, [b'_', secret @ ..]))
                if secret.len() == SECRET_LEN
                    && secret.iter().all(u8::is_ascii_alphanumeric)
                    && lookup
                        .strip_prefix(PREFIX.as_bytes())
                        .is_some_and(|l| l.iter().all(hex)) =>
            {
                Ok(Self(Secret::new(text.to_owned())))
            }
            Some(_) | None => Err(ApiKeyError),
        }
    }

    /// Returns the public part, `KEY…`, by which the key is found.
    pub fn lookup(&self) -> &str {
        &self.0.expose()[..LOOKUP_LEN]
    }

    /// Returns the SHA-256 of the secret part.
    pub fn secret_hash(&self) -> [u8; 32] {
        let secret = &self.0.expose().as_bytes()[LOOKUP_LEN + 1..];
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, secret).as_ref());
        hash
    }

    /// Returns what may be stored.
    pub fn hashed(&self) -> HashedApiKey {
        HashedApiKey {
            lookup: self.lookup().to_owned(),
            secret_hash: self.secret_hash(),
        }
    }

    /// Reads the whole key, to show it once.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for PlainApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlainApiKey({}_…)", self.lookup())
    }
}

/// A REST key as it is stored: the secret part only as its SHA-256.
#[derive(Clone, PartialEq, Eq)]
pub struct HashedApiKey {
    /// The public part, `KEY` and 32 digits.
    pub lookup: String,
    /// SHA-256 of the secret part.
    pub secret_hash: [u8; 32],
}

impl HashedApiKey {
    /// Tells whether a shown key is this one. The secret part is compared in constant time.
    pub fn matches(&self, key: &PlainApiKey) -> bool {
        self.lookup == key.lookup() && bool::from(self.secret_hash.ct_eq(&key.secret_hash()))
    }
}

impl fmt::Debug for HashedApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashedApiKey({})", self.lookup)
    }
}

/// A REST key as its owner sees it later: without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The tenant.
    pub account: AccountId,
    /// A label of the owner's choice; may be empty.
    pub name: String,
    /// The public part, `KEY` and 32 digits.
    pub lookup: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, give or take two minutes.
    pub last_used_at: Option<Timestamp>,
}

impl ApiKey {
    /// Tells whether it has ended by itself.
    pub fn expired_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Checks a label.
    ///
    /// # Errors
    /// Says what is wrong with `/name`.
    pub fn check_name(name: &str) -> Result<String, FieldErrors> {
        let mut faults = Faults::default();
        faults.text("/name", name, MAX_LABEL_CHARS);
        faults.check()?;
        Ok(name.trim().to_owned())
    }
}

/// A key that is checked, but not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// The key without its secret.
    pub key: ApiKey,
    /// What is stored of the secret.
    pub hashed: HashedApiKey,
}

impl NewApiKey {
    /// Checks the values, and draws the key.
    ///
    /// # Errors
    /// Lists what is wrong with `/name` and `/expires_at`. An end that is not in the future is refused:
    /// such a key could never be used.
    pub fn new(
        account: AccountId,
        name: &str,
        expires_at: Option<Timestamp>,
        now: Timestamp,
        rng: &mut Generator,
    ) -> Result<(Self, PlainApiKey), FieldErrors> {
        let mut faults = Faults::default();
        faults.text("/name", name, MAX_LABEL_CHARS);
        if expires_at.is_some_and(|end| end <= now) {
            faults.add(
                "/expires_at",
                FieldErrorKind::Invalid,
                "Must be in the future.",
            );
        }
        faults.check()?;
        let plain = PlainApiKey::generate(rng);
        let hashed = plain.hashed();
        let key = ApiKey {
            id: ApiKeyId::generate(rng),
            account,
            name: name.trim().to_owned(),
            lookup: hashed.lookup.clone(),
            created_at: now,
            expires_at,
            last_used_at: None,
        };
        Ok((Self { key, hashed }, plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_only_their_own_hash_matches() {
        let mut rng = Generator::from_seed([5; 32]);
        let (a, b) = (
            PlainApiKey::generate(&mut rng),
            PlainApiKey::generate(&mut rng),
        );
        assert_eq!(PlainApiKey::parse(a.expose()), Ok(a.clone()));
        assert_eq!(a.expose().len(), 58);
        assert!(a.hashed().matches(&a));
        assert!(!a.hashed().matches(&b));
        let forged = PlainApiKey::parse(&format!("{}_{}", a.lookup(), "x".repeat(22))).unwrap();
        assert!(!a.hashed().matches(&forged));
    }

    #[test]
    fn other_spellings_are_refused() {
        let good = format!("KEY{}_{}", "0A".repeat(16), "z".repeat(22));
        assert!(PlainApiKey::parse(&good).is_ok());
        for bad in [
            String::new(),
            "KEY".to_owned(),
            good.to_lowercase(),
            good.replace('_', "-"),
            good.replace("KEY", "kEY"),
            format!("{good}z"),
            good[..57].to_owned(),
            good.replace('z', "é"),
            good.replace("0A", "0G"),
            format!(" {good}"),
        ] {
            assert_eq!(PlainApiKey::parse(&bad), Err(ApiKeyError), "{bad}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = PlainApiKey::generate(&mut Generator::from_seed([6; 32]));
        let secret = &key.expose()[36..];
        assert!(!format!("{key:?} {:?}", key.hashed()).contains(secret));
    }
}
