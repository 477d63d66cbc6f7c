use ringtrip_model::RevokeScope;
use serde_json::{Value, json};

use crate::support::{World, contact};

const PATH: &str = "/v2/credential_connections";

fn named(user_name: &str) -> Value {
    json!({"connection_name": "office", "user_name": user_name, "password": "correct horse"})
}

fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

/// What a connection is when only its names are given.
fn defaults(id: &str) -> Value {
    json!({
        "id": id,
        "record_type": "credential_connection",
        "active": true,
        "user_name": "office1",
        "password": "correct horse",
        "created_at": "2026-11-21T09:30:00.123Z",
        "updated_at": "2026-11-21T09:30:00.123Z",
        "anchorsite_override": "Latency",
        "connection_name": "office",
        "sip_uri_calling_preference": null,
        "default_on_hold_comfort_noise_enabled": false,
        "dtmf_type": "RFC 2833",
        "encode_contact_header_enabled": false,
        "encrypted_media": null,
        "onnet_t38_passthrough_enabled": false,
        "ios_push_credential_id": null,
        "android_push_credential_id": null,
        "webhook_event_url": null,
        "webhook_event_failover_url": "",
        "webhook_api_version": "1",
        "webhook_timeout_secs": null,
        "call_cost_in_webhooks": false,
        "tags": [],
        "noise_suppression": "disabled",
        "noise_suppression_details": {"engine": "denoiser", "attenuation_limit": 0},
        "jitter_buffer": {
            "enable_jitter_buffer": false, "jitterbuffer_msec_min": 60, "jitterbuffer_msec_max": 200,
        },
        "rtcp_settings": {"port": "rtp+1", "capture_enabled": false, "report_frequency_secs": 5},
        "conversation_persistence": false,
        "inbound": {
            "ani_number_format": "E.164-national",
            "dnis_number_format": "e164",
            "codecs": ["G722", "G711U", "G711A", "G729", "OPUS", "H.264"],
            "default_routing_method": null,
            "channel_limit": null,
            "generate_ringback_tone": false,
            "isup_headers_enabled": false,
            "prack_enabled": false,
            "shaken_stir_enabled": false,
            "simultaneous_ringing": "disabled",
            "sip_compact_headers_enabled": true,
            "timeout_1xx_secs": 3,
            "timeout_2xx_secs": 90,
            "instant_ringback_enabled": false,
        },
        "outbound": {
            "outbound_voice_profile_id": null,
            "channel_limit": null,
            "ani_override": "",
            "ani_override_type": "always",
            "call_parking_enabled": false,
            "generate_ringback_tone": false,
            "instant_ringback_enabled": true,
            "localization": "US",
            "t38_reinvite_source": "telnyx",
        },
        "registration_status": "Not Registered",
        "registration_status_updated_at": null,
        "third_party_control_enabled": false,
    })
}

/// A value other than the default for everything that can be set.
fn everything() -> Value {
    json!({
        "connection_name": "Büro",
        "user_name": "Other77",
        "password": "p\u{e4}ssw\u{f6}rd \u{1f600}",
        "active": false,
        "anchorsite_override": "Frankfurt, Germany",
        "sip_uri_calling_preference": "unrestricted",
        "default_on_hold_comfort_noise_enabled": true,
        "dtmf_type": "SIP INFO",
        "encode_contact_header_enabled": true,
        "encrypted_media": "SRTP",
        "onnet_t38_passthrough_enabled": true,
        "ios_push_credential_id": null,
        "android_push_credential_id": null,
        "webhook_event_url": "https://example.org/hook",
        "webhook_event_failover_url": "http://example.org:8080/again?x=1",
        "webhook_api_version": "texml",
        "webhook_timeout_secs": 25,
        "call_cost_in_webhooks": true,
        "tags": ["a", "b,c"],
        "noise_suppression": "both",
        "noise_suppression_details": {"engine": "quail_voice_focus", "attenuation_limit": 90},
        "jitter_buffer": {
            "enable_jitter_buffer": true, "jitterbuffer_msec_min": 40, "jitterbuffer_msec_max": 400,
        },
        "rtcp_settings": {"port": "rtcp-mux", "capture_enabled": true, "report_frequency_secs": 3000},
        "conversation_persistence": true,
        "inbound": {
            "ani_number_format": "+E.164",
            "dnis_number_format": "sip_username",
            "codecs": ["VP8", "OPUS"],
            "default_routing_method": "round-robin",
            "channel_limit": 10,
            "generate_ringback_tone": true,
            "isup_headers_enabled": true,
            "prack_enabled": true,
            "shaken_stir_enabled": true,
            "simultaneous_ringing": "enabled",
            "sip_compact_headers_enabled": false,
            "timeout_1xx_secs": 120,
            "timeout_2xx_secs": 600,
            "instant_ringback_enabled": true,
        },
        "outbound": {
            "outbound_voice_profile_id": null,
            "channel_limit": 0,
            "ani_override": "+13125550199",
            "ani_override_type": "emergency",
            "call_parking_enabled": true,
            "generate_ringback_tone": true,
            "instant_ringback_enabled": false,
            "localization": "DE",
            "t38_reinvite_source": "callee-passthru",
        },
    })
}

