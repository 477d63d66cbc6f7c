//! Sealing of secrets that must be read back: AES-256-GCM-SIV (RFC 8452) under a key kept outside the
//! database.
//!
//! A sealed value is bound to its place: table, column and row id are associated data, so a value
//! copied to another row does not open. The id of the key stands in the row beside it.
//!
//! The key file holds one key a line, the newest first: while keys are rotated, rows sealed with the
//! key before are still there. Which key seals is said by the database (`encryption_keys`).

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use ringtrip_model::{Generator, Secret};

const KEY_LEN: usize = 32;
const FILE_PREFIX: &str = "ringtrip-key-1 ";
/// Bytes of a key file that are read.
const MAX_FILE_BYTES: u64 = 16 * 1024;
/// Keys in a key file.
pub(crate) const MAX_KEYS: usize = 64;

/// Why a key file is no use.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The database holds sealed values, and the file with their key is gone.
    #[error("the key file {path} is missing, and the database cannot be read without it")]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("the key file {path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds something else than keys.
    #[error("the key file {path} does not hold a key")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The file holds as many keys as it may.
    #[error("the key file {path} holds {MAX_KEYS} keys; remove those that are not in use")]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// A new file cannot be written.
    #[error("the key file {path} cannot be written")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The key that seals secrets.
#[derive(Clone)]
pub(crate) struct EncryptionKey {
    id: String,
    bytes: Secret<Vec<u8>>,
}

impl EncryptionKey {
    /// Makes a fresh key.
    pub(crate) fn generate(rng: &mut Generator) -> Self {
        let mut bytes = vec![0; KEY_LEN];
        rng.fill(&mut bytes);
        Self::from_bytes(bytes)
    }

    fn from_bytes(bytes: Vec<u8>) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"ringtrip encryption key id");
        context.update(&bytes);
        let id = hex(&context.finish().as_ref()[..8]);
        Self {
            id,
            bytes: Secret::new(bytes),
        }
    }

    /// Returns the fingerprint that names the key in rows: 16 hexadecimal digits that tell nothing
    /// about it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKey({})", self.id)
    }
}

/// The keys of a key file, the newest first; never empty.
#[derive(Debug, Clone)]
pub(crate) struct KeyRing(Vec<EncryptionKey>);

impl KeyRing {
    /// A ring of one key.
    pub(crate) fn of(key: EncryptionKey) -> Self {
        Self(vec![key])
    }

    /// Returns the key that stands first in the file.
    pub(crate) fn newest(&self) -> &EncryptionKey {
        &self.0[0]
    }

    /// Finds a key by its id.
    pub(crate) fn key(&self, id: &str) -> Option<&EncryptionKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// Puts a key before all others.
    pub(crate) fn add(&mut self, key: EncryptionKey) {
        self.0.insert(0, key);
    }

    /// Drops the keys with these ids, but never the first.
    pub(crate) fn drop_keys(&mut self, ids: &[String]) {
        let mut first = true;
        self.0
            .retain(|key| std::mem::take(&mut first) || !ids.contains(&key.id));
    }

