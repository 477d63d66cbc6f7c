//! Who is asking: the bearer key of a request, or the person whom the portal let through.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use ringtrip_model::{AccountId, Actor, PlainApiKey};
use ringtrip_store::{KeyIdentity, Trail};

use crate::Api;
use crate::error::{ApiError, AuthFailure};
use crate::limits::Shown;
use crate::operation::{Input, Operation};
use crate::peer::Peer;
use crate::portal::Member;

/// The tenant whose key, or whose member, came with the request. A handler that takes one cannot run
/// without either.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) account: AccountId,
}

impl FromRequestParts<Api> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        if let Some(member) = parts.extensions.get::<Member>() {
            Trail::identify_current(member.account, || member.actor.clone());
            return Ok(Self {
                account: member.account,
            });
        }
        let peer = Peer::of(parts);
        let shown = Shown::of(parts);
        let failed = |failure: AuthFailure| {
            let counted = api.limits().take_source(peer, &shown, api.now());
            counted.err().unwrap_or_else(|| failure.into())
        };
        let key = match read_key(&parts.headers) {
            Ok(key) => key,
            // What comes without any key has been counted already.
            Err(AuthFailure::Missing) => return Err(AuthFailure::Missing.into()),
            Err(failure) => return Err(failed(failure)),
        };
        api.limits().admit(peer, &key, api.now())?;
        let Some(known) = api.store().identify_api_key(&key, api.now()).await? else {
            return Err(failed(AuthFailure::Unknown {
                lookup: key.lookup().to_owned(),
            }));
        };
        let KeyIdentity {
            account,
            key: id,
            name,
        } = known;
        Trail::identify_current(account, || Actor::ApiKey { id, name });
        api.limits().take_key(&key, &shown, api.now())?;
        Ok(Self { account })
    }
}

impl Input for Caller {
    fn describe(operation: &mut Operation) {
        operation.needs_key();
        operation.fails(StatusCode::UNAUTHORIZED);
        // Only when the account goes away while its request is handled.
        operation.fails(StatusCode::NOT_FOUND);
        operation.fails(StatusCode::TOO_MANY_REQUESTS);
    }
}

/// Reads the key from `Authorization: Bearer <key>`; the scheme in any case (RFC 9110 §11.1).
fn read_key(headers: &HeaderMap) -> Result<PlainApiKey, AuthFailure> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(AuthFailure::Missing)?;
    if values.next().is_some() {
        return Err(AuthFailure::Malformed);
    }
    let text = value.to_str().map_err(|_| AuthFailure::Malformed)?;
    let (scheme, key) = text.trim().split_once(' ').ok_or(AuthFailure::Malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(AuthFailure::Malformed);
    }
    PlainApiKey::parse(key.trim()).map_err(|_| AuthFailure::Malformed)
}
