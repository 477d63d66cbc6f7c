//! What of a request the audit log tells: a layer around every route.
//!
//! A change is recorded by the store, in the transaction of the change; see `ringtrip_store::Trail`. Here
//! stands what no table shows: access tokens that were made, attempts that were refused to somebody
//! known, and secrets that were read. Of those there is one entry an hour for each reader and resource.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use ringtrip_model::{AccountId, Actor, AuditEventId, Timestamp};
use ringtrip_store::Trail;

use crate::once::IDEMPOTENT_REPLAYED;
use crate::{Api, Peer};

/// Resources whose answers hold secrets.
const SECRET: [&str; 3] = [
    "/v2/credential_connections",
    "/v2/mobile_push_credentials",
    "/v2/telephony_credentials",
];
/// Routes that change nothing although they are no reads.
const IDLE: [&str; 3] = [
    "/call_report",
    "/portal/links",
    "/v2/credential_connections/{id}/actions/check_registration_status",
];
/// Readers and resources that are remembered.
const MAX_READINGS: usize = 100_000;
/// Longest name of a thing that is taken from a path.
const MAX_NAME_CHARS: usize = 64;
const HOUR_MICROS: i64 = 3_600_000_000;

/// What a request does, if the audit log is to tell.
#[derive(Debug)]
struct Deed {
    action: String,
    resource_type: String,
    resource_id: Option<String>,
    reads: bool,
}

impl Deed {
    fn of(method: &Method, route: &str, path: &str) -> Option<Self> {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let known = if reads {
            SECRET.iter().any(|secret| route.starts_with(secret))
        } else {
            *method != Method::OPTIONS && !IDLE.contains(&route)
        };
        if !known {
            return None;
        }
        let mut resource_id = None;
        let mut rest = Vec::new();
        for (segment, actual) in route.split('/').zip(path.split('/')).skip(2) {
            match segment {
                "{id}" => resource_id = Some(short(actual)),
                "actions" => {}
                other => rest.push(other),
            }
        }
        let (resource, deeper) = rest.split_first()?;
        let resource = match *resource {
            "sign_in" | "session" | "sessions" => "portal_sessions",
            "setup" | "sign_up" | "password" | "password_resets" | "profile" => "users",
            other => other,
        };
        let action = match (method.as_str(), route, deeper.last()) {
            (_, "/portal/sign_in", _) => "sign_in",
            (_, "/portal/setup", _) => "set_up",
            (_, "/portal/sign_up", _) => "sign_up",
            (_, "/portal/password", _) => "change_password",
            (_, "/portal/password_resets", _) => "reset_password",
            ("DELETE", "/portal/session", _) => "sign_out",
            ("GET" | "HEAD", ..) if resource_id.is_none() => "list",
            ("GET" | "HEAD", ..) => "read",
            ("POST", _, Some(&"token")) => "create_token",
            ("POST", _, Some(action)) => *action,
            ("POST", ..) => "create",
            ("DELETE", ..) => "delete",
            _ => "update",
        };
        Some(Self {
            action: action.to_owned(),
            resource_type: singular(resource),
            resource_id,
            reads,
        })
    }

    /// What is done by whoever is answered again with what a create made, where that holds a secret.
    fn as_reading(&self) -> Option<Self> {
        let secret = ["api_key"]
            .into_iter()
            .chain(SECRET.iter().filter_map(|route| route.split('/').nth(2)));
        let is_secret = secret.map(singular).any(|kind| kind == self.resource_type);
        is_secret.then(|| Self {
            action: "read".to_owned(),
            resource_type: self.resource_type.clone(),
            resource_id: None,
            reads: true,
        })
    }
}

/// Turns the segment of a path into the word for one of those things.
fn singular(resource: &str) -> String {
    match (resource.strip_suffix("ies"), resource.strip_suffix('s')) {
        (Some(stem), _) => format!("{stem}y"),
        (None, Some(stem)) => stem.to_owned(),
        (None, None) => resource.to_owned(),
    }
}

/// Which secrets were read by whom in the current hour, as hashes under a key of this process.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    hasher: RandomState,
    hour: Mutex<(i64, HashSet<u64>)>,
}

