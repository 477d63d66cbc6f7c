//! What the official SDKs were seen to put on the wire.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::support::{Answer, World};

struct Sdk {
    name: &'static str,
    agent: &'static str,
    /// What it declares when there is no body.
    bare_content_type: Option<&'static str>,
    zero_length: bool,
    empty_patch: &'static str,
}

const SDKS: &[Sdk] = &[
    Sdk {
        name: "node",
        agent: "Telnyx/JS 7.24.0",
        bare_content_type: None,
        zero_length: false,
        empty_patch: "{}",
    },
    Sdk {
        name: "python",
        agent: "Telnyx/Python 4.189.0",
        bare_content_type: Some("application/json"),
        zero_length: true,
        empty_patch: "{}",
    },
    Sdk {
        name: "php",
        agent: "telnyx/PHP 7.100.0",
        bare_content_type: Some("application/json"),
        zero_length: false,
        empty_patch: "[]",
    },
    Sdk {
        name: "ruby",
        agent: "Telnyx::Client/Ruby 5.163.0",
        bare_content_type: None,
        zero_length: true,
        empty_patch: "{}",
    },
    Sdk {
        name: "go",
        agent: "Telnyx/Go 4.97.0",
        bare_content_type: None,
        zero_length: false,
        empty_patch: "{}",
    },
];

impl Sdk {
    async fn send(
        &self,
        world: &World,
        method: &str,
        path: &str,
        body: Option<String>,
        accept: &str,
    ) -> Answer {
        // None of them is the repetition of another.
        static SENT: AtomicU32 = AtomicU32::new(0);
        let key = format!(
            "stainless-node-retry-{}",
            SENT.fetch_add(1, Ordering::Relaxed)
        );
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", world.alice.key))
            .header("accept", accept)
            .header("accept-encoding", "gzip, deflate, br, zstd")
            .header("user-agent", self.agent)
            .header("x-stainless-lang", self.name)
            .header("x-stainless-retry-count", "0")
            .header("x-stainless-timeout", "60")
            .header("idempotency-key", key);
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body)
            }
            None => {
                if let Some(content_type) = self.bare_content_type {
                    request = request.header("content-type", content_type);
                }
                if self.zero_length {
                    request = request.header("content-length", "0");
                }
                Body::empty()
            }
        };
        world.send(request.body(body).unwrap()).await
    }
}

#[tokio::test]
async fn each_sdk_leads_a_credential_through_its_life() {
    let world = World::new().await;
    let (json_type, text_type) = ("application/json", "text/plain");
    let root = "/v2/telephony_credentials";
    for sdk in SDKS {
        let body =
            json!({"connection_id": world.alice.connection, "name": "a b", "tag": "one two"})
                .to_string();
        let made = sdk.send(&world, "POST", root, Some(body), json_type).await;
        assert_eq!(made.status, 201, "{}", sdk.name);
        let path = format!("{root}/{}", made.id());

        let token = sdk
            .send(&world, "POST", &format!("{path}/token"), None, text_type)
            .await;
        assert_eq!(token.status, 201, "{}", sdk.name);
        assert!(token.header("content-type").starts_with(text_type));
        assert!(token.body.starts_with(b"eyJ"));

        let read = sdk.send(&world, "GET", &path, None, json_type).await;
        assert_eq!(read.json(), made.json(), "{}", sdk.name);
        let patched = sdk
            .send(
                &world,
                "PATCH",
                &path,
                Some(sdk.empty_patch.to_owned()),
                json_type,
            )
            .await;
        assert_eq!(patched.status, 200, "{} {patched:?}", sdk.name);
        for query in [
            "filter%5Btag%5D=one+two",
            "filter%5Btag%5D=one%20two",
            "filter[tag]=one%20two",
        ] {
            let listed = sdk
                .send(
                    &world,
                    "GET",
                    &format!("{root}?{query}&page%5Bsize%5D=1"),
                    None,
                    json_type,
                )
                .await;
            assert_eq!(
                listed.json()["meta"]["total_results"],
                1,
                "{} {query}",
                sdk.name
            );
        }
        let deleted = sdk.send(&world, "DELETE", &path, None, json_type).await;
        assert_eq!(deleted.status, 200, "{} {deleted:?}", sdk.name);
        assert_eq!(
            sdk.send(&world, "DELETE", &path, None, json_type)
                .await
                .status,
            404
        );

        let empty = sdk.send(&world, "POST", root, None, json_type).await;
        empty.assert_error(422, "10004", "/connection_id");
    }
}

#[tokio::test]
async fn the_defaults_that_php_sends_with_each_update_are_taken() {
    let world = World::new().await;
    let path = format!("/v2/credential_connections/{}", world.alice.connection);
    let body = json!({
        "active": true, "dtmf_type": "RFC 2833", "anchorsite_override": "Latency", "call_cost_in_webhooks": false,
        "default_on_hold_comfort_noise_enabled": true, "encode_contact_header_enabled": false,
        "onnet_t38_passthrough_enabled": false, "webhook_api_version": "1", "webhook_event_failover_url": "",
        "inbound": [], "outbound": [],
    });
    let answer = world.patch(&world.alice, &path, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.json()["data"]["default_on_hold_comfort_noise_enabled"],
        true
    );
}

#[tokio::test]
async fn the_defaults_that_the_java_sdk_of_2021_sends_are_taken() {
    let world = World::new().await;
    let body = json!({
        "connection_name": "Java", "user_name": "java2021", "password": "correct-horse",
        "anchorsite_override": "Latency", "dtmf_type": "RFC 2833", "sip_uri_calling_preference": "disabled",
        "default_on_hold_comfort_noise_enabled": true, "encode_contact_header_enabled": false,
        "onnet_t38_passthrough_enabled": false, "webhook_api_version": "1", "webhook_event_failover_url": "",
        "inbound": {
            "ani_number_format": "E.164-national", "dnis_number_format": "e164", "generate_ringback_tone": false,
            "isup_headers_enabled": false, "prack_enabled": false, "privacy_zone_enabled": false,
            "sip_compact_headers_enabled": true, "timeout_1xx_secs": 3, "timeout_2xx_secs": "90",
        },
    });
    let answer = world
        .post(&world.alice, "/v2/credential_connections", body)
        .await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json()["data"]["inbound"]["timeout_2xx_secs"], 90);
}

#[tokio::test]
async fn auto_paging_reaches_every_row_once_and_stops() {
    let world = World::new().await;
    let mut made = std::collections::BTreeSet::new();
    for _ in 0..7 {
        made.insert(
            world.credential(json!({})).await["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    for spelling in [
        "page%5Bnumber%5D=",
        "page_number=",
        "page[number]=1&page_number=",
    ] {
        let mut found = Vec::new();
        for page in 1.. {
            let path = format!("/v2/telephony_credentials?page[size]=3&{spelling}{page}");
            let answer = world.get(&world.alice, &path).await.json();
            found.extend(
                answer["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|c| c["id"].as_str().unwrap().to_owned()),
            );
            if answer["meta"]["page_number"].as_u64() >= answer["meta"]["total_pages"].as_u64() {
                break;
            }
        }
        assert_eq!(found.len(), 7, "{spelling}");
        assert_eq!(
            found.into_iter().collect::<std::collections::BTreeSet<_>>(),
            made,
            "{spelling}"
        );
    }
}
