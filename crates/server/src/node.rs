//! One node: its store, bus, media threads, signalling task and HTTP port, started together and
//! stopped in order.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, anyhow};
use ringtrip_api::{Api, ApiConfig, Billing, PortalConfig, RateLimits, SignUp};
use ringtrip_cluster::Bus;
use ringtrip_media::{Control, ControlConfig, DtlsContext};
use ringtrip_model::{Generator, NodeId};
use ringtrip_store::{Claim, Store, StoreConfig};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};

use crate::clock::{Clock, sleep_until};
use crate::config::{self, Config};
use crate::dev::DevPortal;
use crate::drive::retention::Retention;
use crate::drive::{self, History, Input, MediaThreads, MediaThreadsConfig, Stop};
use crate::health::{self, Health, Phase};
use crate::http::forwarded::TrustedProxies;
use crate::http::tls::Tls;
use crate::http::{self, Surface};
use crate::outbound::Outbound;
use crate::telemetry::Metrics;

/// Frames of all sockets that may wait for signalling; a socket whose frame finds no room waits.
const INPUTS: usize = 4096;
/// Anchors of one media thread: two a call, and some being replaced.
const ANCHORS_PER_SHARD: u32 = 16_384;
/// Names that apps dial, ours from the start.
const ALIASES: [&str; 3] = ["localhost", "sip.telnyx.com", "rtc.telnyx.com"];

/// What to start.
pub(crate) struct Options {
    config: Config,
    dev: Option<DevPortal>,
}

impl Options {
    /// A node with ready credentials, on this machine alone.
    pub(crate) fn dev(config: Config, portal: DevPortal) -> Self {
        Self {
            config,
            dev: Some(portal),
        }
    }

    /// A node as configured.
    pub(crate) fn serve(config: Config) -> Self {
        Self { config, dev: None }
    }
}

/// A running node.
pub(crate) struct Node {
    http_addr: SocketAddr,
    media_addr: SocketAddr,
    health: Arc<Health>,
    tls: Option<Arc<Tls>>,
    /// How long live calls may go on once the node is asked to stop.
    drain_timeout: Duration,
    stop_http: watch::Sender<bool>,
    stop_signalling: watch::Sender<Stop>,
    signalling: JoinHandle<()>,
    history: JoinHandle<()>,
    stop_webhooks: watch::Sender<bool>,
    webhooks: JoinHandle<()>,
    background: Background,
    store: Store,
    claims: Claims,
    signals: Signals,
}

/// How long a task that failed stays away.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Tasks that run as long as the node: one that ends has failed.
#[derive(Default)]
struct Background(JoinSet<(&'static str, Result<(), JoinError>)>);

impl Background {
    /// Runs a task that can begin anew whenever it fails: calls go on meanwhile.
    fn keep<F>(
        &mut self,
        name: &'static str,
        metrics: &Arc<Metrics>,
        begin: impl Fn() -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let metrics = Arc::clone(metrics);
        self.0.spawn(async move {
            loop {
                let ended = tokio::spawn(begin()).await;
                metrics.panics_total.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    task = name,
                    "{name} stopped by itself and begins anew: {ended:?}"
                );
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        });
    }

    /// Runs a task without which the node cannot go on.
    fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        // A task within a task, so that a panic comes with its name.
        let task = tokio::spawn(task);
        self.0.spawn(async move { (name, task.await) });
    }

    /// Waits for the first that ends. Nothing is lost if this is dropped before.
    async fn failure(&mut self) -> anyhow::Error {
        match self.0.join_next().await {
            Some(Ok((name, ended))) => stopped_by_itself(name, &ended),
            Some(Err(error)) => stopped_by_itself("a background task", &Err(error)),
            None => std::future::pending().await,
        }
    }
}

/// Says that a part of the node has ended and why, in the log, too: without it the node would go on and
/// look well.
fn stopped_by_itself(name: &str, ended: &Result<(), JoinError>) -> anyhow::Error {
    tracing::error!(
        task = name,
        "{name} stopped by itself; the node cannot go on"
    );
    anyhow!("{name} stopped by itself: {ended:?}")
}

/// What the operator says to the process.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

/// What a signal asks for.
enum Asked {
    /// To stop.
    Stop,
    /// To read the certificate again.
    Reload,
}

impl Signals {
    /// From here on a signal no longer ends the process by itself, but waits to be heard.
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }
}

