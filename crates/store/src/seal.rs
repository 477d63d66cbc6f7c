//! Sealing of secrets that must be read back: AES-256-GCM-SIV (RFC 8452) under a key kept outside the
//! database.
//!
//! A sealed value is bound to its place: table, column and row id are associated data, so a value
//! copied to another row does not open. The id of the key stands in the row beside it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use ringtrip_model::{Generator, Secret};

use crate::db::{self, Conn};
use crate::error::StoreError;
use crate::row::Columns;

const KEY_LEN: usize = 32;
const FILE_PREFIX: &str = "ringtrip-key-1 ";

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
    /// The file does not hold a key.
    #[error("the key file {path} does not hold a key")]
    Malformed {
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
pub struct EncryptionKey {
    id: String,
    bytes: Secret<Vec<u8>>,
}

impl EncryptionKey {
    /// Makes a fresh key.
    pub fn generate(rng: &mut Generator) -> Self {
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
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Reads the key file. If there is none and the database is empty, makes one that only its owner
    /// can read.
    ///
    /// # Errors
    /// [`KeyError::Missing`] if the database is not empty: a new key could not open what is in it.
    pub fn load_or_create(
        path: &Path,
        database_is_empty: bool,
        rng: &mut Generator,
    ) -> Result<Self, KeyError> {
        if let Some(key) = Self::load(path)? {
            return Ok(key);
        }
        if !database_is_empty {
            return Err(KeyError::Missing {
                path: path.to_owned(),
            });
        }
        let key = Self::generate(rng);
        match key.save(path, rng) {
            Ok(()) => Ok(key),
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

    fn load(path: &Path) -> Result<Option<Self>, KeyError> {
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
        file.take(1024).read_to_string(&mut text).map_err(read)?;
        let text = Secret::new(text);
        let key = text
            .expose()
            .trim_end()
            .strip_prefix(FILE_PREFIX)
            .and_then(unhex);
        match key {
            Some(bytes) if bytes.len() == KEY_LEN => Ok(Some(Self::from_bytes(bytes))),
            Some(_) | None => Err(KeyError::Malformed {
                path: path.to_owned(),
            }),
        }
    }

    /// Writes beside the place and links the finished file into it, so that the place holds a whole
    /// key or none, and an existing file is never replaced.
    fn save(&self, path: &Path, rng: &mut Generator) -> io::Result<()> {
        let draft = path.with_extension(format!("new-{}", rng.hex(8)));
        let result = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&draft)?;
            let text = Secret::new(format!("{FILE_PREFIX}{}\n", hex(self.bytes.expose())));
            file.write_all(text.expose().as_bytes())?;
            file.sync_all()?;
            fs::hard_link(&draft, path)
        })();
        // A draft that was never made need not be removed.
        let _ = fs::remove_file(&draft);
        result?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKey({})", self.id)
    }
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

/// Seals and opens with one key, ready for use.
pub(crate) struct Sealer {
    id: String,
    key: LessSafeKey,
}

impl Sealer {
    pub(crate) fn new(key: &EncryptionKey) -> Self {
        let unbound = UnboundKey::new(&AES_256_GCM_SIV, key.bytes.expose())
            .expect("an encryption key has 32 bytes");
        Self {
            id: key.id.clone(),
            key: LessSafeKey::new(unbound),
        }
    }

    pub(crate) fn key_id(&self) -> &str {
        &self.id
    }

    /// Seals a value: nonce, ciphertext, tag.
    pub(crate) fn seal(&self, place: Place<'_>, plain: &[u8], nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        let mut body = Vec::with_capacity(plain.len() + AES_256_GCM_SIV.tag_len());
        body.extend_from_slice(plain);
        let aad = Aad::from(place.associated_data());
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .expect("a short value always seals");
        let mut sealed = Vec::with_capacity(NONCE_LEN + body.len());
        sealed.extend_from_slice(&nonce);
        sealed.append(&mut body);
        sealed
    }

    /// Opens a value; nothing if it is not one of ours for this place.
    pub(crate) fn open(
        &self,
        place: Place<'_>,
        key_id: &str,
        sealed: &[u8],
    ) -> Option<Secret<Vec<u8>>> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN)?;
        if key_id != self.id {
            return None;
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = body.to_vec();
        let aad = Aad::from(place.associated_data());
        let len = self.key.open_in_place(nonce, aad, &mut body).ok()?.len();
        body.truncate(len);
        Some(Secret::new(body))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({})", self.id)
    }
}

/// Draws a nonce. AES-GCM-SIV would forgive that one is drawn twice.
pub(crate) fn draw_nonce(rng: &mut Generator) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    rng.fill(&mut nonce);
    nonce
}

