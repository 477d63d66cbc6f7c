//! `/portal/sign_in`, `/portal/session` and `/portal/sessions`: signing in and out, and where else one is
//! signed in.

use axum::extract::State;
use axum::http::header::{SET_COOKIE, USER_AGENT};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use ringtrip_model::{
    Account, AccountId, FieldError, HashedPassword, Permission, PlainPassword, PlainToken,
    PortalSession, PortalSessionId, SESSION_IDLE, SESSION_LIFETIME, Timestamp, User, UserId,
};
use ringtrip_store::{NewPortalSession, SignedIn, Trail};
use serde::Serialize;

use super::access::{Channel, Person, actor, csrf_token};
use super::brake::Attempt;
use super::cookies::Cookie;
use super::refusal::PortalRefusal;
use crate::error::ApiError;
use crate::fields::{Fields, Sent, check};
use crate::json::{IgnoredBody, JsonObject};
use crate::page::PageRequest;
use crate::query::Query;
use crate::respond::{Data, List, Text, json};
use crate::v2::{PathId, to_the_end};
use crate::{Api, Peer};

/// As much of what a browser calls itself is kept.
const MAX_USER_AGENT_CHARS: usize = 200;

/// Who is signed in, what they may do, and what a page needs for that.
#[derive(Debug, Serialize)]
struct OwnSession {
    record_type: &'static str,
    id: Text<PortalSessionId>,
    csrf_token: String,
    user: SessionUser,
    account: SessionAccount,
    created_at: Text<Timestamp>,
    /// When it ends if it is not used until then.
    idle_expires_at: Text<Timestamp>,
    expires_at: Text<Timestamp>,
}

#[derive(Debug, Serialize)]
struct SessionUser {
    id: Text<UserId>,
    email: String,
    name: String,
    role: &'static str,
    permissions: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct SessionAccount {
    id: Text<AccountId>,
    organization_name: String,
}

impl OwnSession {
    fn new(user: User, session: &PortalSession, account: Account, token: &PlainToken) -> Self {
        let may = |(permission, name)| user.role.may(permission).then_some(name);
        let permissions = Permission::ALL.into_iter().filter_map(may).collect();
        Self {
            record_type: "portal_session",
            id: Text(session.id),
            csrf_token: csrf_token(token).expose().to_owned(),
            user: SessionUser {
                id: Text(user.id),
                role: user.role.name(),
                permissions,
                email: user.email,
                name: user.name,
            },
            account: SessionAccount {
                id: Text(account.id),
                organization_name: account.organization_name,
            },
            created_at: Text(session.created_at),
            idle_expires_at: Text(session.last_seen_at + SESSION_IDLE),
            expires_at: Text(session.created_at + SESSION_LIFETIME),
        }
    }
}

/// Where a session is about to begin: what comes from the request.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) channel: Channel,
    pub(crate) source: std::net::IpAddr,
    user_agent: String,
    replaces: Option<PlainToken>,
    device: Option<PlainToken>,
}

impl Arrival {
    pub(crate) fn new(channel: Channel, peer: Peer, headers: &HeaderMap) -> Self {
        let user_agent = headers.get(USER_AGENT).map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            let plain = text.chars().filter(|c| !c.is_control());
            plain.take(MAX_USER_AGENT_CHARS).collect()
        });
        Self {
            channel,
            source: peer.source,
            user_agent: user_agent.unwrap_or_default(),
            replaces: Cookie::Session.read(headers, channel),
            device: Cookie::Device.read(headers, channel),
        }
    }

    /// Draws a fresh session; one that the browser showed ends with its beginning, so that nobody can
    /// have planted it.
    pub(crate) fn session(self, api: &Api) -> NewSession {
        let now = api.now();
        let (token, id, fresh_device) = api.with_generator(|rng| {
            let token = PlainToken::generate(rng);
            (
                token,
                PortalSessionId::generate(rng),
                PlainToken::generate(rng),
            )
        });
        let device = self.device.unwrap_or(fresh_device);
        let stored = NewPortalSession {
            session: PortalSession {
                id,
                // Told when it begins.
                user: UserId::from_uuid(id.as_uuid()),
                created_at: now,
                last_seen_at: now,
                source: self.source.to_string(),
                user_agent: self.user_agent,
            },
            token: token.hashed(),
            device: device.hashed(),
            replaces: self.replaces.map(|token| token.hashed()),
        };
        NewSession {
            stored,
            token,
            device,
            channel: self.channel,
        }
    }
}

