//! A full disk and a locked database cost writes, and nothing else.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use support::http::{Http, Rest};
use support::phone::{Phone, call};
use support::process::Server;

const CREDENTIALS: &str = "/v2/telephony_credentials";

async fn create(rest: &mut Rest, connection: &str) -> u16 {
    let body = json!({"connection_id": connection, "name": "n".repeat(200)});
    let response = rest.call("POST", CREDENTIALS, Some(&body)).await;
    match response.status {
        201 => 201,
        // Whatever the fault is, it is told in the envelope.
        other => {
            response.envelope(503);
            other
        }
    }
}

/// What goes on while nothing can be written: reads, tokens, logins, calls.
async fn all_but_writes_goes_on(server: &Server, alice: &mut Phone, bob: &mut Phone, leg: &str) {
    let mut rest = server.rest(0).await;
    let listed = rest.data("GET", CREDENTIALS, None).await;
    assert!(!listed.as_array().unwrap().is_empty());
    let credential = server.said("/accounts/0/credentials/0/id");
    let token = rest.token(&credential).await;
    Phone::log_in(server.http, &token)
        .await
        .expect_undisturbed()
        .await;
    let mut http = Http::connect(server.http).await;
    assert_eq!(http.get("/livez").await.status, 200);
    for phone in [&mut *alice, &mut *bob] {
        phone.expect_undisturbed().await;
    }
    let dtmf = json!({"dtmf": "5", "dialogParams": {"callID": leg}});
    let answer = alice.ask("telnyx_rtc.info", dtmf).await;
    assert!(answer.get("error").is_none(), "{answer}");
    assert_eq!(bob.event("telnyx_rtc.info").await["dtmf"], "5");
}

/// Two people in a call.
async fn in_call(server: &Server) -> (Phone, Phone, String) {
    let mut alice = server.phone(0, 0).await;
    let mut bob = server.phone(0, 1).await;
    let (leg, _) = call(&mut alice, &mut bob).await;
    (alice, bob, leg)
}

/// Writes into a file until the disk is full.
fn fill(path: &Path) {
    let mut ballast = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    let mut chunk = vec![0x5e; 64 * 1024];
    while !chunk.is_empty() {
        if ballast.write_all(&chunk).is_err() {
            chunk.truncate(chunk.len() / 2);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_writes_are_refused_until_there_is_room_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::dev_on_small_disk(folder.path(), "16m") else {
        eprintln!("this system lets nobody mount a small disk: not tried");
        return;
    };
    let disk = server.disk(folder.path());
    let connection = server.said("/accounts/0/connection_id");
    let (mut alice, mut bob, leg) = in_call(&server).await;
    let mut rest = server.rest(0).await;

    for round in 1..=2 {
        let ballast = disk.join("ballast");
        fill(&ballast);
        // What the database has reserved already can still be used.
        let mut writes = 0;
        while create(&mut rest, &connection).await == 201 {
            writes += 1;
            assert!(writes < 50_000, "the disk is not full");
            fill(&ballast);
        }
        for _ in 0..20 {
            create(&mut rest, &connection).await;
        }
        all_but_writes_goes_on(&server, &mut alice, &mut bob, &leg).await;

        std::fs::remove_file(&ballast).unwrap();
        let mut refused = 0;
        while create(&mut rest, &connection).await != 201 {
            refused += 1;
            assert!(refused < 1000, "round {round}: there is room again");
        }
        let total =
            rest.call("GET", CREDENTIALS, None).await.json()["meta"]["total_results"].clone();
        assert!(total.as_u64().unwrap() >= writes, "{total}");
    }
    let ended = alice.bye(&leg).await;
    assert!(ended.get("error").is_none(), "{ended}");
    server
        .wait_for_metric("ringtrip_leg_records_total", |legs| legs >= 2)
        .await;
    assert_eq!(server.metric("ringtrip_panics_total").await, 0);
}

/// Another program that holds the database's lock until its input ends.
fn lock(database: &Path) -> Child {
    let program = "import sqlite3, sys\n\
                   database = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                   database.execute('BEGIN IMMEDIATE')\n\
                   print('locked', flush=True)\n\
                   sys.stdin.read()\n";
    let mut child = Command::new("python3")
        .args(["-c", program])
        .arg(database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "locked\n");
    child
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_another_program_locks_the_database_only_writes_wait() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let connection = server.said("/accounts/0/connection_id");
    let (mut alice, mut bob, leg) = in_call(&server).await;
    let mut rest = server.rest(0).await;
    let mut other = lock(&folder.path().join("ringtrip.db"));
    let refused = {
        let connection = connection.clone();
        let mut rest = server.rest(0).await;
        tokio::spawn(async move { create(&mut rest, &connection).await })
    };
    all_but_writes_goes_on(&server, &mut alice, &mut bob, &leg).await;
    assert_eq!(refused.await.unwrap(), 503);
    drop(other.stdin.take());
    other.wait().unwrap();
    assert_eq!(create(&mut rest, &connection).await, 201);
}
