//! What the control plane costs, on SQLite and on Postgres: single requests, and lists in an account with
//! very many credentials.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;

use crate::rest::{self, Question, Rest};
use crate::server::{Server, Site, postgres_cpu};
use crate::table::{Table, quantile};
use crate::{AT_ONCE, Options, micros, read_all, say, target_folder};

/// Credentials under the connection that a filter narrows a list to.
const NARROW: usize = 992;
/// Connections, among which a part of a name is looked for.
const CONNECTIONS: usize = 992;

/// Where the data is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Engine<'a> {
    Sqlite,
    /// A server's URL, and the folder that its `data` is in.
    Postgres(&'a str, &'a Path),
}

impl Engine<'_> {
    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres(..) => "Postgres",
        }
    }

    /// What the database used beside the server's process.
    fn cpu(self) -> anyhow::Result<Duration> {
        match self {
            Self::Sqlite => Ok(Duration::ZERO),
            Self::Postgres(_, folder) => postgres_cpu(folder),
        }
    }
}

/// A server that is measured.
struct Bench<'a> {
    engine: Engine<'a>,
    server: Server,
    connections: Vec<Rest>,
}

impl Bench<'_> {
    /// Asks `count` times and notes what one request took of the server, and of Postgres beside it.
    /// The goal is for both together.
    async fn measure(
        &mut self,
        table: &mut Table,
        name: &str,
        goal_ms: Option<f64>,
        question: Question,
        count: usize,
    ) -> anyhow::Result<Vec<Vec<u8>>> {
        let engine = self.engine.name();
        let count = count.next_multiple_of(AT_ONCE);
        let connections = std::mem::take(&mut self.connections);
        let (before, database) = (self.server.cpu()?, self.engine.cpu()?);
        let (connections, round) = rest::round(connections, &question, count).await?;
        self.connections = connections;
        let after = self.server.cpu()?;
        let database = self.engine.cpu()?.saturating_sub(database);
        let each = |used: Duration| micros(used) / count as f64 / 1e3;
        let (own, database) = (each(after.since(before)), each(database));
        let row = format!("{engine}: {name}, CPU");
        match goal_ms {
            Some(goal) => table.goal(row, "ms", goal, own + database),
            None => table.note(row, "ms", own + database),
        }
        if let Engine::Postgres(..) = self.engine {
            table.note(format!("{engine}: {name}, of it Postgres"), "ms", database);
        }
        let mut times: Vec<f64> = round
            .latencies
            .iter()
            .map(|time| time.as_secs_f64() * 1e3)
            .collect();
        table.note(
            format!("{engine}: {name} p50"),
            "ms",
            quantile(&mut times, 0.5),
        );
        Ok(round.results)
    }
}

