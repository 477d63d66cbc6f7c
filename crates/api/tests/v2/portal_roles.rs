//! What the roles of people let them do, and what is told of it.

use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use ringtrip_api::{PORTAL_ROUTES, PortalAccess};
use ringtrip_model::{Permission, Role};
use serde_json::{Value, json};

use crate::browser::{Browser, HTTPS, PASSWORD, join, set_up};
use crate::support::World;

/// One person of each role, in one account.
async fn everybody(world: &World) -> Vec<(Role, Browser)> {
    let mut ann = set_up(world).await;
    let mut people = Vec::new();
    for role in [Role::Admin, Role::Developer, Role::ReadOnly] {
        let email = format!("{}@example.org", role.name());
        people.push((role, join(world, &mut ann, &email, role.name()).await));
    }
    people.insert(0, (Role::Owner, ann));
    people
}

#[tokio::test]
async fn every_route_of_the_portal_takes_what_its_table_says() {
    let world = World::new().await;
    let people = everybody(&world).await;
    let unknown = "c215ade3-0d39-418e-94be-c5f780760199";
    for route in PORTAL_ROUTES {
        let path = route.path.replace("{id}", unknown);
        let mut visitor = Browser::new();
        let answer = visitor.ask(&world, route.method, &path, json!({})).await;
        let anyone = route.access == PortalAccess::Anyone;
        if anyone {
            assert_ne!(answer.status, 401, "{route:?} {answer:?}");
            continue;
        }
        answer.assert_error(401, "10009", "");
        let key = Request::builder()
            .method(route.method)
            .uri(&path)
            .extension(HTTPS)
            .header("host", "phone.example.org")
            .header("authorization", format!("Bearer {}", world.alice.key));
        let answer = world.send(key.body(Body::empty()).unwrap()).await;
        answer.assert_error(401, "10009", "");
        for (role, browser) in &people {
            // A copy: some routes end the session, and cookies with it.
            if matches!(route.path, "/portal/session" | "/portal/password") && route.method != "GET"
            {
                continue;
            }
            let answer = browser
                .clone()
                .ask(&world, route.method, &path, json!({}))
                .await;
            let may = match route.access {
                PortalAccess::May(permission) => role.may(permission),
                PortalAccess::Person | PortalAccess::Anyone => true,
            };
            assert_eq!(answer.status == 403, !may, "{role:?} {route:?} {answer:?}");
            assert_ne!(answer.status, 401, "{role:?} {route:?}");
            assert!(answer.status < 500, "{role:?} {route:?} {answer:?}");
        }
    }
}

#[tokio::test]
async fn every_resource_is_reached_through_the_portal_as_the_role_allows() {
    let world = World::new().await;
    let people = everybody(&world).await;
    let visitor = Browser::new();
    for route in ringtrip_api::ROUTES {
        let Some(rest) = route.path.strip_prefix("/v2/") else {
            continue;
        };
        let id = "1293384261075731499";
        let path = format!("/portal/v2/{}", rest.replace("{id}", id));
        let answer = visitor
            .clone()
            .ask(&world, route.method, &path, json!({}))
            .await;
        answer.assert_error(401, "10009", "");
        let reads = route.method == "GET";
        let needed = match rest.split('/').next().unwrap() {
            "api_keys" => Permission::ManageKeys,
            "audit_events" => Permission::ReadAudit,
            "account" | "trunks" if !reads => Permission::ManageAccount,
            _ if reads => Permission::ReadResources,
            _ => Permission::WriteResources,
        };
        for (role, browser) in &people {
            let answer = browser
                .clone()
                .ask(&world, route.method, &path, json!({}))
                .await;
            let may = role.may(needed);
            assert_eq!(answer.status == 403, !may, "{role:?} {route:?} {answer:?}");
            assert_ne!(answer.status, 401, "{role:?} {route:?}");
        }
    }
}