/// Compares all fields of `expected`, which may be fewer than those of `found`.
fn assert_includes(found: &Value, expected: &Value) {
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&found[key], value, "{key}");
    }
}

#[tokio::test]
async fn a_connection_has_every_documented_field_with_its_default() {
    let world = World::new().await;
    let answer = world.post(&world.alice, PATH, named("office1")).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("cache-control"), "no-store");
    let id = answer.id();
    assert!(
        (18..=19).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit()),
        "{id}"
    );
    assert_eq!(answer.json()["data"], defaults(&id));
    assert_eq!(
        world
            .get(&world.alice, &format!("{PATH}/{id}"))
            .await
            .json(),
        answer.json()
    );
}

#[tokio::test]
async fn every_field_can_be_set_at_creation_and_by_an_update() {
    let world = World::new().await;
    let created = world.post(&world.alice, PATH, everything()).await;
    assert_eq!(created.status, 201, "{created:?}");
    assert_includes(&created.json()["data"], &everything());
    world
        .delete(&world.alice, &format!("{PATH}/{}", created.id()))
        .await;

    let id = world.post(&world.alice, PATH, named("office1")).await.id();
    let path = format!("{PATH}/{id}");
    let updated = world.patch(&world.alice, &path, everything()).await;
    assert_eq!(updated.status, 200, "{updated:?}");
    assert_includes(&updated.json()["data"], &everything());
    assert_eq!(world.get(&world.alice, &path).await.json(), updated.json());
}

#[tokio::test]
async fn each_field_can_be_changed_alone_and_leaves_the_others() {
    let world = World::new().await;
    let id = world.post(&world.alice, PATH, named("office1")).await.id();
    let path = format!("{PATH}/{id}");
    let mut expected = defaults(&id);
    // Nested fields that need one another come together; texml needs parking, so it goes last.
    let mut changes: Vec<(Option<&str>, String, Value)> = Vec::new();
    let all = everything();
    for (key, value) in all.as_object().unwrap() {
        match value.as_object() {
            Some(nested) => {
                changes.extend(
                    nested
                        .iter()
                        .map(|(k, v)| (Some(key.as_str()), k.clone(), v.clone())),
                );
            }
            None => changes.push((None, key.clone(), value.clone())),
        }
    }
    changes.sort_by_key(|(_, key, _)| key == "webhook_api_version");
    for (parent, key, value) in changes {
        let body = match parent {
            Some(parent) => {
                expected[parent][&key] = value.clone();
                json!({parent: {&key: value}})
            }
            None => {
                expected[&key] = value.clone();
                json!({&key: value})
            }
        };
        if parent == Some("noise_suppression_details") && key == "engine" {
            // The limit follows the engine as long as it is not set.
            if expected["noise_suppression_details"]["attenuation_limit"] == 0 {
                expected["noise_suppression_details"]["attenuation_limit"] = json!(100);
            }
        }
        let answer = world.patch(&world.alice, &path, body.clone()).await;
        assert_eq!(answer.status, 200, "{body}: {answer:?}");
        assert_eq!(answer.json()["data"], expected, "{body}");
    }
}