/// Measures one engine.
pub(crate) async fn repetition(
    options: &Options,
    engine: Engine<'_>,
    table: &mut Table,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(target_folder(&options.server))?;
    let url = match engine {
        Engine::Sqlite => format!("sqlite://{}", folder.path().join("ringtrip.db").display()),
        Engine::Postgres(url, _) => new_database(url)?,
    };
    let site = Site::make(&options.server, folder.path(), &url)?;
    let (server, _) = Server::serve(&options.server, &site)?;
    let mut bench = Bench {
        connections: connect(&server).await?,
        engine,
        server,
    };
    let wide = bench.connection("wide").await?;
    let narrow = bench.connection("narrow").await?;

    // The first requests of a connection are its dearest; they are not what is measured.
    let create = Question::Create(wide.clone());
    let connections = std::mem::take(&mut bench.connections);
    let (connections, _) = rest::round(connections, &create, AT_ONCE * 4).await?;
    bench.connections = connections;
    let requests = options.requests;
    let made = bench
        .measure(table, "create a credential", None, create.clone(), requests)
        .await?;
    let credentials = read_all(&made)?;
    let token = Question::Token(credentials.clone());
    bench.measure(table, "token", None, token, requests).await?;
    let get = Question::Get(credentials.clone());
    bench
        .measure(table, "retrieve", None, get, requests)
        .await?;
    let profile = Question::Post(
        "/v2/outbound_voice_profiles",
        200,
        r#"{"name":"profile {n}"}"#.to_owned(),
    );
    bench
        .measure(table, "create a profile", None, profile, requests / 4)
        .await?;
    let list = "/v2/telephony_credentials";
    let first = Question::Read(vec![format!("{list}?page[size]=20")]);
    bench
        .measure(table, "list, 20 of a few", None, first.clone(), requests)
        .await?;

    let begun = Instant::now();
    for (connection, wanted) in [
        (narrow.clone(), NARROW),
        (wide.clone(), options.credentials),
    ] {
        let have = if connection == wide {
            credentials.len()
        } else {
            0
        };
        let count = wanted.saturating_sub(have).next_multiple_of(AT_ONCE);
        let connections = std::mem::take(&mut bench.connections);
        let (connections, _) =
            rest::round(connections, &Question::Create(connection), count).await?;
        bench.connections = connections;
    }
    let named = Question::Post(
        "/v2/credential_connections",
        201,
        r#"{"connection_name":"office {n}","user_name":"benchuser{n}","password":"correct horse"}"#
            .to_owned(),
    );
    let connections = std::mem::take(&mut bench.connections);
    let (connections, _) = rest::round(connections, &named, CONNECTIONS).await?;
    bench.connections = connections;
    say(&format!(
        "{}: {} credentials after {} s",
        engine.name(),
        options.credentials,
        begun.elapsed().as_secs()
    ))?;

    if let Engine::Postgres(..) = engine {
        // As autovacuum does within a minute.
        run_psql(&url, "VACUUM ANALYZE")?;
    }
    let deep = options.credentials / 250 - 4;
    let filters = credentials.iter().take(200);
    let by_user: Vec<String> = filters
        .map(|credential| format!("{list}?filter[sip_username]={}", credential.sip_username))
        .collect();
    let by_name = (0..200).map(|n| format!("{list}?filter[name]=load%20{n}"));
    let by_connection = format!("{list}?filter[resource_id]=connection:{narrow}&page[size]=20");
    let rows: [(&str, f64, Vec<String>, usize); 7] = [
        ("100,000: first page of 20", 1.0, vec![format!("{list}?page[size]=20")], 2000),
        ("100,000: by SIP user name", 1.0, by_user, 2000),
        ("100,000: by name", 1.0, by_name.collect(), 2000),
        ("100,000: by connection, 992 match", 1.0, vec![by_connection], 1000),
        (
            "100,000: page of 250 near the end",
            15.0,
            vec![format!("{list}?page[number]={deep}&page[size]=250")],
            200,
        ),
        (
            "100,000: total of a wide filter",
            15.0,
            vec![format!("{list}?filter[status]=active&page[size]=20")],
            200,
        ),
        (
            "part of a name among 994 connections",
            1.0,
            vec!["/v2/credential_connections?filter[connection_name][contains]=ice%2077&page[size]=20".to_owned()],
            1000,
        ),
    ];
    for (name, goal, paths, count) in rows {
        let question = Question::Read(paths);
        // The plan of a statement and the pages it needs are in memory when it is asked often.
        bench
            .measure(&mut Table::default(), name, None, question.clone(), AT_ONCE)
            .await?;
        bench
            .measure(table, name, Some(goal), question, count)
            .await?;
    }

    let Bench { server, .. } = bench;
    server.stop()?;
    let (server, took) = Server::serve(&options.server, &site)?;
    table.goal(
        format!("{}: 100,000: start until ready", engine.name()),
        "s",
        2.0,
        took.as_secs_f64(),
    );
    let mut bench = Bench {
        connections: connect(&server).await?,
        engine,
        server,
    };
    let everything: Vec<String> = (1..=options.credentials / 250)
        .map(|page| format!("{list}?page[number]={page}&page[size]=250"))
        .collect();
    let connections = std::mem::take(&mut bench.connections);
    let count = everything.len().next_multiple_of(AT_ONCE);
    let (connections, _) = rest::round(connections, &Question::Read(everything), count).await?;
    drop(connections);
    table.goal(
        format!(
            "{}: 100,000: resident after reading them all",
            engine.name()
        ),
        "MiB",
        100.0,
        bench.server.resident_kib()? as f64 / 1024.0,
    );
    Ok(())
}

async fn connect(server: &Server) -> anyhow::Result<Vec<Rest>> {
    crate::connections(server).await
}

impl Bench<'_> {
    /// Makes a connection; returns its id.
    async fn connection(&mut self, name: &str) -> anyhow::Result<String> {
        let body = format!(
            r#"{{"connection_name":"{name}","user_name":"bench{name}","password":"correct horse"}}"#
        );
        let rest = self.connections.first_mut().context("no connection")?;
        let answer = rest
            .ask("POST", "/v2/credential_connections", Some(&body))
            .await?
            .expect(201)?;
        let answer: Value = serde_json::from_slice(&answer)?;
        let id = answer["data"]["id"].as_str().context("no id")?;
        Ok(id.to_owned())
    }
}

/// Makes a database on a Postgres server; returns its URL.
fn new_database(url: &str) -> anyhow::Result<String> {
    let (base, _) = url.rsplit_once('/').context("the URL names no database")?;
    let name = format!("bench{}", std::process::id());
    let sql = format!("DROP DATABASE IF EXISTS {name}");
    for sql in [sql, format!("CREATE DATABASE {name}")] {
        run_psql(url, &sql)?;
    }
    Ok(format!("{base}/{name}"))
}

fn run_psql(url: &str, sql: &str) -> anyhow::Result<()> {
    let done = std::process::Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--command", sql, url])
        .status()?;
    anyhow::ensure!(done.success(), "{sql} failed");
    Ok(())
}
