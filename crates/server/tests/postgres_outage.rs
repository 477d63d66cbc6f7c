//! Postgres is restarted under load: errors while it is away, nothing acknowledged lost, and nobody has
//! to restart the server. Alone in its file: other tests share that Postgres.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use support::http::Rest;
use support::phone::Phone;
use support::site::Site;
use support::soon;
use tokio::sync::watch;

const OUTAGES: u64 = 3;
const WRITERS: usize = 10;
/// Each writer asks so often: about 200 requests a second in all.
const PACE: Duration = Duration::from_millis(50);
/// Writes that each writer must be told of after an outage.
const WRITES_AFTER: u64 = 20;

const CREDENTIALS: &str = "/v2/telephony_credentials";

/// Has the script that started Postgres stop or start it.
fn postgres(what: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/with-postgres");
    let done = Command::new(script).arg(what).output().unwrap();
    assert!(
        done.status.success(),
        "{what}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// What a writer was told.
#[derive(Debug, Default)]
struct Told {
    /// Names by id, as last acknowledged.
    rows: BTreeMap<String, String>,
    gone: Vec<String>,
    /// Answered with 503: done or not.
    unknown: Vec<Unknown>,
}

#[derive(Debug)]
enum Unknown {
    Create(String),
    Update(String, String),
    Delete(String),
}

struct Writer {
    number: usize,
    connection: String,
    /// Whether an error is an error of the test.
    calm: Arc<AtomicBool>,
    /// Writes acknowledged since the last outage ended.
    since: Arc<AtomicU64>,
    told: Told,
}

impl Writer {
    async fn write(mut self, mut rest: Rest, stop: watch::Receiver<bool>) -> Told {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut next = 0_u64;
        while !*stop.borrow() {
            pace.tick().await;
            next += 1;
            let name = format!("w{}x{next}", self.number);
            let row = self.told.rows.keys().next().cloned();
            let (method, target, body, unknown) = match (next % 4, row) {
                (2, Some(id)) => {
                    let body = json!({"name": name});
                    let target = format!("{CREDENTIALS}/{id}");
                    ("PATCH", target, Some(body), Unknown::Update(id, name))
                }
                (3, Some(id)) => {
                    let target = format!("{CREDENTIALS}/{id}");
                    ("DELETE", target, None, Unknown::Delete(id))
                }
                _ => {
                    let body = json!({"name": name, "connection_id": self.connection});
                    (
                        "POST",
                        CREDENTIALS.to_owned(),
                        Some(body),
                        Unknown::Create(name),
                    )
                }
            };
            let was_calm = self.calm.load(Ordering::SeqCst);
            let response = rest.call(method, &target, body.as_ref()).await;
            if response.status >= 300 {
                response.envelope(503);
                let calm = was_calm && self.calm.load(Ordering::SeqCst);
                assert!(!calm, "an error without an outage: {}", response.text());
                // Whether it is there is found out at the end; it is left alone until then.
                if let Unknown::Update(id, _) | Unknown::Delete(id) = &unknown {
                    self.told.rows.remove(id);
                }
                self.told.unknown.push(unknown);
                continue;
            }
            self.since.fetch_add(1, Ordering::SeqCst);
            let row = response.json()["data"].clone();
            let id = row["id"].as_str().unwrap().to_owned();
            match unknown {
                Unknown::Create(name) | Unknown::Update(_, name) => {
                    assert_eq!(row["name"], name);
                    self.told.rows.insert(id, name);
                }
                Unknown::Delete(_) => {
                    self.told.rows.remove(&id);
                    self.told.gone.push(id);
                }
            }
        }
        self.told
    }
}

async fn list(rest: &mut Rest) -> BTreeMap<String, Value> {
    let mut rows = BTreeMap::new();
    for page in 1.. {
        let target = format!("{CREDENTIALS}?page[size]=250&page[number]={page}");
        let json = rest.call("GET", &target, None).await.json();
        let data = json["data"].as_array().unwrap();
        if data.is_empty() {
            assert_eq!(json["meta"]["total_results"], rows.len(), "an honest total");
            break;
        }
        for row in data {
            rows.insert(row["id"].as_str().unwrap().to_owned(), row.clone());
        }
    }
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_of_postgres_cost_errors_while_it_is_away_and_nothing_else() {
    let Some(site) = Site::on_postgres() else {
        return;
    };
    let key = site.account("ops@acme.example");
    let server = site.serve();
    let mut rest = Rest::connect(server.http, &key).await;
    let connection =
        json!({"connection_name": "all", "user_name": "everybody1", "password": "correcthorse"});
    let connection = rest
        .data("POST", "/v2/credential_connections", Some(&connection))
        .await;
    let connection = connection["id"].as_str().unwrap().to_owned();
    let body = json!({"connection_id": connection, "name": "alice"});
    let alice = rest.data("POST", CREDENTIALS, Some(&body)).await;
    let token = rest.token(alice["id"].as_str().unwrap()).await;
    let mut phone = Phone::log_in(server.http, &token).await;

    let calm = Arc::new(AtomicBool::new(true));
    let (stop, stopping) = watch::channel(false);
    let counts: Vec<Arc<AtomicU64>> = (0..WRITERS).map(|_| Arc::default()).collect();
    let mut writers = tokio::task::JoinSet::new();
    for (number, since) in counts.iter().enumerate() {
        let writer = Writer {
            number,
            connection: connection.clone(),
            calm: Arc::clone(&calm),
            since: Arc::clone(since),
            told: Told::default(),
        };
        let rest = Rest::connect(server.http, &key).await;
        writers.spawn(writer.write(rest, stopping.clone()));
    }
    let everybody = async |counts: &[Arc<AtomicU64>], writes: u64| {
        let mut pace = tokio::time::interval(PACE);
        while counts
            .iter()
            .any(|count| count.load(Ordering::SeqCst) < writes)
        {
            pace.tick().await;
        }
    };
    for _ in 0..OUTAGES {
        soon("writes", everybody(&counts, WRITES_AFTER)).await;
        calm.store(false, Ordering::SeqCst);
        postgres("stop");
        // Somebody meets the outage; who is logged in stays, and logs in again from what is known.
        let body = json!({"connection_id": connection});
        let refused = rest.call("POST", CREDENTIALS, Some(&body)).await;
        refused.envelope(503);
        phone.expect_undisturbed().await;
        Phone::log_in(server.http, &token).await;
        postgres("start");
        for count in &counts {
            count.store(0, Ordering::SeqCst);
        }
        // Once everybody was served again there are no more errors.
        soon("writes after an outage", everybody(&counts, 2)).await;
        calm.store(true, Ordering::SeqCst);
    }
    soon("writes", everybody(&counts, WRITES_AFTER)).await;
    stop.send(true).unwrap();

    let all_told = writers.join_all().await;
    let mut found = list(&mut rest).await;
    let (mut kept, mut unknown) = (0, 0);
    for told in all_told {
        for (id, name) in &told.rows {
            let row = found.remove(id).unwrap_or_else(|| panic!("{name} is lost"));
            assert_eq!(row["name"], name.as_str());
            kept += 1;
        }
        for id in &told.gone {
            assert!(!found.contains_key(id), "{id} is back");
        }
        for open in told.unknown {
            unknown += 1;
            match open {
                Unknown::Create(name) => {
                    let made: Vec<String> = found
                        .iter()
                        .filter(|(_, row)| row["name"] == name.as_str())
                        .map(|(id, _)| id.clone())
                        .collect();
                    assert!(made.len() <= 1, "one request made {made:?}");
                    for id in made {
                        found.remove(&id);
                    }
                }
                Unknown::Update(id, _) => assert!(found.remove(&id).is_some(), "{id} is lost"),
                Unknown::Delete(id) => drop(found.remove(&id)),
            }
        }
    }
    let left: Vec<_> = found.values().map(|row| row["name"].clone()).collect();
    assert_eq!(left, ["alice"], "rows that nobody was told of");
    println!("{OUTAGES} outages: {kept} rows kept, {unknown} writes refused while it was away");
    phone.expect_undisturbed().await;
}