/// A session that is about to begin, and what the browser gets to keep.
#[derive(Debug)]
pub(crate) struct NewSession {
    pub(crate) stored: NewPortalSession,
    token: PlainToken,
    device: PlainToken,
    channel: Channel,
}

/// Begins a session for somebody who has proved who they are, and answers with it.
pub(crate) async fn begin(
    api: Api,
    user: UserId,
    arrival: Arrival,
    status: StatusCode,
) -> Result<Response, ApiError> {
    begin_as(api, user, None, arrival, status).await
}

/// As [`begin`], for somebody whose password was judged: if it is another one by now, they have proved
/// nothing.
async fn begin_as(
    api: Api,
    user: UserId,
    judged: Option<HashedPassword>,
    arrival: Arrival,
    status: StatusCode,
) -> Result<Response, ApiError> {
    let new = arrival.session(&api);
    let (store, stored, now) = (api.store().clone(), new.stored.clone(), api.now());
    let begun = to_the_end(async move {
        let begun = store.begin_portal_session(user, judged, stored, now).await;
        Ok(begun?)
    });
    begun_answer(&api, begun.await?, &new, status).await
}

/// Answers with a session that has begun.
pub(crate) async fn begun_answer(
    api: &Api,
    begun: Option<SignedIn>,
    new: &NewSession,
    status: StatusCode,
) -> Result<Response, ApiError> {
    // Nobody, if the person was removed meanwhile.
    let SignedIn { user, session } = begun.ok_or(ApiError::Portal(PortalRefusal::NotSignedIn))?;
    let account = api.store().account(user.account).await?;
    let account = account.ok_or(ApiError::NotFound)?;
    let data = OwnSession::new(user, &session, account, &new.token);
    let mut response = json(status, 1024, &Data { data });
    let headers = response.headers_mut();
    headers.append(SET_COOKIE, Cookie::Session.set(&new.token, new.channel));
    headers.append(SET_COOKIE, Cookie::Device.set(&new.device, new.channel));
    Ok(response)
}

pub(crate) async fn sign_in(
    State(api): State<Api>,
    channel: Channel,
    peer: Peer,
    headers: HeaderMap,
    JsonObject(body): JsonObject,
) -> Result<Response, ApiError> {
    let mut faults = Vec::new();
    let mut fields = Fields::new(&body, &mut faults);
    let mut text = |key, pointer: &'static str| match fields.get::<String>(key) {
        Sent::Value(text) => (text, None),
        Sent::Absent | Sent::Null => (String::new(), Some(FieldError::missing(pointer))),
        Sent::Refused => (String::new(), None),
    };
    let ((email, no_email), (password, no_password)) =
        (text("email", "/email"), text("password", "/password"));
    faults.extend(no_email.into_iter().chain(no_password));
    check(faults, Ok(()))?;
    let arrival = Arrival::new(channel, peer, &headers);
    let (user, judged) = judge(&api, &email, &password, &arrival).await?;
    begin_as(api, user.id, Some(judged), arrival, StatusCode::CREATED).await
}

/// Finds out whether somebody has this address and this password, and returns what it was judged by. Who has
/// not is told the same, after the same time, whether or not the address is known.
async fn judge(
    api: &Api,
    email: &str,
    password: &str,
    arrival: &Arrival,
) -> Result<(User, HashedPassword), ApiError> {
    let found = api.store().identify_user_email(email).await?;
    let user = found.as_ref().map(|(user, _)| user);
    if let Some(user) = user {
        Trail::identify_current(user.account, || actor(user));
    }
    let mut attempt = Attempt::to_sign_in(email, arrival.source);
    if let Some(device) = &arrival.device {
        // Nobody's devices are looked up for an unknown address, so that it takes as long.
        let nobody = || api.with_generator(UserId::generate);
        let id = user.map_or_else(nobody, |user| user.id);
        let device = device.hashed();
        if api.store().is_known_device(id, device).await? {
            attempt = Attempt::from_known_device(id, device);
        }
    }
    let known = found.as_ref().map(|(_, hashed)| hashed.clone());
    if matches_password(api, &attempt, known, password).await?
        && let Some(found) = found
    {
        return Ok(found);
    }
    Err(ApiError::Portal(PortalRefusal::WrongPassword))
}

