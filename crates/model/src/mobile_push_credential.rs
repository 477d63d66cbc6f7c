//! What a push service of Apple or Google wants to see before it wakes a telephone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::field_error::{Faults, MAX_LABEL_CHARS};
use crate::words::words;
use crate::{
    AccountId, FieldError, FieldErrorKind, FieldErrors, Generator, MobilePushCredentialId, Secret,
    Timestamp,
};

/// Longest certificate, key or service account file, in bytes.
pub const MAX_PUSH_MATERIAL_BYTES: usize = 64 * 1024;

/// What a service account file of Google must name.
const SERVICE_ACCOUNT_KEYS: [&str; 3] = ["project_id", "client_email", "private_key"];

const CERTIFICATE_LABELS: &[&str] = &["CERTIFICATE"];
const PRIVATE_KEY_LABELS: &[&str] = &["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];

words! {
    /// Whose telephones a push credential wakes.
    PushPlatform {
        /// Apple's.
        Ios = "ios",
        /// Google's.
        Android = "android",
    }
}

/// The material of a push credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushMaterial {
    /// For Apple's push service.
    Ios {
        /// A certificate, PEM.
        certificate: Secret<String>,
        /// Its private key, PEM, without a password.
        private_key: Secret<String>,
    },
    /// For Google's push service.
    Android {
        /// A service account file: the text of a JSON object.
        project_account_json_file: Secret<String>,
    },
}

impl PushMaterial {
    /// Tells whose telephones it wakes.
    pub const fn platform(&self) -> PushPlatform {
        match self {
            Self::Ios { .. } => PushPlatform::Ios,
            Self::Android { .. } => PushPlatform::Android,
        }
    }
}

/// A push credential. It never changes; a connection names the one it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MobilePushCredential {
    /// Its id.
    pub id: MobilePushCredentialId,
    /// The tenant.
    pub account: AccountId,
    /// A label that no other one of the account has.
    pub alias: String,
    /// What the push service wants to see.
    pub material: PushMaterial,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A push credential that is checked and named, but not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMobilePushCredential(MobilePushCredential);

impl NewMobilePushCredential {
    /// Checks a credential for Apple's push service and names it. What is absent may be passed as an
    /// empty text: it is reported as missing.
    ///
    /// # Errors
    /// Lists what is wrong with `/alias`, `/certificate` and `/private_key`.
    pub fn ios(
        account: AccountId,
        alias: String,
        certificate: Secret<String>,
        private_key: Secret<String>,
        now: Timestamp,
        rng: &mut Generator,
    ) -> Result<Self, FieldErrors> {
        let mut faults = Faults::default();
        faults.required_text("/alias", &alias, MAX_LABEL_CHARS);
        check_pem(
            &mut faults,
            "/certificate",
            certificate.expose(),
            CERTIFICATE_LABELS,
            "Must be a certificate in PEM format.",
        );
        check_pem(
            &mut faults,
            "/private_key",
            private_key.expose(),
            PRIVATE_KEY_LABELS,
            "Must be a private key in PEM format that no password protects.",
        );
        faults.check()?;
        let material = PushMaterial::Ios {
            certificate,
            private_key,
        };
        Ok(Self::named(account, alias, material, now, rng))
    }

    /// Checks a credential for Google's push service and names it.
    ///
    /// # Errors
    /// Lists what is wrong with `/alias` and `/project_account_json_file`.
    pub fn android(
        account: AccountId,
        alias: String,
        project_account_json_file: Option<&Map<String, Value>>,
        now: Timestamp,
        rng: &mut Generator,
    ) -> Result<Self, FieldErrors> {
        let mut faults = Faults::default();
        faults.required_text("/alias", &alias, MAX_LABEL_CHARS);
        let text = match project_account_json_file {
            Some(file) => check_service_account(&mut faults, file),
            None => {
                faults.push(FieldError::missing("/project_account_json_file"));
                String::new()
            }
        };
        faults.check()?;
        let material = PushMaterial::Android {
            project_account_json_file: Secret::new(text),
        };
        Ok(Self::named(account, alias, material, now, rng))
    }

    fn named(
        account: AccountId,
        alias: String,
        material: PushMaterial,
        now: Timestamp,
        rng: &mut Generator,
    ) -> Self {
        Self(MobilePushCredential {
            id: MobilePushCredentialId::generate(rng),
            account,
            alias,
            material,
            created_at: now,
            updated_at: now,
        })
    }

    /// Reads the credential.
    pub const fn credential(&self) -> &MobilePushCredential {
        &self.0
    }

    /// Takes the credential.
    pub fn into_credential(self) -> MobilePushCredential {
        self.0
    }
}

