use serde_json::{Value, json};

use crate::support::World;

const PATH: &str = "/v2/outbound_voice_profiles";

async fn create(world: &World, body: Value) -> Value {
    let answer = world.post(&world.alice, PATH, body).await;
    // Not 201: so the contract has it.
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["data"].clone()
}

#[tokio::test]
async fn a_name_is_enough_and_the_rest_has_its_default() {
    let world = World::new().await;
    let mut made = create(&world, json!({"name": "office", "unknown": 1})).await;
    let id = made["id"].take();
    assert!((18..=19).contains(&id.as_str().unwrap().len()), "{id}");
    let expected = json!({
        "id": null, "record_type": "outbound_voice_profile", "name": "office", "connections_count": 0,
        "traffic_type": "conversational", "service_plan": "global", "concurrent_call_limit": null,
        "enabled": true, "tags": [], "usage_payment_method": "rate-deck",
        "whitelisted_destinations": ["US", "CA"], "max_destination_rate": null,
        "daily_spend_limit": null, "daily_spend_limit_enabled": false,
        "call_recording": {
            "call_recording_type": "none", "call_recording_caller_phone_numbers": [],
            "call_recording_channels": "single", "call_recording_format": "wav",
        },
        "billing_group_id": null,
        "calling_window": {"start_time": null, "end_time": null, "calls_per_cld": null},
        "created_at": "2026-11-21T09:30:00.123Z", "updated_at": "2026-11-21T09:30:00.123Z",
    });
    assert_eq!(made, expected);
}

#[tokio::test]
async fn a_change_merges_objects_and_replaces_lists() {
    let world = World::new().await;
    let body = json!({
        "name": "office", "daily_spend_limit": "0100.50", "max_destination_rate": 0.05,
        "whitelisted_destinations": ["de", "AT"], "tags": ["a", "b"], "concurrent_call_limit": 10,
        "call_recording": {"call_recording_type": "all", "call_recording_format": "mp3"},
        "calling_window": {"start_time": "08:00:00.00Z", "end_time": "18:00", "calls_per_cld": 3},
        "billing_group_id": "6a09cdc3-8948-47f0-aa62-74ac943d6c58",
    });
    let made = create(&world, body).await;
    assert_eq!(
        made["daily_spend_limit"], "0100.50",
        "money is kept as it is written"
    );
    assert_eq!(made["max_destination_rate"], 0.05);
    assert_eq!(made["whitelisted_destinations"], json!(["DE", "AT"]));
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    world.advance_secs(5);
    let change = json!({
        "tags": ["c"], "concurrent_call_limit": null,
        "call_recording": {"call_recording_channels": "dual"}, "calling_window": {"end_time": null},
    });
    let changed = world.patch(&world.alice, &path, change).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let mut expected = made.clone();
    expected["tags"] = json!(["c"]);
    expected["concurrent_call_limit"] = Value::Null;
    expected["call_recording"]["call_recording_channels"] = json!("dual");
    expected["calling_window"]["end_time"] = Value::Null;
    expected["updated_at"] = json!("2026-11-21T09:30:05.123Z");
    assert_eq!(changed.json()["data"], expected);

    // What one SDK sends along with a change of the name: its own defaults, and lists for empty objects.
    let habit = json!({
        "name": "renamed", "enabled": true, "daily_spend_limit_enabled": false, "service_plan": "global",
        "traffic_type": "conversational", "usage_payment_method": "rate-deck",
        "whitelisted_destinations": ["US", "CA"], "call_recording": [], "calling_window": [],
    });
    let renamed = world.patch(&world.alice, &path, habit).await;
    assert_eq!(renamed.status, 200, "{renamed:?}");
    expected["name"] = json!("renamed");
    expected["whitelisted_destinations"] = json!(["US", "CA"]);
    assert_eq!(renamed.json()["data"], expected);
    assert_eq!(
        world.get(&world.alice, &path).await.json()["data"],
        expected
    );
}

#[tokio::test]
async fn faults_are_named_by_their_place() {
    let world = World::new().await;
    for (body, code, place) in [
        (json!({}), "10004", "/name"),
        (json!({"name": "ab"}), "10015", "/name"),
        (
            json!({"name": "abc", "traffic_type": "short"}),
            "10015",
            "/traffic_type",
        ),
        (
            json!({"name": "abc", "daily_spend_limit": "1e3"}),
            "10015",
            "/daily_spend_limit",
        ),
        (
            json!({"name": "abc", "daily_spend_limit": 100}),
            "10015",
            "/daily_spend_limit",
        ),
        (
            json!({"name": "abc", "max_destination_rate": -1}),
            "10015",
            "/max_destination_rate",
        ),
        (
            json!({"name": "abc", "whitelisted_destinations": ["US", "USA"]}),
            "10015",
            "/whitelisted_destinations/1",
        ),
        (
            json!({"name": "abc", "call_recording": {"call_recording_caller_phone_numbers": ["1"]}}),
            "10016",
            "/call_recording/call_recording_caller_phone_numbers/0",
        ),
        (
            json!({"name": "abc", "calling_window": {"start_time": "8 am"}}),
            "10015",
            "/calling_window/start_time",
        ),
        (
            json!({"name": "abc", "billing_group_id": "x"}),
            "10017",
            "/billing_group_id",
        ),
    ] {
        let answer = world.post(&world.alice, PATH, body).await;
        answer.assert_error(422, code, place);
    }
    let listed = world.get(&world.alice, PATH).await.json();
    assert_eq!(listed["meta"]["total_results"], 0);
}

