//! People's passwords: `PlainPassword` is what somebody typed, `HashedPassword` is stored.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;

use crate::{FieldError, FieldErrorKind, Generator, Secret};

/// Shortest password, in characters.
pub const MIN_PASSWORD_CHARS: usize = 12;
/// Longest password, in bytes.
pub const MAX_PASSWORD_BYTES: usize = 1024;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// The most work that a stored hash may ask for.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
const MAX_PASSES: u32 = 10;

/// What the passwords of the well-known lists are made of, beside digits and signs.
const COMMON: [&str; 29] = [
    "password",
    "passwort",
    "passw0rd",
    "p@ssw0rd",
    "motdepasse",
    "contraseña",
    "changeme",
    "letmein",
    "welcome",
    "administrator",
    "admin",
    "iloveyou",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "superman",
    "dragon",
    "monkey",
    "master",
    "shadow",
    "trustno1",
    "correcthorsebatterystaple",
    "correct horse battery staple",
    "ringtrip",
    "secret",
    "test",
    "login",
    "user",
];
/// Keys that lie beside each other, and letters that follow each other.
const RUNS: [&str; 7] = [
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1q2w3e4r5t6z7u8i9o",
];

/// A password as somebody typed it.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainPassword(Secret<String>);

impl PlainPassword {
    /// Takes a password that is to be a person's from now on.
    ///
    /// # Errors
    /// Refuses, with this pointer, what is too short, too long, or among the first that anybody would
    /// guess.
    pub fn choose(pointer: &'static str, text: &str) -> Result<Self, FieldError> {
        let refuse = |kind, detail: String| Err(FieldError::new(pointer, kind, detail));
        if text.is_empty() {
            return Err(FieldError::missing(pointer));
        }
        if text.chars().count() < MIN_PASSWORD_CHARS {
            let detail = format!("Must be at least {MIN_PASSWORD_CHARS} characters long.");
            return refuse(FieldErrorKind::OutOfRange, detail);
        }
        if text.len() > MAX_PASSWORD_BYTES {
            let detail = format!("Must be at most {MAX_PASSWORD_BYTES} bytes long.");
            return refuse(FieldErrorKind::OutOfRange, detail);
        }
        if is_common(text) {
            let detail = "Is too easy to guess. Several words that do not belong together are hard to guess.";
            return refuse(FieldErrorKind::Invalid, detail.to_owned());
        }
        Ok(Self(Secret::new(text.to_owned())))
    }

    /// Takes a password that somebody tries. One that is longer than any can be is nobody's.
    pub fn attempt(text: &str) -> Option<Self> {
        (text.len() <= MAX_PASSWORD_BYTES).then(|| Self(Secret::new(text.to_owned())))
    }
}

impl fmt::Debug for PlainPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainPassword")
    }
}

/// Tells whether a password is one of those that guessers begin with: hardly any different characters,
/// or nothing much left without the common words, rows of keys, digits and signs.
fn is_common(text: &str) -> bool {
    let folded = text.to_lowercase();
    let mut distinct: Vec<char> = folded.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < 5 {
        return true;
    }
    let mut rest = folded;
    for word in COMMON {
        rest = rest.replace(word, " ");
    }
    for run in RUNS {
        // The longest pieces first.
        for length in (4..=run.len()).rev() {
            for start in 0..=run.len() - length {
                rest = rest.replace(&run[start..start + length], " ");
            }
        }
    }
    rest.chars().filter(|c| c.is_alphabetic()).count() < 4 && is_mostly_plain(text)
}

/// Tells whether a text has few signs and digits that are not a row: a generated password has many.
fn is_mostly_plain(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let jumps = digits
        .windows(2)
        .filter(|pair| pair[0].abs_diff(pair[1]) > 1);
    let signs = text.chars().filter(|c| c.is_ascii_punctuation());
    jumps.count() + signs.count() < 8
}

/// A password as it is stored: argon2id with 19 MiB, two passes and one lane, in the usual text form
/// `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
#[derive(Clone, PartialEq, Eq)]
pub struct HashedPassword {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

/// Why a text is no stored password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no argon2id hash of a bounded cost")]
pub struct HashedPasswordError;

impl HashedPassword {
    /// Hashes a password. This takes tens of milliseconds and 19 MiB.
    pub fn new(password: &PlainPassword, rng: &mut Generator) -> Self {
        let mut salt = vec![0; SALT_BYTES];
        rng.fill(&mut salt);
        let mut made = Self {
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
            salt,
            hash: Vec::new(),
        };
        made.hash = made.compute(password);
        made
    }

    /// A hash that no password has, and that takes as long to find that out as any other.
    pub fn of_nobody() -> Self {
        Self {
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
            salt: vec![0; SALT_BYTES],
            hash: vec![0; HASH_BYTES],
        }
    }

    /// Tells whether a password is this one. Takes as long as [`HashedPassword::new`].
    pub fn matches(&self, password: &PlainPassword) -> bool {
        self.compute(password).ct_eq(&self.hash).into()
    }

    fn compute(&self, password: &PlainPassword) -> Vec<u8> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(HASH_BYTES))
            .expect("the costs were checked");
        let mut hash = vec![0; HASH_BYTES];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password.0.expose().as_bytes(), &self.salt, &mut hash)
            .expect("password, salt and hash have lengths that argon2 takes");
        hash
    }
}

