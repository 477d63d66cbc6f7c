//! Tenants.

use crate::field_error::{Faults, MAX_LABEL_CHARS};
use crate::{AccountId, FieldErrorKind, FieldErrors, Generator, Timestamp};

/// A tenant (Telnyx: user and organization in one).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id; `user_id` and `organization_id` on the wire.
    pub id: AccountId,
    /// Its e-mail address: unique, whatever the case.
    pub email: String,
    /// Shown name.
    pub organization_name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Account {
    /// Checks what an organization wants to be called.
    ///
    /// # Errors
    /// Says what is wrong with `/organization_name`.
    pub fn check_organization_name(name: &str) -> Result<String, FieldErrors> {
        let name = name.trim();
        let mut faults = Faults::default();
        faults.required_text("/organization_name", name, MAX_LABEL_CHARS);
        faults.check()?;
        Ok(name.to_owned())
    }
}

/// An account that is checked and named, but not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount(Account);

impl NewAccount {
    /// Checks the values and names the account. A blank `organization_name` becomes the address.
    ///
    /// # Errors
    /// Lists what is wrong with `/email` and `/organization_name`.
    pub fn new(
        email: &str,
        organization_name: &str,
        now: Timestamp,
        rng: &mut Generator,
    ) -> Result<Self, FieldErrors> {
        let email = email.trim();
        let mut faults = Faults::default();
        faults.required_text("/email", email, 254);
        if !email.is_empty() && !is_address(email) {
            faults.add(
                "/email",
                FieldErrorKind::Invalid,
                "Must be an e-mail address.",
            );
        }
        faults.text("/organization_name", organization_name, MAX_LABEL_CHARS);
        faults.check()?;
        let name = organization_name.trim();
        Ok(Self(Account {
            id: AccountId::generate(rng),
            email: email.to_owned(),
            organization_name: if name.is_empty() { email } else { name }.to_owned(),
            created_at: now,
            updated_at: now,
        }))
    }

    /// Reads the account.
    pub const fn account(&self) -> &Account {
        &self.0
    }

    /// Takes the account.
    pub fn into_account(self) -> Account {
        self.0
    }
}

/// Something on both sides of one `@`, without blanks or control characters.
pub(crate) fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    !local.is_empty()
        && !domain.is_empty()
        && !domain.contains('@')
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        let mut rng = Generator::from_seed([3; 32]);
        let mut make = |email: &str| NewAccount::new(email, "", Timestamp::from_secs(1), &mut rng);
        let account = make(" alice@example.org ").unwrap().into_account();
        assert_eq!(account.email, "alice@example.org");
        assert_eq!(account.organization_name, "alice@example.org");
        for bad in [
            "",
            "alice",
            "@x",
            "a@",
            "a@b@c",
            "a b@c",
            "a\0@b",
            &format!("{}@b", "a".repeat(300)),
        ] {
            assert!(make(bad).is_err(), "{bad}");
        }
    }
}
