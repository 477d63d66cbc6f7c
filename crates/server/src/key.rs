//! `ringtrip key`: rotates the keys of a database, and lists them.

use std::path::Path;

use anyhow::Context;
use serde_json::json;

use crate::cli::{Output, RotatedKey, print};
use crate::clock::Clock;
use crate::config::Config;
use crate::node;

/// Rotates the key that seals secrets, the key that signs access tokens, or both.
pub(crate) async fn rotate(
    config: &Config,
    only: Option<RotatedKey>,
    output: Output,
) -> anyhow::Result<()> {
    let clock = Clock::start();
    let store = node::open_store(config, Path::new(".")).await?;
    let mut rng = node::system_generator()?;
    let mut lines = Vec::new();
    let mut said = json!({});
    if only != Some(RotatedKey::Signing) {
        let id = store
            .rotate_encryption_key(clock.wall(), &mut rng)
            .await
            .context("the encryption key was not rotated")?;
        let resealed = store.reseal(|_| {}).await.with_context(|| {
            format!(
                "key {id} seals from now on; what other keys have sealed was not all sealed anew, \
                 which a running server or the next rotation finishes"
            )
        })?;
        lines.push(format!(
            "Encryption key {id} seals from now on; {} rows were sealed anew with it.\n\
             Keep a copy of {} beside your backups: the keys before it open older ones.",
            resealed.rows,
            config.key_file.display()
        ));
        if resealed.unopened > 0 {
            lines.push(format!(
                "{} rows cannot be opened and stay as they were; the log names them.",
                resealed.unopened
            ));
        }
        said["encryption_key_id"] = json!(id);
        said["resealed_rows"] = json!(resealed.rows);
        said["unopened_rows"] = json!(resealed.unopened);
    }
    if only != Some(RotatedKey::Encryption) {
        store
            .rotate_signing_key(clock.wall(), &mut rng)
            .await
            .context("the signing key was not rotated")?;
        let keys = store.signing_keys();
        let id = keys.first().context("no key signs")?.id;
        lines.push(format!(
            "Signing key {id} signs access tokens from now on; tokens of the key before it stay valid, \
             older ones do not."
        ));
        said["signing_key_id"] = json!(id.to_string());
    }
    store.close().await;
    match output {
        Output::Human => print(&lines.join("\n")),
        Output::Json => print(&said.to_string()),
    }
}

/// Lists the keys that the database was sealed with.
pub(crate) async fn list(config: &Config, output: Output) -> anyhow::Result<()> {
    let store = node::open_store(config, Path::new(".")).await?;
    let keys = store.encryption_keys().await?;
    let signing = store.signing_keys();
    store.close().await;
    let state = |index: usize, retired: bool| match (index, retired) {
        (0, _) => "seals",
        (_, false) => "opens",
        (_, true) => "retired",
    };
    match output {
        Output::Human => {
            let mut lines = Vec::new();
            for (index, key) in keys.iter().enumerate() {
                let state = state(index, key.retired_at.is_some());
                let place = if key.in_file {
                    ""
                } else {
                    ", not in the key file"
                };
                lines.push(format!("encryption key {}: {state}{place}", key.id));
            }
            for (index, key) in signing.iter().enumerate() {
                let state = if index == 0 { "signs" } else { "verifies" };
                lines.push(format!("signing key {}: {state}", key.id));
            }
            print(&lines.join("\n"))
        }
        Output::Json => {
            let encryption: Vec<_> = keys
                .iter()
                .enumerate()
                .map(|(index, key)| {
                    json!({
                        "id": key.id,
                        "state": state(index, key.retired_at.is_some()),
                        "in_key_file": key.in_file,
                    })
                })
                .collect();
            let signing: Vec<_> = signing
                .iter()
                .map(|key| json!({"id": key.id.to_string()}))
                .collect();
            print(&json!({"encryption_keys": encryption, "signing_keys": signing}).to_string())
        }
    }
}
