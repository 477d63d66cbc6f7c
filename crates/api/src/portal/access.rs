//! Who may call what: the channel a request must come over, the page it must come from, the session it
//! must show, and the permission that takes.

use std::net::IpAddr;

use axum::extract::{FromRequestParts, Request};
use axum::http::header::{FORWARDED, HOST, HeaderName, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::Next;
use axum::response::Response;
use ringtrip_model::{AccountId, Actor, Permission, PlainToken, PortalSession, Timestamp, User};
use ringtrip_store::{SignedIn, Trail};
use subtle::ConstantTimeEq;

use super::PortalAccess;
use super::cookies::Cookie;
use super::refusal::PortalRefusal;
use crate::error::ApiError;
use crate::{Api, Peer};

/// The header that carries a session's CSRF token.
pub(crate) const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
const CSRF_PURPOSE: &str = "csrf";
/// A session that was used is noted so often.
const TOUCHED_EVERY: std::time::Duration = std::time::Duration::from_secs(60);

/// What a request came over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// TLS, to this node or to a trusted proxy.
    Secure,
    /// Plain HTTP that never left the machine.
    Loopback,
}

impl Channel {
    /// Finds out what a request came over. One that somebody passed on is not from this machine, whatever
    /// its connection says.
    pub(crate) fn of(parts: &Parts) -> Result<Self, PortalRefusal> {
        let peer = parts.extensions.get().copied().unwrap_or(Peer::UNKNOWN);
        if peer.secure {
            return Ok(Self::Secure);
        }
        let passed_on = ["x-forwarded-for", "x-forwarded-proto", "x-real-ip", "via"];
        let passed_on = passed_on.into_iter().chain([FORWARDED.as_str()]);
        let local = peer.source.is_loopback()
            && host(&parts.headers, &parts.uri).is_some_and(is_loopback_host)
            && !passed_on
                .into_iter()
                .any(|name| parts.headers.contains_key(name));
        if local {
            Ok(Self::Loopback)
        } else {
            Err(PortalRefusal::InsecureChannel)
        }
    }

    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::Secure => "https",
            Self::Loopback => "http",
        }
    }
}

/// Returns the host, and port, that a request was sent to.
pub(crate) fn host<'r>(headers: &'r HeaderMap, uri: &'r Uri) -> Option<&'r str> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers.get(HOST)?.to_str().ok(),
    }
}

fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Refuses a write that a page of somebody else sends. What a browser says of itself in
/// `Sec-Fetch-Site` decides; older ones say `Origin`; who says neither is no browser.
pub(crate) fn check_origin(parts: &Parts, channel: Channel) -> Result<(), PortalRefusal> {
    if is_safe(&parts.method) {
        return Ok(());
    }
    let text = |name: HeaderName| {
        let value = parts.headers.get(name)?;
        Some(value.to_str().unwrap_or("unreadable"))
    };
    let fits = match text(HeaderName::from_static("sec-fetch-site")) {
        Some(site) => site == "same-origin",
        None => match text(ORIGIN) {
            Some(origin) => host(&parts.headers, &parts.uri)
                .is_some_and(|host| origin == format!("{}://{host}", channel.scheme())),
            None => true,
        },
    };
    if fits {
        Ok(())
    } else {
        Err(PortalRefusal::ForeignOrigin)
    }
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Stands before every route of the portal.
pub(crate) async fn guard(request: Request, next: Next) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let channel = Channel::of(&parts).map_err(ApiError::Portal)?;
    check_origin(&parts, channel).map_err(ApiError::Portal)?;
    parts.extensions.insert(channel);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

impl<S: Sync> FromRequestParts<S> for Channel {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let known = parts.extensions.get().copied();
        known.map_or_else(|| Self::of(parts).map_err(ApiError::Portal), Ok)
    }
}

/// The person who is signed in. A handler that takes one cannot run without a session, without the
/// permission that the route table names, or, if it writes, without the session's CSRF token.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) user: User,
    pub(crate) session: PortalSession,
    pub(crate) token: PlainToken,
    pub(crate) channel: Channel,
}

impl Person {
    /// Finds out who is signed in.
    pub(crate) async fn identify(
        parts: &Parts,
        channel: Channel,
        api: &Api,
    ) -> Result<Self, ApiError> {
        let not_signed_in = || ApiError::Portal(PortalRefusal::NotSignedIn);
        let token = Cookie::Session
            .read(&parts.headers, channel)
            .ok_or_else(not_signed_in)?;
        let now = api.now();
        let found = api
            .store()
            .identify_portal_session(token.hashed(), now)
            .await?;
        let SignedIn { user, session } = found.ok_or_else(not_signed_in)?;
        if !is_safe(&parts.method) {
            let shown = parts.headers.get(CSRF_HEADER);
            let shown = shown.map_or(&[][..], |value| value.as_bytes());
            let expected = csrf_token(&token);
            if !bool::from(expected.expose().as_bytes().ct_eq(shown)) {
                return Err(ApiError::Portal(PortalRefusal::CsrfToken));
            }
        }
        touch(api, &session, now);
        Ok(Self {
            user,
            session,
            token,
            channel,
        })
    }

