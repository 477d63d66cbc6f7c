//! People: who signs in to the portal, and how they come to an account.

use crate::account::is_address;
use crate::field_error::{Faults, MAX_LABEL_CHARS};
use crate::{
    AccountId, FieldErrorKind, FieldErrors, Generator, HashedToken, InvitationId, PlainToken,
    PortalSessionId, Role, Timestamp, UserId,
};
use std::time::Duration;

/// How long an invitation can be accepted.
pub const INVITATION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a link to a new password works.
pub const PASSWORD_RESET_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// How long a session lasts without a request.
pub const SESSION_IDLE: Duration = Duration::from_secs(8 * 3600);
/// How long a session lasts at most.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// Sessions of one person; the one that was silent the longest makes room for a new one.
pub const MAX_SESSIONS: u32 = 20;
/// People of one account.
pub const MAX_USERS: u32 = 1000;
/// Invitations of one account that can be accepted.
pub const MAX_INVITATIONS: u32 = 1000;

/// A person of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// The account they belong to.
    pub account: AccountId,
    /// What they sign in with: unique, whatever the case.
    pub email: String,
    /// What they are called; may be empty.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// When they came.
    pub created_at: Timestamp,
    /// When they were last changed.
    pub updated_at: Timestamp,
    /// When they last signed in.
    pub last_sign_in_at: Option<Timestamp>,
}

/// A person that is checked and named, but not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser(User);

impl NewUser {
    /// Checks the values.
    ///
    /// # Errors
    /// Lists what is wrong with `/email` and `/name`.
    pub fn new(
        account: AccountId,
        email: &str,
        name: &str,
        role: Role,
        now: Timestamp,
        rng: &mut Generator,
    ) -> Result<Self, FieldErrors> {
        let mut faults = Faults::default();
        let email = address(&mut faults, email);
        faults.text("/name", name, MAX_LABEL_CHARS);
        faults.check()?;
        Ok(Self(User {
            id: UserId::generate(rng),
            account,
            email,
            name: name.trim().to_owned(),
            role,
            created_at: now,
            updated_at: now,
            last_sign_in_at: None,
        }))
    }

    /// Reads the person.
    pub const fn user(&self) -> &User {
        &self.0
    }

    /// Takes the person.
    pub fn into_user(self) -> User {
        self.0
    }
}

/// Checks what a person wants to be called.
///
/// # Errors
/// Says what is wrong with `/name`.
pub fn check_user_name(name: &str) -> Result<String, FieldErrors> {
    let mut faults = Faults::default();
    faults.text("/name", name, MAX_LABEL_CHARS);
    faults.check()?;
    Ok(name.trim().to_owned())
}

/// A way for somebody to join an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The account.
    pub account: AccountId,
    /// Who is invited.
    pub email: String,
    /// What they will be.
    pub role: Role,
    /// Who invited them; nobody if it was the operator.
    pub invited_by: Option<UserId>,
    /// When.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// An invitation that is checked, but not stored yet, and the token to accept it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvitation {
    /// The invitation.
    pub invitation: Invitation,
    /// What is stored of the token.
    pub token: HashedToken,
}

impl NewInvitation {
    /// Checks the address, and draws the token.
    ///
    /// # Errors
    /// Says what is wrong with `/email`.
    pub fn new(
        account: AccountId,
        email: &str,
        role: Role,
        invited_by: Option<UserId>,
        now: Timestamp,
        rng: &mut Generator,
    ) -> Result<(Self, PlainToken), FieldErrors> {
        let mut faults = Faults::default();
        let email = address(&mut faults, email);
        faults.check()?;
        let token = PlainToken::generate(rng);
        let invitation = Invitation {
            id: InvitationId::generate(rng),
            account,
            email,
            role,
            invited_by,
            created_at: now,
            expires_at: now + INVITATION_LIFETIME,
        };
        let new = Self {
            invitation,
            token: token.hashed(),
        };
        Ok((new, token))
    }
}

fn address(faults: &mut Faults, email: &str) -> String {
    let email = email.trim();
    faults.required_text("/email", email, 254);
    if !email.is_empty() && !is_address(email) {
        faults.add(
            "/email",
            FieldErrorKind::Invalid,
            "Must be an e-mail address.",
        );
    }
    email.to_owned()
}

/// A person's sign-in, from one browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalSession {
    /// Its id, which opens nothing.
    pub id: PortalSessionId,
    /// Whose.
    pub user: UserId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, give or take a minute.
    pub last_seen_at: Timestamp,
    /// Where it was made from.
    pub source: String,
    /// What the browser called itself, shortened.
    pub user_agent: String,
}

impl PortalSession {
    /// Tells whether it may still be used.
    pub fn alive_at(&self, now: Timestamp) -> bool {
        now < self.created_at + SESSION_LIFETIME && now < self.last_seen_at + SESSION_IDLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rng() -> Generator {
        Generator::from_seed([9; 32])
    }

    #[test]
    fn people_have_an_address_and_may_have_a_name() {
        let account = AccountId::generate(&mut rng());
        let now = Timestamp::from_secs(1);
        let make = |email: &str, name: &str| {
            let made = NewUser::new(account, email, name, Role::Admin, now, &mut rng());
            made.map(NewUser::into_user).map_err(|FieldErrors(faults)| {
                let pointers = faults.into_iter().map(|fault| fault.pointer.into_owned());
                pointers.collect::<Vec<_>>()
            })
        };
        let user = make(" ann@example.org ", " Ann ").unwrap();
        assert_eq!(
            (user.email.as_str(), user.name.as_str()),
            ("ann@example.org", "Ann")
        );
        assert!(make("ann@example.org", "").is_ok());
        assert_eq!(make("", "a\0b").unwrap_err(), ["/email", "/name"]);
        assert_eq!(make("ann", "").unwrap_err(), ["/email"]);
        assert_eq!(make("a@b", &"x".repeat(256)).unwrap_err(), ["/name"]);
    }

    #[test]
    fn invitations_end_and_keep_only_the_hash_of_their_token() {
        let account = AccountId::generate(&mut rng());
        let now = Timestamp::from_secs(1);
        let (new, token) = NewInvitation::new(
            account,
            "bo@example.org",
            Role::Developer,
            None,
            now,
            &mut rng(),
        )
        .unwrap();
        assert_eq!(new.token, token.hashed());
        assert_eq!(new.invitation.expires_at, now + INVITATION_LIFETIME);
        assert!(NewInvitation::new(account, "bo", Role::Owner, None, now, &mut rng()).is_err());
    }

    #[test]
    fn a_session_ends_when_it_is_silent_or_old() {
        let start = Timestamp::from_secs(1_000_000);
        let mut session = PortalSession {
            id: PortalSessionId::generate(&mut rng()),
            user: UserId::generate(&mut rng()),
            created_at: start,
            last_seen_at: start,
            source: String::new(),
            user_agent: String::new(),
        };
        let almost = Duration::from_secs(1);
        assert!(session.alive_at(start + (SESSION_IDLE - almost)));
        assert!(!session.alive_at(start + SESSION_IDLE));
        session.last_seen_at = start + (SESSION_LIFETIME - almost);
        assert!(session.alive_at(session.last_seen_at));
        assert!(!session.alive_at(start + SESSION_LIFETIME));
    }
}