/// Draws a generator from the operating system.
pub(crate) fn system_generator() -> anyhow::Result<Generator> {
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed).map_err(|_| anyhow!("the system gives no random numbers"))?;
    Ok(Generator::from_seed(seed))
}

/// Where the store is that a configuration names; relative paths start at `folder`.
pub(crate) fn store_config(config: &Config, folder: &Path) -> StoreConfig {
    StoreConfig {
        url: config.database_url.clone(),
        key_file: folder.join(&config.key_file),
    }
}

/// Opens the store a configuration names; relative paths start at `folder`.
pub(crate) async fn open_store(config: &Config, folder: &Path) -> anyhow::Result<Store> {
    Store::open(store_config(config, folder), &mut system_generator()?)
        .await
        .context("the database cannot be opened")
}

/// The right to serve from a database, alone.
pub(crate) struct Claims {
    _file: Option<std::fs::File>,
    database: Claim,
}

/// Claims a database for this process, for as long as the claim lives: what a second process deleted
/// would live on in the memory of the first.
pub(crate) async fn claim(config: &Config) -> anyhow::Result<Claims> {
    let file = claim_file(config)?;
    let database = ringtrip_store::claim(&config.database_url)
        .await
        .context("the database cannot be claimed")?;
    Ok(Claims {
        _file: file,
        database,
    })
}

