//! The configuration: one TOML file, every key also in the environment (`RINGTRIP_…` wins), unknown
//! keys refused with a suggestion. Zero configuration gives a working node.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ringtrip_model::Money;
use serde::{Deserialize, Serialize};

use crate::http::tls::TlsFiles;
use crate::logging;
use crate::network::Network;
use crate::outbound::Target;

/// Everything an operator can set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where REST, the signalling WebSocket and the portal listen.
    pub(crate) http_addr: SocketAddr,
    /// Where metrics and verbose health listen in `serve`; keep it private.
    pub(crate) admin_addr: SocketAddr,
    /// The certificate of the HTTP port, then those that lead to its root, as a PEM file: with it, and
    /// `tls_key`, the port speaks HTTPS and WSS alone. Read again on SIGHUP.
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key of that certificate, as a PEM file.
    pub(crate) tls_key: Option<PathBuf>,
    /// Proxies in front of the HTTP port, as addresses or networks: what they say of a client's
    /// address and of TLS is believed.
    pub(crate) trusted_proxies: Vec<Network>,
    /// Origins whose pages may open the signalling WebSocket; any if there are none. Apps have no origin.
    pub(crate) websocket_origins: Vec<String>,
    /// Connections to the HTTP port that one source may have; 0 means any number. Trusted proxies
    /// have any number.
    pub(crate) max_connections_per_source: usize,
    /// Requests a second of one API key, over ten seconds; 0 means any number.
    pub(crate) rate_limit_per_key: u32,
    /// Requests a second of one source without a key or with a wrong one, over ten seconds; 0 means
    /// any number.
    pub(crate) rate_limit_per_source: u32,
    /// Seconds that live calls have to end once the node is asked to stop; 0 means none.
    pub(crate) drain_timeout_secs: u64,
    /// Where SIP listens.
    pub(crate) sip_addr: SocketAddr,
    /// First media address: thread *i* uses this port + *i*. An unspecified IP means every address
    /// of this host.
    pub(crate) media_addr: SocketAddr,
    /// The address to put in SDP beside the host's own: the public one, behind NAT.
    pub(crate) advertise_addr: Option<IpAddr>,
    /// Media threads; 0 means one for each core.
    pub(crate) media_threads: usize,
    /// Calls this node takes at once.
    pub(crate) max_calls: usize,
    /// Where the data is: `sqlite://path` or `postgres://user:password@host/database`.
    pub(crate) database_url: String,
    /// How nodes talk: `local:` for a single one.
    pub(crate) bus_url: String,
    /// The key that seals secrets in the database; lives outside it.
    pub(crate) key_file: PathBuf,
    /// Names that are ours in a SIP URI, beside the listeners' hosts, `localhost`, `sip.telnyx.com`
    /// and `rtc.telnyx.com`.
    pub(crate) sip_domains: Vec<String>,
    /// Days for which entries of the audit log are kept; 0 means for ever.
    pub(crate) retention_audit_events_days: u32,
    /// Days for which the events of calls are kept; 0 means for ever.
    pub(crate) retention_call_events_days: u32,
    /// Days for which call records are kept; 0 means for ever.
    pub(crate) retention_call_records_days: u32,
    /// Days for which clients' reports about their calls are kept; 0 means for ever.
    pub(crate) retention_call_reports_days: u32,
    /// What `/v2/balance` says every account has, such as `"12.50"`. ringtrip does not bill: it never moves.
    pub(crate) balance: Money,
    /// What `/v2/balance` says every account may owe.
    pub(crate) credit_limit: Money,
    /// The currency of both, and of detail records: three capital letters (ISO 4217).
    pub(crate) currency: String,
    /// Days for which deliveries of webhooks are kept; 0 means for ever.
    pub(crate) retention_webhook_deliveries_days: u32,
    /// Where webhooks may go beside the public internet and beside the ports 80 and 443: addresses,
    /// networks and hosts, each with or without a port, such as `10.0.0.0/8`, `192.168.1.7:9000`,
    /// `hooks.internal:*`.
    pub(crate) webhook_allowed_targets: Vec<String>,
    /// Certificate authorities (PEM) that requests to others trust beside those that browsers trust.
    pub(crate) outbound_ca_file: Option<PathBuf>,
    /// Where people reach this server, such as `https://phone.example.org`: for the links that it makes.
    pub(crate) public_url: Option<String>,
    /// Who may become a person of this server: `open`, `invitation` or `closed`.
    pub(crate) sign_up: SignUp,
    /// What is logged, such as `info` or `info,ringtrip_media=debug`.
    pub(crate) log: String,
    /// `human` or `json`; unset means human on a terminal and JSON otherwise.
    pub(crate) log_format: Option<LogFormat>,
}

