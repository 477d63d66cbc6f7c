//! The links that the operator hands to people, since no e-mail is sent: to the first sign-up, to an
//! account, to a new password.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context;
use clap::{Args, Subcommand};
use ringtrip_model::{
    INVITATION_LIFETIME, NewInvitation, PASSWORD_RESET_LIFETIME, PlainToken, Role,
};
use ringtrip_store::Store;
use serde_json::json;

use crate::cli::{ConfigArgs, Output, as_operator, load, print};
use crate::clock::Clock;
use crate::config::Config;
use crate::node;

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Invite somebody to an account: prints the link to join with, which works once.
    Invite {
        /// The account's e-mail address.
        #[arg(long, value_name = "E")]
        account: String,
        /// The e-mail address that they will sign in with.
        #[arg(long, value_name = "E")]
        email: String,
        /// owner, admin, developer or read_only.
        #[arg(long, value_name = "R", default_value = "owner", value_parser = role)]
        role: Role,
        #[command(flatten)]
        how: How,
    },
    /// Print a link to a new password, which works once.
    ResetPassword {
        /// The person's e-mail address.
        #[arg(long, value_name = "E")]
        email: String,
        #[command(flatten)]
        how: How,
    },
    /// Print a fresh link to the first person's sign-up; earlier ones work no more.
    SetupLink {
        #[command(flatten)]
        how: How,
    },
}

#[derive(Debug, Args)]
pub(crate) struct How {
    #[arg(long, value_enum, default_value_t = Output::Human)]
    output: Output,
    #[command(flatten)]
    config: ConfigArgs,
}

fn role(name: &str) -> Result<Role, String> {
    Role::from_name(name).ok_or_else(|| format!("must be one of {}", Role::NAMES.join(", ")))
}

/// Carries out a command about people.
pub(crate) async fn run(command: UserCommand) -> anyhow::Result<()> {
    let how = match &command {
        UserCommand::Invite { how, .. }
        | UserCommand::ResetPassword { how, .. }
        | UserCommand::SetupLink { how } => how,
    };
    let (config, output) = (load(&how.config)?, how.output);
    let store = node::open_store(&config, Path::new(".")).await?;
    let made = make(command, &store).await;
    store.close().await;
    let Link { page, token, words } = made?;
    let url = url(&base_url(&config, config.http_addr), page, &token);
    match output {
        Output::Human => print(&format!("{words}\n{url}")),
        Output::Json => print(&json!({"url": url}).to_string()),
    }
}

/// A link that was made, and what to say about it.
struct Link {
    page: &'static str,
    token: PlainToken,
    words: String,
}

async fn make(command: UserCommand, store: &Store) -> anyhow::Result<Link> {
    let clock = Clock::start();
    let mut rng = node::system_generator()?;
    match command {
        UserCommand::Invite {
            account,
            email,
            role,
            how: _,
        } => {
            let found = store.account_by_email(&account).await?;
            let id = found
                .with_context(|| format!("there is no account for {account}"))?
                .id;
            let (new, token) = NewInvitation::new(id, &email, role, None, clock.wall(), &mut rng)?;
            as_operator("create", id, clock, store.insert_invitation(new)).await?;
            let days = INVITATION_LIFETIME.as_secs() / 86_400;
            let words = format!(
                "{email} can join as {} with this link, once and within {days} days:",
                role.name()
            );
            Ok(Link {
                page: "invitation",
                token,
                words,
            })
        }
        UserCommand::ResetPassword { email, how: _ } => {
            let token = PlainToken::generate(&mut rng);
            let found = store.identify_user_email(&email).await?;
            let (user, _) = found.with_context(|| format!("nobody signs in with {email}"))?;
            let making = store.renew_password_reset_link(&email, token.hashed(), clock.wall());
            let made = as_operator("make_reset_link", user.account, clock, making).await?;
            made.with_context(|| format!("nobody signs in with {email}"))?;
            let hours = PASSWORD_RESET_LIFETIME.as_secs() / 3600;
            let words = format!(
                "{email} can choose a new password with this link, once and within {hours} hours:"
            );
            Ok(Link {
                page: "reset",
                token,
                words,
            })
        }
        UserCommand::SetupLink { how: _ } => {
            let token = setup_token(store).await?;
            let token = token.context("there are people already; invite more of them instead")?;
            Ok(Link {
                page: "setup",
                token,
                words: SETUP_WORDS.to_owned(),
            })
        }
    }
}

const SETUP_WORDS: &str = "Nobody can sign in to this server yet. Its owner makes the first sign-in with this link, which works once:";

/// Makes the link to the first sign-up anew; none if there are people already.
async fn setup_token(store: &Store) -> anyhow::Result<Option<PlainToken>> {
    let token = PlainToken::generate(&mut node::system_generator()?);
    let made = store.renew_setup_link(token.hashed()).await?;
    Ok(made.then_some(token))
}

/// Prints the link to the first sign-up while there is nobody.
pub(crate) async fn print_setup_link(
    store: &Store,
    config: &Config,
    http_addr: SocketAddr,
) -> anyhow::Result<()> {
    if let Some(token) = setup_token(store).await? {
        let url = url(&base_url(config, http_addr), "setup", &token);
        print(&format!("{SETUP_WORDS}\n{url}"))?;
    }
    Ok(())
}

/// Where people reach this server, as far as it knows.
fn base_url(config: &Config, http_addr: SocketAddr) -> String {
    if let Some(url) = &config.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let ip = match http_addr.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let scheme = if config.tls_files().is_some() {
        "https"
    } else {
        "http"
    };
    format!("{scheme}://{}", SocketAddr::new(ip, http_addr.port()))
}

/// A link to a page. The token stands behind `#`, which no browser sends.
fn url(base: &str, page: &str, token: &PlainToken) -> String {
    format!("{base}/{page}#{}", token.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_where_people_reach_the_server() {
        let config = |public: Option<&str>| Config {
            public_url: public.map(str::to_owned),
            ..Config::default()
        };
        for (public, address, expected) in [
            (None, "0.0.0.0:8080", "http://127.0.0.1:8080"),
            (None, "[::]:8080", "http://127.0.0.1:8080"),
            (None, "192.0.2.1:80", "http://192.0.2.1:80"),
            (
                Some("https://phone.example/"),
                "0.0.0.0:8080",
                "https://phone.example",
            ),
        ] {
            assert_eq!(
                base_url(&config(public), address.parse().unwrap()),
                expected
            );
        }
        let secure = Config {
            tls_cert: Some("cert.pem".into()),
            tls_key: Some("key.pem".into()),
            ..Config::default()
        };
        let address = "192.0.2.1:443".parse().unwrap();
        assert_eq!(base_url(&secure, address), "https://192.0.2.1:443");
    }
}