const PROOF: &[u8] = b"ringtrip";
const KEYS_TABLE: &str = "encryption_keys";

/// A key that the database was sealed with, and a value only that key opens.
pub(crate) struct RegisteredKey {
    pub(crate) id: String,
    proof: Vec<u8>,
}

impl RegisteredKey {
    /// Tells whether this is the sealer's key.
    pub(crate) fn proves(&self, sealer: &Sealer) -> bool {
        let place = Place {
            table: KEYS_TABLE,
            column: "proof",
            id: &self.id,
        };
        sealer
            .open(place, &self.id, &self.proof)
            .is_some_and(|plain| plain.expose() == PROOF)
    }
}

/// Reads which keys a database was sealed with.
pub(crate) async fn registered_keys(conn: &mut Conn) -> Result<Vec<RegisteredKey>, StoreError> {
    const DOING: &str = "reading the ids of encryption keys";
    let rows = db::query("SELECT id, proof FROM encryption_keys ORDER BY id")
        .fetch_all(conn)
        .await
        .map_err(StoreError::while_doing(DOING))?;
    let read = |row| {
        let columns = Columns::new(row, KEYS_TABLE, DOING);
        Ok(RegisteredKey {
            id: columns.get("id")?,
            proof: columns.get("proof")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Writes down which key the database is sealed with, before anything is.
pub(crate) async fn register_key(
    conn: &mut Conn,
    sealer: &Sealer,
    rng: &mut Generator,
) -> Result<(), StoreError> {
    let place = Place {
        table: KEYS_TABLE,
        column: "proof",
        id: &sealer.key_id(),
    };
    db::query("INSERT INTO encryption_keys (id, proof) VALUES ($1, $2)")
        .bind(sealer.key_id())
        .bind(sealer.seal(place, PROOF, draw_nonce(rng)))
        .execute(conn)
        .await
        .map(drop)
        .map_err(StoreError::while_doing("registering the encryption key"))
}

fn hex(bytes: &[u8]) -> String {
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
        let sealer = Sealer::new(&key);
        let sealed = sealer.seal(PLACE, b"secret", [9; NONCE_LEN]);
        let open = |place, bytes: &[u8]| sealer.open(place, key.id(), bytes);
        assert_eq!(open(PLACE, &sealed).unwrap().expose(), b"secret");
        assert!(open(Place { id: &8, ..PLACE }, &sealed).is_none());
        assert!(
            open(
                Place {
                    table: "u",
                    ..PLACE
                },
                &sealed
            )
            .is_none()
        );
        assert!(
            open(
                Place {
                    column: "d",
                    ..PLACE
                },
                &sealed
            )
            .is_none()
        );
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
    fn a_key_file_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ringtrip.key");
        let missing = EncryptionKey::load_or_create(&path, false, &mut rng());
        assert!(matches!(missing, Err(KeyError::Missing { .. })));
        assert!(!path.exists());
        let made = EncryptionKey::load_or_create(&path, true, &mut rng()).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let mut other = Generator::from_seed([2; 32]);
        for empty in [true, false] {
            let read = EncryptionKey::load_or_create(&path, empty, &mut other).unwrap();
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
        assert!(!format!("{made:?}").contains(&hex(made.bytes.expose())));
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
        ] {
            fs::write(&path, text).unwrap();
            let read = EncryptionKey::load_or_create(&path, true, &mut rng());
            assert!(matches!(read, Err(KeyError::Malformed { .. })), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