/// Who may become a person of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SignUp {
    /// Anybody, with an account of their own.
    Open,
    /// Whoever an account invites.
    Invitation,
    /// Whom the operator invites on the command line.
    Closed,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Human,
    /// One object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self {
            http_addr: SocketAddr::new(any, 8080),
            admin_addr: SocketAddr::new(loopback, 9090),
            tls_cert: None,
            tls_key: None,
            trusted_proxies: Vec::new(),
            websocket_origins: Vec::new(),
            max_connections_per_source: 10_000,
            rate_limit_per_key: 1000,
            rate_limit_per_source: 100,
            drain_timeout_secs: 1800,
            sip_addr: SocketAddr::new(any, 5060),
            media_addr: SocketAddr::new(any, 3478),
            advertise_addr: None,
            media_threads: 0,
            max_calls: 10_000,
            database_url: "sqlite://ringtrip.db".to_owned(),
            bus_url: "local:".to_owned(),
            key_file: PathBuf::from("ringtrip.key"),
            sip_domains: Vec::new(),
            retention_audit_events_days: 365,
            retention_call_events_days: 30,
            retention_call_records_days: 0,
            retention_call_reports_days: 30,
            balance: Money::ZERO,
            credit_limit: Money::ZERO,
            currency: "USD".to_owned(),
            retention_webhook_deliveries_days: 30,
            webhook_allowed_targets: Vec::new(),
            outbound_ca_file: None,
            public_url: None,
            sign_up: SignUp::Invitation,
            log: "info".to_owned(),
            log_format: None,
        }
    }
}

/// How a key's text in the environment is read.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Number,
    List,
}

const KEYS: [(&str, Kind); 33] = [
    ("http_addr", Kind::Text),
    ("admin_addr", Kind::Text),
    ("tls_cert", Kind::Text),
    ("tls_key", Kind::Text),
    ("trusted_proxies", Kind::List),
    ("websocket_origins", Kind::List),
    ("max_connections_per_source", Kind::Number),
    ("rate_limit_per_key", Kind::Number),
    ("rate_limit_per_source", Kind::Number),
    ("drain_timeout_secs", Kind::Number),
    ("sip_addr", Kind::Text),
    ("media_addr", Kind::Text),
    ("advertise_addr", Kind::Text),
    ("media_threads", Kind::Number),
    ("max_calls", Kind::Number),
    ("database_url", Kind::Text),
    ("bus_url", Kind::Text),
    ("key_file", Kind::Text),
    ("sip_domains", Kind::List),
    ("retention_audit_events_days", Kind::Number),
    ("retention_call_events_days", Kind::Number),
    ("retention_call_records_days", Kind::Number),
    ("retention_call_reports_days", Kind::Number),
    ("balance", Kind::Text),
    ("credit_limit", Kind::Text),
    ("currency", Kind::Text),
    ("retention_webhook_deliveries_days", Kind::Number),
    ("webhook_allowed_targets", Kind::List),
    ("outbound_ca_file", Kind::Text),
    ("public_url", Kind::Text),
    ("sign_up", Kind::Text),
    ("log", Kind::Text),
    ("log_format", Kind::Text),
];

const PREFIX: &str = "RINGTRIP_";

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("the configuration file {path} cannot be read")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("line {line} of the configuration file {path} is not TOML: {problem}")]
    Syntax {
        path: PathBuf,
        line: usize,
        problem: String,
    },
    #[error("unknown key {key} in {place}{}", suggestion.map_or(String::new(), |s| format!("; did you mean {s}?")))]
    Unknown {
        key: String,
        place: String,
        suggestion: Option<&'static str>,
    },
    #[error("{name} must be a whole number")]
    Number { name: String },
    #[error("the configuration has a wrong value: {problem}")]
    Value { problem: String },
    #[error("{key}: {problem}")]
    Unusable { key: &'static str, problem: String },
}

