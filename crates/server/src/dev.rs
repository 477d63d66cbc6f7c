//! `ringtrip dev`: everything on loopback, two tenants with two credentials each, nothing to set up.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ringtrip_model::{
    Account, AccountId, ConnectionSettings, CredentialConnection, CredentialConnectionId,
    Generator, NewAccount, NewApiKey, NewCredentialConnection, NewOutboundVoiceProfile,
    NewTelephonyCredential, OutboundVoiceProfileId, PlainApiKey, ProfileSettings,
    TelephonyCredential, TelephonyCredentialId, TokenError, sign_access_token,
};
use ringtrip_store::Store;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::{DevArgs, Output, print};
use crate::clock::Clock;
use crate::config::Config;
use crate::logging;
use crate::node::{self, Node};

/// The tenants, and the people whose credentials they get. Two tenants, so that isolation can be
/// tried at once.
const TENANTS: [(&str, &str, [&str; 2]); 2] = [
    ("team@acme.example", "Acme", ["Alice", "Bob"]),
    ("team@globex.example", "Globex", ["Carol", "Dave"]),
];

/// What `dev.json` keeps between runs: what the database cannot give back.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    accounts: Vec<KeptAccount>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptAccount {
    email: String,
    api_key: String,
    connection_id: String,
    /// None where an earlier version made the account.
    #[serde(default)]
    outbound_voice_profile_id: Option<String>,
    credential_ids: Vec<String>,
}

