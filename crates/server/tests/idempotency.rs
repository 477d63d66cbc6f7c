//! Creates with an `Idempotency-Key` across `kill -9`: each is carried out once.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::http::{Http, Response, Rest};
use support::process::Server;
use support::site::Site;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PATH: &str = "/v2/telephony_credentials";
const WRITERS: usize = 4;
const CREATES: usize = 10;

/// What every create of a test needs.
#[derive(Clone)]
struct Tenant {
    authorization: String,
    body: Vec<u8>,
}

impl Tenant {
    fn of(server: &Server) -> Self {
        let connection = server.said("/accounts/0/connection_id");
        Self {
            authorization: format!("Bearer {}", server.said("/accounts/0/api_key")),
            body: json!({"connection_id": connection})
                .to_string()
                .into_bytes(),
        }
    }

    async fn create(&self, http: &mut Http, key: &str) -> std::io::Result<Response> {
        let headers = [
            ("Authorization", self.authorization.as_str()),
            ("Idempotency-Key", key),
        ];
        http.send("POST", PATH, &headers, Some(&self.body)).await
    }
}

async fn total(server: &Server) -> u64 {
    let mut rest = server.rest(0).await;
    let list = rest.call("GET", PATH, None).await.json();
    list["meta"]["total_results"].as_u64().unwrap()
}

#[tokio::test]
async fn a_create_that_was_cut_off_is_sent_again_and_there_is_one_row() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let mut server = Server::dev(folder.path());
        let tenant = Tenant::of(&server);
        let before = total(&server).await;
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            let (tenant, address) = (tenant.clone(), server.http);
            writers.push(tokio::spawn(async move {
                let mut answered: Vec<(String, Value)> = Vec::new();
                let mut http = Http::connect(address).await;
                for number in 0..CREATES {
                    let key = format!("round-{round}:writer-{writer}:{number}");
                    match tenant.create(&mut http, &key).await {
                        Ok(response) => answered.push((key, response.json())),
                        // The server is gone.
                        Err(_) => break,
                    }
                }
                answered
            }));
        }
        // Somewhere in the middle, later in each round.
        while total(&server).await < before + 1 + round * 3 {
            tokio::task::yield_now().await;
        }
        server.kill();
        let mut answered = HashMap::new();
        for writer in writers {
            answered.extend(writer.await.unwrap());
        }

        let server = Server::dev(folder.path());
        let tenant = Tenant::of(&server);
        let mut http = Http::connect(server.http).await;
        for writer in 0..WRITERS {
            for number in 0..CREATES {
                let key = format!("round-{round}:writer-{writer}:{number}");
                let response = tenant.create(&mut http, &key).await.unwrap();
                assert_eq!(response.status, 201, "{key}: {}", response.text());
                if let Some(first) = answered.get(&key) {
                    assert_eq!(response.json(), *first, "{key}");
                    assert_eq!(
                        response.header("idempotent-replayed"),
                        Some("true"),
                        "{key}"
                    );
                }
            }
        }
        let made = (WRITERS * CREATES) as u64;
        assert_eq!(total(&server).await, before + made, "round {round}");
    }
}

/// How many creates are cut off from Postgres while they are committed.
const CUTS: usize = 100;

/// How a commit is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Postgres does not hear of it.
    Request,
    /// Nobody hears that it is done.
    Answer,
}

/// Stands between a server and Postgres, and cuts the connection that commits next when it is asked to.
#[derive(Debug)]
struct Cutter {
    address: SocketAddr,
    next: Arc<Mutex<Option<Cut>>>,
}

impl Cutter {
    async fn before(postgres: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let cutter = Self {
            address: listener.local_addr().unwrap(),
            next: Arc::default(),
        };
        let next = Arc::clone(&cutter.next);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&postgres).await.unwrap();
                let next = Arc::clone(&next);
                // Whichever end breaks off, the other one learns of it when both are dropped.
                tokio::spawn(async move { pass(client, server, &next).await });
            }
        });
        cutter
    }

    fn ask_for(&self, cut: Cut) {
        *self.next.lock().unwrap() = Some(cut);
    }
}

/// Passes on what either end says, until one of them ends or a commit is cut off.
async fn pass(
    mut client: TcpStream,
    mut server: TcpStream,
    next: &Mutex<Option<Cut>>,
) -> std::io::Result<()> {
    let (mut said, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            length = client.read(&mut said) => {
                let part = &said[..length?];
                let commits = part.windows(7).any(|bytes| bytes == b"COMMIT\0");
                let cut = if commits { next.lock().unwrap().take() } else { None };
                if part.is_empty() || cut == Some(Cut::Request) {
                    return Ok(());
                }
                server.write_all(part).await?;
                if cut == Some(Cut::Answer) {
                    // The answer, or its beginning: by then it is done.
                    let _ = server.read(&mut answered).await?;
                    return Ok(());
                }
            }
            length = server.read(&mut answered) => {
                let part = &answered[..length?];
                if part.is_empty() {
                    return Ok(());
                }
                client.write_all(part).await?;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_postgres_did_not_confirm_is_sent_again_and_there_is_one_row() {
    let Some(site) = Site::on_postgres() else {
        return;
    };
    let api_key = site.account("ops@acme.example");
    let url = site.database().config().url;
    let (user, place) = url.split_once('@').unwrap();
    let (postgres, name) = place.split_once('/').unwrap();
    let cutter = Cutter::before(postgres.to_owned()).await;
    let mut serve = site.command(&["serve"]);
    serve.env(
        "RINGTRIP_DATABASE_URL",
        format!("{user}@{}/{name}", cutter.address),
    );
    let server = Server::serve(serve);
    let mut rest = Rest::connect(server.http, &api_key).await;
    let body =
        json!({"connection_name": "desk", "user_name": "deskphones", "password": "correct horse"});
    let connection = rest
        .data("POST", "/v2/credential_connections", Some(&body))
        .await;
    let tenant = Tenant {
        authorization: format!("Bearer {api_key}"),
        body: json!({"connection_id": connection["id"]})
            .to_string()
            .into_bytes(),
    };
    let mut http = Http::connect(server.http).await;
    let (mut made, mut cut_off, mut replayed) = (0, 0, 0);
    while cut_off < CUTS {
        // The server writes for itself, too, so that now and then it is another commit that is cut off.
        assert!(made < 2 * CUTS, "of {made} creates {cut_off} were cut off");
        let key = format!("create:{made}");
        cutter.ask_for(if made % 2 == 0 {
            Cut::Request
        } else {
            Cut::Answer
        });
        let mut attempts = 0;
        let response = loop {
            let response = tenant.create(&mut http, &key).await.unwrap();
            attempts += 1;
            if response.status == 201 {
                break response;
            }
            assert!(attempts < 100, "{key}: {}", response.text());
            response.envelope(503);
        };
        made += 1;
        // The server may find out by itself that a create whose answer was cut off is done.
        let is_replayed = response.header("idempotent-replayed") == Some("true");
        cut_off += usize::from(attempts > 1 || is_replayed);
        replayed += usize::from(is_replayed);
    }
    let list = rest.call("GET", PATH, None).await.json();
    assert_eq!(list["meta"]["total_results"], made);
    // Some of the rows were there already, and some were not.
    assert!(
        replayed > 0 && replayed < cut_off,
        "{replayed} of {cut_off}"
    );
}