impl Config {
    /// Reads the file, if one is given, then the environment, and checks the outcome.
    pub(crate) fn load(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut table = match path {
            Some(path) => read_file(path)?,
            None => toml::Table::new(),
        };
        let environment: BTreeMap<_, _> = environment.into_iter().collect();
        for (name, text) in environment {
            if let Some(suffix) = name.strip_prefix(PREFIX) {
                let key = suffix.to_ascii_lowercase();
                let kind = match known(&key, "the environment") {
                    Err(_) if is_of_a_service(suffix, &text) => continue,
                    kind => kind?,
                };
                table.insert(key, read_value(&name, kind, text)?);
            }
        }
        let config: Self =
            toml::Value::Table(table)
                .try_into()
                .map_err(|error: toml::de::Error| ConfigError::Value {
                    problem: one_line(&error.to_string()),
                })?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let unusable = |key, problem: &str| {
            Err(ConfigError::Unusable {
                key,
                problem: problem.to_owned(),
            })
        };
        let schemes = ["sqlite://", "postgres://", "postgresql://"];
        if !schemes
            .iter()
            .any(|scheme| self.database_url.starts_with(scheme))
        {
            return unusable("database_url", "must begin with sqlite:// or postgres://");
        }
        if self.bus_url != "local:" {
            return unusable("bus_url", "must be local:");
        }
        if let Some(url) = &self.public_url
            && !(url.starts_with("https://") || url.starts_with("http://"))
        {
            return unusable("public_url", "must begin with https:// or http://");
        }
        if self.media_threads > 256 {
            return unusable("media_threads", "must be at most 256");
        }
        if self.max_calls == 0 {
            return unusable("max_calls", "must be at least 1");
        }
        let letters = self.currency.bytes().all(|b| b.is_ascii_uppercase());
        if !letters || self.currency.len() != 3 {
            return unusable("currency", "must be three capital letters, such as USD");
        }
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => return unusable("tls_key", "must be set, since tls_cert is"),
            (None, Some(_)) => return unusable("tls_cert", "must be set, since tls_key is"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        for (key, rate) in [
            ("rate_limit_per_key", self.rate_limit_per_key),
            ("rate_limit_per_source", self.rate_limit_per_source),
        ] {
            if rate > 1_000_000 {
                return unusable(key, "must be at most 1000000");
            }
        }
        for origin in &self.websocket_origins {
            let parsed = origin
                .parse::<url::Url>()
                .map(|url| url.origin().ascii_serialization());
            if parsed.is_ok_and(|parsed| parsed == *origin) {
                continue;
            }
            let problem = format!("{origin} is no origin, such as https://app.example");
            return unusable("websocket_origins", &problem);
        }
        for target in &self.webhook_allowed_targets {
            if let Err(error) = target.parse::<Target>() {
                return unusable("webhook_allowed_targets", &format!("{target} {error}"));
            }
        }
        if let Err(error) = logging::filter(&self.log) {
            return unusable("log", &error.to_string());
        }
        Ok(())
    }

    /// Returns how many media threads run.
    pub(crate) fn media_thread_count(&self) -> usize {
        match self.media_threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    /// Returns where the certificate and its key are, if the HTTP port speaks TLS.
    pub(crate) fn tls_files(&self) -> Option<TlsFiles> {
        Some(TlsFiles {
            certificate: self.tls_cert.clone()?,
            key: self.tls_key.clone()?,
        })
    }

    /// Returns it without the secrets in it, for people to look at.
    pub(crate) fn without_secrets(&self) -> Self {
        let mut shown = self.clone();
        let Ok(mut url) = shown.database_url.parse::<url::Url>() else {
            return shown;
        };
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let in_query = pairs.iter().any(|(key, _)| key == "password");
        if in_query {
            let hidden = pairs.into_iter().map(|(key, value)| match key.as_str() {
                "password" => (key, "***".to_owned()),
                _ => (key, value),
            });
            url.query_pairs_mut().clear().extend_pairs(hidden);
        }
        let in_front = url.password().is_some() && url.set_password(Some("***")).is_ok();
        if in_query || in_front {
            shown.database_url = url.into();
        }
        shown
    }

    /// Prints the effective configuration as TOML.
    pub(crate) fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_default()
    }
}

fn read_file(path: &Path) -> Result<toml::Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        ConfigError::Syntax {
            path: path.to_owned(),
            line: 1 + before.unwrap_or("").matches('\n').count(),
            problem: one_line(error.message()),
        }
    })?;
    for key in table.keys() {
        known(key, &path.display().to_string())?;
    }
    Ok(table)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn known(key: &str, place: &str) -> Result<Kind, ConfigError> {
    KEYS.iter()
        .find(|(name, _)| *name == key)
        .map(|(_, kind)| *kind)
        .ok_or_else(|| ConfigError::Unknown {
            key: key.to_owned(),
            place: place.to_owned(),
            suggestion: nearest(key),
        })
}

