//! The HTTP surface of ringtrip: the REST API under `/v2`, compatible with the Telnyx v2 API, and the
//! upload of call reports.
//!
//! It is a router and nothing more: it opens no socket, reads no clock and draws no randomness but
//! what [`ApiConfig`] brings, and it never talks to the call engines. What it knows about live calls
//! and sessions, it asks of the bus.
//!
//! ```no_run
//! # use axum::{Router, routing::get};
//! # use ringtrip_api::{Api, ApiConfig, Billing, Clock, PortalConfig, RateLimits};
//! # fn app(store: ringtrip_store::Store, bus: ringtrip_cluster::Bus, clock: Clock, generator: ringtrip_model::Generator) -> Router {
//! let config = ApiConfig {
//!     clock,
//!     generator,
//!     billing: Billing::default(),
//!     limits: RateLimits::default(),
//!     portal: PortalConfig::default(),
//! };
//! let api = Api::new(store, bus, config);
//! Router::new().route("/livez", get(async || "alive")).fallback_service(ringtrip_api::router(api))
//! # }
//! ```
//!
//! Mount [`router`] as the fallback of the node's router, not by `merge`: it answers **every** path, unknown
//! ones with an error in the envelope, and it takes paths with repeated or trailing slashes.

mod audit;
mod auth;
mod call_report;
mod error;
mod fields;
mod front;
pub mod fuzz;
mod json;
mod limits;
mod once;
mod openapi;
mod operation;
mod page;
mod peer;
mod portal;
mod query;
mod respond;
mod router;
mod schema;
mod uploads;
mod v2;
pub mod webhook;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderValue;
pub use error::{ApiError, AuthFailure, Place};
pub use limits::RateLimits;
pub use openapi::document;
pub use peer::Peer;
pub use portal::{
    PORTAL_ROUTES, PortalAccess, PortalConfig, PortalRefusal, PortalRoute, SignUp, invitation_url,
};
use ringtrip_cluster::Bus;
use ringtrip_model::{Generator, Money, Timestamp};
use ringtrip_store::Store;
pub use router::{Access, ROUTES, Route, router};

use crate::audit::Readings;
use crate::limits::Limits;
use crate::once::UnderWay;
use crate::portal::Portal;
use crate::uploads::Uploads;

/// Tells what time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What an [`Api`] needs besides its store and its bus.
pub struct ApiConfig {
    /// The calendar time.
    pub clock: Clock,
    /// Where ids, names and passwords come from.
    pub generator: Generator,
    /// What the operator says of money.
    pub billing: Billing,
    /// How often anybody may ask.
    pub limits: RateLimits,
    /// How the portal is run.
    pub portal: PortalConfig,
}

/// What the operator says of money. ringtrip does not bill: every account sees these figures, and they
/// never move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Billing {
    /// What an account has.
    pub balance: Money,
    /// What it may owe.
    pub credit_limit: Money,
    /// Of what: three letters (ISO 4217).
    pub currency: String,
}

impl Default for Billing {
    fn default() -> Self {
        Self {
            balance: Money::ZERO,
            credit_limit: Money::ZERO,
            currency: "USD".to_owned(),
        }
    }
}

impl fmt::Debug for ApiConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiConfig").finish_non_exhaustive()
    }
}

/// What every handler works with. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<State>);

struct State {
    store: Store,
    bus: Bus,
    clock: Clock,
    generator: Mutex<Generator>,
    panics: AtomicU64,
    uploads: Uploads,
    billing: Billing,
    limits: Limits,
    under_way: UnderWay,
    portal: Portal,
    readings: Readings,
}

impl Api {
    /// Puts an API before a store and a bus.
    pub fn new(store: Store, bus: Bus, config: ApiConfig) -> Self {
        Self(Arc::new(State {
            store,
            bus,
            clock: config.clock,
            generator: Mutex::new(config.generator),
            panics: AtomicU64::new(0),
            uploads: Uploads::new(),
            billing: config.billing,
            limits: Limits::new(config.limits),
            under_way: UnderWay::default(),
            portal: Portal::new(config.portal),
            readings: Readings::default(),
        }))
    }

    /// Returns how many handlers have panicked since the start. Each was answered with 500.
    pub fn panics(&self) -> u64 {
        self.0.panics.load(Ordering::Relaxed)
    }

    /// Returns how many requests were refused because their key or source had sent too many.
    pub fn rate_limited(&self) -> u64 {
        self.0.limits.refused()
    }

    fn count_panic(&self) {
        self.0.panics.fetch_add(1, Ordering::Relaxed);
    }

    fn store(&self) -> &Store {
        &self.0.store
    }

    fn bus(&self) -> &Bus {
        &self.0.bus
    }

    fn portal(&self) -> &Portal {
        &self.0.portal
    }

    fn readings(&self) -> &Readings {
        &self.0.readings
    }

    fn uploads(&self) -> &Uploads {
        &self.0.uploads
    }

    fn billing(&self) -> &Billing {
        &self.0.billing
    }

    fn under_way(&self) -> &UnderWay {
        &self.0.under_way
    }

    fn limits(&self) -> &Limits {
        &self.0.limits
    }

    fn now(&self) -> Timestamp {
        (self.0.clock)()
    }

    /// Lends the generator. It is never left half-drawn, so a panic elsewhere does not spoil it.
    fn with_generator<T>(&self, draw: impl FnOnce(&mut Generator) -> T) -> T {
        draw(
            &mut self
                .0
                .generator
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn request_id(&self) -> HeaderValue {
        let mut buffer = [0; 36];
        let id = self.with_generator(Generator::uuid);
        HeaderValue::from_str(id.as_hyphenated().encode_lower(&mut buffer))
            .expect("a UUID is made of hexadecimal digits and hyphens")
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}