fn check_pem(
    faults: &mut Faults,
    pointer: &'static str,
    text: &str,
    labels: &[&str],
    detail: &'static str,
) {
    if text.trim().is_empty() {
        faults.push(FieldError::missing(pointer));
    } else if text.len() > MAX_PUSH_MATERIAL_BYTES {
        faults.add(
            pointer,
            FieldErrorKind::OutOfRange,
            format!("Must be at most {MAX_PUSH_MATERIAL_BYTES} bytes long."),
        );
    } else if text.contains('\0') || !is_pem(text, labels) {
        faults.add(pointer, FieldErrorKind::Invalid, detail);
    }
}

/// Tells whether a text is one or more PEM blocks (RFC 7468) of the given labels, each with something
/// that begins as a DER structure. Lines before and between the blocks are passed over, since tools
/// write what the blocks hold there.
fn is_pem(text: &str, labels: &[&str]) -> bool {
    let mut blocks = 0;
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once("-----BEGIN ") {
        let Some((label, after)) = begun.split_once("-----") else {
            return false;
        };
        let end = format!("-----END {label}-----");
        let Some((body, after)) = after.split_once(end.as_str()) else {
            return false;
        };
        let packed: String = body.split_ascii_whitespace().collect();
        let whole = STANDARD
            .decode(packed)
            .is_ok_and(|der| is_der_sequence(&der));
        if !labels.contains(&label) || !whole {
            return false;
        }
        blocks += 1;
        rest = after;
    }
    blocks > 0
}

/// Tells whether bytes are one DER sequence and nothing more (X.690 §8.1).
fn is_der_sequence(der: &[u8]) -> bool {
    let [0x30, length, rest @ ..] = der else {
        return false;
    };
    match length {
        0..=0x7f => rest.len() == usize::from(*length),
        0x81..=0x83 => {
            let octets = usize::from(length & 0x7f);
            let Some((octets, content)) = rest.split_at_checked(octets) else {
                return false;
            };
            let announced = octets
                .iter()
                .fold(0, |sum, octet| sum << 8 | usize::from(*octet));
            content.len() == announced
        }
        _ => false,
    }
}