    /// Refuses what the person's role does not allow.
    pub(crate) fn require(&self, permission: Permission) -> Result<(), ApiError> {
        if self.user.role.may(permission) {
            Ok(())
        } else {
            Err(ApiError::Portal(PortalRefusal::Forbidden(Some(permission))))
        }
    }

    /// Returns the person as the audit log names them.
    pub(crate) fn actor(&self) -> Actor {
        actor(&self.user)
    }
}

/// Returns a person as the audit log names them.
pub(crate) fn actor(user: &User) -> Actor {
    Actor::User {
        id: user.id,
        email: user.email.as_str().into(),
        role: user.role,
    }
}

/// Returns the token that a page must send with every write. It tells nothing of the one in the cookie.
pub(crate) fn csrf_token(session: &PlainToken) -> PlainToken {
    session.derived(CSRF_PURPOSE)
}

/// Notes that a session is in use, beside the request: a database that takes no writes ends no session.
fn touch(api: &Api, session: &PortalSession, now: Timestamp) {
    if now.since(session.last_seen_at) < TOUCHED_EVERY {
        return;
    }
    let (api, id) = (api.clone(), session.id);
    tokio::spawn(async move {
        if let Err(error) = api.store().touch_portal_session(id, now).await {
            tracing::warn!(%error, "the use of a session cannot be noted");
        }
    });
}

impl FromRequestParts<Api> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let channel = Channel::from_request_parts(parts, api).await?;
        let person = Self::identify(parts, channel, api).await?;
        Trail::identify_current(person.user.account, || person.actor());
        match parts.extensions.get::<PortalAccess>() {
            Some(PortalAccess::May(permission)) => person.require(*permission)?,
            Some(PortalAccess::Person) => {}
            // No route of the table: nobody knows what it takes.
            Some(PortalAccess::Anyone) | None => {
                return Err(ApiError::Portal(PortalRefusal::Forbidden(None)));
            }
        }
        Ok(person)
    }
}

/// A person who came to a route of `/v2`; see [`super::gateway`].
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) account: AccountId,
    pub(crate) actor: Actor,
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;

    use super::*;

    fn parts(source: &str, secure: bool, method: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/portal/session");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, _) = request.body(Body::empty()).unwrap().into_parts();
        let source = source.parse().unwrap();
        parts.extensions.insert(Peer { source, secure });
        parts
    }

    #[test]
    fn the_channel_is_tls_or_never_leaves_the_machine() {
        let of = |source, secure, headers: &[(&str, &str)]| {
            Channel::of(&parts(source, secure, "GET", headers)).ok()
        };
        let (secure, loopback) = (Some(Channel::Secure), Some(Channel::Loopback));
        assert_eq!(of("203.0.113.9", true, &[("host", "x.example")]), secure);
        assert_eq!(
            of("127.0.0.1", false, &[("host", "localhost:8080")]),
            loopback
        );
        assert_eq!(of("::1", false, &[("host", "[::1]:8080")]), loopback);
        assert_eq!(of("203.0.113.9", false, &[("host", "localhost")]), None);
        assert_eq!(of("10.0.0.1", false, &[("host", "10.0.0.1")]), None);
        assert_eq!(of("127.0.0.1", false, &[("host", "x.example")]), None);
        assert_eq!(of("127.0.0.1", false, &[]), None);
        for header in ["x-forwarded-for", "forwarded", "x-forwarded-proto", "via"] {
            let headers = [("host", "localhost"), (header, "https")];
            assert_eq!(of("127.0.0.1", false, &headers), None, "{header}");
        }
    }

    #[test]
    fn writes_come_from_our_own_pages() {
        for (fits, method, headers) in [
            (true, "POST", &[("host", "x.example")] as &[_]),
            (
                true,
                "POST",
                &[("host", "x.example"), ("origin", "https://x.example")],
            ),
            (
                true,
                "POST",
                &[
                    ("host", "inner"),
                    ("origin", "https://x.example"),
                    ("sec-fetch-site", "same-origin"),
                ],
            ),
            (
                true,
                "GET",
                &[("host", "x.example"), ("origin", "https://evil.example")],
            ),
            (
                false,
                "POST",
                &[("host", "x.example"), ("origin", "https://evil.example")],
            ),
            (
                false,
                "DELETE",
                &[("host", "x.example"), ("origin", "http://x.example")],
            ),
            (false, "PATCH", &[("host", "x.example"), ("origin", "null")]),
            (
                false,
                "POST",
                &[("host", "x.example"), ("sec-fetch-site", "same-site")],
            ),
            (
                false,
                "POST",
                &[("host", "x.example"), ("sec-fetch-site", "none")],
            ),
            (
                false,
                "POST",
                &[
                    ("host", "x.example"),
                    ("origin", "https://x.example"),
                    ("sec-fetch-site", "cross-site"),
                ],
            ),
            (false, "POST", &[("origin", "https://x.example")]),
        ] {
            let parts = parts("203.0.113.9", true, method, headers);
            assert_eq!(
                check_origin(&parts, Channel::Secure).is_ok(),
                fits,
                "{method} {headers:?}"
            );
        }
    }
}
