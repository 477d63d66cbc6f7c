//! `ringtrip key rotate`, `backup` and `restore` beside a server that serves.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::database::Database;
use support::http::Rest;
use support::phone::Phone;
use support::process::Server;
use support::site::Site;
use support::soon;

const CREDENTIALS: &str = "/v2/telephony_credentials";

/// Makes a connection and some credentials; returns their ids.
async fn furnish(rest: &mut Rest) -> Vec<String> {
    let connection =
        json!({"connection_name": "all", "user_name": "everybody1", "password": "correcthorse"});
    let connection = rest
        .data("POST", "/v2/credential_connections", Some(&connection))
        .await;
    let mut ids = Vec::new();
    for _ in 0..30 {
        let body = json!({"connection_id": connection["id"]});
        let row = rest.data("POST", CREDENTIALS, Some(&body)).await;
        ids.push(row["id"].as_str().unwrap().to_owned());
    }
    ids
}

async fn rows(rest: &mut Rest) -> BTreeMap<String, Value> {
    let rows = rest
        .data("GET", &format!("{CREDENTIALS}?page[size]=250"), None)
        .await;
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| (row["id"].as_str().unwrap().to_owned(), row.clone()))
        .collect()
}

/// Waits until a server has said that it goes on with a signing key.
async fn goes_on_with(server: &Server, rotated: &Value) {
    let id = rotated["signing_key_id"].as_str().unwrap();
    soon("the server goes on with the new key", async {
        while !server.log().contains(id) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn log_in_is_refused(server: &Server, token: &str) {
    let mut stranger = Phone::connect(server.http).await;
    let answer = stranger.login(json!({"login_token": token})).await;
    assert!(answer.get("error").is_some(), "{answer}");
}

async fn rotate_beside_a_server(site: Site) {
    let key = site.account("ops@acme.example");
    let mut server = site.serve();
    let mut rest = Rest::connect(server.http, &key).await;
    let ids = furnish(&mut rest).await;
    let before = rows(&mut rest).await;
    let old_token = rest.token(&ids[0]).await;
    let mut phone = Phone::log_in(server.http, &old_token).await;
    let old = site.json(&["key", "list"]);

    let rotated = site.json(&["key", "rotate"]);
    assert_eq!(rotated["unopened_rows"], 0);
    // The server learns of it without a restart.
    goes_on_with(&server, &rotated).await;
    let new_token = rest.token(&ids[0]).await;
    Phone::log_in(server.http, &old_token).await;
    Phone::log_in(server.http, &new_token).await;
    phone.expect_undisturbed().await;
    assert_eq!(rows(&mut rest).await, before);
    // Nothing is sealed with the old key any more, whoever sealed it anew: the command, or the server meanwhile.
    let retired = async {
        loop {
            let keys = site.json(&["key", "list"]);
            if keys["encryption_keys"][1]["state"] == "retired" {
                return keys;
            }
            tokio::task::yield_now().await;
        }
    };
    let keys = soon("the old key to be retired", retired).await;
    let encryption = keys["encryption_keys"].as_array().unwrap();
    assert_eq!(encryption[0]["id"], rotated["encryption_key_id"]);
    assert_eq!(encryption[0]["state"], "seals");
    assert_eq!(encryption[1]["id"], old["encryption_keys"][0]["id"]);
    assert_eq!(keys["signing_keys"][1], old["signing_keys"][0]);
    assert!(!server.log().contains("ringtrip-key-1"));

    server.stop();
    server = site.serve();
    let mut rest = Rest::connect(server.http, &key).await;
    assert_eq!(rows(&mut rest).await, before);
    Phone::log_in(server.http, &old_token).await;

    let only = site.json(&["key", "rotate", "--only", "signing"]);
    assert!(only.get("encryption_key_id").is_none(), "{only}");
    goes_on_with(&server, &only).await;
    // Of the key before this one, so by the key that was new; the one before that is no more.
    Phone::log_in(server.http, &new_token).await;
    log_in_is_refused(&server, &old_token).await;
    let only = site.json(&["key", "rotate", "--only", "encryption"]);
    assert!(only.get("signing_key_id").is_none(), "{only}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_rotated_while_the_server_serves() {
    rotate_beside_a_server(Site::on_file()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_rotated_while_the_server_serves_on_postgres() {
    if let Some(site) = Site::on_postgres() {
        rotate_beside_a_server(site).await;
    }
}

/// Backs up one site beside its server and makes another one of it.
async fn move_to(site: Site, other: Database) {
    let key = site.account("ops@acme.example");
    let server = site.serve();
    let mut rest = Rest::connect(server.http, &key).await;
    let ids = furnish(&mut rest).await;
    let before = rows(&mut rest).await;
    let token = rest.token(&ids[0]).await;
    let file = site.folder().join("ringtrip.backup");
    let file = file.to_str().unwrap();
    let made = site.json(&["backup", "--to", file]);
    let again = site.run(&["backup", "--to", file]);
    assert!(again.refusal().contains("exists already"), "{again:?}");

    let other = Site::on(other, "");
    let no_key = other.run(&["restore", "--from", file]);
    assert!(no_key.refusal().contains("key"), "{no_key:?}");
    let key_file = |site: &Site| site.database().config().key_file;
    std::fs::copy(key_file(&site), key_file(&other)).unwrap();
    let restored = other.json(&["restore", "--from", file]);
    assert_eq!(restored, made);
    drop(server);
    let in_use = site.run(&["restore", "--from", file]);
    assert!(in_use.refusal().contains("in use"), "{in_use:?}");

    let server = other.serve();
    let mut rest = Rest::connect(server.http, &key).await;
    assert_eq!(rows(&mut rest).await, before);
    Phone::log_in(server.http, &token).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_beside_a_server_makes_another_one() {
    move_to(Site::on_file(), Database::on_file()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_moves_from_sqlite_to_postgres_and_back() {
    if let Some(site) = Site::on_postgres() {
        move_to(Site::on_file(), Database::new()).await;
        move_to(site, Database::on_file()).await;
    }
}
