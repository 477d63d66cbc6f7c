//! Which addresses a name has: by the hosts file, or else by the nameservers of this machine.
//!
//! The system's own lookup holds a thread until a nameserver has answered, whoever still waits for it. A
//! lookup here is a future like any other, and ends when it is dropped.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::read_system_conf;

/// How long a lookup may take, whatever the system's configuration says: less than a webhook's request.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often nameservers are asked within that time.
const ATTEMPTS: u32 = 3;
/// Answers that are kept.
const CACHED: u64 = 4096;
/// How long they are kept at most, even if they say they hold for longer.
const LONGEST_KEPT: Duration = Duration::from_secs(300);
/// The same for the answer that there is no such name: whoever has just made it should not wait.
const LONGEST_MISSED: Duration = Duration::from_secs(5);
/// Where the system's configuration is.
const FILES: [&str; 2] = ["/etc/hosts", "/etc/resolv.conf"];

/// The addresses of the hosts file by name in lower case, those of IPv4 first.
type Hosts = HashMap<String, Vec<IpAddr>>;

/// Looks up names.
pub(super) struct Names {
    patience: Duration,
    known: Mutex<Known>,
}

/// What the system's configuration said when it was last read.
struct Known {
    /// When the files were changed last; none if this is not of the files.
    changed: Option<[Option<SystemTime>; 2]>,
    hosts: Arc<Hosts>,
    nameservers: TokioResolver,
}

impl Names {
    /// Goes by the configuration of this machine.
    pub(super) fn of_system() -> anyhow::Result<Self> {
        Ok(Self {
            patience: PATIENCE,
            known: Mutex::new(Known::read(changed())?),
        })
    }

    /// Returns the addresses of a host, those of IPv4 first: a machine without a way to the IPv6
    /// internet should not try that before.
    ///
    /// # Errors
    /// The host has no address, or nobody could tell in time.
    pub(super) async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let (hosts, nameservers) = self.known();
        let plain = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if let Some(listed) = hosts.get(&plain) {
            return Ok(listed.clone());
        }
        // Hosts in URLs are ASCII, and some have underscores.
        let name = Name::from_ascii(host).map_err(io::Error::other)?;
        // Names below `localhost` are answered without asking (RFC 6761 §6.3).
        let found = tokio::time::timeout(self.patience, nameservers.lookup_ip(name)).await;
        let found = found.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        Ok(found.map_err(io::Error::other)?.iter().collect())
    }

    /// What is known, read again if a file has changed since: nameservers come and go with networks.
    fn known(&self) -> (Arc<Hosts>, TokioResolver) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.changed.is_some() {
            let changed = changed();
            if known.changed != Some(changed) {
                match Known::read(changed) {
                    Ok(read) => *known = read,
                    Err(error) => {
                        tracing::error!(%error, "names are looked up as before");
                        known.changed = Some(changed);
                    }
                }
            }
        }
        (Arc::clone(&known.hosts), known.nameservers.clone())
    }
}

impl Known {
    fn read(changed: [Option<SystemTime>; 2]) -> Result<Self, NetError> {
        let text = std::fs::read(FILES[0]).unwrap_or_else(|error| {
            tracing::warn!(%error, "{} cannot be read; names are asked of nameservers", FILES[0]);
            Vec::new()
        });
        let (config, options) = read_system_conf().unwrap_or_else(|error| {
            // What resolv.conf(5) says of a machine that names none.
            tracing::warn!(%error, "{} cannot be used; names are asked of 127.0.0.1", FILES[1]);
            let here = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![here]);
            (config, ResolverOpts::default())
        });
        Ok(Self {
            changed: Some(changed),
            hosts: Arc::new(hosts(&String::from_utf8_lossy(&text))),
            nameservers: asking(config, options, PATIENCE)?,
        })
    }
}

fn hosts(text: &str) -> Hosts {
    let mut hosts = Hosts::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(Ok(ip)) = words.next().map(str::parse::<IpAddr>) else {
            continue;
        };
        for name in words {
            hosts.entry(name.to_ascii_lowercase()).or_default().push(ip);
        }
    }
    for addresses in hosts.values_mut() {
        addresses.sort_by_key(IpAddr::is_ipv6);
    }
    hosts
}