/// Tells whether a name is one that Kubernetes and Docker give the containers beside a service that is called
/// ringtrip, or ringtrip-something.
fn is_of_a_service(name: &str, value: &str) -> bool {
    let name = format!("_{name}");
    let is_address = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| value.starts_with(scheme));
    let is_part = ["_TCP_", "_UDP_", "_SCTP_"]
        .iter()
        .any(|protocol| name.contains("_PORT_") && name.contains(protocol));
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || is_part
        || (is_address && name.contains("_PORT"))
}

fn read_value(name: &str, kind: Kind, text: String) -> Result<toml::Value, ConfigError> {
    Ok(match kind {
        Kind::Text => toml::Value::String(text),
        Kind::Number => {
            toml::Value::Integer(text.trim().parse().map_err(|_| ConfigError::Number {
                name: name.to_owned(),
            })?)
        }
        Kind::List => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            toml::Value::Array(
                items
                    .map(|item| toml::Value::String(item.to_owned()))
                    .collect(),
            )
        }
    })
}

/// Finds the key that was probably meant: at most two edits away.
fn nearest(key: &str) -> Option<&'static str> {
    let (distance, name) = KEYS
        .iter()
        .map(|(name, _)| (edits(key, name), *name))
        .min()?;
    (distance <= 2).then_some(name)
}

