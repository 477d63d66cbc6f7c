//! `/portal/password` and `/portal/password_resets`: another password, by the old one or by a link that
//! the operator made.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use ringtrip_model::{FieldError, FieldErrorKind, PlainPassword};
use ringtrip_store::{OneTimeLink, Trail};

use super::access::{Channel, Person, actor};
use super::brake::Attempt;
use super::refusal::PortalRefusal;
use super::sessions::{Arrival, begin, begun_answer, matches_password};
use super::sign_up::{Newcomer, hash};
use crate::error::ApiError;
use crate::fields::{Fields, Sent, check};
use crate::json::JsonObject;
use crate::v2::to_the_end;
use crate::{Api, Peer};

pub(crate) async fn change(
    person: Person,
    State(api): State<Api>,
    peer: Peer,
    headers: HeaderMap,
    JsonObject(body): JsonObject,
) -> Result<Response, ApiError> {
    let mut faults = Vec::new();
    let mut fields = Fields::new(&body, &mut faults);
    let mut text = |key| match fields.get::<String>(key) {
        Sent::Value(text) => text,
        Sent::Absent | Sent::Null | Sent::Refused => String::new(),
    };
    let (current, wanted) = (text("current_password"), text("password"));
    let chosen = PlainPassword::choose("/password", &wanted)
        .map_err(|fault| ringtrip_model::FieldErrors(vec![fault]));
    if current.is_empty() {
        faults.push(FieldError::missing("/current_password"));
    }
    let password = check(faults, chosen)?;
    let found = api.store().identify_user_email(&person.user.email).await?;
    let known = found.map(|(_, hashed)| hashed);
    // Whoever found a browser that is signed in guesses no faster than anybody else.
    let attempt = Attempt::to_sign_in(&person.user.email, peer.source);
    if !matches_password(&api, &attempt, known, &current).await? {
        Trail::refuse_current();
        return Err(ApiError::Fields(vec![FieldError::new(
            "/current_password",
            FieldErrorKind::Invalid,
            "Is not the password.",
        )]));
    }
    let hashed = hash(&api, password).await?;
    let new = Arrival::new(person.channel, peer, &headers).session(&api);
    let (store, stored, now) = (api.store().clone(), new.stored.clone(), api.now());
    let id = person.user.id;
    let begun =
        to_the_end(async move { Ok(store.change_password(id, hashed, stored, now).await?) })
            .await?;
    begun_answer(&api, begun, &new, StatusCode::OK).await
}

pub(crate) async fn reset(
    State(api): State<Api>,
    channel: Channel,
    peer: Peer,
    headers: HeaderMap,
    body: JsonObject,
) -> Result<Response, ApiError> {
    let dead_link = || ApiError::Portal(PortalRefusal::DeadLink);
    let mut faults = Vec::new();
    let newcomer = Newcomer::read(&body, &mut faults);
    let token = newcomer.token.as_ref().ok_or_else(dead_link)?.hashed();
    let now = api.now();
    // Before a password is hashed for whoever asks.
    let user = match api.store().one_time_link(token, now).await? {
        Some(OneTimeLink::PasswordReset(user)) => user,
        Some(OneTimeLink::Setup) | None => return Err(dead_link()),
    };
    let password = check(faults, newcomer.password)?;
    Trail::identify_current(user.account, || actor(&user));
    let hashed = hash(&api, password).await?;
    let store = api.store().clone();
    let reset =
        to_the_end(async move { Ok(store.reset_password(token, hashed, now).await?) }).await?;
    let user = reset.ok_or_else(dead_link)?;
    let arrival = Arrival::new(channel, peer, &headers);
    begin(api, user.id, arrival, StatusCode::OK).await
}