#[tokio::test]
async fn a_person_works_with_resources_under_their_own_name() {
    let world = World::new().await;
    let mut ann = set_up(&world).await;
    let mut dev = join(&world, &mut ann, "dev@example.org", "developer").await;
    let body =
        json!({"connection_name": "main", "user_name": "acmemain", "password": "correct horse"});
    let made = dev
        .post(&world, "/portal/v2/credential_connections", body)
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let connection = made.id();
    let body = json!({"connection_id": connection});
    let made = dev
        .post(&world, "/portal//v2/telephony_credentials/", body)
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let credential = made.json()["data"].clone();
    assert_eq!(
        credential["user_id"],
        ann.get(&world, "/portal/session").await.json()["data"]["account"]["id"]
    );
    let path = format!(
        "/portal/v2/telephony_credentials/{}",
        credential["id"].as_str().unwrap()
    );
    let token = dev.post(&world, &format!("{path}/token"), json!({})).await;
    assert_eq!(token.status, 201);
    // Another account's things are not there.
    let foreign = format!(
        "/portal/v2/credential_connections/{}",
        world.alice.connection
    );
    dev.get(&world, &foreign)
        .await
        .assert_error(404, "10005", "");

    world.store.write_notes().await.unwrap();
    let query = "/portal/v2/audit_events?filter[resource_type]=telephony_credential&sort=asc";
    let events = ann.get(&world, query).await.json()["data"].clone();
    let told: Vec<_> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            (
                event["change_type"].as_str().unwrap(),
                event["actor"]["name"].as_str().unwrap(),
                event["source_address"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("create", "dev@example.org", "203.0.113.9"),
            ("create_token", "dev@example.org", "203.0.113.9"),
        ]
    );
    assert_eq!(events[0]["change_made_by"], "organization_member");
}

#[tokio::test]
async fn a_key_beside_a_session_does_not_change_who_asks() {
    let world = World::new().await;
    let ann = set_up(&world).await;
    let request = ann
        .request("GET", "/portal/v2/whoami")
        .header("authorization", format!("Bearer {}", world.alice.key));
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.json()["data"]["organization_name"], "Acme");
    // And a cookie opens nothing of the API itself.
    let request = ann.request("GET", "/v2/whoami");
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    answer.assert_error(401, "10009", "");
}

#[tokio::test]
async fn who_may_only_read_sees_no_secrets() {
    let world = World::new().await;
    let mut ann = set_up(&world).await;
    let body =
        json!({"connection_name": "main", "user_name": "acmemain", "password": "correct horse"});
    let id = ann
        .post(&world, "/portal/v2/credential_connections", body)
        .await
        .id();
    ann.post(
        &world,
        "/portal/v2/telephony_credentials",
        json!({"connection_id": id}),
    )
    .await;
    let mut reader = join(&world, &mut ann, "ro@example.org", "read_only").await;
    for (path, secret) in [
        ("/portal/v2/telephony_credentials", "sip_password"),
        ("/portal/v2/credential_connections", "password"),
    ] {
        let shown = ann.get(&world, path).await.json()["data"][0].clone();
        let hidden = reader.get(&world, path).await.json()["data"][0].clone();
        assert!(shown[secret].is_string());
        assert_eq!(hidden[secret], Value::Null);
        assert_eq!(hidden["id"], shown["id"]);
    }
}

#[tokio::test]
async fn who_may_only_read_sees_large_lists_too() {
    let world = World::new().await;
    let mut ann = set_up(&world).await;
    let mut reader = join(&world, &mut ann, "ro@example.org", "read_only").await;
    // One long number in a sequence (DER) stands for a certificate and a key nearly as large as they may be.
    let long = 40_000_u16;
    let mut der = vec![0x30, 0x82];
    der.extend((long + 4).to_be_bytes());
    der.extend([0x02, 0x82]);
    der.extend(long.to_be_bytes());
    der.extend(std::iter::repeat_n(1, usize::from(long)));
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let pem = |label: &str| format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----");
    for n in 0..250 {
        let body = json!({
            "type": "ios", "alias": format!("a{n}"),
            "certificate": pem("CERTIFICATE"), "private_key": pem("PRIVATE KEY"),
        });
        let path = "/portal/v2/mobile_push_credentials";
        let made = ann.post(&world, path, body).await;
        assert_eq!(made.status, 200, "{made:?}");
    }
    let path = "/portal/v2/mobile_push_credentials?page[size]=250";
    let shown = ann.get(&world, path).await;
    let hidden = reader.get(&world, path).await;
    assert!(shown.body.len() > 20_000_000, "{}", shown.body.len());
    assert_eq!(hidden.status, 200);
    assert_eq!(hidden.json()["data"].as_array().unwrap().len(), 250);
}