/// Judges a password under the brake.
pub(crate) async fn matches_password(
    api: &Api,
    attempt: &Attempt,
    known: Option<HashedPassword>,
    password: &str,
) -> Result<bool, ApiError> {
    let now = api.now();
    api.portal()
        .with_brake(|brake| brake.admit(attempt, now))
        .map_err(|retry_after| ApiError::Portal(PortalRefusal::TooManyAttempts { retry_after }))?;
    let tried = PlainPassword::attempt(password);
    let judged = api
        .portal()
        .hashing
        .run(move || {
            let hashed = known.unwrap_or_else(HashedPassword::of_nobody);
            // What is no password at all takes as long as one.
            let (tried, possible) = match tried {
                Some(tried) => (tried, true),
                None => (PlainPassword::attempt("").expect("is short"), false),
            };
            hashed.matches(&tried) && possible
        })
        .await;
    api.portal().with_brake(|brake| match judged {
        Ok(true) => brake.right(attempt),
        Ok(false) => {}
        Err(_) => brake.unjudged(attempt),
    });
    judged
}

pub(crate) async fn retrieve_own(
    person: Person,
    State(api): State<Api>,
) -> Result<Response, ApiError> {
    let account = api.store().account(person.user.account).await?;
    let account = account.ok_or(ApiError::NotFound)?;
    let data = OwnSession::new(person.user, &person.session, account, &person.token);
    Ok(Data { data }.into_response())
}

pub(crate) async fn sign_out(
    person: Person,
    State(api): State<Api>,
    _: IgnoredBody,
) -> Result<Response, ApiError> {
    let (user, session, channel) = (person.user.id, person.session.id, person.channel);
    to_the_end(async move { Ok(api.store().end_portal_session(user, session).await?) }).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let cleared = Cookie::Session.clear(channel);
    response.headers_mut().append(SET_COOKIE, cleared);
    Ok(response)
}

/// A session in the list of one's own.
#[derive(Debug, Serialize)]
pub(crate) struct Session {
    record_type: &'static str,
    id: Text<PortalSessionId>,
    /// Whether it is the one that asks.
    current: bool,
    source_address: String,
    user_agent: String,
    created_at: Text<Timestamp>,
    last_seen_at: Text<Timestamp>,
}

impl Session {
    fn new(session: PortalSession, current: PortalSessionId) -> Self {
        Self {
            record_type: "portal_session",
            id: Text(session.id),
            current: session.id == current,
            source_address: session.source,
            user_agent: session.user_agent,
            created_at: Text(session.created_at),
            last_seen_at: Text(session.last_seen_at),
        }
    }
}

pub(crate) async fn list(
    person: Person,
    State(api): State<Api>,
    query: Query,
) -> Result<List<Session>, ApiError> {
    let page = PageRequest::read(&query, 20)?;
    let sessions = api
        .store()
        .list_portal_sessions(person.user.id, api.now())
        .await?;
    let current = person.session.id;
    let skipped = (page.number as usize - 1).saturating_mul(page.size as usize);
    Ok(List {
        meta: page.meta(sessions.len() as u64),
        data: sessions
            .into_iter()
            .skip(skipped)
            .take(page.size as usize)
            .map(|session| Session::new(session, current))
            .collect(),
    })
}

pub(crate) async fn delete(
    person: Person,
    State(api): State<Api>,
    PathId(id): PathId<PortalSessionId>,
    _: IgnoredBody,
) -> Result<Data<Session>, ApiError> {
    let user = person.user.id;
    let ended =
        to_the_end(async move { Ok(api.store().end_portal_session(user, id).await?) }).await?;
    Ok(Data {
        data: Session::new(ended.ok_or(ApiError::NotFound)?, person.session.id),
    })
}