#[tokio::test]
async fn a_profile_in_use_cannot_be_deleted_and_connections_name_only_own_ones() {
    let world = World::new().await;
    let made = create(&world, json!({"name": "office"})).await;
    let id = made["id"].as_str().unwrap();
    let path = format!("{PATH}/{id}");
    let connection = |tenant: &crate::support::Tenant| {
        format!("/v2/credential_connections/{}", tenant.connection)
    };
    let assign = |id: &str| json!({"outbound": {"outbound_voice_profile_id": id}});
    let pointer = "/outbound/outbound_voice_profile_id";
    let foreign = world
        .patch(&world.bob, &connection(&world.bob), assign(id))
        .await;
    foreign.assert_error(422, "10017", pointer);
    let unknown = world
        .patch(&world.alice, &connection(&world.alice), assign("17"))
        .await;
    unknown.assert_error(422, "10017", pointer);
    let done = world
        .patch(&world.alice, &connection(&world.alice), assign(id))
        .await;
    assert_eq!(
        done.json()["data"]["outbound"]["outbound_voice_profile_id"],
        id
    );
    assert_eq!(
        world.get(&world.alice, &path).await.json()["data"]["connections_count"],
        1
    );
    for list in ["/v2/credential_connections", "/v2/connections"] {
        for spelling in [
            "outbound_voice_profile_id",
            "outbound.outbound_voice_profile_id",
        ] {
            let found = world
                .get(&world.alice, &format!("{list}?filter[{spelling}]={id}"))
                .await;
            assert_eq!(
                found.json()["meta"]["total_results"],
                1,
                "{list} {spelling}"
            );
            let none = world
                .get(&world.alice, &format!("{list}?filter[{spelling}]=17"))
                .await;
            assert_eq!(none.json()["meta"]["total_results"], 0, "{list} {spelling}");
        }
    }
    world
        .delete(&world.alice, &path)
        .await
        .assert_error(422, "10021", "/");
    let done = world
        .patch(&world.alice, &connection(&world.alice), assign(""))
        .await;
    assert_eq!(
        done.json()["data"]["outbound"]["outbound_voice_profile_id"],
        Value::Null
    );
    let deleted = world.delete(&world.alice, &path).await;
    assert_eq!(
        (deleted.status, deleted.json()["data"]["id"].as_str()),
        (200, Some(id))
    );
    world
        .delete(&world.alice, &path)
        .await
        .assert_error(404, "10005", "");
}

#[tokio::test]
async fn profiles_are_listed_in_pages_of_twenty_the_newest_first() {
    let world = World::new().await;
    for number in 0..21 {
        world.advance_secs(1);
        create(
            &world,
            json!({"name": format!("Profile {number:02}"), "enabled": number != 3}),
        )
        .await;
    }
    let names = async |query: &str| {
        let listed = world.get(&world.alice, &format!("{PATH}?{query}")).await;
        assert_eq!(listed.status, 200, "{listed:?}");
        let listed = listed.json()["data"].as_array().unwrap().clone();
        let names = listed
            .iter()
            .map(|profile| profile["name"].as_str().unwrap()[8..].to_owned());
        names.collect::<Vec<_>>()
    };
    let first = names("").await;
    assert_eq!(
        (first.len(), first[0].as_str(), first[19].as_str()),
        (20, "20", "01")
    );
    assert_eq!(names("page_number=2").await, ["00"]);
    assert_eq!(
        names("filter[name][contains]=LE+1&page[size]=2").await,
        ["19", "18"]
    );
    assert_eq!(names("sort=enabled&page[size]=2").await, ["03", "00"]);
    for sort in [
        "service_plan",
        "traffic_type",
        "usage_payment_method",
        "name",
        "created_at",
    ] {
        assert_eq!(
            names(&format!("sort={sort}&page[size]=1")).await,
            ["00"],
            "{sort}"
        );
        assert_eq!(
            names(&format!("sort=-{sort}&page[size]=1")).await,
            ["20"],
            "{sort}"
        );
    }
    let unknown = world.get(&world.alice, &format!("{PATH}?sort=id")).await;
    unknown.assert_error(400, "10015", "/sort");
}