impl Readings {
    /// Tells whether this is the first reading in its hour. More readers than are remembered are told of
    /// each time.
    fn is_first(&self, account: AccountId, actor: &Actor, deed: &Deed, now: Timestamp) -> bool {
        let who = match actor {
            Actor::ApiKey { id, .. } => Some(id.as_uuid()),
            Actor::User { id, .. } => Some(id.as_uuid()),
            Actor::Operator => None,
        };
        let reading = (account, who, &deed.resource_type, &deed.resource_id);
        let hash = self.hasher.hash_one(reading);
        let current = now.as_micros().div_euclid(HOUR_MICROS);
        let mut guard = self.hour.lock().unwrap_or_else(PoisonError::into_inner);
        let (hour, seen) = &mut *guard;
        if *hour != current {
            *hour = current;
            seen.clear();
        }
        if seen.contains(&hash) {
            return false;
        }
        if seen.len() < MAX_READINGS {
            seen.insert(hash);
        }
        true
    }
}

/// Stands around every route.
pub(crate) async fn around(State(api): State<Api>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let deed =
        route.and_then(|route| Deed::of(request.method(), route.as_str(), request.uri().path()));
    let Some(deed) = deed else {
        return next.run(request).await;
    };
    let peer = request.extensions().get::<Peer>();
    let source = peer.map(|peer| peer.source);
    let now = api.now();
    let trail = Trail::new(deed.action.clone(), source, now);
    let response = Arc::clone(&trail).cover(next.run(request)).await;
    if response.headers().contains_key(IDEMPOTENT_REPLAYED) {
        // What was made was told of when it was made. Its secrets are read once more.
        if let Some((account, actor)) = trail.actor()
            && let Some(deed) = deed.as_reading()
        {
            let reading = Trail::new(deed.action.clone(), source, now);
            reading.identify(*account, actor.clone());
            conclude(&api, &reading, deed, response.status(), now);
        }
    } else {
        conclude(&api, &trail, deed, response.status(), now);
    }
    response
}

/// Tells of a request of the portal for `/v2` that was refused to somebody before it came to its route.
pub(crate) fn refused(api: &Api, account: AccountId, actor: Actor, parts: &Parts) {
    let mut segments = parts.uri.path().split('/').skip(3);
    let resource = segments.next().unwrap_or_default();
    let action = match parts.method.as_str() {
        "GET" | "HEAD" => "read",
        "POST" => "create",
        "DELETE" => "delete",
        _ => "update",
    };
    let source = parts.extensions.get::<Peer>().map(|peer| peer.source);
    let trail = Trail::new(action, source, api.now());
    trail.identify(account, actor);
    let id = api.with_generator(AuditEventId::generate);
    let resource_id = segments.next().map(short);
    let event = trail.event(id, &singular(&short(resource)), resource_id, false);
    if let Some(event) = event {
        api.store().note_audit_event(event);
    }
}

/// Takes as much of a path as can name a thing.
fn short(text: &str) -> String {
    text.chars().take(MAX_NAME_CHARS).collect()
}

