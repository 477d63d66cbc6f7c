//! A write that was acknowledged is there after `kill -9`, exactly as acknowledged.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::http::{Http, Rest};
use support::phone::Phone;
use support::site::Site;
use tokio::sync::mpsc;

const ROUNDS: u64 = 20;
const WRITERS: usize = 16;
/// Acknowledged writes after which a round ends; the rounds end at different points of a cycle.
const WRITES_A_ROUND: u64 = 520;

const CREDENTIALS: &str = "/v2/telephony_credentials";
const CONNECTIONS: &str = "/v2/credential_connections";

/// What one writer was told about what it wrote, in one folder of the API.
#[derive(Debug, Default)]
struct Told {
    /// Rows as last acknowledged, by id.
    rows: BTreeMap<String, Value>,
    /// Ids of rows whose deletion was acknowledged.
    gone: Vec<String>,
    /// What the server had not answered when it died.
    open: Option<Open>,
}

#[derive(Debug)]
enum Open {
    /// The name that the new row would have.
    Create(String),
    /// A row and the name it would get.
    Update(String, String),
    Delete(String),
}

/// One writer's rows; it writes into its own, so that what must be there is certain.
#[derive(Debug)]
struct Ledger {
    writer: usize,
    next: u64,
    connection: String,
    credentials: Told,
    connections: Told,
}

impl Ledger {
    /// Writes until the server is gone.
    async fn write(&mut self, mut rest: Rest, acknowledged: &mpsc::UnboundedSender<()>) {
        loop {
            self.next += 1;
            let (path, told, name_key) = if self.next.is_multiple_of(5) {
                (CONNECTIONS, &mut self.connections, "connection_name")
            } else {
                (CREDENTIALS, &mut self.credentials, "name")
            };
            let label = format!("w{}x{}", self.writer, self.next);
            let tag = format!("writer {}", self.writer);
            let row = told
                .rows
                .keys()
                .nth(usize::try_from(self.next).unwrap() % 7)
                .cloned();
            let (method, target, body, open) = match (self.next % 4, row) {
                (2, Some(id)) => {
                    let body = json!({name_key: label});
                    (
                        "PATCH",
                        format!("{path}/{id}"),
                        Some(body),
                        Open::Update(id, label),
                    )
                }
                (3, Some(id)) => ("DELETE", format!("{path}/{id}"), None, Open::Delete(id)),
                _ => {
                    let body = if name_key == "name" {
                        json!({"name": label, "connection_id": self.connection, "tag": tag})
                    } else {
                        json!({"connection_name": label, "user_name": label, "password": "correcthorse"})
                    };
                    ("POST", path.to_owned(), Some(body), Open::Create(label))
                }
            };
            let Ok(response) = rest.send(method, &target, body.as_ref()).await else {
                told.open = Some(open);
                return;
            };
            assert!(
                response.status < 300,
                "{method} {target}: {}",
                response.text()
            );
            let row = response.json()["data"].clone();
            let id = row["id"].as_str().unwrap().to_owned();
            match open {
                Open::Create(name) => {
                    assert_eq!(row[name_key], name);
                    assert!(told.rows.insert(id, row).is_none(), "an id twice");
                }
                Open::Update(_, name) => {
                    assert_eq!(row[name_key], name);
                    told.rows.insert(id, row);
                }
                Open::Delete(_) => {
                    told.rows.remove(&id);
                    told.gone.push(id);
                }
            }
            // The test counts until its last round is over.
            let _ = acknowledged.send(());
        }
    }
}

/// Reads a whole list, page by page.
async fn list(rest: &mut Rest, path: &str) -> BTreeMap<String, Value> {
    let mut rows = BTreeMap::new();
    let mut page = 1;
    loop {
        let target = format!("{path}?page[size]=250&page[number]={page}");
        let response = rest.call("GET", &target, None).await;
        assert_eq!(response.status, 200, "{}", response.text());
        let json = response.json();
        for row in json["data"].as_array().unwrap() {
            let id = row["id"].as_str().unwrap().to_owned();
            assert!(rows.insert(id.clone(), row.clone()).is_none(), "{id} twice");
        }
        if page >= json["meta"]["total_pages"].as_u64().unwrap() {
            assert_eq!(json["meta"]["total_results"], rows.len(), "an honest total");
            return rows;
        }
        page += 1;
    }
}