fn claim_file(config: &Config) -> anyhow::Result<Option<std::fs::File>> {
    let Some(path) = config.database_url.strip_prefix("sqlite://") else {
        return Ok(None);
    };
    let path = format!("{}.lock", path.split('?').next().unwrap_or(path));
    let file = std::fs::File::create(&path).with_context(|| format!("{path} cannot be made"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => {
            anyhow::bail!("another ringtrip is running on this database (it holds {path})")
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{path} cannot be locked"))
        }
    }
}

impl Node {
    /// Starts everything; when it returns, REST, signalling and media answer.
    pub(crate) async fn start(
        options: Options,
        claims: Claims,
        store: Store,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let Options { config, dev } = options;
        let signals = Signals::catch().context("signals cannot be caught")?;
        raise_file_limit();
        let mut rng = system_generator()?;
        let metrics = Arc::new(Metrics::default());
        let health = Health::new();
        let tls = match config.tls_files() {
            Some(files) => Some(Tls::start(files, Arc::clone(&metrics))?),
            None => None,
        };
        let bus = Bus::local(config.max_calls);
        let outbound = Outbound::new(
            &config.webhook_allowed_targets,
            config.outbound_ca_file.as_deref(),
        )?;

        let listener = http::listen(
            config.http_addr,
            if dev.is_some() { "--http" } else { "http_addr" },
        )
        .await?;
        let http_addr = listener.local_addr()?;
        let media_option = if dev.is_some() {
            "--media"
        } else {
            "media_addr"
        };
        let admin = match dev {
            Some(_) => None,
            None => Some(http::listen(config.admin_addr, "admin_addr").await?),
        };

        let (results, answers) = mpsc::unbounded_channel();
        let dtls = Arc::new(
            DtlsContext::generate(clock.base()).context("no DTLS certificate can be made")?,
        );
        let threads = MediaThreads::start(
            MediaThreadsConfig {
                sockets: media_addresses(&config, dev.is_some()),
                threads: config.media_thread_count(),
                this_host_only: dev.is_some(),
                dtls: Arc::clone(&dtls),
                base: clock.base(),
                started_at: clock.started_at(),
                max_anchors: ANCHORS_PER_SHARD,
            },
            &mut rng,
            {
                let results = results.clone();
                move |shard, event| {
                    // Signalling may have stopped; then nobody waits for the event.
                    let _ = results.send(Input::Shard { shard, event });
                }
            },
        )
        .with_context(|| {
            let wanted = config.media_addr;
            format!("{media_option} {wanted} cannot be used; choose another with {media_option}")
        })?;
        let shards = threads.addresses();
        let media_addr = *shards
            .first()
            .and_then(|addresses| addresses.first())
            .context("no media address")?;
        let control = Control::new(
            ControlConfig {
                shards: shards
                    .into_iter()
                    .map(|addresses| offered(addresses, &config))
                    .collect(),
                fingerprint: dtls.fingerprint(),
                max_anchors_per_shard: ANCHORS_PER_SHARD,
            },
            rng.fork(),
        );

        let written = Arc::new(Notify::new());
        let (history, history_task) =
            History::start(store.clone(), Arc::clone(&metrics), Arc::clone(&written));
        let (inputs, queued) = mpsc::channel(INPUTS);
        let (stop_signalling, stopping) = watch::channel(Stop::NotYet);
        let parts = drive::Parts {
            clock,
            store: store.clone(),
            bus: bus.clone(),
            endpoint: ringtrip_verto::Endpoint::new(
                ringtrip_verto::Config {
                    started_at: clock.started_at(),
                    ..ringtrip_verto::Config::default()
                },
                rng.fork(),
            ),
            settings: ringtrip_switch::Settings::new(
                NodeId(1),
                clock.started_at(),
                domains(&config, http_addr),
            ),
            control,
            threads,
            history,
            metrics: Arc::clone(&metrics),
            rng: rng.fork(),
        };
        let signalling = tokio::spawn(drive::run(parts, queued, (results, answers), stopping));

        let (stop_webhooks, webhooks_stopping) = watch::channel(false);
        let webhooks = drive::webhooks::Webhooks {
            store: store.clone(),
            clock,
            outbound,
            metrics: Arc::clone(&metrics),
            rng: rng.fork(),
        };
        let webhooks = drive::webhooks::run(webhooks, written, webhooks_stopping);
        let webhooks = tokio::spawn(webhooks);
        let mut background = Background::default();
        let retention = Retention::new(&config);
        background.keep("retention", &metrics, {
            let store = store.clone();
            move || drive::retention::prune(store.clone(), clock, retention)
        });
        background.keep("keys", &metrics, {
            let store = store.clone();
            move || drive::keys::watch(store.clone(), clock)
        });
        background.keep("notes", &metrics, {
            let store = store.clone();
            move || drive::notes::write(store.clone())
        });
        background.keep("expiry", &metrics, {
            let (store, bus) = (store.clone(), bus.clone());
            move || drive::expiry::watch(store.clone(), bus.clone(), clock)
        });
        let api = Api::new(
            store.clone(),
            bus,
            ApiConfig {
                clock: Arc::new(move || clock.wall()),
                generator: rng.fork(),
                billing: Billing {
                    balance: config.balance,
                    credit_limit: config.credit_limit,
                    currency: config.currency.clone(),
                },
                limits: RateLimits {
                    per_key: config.rate_limit_per_key,
                    per_source: config.rate_limit_per_source,
                },
                portal: portal_config(&config),
            },
        );
        metrics.watch(store.clone(), api.clone(), Arc::clone(&health));
        let surface = Surface {
            api: ringtrip_api::router(api),
            inputs,
            dev,
            health: Arc::clone(&health),
            metrics: Arc::clone(&metrics),
            tls: tls.clone(),
            proxies: TrustedProxies::new(config.trusted_proxies.clone()),
            max_connections_per_source: config.max_connections_per_source,
            websocket_origins: config.websocket_origins.clone(),
        };
        let (stop_http, http_stopping) = watch::channel(false);
        let http = http::serve(listener, Arc::new(surface), http_stopping);
        background.spawn("http", http);
        background.keep("health", &metrics, {
            let (store, health) = (store.clone(), Arc::clone(&health));
            move || health::watch(store.clone(), Arc::clone(&health))
        });
        if let Some(admin) = admin {
            let address = admin.local_addr()?;
            tracing::info!(admin.addr = %address, "metrics and health are on {address}");
            background.spawn("admin", serve_admin(admin, Arc::clone(&health), metrics));
        }
        health.enter(Phase::Serving);
        Ok(Self {
            http_addr,
            media_addr,
            health,
            tls,
            drain_timeout: Duration::from_secs(config.drain_timeout_secs),
            stop_http,
            stop_signalling,
            signalling,
            history: history_task,
            stop_webhooks,
            webhooks,
            background,
            store,
            claims,
            signals,
        })
    }

    /// Where REST and signalling are.
    pub(crate) const fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Where the first media thread listens.
    pub(crate) const fn media_addr(&self) -> SocketAddr {
        self.media_addr
    }

    /// Returns whether REST and signalling are spoken over TLS.
    pub(crate) const fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Runs until SIGINT or SIGTERM, then stops in order: readiness turns, nothing new begins, live
    /// calls end by themselves or when their time is over, history is written. A second signal ends
    /// them at once. SIGHUP reads the certificate again.
    ///
    /// # Errors
    /// A part of the node ended by itself, or did not stop cleanly, or another process has the database.
    pub(crate) async fn run_until_signal(mut self) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                // History ends with signalling: the cause is to be named.
                biased;
                asked = self.signals.next() => match asked {
                    Asked::Stop => break,
                    Asked::Reload => self.reload().await,
                },
                ended = &mut self.signalling => return Err(stopped_by_itself("signalling", &ended)),
                ended = &mut self.history => return Err(stopped_by_itself("history", &ended)),
                ended = &mut self.webhooks => return Err(stopped_by_itself("webhooks", &ended)),
                failure = self.background.failure() => return Err(failure),
                () = self.claims.database.lost() => {
                    return Err(anyhow!("another ringtrip has taken this database over"));
                }
            }
        }
        self.health.enter(Phase::Draining);
        // A receiver that is gone has stopped already.
        if self.drain_timeout.is_zero() {
            tracing::info!("stopping");
            let _ = self.stop_signalling.send(Stop::Now);
        } else {
            let drain_timeout = self.drain_timeout;
            tracing::info!(
                "stopping: live calls have {drain_timeout:?} to end; a second signal ends them now"
            );
            let _ = self.stop_signalling.send(Stop::WhenIdle);
        }
        let ended = self.wait_for_signalling().await;
        let _ = self.stop_http.send(true);
        ended.context("signalling did not stop cleanly")?;
        self.history.await.context("history did not stop cleanly")?;
        let _ = self.stop_webhooks.send(true);
        self.webhooks
            .await
            .context("webhooks did not stop cleanly")?;
        self.store.close().await;
        Ok(())
    }

    /// Waits for the end of signalling, and hurries it when its time is over or a signal says so.
    async fn wait_for_signalling(&mut self) -> Result<(), tokio::task::JoinError> {
        let over = tokio::time::Instant::now().checked_add(self.drain_timeout);
        let mut hurried = false;
        loop {
            tokio::select! {
                ended = &mut self.signalling => return ended,
                asked = self.signals.next() => match asked {
                    Asked::Stop => tracing::warn!("stopping now: asked again"),
                    Asked::Reload => {
                        self.reload().await;
                        continue;
                    }
                },
                () = self.claims.database.lost(), if !hurried => {
                    tracing::error!("stopping now: another ringtrip has taken this database over");
                }
                () = sleep_until(over), if !hurried => {
                    tracing::warn!("stopping now: the time for live calls is over");
                }
            }
            hurried = true;
            let _ = self.stop_signalling.send(Stop::Now);
        }
    }

    /// Reads the certificate and its key again; if they cannot be used, the old ones stay.
    async fn reload(&self) {
        let Some(tls) = self.tls.clone() else {
            tracing::info!("asked to reload, but there is no certificate to read again");
            return;
        };
        let read = tokio::task::spawn_blocking(move || tls.reload()).await;
        match read {
            Ok(Ok(())) => tracing::info!(tls.reloaded = true, "the certificate was read again"),
            Ok(Err(error)) => tracing::error!(
                tls.reloaded = false,
                "the certificate stays as it was: {error:#}"
            ),
            Err(error) => tracing::error!(%error, "the certificate could not be read again"),
        }
    }
}