/// A tenant that is ready to use.
#[derive(Debug, Clone)]
struct DevAccount {
    account: Account,
    api_key: String,
    connection: CredentialConnectionId,
    profile: OutboundVoiceProfileId,
    credentials: Vec<(&'static str, TelephonyCredential)>,
}

/// Runs until a signal ends it.
pub(crate) async fn run(args: DevArgs) -> anyhow::Result<()> {
    for (option, address) in [
        ("--http", args.http),
        ("--sip", args.sip),
        ("--media", args.media),
    ] {
        if !address.ip().is_loopback() {
            bail!(
                "{option} {address} is not on loopback. dev listens on loopback only; use serve for other addresses."
            );
        }
    }
    let filter = std::env::var("RINGTRIP_LOG").unwrap_or_else(|_| "info".to_owned());
    logging::start(&filter, None)?;
    let folder = Folder::open(&args)?;
    let config = Config {
        http_addr: args.http,
        sip_addr: args.sip,
        media_addr: args.media,
        media_threads: 1,
        database_url: format!("sqlite://{}", folder.path().join("ringtrip.db").display()),
        key_file: "ringtrip.key".into(),
        // Everybody is on this machine.
        max_connections_per_source: 0,
        rate_limit_per_key: 0,
        rate_limit_per_source: 0,
        drain_timeout_secs: 0,
        // Whoever develops receives webhooks on the same machine.
        webhook_allowed_targets: ["127.0.0.0/8:*", "[::1]:*"].map(str::to_owned).to_vec(),
        ..Config::default()
    };
    let clock = Clock::start();
    let mut rng = node::system_generator()?;
    let claims = node::claim(&config).await?;
    let store = node::open_store(&config, folder.path()).await?;
    let accounts = prepare(&store, folder.path(), clock, &mut rng).await?;
    let portal = DevPortal::new(store.clone(), clock, accounts.clone(), rng.fork());
    let node = Node::start(
        node::Options::dev(config, portal.clone()),
        claims,
        store,
        clock,
    )
    .await?;
    let summary = portal.summary(&node)?;
    match args.output {
        Output::Json => print(&summary.to_string())?,
        Output::Human => print(&human(&summary, &folder))?,
    }
    node.run_until_signal().await
}

/// The data folder; a temporary one is removed at the end.
enum Folder {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Folder {
    fn open(args: &DevArgs) -> anyhow::Result<Self> {
        if args.ephemeral {
            return Ok(Self::Temporary(
                tempfile::tempdir().context("no temporary folder can be made")?,
            ));
        }
        std::fs::create_dir_all(&args.data_dir)
            .with_context(|| format!("--data-dir {} cannot be made", args.data_dir.display()))?;
        Ok(Self::Kept(args.data_dir.clone()))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

/// Finds or makes the tenants. What exists is kept; what is missing is made anew.
async fn prepare(
    store: &Store,
    folder: &Path,
    clock: Clock,
    rng: &mut Generator,
) -> anyhow::Result<Vec<DevAccount>> {
    let path = folder.join("dev.json");
    let kept: Kept = match std::fs::read_to_string(&path) {
        Ok(text) => {
            serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Kept::default(),
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be read", path.display()));
        }
    };
    let mut ready = Vec::new();
    for (email, organization, people) in TENANTS {
        let known = kept.accounts.iter().find(|account| account.email == email);
        let account = match store.account_by_email(email).await? {
            Some(account) => account,
            None => {
                store
                    .insert_account(NewAccount::new(email, organization, clock.wall(), rng)?)
                    .await?
            }
        };
        let api_key = prepare_key(store, known, account.id, clock, rng).await?;
        let profile = prepare_profile(store, known, account.id, organization, clock, rng).await?;
        let place = (account.id, profile);
        let connection = prepare_connection(store, known, place, organization, clock, rng).await?;
        let mut credentials = Vec::new();
        for (index, person) in people.into_iter().enumerate() {
            let id = known.and_then(|known| known.credential_ids.get(index));
            let credential =
                prepare_credential(store, id, account.id, connection.id, person, clock, rng)
                    .await?;
            credentials.push((person, credential));
        }
        ready.push(DevAccount {
            account,
            api_key,
            connection: connection.id,
            profile,
            credentials,
        });
    }
    keep(&path, &ready)?;
    Ok(ready)
}

async fn prepare_key(
    store: &Store,
    known: Option<&KeptAccount>,
    account: AccountId,
    clock: Clock,
    rng: &mut Generator,
) -> anyhow::Result<String> {
    if let Some(known) = known
        && let Ok(key) = PlainApiKey::parse(&known.api_key)
        && let Some(holder) = store.identify_api_key(&key, clock.wall()).await?
        && holder.account == account
    {
        return Ok(known.api_key.clone());
    }
    let (new, key) = NewApiKey::new(account, "dev", None, clock.wall(), rng)?;
    store.insert_api_key(new).await?;
    Ok(key.expose().to_owned())
}

async fn prepare_profile(
    store: &Store,
    known: Option<&KeptAccount>,
    account: AccountId,
    organization: &str,
    clock: Clock,
    rng: &mut Generator,
) -> anyhow::Result<OutboundVoiceProfileId> {
    if let Some(id) = known.and_then(|known| known.outbound_voice_profile_id.as_ref())
        && let Ok(id) = id.parse()
        && store.outbound_voice_profile(account, id).await?.is_some()
    {
        return Ok(id);
    }
    let settings = ProfileSettings::default();
    let new = NewOutboundVoiceProfile::new(account, organization, settings, clock.wall(), rng)?;
    Ok(store.insert_outbound_voice_profile(new).await?.id)
}

/// A connection that exists is left as its owner has it.
async fn prepare_connection(
    store: &Store,
    known: Option<&KeptAccount>,
    (account, profile): (AccountId, OutboundVoiceProfileId),
    organization: &str,
    clock: Clock,
    rng: &mut Generator,
) -> anyhow::Result<CredentialConnection> {
    if let Some(id) = known.and_then(|known| known.connection_id.parse().ok())
        && let Some(connection) = store.credential_connection(account, id).await?
    {
        return Ok(connection);
    }
    let user_name = format!("{}{}", organization.to_lowercase(), rng.alphanumeric(12));
    let mut settings = ConnectionSettings::default();
    settings.outbound.outbound_voice_profile_id = Some(profile);
    let new = NewCredentialConnection::new(
        account,
        organization,
        user_name,
        rng.alphanumeric(24),
        settings,
        clock.wall(),
        rng,
    )?;
    Ok(store.insert_credential_connection(new).await?)
}

async fn prepare_credential(
    store: &Store,
    id: Option<&String>,
    account: AccountId,
    connection: CredentialConnectionId,
    person: &str,
    clock: Clock,
    rng: &mut Generator,
) -> anyhow::Result<TelephonyCredential> {
    let id: Option<TelephonyCredentialId> = id.and_then(|id| id.parse().ok());
    if let Some(id) = id
        && let Some(credential) = store.telephony_credential(account, id).await?
        && !credential.expired_at(clock.wall())
    {
        return Ok(credential);
    }
    let name = Some(person.to_owned());
    let new =
        NewTelephonyCredential::new(account, connection, name, None, None, clock.wall(), rng)?;
    Ok(store.insert_telephony_credential(new).await?)
}

/// Writes `dev.json` for its owner's eyes only.
fn keep(path: &Path, accounts: &[DevAccount]) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let accounts = accounts.iter().map(|ready| KeptAccount {
        email: ready.account.email.clone(),
        api_key: ready.api_key.clone(),
        connection_id: ready.connection.to_string(),
        outbound_voice_profile_id: Some(ready.profile.to_string()),
        credential_ids: ready
            .credentials
            .iter()
            .map(|(_, c)| c.id.to_string())
            .collect(),
    });
    let kept = Kept {
        accounts: accounts.collect(),
    };
    let draft = path.with_extension("json.new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(serde_json::to_string_pretty(&kept)?.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, path).with_context(|| format!("{} cannot be written", path.display()))
}

/// The ready credentials, for the summary and for the Phone page.
#[derive(Clone)]
pub(crate) struct DevPortal {
    store: Store,
    clock: Clock,
    accounts: Arc<Vec<DevAccount>>,
    rng: Arc<Mutex<Generator>>,
}

impl DevPortal {
    fn new(store: Store, clock: Clock, accounts: Vec<DevAccount>, rng: Generator) -> Self {
        Self {
            store,
            clock,
            accounts: Arc::new(accounts),
            rng: Arc::new(Mutex::new(rng)),
        }
    }

    fn accounts(&self) -> Result<Vec<Value>, TokenError> {
        let keys = self.store.signing_keys();
        let now = self.clock.wall();
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let mut accounts = Vec::new();
        for ready in self.accounts.iter() {
            let mut credentials = Vec::new();
            for (person, credential) in &ready.credentials {
                let token =
                    sign_access_token(&keys, credential.id, now, credential.expires_at, &mut rng)?;
                credentials.push(json!({
                    "id": credential.id.to_string(),
                    "label": person,
                    "sip_username": credential.sip_username,
                    "sip_password": credential.sip_password.expose(),
                    "token": token,
                }));
            }
            accounts.push(json!({
                "email": ready.account.email,
                "user_id": ready.account.id.to_string(),
                "api_key": ready.api_key,
                "connection_id": ready.connection.to_string(),
                "outbound_voice_profile_id": ready.profile.to_string(),
                "credentials": credentials,
            }));
        }
        Ok(accounts)
    }

    /// Says where everything is.
    fn summary(&self, node: &Node) -> anyhow::Result<Value> {
        let http = node.http_addr();
        Ok(json!({
            "portal_url": format!("http://{http}/"),
            "api_base": format!("http://{http}/v2"),
            "websocket_url": format!("ws://{http}"),
            "media": {"udp": node.media_addr().to_string()},
            "accounts": self.accounts()?,
        }))
    }

    /// Answers `GET /portal/dev`: to pages of this server, asked for under a loopback name, only.
    /// (A foreign page that points its own name at this address fails at the Host.)
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Response {
        if !is_same_origin_on_loopback(headers) {
            let problem = json!({"errors": [{
                "code": "10010",
                "title": "Not authorized",
                "detail": "The ready credentials are for this server's own page, opened under a loopback address.",
            }]});
            return (StatusCode::FORBIDDEN, axum::Json(problem)).into_response();
        }
        match self.accounts() {
            Ok(mut accounts) => {
                // The page needs tokens, and nothing that lasts longer.
                for account in &mut accounts {
                    withhold(account, "api_key");
                    for credential in account["credentials"].as_array_mut().into_iter().flatten() {
                        withhold(credential, "sip_password");
                    }
                }
                let mut response = axum::Json(json!({"accounts": accounts})).into_response();
                response
                    .headers_mut()
                    .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                response
            }
            Err(error) => {
                tracing::error!(%error, "the ready credentials cannot be given tokens");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

fn withhold(object: &mut Value, key: &str) {
    if let Some(object) = object.as_object_mut() {
        object.remove(key);
    }
}

fn is_same_origin_on_loopback(headers: &HeaderMap) -> bool {
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or("unreadable"))
    };
    let Some(host) = text("host") else {
        return false;
    };
    let origin_fits = text("origin").is_none_or(|origin| origin == format!("http://{host}"));
    let site_fits =
        text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    is_loopback_host(host) && origin_fits && site_fits
}

fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn human(summary: &Value, folder: &Folder) -> String {
    use std::fmt::Write;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut out = String::new();
    let mut line = |args: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = out.write_fmt(args);
        out.push('\n');
    };
    line(format_args!(
        "\nringtrip is ready. Open the Phone page and call yourself:\n"
    ));
    line(format_args!(
        "  Phone       {}",
        text(&summary["portal_url"])
    ));
    line(format_args!("  REST        {}", text(&summary["api_base"])));
    line(format_args!(
        "  WebSocket   {}",
        text(&summary["websocket_url"])
    ));
    line(format_args!(
        "  Media       udp {}",
        text(&summary["media"]["udp"])
    ));
    for account in summary["accounts"].as_array().into_iter().flatten() {
        line(format_args!("\nAccount {}", text(&account["email"])));
        line(format_args!("  API key     {}", text(&account["api_key"])));
        line(format_args!(
            "  Connection  {}",
            text(&account["connection_id"])
        ));
        line(format_args!(
            "  Profile     {}",
            text(&account["outbound_voice_profile_id"])
        ));
        for credential in account["credentials"].as_array().into_iter().flatten() {
            line(format_args!(
                "  {:<11} {}",
                text(&credential["label"]),
                text(&credential["sip_username"])
            ));
        }
    }
    let key = text(&summary["accounts"][0]["api_key"]);
    line(format_args!("\nPoint your app here:\n"));
    line(format_args!(
        "  export TELNYX_BASE_URL={}",
        text(&summary["api_base"])
    ));
    line(format_args!("  export TELNYX_API_KEY={key}"));
    line(format_args!(
        "  new TelnyxRTC({{ login_token, host: '{}', iceServers: [] }})",
        text(&summary["websocket_url"])
    ));
    match folder {
        Folder::Kept(path) => line(format_args!(
            "\nState is kept in {}. Stop with Ctrl-C.",
            path.display()
        )),
        Folder::Temporary(_) => line(format_args!(
            "\nNothing is kept (--ephemeral). Stop with Ctrl-C."
        )),
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(k, v)| ((*k).parse().unwrap(), HeaderValue::from_static(v)))
            .collect()
    }

    #[test]
    fn ready_credentials_go_to_our_own_page_only() {
        for (allowed, pairs) in [
            (true, &[("host", "127.0.0.1:8080")] as &[_]),
            (
                true,
                &[
                    ("host", "localhost:8080"),
                    ("sec-fetch-site", "same-origin"),
                ],
            ),
            (
                true,
                &[("host", "[::1]:8080"), ("origin", "http://[::1]:8080")],
            ),
            (false, &[("host", "evil.example:8080")]),
            (false, &[("host", "127.0.0.1.evil.example")]),
            (
                false,
                &[
                    ("host", "127.0.0.1:8080"),
                    ("origin", "http://evil.example"),
                ],
            ),
            (
                false,
                &[("host", "127.0.0.1:8080"), ("sec-fetch-site", "cross-site")],
            ),
            (
                false,
                &[("host", "localhost"), ("sec-fetch-site", "same-site")],
            ),
            (false, &[]),
        ] {
            assert_eq!(
                is_same_origin_on_loopback(&headers(pairs)),
                allowed,
                "{pairs:?}"
            );
        }
    }
}
