//! People, as an API under `/portal`: who they are, how they sign in and out, who else belongs to their
//! account, and a way from their browser to every resource of `/v2`.
//!
//! A person is known by a session in a cookie. Since a browser sends cookies by itself, no page of
//! somebody else may speak for them: answers carry no CORS headers, a write must come from a page of
//! this server, and it must carry the session's CSRF token in a header, which no other page can read.

mod access;
mod brake;
mod cookies;
mod gateway;
mod hashing;
mod invitations;
mod one_time_links;
mod passwords;
mod refusal;
mod sessions;
mod sign_up;
mod users;

use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::routing::{MethodRouter, delete, get, patch, post};
use ringtrip_model::Permission;

pub(crate) use self::access::Member;
use self::brake::Brake;
pub(crate) use self::gateway::enter;
use self::hashing::Hashing;
pub use self::invitations::invitation_url;
pub use self::refusal::PortalRefusal;
use crate::Api;

/// Who may become a person of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignUp {
    /// Anybody, with an account of their own.
    Open,
    /// Whoever an account invites.
    #[default]
    Invitation,
    /// Nobody but whom the operator invites.
    Closed,
}

impl SignUp {
    /// Returns `open`, `invitation` or `closed`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Invitation => "invitation",
            Self::Closed => "closed",
        }
    }
}

/// How the portal is run.
#[derive(Debug, Clone, Default)]
pub struct PortalConfig {
    /// Who may become a person of this server.
    pub sign_up: SignUp,
    /// Where people reach this server, such as `https://phone.example.org`, for links; where this is unset,
    /// a link leads to where the request for it came.
    pub public_url: Option<String>,
}

/// What the portal remembers.
#[derive(Debug)]
pub(crate) struct Portal {
    config: PortalConfig,
    brake: Mutex<Brake>,
    hashing: Hashing,
}

impl Portal {
    pub(crate) fn new(config: PortalConfig) -> Self {
        Self {
            config,
            brake: Mutex::new(Brake::default()),
            hashing: Hashing::new(),
        }
    }

    fn with_brake<T>(&self, use_it: impl FnOnce(&mut Brake) -> T) -> T {
        // Each use leaves it whole, so a panic of another thread has broken nothing.
        use_it(&mut self.brake.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Who may call a route of the portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortalAccess {
    /// Anybody.
    Anyone,
    /// Whoever is signed in.
    Person,
    /// People whose role allows this.
    May(Permission),
}

/// A line of the portal's route table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortalRoute {
    /// The method.
    pub method: &'static str,
    /// The path; a part in braces stands for one segment.
    pub path: &'static str,
    /// Who may call it.
    pub access: PortalAccess,
}

macro_rules! routes {
    ($($register:ident $path:literal $access:expr => $handler:path;)+) => {
        /// Every route of the portal. [`access`] asks this table, and nothing else, who may call what.
        pub const PORTAL_ROUTES: &[PortalRoute] = &[
            $(PortalRoute { method: crate::router::method_name(stringify!($register)), path: $path, access: $access },)+
        ];

        /// The routes of the portal, each behind its access.
        pub(crate) fn routes() -> Router<Api> {
            let mut router = Router::new();
            $(router = router.route(
                $path,
                MethodRouter::from($register($handler)).layer(axum::Extension::<PortalAccess>($access)),
            );)+
            router.route_layer(axum::middleware::from_fn(access::guard))
        }
    };
}

use Permission::{ManageUsers, ReadResources};
use PortalAccess::{Anyone, May, Person};

routes! {
    get    "/portal/options"             Anyone => sign_up::options;
    post   "/portal/setup"               Anyone => sign_up::set_up;
    post   "/portal/sign_up"             Anyone => sign_up::sign_up;
    post   "/portal/sign_in"             Anyone => sessions::sign_in;
    post   "/portal/links"               Anyone => one_time_links::look_up;
    post   "/portal/password_resets"     Anyone => passwords::reset;
    post   "/portal/invitations/accept"  Anyone => invitations::accept;

    get    "/portal/session"             Person => sessions::retrieve_own;
    delete "/portal/session"             Person => sessions::sign_out;
    get    "/portal/sessions"            Person => sessions::list;
    delete "/portal/sessions/{id}"       Person => sessions::delete;
    patch  "/portal/profile"             Person => users::update_own;
    post   "/portal/password"            Person => passwords::change;

    get    "/portal/users"               May(ReadResources) => users::list;
    patch  "/portal/users/{id}"          May(ManageUsers) => users::update;
    delete "/portal/users/{id}"          May(ManageUsers) => users::delete;
    get    "/portal/invitations"         May(ManageUsers) => invitations::list;
    post   "/portal/invitations"         May(ManageUsers) => invitations::create;
    delete "/portal/invitations/{id}"    May(ManageUsers) => invitations::delete;
}
