use serde_json::{Value, json};

use crate::support::{Tenant, World};

const PATH: &str = "/v2/phone_numbers";

async fn import(world: &World, tenant: &Tenant, body: Value) -> Value {
    let answer = world.post(tenant, PATH, body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["data"].clone()
}

fn path_of(number: &Value) -> String {
    format!("{PATH}/{}", number["id"].as_str().unwrap())
}

/// What a number is when only its digits are given.
fn defaults(id: &Value) -> Value {
    json!({
        "id": id,
        "record_type": "phone_number",
        "phone_number": "+14165550123",
        "country_iso_alpha2": "CA",
        "phone_number_type": "local",
        "status": "active",
        "source_type": null,
        "tags": [],
        "external_pin": null,
        "customer_reference": null,
        "connection_id": null,
        "connection_name": null,
        "billing_group_id": null,
        "messaging_profile_id": null,
        "messaging_profile_name": null,
        "emergency_enabled": false,
        "emergency_address_id": null,
        "emergency_status": "disabled",
        "call_forwarding_enabled": true,
        "cnam_listing_enabled": false,
        "caller_id_name_enabled": false,
        "call_recording_enabled": false,
        "t38_fax_gateway_enabled": false,
        "hd_voice_enabled": false,
        "deletion_lock_enabled": false,
        "inbound_call_screening": "disabled",
        "purchased_at": "2026-11-21T09:30:00.123Z",
        "activated_at": "2026-11-21T09:30:00.123Z",
        "created_at": "2026-11-21T09:30:00.123Z",
        "updated_at": "2026-11-21T09:30:00.123Z",
    })
}

fn voice_defaults(id: &Value) -> Value {
    json!({
        "id": id,
        "record_type": "voice_settings",
        "phone_number": "+14165550123",
        "connection_id": null,
        "customer_reference": null,
        "tech_prefix_enabled": false,
        "translated_number": "",
        "usage_payment_method": "pay-per-minute",
        "inbound_call_screening": "disabled",
        "caller_id_name_enabled": false,
        "call_forwarding": {
            "call_forwarding_enabled": true, "forwards_to": "", "forwarding_type": null,
        },
        "call_recording": {
            "inbound_call_recording_enabled": false,
            "inbound_call_recording_format": "wav",
            "inbound_call_recording_channels": "single",
        },
        "cnam_listing": {"cnam_listing_enabled": false, "cnam_listing_details": ""},
        "media_features": {
            "rtp_auto_adjust_enabled": false,
            "accept_any_rtp_packets_enabled": false,
            "t38_fax_gateway_enabled": false,
        },
        "emergency": {
            "emergency_enabled": false, "emergency_address_id": null, "emergency_status": "disabled",
        },
    })
}

#[tokio::test]
async fn a_number_has_every_key_and_its_defaults() {
    let world = World::new().await;
    let made = import(
        &world,
        &world.alice,
        json!({"phone_number": "+14165550123"}),
    )
    .await;
    let id = &made["id"];
    assert!((18..=19).contains(&id.as_str().unwrap().len()));
    assert_eq!(made, defaults(id));
    let answer = world.get(&world.alice, &path_of(&made)).await;
    assert_eq!((answer.status, &answer.json()["data"]), (200, &made));
    let answer = world
        .get(&world.alice, &format!("{}/voice", path_of(&made)))
        .await;
    assert_eq!(
        (answer.status, &answer.json()["data"]),
        (200, &voice_defaults(id))
    );
    let listed = world.get(&world.alice, &format!("{PATH}/voice")).await;
    assert_eq!(listed.json()["data"], json!([voice_defaults(id)]));
    assert_eq!(
        listed.json()["meta"],
        json!({"page_number": 1, "page_size": 20, "total_pages": 1, "total_results": 1})
    );
}

#[tokio::test]
async fn numbers_are_taken_in_once_and_in_international_form() {
    let world = World::new().await;
    for (body, code, place) in [
        (json!({}), "10004", "/phone_number"),
        (json!({"phone_number": null}), "10004", "/phone_number"),
        (json!({"phone_number": ""}), "10016", "/phone_number"),
        (
            json!({"phone_number": "4165550123"}),
            "10016",
            "/phone_number",
        ),
        (
            json!({"phone_number": "+1 416 555 0123"}),
            "10016",
            "/phone_number",
        ),
        (
            json!({"phone_number": 14_165_550_123_u64}),
            "10016",
            "/phone_number",
        ),
        (
            json!({"phone_number": "+15555550123"}),
            "10004",
            "/country_iso_alpha2",
        ),
        (
            json!({"phone_number": "+14165550123", "country_iso_alpha2": "US"}),
            "10015",
            "/country_iso_alpha2",
        ),
        (
            json!({"phone_number": "+14165550123", "country_iso_alpha2": "Canada"}),
            "10015",
            "/country_iso_alpha2",
        ),
        (
            json!({"phone_number": "+14165550123", "phone_number_type": "longcode"}),
            "10015",
            "/phone_number_type",
        ),
        (
            json!({"phone_number": "+14165550123", "connection_id": "17"}),
            "10017",
            "/connection_id",
        ),
        (
            json!({"phone_number": "+14165550123", "connection_id": "main"}),
            "10017",
            "/connection_id",
        ),
        (
            json!({"phone_number": "+14165550123", "connection_id": world.bob.connection}),
            "10017",
            "/connection_id",
        ),
    ] {
        let answer = world.post(&world.alice, PATH, body.clone()).await;
        assert_eq!(answer.status, 422, "{body} {answer:?}");
        answer.assert_error(422, code, place);
    }
    let listed = world.get(&world.alice, PATH).await;
    assert_eq!(listed.json()["meta"]["total_results"], 0);
    import(
        &world,
        &world.alice,
        json!({"phone_number": "+14165550123"}),
    )
    .await;
    for tenant in [&world.alice, &world.bob] {
        let again = json!({"phone_number": "+14165550123"});
        let answer = world.post(tenant, PATH, again).await;
        answer.assert_error(422, "10012", "/phone_number");
    }
    let stated = json!({
        "phone_number": "+15555550123", "country_iso_alpha2": "US", "phone_number_type": "mobile",
    });
    let made = import(&world, &world.alice, stated).await;
    assert_eq!(
        (&made["country_iso_alpha2"], &made["phone_number_type"]),
        (&json!("US"), &json!("mobile"))
    );
}

#[tokio::test]
async fn a_patch_sets_what_it_names_and_an_empty_connection_unassigns() {
    let world = World::new().await;
    let made = import(
        &world,
        &world.alice,
        json!({"phone_number": "+14165550123"}),
    )
    .await;
    let path = path_of(&made);
    world.advance_secs(5);
    let patch = json!({
        "connection_id": world.alice.connection,
        "tags": ["a", "b", "a"],
        "customer_reference": "ref",
        "external_pin": "1234",
        "billing_group_id": "ec0c8e5d-439e-4620-a0c1-9d9c8d02a836",
        "deletion_lock_enabled": true,
        "hd_voice_enabled": true,
        "phone_number": "+13125550123",
        "status": "deleted",
        "address_id": "1",
    });
    let answer = world.patch(&world.alice, &path, patch).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut expected = defaults(&made["id"]);
    for (key, value) in [
        ("connection_id", json!(world.alice.connection)),
        ("connection_name", json!("main")),
        ("tags", json!(["a", "b"])),
        ("customer_reference", json!("ref")),
        ("external_pin", json!("1234")),
        (
            "billing_group_id",
            json!("ec0c8e5d-439e-4620-a0c1-9d9c8d02a836"),
        ),
        ("deletion_lock_enabled", json!(true)),
        ("hd_voice_enabled", json!(true)),
        ("updated_at", json!("2026-11-21T09:30:05.123Z")),
    ] {
        expected[key] = value;
    }
    assert_eq!(answer.json()["data"], expected);
    assert_eq!(
        world.get(&world.alice, &path).await.json()["data"],
        expected
    );
    // Nothing named, nothing changed but the time.
    let answer = world.patch(&world.alice, &path, json!({})).await;
    assert_eq!(answer.json()["data"], expected);
    for unassigned in [json!(""), Value::Null] {
        let assigned = json!({"connection_id": world.alice.connection});
        world.patch(&world.alice, &path, assigned).await;
        let patch = json!({"connection_id": unassigned, "tags": null, "customer_reference": ""});
        let shown = world.patch(&world.alice, &path, patch).await.json()["data"].clone();
        for key in ["connection_id", "connection_name", "customer_reference"] {
            assert_eq!(shown[key], Value::Null, "{key}");
        }
        assert_eq!(shown["tags"], json!([]));
    }
}

#[tokio::test]
async fn wrong_values_are_named_and_change_nothing() {
    let world = World::new().await;
    let made = import(
        &world,
        &world.alice,
        json!({"phone_number": "+14165550123"}),
    )
    .await;
    let (path, voice) = (path_of(&made), format!("{}/voice", path_of(&made)));
    let long = "x".repeat(256);
    for (patched, body, code, place) in [
        (
            &path,
            json!({"connection_id": 17}),
            "10015",
            "/connection_id",
        ),
        (
            &path,
            json!({"connection_id": "17"}),
            "10017",
            "/connection_id",
        ),
        (
            &path,
            json!({"connection_id": world.bob.connection}),
            "10017",
            "/connection_id",
        ),
        (&path, json!({"tags": "a"}), "10015", "/tags"),
        (&path, json!({"tags": ["a", 1]}), "10015", "/tags"),
        (&path, json!({"tags": [long]}), "10015", "/tags/0"),
        (
            &path,
            json!({"customer_reference": long}),
            "10015",
            "/customer_reference",
        ),
        (
            &path,
            json!({"external_pin": 1234}),
            "10015",
            "/external_pin",
        ),
        (
            &path,
            json!({"deletion_lock_enabled": "yes"}),
            "10015",
            "/deletion_lock_enabled",
        ),
        (
            &voice,
            json!({"usage_payment_method": "free"}),
            "10015",
            "/usage_payment_method",
        ),
        (
            &voice,
            json!({"inbound_call_screening": 1}),
            "10015",
            "/inbound_call_screening",
        ),
        (
            &voice,
            json!({"call_forwarding": "+1"}),
            "10015",
            "/call_forwarding",
        ),
        (
            &voice,
            json!({"call_forwarding": {"forwards_to": "5550123"}}),
            "10016",
            "/call_forwarding/forwards_to",
        ),
        (
            &voice,
            json!({"call_forwarding": {"forwarding_type": "never"}}),
            "10015",
            "/call_forwarding/forwarding_type",
        ),
        (
            &voice,
            json!({"call_recording": {"inbound_call_recording_format": "ogg"}}),
            "10015",
            "/call_recording/inbound_call_recording_format",
        ),
        (
            &voice,
            json!({"cnam_listing": {"cnam_listing_enabled": true}}),
            "10004",
            "/cnam_listing/cnam_listing_details",
        ),
        (
            &voice,
            json!({"translated_number": "a b"}),
            "10015",
            "/translated_number",
        ),
        (
            &voice,
            json!({"media_features": {"t38_fax_gateway_enabled": 1}}),
            "10015",
            "/media_features/t38_fax_gateway_enabled",
        ),
    ] {
        let answer = world.patch(&world.alice, patched, body.clone()).await;
        assert_eq!(answer.status, 422, "{body} {answer:?}");
        answer.assert_error(422, code, place);
    }
    assert_eq!(world.get(&world.alice, &path).await.json()["data"], made);
}

#[tokio::test]
async fn voice_settings_are_merged_and_show_in_the_number() {
    let world = World::new().await;
    let made = import(
        &world,
        &world.alice,
        json!({"phone_number": "+14165550123"}),
    )
    .await;
    let voice = format!("{}/voice", path_of(&made));
    let everything = json!({
        "tech_prefix_enabled": true,
        "translated_number": "bob7",
        "usage_payment_method": "channel",
        "inbound_call_screening": "flag_calls",
        "caller_id_name_enabled": true,
        "call_forwarding": {
            "call_forwarding_enabled": false,
            "forwards_to": "+13125550123",
            "forwarding_type": "on-failure",
        },
        "call_recording": {
            "inbound_call_recording_enabled": true,
            "inbound_call_recording_format": "mp3",
            "inbound_call_recording_channels": "dual",
        },
        "cnam_listing": {"cnam_listing_enabled": true, "cnam_listing_details": "ACME 1"},
        "media_features": {
            "rtp_auto_adjust_enabled": true,
            "accept_any_rtp_packets_enabled": true,
            "t38_fax_gateway_enabled": true,
        },
    });
    let mut sent = everything.clone();
    // It is read-only here.
    sent["connection_id"] = world.alice.connection.clone().into();
    let answer = world.patch(&world.alice, &voice, sent).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut expected = voice_defaults(&made["id"]);
    for (key, value) in everything.as_object().unwrap() {
        expected[key] = value.clone();
    }
    assert_eq!(answer.json()["data"], expected);
    let patch = json!({"call_forwarding": {"call_forwarding_enabled": true}, "media_features": []});
    expected["call_forwarding"]["call_forwarding_enabled"] = true.into();
    let answer = world.patch(&world.alice, &voice, patch).await;
    assert_eq!(answer.json()["data"], expected);
    assert_eq!(
        world.get(&world.alice, &voice).await.json()["data"],
        expected
    );
    let number = world.get(&world.alice, &path_of(&made)).await.json()["data"].clone();
    for key in [
        "call_forwarding_enabled",
        "cnam_listing_enabled",
        "caller_id_name_enabled",
        "call_recording_enabled",
        "t38_fax_gateway_enabled",
    ] {
        assert_eq!(number[key], true, "{key}");
    }
    assert_eq!(number["inbound_call_screening"], "flag_calls");
    // null gives the default again.
    let patch = json!({
        "translated_number": null, "usage_payment_method": null,
        "call_forwarding": {"forwarding_type": null, "forwards_to": null},
    });
    let shown = world.patch(&world.alice, &voice, patch).await.json()["data"].clone();
    assert_eq!(shown["translated_number"], "");
    assert_eq!(shown["usage_payment_method"], "pay-per-minute");
    assert_eq!(
        shown["call_forwarding"],
        json!({"call_forwarding_enabled": true, "forwards_to": "", "forwarding_type": null})
    );
}

#[tokio::test]
async fn a_locked_number_is_not_deleted_and_a_deleted_one_is_free_again() {
    let world = World::new().await;
    let body = json!({"phone_number": "+14165550123", "deletion_lock_enabled": true});
    let made = import(&world, &world.alice, body).await;
    let path = path_of(&made);
    let refused = world.delete(&world.alice, &path).await;
    refused.assert_error(422, "10015", "/deletion_lock_enabled");
    world
        .patch(&world.alice, &path, json!({"deletion_lock_enabled": false}))
        .await;
    let deleted = world.delete(&world.alice, &path).await;
    assert_eq!(deleted.status, 200, "{deleted:?}");
    let data = &deleted.json()["data"];
    assert_eq!(
        (&data["id"], &data["phone_number"], &data["status"]),
        (&made["id"], &json!("+14165550123"), &json!("deleted"))
    );
    world
        .delete(&world.alice, &path)
        .await
        .assert_error(404, "10005", "");
    import(&world, &world.bob, json!({"phone_number": "+14165550123"})).await;
}

#[tokio::test]
async fn numbers_stay_when_their_connection_goes() {
    let world = World::new().await;
    let body = json!({"phone_number": "+14165550123", "connection_id": world.alice.connection});
    let made = import(&world, &world.alice, body).await;
    assert_eq!(made["connection_name"], "main");
    let connection = format!("/v2/credential_connections/{}", world.alice.connection);
    assert_eq!(world.delete(&world.alice, &connection).await.status, 200);
    let shown = world.get(&world.alice, &path_of(&made)).await.json()["data"].clone();
    assert_eq!(
        (&shown["connection_id"], &shown["connection_name"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged() {
    let world = World::new().await;
    for body in [
        json!({"phone_number": "+13125550123", "tags": ["x"], "connection_id": world.alice.connection}),
        json!({"phone_number": "+14165550123", "customer_reference": "ref"}),
        json!({"phone_number": "+4915112345678"}),
    ] {
        import(&world, &world.alice, body).await;
        world.advance_secs(1);
    }
    import(&world, &world.bob, json!({"phone_number": "+13125550199"})).await;
    let connection = &world.alice.connection;
    let (us, ca, de) = ("+13125550123", "+14165550123", "+4915112345678");
    for (query, expected) in [
        (String::new(), vec![de, ca, us]),
        ("sort=purchased_at".to_owned(), vec![us, ca, de]),
        ("sort=-purchased_at".to_owned(), vec![de, ca, us]),
        ("sort=phone_number".to_owned(), vec![us, ca, de]),
        ("sort=-phone_number".to_owned(), vec![de, ca, us]),
        ("sort=connection_name".to_owned(), vec![us, ca, de]),
        ("filter[phone_number]=555".to_owned(), vec![ca, us]),
        ("filter[phone_number]=%2B1312".to_owned(), vec![us]),
        ("filter[phone_number]=555x".to_owned(), vec![]),
        ("filter[status]=active".to_owned(), vec![de, ca, us]),
        (
            "filter[status]=port-pending,active".to_owned(),
            vec![de, ca, us],
        ),
        ("filter[status]=deleted".to_owned(), vec![]),
        ("filter[tag]=x".to_owned(), vec![us]),
        ("filter[without_tags]=true".to_owned(), vec![de, ca]),
        ("filter[without_tags]=false".to_owned(), vec![de, ca, us]),
        (format!("filter[connection_id]={connection}"), vec![us]),
        ("filter[connection_id]=main".to_owned(), vec![]),
        ("filter[country_iso_alpha2]=US".to_owned(), vec![us]),
        ("filter[country_iso_alpha2]=US,DE".to_owned(), vec![de, us]),
        ("filter[country_iso_alpha2]=XX".to_owned(), vec![]),
        ("filter[number_type][eq]=mobile".to_owned(), vec![de]),
        ("filter[customer_reference]=ref".to_owned(), vec![ca]),
        (
            "filter[voice.connection_name][contains]=MAI".to_owned(),
            vec![us],
        ),
        (
            "filter[voice.connection_name][starts_with]=ain".to_owned(),
            vec![],
        ),
        (
            "filter[voice.connection_name][ends_with]=ain".to_owned(),
            vec![us],
        ),
        (
            "filter[voice.connection_name][eq]=main".to_owned(),
            vec![us],
        ),
        (
            "filter[connection_name][contains]=main".to_owned(),
            vec![us],
        ),
        (
            "filter[voice.usage_payment_method]=channel".to_owned(),
            vec![],
        ),
        ("filter[source]=ported".to_owned(), vec![]),
        ("filter[billing_group_id]=null".to_owned(), vec![de, ca, us]),
        ("filter[billing_group_id]=x".to_owned(), vec![]),
        (
            "filter[emergency_address_id]=null".to_owned(),
            vec![de, ca, us],
        ),
        ("filter[emergency_address_id]=1".to_owned(), vec![]),
        (
            "filter[tag]=x&filter[country_iso_alpha2]=CA".to_owned(),
            vec![],
        ),
        ("filter[unknown]=x".to_owned(), vec![de, ca, us]),
        ("page_size=2".to_owned(), vec![de, ca]),
        (
            "page_size=2&page_number=2&page[number]=1".to_owned(),
            vec![us],
        ),
        ("page[size]=2&page[number]=3".to_owned(), vec![]),
    ] {
        for path in [PATH, "/v2/phone_numbers/voice"] {
            let answer = world.get(&world.alice, &format!("{path}?{query}")).await;
            assert_eq!(answer.status, 200, "{query} {answer:?}");
            let body = answer.json();
            let found: Vec<_> = body["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|number| number["phone_number"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(found, expected, "{path}?{query}");
            let total = if query.starts_with("page") {
                3
            } else {
                expected.len()
            };
            assert_eq!(body["meta"]["total_results"], total, "{path}?{query}");
        }
    }
    for (query, place) in [
        ("sort=tags", "/sort"),
        ("filter[phone_number]=55", "filter[phone_number]"),
        ("filter[phone_number]=abc", "filter[phone_number]"),
        ("filter[status]=gone", "filter[status]"),
        ("filter[number_type]=longcode", "filter[number_type]"),
        (
            "filter[voice.usage_payment_method]=free",
            "filter[voice.usage_payment_method]",
        ),
        (
            "filter[voice.connection_name][contains]=ma",
            "filter[voice.connection_name][contains]",
        ),
        ("page[size]=251", "page/size"),
    ] {
        let answer = world.get(&world.alice, &format!("{PATH}?{query}")).await;
        answer.assert_error(400, "10015", place);
    }
}
