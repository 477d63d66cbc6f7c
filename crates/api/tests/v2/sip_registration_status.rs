use ringtrip_model::{Generator, LegParty, MediaPolicy, SessionId};
use serde_json::{Value, json};

use crate::support::{World, contact};

#[tokio::test]
async fn a_users_registration_is_told_to_the_owner_of_its_credential() {
    let world = World::new().await;
    let credential = world.credential(json!({"name": "desk"})).await;
    let user = credential["sip_username"].as_str().unwrap();
    let path =
        format!("/v2/sip_registration_status?credential_type=telephony_credential&username={user}");
    let mut expected = json!({
        "connection_id": world.alice.connection, "connection_name": "main",
        "credential_type": "telephony_credential", "credential_username": user, "registered": false,
        "sip_registration_status": "unknown",
        "sip_registration_details": {
            "auth_retries": null, "expires": null, "failures": null, "last_modified": null,
            "next_action_at": null, "node": null, "sip_uri_user_host": null, "transport": null,
            "ua_ip": null, "ua_port": null, "uptime": null,
        },
        "last_registration_response": null,
    });
    let answer = world.get(&world.alice, &path).await;
    assert_eq!((answer.status, answer.json()), (200, expected.clone()));
    world
        .get(&world.bob, &path)
        .await
        .assert_error(404, "10005", "");

    let party = LegParty {
        account: world.alice.account,
        connection: world.alice.connection.parse().unwrap(),
        credential: Some(credential["id"].as_str().unwrap().parse().unwrap()),
        user: user.to_owned(),
        policy: MediaPolicy::from_codec_names(["OPUS"]),
        ring_timeout_secs: 90,
    };
    let session = SessionId::generate(&mut Generator::from_seed([1; 32]));
    world.bus.bind(session, &party, "report", contact());
    world.advance_secs(7);
    expected["registered"] = json!(true);
    expected["sip_registration_status"] = json!("registered");
    for (key, value) in [
        ("last_modified", json!("2026-11-21T09:30:00.123Z")),
        ("transport", json!("WSS")),
        ("ua_ip", json!("203.0.113.9")),
        ("ua_port", json!(50_000)),
        ("uptime", json!(7)),
    ] {
        expected["sip_registration_details"][key] = value;
    }
    assert_eq!(world.get(&world.alice, &path).await.json(), expected);

    world.bus.unbind(session, &party, "report", contact().since);
    let off = format!(
        "/v2/telephony_credentials/{}/actions/deactivate",
        credential["id"].as_str().unwrap()
    );
    assert_eq!(
        world.request(&world.alice, "POST", &off, "").await.status,
        200
    );
    let off = world.get(&world.alice, &path).await.json();
    assert_eq!(off["sip_registration_status"], "connection_disabled");
    assert_eq!(off["sip_registration_details"]["ua_ip"], Value::Null);
}

#[tokio::test]
async fn what_is_asked_for_must_be_said() {
    let world = World::new().await;
    for (query, place) in [
        ("", "credential_type"),
        ("?username=x", "credential_type"),
        ("?credential_type=other&username=x", "credential_type"),
        ("?credential_type=telephony_credential", "username"),
    ] {
        let path = format!("/v2/sip_registration_status{query}");
        world
            .get(&world.alice, &path)
            .await
            .assert_error(400, "10015", place);
    }
    let path = "/v2/sip_registration_status?credential_type=uac_external_credential&username=x";
    world
        .get(&world.alice, path)
        .await
        .assert_error(404, "10005", "");
}
