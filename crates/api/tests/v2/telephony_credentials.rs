use std::collections::BTreeSet;

use axum::body::Body;
use ringtrip_model::{RevokeScope, Timestamp, access_token};
use serde_json::{Value, json};

use crate::support::{START, World};

const PATH: &str = "/v2/telephony_credentials";

fn at(credential: &Value) -> String {
    format!("{PATH}/{}", credential["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_created_credential_has_every_field_in_the_documented_order() {
    let world = World::new().await;
    let body = json!({"connection_id": world.alice.connection});
    let answer = world.post(&world.alice, PATH, body).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("cache-control"), "no-store");
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let keys = [
        "id",
        "record_type",
        "name",
        "expired",
        "user_id",
        "resource_id",
        "sip_password",
        "sip_username",
        "created_at",
        "expires_at",
        "updated_at",
    ];
    let mut from = 0;
    for key in keys {
        let found = text[from..].find(&format!("\"{key}\":"));
        from += found.unwrap_or_else(|| panic!("{key} is missing or out of order in {text}"));
    }
    let data = &answer.json()["data"];
    assert_eq!(data.as_object().unwrap().len(), keys.len());
    let id = data["id"].as_str().unwrap();
    let uuid = uuid::Uuid::try_parse(id).unwrap();
    assert_eq!((uuid.get_version_num(), uuid.to_string().as_str()), (4, id));
    assert_eq!(data["record_type"], "credential");
    assert_eq!(data["name"], "2026-11-21 09:30:00.123456Z");
    assert_eq!(data["expired"], false);
    assert_eq!(data["user_id"], world.alice.account.to_string());
    assert_eq!(
        data["resource_id"],
        format!("connection:{}", world.alice.connection)
    );
    assert_eq!(data["sip_password"].as_str().unwrap().len(), 32);
    assert_eq!(data["sip_username"].as_str().unwrap().len(), 49);
    assert!(
        data["sip_username"]
            .as_str()
            .unwrap()
            .starts_with("gencred")
    );
    assert_eq!(data["created_at"], "2026-11-21T09:30:00.123Z");
    assert_eq!(data["expires_at"], Value::Null);
    assert_eq!(data["updated_at"], data["created_at"]);
}

#[tokio::test]
async fn what_is_sent_is_kept_and_read_back_but_for_the_tag() {
    let world = World::new().await;
    let made = world
        .credential(json!({
            "name": "  Büro <b>1</b> \u{1f600}", "tag": "blue", "expires_at": "2027-02-02T22:25:27.521+02:00",
            "unknown": {"is": ["ignored"]},
        }))
        .await;
    assert_eq!(made["name"], "  Büro <b>1</b> \u{1f600}");
    assert_eq!(made["expires_at"], "2027-02-02T20:25:27.521Z");
    assert!(made.get("tag").is_none());
    let read = world.get(&world.alice, &at(&made)).await;
    assert_eq!(read.status, 200);
    assert_eq!(read.json()["data"], made);
}

#[tokio::test]
async fn null_and_blank_optional_fields_are_as_absent() {
    let world = World::new().await;
    let made = world
        .credential(json!({"name": null, "tag": null, "expires_at": null}))
        .await;
    assert_eq!(made["name"], "2026-11-21 09:30:00.123456Z");
    assert_eq!(made["expires_at"], Value::Null);
    let made = world.credential(json!({"name": "", "tag": ""})).await;
    assert_eq!(made["name"], "2026-11-21 09:30:00.123456Z");
}

#[tokio::test]
async fn a_create_without_a_usable_connection_is_refused() {
    let world = World::new().await;
    for (body, code) in [
        (json!({}), "10004"),
        (json!({"connection_id": null}), "10004"),
        (json!({"connection_id": "  "}), "10004"),
        (json!({"connection_id": "1293384261075731499"}), "10017"),
        (json!({"connection_id": "no id"}), "10017"),
        (json!({"connection_id": world.bob.connection}), "10017"),
        (json!({"connection_id": 17}), "10015"),
    ] {
        let answer = world.post(&world.alice, PATH, body.clone()).await;
        assert_eq!(
            answer.error(),
            (422, code.to_owned(), "/connection_id".to_owned()),
            "{body}"
        );
    }
}

#[tokio::test]
async fn every_fault_of_a_request_is_named_once() {
    let world = World::new().await;
    let body = json!({"name": 1, "tag": [], "expires_at": "soon"});
    let answer = world.post(&world.alice, PATH, body).await;
    assert_eq!(answer.status, 422);
    let errors = answer.json()["errors"].as_array().unwrap().clone();
    let pointers: Vec<_> = errors
        .iter()
        .map(|e| e["source"]["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(pointers, ["/connection_id", "/name", "/tag", "/expires_at"]);
}

#[tokio::test]
async fn an_end_in_the_past_is_refused_at_creation() {
    let world = World::new().await;
    for end in [
        "2020-01-01T00:00:00Z",
        "2026-11-21T09:30:00.123456Z",
        "tomorrow",
        "",
    ] {
        let body = json!({"connection_id": world.alice.connection, "expires_at": end});
        world
            .post(&world.alice, PATH, body)
            .await
            .assert_error(422, "10015", "/expires_at");
    }
}

#[tokio::test]
async fn lists_have_fifty_on_a_page_newest_first_and_an_honest_meta() {
    let world = World::new().await;
    let empty = world.get(&world.alice, PATH).await.json();
    assert_eq!(
        empty,
        json!({"data": [], "meta": {"page_number": 1, "page_size": 50, "total_pages": 0, "total_results": 0}})
    );
    let mut made = Vec::new();
    for i in 0..53 {
        world.advance_secs(1);
        made.push(world.credential(json!({"name": i.to_string()})).await);
    }
    made.reverse();
    let first = world.get(&world.alice, PATH).await.json();
    assert_eq!(first["data"].as_array().unwrap()[..], made[..50]);
    assert_eq!(
        first["meta"],
        json!({"page_number": 1, "page_size": 50, "total_pages": 2, "total_results": 53})
    );
    let second = world
        .get(&world.alice, &format!("{PATH}?page%5Bnumber%5D=2"))
        .await
        .json();
    assert_eq!(second["data"].as_array().unwrap()[..], made[50..]);
    let past = world
        .get(
            &world.alice,
            &format!("{PATH}?page[number]=9&page[size]=250"),
        )
        .await
        .json();
    assert_eq!(past["data"], json!([]));
    assert_eq!(
        past["meta"],
        json!({"page_number": 9, "page_size": 250, "total_pages": 1, "total_results": 53})
    );
    let foreign = world.get(&world.bob, PATH).await.json();
    assert_eq!(foreign["meta"]["total_results"], 0);
}

#[tokio::test]
async fn filters_are_exact_and_all_apply() {
    let world = World::new().await;
    let connection = world.alice.connection.as_str();
    let end = "2026-11-21T09:31:00Z";
    let a = world
        .credential(json!({"name": "a b", "tag": "blue+1"}))
        .await;
    let b = world
        .credential(json!({"name": "a b", "tag": "red", "expires_at": end}))
        .await;
    let c = world
        .credential(json!({"name": "100%_", "tag": "blue+1"}))
        .await;
    world.advance_secs(60);
    let user_name = a["sip_username"].as_str().unwrap();
    let all = [&a, &b, &c];
    for (query, expected) in [
        (String::new(), &all[..]),
        ("filter%5Btag%5D=blue%2B1".to_owned(), &[&a, &c]),
        ("filter[tag]=blue".to_owned(), &[]),
        ("filter[name]=a+b".to_owned(), &[&a, &b]),
        ("filter[name]=a%20b&filter[tag]=red".to_owned(), &[&b]),
        ("filter[name]=100%25_".to_owned(), &[&c]),
        ("filter[name]=%25".to_owned(), &[]),
        ("filter[name]=' OR 1=1 --".replace(' ', "%20"), &[]),
        (format!("filter[sip_username]={user_name}"), &[&a]),
        ("filter[status]=expired".to_owned(), &[&b]),
        ("filter[status]=active".to_owned(), &[&a, &c]),
        ("filter[status]=inactive".to_owned(), &[]),
        ("filter[status]=active,expired".to_owned(), &all),
        (format!("filter[resource_id]=connection:{connection}"), &all),
        (
            format!("filter[resource_id]=connection%3A{}", world.bob.connection),
            &[],
        ),
        (
            "filter[unknown]=x&filter[tag][starts_with]=x".to_owned(),
            &all,
        ),
    ] {
        let answer = world.get(&world.alice, &format!("{PATH}?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        let answer = answer.json();
        let ids = |list: Vec<&Value>| -> BTreeSet<String> {
            list.iter()
                .map(|c| c["id"].as_str().unwrap().to_owned())
                .collect()
        };
        let found = ids(answer["data"].as_array().unwrap().iter().collect());
        assert_eq!(found, ids(expected.to_vec()), "{query}");
        assert_eq!(answer["meta"]["total_results"], expected.len(), "{query}");
    }
    for (query, place) in [
        ("filter[status]=asleep", "filter[status]"),
        ("filter[resource_id]=17", "filter[resource_id]"),
        ("filter[resource_id]=connection:x", "filter[resource_id]"),
    ] {
        world
            .get(&world.alice, &format!("{PATH}?{query}"))
            .await
            .assert_error(400, "10015", place);
    }
}

#[tokio::test]
async fn an_update_changes_what_is_sent_and_keeps_the_identity() {
    let world = World::new().await;
    let made = world
        .credential(json!({"name": "desk", "tag": "blue"}))
        .await;
    world.advance_secs(5);
    let unchanged = world.patch(&world.alice, &at(&made), json!({})).await;
    assert_eq!(unchanged.status, 200, "{unchanged:?}");
    assert_eq!(unchanged.json()["data"]["name"], "desk");
    let body = json!({"name": "lobby", "tag": "red", "expires_at": "2026-12-01T00:00:00", "sip_password": "x", "id": 1});
    let changed = world.patch(&world.alice, &at(&made), body).await.json()["data"].clone();
    assert_eq!(changed["name"], "lobby");
    assert_eq!(changed["expires_at"], "2026-12-01T00:00:00.000Z");
    assert_eq!(changed["updated_at"], "2026-11-21T09:30:05.123Z");
    for key in [
        "id",
        "sip_username",
        "sip_password",
        "created_at",
        "resource_id",
    ] {
        assert_eq!(changed[key], made[key]);
    }
    let red = world
        .get(&world.alice, &format!("{PATH}?filter[tag]=red"))
        .await
        .json();
    assert_eq!(red["data"], json!([changed]));
    let cleared = world
        .patch(
            &world.alice,
            &at(&made),
            json!({"expires_at": null, "tag": null, "name": null}),
        )
        .await;
    assert_eq!(cleared.json()["data"]["expires_at"], Value::Null);
    assert_eq!(
        cleared.json()["data"]["name"],
        "2026-11-21 09:30:00.123456Z"
    );
    let red = world
        .get(&world.alice, &format!("{PATH}?filter[tag]=red"))
        .await
        .json();
    assert_eq!(red["data"], json!([]));
}

#[tokio::test]
async fn an_update_refuses_what_a_create_refuses() {
    let world = World::new().await;
    let made = world.credential(json!({})).await;
    for (body, code, place) in [
        (json!({"connection_id": ""}), "10004", "/connection_id"),
        (json!({"connection_id": null}), "10004", "/connection_id"),
        (
            json!({"connection_id": world.bob.connection}),
            "10017",
            "/connection_id",
        ),
        (json!({"connection_id": "x"}), "10017", "/connection_id"),
        (json!({"expires_at": "never"}), "10015", "/expires_at"),
        (json!({"name": {}}), "10015", "/name"),
        (json!({"name": "x".repeat(256)}), "10015", "/name"),
        (json!({"tag": 1.5}), "10015", "/tag"),
    ] {
        world
            .patch(&world.alice, &at(&made), body)
            .await
            .assert_error(422, code, place);
    }
    assert_eq!(
        world.get(&world.alice, &at(&made)).await.json()["data"],
        made
    );
}

#[tokio::test]
async fn a_move_to_another_connection_ends_its_sessions() {
    let world = World::new().await;
    let mut revoked = world.revocations();
    let made = world.credential(json!({})).await;
    let body =
        json!({"connection_name": "second", "user_name": "alice2", "password": "correct horse"});
    let other = world
        .post(&world.alice, "/v2/credential_connections", body)
        .await
        .id();
    let same = world
        .patch(
            &world.alice,
            &at(&made),
            json!({"connection_id": world.alice.connection}),
        )
        .await;
    assert_eq!(same.status, 200);
    assert!(revoked.try_recv().is_err());
    let moved = world
        .patch(&world.alice, &at(&made), json!({"connection_id": other}))
        .await
        .json();
    assert_eq!(moved["data"]["resource_id"], format!("connection:{other}"));
    assert_eq!(moved["data"]["sip_username"], made["sip_username"]);
    let id = made["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(revoked.try_recv(), Ok(RevokeScope::Credential(id)));
}

#[tokio::test]
async fn moves_at_once_each_end_the_sessions_they_find() {
    let world = World::new().await;
    let mut revoked = world.revocations();
    let made = world.credential(json!({})).await;
    let body =
        json!({"connection_name": "second", "user_name": "alice2", "password": "correct horse"});
    let other = world
        .post(&world.alice, "/v2/credential_connections", body)
        .await
        .id();
    let path = at(&made);
    let to = |connection: &str| {
        let body = json!({"connection_id": connection});
        world.patch(&world.alice, &path, body)
    };
    let (there, back) = futures_util::future::join(to(&other), to(&world.alice.connection)).await;
    assert_eq!((there.status, back.status), (200, 200));
    assert_eq!(back.json()["data"]["resource_id"], made["resource_id"]);
    // Either may come first. When the way back is asked for, the credential still is where it leads to: if it
    // comes second, it moves the credential all the same, and if it comes first, it moves nothing.
    let at_last = world.get(&world.alice, &path).await.json();
    let moves = 1 + usize::from(at_last["data"]["resource_id"] == made["resource_id"]);
    let ended = std::iter::from_fn(|| revoked.try_recv().ok()).count();
    assert_eq!(ended, moves);
}

#[tokio::test]
async fn expiry_is_final() {
    let world = World::new().await;
    let mut revoked = world.revocations();
    let made = world.credential(json!({})).await;
    let ended = world
        .patch(
            &world.alice,
            &at(&made),
            json!({"expires_at": "2026-11-21T09:00:00Z"}),
        )
        .await;
    assert_eq!(ended.status, 200, "{ended:?}");
    assert_eq!(ended.json()["data"]["expired"], true);
    let id = made["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(revoked.try_recv(), Ok(RevokeScope::Credential(id)));
    for body in [
        json!({"expires_at": "2030-01-01T00:00:00Z"}),
        json!({"expires_at": null}),
        json!({"name": "x"}),
        json!({}),
    ] {
        let answer = world.patch(&world.alice, &at(&made), body).await;
        answer.assert_error(422, "10015", "/status");
        let detail = answer.json()["errors"][0]["detail"]
            .as_str()
            .unwrap()
            .to_lowercase();
        assert!(
            detail.contains("can't update credentials in expired status"),
            "{detail}"
        );
    }
    let token = world
        .post(&world.alice, &format!("{}/token", at(&made)), json!({}))
        .await;
    token.assert_error(422, "10015", "/status");
    assert_eq!(
        world.get(&world.alice, &at(&made)).await.json()["data"]["expired"],
        true
    );
    assert_eq!(
        world.delete(&world.alice, &at(&made)).await.json()["data"]["expired"],
        true
    );
}

#[tokio::test]
async fn a_deleted_credential_is_shown_once_more_and_gone_after_its_sessions_ended() {
    let world = World::new().await;
    let mut revoked = world.revocations();
    let made = world.credential(json!({})).await;
    let deleted = world.delete(&world.alice, &at(&made)).await;
    assert_eq!(deleted.status, 200);
    assert_eq!(deleted.json()["data"], made);
    let id = made["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(revoked.try_recv(), Ok(RevokeScope::Credential(id)));
    world
        .delete(&world.alice, &at(&made))
        .await
        .assert_error(404, "10005", "");
    world
        .get(&world.alice, &at(&made))
        .await
        .assert_error(404, "10005", "");
    world
        .patch(&world.alice, &at(&made), json!({}))
        .await
        .assert_error(404, "10005", "");
    world
        .post(&world.alice, &format!("{}/token", at(&made)), json!({}))
        .await
        .assert_error(404, "10005", "");
    assert!(revoked.try_recv().is_err());
}

#[tokio::test]
async fn a_revocation_outlives_the_client_that_asked_for_it() {
    let world = World::new().await;
    let mut taken = world.bus.subscribe_revocations();
    let made = world.credential(json!({})).await;
    let path = at(&made);
    let request = world.delete(&world.alice, &path);
    let revocation = tokio::select! {
        answer = request => panic!("answered before its sessions ended: {answer:?}"),
        revocation = taken.recv() => revocation.unwrap(),
    };
    // The request is dropped by now, its work is not.
    let id = made["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(revocation.scope, RevokeScope::Credential(id));
    assert_eq!(revocation.done.send(()), Ok(()));
    world
        .get(&world.alice, &at(&made))
        .await
        .assert_error(404, "10005", "");
}

#[tokio::test]
async fn a_token_is_bare_text_that_verifies() {
    let world = World::new().await;
    let made = world.credential(json!({})).await;
    for body in ["", "{}", "[1", "null"] {
        let answer = world
            .request(&world.alice, "POST", &format!("{}/token", at(&made)), body)
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        assert!(answer.header("content-type").starts_with("text/plain"));
        assert_eq!(answer.header("cache-control"), "no-store");
        let token = std::str::from_utf8(&answer.body).unwrap();
        assert_eq!(token, token.trim_matches(['"', '\n', ' ']));
        let keys = world.store.signing_keys();
        let claims = access_token::verify(&keys, token, Timestamp::from_micros(START)).unwrap();
        assert_eq!(claims.subject.to_string(), made["id"]);
        assert_eq!(
            claims.expires_at.as_secs() - claims.issued_at.as_secs(),
            86_400
        );
    }
}

#[tokio::test]
async fn a_token_ends_with_its_credential() {
    let world = World::new().await;
    let made = world
        .credential(json!({"expires_at": "2026-11-21T10:00:00Z"}))
        .await;
    let token = world
        .request(
            &world.alice,
            "POST",
            &format!("{}/token", at(&made)),
            Body::empty(),
        )
        .await;
    let keys = world.store.signing_keys();
    let text = std::str::from_utf8(&token.body).unwrap();
    let claims = access_token::verify(&keys, text, Timestamp::from_micros(START)).unwrap();
    assert_eq!(claims.expires_at.to_string(), "2026-11-21T10:00:00.000Z");
    world.advance_secs(1800);
    let late = world
        .request(
            &world.alice,
            "POST",
            &format!("{}/token", at(&made)),
            Body::empty(),
        )
        .await;
    late.assert_error(422, "10015", "/status");
}

#[tokio::test]
async fn a_tag_holds_a_thousand_credentials() {
    let world = World::new().await;
    for _ in 0..1000 {
        world.credential(json!({"tag": "full"})).await;
    }
    let body = json!({"connection_id": world.alice.connection, "tag": "full"});
    world
        .post(&world.alice, PATH, body)
        .await
        .assert_error(422, "10015", "/tag");
    let other = world.credential(json!({"tag": "other"})).await;
    world
        .patch(&world.alice, &at(&other), json!({"tag": "full"}))
        .await
        .assert_error(422, "10015", "/tag");
    let body = json!({"connection_id": world.bob.connection, "tag": "full"});
    assert_eq!(world.post(&world.bob, PATH, body).await.status, 201);
}

#[tokio::test]
async fn a_credential_can_be_switched_off_and_on() {
    let world = World::new().await;
    let mut revoked = world.revocations();
    let made = world.credential(json!({"name": "desk"})).await;
    let id = made["id"].as_str().unwrap();
    let path = format!("{PATH}/{id}");
    let act = async |action: &str| {
        let path = format!("{path}/actions/{action}");
        // As the old SDKs send it: without a body.
        world.request(&world.alice, "POST", &path, "").await
    };
    let count = async |status: &str| {
        let path = format!("{PATH}?filter[status]={status}");
        let listed = world.get(&world.alice, &path).await;
        listed.json()["meta"]["total_results"].clone()
    };
    world.advance_secs(5);
    let off = act("deactivate").await;
    assert_eq!(off.status, 200, "{off:?}");
    assert_eq!(off.json()["data"]["sip_username"], made["sip_username"]);
    assert_ne!(off.json()["data"]["updated_at"], made["updated_at"]);
    let scope = ringtrip_model::RevokeScope::Credential(id.parse().unwrap());
    assert_eq!(revoked.recv().await, Some(scope));
    assert_eq!(
        (count("inactive").await, count("active").await),
        (json!(1), json!(0))
    );
    assert_eq!(count("active,inactive").await, 1);
    assert_eq!(count("active,expired").await, 0);
    let token = world
        .post(&world.alice, &format!("{path}/token"), json!({}))
        .await;
    token.assert_error(422, "10015", "/status");
    // It can still be changed and read.
    let patched = world
        .patch(&world.alice, &path, json!({"name": "attic"}))
        .await;
    assert_eq!(patched.status, 200);
    assert_eq!(count("inactive").await, 1);

    assert_eq!(act("activate").await.status, 200);
    assert_eq!(
        (count("inactive").await, count("active").await),
        (json!(0), json!(1))
    );
    let token = world
        .post(&world.alice, &format!("{path}/token"), json!({}))
        .await;
    assert_eq!(token.status, 201);

    let end = json!({"expires_at": "2026-11-21T09:31:00Z"});
    assert_eq!(world.patch(&world.alice, &path, end).await.status, 200);
    world.advance_secs(60);
    for action in ["activate", "deactivate"] {
        act(action).await.assert_error(422, "10015", "/status");
    }
}

#[tokio::test]
async fn tags_are_listed_with_their_amounts() {
    let world = World::new().await;
    for tag in ["red", "blue", "red"] {
        world.credential(json!({"tag": tag})).await;
    }
    world.credential(json!({})).await;
    let tags = world
        .get(&world.alice, &format!("{PATH}/tags"))
        .await
        .json();
    let expected = json!([{"tag": "blue", "amount": 1}, {"tag": "red", "amount": 2}]);
    assert_eq!(tags["data"], expected);
    let meta = json!({"page_number": 1, "page_size": 50, "total_pages": 1, "total_results": 2});
    assert_eq!(tags["meta"], meta);
    let path = format!("{PATH}/tags?page[size]=1&page_number=2");
    let second = world.get(&world.alice, &path);
    assert_eq!(
        second.await.json()["data"],
        json!([{"tag": "red", "amount": 2}])
    );
    let foreign = world.get(&world.bob, &format!("{PATH}/tags")).await.json();
    assert_eq!(foreign["data"], json!([]));
}
