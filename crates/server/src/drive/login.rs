//! Checks who logs in.

use ringtrip_model::{Identity, LoginRefusal, LoginRequest, Timestamp, verify_access_token};
use ringtrip_store::{Store, StoreError, UserIdentity};

/// Checks a token or a password against the store. A deleted, expired or disabled credential is
/// refused whatever its token says.
pub(crate) async fn check(
    store: &Store,
    login: LoginRequest,
    now: Timestamp,
) -> Result<Identity, LoginRefusal> {
    let user = match login {
        LoginRequest::Token(token) => {
            let claims = verify_access_token(&store.signing_keys(), token.expose(), now)
                .map_err(|_| LoginRefusal::BadToken)?;
            let found = store.identify_token_subject(claims.subject).await;
            found
                .map_err(unavailable)?
                .ok_or(LoginRefusal::UnknownUser)?
        }
        LoginRequest::Password { user, password } => {
            let found = store.identify_user(&user).await.map_err(unavailable)?;
            let found = found.ok_or(LoginRefusal::UnknownUser)?;
            if !found.password_matches(password.expose()) {
                return Err(LoginRefusal::WrongPassword);
            }
            found
        }
    };
    admit(user, now)
}

fn admit(user: UserIdentity, now: Timestamp) -> Result<Identity, LoginRefusal> {
    if user.expires_at.is_some_and(|end| end <= now) {
        return Err(LoginRefusal::Expired);
    }
    if !user.usable_at(now) {
        return Err(LoginRefusal::Inactive);
    }
    // `drive/expiry` watches the end, which may still move.
    Ok(Identity {
        party: user.party,
        expires_at: None,
    })
}

fn unavailable(error: StoreError) -> LoginRefusal {
    tracing::error!(%error, "a login cannot be checked");
    LoginRefusal::Unavailable
}