    /// Reads the key file. If there is none and the database is empty, makes one that only its owner
    /// can read.
    ///
    /// # Errors
    /// [`KeyError::Missing`] if the database is not empty: a new key could not open what is in it.
    pub(crate) fn load_or_create(
        path: &Path,
        database_is_empty: bool,
        rng: &mut Generator,
    ) -> Result<Self, KeyError> {
        if let Some(ring) = Self::load(path)? {
            return Ok(ring);
        }
        if !database_is_empty {
            return Err(KeyError::Missing {
                path: path.to_owned(),
            });
        }
        let ring = Self::of(EncryptionKey::generate(rng));
        match ring.save_new(path, rng) {
            Ok(()) => Ok(ring),
            // Another process was faster: its key counts.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::load(path)?
                .ok_or_else(|| KeyError::Missing {
                    path: path.to_owned(),
                }),
            Err(source) => Err(KeyError::Write {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Reads a key file; nothing if there is none.
    ///
    /// # Errors
    /// If it cannot be read or holds something else than keys.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>, KeyError> {
        let read = |source| KeyError::Read {
            path: path.to_owned(),
            source,
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(read(error)),
        };
        if file.metadata().map_err(read)?.permissions().mode() & 0o077 != 0 {
            tracing::warn!(path = %path.display(), "the key file can be read by others than its owner");
        }
        let mut text = String::with_capacity(1024);
        file.take(MAX_FILE_BYTES)
            .read_to_string(&mut text)
            .map_err(read)?;
        let text = Secret::new(text);
        let key = |line: &str| {
            let bytes = line.trim_end().strip_prefix(FILE_PREFIX).and_then(unhex)?;
            (bytes.len() == KEY_LEN).then(|| EncryptionKey::from_bytes(bytes))
        };
        let keys: Option<Vec<EncryptionKey>> = text.expose().trim_end().lines().map(key).collect();
        match keys {
            Some(keys) if !keys.is_empty() && keys.len() <= MAX_KEYS => Ok(Some(Self(keys))),
            Some(_) | None => Err(KeyError::Malformed {
                path: path.to_owned(),
            }),
        }
    }

    /// Writes a file that is not there yet: links the finished file into its place, so that the place
    /// holds a whole key or none, and an existing file is never replaced.
    fn save_new(&self, path: &Path, rng: &mut Generator) -> io::Result<()> {
        let draft = Draft::write(self, path, None, rng)?;
        fs::hard_link(&draft.0, path)?;
        drop(draft);
        sync_folder(path)
    }

    /// Replaces a key file by one with these keys, for the same owner's eyes only. Whoever opens the
    /// file meanwhile reads the keys of before or those of after.
    ///
    /// # Errors
    /// [`KeyError::Full`] or [`KeyError::Write`]; then the file is as it was.
    pub(crate) fn replace(&self, path: &Path, rng: &mut Generator) -> Result<(), KeyError> {
        if self.0.len() > MAX_KEYS {
            return Err(KeyError::Full {
                path: path.to_owned(),
            });
        }
        let mut replaced = || {
            // A link stays a link, and what it leads to is replaced.
            let path = fs::canonicalize(path)?;
            let before = fs::metadata(&path)?;
            let draft = Draft::write(self, &path, Some((before.uid(), before.gid())), rng)?;
            fs::rename(&draft.0, &path)?;
            sync_folder(&path)
        };
        replaced().map_err(|source| KeyError::Write {
            path: path.to_owned(),
            source,
        })
    }
}

/// A finished key file beside its place; removed when dropped.
struct Draft(PathBuf);

impl Draft {
    fn write(
        ring: &KeyRing,
        path: &Path,
        owner: Option<(u32, u32)>,
        rng: &mut Generator,
    ) -> io::Result<Self> {
        let draft = Self(path.with_extension(format!("new-{}", rng.hex(8))));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft.0)?;
        if let Some((user, group)) = owner {
            let own = file.metadata()?;
            if (own.uid(), own.gid()) != (user, group) {
                fchown(&file, Some(user), Some(group))?;
            }
        }
        for key in &ring.0 {
            let line = Secret::new(format!("{FILE_PREFIX}{}\n", hex(key.bytes.expose())));
            file.write_all(line.expose().as_bytes())?;
        }
        file.sync_all()?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // A draft that was renamed is not there any more.
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes a new or renamed file's entry in its folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Where a sealed value stands.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    pub(crate) id: &'a dyn fmt::Display,
}

impl Place<'_> {
    fn associated_data(&self) -> String {
        format!("{}|{}|{}", self.table, self.column, self.id)
    }
}

/// A sealed value and the id of the key that sealed it: what a row keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// For the row's `encryption_key_id`.
    pub(crate) key_id: String,
    /// Nonce, ciphertext, tag.
    pub(crate) value: Vec<u8>,
}

/// Seals with one key and opens with all, ready for use.
pub(crate) struct Sealer {
    /// The first one seals.
    keys: Vec<(String, LessSafeKey)>,
}

impl Sealer {
    /// Makes a sealer of a ring's keys that seals with the one of this id; none if it is not there.
    pub(crate) fn new(ring: &KeyRing, sealing: &str) -> Option<Self> {
        let first = ring.key(sealing)?;
        let others = ring.0.iter().filter(|key| key.id != sealing);
        let ready = |key: &EncryptionKey| {
            let unbound = UnboundKey::new(&AES_256_GCM_SIV, key.bytes.expose())
                .expect("an encryption key has 32 bytes");
            (key.id.clone(), LessSafeKey::new(unbound))
        };
        Some(Self {
            keys: std::iter::once(first).chain(others).map(ready).collect(),
        })
    }