fn conclude(api: &Api, trail: &Trail, deed: Deed, status: StatusCode, now: Timestamp) {
    let Some((account, actor)) = trail.actor() else {
        return;
    };
    let succeeded = status.is_success();
    let refused =
        trail.is_refused() || matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    let told = if deed.reads {
        succeeded && api.readings().is_first(*account, actor, &deed, now)
    } else {
        refused || (succeeded && !trail.is_recorded())
    };
    if told {
        let id = api.with_generator(AuditEventId::generate);
        let event = trail.event(id, &deed.resource_type, deed.resource_id, succeeded);
        if let Some(event) = event {
            api.store().note_audit_event(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use ringtrip_model::{ApiKeyId, Generator};

    use super::*;

    #[test]
    fn a_deed_is_named_after_its_route() {
        let of = |method, route, path| {
            let deed = Deed::of(&method, route, path)?;
            let id = deed.resource_id.unwrap_or_default();
            Some(
                format!("{} {} {id}", deed.action, deed.resource_type)
                    .trim()
                    .to_owned(),
            )
        };
        let long = format!("/portal/users/{}", "x".repeat(60_000));
        let cut = format!("delete user {}", "x".repeat(MAX_NAME_CHARS));
        for (method, route, path, expected) in [
            (
                Method::POST,
                "/v2/api_keys",
                "/v2/api_keys",
                "create api_key",
            ),
            (
                Method::PATCH,
                "/v2/phone_numbers/{id}",
                "/v2/phone_numbers/7",
                "update phone_number 7",
            ),
            (Method::DELETE, "/portal/users/{id}", &long, &cut),
            (
                Method::PATCH,
                "/v2/phone_numbers/{id}/voice",
                "/v2/phone_numbers/7/voice",
                "update phone_number 7",
            ),
            (
                Method::DELETE,
                "/v2/trunks/{id}",
                "/v2/trunks/7",
                "delete trunk 7",
            ),
            (
                Method::POST,
                "/v2/telephony_credentials/{id}/token",
                "/v2/telephony_credentials/7/token",
                "create_token telephony_credential 7",
            ),
            (
                Method::POST,
                "/v2/telephony_credentials/{id}/actions/activate",
                "/v2/telephony_credentials/7/actions/activate",
                "activate telephony_credential 7",
            ),
            (
                Method::POST,
                "/v2/webhook_deliveries/{id}/actions/resend",
                "/v2/webhook_deliveries/7/actions/resend",
                "resend webhook_delivery 7",
            ),
            (
                Method::GET,
                "/v2/telephony_credentials",
                "/v2/telephony_credentials",
                "list telephony_credential",
            ),
            (
                Method::GET,
                "/v2/telephony_credentials/{id}",
                "/v2/telephony_credentials/7",
                "read telephony_credential 7",
            ),
            (
                Method::PATCH,
                "/v2/account",
                "/v2/account",
                "update account",
            ),
            (
                Method::POST,
                "/portal/sign_in",
                "/portal/sign_in",
                "sign_in portal_session",
            ),
            (
                Method::DELETE,
                "/portal/session",
                "/portal/session",
                "sign_out portal_session",
            ),
            (
                Method::DELETE,
                "/portal/sessions/{id}",
                "/portal/sessions/7",
                "delete portal_session 7",
            ),
            (
                Method::POST,
                "/portal/setup",
                "/portal/setup",
                "set_up user",
            ),
            (
                Method::PATCH,
                "/portal/profile",
                "/portal/profile",
                "update user",
            ),
            (
                Method::POST,
                "/portal/invitations/accept",
                "/portal/invitations/accept",
                "accept invitation",
            ),
        ] {
            assert_eq!(
                of(method, route, path).as_deref(),
                Some(expected),
                "{route}"
            );
        }
        for (method, route) in [
            (Method::GET, "/v2/whoami"),
            (Method::GET, "/v2/api_keys"),
            (Method::OPTIONS, "/v2/api_keys"),
            (Method::POST, "/call_report"),
        ] {
            assert_eq!(of(method, route, route), None, "{route}");
        }
    }

    #[test]
    fn the_same_reading_is_told_once_an_hour() {
        let mut rng = Generator::from_seed([1; 32]);
        let readings = Readings::default();
        let account = AccountId::generate(&mut rng);
        let mut key = || Actor::ApiKey {
            id: ApiKeyId::generate(&mut rng),
            name: "".into(),
        };
        let (one, other) = (key(), key());
        let read = |path| {
            let route = "/v2/telephony_credentials/{id}";
            Deed::of(&Method::GET, route, path).unwrap()
        };
        let (a, b) = (
            read("/v2/telephony_credentials/a"),
            read("/v2/telephony_credentials/b"),
        );
        let start = Timestamp::from_secs(1_790_002_800);
        let late = Timestamp::from_secs(1_790_002_800 + 3600);
        for (first, actor, deed, now) in [
            (true, &one, &a, start),
            (false, &one, &a, start),
            (true, &other, &a, start),
            (true, &one, &b, start),
            (false, &one, &b, start),
            (true, &one, &a, late),
        ] {
            assert_eq!(readings.is_first(account, actor, deed, now), first);
        }
    }
}