/// When the files changed last. To ask takes no longer than what a lookup of the system asks, too.
fn changed() -> [Option<SystemTime>; 2] {
    FILES.map(|path| {
        std::fs::metadata(path)
            .and_then(|file| file.modified())
            .ok()
    })
}

fn asking(
    config: ResolverConfig,
    mut options: ResolverOpts,
    patience: Duration,
) -> Result<TokioResolver, NetError> {
    options.timeout = options.timeout.min(patience / ATTEMPTS);
    options.attempts = options.attempts.min(ATTEMPTS as usize - 1);
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = CACHED;
    options.positive_max_ttl = Some(LONGEST_KEPT);
    options.negative_max_ttl = Some(LONGEST_MISSED);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::net::UdpSocket;
    use tokio::task::JoinSet;

    use super::*;

    impl Names {
        /// Asks one nameserver, after these lines of a hosts file.
        pub(in crate::outbound) fn of(
            lines: &str,
            nameserver: SocketAddr,
            patience: Duration,
        ) -> Self {
            let mut server = NameServerConfig::udp(nameserver.ip());
            server.connections[0].port = nameserver.port();
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
            let mut options = ResolverOpts::default();
            options.timeout = patience;
            Self {
                patience,
                known: Mutex::new(Known {
                    changed: None,
                    hosts: Arc::new(hosts(lines)),
                    nameservers: asking(config, options, patience).unwrap(),
                }),
            }
        }
    }

    #[test]
    fn lookups_that_nobody_answers_hold_up_nothing_else() {
        const LOOKUPS: usize = 100;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        runtime.block_on(async {
            let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = silent.local_addr().unwrap();
            let patient = Arc::new(Names::of("", address, Duration::from_secs(3600)));
            let ended = Arc::new(AtomicUsize::new(0));
            let mut lookups = JoinSet::new();
            for n in 0..LOOKUPS {
                let (names, ended) = (Arc::clone(&patient), Arc::clone(&ended));
                lookups.spawn(async move {
                    let result = names.lookup(&format!("{n}.example")).await;
                    ended.fetch_add(1, Ordering::SeqCst);
                    result
                });
            }
            let mut query = [0; 512];
            for _ in 0..LOOKUPS {
                silent.recv(&mut query).await.unwrap();
            }
            let work = tokio::task::spawn_blocking(|| "done");
            assert_eq!(work.await.unwrap(), "done");
            assert_eq!(ended.load(Ordering::SeqCst), 0);
            // They end with whoever waited for them, and leave nothing behind.
            lookups.shutdown().await;
            assert_eq!(Arc::strong_count(&patient), 1);

            let hasty = Arc::new(Names::of("", address, Duration::from_millis(50)));
            for n in 0..LOOKUPS {
                let names = Arc::clone(&hasty);
                lookups.spawn(async move { names.lookup(&format!("{n}.example")).await });
            }
            let results = lookups.join_all().await;
            assert_eq!(results.len(), LOOKUPS);
            assert!(results.iter().all(Result::is_err), "{results:?}");
            assert_eq!(tokio::task::spawn_blocking(|| 1).await.unwrap(), 1);
        });
    }

    #[tokio::test]
    async fn the_hosts_file_comes_first_and_localhost_needs_nobody() {
        // Nothing listens there.
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        let hosts = "2001:db8::1 hooks.internal\n192.0.2.1\tHooks.internal my_app # of_ours\n";
        let names = Names::of(hosts, nowhere, Duration::from_millis(100));
        let check = async |host: &str, expected: &[&str]| {
            let found = names.lookup(host).await.unwrap_or_default();
            let found: Vec<_> = found.iter().map(IpAddr::to_string).collect();
            assert_eq!(found, expected, "{host}");
        };
        check("hooks.internal", &["192.0.2.1", "2001:db8::1"]).await;
        check("hooks.internal.", &["192.0.2.1", "2001:db8::1"]).await;
        check("my_app", &["192.0.2.1"]).await;
        check("of_ours", &[]).await;
        check("localhost", &["127.0.0.1", "::1"]).await;
        check("a.localhost.", &["127.0.0.1", "::1"]).await;
        check("elsewhere.example", &[]).await;
        check("not a name", &[]).await;
    }

    #[tokio::test]
    async fn the_configuration_of_this_machine_can_be_used() {
        let found = Names::of_system().unwrap().lookup("localhost").await;
        assert!(found.unwrap().iter().all(IpAddr::is_loopback));
    }
}