#[tokio::test]
async fn nested_objects_are_merged_lists_replaced_and_null_clears() {
    let world = World::new().await;
    let id = world
        .post(
            &world.alice,
            PATH,
            with(everything(), json!({"active": true})),
        )
        .await
        .id();
    let path = format!("{PATH}/{id}");
    let changed = world
        .patch(
            &world.alice,
            &path,
            json!({"inbound": {"dnis_number_format": "+e164", "codecs": ["OPUS"]}, "outbound": []}),
        )
        .await
        .json();
    let inbound = &changed["data"]["inbound"];
    assert_eq!(inbound["dnis_number_format"], "+e164");
    assert_eq!(inbound["codecs"], json!(["OPUS"]));
    assert_eq!(inbound["timeout_2xx_secs"], 600);
    assert_eq!(changed["data"]["outbound"], everything()["outbound"]);

    let nullable = json!({
        "sip_uri_calling_preference": null, "encrypted_media": null, "ios_push_credential_id": null,
        "android_push_credential_id": null, "webhook_event_url": null, "webhook_event_failover_url": null,
        "webhook_timeout_secs": null, "webhook_api_version": null,
        "inbound": {"default_routing_method": null, "channel_limit": null},
        "outbound": {"outbound_voice_profile_id": null, "channel_limit": null, "call_parking_enabled": null},
    });
    let cleared = world.patch(&world.alice, &path, nullable).await;
    assert_eq!(cleared.status, 200, "{cleared:?}");
    let data = &cleared.json()["data"];
    for pointer in [
        "/sip_uri_calling_preference",
        "/encrypted_media",
        "/ios_push_credential_id",
        "/android_push_credential_id",
        "/webhook_event_url",
        "/webhook_event_failover_url",
        "/webhook_timeout_secs",
        "/inbound/default_routing_method",
        "/inbound/channel_limit",
        "/outbound/channel_limit",
        "/outbound/call_parking_enabled",
    ] {
        assert_eq!(data.pointer(pointer), Some(&Value::Null), "{pointer}");
    }
    // A field that cannot be null has its default again.
    assert_eq!(data["webhook_api_version"], "1");
    let emptied = world
        .patch(
            &world.alice,
            &path,
            json!({"inbound": {"codecs": []}, "tags": []}),
        )
        .await
        .json();
    assert_eq!(
        (
            &emptied["data"]["inbound"]["codecs"],
            &emptied["data"]["tags"]
        ),
        (&json!([]), &json!([]))
    );
}

#[tokio::test]
async fn required_fields_are_required() {
    let world = World::new().await;
    for key in ["connection_name", "user_name", "password"] {
        for blank in [None, Some(Value::Null), Some(json!(""))] {
            let mut body = named("office1");
            match blank {
                Some(value) => body[key] = value,
                None => drop(body.as_object_mut().unwrap().remove(key)),
            }
            let answer = world.post(&world.alice, PATH, body).await;
            answer.assert_error(422, "10004", &format!("/{key}"));
        }
    }
    let nothing = world.post(&world.alice, PATH, json!({})).await;
    assert_eq!(nothing.json()["errors"].as_array().unwrap().len(), 3);
    let path = format!("{PATH}/{}", world.alice.connection);
    for key in ["connection_name", "user_name", "password"] {
        let answer = world.patch(&world.alice, &path, json!({key: null})).await;
        answer.assert_error(422, "10004", &format!("/{key}"));
    }
}