impl std::str::FromStr for HashedPassword {
    type Err = HashedPasswordError;

    fn from_str(text: &str) -> Result<Self, HashedPasswordError> {
        read(text).ok_or(HashedPasswordError)
    }
}

fn read(text: &str) -> Option<HashedPassword> {
    let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
    let mut costs = parts.next()?.split(',');
    let mut cost = |name: &str, most: u32| {
        let value: u32 = costs.next()?.strip_prefix(name)?.parse().ok()?;
        (1..=most).contains(&value).then_some(value)
    };
    let memory_kib = cost("m=", MAX_MEMORY_KIB)?;
    let passes = cost("t=", MAX_PASSES)?;
    let lanes = cost("p=", 4)?;
    let salt = STANDARD_NO_PAD.decode(parts.next()?).ok()?;
    let hash = STANDARD_NO_PAD.decode(parts.next()?).ok()?;
    let fits = memory_kib >= 8 * lanes
        && (8..=64).contains(&salt.len())
        && hash.len() == HASH_BYTES
        && parts.next().is_none();
    fits.then_some(HashedPassword {
        memory_kib,
        passes,
        lanes,
        salt,
        hash,
    })
}

impl fmt::Display for HashedPassword {
    /// Prints what is stored. There is no shorter form that says less.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "$argon2id$v=19$m={},t={},p={}${}${}",
            self.memory_kib,
            self.passes,
            self.lanes,
            STANDARD_NO_PAD.encode(&self.salt),
            STANDARD_NO_PAD.encode(&self.hash)
        )
    }
}

impl fmt::Debug for HashedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedPassword")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(text: &str) -> Option<FieldErrorKind> {
        let refused = PlainPassword::choose("/password", text).err()?;
        assert_eq!(refused.pointer, "/password");
        assert!(!refused.detail.contains(text) || text.is_empty());
        Some(refused.kind)
    }

    #[test]
    fn what_is_short_long_or_guessed_first_is_refused() {
        let long = "ab3".repeat(400);
        for (text, expected) in [
            ("", FieldErrorKind::Missing),
            ("Tr0ub4dor&3", FieldErrorKind::OutOfRange),
            (&long, FieldErrorKind::OutOfRange),
            ("aaaaaaaaaaaa", FieldErrorKind::Invalid),
            ("121212121212", FieldErrorKind::Invalid),
            ("123456789012", FieldErrorKind::Invalid),
            ("passwordpassword", FieldErrorKind::Invalid),
            ("Password1234!", FieldErrorKind::Invalid),
            ("qwertyuiop123", FieldErrorKind::Invalid),
            ("abcdefghijkl", FieldErrorKind::Invalid),
            ("administrator1", FieldErrorKind::Invalid),
            ("Welcome2026!!", FieldErrorKind::Invalid),
            ("correct horse battery staple", FieldErrorKind::Invalid),
        ] {
            assert_eq!(chosen(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn words_that_do_not_belong_together_and_generated_passwords_are_fine() {
        for text in [
            "mauve tractor eleven",
            "Zu8$kk2!q-Pd7x",
            "9403-1857-2264-0938",
            "пароль для телефонии",
            "電話会社の秘密の合言葉です",
        ] {
            assert_eq!(chosen(text), None, "{text}");
        }
    }

    #[test]
    fn hashes_match_their_password_alone_and_read_back() {
        let mut rng = Generator::from_seed([4; 32]);
        let password = PlainPassword::choose("/password", "mauve tractor eleven").unwrap();
        let hashed = HashedPassword::new(&password, &mut rng);
        let text = hashed.to_string();
        assert!(
            text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{text}"
        );
        let read: HashedPassword = text.parse().unwrap();
        assert_eq!(read, hashed);
        assert!(read.matches(&password));
        let other = PlainPassword::attempt("mauve tractor twelve").unwrap();
        assert!(!read.matches(&other));
        assert!(!HashedPassword::of_nobody().matches(&password));
        // The same password has another hash each time.
        assert_ne!(HashedPassword::new(&password, &mut rng), hashed);
        assert_eq!(
            format!("{password:?} {hashed:?}"),
            "PlainPassword HashedPassword"
        );
    }

    #[test]
    fn a_hash_that_asks_for_too_much_or_is_something_else_is_refused() {
        let (salt, hash) = ("A".repeat(22), "A".repeat(43));
        let good = format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${hash}");
        assert!(good.parse::<HashedPassword>().is_ok());
        for bad in [
            String::new(),
            "plain".to_owned(),
            good.replace("argon2id", "argon2i"),
            good.replace("m=19456", "m=4000000000"),
            good.replace("m=19456", "m=1"),
            good.replace("t=2", "t=1000"),
            good.replace("p=1", "p=0"),
            good.replace("p=1", "p=99"),
            format!("$argon2id$v=19$m=19456,t=2,p=1$AA${hash}"),
            format!("$argon2id$v=19$m=19456,t=2,p=1${salt}$AAAA"),
            format!("{good}$x"),
        ] {
            assert!(bad.parse::<HashedPassword>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_no_password_can_be_is_not_even_tried() {
        assert!(PlainPassword::attempt(&"x".repeat(MAX_PASSWORD_BYTES)).is_some());
        assert!(PlainPassword::attempt(&"x".repeat(MAX_PASSWORD_BYTES + 1)).is_none());
        assert!(PlainPassword::attempt("").is_some());
    }
}
