//! The command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use ringtrip_model::{AccountId, Actor, NewAccount, NewApiKey};
use ringtrip_store::Trail;
use serde_json::json;

use crate::clock::Clock;
use crate::config::Config;
use crate::node::{self, Node};
use crate::outbound::Outbound;
use crate::{backup, dev, key, logging, people};

/// An open, self-hosted telephony platform for browsers and phones.
#[derive(Debug, Parser)]
#[command(name = "ringtrip", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run on this machine alone, with two ready accounts: the first thing to try.
    Dev(DevArgs),
    /// Run a node.
    Serve(ConfigArgs),
    /// Bring the database to this version's schema.
    Migrate(ConfigArgs),
    /// Look at the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Manage accounts.
    Account {
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// Manage API keys.
    ApiKey {
        #[command(subcommand)]
        command: ApiKeyCommand,
    },
    /// Write the database into one file, while it is in use or not.
    Backup {
        /// The file; it must not exist yet.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        #[arg(long, value_enum, default_value_t = Output::Human)]
        output: Output,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Fill an empty database from such a file.
    Restore {
        /// The file.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        #[arg(long, value_enum, default_value_t = Output::Human)]
        output: Output,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Manage the keys that seal secrets and sign access tokens.
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Manage the people who sign in to the portal.
    User {
        #[command(subcommand)]
        command: people::UserCommand,
    },
}

/// Options of `dev`.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Where accounts, keys and credentials are kept between runs.
    #[arg(long, value_name = "DIR", default_value = ".ringtrip")]
    pub(crate) data_dir: PathBuf,
    /// REST, portal and signalling; port 0 picks a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) http: SocketAddr,
    /// SIP; port 0 picks a free one. (This version has no SIP yet; the option is kept for scripts.)
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:5060")]
    pub(crate) sip: SocketAddr,
    /// Media over UDP; port 0 picks a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:3478")]
    pub(crate) media: SocketAddr,
    /// Keep nothing: a fresh start each time.
    #[arg(long)]
    pub(crate) ephemeral: bool,
    /// How to print the summary.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The configuration file; without one, defaults and the environment.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Say whether the configuration can be used.
    Check(ConfigArgs),
    /// Print the effective configuration.
    Print(ConfigArgs),
}

#[derive(Debug, Subcommand)]
enum AccountCommand {
    /// Create an account.
    Create {
        /// Its e-mail address: its name here.
        #[arg(long, value_name = "E")]
        email: String,
        #[arg(long, value_enum, default_value_t = Output::Human)]
        output: Output,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

#[derive(Debug, Subcommand)]
enum ApiKeyCommand {
    /// Create an API key and show it, this once.
    Create {
        /// The account's e-mail address.
        #[arg(long, value_name = "E")]
        account: String,
        /// What the key is for.
        #[arg(long, value_name = "N", default_value = "")]
        name: String,
        #[arg(long, value_enum, default_value_t = Output::Human)]
        output: Output,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Bring in new keys; a running server goes on with them by itself.
    Rotate {
        /// Rotate one of them alone.
        #[arg(long, value_enum, value_name = "KEY")]
        only: Option<RotatedKey>,
        #[arg(long, value_enum, default_value_t = Output::Human)]
        output: Output,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Show which keys are in use.
    List {
        #[arg(long, value_enum, default_value_t = Output::Human)]
        output: Output,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// What can be rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RotatedKey {
    /// The key that seals secrets in the database.
    Encryption,
    /// The key that signs access tokens.
    Signing,
}

/// How a command prints its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Human,
    /// One line of JSON.
    Json,
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Dev(args) => dev::run(args).await,
            Command::Serve(args) => serve(load(&args)?).await,
            Command::Migrate(args) => migrate(&load(&args)?).await,
            Command::Config {
                command: ConfigCommand::Check(args),
            } => {
                let config = load(&args)?;
                if let Some(files) = config.tls_files() {
                    files.load()?;
                }
                Outbound::new(
                    &config.webhook_allowed_targets,
                    config.outbound_ca_file.as_deref(),
                )?;
                print("The configuration can be used.")
            }
            Command::Config {
                command: ConfigCommand::Print(args),
            } => print(load(&args)?.without_secrets().to_toml().trim_end()),
            Command::Account {
                command:
                    AccountCommand::Create {
                        email,
                        output,
                        config,
                    },
            } => create_account(&load(&config)?, &email, output).await,
            Command::ApiKey {
                command:
                    ApiKeyCommand::Create {
                        account,
                        name,
                        output,
                        config,
                    },
            } => create_api_key(&load(&config)?, &account, &name, output).await,
            Command::Backup { to, output, config } => {
                backup::back_up(&load(&config)?, &to, output).await
            }
            Command::Restore {
                from,
                output,
                config,
            } => backup::restore(&load(&config)?, &from, output).await,
            Command::Key {
                command:
                    KeyCommand::Rotate {
                        only,
                        output,
                        config,
                    },
            } => key::rotate(&load(&config)?, only, output).await,
            Command::Key {
                command: KeyCommand::List { output, config },
            } => key::list(&load(&config)?, output).await,
            Command::User { command } => people::run(command).await,
        }
    })
}

pub(crate) fn load(args: &ConfigArgs) -> anyhow::Result<Config> {
    Ok(Config::load(args.config.as_deref(), std::env::vars())?)
}

/// Prints one block to standard output, flushed.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush().context("standard output cannot be written")
}

async fn serve(config: Config) -> anyhow::Result<()> {
    logging::start(&config.log, config.log_format)?;
    let clock = Clock::start();
    let claims = node::claim(&config).await?;
    let store = node::open_store(&config, Path::new(".")).await?;
    let people = store.clone();
    let node = Node::start(node::Options::serve(config.clone()), claims, store, clock).await?;
    let (address, scheme) = (
        node.http_addr(),
        if node.is_secure() { "https" } else { "http" },
    );
    people::print_setup_link(&people, &config, address).await?;
    tracing::info!(http.addr = %address, "ringtrip serves REST and signalling on {scheme}://{address}");
    node.run_until_signal().await
}

/// Does something to an account in the name of the operator, for its audit log.
pub(crate) async fn as_operator<T>(
    action: &'static str,
    account: AccountId,
    clock: Clock,
    work: impl Future<Output = T>,
) -> T {
    let trail = Trail::new(action, None, clock.wall());
    trail.identify(account, Actor::Operator);
    trail.cover(work).await
}

async fn migrate(config: &Config) -> anyhow::Result<()> {
    node::open_store(config, Path::new("."))
        .await?
        .close()
        .await;
    print("The database is up to date.")
}

async fn create_account(config: &Config, email: &str, output: Output) -> anyhow::Result<()> {
    let clock = Clock::start();
    let store = node::open_store(config, Path::new(".")).await?;
    let mut rng = node::system_generator()?;
    let new = NewAccount::new(email, "", clock.wall(), &mut rng)?;
    let id = new.account().id;
    let account = as_operator("create", id, clock, store.insert_account(new))
        .await
        .with_context(|| format!("the account {email} cannot be made"))?;
    store.close().await;
    match output {
        Output::Human => print(&format!(
            "Created account {} for {email}.\nNext: ringtrip api-key create --account {email}",
            account.id
        )),
        Output::Json => {
            print(&json!({"user_id": account.id.to_string(), "email": account.email}).to_string())
        }
    }
}

async fn create_api_key(
    config: &Config,
    email: &str,
    name: &str,
    output: Output,
) -> anyhow::Result<()> {
    let clock = Clock::start();
    let store = node::open_store(config, Path::new(".")).await?;
    let mut rng = node::system_generator()?;
    let account = store.account_by_email(email).await?;
    let account = account.with_context(|| format!("there is no account for {email}"))?;
    let (new, key) = NewApiKey::new(account.id, name, None, clock.wall(), &mut rng)?;
    let row = as_operator("create", account.id, clock, store.insert_api_key(new)).await?;
    store.close().await;
    match output {
        Output::Human => print(&format!(
            "{}\nKeep it now: it is not shown again.",
            key.expose()
        )),
        Output::Json => print(
            &json!({"id": row.id.to_string(), "name": name, "api_key": key.expose()}).to_string(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_documented_form_is_accepted() {
        for line in [
            "ringtrip dev",
            "ringtrip dev --data-dir d --http 127.0.0.1:0 --sip 127.0.0.1:0 --media 127.0.0.1:0 --ephemeral --output json",
            "ringtrip serve --config ringtrip.toml",
            "ringtrip migrate",
            "ringtrip config check",
            "ringtrip config print",
            "ringtrip account create --email a@b.example --output json",
            "ringtrip api-key create --account a@b.example --name ci --output json",
            "ringtrip backup --to ringtrip.backup",
            "ringtrip backup --to ringtrip.backup --config ringtrip.toml --output json",
            "ringtrip restore --from ringtrip.backup",
            "ringtrip key rotate",
            "ringtrip key rotate --only encryption --output json",
            "ringtrip key rotate --only signing --config ringtrip.toml",
            "ringtrip key list",
            "ringtrip user invite --account a@b.example --email c@b.example --role admin",
            "ringtrip user reset-password --email c@b.example --output json",
            "ringtrip user setup-link",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
    }
}
