//! Generated SIP users (Telnyx: on-demand credentials).

use crate::field_error::{Faults, MAX_LABEL_CHARS};
use crate::words::words;
use crate::{
    AccountId, CredentialConnectionId, FieldErrorKind, FieldErrors, Generator, Secret,
    TelephonyCredentialId, Timestamp,
};

/// How many credentials one tag of an account may hold.
pub const MAX_CREDENTIALS_PER_TAG: u32 = 1000;

const USERNAME_PREFIX: &str = "gencred";
const USERNAME_RANDOM_LEN: usize = 42;
const PASSWORD_LEN: usize = 32;

/// A generated SIP user under a credential connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelephonyCredential {
    /// Its id.
    pub id: TelephonyCredentialId,
    /// The tenant.
    pub account: AccountId,
    /// The connection it belongs to.
    pub connection: CredentialConnectionId,
    /// A label; neither unique nor routable.
    pub name: String,
    /// What it can be found by; never shown.
    pub tag: Option<String>,
    /// `gencred` and 42 letters and digits; never changes.
    pub sip_username: String,
    /// 32 lower-case hexadecimal digits; never changes.
    pub sip_password: Secret<String>,
    /// Whether it may log in, place and receive calls.
    pub active: bool,
    /// When it ends; a terminal state.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl TelephonyCredential {
    /// Tells whether it has ended. An expired credential can only be deleted.
    pub fn expired_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Returns the state it is in. Its end is final, whether it was switched off before or not.
    pub fn status_at(&self, now: Timestamp) -> TelephonyCredentialStatus {
        if self.expired_at(now) {
            TelephonyCredentialStatus::Expired
        } else if self.active {
            TelephonyCredentialStatus::Active
        } else {
            TelephonyCredentialStatus::Inactive
        }
    }
}

words! {
    /// The state of a credential.
    TelephonyCredentialStatus {
        /// Neither switched off nor expired.
        Active = "active",
        /// Switched off.
        Inactive = "inactive",
        /// Past its end.
        Expired = "expired",
    }
}

/// A credential that is checked and has its random parts, but is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTelephonyCredential(TelephonyCredential);

impl NewTelephonyCredential {
    /// Checks the values, and draws id, user name and password. Without a name (or with a blank one)
    /// the creation instant is the name; a blank tag is none.
    ///
    /// # Errors
    /// Lists what is wrong with `/name`, `/tag` and `/expires_at`. An end that is not in the future is
    /// refused: such a credential could never be used.
    pub fn new(
        account: AccountId,
        connection: CredentialConnectionId,
        name: Option<String>,
        tag: Option<String>,
        expires_at: Option<Timestamp>,
        now: Timestamp,
        rng: &mut Generator,
    ) -> Result<Self, FieldErrors> {
        let mut faults = Faults::default();
        if let Some(name) = &name {
            faults.text("/name", name, MAX_LABEL_CHARS);
        }
        if let Some(tag) = &tag {
            faults.text("/tag", tag, MAX_LABEL_CHARS);
        }
        if expires_at.is_some_and(|end| end <= now) {
            faults.add(
                "/expires_at",
                FieldErrorKind::Invalid,
                "Must be in the future.",
            );
        }
        faults.check()?;
        Ok(Self(TelephonyCredential {
            id: TelephonyCredentialId::generate(rng),
            account,
            connection,
            name: name
                .filter(|text| !is_blank(text))
                .unwrap_or_else(|| now.to_label()),
            tag: tag.filter(|text| !is_blank(text)),
            sip_username: format!("{USERNAME_PREFIX}{}", rng.alphanumeric(USERNAME_RANDOM_LEN)),
            sip_password: Secret::new(rng.hex(PASSWORD_LEN)),
            active: true,
            expires_at,
            created_at: now,
            updated_at: now,
        }))
    }

    /// Reads the credential.
    pub const fn credential(&self) -> &TelephonyCredential {
        &self.0
    }

    /// Takes the credential.
    pub fn into_credential(self) -> TelephonyCredential {
        self.0
    }
}

/// A change of a credential: what is [`None`] stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TelephonyCredentialPatch {
    /// Moves it to another connection; its identity stays.
    pub connection: Option<CredentialConnectionId>,
    /// A new label; blank gives the default one again.
    pub name: Option<String>,
    /// A new tag; `Some(None)` or blank removes it.
    pub tag: Option<Option<String>>,
    /// A new end; `Some(None)` removes it. An end in the past expires it now, for good.
    pub expires_at: Option<Option<Timestamp>>,
}