fn portal_config(config: &Config) -> PortalConfig {
    PortalConfig {
        sign_up: match config.sign_up {
            config::SignUp::Open => SignUp::Open,
            config::SignUp::Invitation => SignUp::Invitation,
            config::SignUp::Closed => SignUp::Closed,
        },
        public_url: config.public_url.clone(),
    }
}

/// Raises the limit of open files as far as the process may. Each socket takes one, and many systems
/// give a process 1,024 of them unless it asks for more.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays at {current:?}");
    }
}

async fn serve_admin(listener: TcpListener, health: Arc<Health>, metrics: Arc<Metrics>) {
    if let Err(error) = axum::serve(listener, http::admin(health, metrics)).await {
        tracing::error!(%error, "the admin port stopped");
    }
}

/// The local addresses media listens on. Beside a loopback address stand the host's own, so that a
/// browser on this machine finds a path whichever interface its candidates come from; in `dev` they
/// take traffic from this machine alone.
fn media_addresses(config: &Config, dev: bool) -> Vec<SocketAddr> {
    let SocketAddr::V4(_) = config.media_addr else {
        return vec![config.media_addr];
    };
    let ip = config.media_addr.ip();
    let mut addresses = BTreeSet::new();
    if !ip.is_unspecified() {
        addresses.insert(ip);
    }
    if ip.is_unspecified() || dev {
        addresses.insert(IpAddr::V4(Ipv4Addr::LOCALHOST));
        addresses.extend(host_addresses());
    }
    // The configured address, or loopback, comes first: it stands for the thread in the summary.
    let first = if ip.is_unspecified() {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    } else {
        ip
    };
    let mut sorted: Vec<IpAddr> = addresses.into_iter().collect();
    sorted.sort_by_key(|address| *address != first);
    sorted
        .into_iter()
        .map(|ip| SocketAddr::new(ip, config.media_addr.port()))
        .collect()
}

