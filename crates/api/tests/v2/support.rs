//! A REST API of its own for each test: an empty store, a local bus, a clock that the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use ringtrip_api::{Api, ApiConfig, Billing, PortalConfig, RateLimits, router};
use ringtrip_cluster::Bus;
use ringtrip_model::{
    AccountId, Contact, ContactTransport, Generator, NewAccount, NewApiKey, RevokeScope, Timestamp,
};
use ringtrip_store::Store;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::document::assert_documented;

#[path = "../../../store/tests/support/database.rs"]
mod database;
use database::Database;

/// 2026-11-21T09:30:00.123456Z.
pub(crate) const START: i64 = 1_795_253_400_123_456;

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) router: Router,
    pub(crate) alice: Tenant,
    pub(crate) bob: Tenant,
    // Dropped last: the store has connections to it.
    _database: Database,
    clock: Arc<AtomicI64>,
}

pub(crate) struct Tenant {
    pub(crate) account: AccountId,
    pub(crate) key: String,
    pub(crate) connection: String,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::run(RateLimits::default(), PortalConfig::default()).await
    }

    /// Makes a world in which nobody may ask as often as they like.
    pub(crate) async fn limited(limits: RateLimits) -> Self {
        Self::run(limits, PortalConfig::default()).await
    }

    pub(crate) async fn with_portal(portal: PortalConfig) -> Self {
        Self::run(RateLimits::default(), portal).await
    }

    async fn run(limits: RateLimits, portal: PortalConfig) -> Self {
        let clock = Arc::new(AtomicI64::new(START));
        let mut rng = Generator::from_seed([7; 32]);
        let database = Database::in_memory();
        let store = Store::open(database.config(), &mut rng).await.unwrap();
        let bus = Bus::local(100);
        let (alice, alice_key) = tenant(&store, "alice@example.org", &mut rng).await;
        let (bob, bob_key) = tenant(&store, "bob@example.org", &mut rng).await;
        let config = config(&clock, rng, limits, portal);
        let mut world = Self {
            router: router(Api::new(store.clone(), bus.clone(), config)),
            store,
            bus,
            alice: Tenant {
                account: alice,
                key: alice_key,
                connection: String::new(),
            },
            bob: Tenant {
                account: bob,
                key: bob_key,
                connection: String::new(),
            },
            _database: database,
            clock,
        };
        world.alice.connection = world.create_connection(&world.alice, "alice1").await;
        world.bob.connection = world.create_connection(&world.bob, "bobby1").await;
        world
    }

    /// Starts the server anew with its portal run in another way.
    pub(crate) fn restart_with(&mut self, portal: PortalConfig) {
        let rng = Generator::from_seed([8; 32]);
        let config = config(&self.clock, rng, RateLimits::default(), portal);
        self.router = router(Api::new(self.store.clone(), self.bus.clone(), config));
    }

    async fn create_connection(&self, tenant: &Tenant, user_name: &str) -> String {
        let body =
            json!({"connection_name": "main", "user_name": user_name, "password": "correct horse"});
        let answer = self.post(tenant, "/v2/credential_connections", body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.id()
    }

    /// Makes a credential of Alice's and returns it.
    pub(crate) async fn credential(&self, mut body: Value) -> Value {
        if body.get("connection_id").is_none() {
            body["connection_id"] = self.alice.connection.as_str().into();
        }
        let answer = self
            .post(&self.alice, "/v2/telephony_credentials", body)
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["data"].clone()
    }

    pub(crate) fn advance_secs(&self, secs: i64) {
        self.clock.fetch_add(secs * 1_000_000, Ordering::Relaxed);
    }

    /// Sends a request, and checks that its answer is one that the document tells of.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let method = request.method().to_string();
        let path = request.uri().path().to_owned();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let answer = Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: to_bytes(body, usize::MAX).await.unwrap(),
        };
        assert_documented(&method, &path, &answer);
        answer
    }

    pub(crate) async fn request(
        &self,
        tenant: &Tenant,
        method: &str,
        path: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path)
            .header("authorization", format!("Bearer {}", tenant.key))
            .header("content-type", "application/json")
            .body(body.into())
            .unwrap();
        self.send(request).await
    }

    pub(crate) async fn get(&self, tenant: &Tenant, path: &str) -> Answer {
        self.request(tenant, "GET", path, Body::empty()).await
    }

    pub(crate) async fn delete(&self, tenant: &Tenant, path: &str) -> Answer {
        self.request(tenant, "DELETE", path, Body::empty()).await
    }

    pub(crate) async fn post(&self, tenant: &Tenant, path: &str, body: Value) -> Answer {
        self.request(tenant, "POST", path, body.to_string()).await
    }

    pub(crate) async fn patch(&self, tenant: &Tenant, path: &str, body: Value) -> Answer {
        self.request(tenant, "PATCH", path, body.to_string()).await
    }

    /// Plays the node's signalling: confirms every revocation and keeps its scope.
    pub(crate) fn revocations(&self) -> tokio::sync::mpsc::UnboundedReceiver<RevokeScope> {
        let mut taken = self.bus.subscribe_revocations();
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(revocation) = taken.recv().await {
                sender.send(revocation.scope).unwrap();
                revocation.done.send(()).unwrap();
            }
        });
        receiver
    }
}

fn config(
    clock: &Arc<AtomicI64>,
    generator: Generator,
    limits: RateLimits,
    portal: PortalConfig,
) -> ApiConfig {
    let ticking = Arc::clone(clock);
    ApiConfig {
        clock: Arc::new(move || Timestamp::from_micros(ticking.load(Ordering::Relaxed))),
        generator,
        billing: Billing {
            balance: "12.5".parse().unwrap(),
            credit_limit: "100".parse().unwrap(),
            currency: "EUR".to_owned(),
        },
        limits,
        portal,
    }
}

async fn tenant(store: &Store, email: &str, rng: &mut Generator) -> (AccountId, String) {
    let now = Timestamp::from_micros(START);
    let account = NewAccount::new(email, "", now, rng).unwrap();
    let id = account.account().id;
    store.insert_account(account).await.unwrap();
    let (new, key) = NewApiKey::new(id, "test", None, now, rng).unwrap();
    store.insert_api_key(new).await.unwrap();
    (id, key.expose().to_owned())
}

/// Where a client logged in from, when the test began.
pub(crate) fn contact() -> Contact {
    Contact {
        address: [203, 0, 113, 9].into(),
        port: Some(50_000),
        transport: ContactTransport::Wss,
        user_agent: Some("phone".to_owned()),
        since: Timestamp::from_micros(START),
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn id(&self) -> String {
        self.json()["data"]["id"].as_str().unwrap().to_owned()
    }

    /// Returns status, code and place of the only error.
    pub(crate) fn error(&self) -> (u16, String, String) {
        let body = self.json();
        let errors = body["errors"]
            .as_array()
            .unwrap_or_else(|| panic!("{self:?}"));
        assert_eq!(errors.len(), 1, "{self:?}");
        let source = &errors[0]["source"];
        let place = source["pointer"]
            .as_str()
            .or_else(|| source["parameter"].as_str());
        assert!(!errors[0]["title"].as_str().unwrap().is_empty());
        assert!(!errors[0]["detail"].as_str().unwrap().is_empty());
        (
            self.status,
            errors[0]["code"].as_str().unwrap().to_owned(),
            place.unwrap_or_default().to_owned(),
        )
    }

    pub(crate) fn assert_error(&self, status: u16, code: &str, place: &str) {
        assert_eq!(
            self.error(),
            (status, code.to_owned(), place.to_owned()),
            "{self:?}"
        );
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}
