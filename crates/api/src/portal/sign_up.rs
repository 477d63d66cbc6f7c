//! `/portal/options`, `/portal/setup` and `/portal/sign_up`: what a visitor can do here, the first
//! person, and those who come by themselves.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use ringtrip_model::{
    FieldErrors, HashedPassword, NewAccount, NewUser, PlainPassword, PlainToken, Role,
};
use ringtrip_store::{OneTimeLink, Trail};
use serde::Serialize;

use super::SignUp;
use super::access::{Channel, actor};
use super::brake::Attempt;
use super::refusal::PortalRefusal;
use super::sessions::{Arrival, begin};
use crate::error::ApiError;
use crate::fields::{Fields, Sent, check};
use crate::json::JsonObject;
use crate::respond::Data;
use crate::v2::to_the_end;
use crate::{Api, Peer};

/// What a visitor can do here.
#[derive(Debug, Serialize)]
pub(crate) struct Options {
    record_type: &'static str,
    sign_up: &'static str,
    /// Whether there is nobody yet, and the setup link waits for its owner.
    needs_setup: bool,
}

pub(crate) async fn options(State(api): State<Api>) -> Result<Data<Options>, ApiError> {
    Ok(Data {
        data: Options {
            record_type: "portal_options",
            sign_up: api.portal().config.sign_up.name(),
            needs_setup: !api.store().has_users().await?,
        },
    })
}

/// What a request says about a person and their account.
pub(crate) struct Newcomer {
    pub(crate) token: Option<PlainToken>,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) organization_name: String,
    pub(crate) password: Result<PlainPassword, FieldErrors>,
}

impl Newcomer {
    /// Reads the fields there are. Faults of form are noted; those of values wait for their place.
    pub(crate) fn read(
        JsonObject(body): &JsonObject,
        faults: &mut Vec<ringtrip_model::FieldError>,
    ) -> Self {
        let mut fields = Fields::new(body, faults);
        let mut text = |key| match fields.get::<String>(key) {
            Sent::Value(text) => text,
            Sent::Absent | Sent::Null | Sent::Refused => String::new(),
        };
        let password = text("password");
        Self {
            token: PlainToken::parse(&text("token")),
            email: text("email"),
            name: text("name"),
            organization_name: text("organization_name"),
            password: PlainPassword::choose("/password", &password)
                .map_err(|fault| FieldErrors(vec![fault])),
        }
    }
}

/// Joins the results of two checks, with the faults of both.
pub(crate) fn both<A, B>(
    a: Result<A, FieldErrors>,
    b: Result<B, FieldErrors>,
) -> Result<(A, B), FieldErrors> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(FieldErrors(mut a)), Err(FieldErrors(b))) => {
            for fault in b {
                if a.iter().all(|have| have.pointer != fault.pointer) {
                    a.push(fault);
                }
            }
            Err(FieldErrors(a))
        }
        (Err(faults), Ok(_)) | (Ok(_), Err(faults)) => Err(faults),
    }
}

/// An owner with an account of their own, checked, and the password not yet hashed.
fn owner(
    api: &Api,
    faults: Vec<ringtrip_model::FieldError>,
    newcomer: Newcomer,
) -> Result<(NewAccount, NewUser, PlainPassword), ApiError> {
    let Newcomer {
        email,
        name,
        organization_name,
        password,
        ..
    } = newcomer;
    let now = api.now();
    let checked = api.with_generator(|rng| {
        let account = NewAccount::new(&email, &organization_name, now, rng);
        let id = match &account {
            Ok(account) => account.account().id,
            Err(_) => ringtrip_model::AccountId::generate(rng),
        };
        let user = NewUser::new(id, &email, &name, Role::Owner, now, rng);
        both(both(account, user), password)
    });
    let ((account, user), password) = check(faults, checked)?;
    Trail::identify_current(user.user().account, || actor(user.user()));
    Ok((account, user, password))
}

/// Hashes a password that somebody chose.
pub(crate) async fn hash(api: &Api, password: PlainPassword) -> Result<HashedPassword, ApiError> {
    let mut rng = api.with_generator(ringtrip_model::Generator::fork);
    api.portal()
        .hashing
        .run(move || HashedPassword::new(&password, &mut rng))
        .await
}

pub(crate) async fn set_up(
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
    // Before a password is hashed for whoever asks.
    let link = api.store().one_time_link(token, api.now()).await?;
    if link != Some(OneTimeLink::Setup) {
        return Err(dead_link());
    }
    let (account, user, password) = owner(&api, faults, newcomer)?;
    let hashed = hash(&api, password).await?;
    let store = api.store().clone();
    let made =
        to_the_end(async move { Ok(store.set_up(token, account, user, hashed).await?) }).await?;
    let user = made.ok_or_else(dead_link)?;
    let arrival = Arrival::new(channel, peer, &headers);
    begin(api, user.id, arrival, StatusCode::CREATED).await
}

pub(crate) async fn sign_up(
    State(api): State<Api>,
    channel: Channel,
    peer: Peer,
    headers: HeaderMap,
    body: JsonObject,
) -> Result<Response, ApiError> {
    let refuse = |refusal| Err(ApiError::Portal(refusal));
    match api.portal().config.sign_up {
        SignUp::Open => {}
        SignUp::Invitation => return refuse(PortalRefusal::SignUpNotOpen),
        SignUp::Closed => return refuse(PortalRefusal::SignUpClosed),
    }
    // The first account is its operator's, who alone has the setup link.
    if !api.store().has_users().await? {
        return refuse(PortalRefusal::NotSetUp);
    }
    let mut faults = Vec::new();
    let newcomer = Newcomer::read(&body, &mut faults);
    let (account, user, password) = owner(&api, faults, newcomer)?;
    let (attempt, now) = (Attempt::to_sign_up(peer.source), api.now());
    if let Err(retry_after) = api.portal().with_brake(|brake| brake.admit(&attempt, now)) {
        return refuse(PortalRefusal::TooManyAttempts { retry_after });
    }
    let hashed = hash(&api, password).await.inspect_err(|_| {
        api.portal().with_brake(|brake| brake.unjudged(&attempt));
    })?;
    let store = api.store().clone();
    let user = to_the_end(async move { Ok(store.sign_up(account, user, hashed).await?) }).await?;
    let arrival = Arrival::new(channel, peer, &headers);
    begin(api, user.id, arrival, StatusCode::CREATED).await
}