fn check_service_account(faults: &mut Faults, file: &Map<String, Value>) -> String {
    const POINTER: &str = "/project_account_json_file";
    if file.get("type").and_then(Value::as_str) != Some("service_account") {
        faults.add(
            "/project_account_json_file/type",
            FieldErrorKind::Invalid,
            "Must be service_account.",
        );
    }
    for key in SERVICE_ACCOUNT_KEYS {
        let pointer = format!("{POINTER}/{key}");
        match file.get(key) {
            Some(Value::String(text)) if key == "private_key" => {
                if !is_pem(text, PRIVATE_KEY_LABELS) {
                    faults.push(FieldError::new(
                        pointer,
                        FieldErrorKind::Invalid,
                        "Must be a private key in PEM format that no password protects.",
                    ));
                }
            }
            Some(Value::String(text)) if !text.trim().is_empty() => {}
            Some(Value::String(_) | Value::Null) | None => {
                faults.push(FieldError::missing(pointer))
            }
            Some(_) => faults.push(FieldError::new(
                pointer,
                FieldErrorKind::Invalid,
                "Must be a string.",
            )),
        }
    }
    let text = serde_json::to_string(file).expect("JSON values serialize into memory");
    if text.len() > MAX_PUSH_MATERIAL_BYTES {
        faults.add(
            POINTER,
            FieldErrorKind::OutOfRange,
            format!("Must be at most {MAX_PUSH_MATERIAL_BYTES} bytes long."),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

    /// A DER sequence of so many bytes of content, as PEM.
    fn pem(label: &str, content: usize) -> String {
        let mut der = vec![0x30, 0x82];
        der.extend(u16::try_from(content).unwrap().to_be_bytes());
        der.extend(vec![5; content]);
        let text = STANDARD.encode(der);
        let lines: Vec<_> = text
            .as_bytes()
            .chunks(64)
            .map(|l| std::str::from_utf8(l).unwrap())
            .collect();
        format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
            lines.join("\n")
        )
    }

    fn faults<T>(made: Result<T, FieldErrors>) -> Vec<(String, FieldErrorKind)> {
        made.err()
            .map_or_else(Vec::new, |FieldErrors(faults)| faults)
            .into_iter()
            .map(|fault| (fault.pointer.into_owned(), fault.kind))
            .collect()
    }

    fn ios(alias: &str, certificate: &str, key: &str) -> Vec<(String, FieldErrorKind)> {
        let mut rng = Generator::from_seed([3; 32]);
        let account = AccountId::generate(&mut rng);
        let secret = |text: &str| Secret::new(text.to_owned());
        faults(NewMobilePushCredential::ios(
            account,
            alias.to_owned(),
            secret(certificate),
            secret(key),
            NOW,
            &mut rng,
        ))
    }

    fn android(file: Option<Value>) -> Vec<(String, FieldErrorKind)> {
        let mut rng = Generator::from_seed([3; 32]);
        let account = AccountId::generate(&mut rng);
        let file = file.map(|file| file.as_object().cloned().unwrap());
        faults(NewMobilePushCredential::android(
            account,
            "app".to_owned(),
            file.as_ref(),
            NOW,
            &mut rng,
        ))
    }

    fn at(pointer: &str, kind: FieldErrorKind) -> Vec<(String, FieldErrorKind)> {
        vec![(pointer.to_owned(), kind)]
    }

    #[test]
    fn certificates_and_keys_are_pem() {
        let certificate = pem("CERTIFICATE", 700);
        for label in PRIVATE_KEY_LABELS {
            assert_eq!(ios("app", &certificate, &pem(label, 300)), []);
        }
        let key = pem("PRIVATE KEY", 300);
        let chain = format!("Bag Attributes\n{certificate}subject=/CN=x\n{certificate}");
        assert_eq!(ios("app", &chain, &key), []);
        assert_eq!(ios("app", &certificate.replace('\n', "\r\n"), &key), []);
        let one_line = certificate.replace('\n', "");
        assert_eq!(ios("app", &one_line, &key), []);
        for bad in [
            "certificate".to_owned(),
            key.clone(),
            certificate.replace("END CERTIFICATE", "END CERT"),
            certificate.replace("-----END CERTIFICATE-----", ""),
            certificate.replacen("\nM", "\n!", 1),
            format!("{certificate}{key}"),
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----".to_owned(),
            "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----".to_owned(),
            format!("{certificate}\0"),
        ] {
            assert_eq!(
                ios("app", &bad, &key),
                at("/certificate", FieldErrorKind::Invalid),
                "{bad}"
            );
        }
        let locked = pem("ENCRYPTED PRIVATE KEY", 300);
        let old = key.replacen(
            '\n',
            "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n",
            1,
        );
        for bad in [locked, old, certificate.clone()] {
            assert_eq!(
                ios("app", &certificate, &bad),
                at("/private_key", FieldErrorKind::Invalid)
            );
        }
        let huge = pem("CERTIFICATE", 60_000);
        assert_eq!(
            ios("app", &huge, &key),
            at("/certificate", FieldErrorKind::OutOfRange)
        );
    }

    #[test]
    fn everything_missing_is_named_at_once() {
        let pointers: Vec<_> = ios(" ", "", "\n").into_iter().collect();
        let missing = FieldErrorKind::Missing;
        assert_eq!(
            pointers,
            [
                ("/alias".to_owned(), missing),
                ("/certificate".to_owned(), missing),
                ("/private_key".to_owned(), missing),
            ]
        );
        assert_eq!(android(None), at("/project_account_json_file", missing));
    }

    #[test]
    fn a_service_account_file_has_what_is_needed() {
        let good = json!({
            "type": "service_account",
            "project_id": "p",
            "private_key_id": "k",
            "private_key": pem("PRIVATE KEY", 1200),
            "client_email": "push@p.example",
            "token_uri": "https://oauth2.googleapis.com/token",
        });
        assert_eq!(android(Some(good.clone())), []);
        let with = |key: &str, value: Value| {
            let mut file = good.clone();
            file[key] = value;
            android(Some(file))
        };
        for (key, value, kind) in [
            ("type", json!("authorized_user"), FieldErrorKind::Invalid),
            ("type", Value::Null, FieldErrorKind::Invalid),
            ("project_id", json!(" "), FieldErrorKind::Missing),
            ("project_id", json!(17), FieldErrorKind::Invalid),
            ("client_email", Value::Null, FieldErrorKind::Missing),
            ("private_key", json!("secret"), FieldErrorKind::Invalid),
        ] {
            let pointer = format!("/project_account_json_file/{key}");
            assert_eq!(
                with(key, value.clone()),
                at(&pointer, kind),
                "{key} {value}"
            );
        }
        assert_eq!(
            with("padding", "x".repeat(MAX_PUSH_MATERIAL_BYTES).into()),
            at("/project_account_json_file", FieldErrorKind::OutOfRange)
        );
        assert_eq!(android(Some(json!({}))).len(), 4);
    }

    #[test]
    fn what_is_made_does_not_print_its_secrets() {
        let mut rng = Generator::from_seed([3; 32]);
        let account = AccountId::generate(&mut rng);
        let secret = |label| Secret::new(pem(label, 200));
        let made = NewMobilePushCredential::ios(
            account,
            "app".to_owned(),
            secret("CERTIFICATE"),
            secret("EC PRIVATE KEY"),
            NOW,
            &mut rng,
        )
        .unwrap()
        .into_credential();
        assert_eq!(made.material.platform(), PushPlatform::Ios);
        assert!(!format!("{made:?}").contains("BEGIN"));
    }
}