fn host_addresses() -> Vec<IpAddr> {
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => {
            let addresses = interfaces
                .into_iter()
                .filter(|interface| interface.is_oper_up());
            let usable = addresses.map(|interface| interface.ip());
            usable
                .filter(
                    |ip| matches!(ip, IpAddr::V4(v4) if !v4.is_loopback() && !v4.is_link_local()),
                )
                .collect()
        }
        Err(error) => {
            tracing::warn!(%error, "the host's own addresses cannot be read");
            Vec::new()
        }
    }
}

/// What to put in SDP: where a thread listens, and the address it has outside.
fn offered(mut addresses: Vec<SocketAddr>, config: &Config) -> Vec<SocketAddr> {
    if let (Some(ip), Some(first)) = (config.advertise_addr, addresses.first().copied()) {
        addresses.push(SocketAddr::new(ip, first.port()));
    }
    addresses
}

fn domains(config: &Config, http_addr: SocketAddr) -> Vec<String> {
    let configured = config
        .sip_domains
        .iter()
        .map(|domain| domain.to_ascii_lowercase());
    let listeners = [http_addr.ip(), config.sip_addr.ip()]
        .into_iter()
        .chain(config.advertise_addr);
    let mut domains: BTreeSet<String> = configured.chain(ALIASES.map(str::to_owned)).collect();
    domains.extend(
        listeners
            .filter(|ip| !ip.is_unspecified())
            .map(|ip| ip.to_string()),
    );
    domains.extend(host_addresses().into_iter().map(|ip| ip.to_string()));
    domains.insert(Ipv4Addr::LOCALHOST.to_string());
    domains.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_background_task_that_ends_is_told_by_its_name() {
        let mut background = Background::default();
        background.spawn("healthy", std::future::pending());
        background.spawn("fragile", async { panic!("it broke") });
        let failure = background.failure().await.to_string();
        assert!(
            failure.starts_with("fragile stopped by itself:"),
            "{failure}"
        );
        assert!(failure.contains("it broke"), "{failure}");
        background.spawn("brief", std::future::ready(()));
        let failure = background.failure().await.to_string();
        assert_eq!(failure, "brief stopped by itself: Ok(())");
    }

    #[tokio::test]
    async fn a_task_that_can_begin_anew_does() {
        let metrics = Arc::new(Metrics::default());
        let (began, mut begun) = mpsc::channel(1);
        let mut background = Background::default();
        background.keep("fragile", &metrics, move || {
            let began = began.clone();
            async move {
                began.send(()).await.unwrap();
                panic!("it broke");
            }
        });
        for _ in 0..2 {
            begun.recv().await.unwrap();
        }
        assert!(metrics.panics_total.load(Ordering::Relaxed) > 0);
    }
}
