//! Creates with an `Idempotency-Key` across `kill -9`: each is carried out once.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use std::collections::HashMap;

use serde_json::{Value, json};
use support::http::{Http, Response};
use support::process::Server;

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