    /// Returns the id of the key that seals.
    pub(crate) fn key_id(&self) -> &str {
        &self.keys[0].0
    }

    fn key(&self, id: &str) -> Option<&LessSafeKey> {
        self.keys
            .iter()
            .find(|(known, _)| known == id)
            .map(|(_, key)| key)
    }

    /// Tells whether it opens what the key with this id has sealed.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.key(id).is_some()
    }

    /// Seals a value.
    pub(crate) fn seal(&self, place: Place<'_>, plain: &[u8], nonce: [u8; NONCE_LEN]) -> Sealed {
        let (key_id, key) = &self.keys[0];
        let mut body = Vec::with_capacity(plain.len() + AES_256_GCM_SIV.tag_len());
        body.extend_from_slice(plain);
        let aad = Aad::from(place.associated_data());
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .expect("a short value always seals");
        let mut value = Vec::with_capacity(NONCE_LEN + body.len());
        value.extend_from_slice(&nonce);
        value.append(&mut body);
        Sealed {
            key_id: key_id.clone(),
            value,
        }
    }

    /// Opens a value; nothing if it is not one of ours for this place.
    pub(crate) fn open(
        &self,
        place: Place<'_>,
        key_id: &str,
        sealed: &[u8],
    ) -> Option<Secret<Vec<u8>>> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN)?;
        let key = self.key(key_id)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = body.to_vec();
        let aad = Aad::from(place.associated_data());
        let len = key.open_in_place(nonce, aad, &mut body).ok()?.len();
        body.truncate(len);
        Some(Secret::new(body))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({})", self.key_id())
    }
}

