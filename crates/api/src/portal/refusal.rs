//! Why the portal does not do what it was asked.

use std::borrow::Cow;

use axum::http::StatusCode;
use ringtrip_model::Permission;

/// A refusal, each with its own status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PortalRefusal {
    /// The request could be read on its way.
    #[error("the portal is used over plain HTTP")]
    InsecureChannel,
    /// A page of somebody else sent the request.
    #[error("the request comes from a foreign page")]
    ForeignOrigin,
    /// The request does not carry the session's token.
    #[error("the request lacks the session's CSRF token")]
    CsrfToken,
    /// There is no session, or none any more.
    #[error("nobody is signed in")]
    NotSignedIn,
    /// Nobody has this address and this password.
    #[error("the address or the password is wrong")]
    WrongPassword,
    /// The person's role does not allow it.
    #[error("the role does not allow it")]
    Forbidden(Option<Permission>),
    /// There were too many wrong passwords, or too many new people, from there.
    #[error("too many attempts")]
    TooManyAttempts {
        /// When to try again, in seconds.
        retry_after: u32,
    },
    /// As many passwords are being judged as may wait.
    #[error("too many passwords at once")]
    Busy,
    /// Nobody may sign up by themself.
    #[error("signing up is not open")]
    SignUpNotOpen,
    /// Nobody may join.
    #[error("signing up is closed")]
    SignUpClosed,
    /// There is no first person yet.
    #[error("there is no owner yet")]
    NotSetUp,
    /// The token of a link is unknown, used, or too old.
    #[error("the link does not work")]
    DeadLink,
}

impl PortalRefusal {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::InsecureChannel
            | Self::ForeignOrigin
            | Self::CsrfToken
            | Self::Forbidden(_)
            | Self::SignUpNotOpen
            | Self::SignUpClosed
            | Self::NotSetUp => StatusCode::FORBIDDEN,
            Self::NotSignedIn | Self::WrongPassword => StatusCode::UNAUTHORIZED,
            Self::TooManyAttempts { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::DeadLink => StatusCode::NOT_FOUND,
        }
    }

    /// Returns when to try again, in seconds.
    pub(crate) const fn retry_after(self) -> Option<u32> {
        match self {
            Self::TooManyAttempts { retry_after } => Some(retry_after),
            Self::Busy => Some(1),
            Self::InsecureChannel
            | Self::ForeignOrigin
            | Self::CsrfToken
            | Self::NotSignedIn
            | Self::WrongPassword
            | Self::Forbidden(_)
            | Self::SignUpNotOpen
            | Self::SignUpClosed
            | Self::NotSetUp
            | Self::DeadLink => None,
        }
    }

    /// Returns code, title and detail.
    pub(crate) fn words(self) -> (&'static str, &'static str, Cow<'static, str>) {
        let not_authorized = |detail: &'static str| ("10010", "Not authorized", detail.into());
        match self {
            Self::InsecureChannel => not_authorized(
                "The portal is used over HTTPS, or on the machine that it runs on under a loopback address. \
                 Behind a proxy, name the proxy in trusted_proxies.",
            ),
            Self::ForeignOrigin => {
                not_authorized("The request does not come from a page of this server.")
            }
            Self::CsrfToken => not_authorized(
                "The header x-csrf-token must carry the csrf_token that GET /portal/session gives.",
            ),
            Self::NotSignedIn => (
                "10009",
                "Authentication failed",
                "Nobody is signed in here, or not any more.".into(),
            ),
            Self::WrongPassword => (
                "10009",
                "Authentication failed",
                "The e-mail address or the password is wrong.".into(),
            ),
            Self::Forbidden(permission) => {
                let name = permission.and_then(|permission| {
                    let named = Permission::ALL.into_iter();
                    named.into_iter().find(|(one, _)| *one == permission)
                });
                match name {
                    Some((_, name)) => (
                        "10010",
                        "Not authorized",
                        format!("This takes the permission {name}, which your role does not have.")
                            .into(),
                    ),
                    None => not_authorized("Your role does not reach that far."),
                }
            }
            Self::TooManyAttempts { .. } => (
                "10011",
                "Too many requests",
                "There were too many attempts. Try again later.".into(),
            ),
            Self::Busy => (
                "10007",
                "Service unavailable",
                "Too many passwords are being checked at once. Try again shortly.".into(),
            ),
            Self::SignUpNotOpen => not_authorized("Nobody can sign up here without an invitation."),
            Self::SignUpClosed => not_authorized("Nobody can sign up here."),
            Self::NotSetUp => not_authorized(
                "This server has no owner yet. Open the setup link that it printed when it started, or make a \
                 new one with: ringtrip user setup-link",
            ),
            Self::DeadLink => (
                "10005",
                "Resource not found",
                "The link is unknown, was used already, or is too old.".into(),
            ),
        }
    }
}