#[tokio::test]
async fn every_field_is_checked() {
    let world = World::new().await;
    let path = format!("{PATH}/{}", world.alice.connection);
    for (pointer, value, code) in [
        ("/user_name", json!("abc"), "10015"),
        ("/user_name", json!("x".repeat(33)), "10015"),
        ("/user_name", json!("with space"), "10015"),
        ("/user_name", json!("12345a"), "10015"),
        ("/password", json!("short"), "10015"),
        ("/password", json!("x".repeat(129)), "10015"),
        ("/connection_name", json!("x".repeat(256)), "10015"),
        ("/anchorsite_override", json!("Berlin"), "10015"),
        ("/sip_uri_calling_preference", json!("anyone"), "10015"),
        ("/dtmf_type", json!("rfc2833"), "10015"),
        ("/encrypted_media", json!("ZRTP"), "10015"),
        ("/ios_push_credential_id", json!("17"), "10017"),
        ("/webhook_event_url", json!("example.org"), "10003"),
        (
            "/webhook_event_failover_url",
            json!("ftp://example.org"),
            "10003",
        ),
        (
            "/webhook_event_url",
            json!(format!("https://e/{}", "x".repeat(2000))),
            "10003",
        ),
        ("/webhook_api_version", json!("3"), "10015"),
        ("/webhook_api_version", json!("texml"), "10015"),
        ("/webhook_timeout_secs", json!(31), "10015"),
        ("/webhook_timeout_secs", json!(-1), "10015"),
        ("/noise_suppression", json!("on"), "10015"),
        ("/noise_suppression_details/engine", json!("magic"), "10015"),
        (
            "/noise_suppression_details/attenuation_limit",
            json!(95),
            "10015",
        ),
        ("/jitter_buffer/jitterbuffer_msec_min", json!(39), "10015"),
        ("/jitter_buffer/jitterbuffer_msec_max", json!(401), "10015"),
        ("/rtcp_settings/port", json!("rtp"), "10015"),
        ("/rtcp_settings/report_frequency_secs", json!(4), "10015"),
        ("/inbound/ani_number_format", json!("e164"), "10015"),
        ("/inbound/dnis_number_format", json!("+E.164"), "10015"),
        ("/inbound/codecs", json!("OPUS"), "10015"),
        ("/inbound/codecs", json!(["OPUS", 1]), "10015"),
        ("/inbound/default_routing_method", json!("random"), "10015"),
        ("/inbound/channel_limit", json!(4_294_967_295_u32), "10015"),
        ("/inbound/simultaneous_ringing", json!(true), "10015"),
        ("/inbound/timeout_1xx_secs", json!(0), "10015"),
        ("/inbound/timeout_2xx_secs", json!(601), "10015"),
        ("/inbound/timeout_2xx_secs", json!("601"), "10015"),
        ("/inbound/timeout_2xx_secs", json!("-1"), "10015"),
        ("/inbound/timeout_2xx_secs", json!(""), "10015"),
        (
            "/outbound/outbound_voice_profile_id",
            json!("1293384261075731499"),
            "10017",
        ),
        (
            "/outbound/outbound_voice_profile_id",
            json!("mine"),
            "10017",
        ),
        ("/outbound/ani_override", json!("caller"), "10002"),
        ("/outbound/ani_override_type", json!("never"), "10015"),
        ("/outbound/localization", json!("USA"), "10015"),
        ("/outbound/t38_reinvite_source", json!("us"), "10015"),
    ] {
        let mut body = value.clone();
        for key in pointer.rsplit('/').filter(|key| !key.is_empty()) {
            body = json!({key: body});
        }
        let answer = world.patch(&world.alice, &path, body.clone()).await;
        assert_eq!(
            answer.error(),
            (422, code.to_owned(), pointer.to_owned()),
            "{body}"
        );
        let answer = world
            .post(&world.alice, PATH, with(named("office1"), body.clone()))
            .await;
        assert_eq!(
            answer.error(),
            (422, code.to_owned(), pointer.to_owned()),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_listed_value_that_is_not_known_is_answered_with_the_list() {
    let world = World::new().await;
    let path = format!("{PATH}/{}", world.alice.connection);
    let answer = world
        .patch(
            &world.alice,
            &path,
            json!({"inbound": {"dnis_number_format": "x"}}),
        )
        .await;
    let detail = answer.json()["errors"][0]["detail"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        ["+e164", "e164", "national", "sip_username"]
            .iter()
            .all(|name| detail.contains(name)),
        "{detail}"
    );
}

#[tokio::test]
async fn every_field_refuses_every_wrong_type() {
    let world = World::new().await;
    let path = format!("{PATH}/{}", world.alice.connection);
    let before = world.get(&world.alice, &path).await.json();
    let mut fields = Vec::new();
    for (key, value) in everything().as_object().unwrap() {
        match value.as_object() {
            Some(nested) => {
                fields.push((format!("/{key}"), value.clone()));
                fields.extend(
                    nested
                        .iter()
                        .map(|(k, v)| (format!("/{key}/{k}"), v.clone())),
                );
            }
            None => fields.push((format!("/{key}"), value.clone())),
        }
    }
    assert!(fields.len() > 50);
    let kinds = [
        json!("\u{1F4A3}"),
        json!(17.5),
        json!(true),
        json!([1]),
        json!({"a": 1}),
    ];
    for (pointer, good) in fields {
        for bad in &kinds {
            let same_type = std::mem::discriminant(&good) == std::mem::discriminant(bad);
            // Any text is a label; profiles are null in the table above, and texts on the wire.
            if same_type && !pointer.ends_with("codecs") && !pointer.ends_with("tags") {
                continue;
            }
            let mut body = bad.clone();
            for key in pointer.rsplit('/').filter(|key| !key.is_empty()) {
                body = json!({key: body});
            }
            let answer = world.patch(&world.alice, &path, body.clone()).await;
            let (status, _, place) = answer.error();
            assert_eq!((status, place.as_str()), (422, pointer.as_str()), "{body}");
        }
    }
    assert_eq!(world.get(&world.alice, &path).await.json(), before);
}

#[tokio::test]
async fn a_user_name_is_taken_for_everyone_whatever_its_case() {
    let world = World::new().await;
    for taken in ["alice1", "ALICE1", "bobby1"] {
        let answer = world.post(&world.alice, PATH, named(taken)).await;
        answer.assert_error(422, "10012", "/user_name");
    }
    let path = format!("{PATH}/{}", world.alice.connection);
    world
        .patch(&world.alice, &path, json!({"user_name": "BobBy1"}))
        .await
        .assert_error(422, "10012", "/user_name");
    assert_eq!(
        world
            .patch(&world.alice, &path, json!({"user_name": "ALICE1"}))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn lists_can_be_searched_sorted_and_paged() {
    let world = World::new().await;
    let mut ids = vec![("main", world.alice.connection.clone())];
    for (i, name) in ["Alpha_1", "beta 100%", "Gamma"].into_iter().enumerate() {
        world.advance_secs(1);
        let body = with(
            named(&format!("user{i}")),
            json!({"connection_name": name, "active": i != 1}),
        );
        ids.push((name, world.post(&world.alice, PATH, body).await.id()));
    }
    let id_of = |name: &str| {
        ids.iter()
            .find(|(have, _)| *have == name)
            .unwrap()
            .1
            .clone()
    };
    for (query, expected) in [
        ("", &["Gamma", "beta 100%", "Alpha_1", "main"][..]),
        (
            "sort=created_at",
            &["main", "Alpha_1", "beta 100%", "Gamma"],
        ),
        (
            "sort=-created_at",
            &["Gamma", "beta 100%", "Alpha_1", "main"],
        ),
        (
            "sort=connection_name",
            &["Alpha_1", "beta 100%", "Gamma", "main"],
        ),
        (
            "sort=-connection_name",
            &["main", "Gamma", "beta 100%", "Alpha_1"],
        ),
        ("sort=active&page[size]=1", &["beta 100%"]),
        ("filter[connection_name][contains]=ALPH", &["Alpha_1"]),
        ("filter%5Bconnection_name%5D%5Bcontains%5D=0%25", &[]),
        ("filter[connection_name][contains]=100%25", &["beta 100%"]),
        ("filter[connection_name][contains]=%25%25%25", &[]),
        ("filter[connection_name][contains]=a_1", &["Alpha_1"]),
        ("filter[connection_name][contains]=___", &[]),
        ("filter[outbound_voice_profile_id]=1293384261075731499", &[]),
        (
            "filter[outbound.outbound_voice_profile_id]=1293384261075731499",
            &[],
        ),
        ("filter[outbound_voice_profile_id]=x", &[]),
        ("filter[fqdn]=example.org", &[]),
        (
            "filter[nothing]=x",
            &["Gamma", "beta 100%", "Alpha_1", "main"],
        ),
    ] {
        let answer = world.get(&world.alice, &format!("{PATH}?{query}")).await;
        if query.contains("=0%25") {
            answer.assert_error(400, "10015", "filter[connection_name][contains]");
            continue;
        }
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        let answer = answer.json();
        let found: Vec<_> = answer["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["id"].as_str().unwrap().to_owned())
            .collect();
        let expected: Vec<_> = expected.iter().map(|name| id_of(name)).collect();
        assert_eq!(found, expected, "{query}");
    }
    let meta = world.get(&world.alice, PATH).await.json()["meta"].clone();
    assert_eq!(
        meta,
        json!({"page_number": 1, "page_size": 250, "total_pages": 1, "total_results": 4})
    );
    world
        .get(&world.alice, &format!("{PATH}?sort=password"))
        .await
        .assert_error(400, "10015", "/sort");
}

#[tokio::test]
async fn a_deleted_connection_takes_its_credentials_and_sessions_with_it() {
    let world = World::new().await;
    let mut revoked = world.revocations();
    let credential = world.credential(json!({})).await;
    let credential = format!(
        "/v2/telephony_credentials/{}",
        credential["id"].as_str().unwrap()
    );
    let id = &world.alice.connection;
    let path = format!("{PATH}/{id}");
    let before = world.get(&world.alice, &path).await.json();
    let deleted = world.delete(&world.alice, &path).await;
    assert_eq!((deleted.status, deleted.json()), (200, before));
    assert_eq!(
        revoked.try_recv(),
        Ok(RevokeScope::Connection(id.parse().unwrap()))
    );
    world
        .delete(&world.alice, &path)
        .await
        .assert_error(404, "10005", "");
    world
        .get(&world.alice, &path)
        .await
        .assert_error(404, "10005", "");
    world
        .get(&world.alice, &credential)
        .await
        .assert_error(404, "10005", "");
    world
        .post(&world.alice, &format!("{credential}/token"), json!({}))
        .await
        .assert_error(404, "10005", "");
    assert_eq!(
        world
            .get(&world.alice, "/v2/telephony_credentials")
            .await
            .json()["meta"]["total_results"],
        0
    );
}

#[tokio::test]
async fn changes_that_shut_somebody_out_end_sessions_and_others_do_not() {
    let world = World::new().await;
    let mut revoked = world.revocations();
    let id = world.alice.connection.parse().unwrap();
    let path = format!("{PATH}/{}", world.alice.connection);
    for (body, expected) in [
        (
            json!({"connection_name": "renamed", "inbound": {"codecs": ["OPUS"]}}),
            None,
        ),
        (json!({"password": "correct horse", "active": true}), None),
        (
            json!({"password": "another horse"}),
            Some(RevokeScope::ConnectionUser(id)),
        ),
        (
            json!({"user_name": "alice9"}),
            Some(RevokeScope::ConnectionUser(id)),
        ),
        (
            json!({"active": false, "password": "third horse"}),
            Some(RevokeScope::Connection(id)),
        ),
        (json!({"active": false}), None),
        (json!({"active": true}), None),
    ] {
        assert_eq!(
            world.patch(&world.alice, &path, body.clone()).await.status,
            200
        );
        assert_eq!(revoked.try_recv().ok(), expected, "{body}");
    }
}

#[tokio::test]
async fn the_registration_status_tells_whether_its_own_user_is_logged_in() {
    use ringtrip_model::{Generator, LegParty, MediaPolicy, SessionId};

    let world = World::new().await;
    let path = format!(
        "{PATH}/{}/actions/check_registration_status",
        world.alice.connection
    );
    let status = async || world.request(&world.alice, "POST", &path, "").await;
    let answer = status().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut expected = json!({
        "record_type": "registration_status", "status": "Not Registered", "sip_username": "alice1",
        "ip_address": null, "port": null, "transport": null, "user_agent": null, "last_registration": null,
    });
    assert_eq!(answer.json()["data"], expected);
    let party = LegParty {
        account: world.alice.account,
        connection: world.alice.connection.parse().unwrap(),
        credential: None,
        user: "alice1".to_owned(),
        policy: MediaPolicy::from_codec_names(["OPUS"]),
        ring_timeout_secs: 90,
    };
    world.bus.bind(
        SessionId::generate(&mut Generator::from_seed([1; 32])),
        &party,
        "report",
        contact(),
    );
    for (key, value) in [
        ("status", json!("Registered")),
        ("ip_address", json!("203.0.113.9")),
        ("port", json!(50_000)),
        ("transport", json!("WSS")),
        ("user_agent", json!("phone")),
        ("last_registration", json!("2026-11-21T09:30:00.123Z")),
    ] {
        expected[key] = value;
    }
    assert_eq!(status().await.json()["data"], expected);
}