/// Counts insertions, deletions and substitutions (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn the_password_of_the_database_is_not_shown() {
        let shown = |url: &str| {
            let config = Config {
                database_url: url.to_owned(),
                ..Config::default()
            };
            config.without_secrets().database_url
        };
        let url = "postgres://ann:se%2Fcret@db.example:5433/ringtrip?sslmode=require";
        assert_eq!(
            shown(url),
            "postgres://ann:***@db.example:5433/ringtrip?sslmode=require"
        );
        assert_eq!(
            shown("postgres://ann@db.example/x?password=secret&sslmode=require"),
            "postgres://ann@db.example/x?password=***&sslmode=require"
        );
        for plain in ["postgres://ann@db.example/x", "sqlite://data/ringtrip.db"] {
            assert_eq!(shown(plain), plain);
        }
    }

    #[test]
    fn nothing_set_gives_the_defaults() {
        assert_eq!(
            Config::load(None, environment(&[("PATH", "/bin")])).unwrap(),
            Config::default()
        );
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let file = file("http_addr = \"127.0.0.1:1\"\nmax_calls = 5\n");
        let config = Config::load(
            Some(file.path()),
            environment(&[
                ("RINGTRIP_HTTP_ADDR", "127.0.0.1:2"),
                ("RINGTRIP_SIP_DOMAINS", "a.example, b.example"),
                ("RINGTRIP_MEDIA_THREADS", "3"),
            ]),
        )
        .unwrap();
        assert_eq!(config.http_addr.port(), 2);
        assert_eq!(config.max_calls, 5);
        assert_eq!(config.sip_domains, ["a.example", "b.example"]);
        assert_eq!(config.media_thread_count(), 3);
    }

    #[test]
    fn what_kubernetes_says_of_a_service_of_this_name_is_no_configuration() {
        for (name, value) in [
            ("RINGTRIP_SERVICE_HOST", "10.0.0.1"),
            ("RINGTRIP_SERVICE_PORT", "8080"),
            ("RINGTRIP_SERVICE_PORT_HTTP", "8080"),
            ("RINGTRIP_PORT", "tcp://10.0.0.1:8080"),
            ("RINGTRIP_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("RINGTRIP_PORT_8080_TCP_PROTO", "tcp"),
            ("RINGTRIP_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("RINGTRIP_MEDIA_SERVICE_HOST", "10.0.0.2"),
        ] {
            let config = Config::load(None, environment(&[(name, value)]));
            assert_eq!(config.unwrap(), Config::default(), "{name}");
        }
        for name in ["RINGTRIP_HTTP_PORT", "RINGTRIP_PORT", "RINGTRIP_HOST"] {
            let config = Config::load(None, environment(&[(name, "8080")]));
            assert!(config.is_err(), "{name}");
        }
    }

    #[test]
    fn unknown_keys_are_refused_with_a_suggestion() {
        let file = file("htp_addr = \"127.0.0.1:1\"\n");
        let error = Config::load(Some(file.path()), []).unwrap_err().to_string();
        assert!(
            error.contains("htp_addr") && error.contains("did you mean http_addr?"),
            "{error}"
        );
        let error = Config::load(None, environment(&[("RINGTRIP_WIBBLE", "1")]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("unknown key wibble in the environment"),
            "{error}"
        );
        assert!(!error.contains("did you mean"), "{error}");
    }

    #[test]
    fn wrong_values_are_refused() {
        for (name, text) in [
            ("RINGTRIP_HTTP_ADDR", "localhost"),
            ("RINGTRIP_MAX_CALLS", "many"),
            ("RINGTRIP_MAX_CALLS", "0"),
            ("RINGTRIP_RETENTION_CALL_EVENTS_DAYS", "-1"),
            ("RINGTRIP_DATABASE_URL", "mysql://x"),
            ("RINGTRIP_BUS_URL", "smoke:"),
            ("RINGTRIP_BALANCE", "much"),
            ("RINGTRIP_CREDIT_LIMIT", "1e3"),
            ("RINGTRIP_CURRENCY", "usd"),
            ("RINGTRIP_TRUSTED_PROXIES", "127.0.0.1, proxy.example"),
            ("RINGTRIP_RATE_LIMIT_PER_KEY", "-1"),
            ("RINGTRIP_RATE_LIMIT_PER_SOURCE", "1000001"),
            ("RINGTRIP_DRAIN_TIMEOUT_SECS", "soon"),
            ("RINGTRIP_WEBHOOK_ALLOWED_TARGETS", "10.0.0.0/8,10.0.0.0/33"),
        ] {
            assert!(
                Config::load(None, environment(&[(name, text)])).is_err(),
                "{name}={text}"
            );
        }
    }

    #[test]
    fn every_key_is_read_printed_and_described() {
        let page = include_str!("../../../docs/configuration.md");
        let printed: toml::Table = Config::default().to_toml().parse().unwrap();
        for key in printed.keys() {
            assert!(
                KEYS.iter().any(|(name, _)| name == key),
                "{key} is not in KEYS"
            );
        }
        for (key, _) in KEYS {
            let upper = key.to_ascii_uppercase();
            let line = page.lines().find(|line| {
                line.starts_with(&format!("| `{key}` |"))
                    && line.contains(&format!("`{PREFIX}{upper}`"))
            });
            let line =
                line.unwrap_or_else(|| panic!("docs/configuration.md does not tell of {key}"));
            // The default stands there as it is printed.
            if let Some(value) = printed.get(key) {
                assert!(
                    line.contains(&format!("`{value}`")),
                    "{key} = {value}: {line}"
                );
            }
        }
    }

    #[test]
    fn certificate_and_key_belong_together() {
        for (set, missing) in [("TLS_CERT", "tls_key"), ("TLS_KEY", "tls_cert")] {
            let name = format!("RINGTRIP_{set}");
            let error = Config::load(None, environment(&[(&name, "x.pem")])).unwrap_err();
            assert!(error.to_string().starts_with(missing), "{error}");
        }
    }

    #[test]
    fn origins_are_written_as_browsers_send_them() {
        let load =
            |list: &str| Config::load(None, environment(&[("RINGTRIP_WEBSOCKET_ORIGINS", list)]));
        let config = load("https://app.example,http://localhost:5173").unwrap();
        assert_eq!(config.websocket_origins.len(), 2);
        for wrong in [
            "app.example",
            "https://app.example/",
            "https://App.example",
            "https://a:443",
        ] {
            let error = load(wrong).unwrap_err().to_string();
            assert!(error.starts_with("websocket_origins"), "{error}");
        }
    }

    #[test]
    fn printed_configuration_reads_back() {
        let config = Config {
            advertise_addr: Some([203, 0, 113, 9].into()),
            balance: "-12.5".parse().unwrap(),
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            tls_cert: Some("cert.pem".into()),
            tls_key: Some("key.pem".into()),
            ..Config::default()
        };
        let file = file(&config.to_toml());
        assert_eq!(Config::load(Some(file.path()), []).unwrap(), config);
    }
}
