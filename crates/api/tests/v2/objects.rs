//! A thing of Alice's for every route that has an id in its path. A new resource gets an arm here; the tests that
//! go through the route table fail without it.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use crate::support::World;

/// Makes what `path` is about, for Alice, and returns its id.
///
/// # Panics
///
/// When it does not know how.
pub(crate) async fn object_of_alices(world: &World, path: &str) -> String {
    match resource(path) {
        "api_keys" => world
            .post(&world.alice, "/v2/api_keys", json!({}))
            .await
            .id(),
        "connections" | "credential_connections" => world.alice.connection.clone(),
        "outbound_voice_profiles" => {
            let body = json!({"name": "kept"});
            let made = world
                .post(&world.alice, "/v2/outbound_voice_profiles", body)
                .await;
            made.id()
        }
        "mobile_push_credentials" => {
            // Each has an alias of its own.
            let listed = world
                .get(&world.alice, "/v2/mobile_push_credentials")
                .await
                .json();
            let made = listed["meta"]["total_results"].as_u64().unwrap();
            let body = json!({
                "type": "ios",
                "alias": format!("kept {made}"),
                "certificate": "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----",
                "private_key": "-----BEGIN PRIVATE KEY-----\nMAMCAQI=\n-----END PRIVATE KEY-----",
            });
            let made = world
                .post(&world.alice, "/v2/mobile_push_credentials", body)
                .await;
            assert_eq!(made.status, 200, "{made:?}");
            made.id()
        }
        "phone_numbers" => {
            // Each is another number, since a number exists once, whosever it is.
            let listed = world.get(&world.alice, "/v2/phone_numbers").await.json();
            let taken = listed["meta"]["total_results"].as_u64().unwrap();
            let first = if world.alice.account < world.bob.account {
                1000
            } else {
                5000
            };
            let body = json!({"phone_number": format!("+1312555{:04}", first + taken)});
            let made = world.post(&world.alice, "/v2/phone_numbers", body).await;
            assert_eq!(made.status, 201, "{made:?}");
            made.id()
        }
        "voice_sdk_call_reports" => {
            let kept = world.store.insert_call_report(
                world.alice.account,
                "report-1",
                "call-1",
                "",
                "{}".to_owned(),
                ringtrip_model::Timestamp::from_micros(crate::support::START),
            );
            kept.await.unwrap();
            "call-1".to_owned()
        }
        "telephony_credentials" => {
            let credential = world.credential(json!({"name": "kept"})).await;
            credential["id"].as_str().unwrap().to_owned()
        }
        "trunks" => {
            // Names are unique, and some tests ask for many.
            static MADE: AtomicU32 = AtomicU32::new(0);
            let name = format!("kept {}", MADE.fetch_add(1, Ordering::Relaxed));
            let body = json!({"name": name, "host": "sip.carrier.example"});
            world.post(&world.alice, "/v2/trunks", body).await.id()
        }
        "webhook_deliveries" => {
            crate::webhook_deliveries::delivered(world, &world.alice, 1, None).await
        }
        other => {
            panic!("this test does not know how to make one of the {other}: add it to objects.rs")
        }
    }
}

/// Returns an id that looks right for `path` and that nothing has.
pub(crate) fn unknown_id(path: &str) -> &'static str {
    let (_, operation) = crate::document::operation_of_path(path);
    let parameters = operation["parameters"].as_array().unwrap();
    let parameter = parameters
        .iter()
        .find(|parameter| parameter["in"] == "path")
        .unwrap();
    if parameter["schema"]["format"] == "uuid" {
        "c215ade3-0d39-418e-94be-c5f780760199"
    } else {
        "1293384261075731499"
    }
}

/// Fills the braces of a path with the id of a thing of Alice's, so that only the key stands between a
/// stranger and an answer.
pub(crate) async fn path_of_alices(world: &World, path: &str) -> String {
    if !path.contains('{') {
        return path.to_owned();
    }
    let id = object_of_alices(world, path).await;
    filled(path, &id)
}

/// Puts an id where the braces are.
pub(crate) fn filled(path: &str, id: &str) -> String {
    let parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { id } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// Returns the part of a path that names its resource.
pub(crate) fn resource(path: &str) -> &str {
    path.split('/').nth(2).unwrap_or_default()
}