impl TelephonyCredentialPatch {
    /// Checks the values by themselves.
    ///
    /// # Errors
    /// Lists what is wrong with `/name` and `/tag`.
    pub fn check(&self) -> Result<(), FieldErrors> {
        let mut faults = Faults::default();
        if let Some(name) = &self.name {
            faults.text("/name", name, MAX_LABEL_CHARS);
        }
        if let Some(Some(tag)) = &self.tag {
            faults.text("/tag", tag, MAX_LABEL_CHARS);
        }
        faults.check()
    }

    /// Returns the credential as it is after the change.
    pub fn applied_to(
        &self,
        credential: &TelephonyCredential,
        now: Timestamp,
    ) -> TelephonyCredential {
        let mut changed = credential.clone();
        if let Some(connection) = self.connection {
            changed.connection = connection;
        }
        if let Some(name) = &self.name {
            changed.name = if is_blank(name) {
                changed.created_at.to_label()
            } else {
                name.clone()
            };
        }
        if let Some(tag) = &self.tag {
            changed.tag = tag.clone().filter(|text| !is_blank(text));
        }
        if let Some(end) = self.expires_at {
            changed.expires_at = end;
        }
        changed.updated_at = now;
        changed
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_592_515_958_917_732);

    fn make(
        name: Option<&str>,
        tag: Option<&str>,
        expires_at: Option<Timestamp>,
    ) -> Result<TelephonyCredential, FieldErrors> {
        let mut rng = Generator::from_seed([9; 32]);
        NewTelephonyCredential::new(
            AccountId::generate(&mut rng),
            CredentialConnectionId::from_i64(17),
            name.map(str::to_owned),
            tag.map(str::to_owned),
            expires_at,
            NOW,
            &mut rng,
        )
        .map(NewTelephonyCredential::into_credential)
    }

    #[test]
    fn random_parts_have_their_shape_and_the_name_its_default() {
        let credential = make(None, Some(" "), None).unwrap();
        assert_eq!(credential.sip_username.len(), 49);
        assert!(credential.sip_username.starts_with("gencred"));
        assert!(
            credential
                .sip_username
                .bytes()
                .all(|b| b.is_ascii_alphanumeric())
        );
        let password = credential.sip_password.expose();
        assert_eq!(password.len(), 32);
        assert!(
            password
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        );
        assert_eq!(credential.name, "2020-06-18 21:32:38.917732Z");
        assert_eq!(credential.tag, None);
        assert!(!format!("{credential:?}").contains(password.as_str()));
    }

    #[test]
    fn an_end_is_final_and_a_switch_is_not() {
        let end = Timestamp::from_micros(NOW.as_micros() + 1);
        let mut credential = make(None, None, Some(end)).unwrap();
        assert_eq!(credential.status_at(NOW), TelephonyCredentialStatus::Active);
        credential.active = false;
        assert_eq!(
            credential.status_at(NOW),
            TelephonyCredentialStatus::Inactive
        );
        assert_eq!(
            credential.status_at(end),
            TelephonyCredentialStatus::Expired
        );
    }

    #[test]
    fn faults_are_named_all_at_once() {
        let long = "x".repeat(256);
        let FieldErrors(faults) = make(Some(&long), Some("a\0"), Some(NOW)).unwrap_err();
        let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_ref()).collect();
        assert_eq!(pointers, ["/name", "/tag", "/expires_at"]);
    }

    #[test]
    fn a_patch_changes_only_what_it_names() {
        let before = make(Some("desk"), Some("blue"), None).unwrap();
        let later = Timestamp::from_micros(NOW.as_micros() + 5);
        let after = TelephonyCredentialPatch::default().applied_to(&before, later);
        assert_eq!(
            after,
            TelephonyCredential {
                updated_at: later,
                ..before.clone()
            }
        );
        let patch = TelephonyCredentialPatch {
            name: Some(String::new()),
            tag: Some(None),
            expires_at: Some(Some(later)),
            ..Default::default()
        };
        let after = patch.applied_to(&before, later);
        assert_eq!(
            (after.tag.as_deref(), after.name.as_str()),
            (None, "2020-06-18 21:32:38.917732Z")
        );
        assert!(after.expired_at(later) && !after.expired_at(NOW));
    }
}