/// Draws a nonce. AES-GCM-SIV would forgive that one is drawn twice.
pub(crate) fn draw_nonce(rng: &mut Generator) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    rng.fill(&mut nonce);
    nonce
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [b >> 4, b & 15])
        .map(|d| char::from(DIGITS[usize::from(d)]))
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()));
    let digits = digits.collect::<Option<Vec<u8>>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rng() -> Generator {
        Generator::from_seed([1; 32])
    }

    const PLACE: Place<'static> = Place {
        table: "t",
        column: "c",
        id: &7,
    };

    #[test]
    fn opens_only_in_its_own_place_and_with_its_own_key() {
        let key = EncryptionKey::generate(&mut rng());
        let sealer = Sealer::new(&KeyRing::of(key.clone()), key.id()).unwrap();
        let sealed = sealer.seal(PLACE, b"secret", [9; NONCE_LEN]);
        assert_eq!(sealed.key_id, key.id());
        let sealed = sealed.value;
        let open = |place, bytes: &[u8]| sealer.open(place, key.id(), bytes);
        assert_eq!(open(PLACE, &sealed).unwrap().expose(), b"secret");
        assert!(open(Place { id: &8, ..PLACE }, &sealed).is_none());
        let other = Place {
            table: "u",
            ..PLACE
        };
        assert!(open(other, &sealed).is_none());
        let other = Place {
            column: "d",
            ..PLACE
        };
        assert!(open(other, &sealed).is_none());
        assert!(sealer.open(PLACE, "0000000000000000", &sealed).is_none());
        for len in 0..sealed.len() {
            assert!(open(PLACE, &sealed[..len]).is_none(), "{len}");
        }
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert!(open(PLACE, &changed).is_none(), "{i}");
        }
    }

    #[test]
    fn seals_with_the_named_key_and_opens_with_all() {
        let (old, new) = (
            EncryptionKey::generate(&mut rng()),
            EncryptionKey::generate(&mut Generator::from_seed([2; 32])),
        );
        let mut ring = KeyRing::of(old.clone());
        let before = Sealer::new(&ring, old.id()).unwrap();
        assert!(Sealer::new(&ring, new.id()).is_none());
        ring.add(new.clone());
        let after = Sealer::new(&ring, new.id()).unwrap();
        let (by_old, by_new) = (
            before.seal(PLACE, b"old", [1; NONCE_LEN]),
            after.seal(PLACE, b"new", [1; NONCE_LEN]),
        );
        assert_eq!(
            (by_old.key_id.as_str(), by_new.key_id.as_str()),
            (old.id(), new.id())
        );
        assert!(after.knows(old.id()) && !before.knows(new.id()));
        let open = |sealer: &Sealer, sealed: &Sealed| {
            let plain = sealer.open(PLACE, &sealed.key_id, &sealed.value);
            plain.map(|plain| plain.expose().clone())
        };
        assert_eq!(open(&after, &by_old).unwrap(), b"old");
        assert_eq!(open(&after, &by_new).unwrap(), b"new");
        assert_eq!(open(&before, &by_new), None);
    }

    #[test]
    fn a_key_file_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ringtrip.key");
        let missing = KeyRing::load_or_create(&path, false, &mut rng());
        assert!(matches!(missing, Err(KeyError::Missing { .. })));
        assert!(!path.exists());
        let made = KeyRing::load_or_create(&path, true, &mut rng()).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let mut other = Generator::from_seed([2; 32]);
        for empty in [true, false] {
            let read = KeyRing::load_or_create(&path, empty, &mut other).unwrap();
            let (read, made) = (read.newest(), made.newest());
            assert_eq!(
                (read.id(), read.bytes.expose()),
                (made.id(), made.bytes.expose())
            );
        }
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no draft is left behind"
        );
        assert!(!format!("{made:?}").contains(&hex(made.newest().bytes.expose())));
    }

    #[test]
    fn a_key_file_is_replaced_as_a_whole_with_the_newest_key_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ringtrip.key");
        let mut ring = KeyRing::load_or_create(&path, true, &mut rng()).unwrap();
        let first = ring.newest().id().to_owned();
        let link = folder.path().join("link.key");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        ring.add(EncryptionKey::generate(&mut Generator::from_seed([2; 32])));
        ring.replace(&link, &mut rng()).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let mut read = KeyRing::load(&path).unwrap().unwrap();
        assert_ne!(read.newest().id(), first);
        assert!(read.key(&first).is_some());
        let second = read.newest().id().to_owned();
        read.drop_keys(&[first.clone(), second.clone()]);
        assert!(read.key(&first).is_none());
        assert_eq!(read.newest().id(), second, "one key is always left");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            2,
            "no draft is left behind"
        );

        let before = fs::read_to_string(&path).unwrap();
        for seed in 3..=u8::try_from(MAX_KEYS).unwrap() + 3 {
            ring.add(EncryptionKey::generate(&mut Generator::from_seed(
                [seed; 32],
            )));
        }
        let full = ring.replace(&path, &mut rng());
        assert!(matches!(full, Err(KeyError::Full { .. })), "{full:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }

    #[test]
    fn a_damaged_key_file_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ringtrip.key");
        let whole = format!("{FILE_PREFIX}{}", "ab".repeat(32));
        for text in [
            "",
            "ringtrip-key-1",
            &whole[..whole.len() - 1],
            &format!("{whole}ab"),
            &whole[2..],
            &format!("{whole}\n\n{whole}"),
            &format!("{whole}\n{FILE_PREFIX}"),
        ] {
            fs::write(&path, text).unwrap();
            let read = KeyRing::load_or_create(&path, true, &mut rng());
            assert!(matches!(read, Err(KeyError::Malformed { .. })), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