/// Compares what is there with what a writer was told, takes over what it was not told, and removes
/// both from `found`.
fn settle(told: &mut Told, found: &mut BTreeMap<String, Value>, name_key: &str) {
    if let Some(Open::Create(name)) = &told.open {
        let made: Vec<String> = found
            .iter()
            .filter(|(_, row)| row[name_key] == name.as_str())
            .map(|(id, _)| id.clone())
            .collect();
        assert!(made.len() <= 1, "one request made {made:?}");
        for id in made {
            told.rows.insert(id.clone(), found[&id].clone());
        }
    }
    let open = told.open.take();
    let ids: Vec<String> = told.rows.keys().cloned().collect();
    for id in ids {
        let row = found.remove(&id);
        match (row, &open) {
            (None, Some(Open::Delete(deleted))) if *deleted == id => {
                told.rows.remove(&id);
                told.gone.push(id);
            }
            (None, _) => panic!("{id} is lost: {}", told.rows[&id]),
            (Some(row), Some(Open::Update(updated, name)))
                if *updated == id && row[name_key] == name.as_str() =>
            {
                // It was written and not answered: all of it must be there.
                let mut expected = told.rows[&id].clone();
                for key in [name_key, "updated_at"] {
                    expected[key] = row[key].clone();
                }
                assert_eq!(row, expected, "half an update");
                told.rows.insert(id, row);
            }
            (Some(row), _) => assert_eq!(row, told.rows[&id], "not as acknowledged"),
        }
    }
    for id in &told.gone {
        assert!(!found.contains_key(id), "{id} is back");
    }
}

/// Kills a server again and again under writers, and looks each time at what is left.
#[expect(clippy::print_stdout, reason = "what was tried is part of the result")]
async fn kill_again_and_again(site: &Site) {
    let key = site.account("ops@acme.example");
    let mut server = site.serve();
    let mut rest = Rest::connect(server.http, &key).await;
    let connection =
        json!({"connection_name": "all", "user_name": "everybody1", "password": "correcthorse"});
    let connection = rest.data("POST", CONNECTIONS, Some(&connection)).await;
    let connection = connection["id"].as_str().unwrap().to_owned();
    let body = json!({"connection_id": connection, "name": "first"});
    let first = rest.data("POST", CREDENTIALS, Some(&body)).await;
    let first_token = rest.token(first["id"].as_str().unwrap()).await;
    // What is there without the writers.
    let base = [
        list(&mut rest, CREDENTIALS).await,
        list(&mut rest, CONNECTIONS).await,
    ];
    let mut ledgers: Vec<Ledger> = (0..WRITERS)
        .map(|writer| Ledger {
            writer,
            next: 0,
            connection: connection.clone(),
            credentials: Told::default(),
            connections: Told::default(),
        })
        .collect();
    let mut tokens: Vec<(String, String)> = Vec::new();
    let (acknowledge, mut acknowledged) = mpsc::unbounded_channel();
    let mut total = 0;

    for round in 1..=ROUNDS {
        let target = round * WRITES_A_ROUND + round * 37 % 80;
        let mut writers = tokio::task::JoinSet::new();
        for mut ledger in ledgers {
            let rest = Rest::connect(server.http, &key).await;
            let acknowledge = acknowledge.clone();
            writers.spawn(async move {
                ledger.write(rest, &acknowledge).await;
                ledger
            });
        }
        while total < target {
            tokio::select! {
                _ = acknowledged.recv() => total += 1,
                ended = writers.join_next() => {
                    let ledger = ended.unwrap().unwrap();
                    panic!("the server went away by itself: {:?}", ledger.credentials.open);
                }
            }
        }
        server.kill();
        ledgers = writers.join_all().await;
        while acknowledged.try_recv().is_ok() {
            total += 1;
        }

        server = site.serve();
        let mut http = Http::connect(server.http).await;
        assert_eq!(http.get("/readyz").await.status, 200);
        let mut rest = Rest::connect(server.http, &key).await;
        let mut credentials = list(&mut rest, CREDENTIALS).await;
        let mut connections = list(&mut rest, CONNECTIONS).await;
        for ledger in &mut ledgers {
            settle(&mut ledger.credentials, &mut credentials, "name");
            settle(&mut ledger.connections, &mut connections, "connection_name");
        }
        for (left, base) in [(credentials, &base[0]), (connections, &base[1])] {
            assert_eq!(left, *base, "rows that nobody was told of");
        }

        // Tokens signed before the kill, in this round and in the first.
        Phone::log_in(server.http, &first_token).await;
        tokens.retain(|(id, _)| ledgers.iter().any(|l| l.credentials.rows.contains_key(id)));
        if let (Some((_, oldest)), Some((_, newest))) = (tokens.first(), tokens.last()) {
            Phone::log_in(server.http, oldest).await;
            Phone::log_in(server.http, newest).await;
        }
        let ledger = &ledgers[usize::try_from(round).unwrap() % WRITERS];
        if let Some(id) = ledger.credentials.rows.keys().last() {
            tokens.push((id.clone(), rest.token(id).await));
        }
    }
    let live: usize = ledgers
        .iter()
        .map(|ledger| ledger.credentials.rows.len() + ledger.connections.rows.len())
        .sum();
    println!("{ROUNDS} kills, {total} acknowledged writes, none lost; {live} rows at the end");
    assert!(total >= 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_kill_9() {
    kill_again_and_again(&Site::on_file()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_kill_9_on_postgres() {
    if let Some(site) = Site::on_postgres() {
        kill_again_and_again(&site).await;
    }
}