#[tokio::test]
async fn roles_change_and_people_go_and_their_sessions_with_them() {
    let world = World::new().await;
    let mut ann = set_up(&world).await;
    // Those come first who came first.
    world.advance_secs(1);
    let mut cy = join(&world, &mut ann, "cy@example.org", "admin").await;
    let people = cy.get(&world, "/portal/users").await.json();
    let id = |index: usize| people["data"][index]["id"].as_str().unwrap().to_owned();
    let (ann_path, cy_path) = (
        format!("/portal/users/{}", id(0)),
        format!("/portal/users/{}", id(1)),
    );
    for (method, body) in [("PATCH", json!({"role": "admin"})), ("DELETE", json!(null))] {
        let refused = cy.ask(&world, method, &ann_path, body).await;
        refused.assert_error(403, "10010", "");
        let body = json!({"role": "owner"});
        let refused = cy.ask(&world, "PATCH", &cy_path, body).await;
        refused.assert_error(403, "10010", "");
    }
    let owner = json!({"email": "di@example.org", "role": "owner"});
    let refused = cy.post(&world, "/portal/invitations", owner).await;
    refused.assert_error(403, "10010", "");
    let last = ann
        .ask(&world, "PATCH", &ann_path, json!({"role": "admin"}))
        .await;
    last.assert_error(422, "10015", "/role");

    let changed = ann
        .ask(&world, "PATCH", &cy_path, json!({"role": "read_only"}))
        .await;
    assert_eq!(changed.json()["data"]["role"], "read_only");
    assert_eq!(cy.signed_in(&world).await, 401, "a new role, a new session");
    cy.sign_in(&world, "cy@example.org", PASSWORD).await;
    let refused = cy.get(&world, "/portal/invitations").await;
    refused.assert_error(403, "10010", "");
    let gone = ann.ask(&world, "DELETE", &cy_path, json!(null)).await;
    assert_eq!(gone.status, 200);
    assert_eq!(cy.signed_in(&world).await, 401);
    let answer = cy.sign_in(&world, "cy@example.org", PASSWORD).await;
    answer.assert_error(401, "10009", "");
}

#[tokio::test]
async fn sign_ins_and_refusals_are_in_the_audit_log() {
    let world = World::new().await;
    let mut ann = set_up(&world).await;
    let mut reader = join(&world, &mut ann, "ro@example.org", "read_only").await;
    Browser::new()
        .sign_in(&world, "ann@example.org", "wrong wrong wrong")
        .await;
    Browser::new()
        .sign_in(&world, "ann@example.org", PASSWORD)
        .await;
    reader.get(&world, "/portal/invitations").await;
    reader.post(&world, "/portal/v2/api_keys", json!({})).await;
    reader
        .ask(&world, "DELETE", "/portal/session", json!(null))
        .await;
    world.store.write_notes().await.unwrap();
    let events = ann
        .get(&world, "/portal/v2/audit_events?page_size=100&sort=asc")
        .await;
    let told: Vec<_> = events.json()["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let word = |key: &str| event[key].as_str().unwrap().to_owned();
            format!(
                "{} {} {} {}",
                event["actor"]["name"].as_str().unwrap(),
                word("change_type"),
                word("resource_type"),
                word("result")
            )
        })
        .collect();
    let mut told = told;
    told.sort();
    let mut expected = vec![
        "Ann@example.org set_up user success",
        "Ann@example.org set_up portal_session success",
        "Ann@example.org create invitation success",
        "ro@example.org accept user success",
        "ro@example.org accept portal_session success",
        "Ann@example.org sign_in portal_session refused",
        "Ann@example.org sign_in portal_session success",
        "ro@example.org create api_key refused",
        "ro@example.org sign_out portal_session success",
    ];
    expected.sort_unstable();
    assert_eq!(told, expected);
}
