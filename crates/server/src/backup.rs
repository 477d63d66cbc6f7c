//! `ringtrip backup` and `ringtrip restore`.

use std::path::Path;

use anyhow::Context;
use ringtrip_store::BackupSummary;
use serde_json::json;

use crate::cli::{Output, print};
use crate::clock::Clock;
use crate::config::Config;
use crate::node;

/// Writes the database into a new file.
pub(crate) async fn back_up(config: &Config, to: &Path, output: Output) -> anyhow::Result<()> {
    let clock = Clock::start();
    let mut rng = node::system_generator()?;
    let summary = ringtrip_store::back_up(&config.database_url, to, clock.wall(), &mut rng)
        .await
        .context("there is no backup")?;
    match output {
        Output::Human => print(&format!(
            "Wrote {} rows to {}.\nThe key file is not in it: to restore it, {} with {} is needed. Keep a copy \
             in another place.",
            summary.rows,
            to.display(),
            config.key_file.display(),
            keys(&summary),
        )),
        Output::Json => print(&said(&summary)),
    }
}

/// Fills an empty database from a file.
pub(crate) async fn restore(config: &Config, from: &Path, output: Output) -> anyhow::Result<()> {
    // Nobody serves from a database while it is replaced.
    let _claims = node::claim(config).await?;
    let mut rng = node::system_generator()?;
    let store = node::store_config(config, Path::new("."));
    let summary = ringtrip_store::restore(&store, from, &mut rng)
        .await
        .context("nothing was restored")?;
    match output {
        Output::Human => print(&format!(
            "Restored {} rows as they were at {}.",
            summary.rows,
            summary.made_at.to_label()
        )),
        Output::Json => print(&said(&summary)),
    }
}

fn keys(summary: &BackupSummary) -> String {
    let keys = summary.encryption_keys.join(", ");
    match summary.encryption_keys.len() {
        1 => format!("key {keys}"),
        _ => format!("keys {keys}"),
    }
}

fn said(summary: &BackupSummary) -> String {
    json!({
        "rows": summary.rows,
        "schema": summary.schema,
        "made_at": summary.made_at.to_string(),
        "encryption_key_ids": summary.encryption_keys,
    })
    .to_string()
}
