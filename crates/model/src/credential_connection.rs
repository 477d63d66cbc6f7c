//! How a customer's clients reach us: a user name and password, and what they may do.

mod settings;
mod words;

pub use settings::{
    ConnectionSettings, InboundSettings, JitterBuffer, MAX_CODECS, MAX_TAGS, MAX_URL_CHARS,
    NoiseSuppressionDetails, OutboundSettings, RtcpSettings,
};
pub(crate) use settings::{check_channels, check_labels};
pub use words::{
    AnchorsiteOverride, AniNumberFormat, AniOverrideType, DnisNumberFormat, DtmfType,
    EncryptedMedia, NoiseSuppression, NoiseSuppressionEngine, RegistrationStatus, RoutingMethod,
    RtcpPort, SimultaneousRinging, T38ReinviteSource, WebhookApiVersion,
};

use crate::field_error::{Faults, MAX_LABEL_CHARS};
use crate::{
    AccountId, CredentialConnectionId, FieldError, FieldErrorKind, FieldErrors, Generator, Secret,
    Timestamp,
};

/// A credential connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialConnection {
    /// Its id.
    pub id: CredentialConnectionId,
    /// The tenant.
    pub account: AccountId,
    /// A label; not unique.
    pub connection_name: String,
    /// 4 to 32 letters and digits with a letter among the first five; unique in the whole
    /// installation, whatever the case.
    pub user_name: String,
    /// 8 to 128 characters.
    pub password: Secret<String>,
    /// Everything else.
    pub settings: ConnectionSettings,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl CredentialConnection {
    /// Brings values that mean the same into one spelling, then checks all of them; lists what is
    /// wrong. That the user name is free and the profile exists is the store's question.
    pub fn normalize_and_validate(&mut self) -> Vec<FieldError> {
        self.settings.normalize();
        let mut faults = Faults::default();
        faults.required_text("/connection_name", &self.connection_name, MAX_LABEL_CHARS);
        check_user_name(&mut faults, &self.user_name);
        check_password(&mut faults, self.password.expose());
        self.settings.check(&mut faults);
        faults.into_vec()
    }
}

/// A connection that is checked and named, but not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCredentialConnection(CredentialConnection);

impl NewCredentialConnection {
    /// Checks the values and names the connection. What is absent may be passed as an empty text: it
    /// is reported as missing.
    ///
    /// # Errors
    /// Lists everything that is wrong, by JSON pointer.
    pub fn new(
        account: AccountId,
        connection_name: impl Into<String>,
        user_name: impl Into<String>,
        password: impl Into<String>,
        settings: ConnectionSettings,
        now: Timestamp,
        rng: &mut Generator,
    ) -> Result<Self, FieldErrors> {
        let mut connection = CredentialConnection {
            id: CredentialConnectionId::generate(now, rng),
            account,
            connection_name: connection_name.into(),
            user_name: user_name.into(),
            password: Secret::new(password.into()),
            settings,
            created_at: now,
            updated_at: now,
        };
        let faults = connection.normalize_and_validate();
        if faults.is_empty() {
            Ok(Self(connection))
        } else {
            Err(FieldErrors(faults))
        }
    }

    /// Reads the connection.
    pub const fn connection(&self) -> &CredentialConnection {
        &self.0
    }

    /// Takes the connection.
    pub fn into_connection(self) -> CredentialConnection {
        self.0
    }
}

fn check_user_name(faults: &mut Faults, name: &str) {
    if name.trim().is_empty() {
        faults.push(FieldError::missing("/user_name"));
    } else if !(4..=32).contains(&name.chars().count()) {
        faults.add(
            "/user_name",
            FieldErrorKind::OutOfRange,
            "Must be 4 to 32 characters long.",
        );
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        faults.add(
            "/user_name",
            FieldErrorKind::Invalid,
            "Must hold only letters and digits.",
        );
    } else if !name.bytes().take(5).any(|b| b.is_ascii_alphabetic()) {
        faults.add(
            "/user_name",
            FieldErrorKind::Invalid,
            "Must have a letter among its first five characters.",
        );
    }
}

fn check_password(faults: &mut Faults, password: &str) {
    if password.is_empty() {
        faults.push(FieldError::missing("/password"));
    } else if !(8..=128).contains(&password.chars().count()) {
        faults.add(
            "/password",
            FieldErrorKind::OutOfRange,
            "Must be 8 to 128 characters long.",
        );
    } else {
        faults.text("/password", password, 128);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(
        name: &str,
        user: &str,
        password: &str,
    ) -> Result<NewCredentialConnection, Vec<(String, FieldErrorKind)>> {
        let mut rng = Generator::from_seed([4; 32]);
        NewCredentialConnection::new(
            AccountId::generate(&mut rng),
            name,
            user,
            password,
            ConnectionSettings::default(),
            Timestamp::from_secs(1_790_000_000),
            &mut rng,
        )
        .map_err(|errors| {
            errors
                .0
                .into_iter()
                .map(|fault| (fault.pointer.into_owned(), fault.kind))
                .collect()
        })
    }

    #[test]
    fn names_and_passwords_follow_the_contract() {
        let long = "a".repeat(32);
        for user in ["abcd", "1234a", "0a00", long.as_str()] {
            assert!(make("office", user, "12345678").is_ok(), "{user}");
        }
        for (user, kind) in [
            ("", FieldErrorKind::Missing),
            ("abc", FieldErrorKind::OutOfRange),
            (
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                FieldErrorKind::OutOfRange,
            ),
            ("12345a", FieldErrorKind::Invalid),
            ("ab-cd", FieldErrorKind::Invalid),
            ("äbcd", FieldErrorKind::Invalid),
            ("abcd\0", FieldErrorKind::Invalid),
        ] {
            assert_eq!(
                make("office", user, "12345678"),
                Err(vec![("/user_name".to_owned(), kind)])
            );
        }
        for (password, kind) in [
            (String::new(), FieldErrorKind::Missing),
            ("1234567".to_owned(), FieldErrorKind::OutOfRange),
            ("x".repeat(129), FieldErrorKind::OutOfRange),
            ("1234567\0".to_owned(), FieldErrorKind::Invalid),
        ] {
            assert_eq!(
                make("office", "abcd", &password),
                Err(vec![("/password".to_owned(), kind)])
            );
        }
    }

    #[test]
    fn all_faults_come_at_once() {
        let faults = make(" ", "", "").unwrap_err();
        let pointers: Vec<_> = faults.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/connection_name", "/user_name", "/password"]);
    }
}
