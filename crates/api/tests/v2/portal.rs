//! People: how they come, and sign in and out.

use axum::body::Body;
use futures_util::future::join_all;
use ringtrip_api::{PORTAL_ROUTES, Peer, PortalConfig, SignUp};
use ringtrip_model::{PlainToken, Role};
use serde_json::json;

use crate::browser::{Browser, PASSWORD, join, open, set_up, setup_link};
use crate::support::World;

#[tokio::test]
async fn the_setup_link_makes_one_owner_and_no_second() {
    let world = World::with_portal(open()).await;
    let mut visitor = Browser::new();
    let options = visitor.get(&world, "/portal/options").await.json()["data"].clone();
    assert_eq!(
        (
            options["needs_setup"].as_bool(),
            options["sign_up"].as_str()
        ),
        (Some(true), Some("open"))
    );
    let newcomer = json!({"email": "eve@example.org", "password": PASSWORD});
    // Not even where anybody may sign up does somebody come before the owner.
    let early = visitor
        .post(&world, "/portal/sign_up", newcomer.clone())
        .await;
    early.assert_error(403, "10010", "");
    for token in [json!(null), json!("x"), json!("a".repeat(43)), json!(7)] {
        let body = json!({"token": token, "email": "eve@example.org", "password": PASSWORD});
        let refused = visitor.post(&world, "/portal/setup", body).await;
        refused.assert_error(404, "10005", "");
    }

    let mut owner = set_up(&world).await;
    let session = owner.get(&world, "/portal/session").await.json()["data"].clone();
    assert_eq!(session["user"]["role"], "owner");
    assert_eq!(session["user"]["email"], "Ann@example.org");
    assert_eq!(session["account"]["organization_name"], "Acme");
    let options = visitor.get(&world, "/portal/options").await;
    assert_eq!(options.json()["data"]["needs_setup"], false);

    let again = json!({"token": "a".repeat(43), "email": "eve@example.org", "password": PASSWORD});
    visitor
        .post(&world, "/portal/setup", again)
        .await
        .assert_error(404, "10005", "");
    // A second sign-up owns its own account, and nothing of the first.
    let second = visitor.post(&world, "/portal/sign_up", newcomer).await;
    assert_eq!(second.status, 201, "{second:?}");
    assert_ne!(
        second.json()["data"]["account"]["id"],
        session["account"]["id"]
    );
    let people = visitor.get(&world, "/portal/users").await.json();
    assert_eq!(people["meta"]["total_results"], 1);
    assert_eq!(people["data"][0]["email"], "eve@example.org");
    let id = session["user"]["id"].as_str().unwrap();
    let path = format!("/portal/users/{id}");
    for (method, body) in [
        ("PATCH", json!({"role": "developer"})),
        ("DELETE", json!(null)),
    ] {
        let foreign = visitor.ask(&world, method, &path, body).await;
        foreign.assert_error(404, "10005", "");
    }
}

#[tokio::test]
async fn a_used_setup_link_is_dead() {
    let world = World::new().await;
    let token = setup_link(&world).await;
    let body = |email: &str| json!({"token": token, "email": email, "password": PASSWORD});
    let weak = json!({"token": token, "email": "no address", "password": "password1234"});
    let mut browser = Browser::new();
    let refused = browser.post(&world, "/portal/setup", weak).await;
    assert_eq!(refused.status, 422);
    assert_eq!(
        refused.json()["errors"].as_array().unwrap().len(),
        2,
        "{refused:?}"
    );
    let link = browser
        .post(&world, "/portal/links", json!({"token": token}))
        .await;
    assert_eq!(
        link.json()["data"]["purpose"],
        "setup",
        "a mistake costs nothing"
    );
    let made = browser
        .post(&world, "/portal/setup", body("ann@example.org"))
        .await;
    assert_eq!(made.status, 201);
    let mut other = Browser::new();
    let refused = other
        .post(&world, "/portal/setup", body("eve@example.org"))
        .await;
    refused.assert_error(404, "10005", "");
    let link = json!({"token": token});
    let dead = other.post(&world, "/portal/links", link).await;
    dead.assert_error(404, "10005", "");
    assert_eq!(other.signed_in(&world).await, 401);
}

#[tokio::test]
async fn who_may_sign_up_is_as_configured() {
    for (sign_up, invites) in [(SignUp::Invitation, 201), (SignUp::Closed, 403)] {
        let config = PortalConfig {
            sign_up,
            ..PortalConfig::default()
        };
        let world = World::with_portal(config).await;
        let mut owner = set_up(&world).await;
        let newcomer = json!({"email": "eve@example.org", "password": PASSWORD});
        let refused = Browser::new()
            .post(&world, "/portal/sign_up", newcomer)
            .await;
        refused.assert_error(403, "10010", "");
        let body = json!({"email": "cy@example.org", "role": "admin"});
        let invited = owner.post(&world, "/portal/invitations", body).await;
        assert_eq!(invited.status, invites, "{invited:?}");
    }
}

#[tokio::test]
async fn who_is_invited_before_nobody_may_join_stays_out_unless_by_the_operator() {
    let mut world = World::new().await;
    let mut ann = set_up(&world).await;
    let body = json!({"email": "cy@example.org", "role": "admin"});
    let invited = ann.post(&world, "/portal/invitations", body).await.json();
    let url = invited["data"]["url"].as_str().unwrap().to_owned();
    let operators = ringtrip_model::NewInvitation::new(
        ann.get(&world, "/portal/session").await.json()["data"]["account"]["id"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap(),
        "dee@example.org",
        Role::Developer,
        None,
        ringtrip_model::Timestamp::from_micros(crate::support::START),
        &mut ringtrip_model::Generator::from_seed([6; 32]),
    );
    let (invitation, operators) = operators.unwrap();
    world.store.insert_invitation(invitation).await.unwrap();
    world.restart_with(PortalConfig {
        sign_up: SignUp::Closed,
        ..PortalConfig::default()
    });
    for (token, status) in [
        (url.split_once('#').unwrap().1, 403),
        (operators.expose(), 201),
    ] {
        let body = json!({"token": token, "name": "", "password": PASSWORD});
        let answer = Browser::new()
            .post(&world, "/portal/invitations/accept", body)
            .await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}

#[tokio::test]
async fn signing_in_takes_address_and_password_and_tells_nothing_else() {
    let world = World::new().await;
    set_up(&world).await;
    let mut refusals = Vec::new();
    for (email, password) in [
        ("ann@example.org", "mauve tractor twelve"),
        ("who@example.org", PASSWORD),
        ("ann@example.org", ""),
        ("ann@example.org", &"x".repeat(5000)),
        ("' OR 1=1 --", PASSWORD),
        ("", PASSWORD),
    ] {
        let mut browser = Browser::new();
        let answer = browser.sign_in(&world, email, password).await;
        answer.assert_error(401, "10009", "");
        assert!(browser.cookies.is_empty());
        refusals.push(answer.json());
    }
    refusals.dedup();
    assert_eq!(refusals.len(), 1, "all look alike");
    let mut browser = Browser::new();
    let missing = browser.post(&world, "/portal/sign_in", json!({})).await;
    assert_eq!(missing.status, 422);
    assert_eq!(missing.json()["errors"].as_array().unwrap().len(), 2);
    let answer = browser.sign_in(&world, " ANN@example.org ", PASSWORD).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(browser.signed_in(&world).await, 200);
}

#[tokio::test]
async fn a_session_that_was_planted_is_never_used_and_a_fresh_one_begins() {
    let world = World::new().await;
    set_up(&world).await;
    let mut victim = Browser::new();
    let planted = "A".repeat(43);
    let name = "__Host-ringtrip_session".to_owned();
    victim.cookies.insert(name.clone(), planted.clone());
    assert_eq!(victim.signed_in(&world).await, 401);
    victim.sign_in(&world, "ann@example.org", PASSWORD).await;
    assert_ne!(victim.session(), planted);
    let mut attacker = Browser::new();
    attacker.cookies.insert(name.clone(), planted);
    assert_eq!(attacker.signed_in(&world).await, 401);

    // Signing in again ends the session that the browser had.
    let first = victim.clone();
    victim.sign_in(&world, "ann@example.org", PASSWORD).await;
    assert_ne!(victim.session(), first.session());
    assert_eq!(first.clone().signed_in(&world).await, 401);
    assert_eq!(victim.signed_in(&world).await, 200);
}

#[tokio::test]
async fn signing_out_ends_the_session_on_the_server() {
    let world = World::new().await;
    let mut browser = set_up(&world).await;
    let kept = browser.clone();
    let out = browser
        .ask(&world, "DELETE", "/portal/session", json!(null))
        .await;
    assert_eq!(out.status, 204);
    assert!(!browser.cookies.contains_key("__Host-ringtrip_session"));
    assert_eq!(
        kept.clone().signed_in(&world).await,
        401,
        "a copy is worth nothing"
    );
}

#[tokio::test]
async fn sessions_are_listed_and_can_be_ended_from_another_browser() {
    let world = World::new().await;
    let mut here = set_up(&world).await;
    world.advance_secs(1);
    let mut there = Browser::from([198, 51, 100, 7]);
    there.sign_in(&world, "ann@example.org", PASSWORD).await;
    let listed = here.get(&world, "/portal/sessions").await.json();
    assert_eq!(listed["meta"]["total_results"], 2);
    let other = &listed["data"][0];
    assert_eq!(
        (other["source_address"].as_str(), other["current"].as_bool()),
        (Some("198.51.100.7"), Some(false))
    );
    assert_eq!(listed["data"][1]["current"], true);
    let path = format!("/portal/sessions/{}", other["id"].as_str().unwrap());
    let ended = here.ask(&world, "DELETE", &path, json!(null)).await;
    assert_eq!(ended.status, 200, "{ended:?}");
    assert_eq!(there.signed_in(&world).await, 401);
    assert_eq!(here.signed_in(&world).await, 200);
}

#[tokio::test]
async fn sessions_end_when_they_are_silent_or_old() {
    let world = World::new().await;
    let mut browser = set_up(&world).await;
    world.advance_secs(8 * 3600 - 1);
    assert_eq!(browser.signed_in(&world).await, 200);
    world.advance_secs(8 * 3600 + 1);
    assert_eq!(browser.signed_in(&world).await, 401);
}

#[tokio::test]
async fn a_write_needs_the_sessions_own_csrf_token() {
    let world = World::new().await;
    let mut ann = set_up(&world).await;
    let mut cy = join(&world, &mut ann, "cy@example.org", "admin").await;
    for token in ["", "x", &cy.csrf.clone(), &ann.session()] {
        let mut forger = ann.clone();
        forger.csrf = token.to_owned();
        for path in ["/portal/profile", "/portal/v2/account"] {
            let answer = forger.ask(&world, "PATCH", path, json!({})).await;
            answer.assert_error(403, "10010", "");
        }
        assert_eq!(forger.signed_in(&world).await, 200, "reading needs none");
    }
    let answer = ann
        .ask(
            &world,
            "PATCH",
            "/portal/profile",
            json!({"name": "Ann B."}),
        )
        .await;
    assert_eq!(answer.json()["data"]["name"], "Ann B.");
    assert_eq!(cy.signed_in(&world).await, 200);
}

#[tokio::test]
async fn a_page_of_somebody_else_writes_nothing() {
    let world = World::new().await;
    let ann = set_up(&world).await;
    for (method, path) in [
        ("POST", "/portal/sign_in"),
        ("POST", "/portal/password"),
        ("DELETE", "/portal/session"),
        ("POST", "/portal/v2/telephony_credentials"),
    ] {
        for (site, origin) in [
            (Some("cross-site"), Some("https://evil.example")),
            (Some("same-site"), Some("https://other.example.org")),
            (Some("none"), None),
            (None, Some("https://evil.example")),
            (None, Some("http://phone.example.org")),
            (None, Some("null")),
        ] {
            let mut request = ann.request(method, path);
            let headers = request.headers_mut().unwrap();
            headers.remove("sec-fetch-site");
            headers.remove("origin");
            for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            let answer = world.send(request.body(Body::from("{}")).unwrap()).await;
            answer.assert_error(403, "10010", "");
            assert!(!answer.headers.contains_key("access-control-allow-origin"));
        }
    }
    let preflight = ann
        .request("OPTIONS", "/portal/v2/whoami")
        .header("access-control-request-method", "POST");
    let answer = world.send(preflight.body(Body::empty()).unwrap()).await;
    assert!(!answer.headers.contains_key("access-control-allow-methods"));
    assert_eq!(ann.clone().signed_in(&world).await, 200);
}

#[tokio::test]
async fn nothing_works_over_plain_http_but_on_loopback() {
    let world = World::new().await;
    set_up(&world).await;
    let plain = |source: [u8; 4]| Peer {
        source: source.into(),
        secure: false,
    };
    for (peer, host) in [
        (plain([203, 0, 113, 9]), "phone.example.org"),
        (plain([192, 168, 1, 5]), "192.168.1.2:8080"),
        (plain([203, 0, 113, 9]), "localhost"),
        (plain([127, 0, 0, 1]), "phone.example.org"),
        (Peer::UNKNOWN, "localhost"),
    ] {
        let mut browser = Browser::at(peer, host);
        for route in PORTAL_ROUTES {
            let answer = browser
                .ask(&world, route.method, route.path, json!({}))
                .await;
            answer.assert_error(403, "10010", "");
        }
        let through = browser.get(&world, "/portal/v2/whoami").await;
        through.assert_error(403, "10010", "");
    }
    let mut local = Browser::at(plain([127, 0, 0, 1]), "localhost:8080");
    let answer = local.sign_in(&world, "ann@example.org", PASSWORD).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(local.signed_in(&world).await, 200);
    // A cookie of loopback opens nothing elsewhere.
    let mut carried = Browser::new();
    carried.cookies = local.cookies.clone();
    assert_eq!(carried.signed_in(&world).await, 401);
}

#[tokio::test]
async fn ten_wrong_passwords_cost_a_pause_there_and_lock_nobody_out() {
    let world = World::new().await;
    let mut ann = set_up(&world).await;
    let mut guesser = Browser::from([198, 51, 100, 66]);
    for _ in 0..10 {
        let answer = guesser
            .sign_in(&world, "ann@example.org", "wrong wrong wrong")
            .await;
        answer.assert_error(401, "10009", "");
    }
    for password in ["wrong wrong wrong", PASSWORD] {
        let answer = guesser.sign_in(&world, "Ann@Example.org", password).await;
        answer.assert_error(429, "10011", "");
        let wait: u32 = answer.header("retry-after").parse().unwrap();
        assert!((1..=600).contains(&wait));
    }
    // Somebody who is not known is treated alike.
    for n in 0..11 {
        let answer = guesser.sign_in(&world, "who@example.org", PASSWORD).await;
        assert_eq!(answer.status, if n < 10 { 401 } else { 429 });
    }
    let mut elsewhere = Browser::from([192, 0, 2, 1]);
    assert_eq!(
        elsewhere
            .sign_in(&world, "ann@example.org", PASSWORD)
            .await
            .status,
        201
    );
    // A browser that Ann has signed in from is let in even where the guesser sits.
    ann.peer = guesser.peer;
    assert_eq!(
        ann.sign_in(&world, "ann@example.org", PASSWORD)
            .await
            .status,
        201
    );
    world.advance_secs(600);
    let answer = guesser.sign_in(&world, "ann@example.org", PASSWORD).await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn another_password_takes_the_old_one_and_ends_all_other_sessions() {
    let world = World::new().await;
    let mut here = set_up(&world).await;
    let mut there = Browser::new();
    there.sign_in(&world, "ann@example.org", PASSWORD).await;
    let next = "seven quiet otters";
    for (current, wanted, status, place) in [
        ("wrong wrong wrong", next, 422, "/current_password"),
        ("", next, 422, "/current_password"),
        (PASSWORD, "short", 422, "/password"),
        (PASSWORD, "password1234", 422, "/password"),
    ] {
        let body = json!({"current_password": current, "password": wanted});
        let answer = here.post(&world, "/portal/password", body).await;
        let (got, _, at) = answer.error();
        assert_eq!((got, at.as_str()), (status, place));
    }
    world.store.write_notes().await.unwrap();
    let told = here
        .get(
            &world,
            "/portal/v2/audit_events?filter[change_type]=change_password",
        )
        .await
        .json();
    let told = told["data"].as_array().unwrap().iter();
    let results: Vec<_> = told.map(|event| event["result"].clone()).collect();
    assert_eq!(results, ["refused"], "the one with a wrong password");
    let before = here.clone();
    let body = json!({"current_password": PASSWORD, "password": next});
    let answer = here.post(&world, "/portal/password", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_ne!(here.session(), before.session(), "the session is a new one");
    assert_eq!(here.signed_in(&world).await, 200);
    for mut old in [there, before] {
        assert_eq!(old.signed_in(&world).await, 401);
    }
    let mut again = Browser::new();
    assert_eq!(
        again
            .sign_in(&world, "ann@example.org", PASSWORD)
            .await
            .status,
        401
    );
    assert_eq!(
        again.sign_in(&world, "ann@example.org", next).await.status,
        201
    );
}

#[tokio::test]
async fn a_reset_link_gives_a_new_password_once() {
    let world = World::new().await;
    let mut ann = set_up(&world).await;
    let token = PlainToken::generate(&mut ringtrip_model::Generator::from_seed([5; 32]));
    let now = ringtrip_model::Timestamp::from_micros(crate::support::START);
    let made = world
        .store
        .renew_password_reset_link("ann@example.org", token.hashed(), now);
    assert!(made.await.unwrap().is_some());
    let mut browser = Browser::new();
    let link = json!({"token": token.expose()});
    let data = browser.post(&world, "/portal/links", link).await.json()["data"].clone();
    assert_eq!(
        (data["purpose"].as_str(), data["email"].as_str()),
        (Some("password_reset"), Some("Ann@example.org"))
    );
    let next = "seven quiet otters";
    let body = json!({"token": token.expose(), "password": next});
    let answer = browser
        .post(&world, "/portal/password_resets", body.clone())
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(browser.signed_in(&world).await, 200);
    assert_eq!(ann.signed_in(&world).await, 401);
    let again = Browser::new()
        .post(&world, "/portal/password_resets", body)
        .await;
    again.assert_error(404, "10005", "");
    let setup = json!({"token": token.expose(), "email": "e@x", "password": next});
    let answer = Browser::new().post(&world, "/portal/setup", setup).await;
    answer.assert_error(404, "10005", "");
}

#[tokio::test]
async fn an_invitation_says_who_and_as_what_and_works_once() {
    let world = World::new().await;
    let mut ann = set_up(&world).await;
    let body = json!({"email": "cy@example.org", "role": "developer"});
    let invited = ann.post(&world, "/portal/invitations", body).await.json()["data"].clone();
    let token = invited["url"]
        .as_str()
        .unwrap()
        .split_once('#')
        .unwrap()
        .1
        .to_owned();
    let listed = ann.get(&world, "/portal/invitations").await;
    assert!(
        !String::from_utf8_lossy(&listed.body).contains(&token),
        "shown once"
    );
    assert_eq!(listed.json()["data"][0]["id"], invited["id"]);
    let mut cy = Browser::new();
    let link = cy
        .post(&world, "/portal/links", json!({"token": token}))
        .await;
    let link = link.json()["data"].clone();
    assert_eq!(
        [
            &link["purpose"],
            &link["email"],
            &link["organization_name"],
            &link["role"]
        ],
        ["invitation", "cy@example.org", "Acme", "developer"]
    );
    // Role and address are those of the invitation, whatever the body says.
    let body = json!({
        "token": token, "password": PASSWORD, "role": "owner", "email": "boss@example.org",
    });
    let joined = cy
        .post(&world, "/portal/invitations/accept", body.clone())
        .await;
    assert_eq!(joined.status, 201, "{joined:?}");
    let user = joined.json()["data"]["user"].clone();
    assert_eq!(
        (user["email"].as_str(), user["role"].as_str()),
        (Some("cy@example.org"), Some("developer"))
    );
    let again = Browser::new()
        .post(&world, "/portal/invitations/accept", body)
        .await;
    again.assert_error(404, "10005", "");
    let open = ann.get(&world, "/portal/invitations").await;
    assert_eq!(open.json()["meta"]["total_results"], 0);

    let body = json!({"email": "di@example.org", "role": "admin"});
    let invited = ann.post(&world, "/portal/invitations", body).await.json()["data"].clone();
    let path = format!("/portal/invitations/{}", invited["id"].as_str().unwrap());
    let revoked = ann.ask(&world, "DELETE", &path, json!(null)).await;
    assert_eq!(revoked.status, 200);
    let token = invited["url"].as_str().unwrap().split_once('#').unwrap().1;
    let body = json!({"token": token, "password": PASSWORD});
    let dead = Browser::new()
        .post(&world, "/portal/invitations/accept", body)
        .await;
    dead.assert_error(404, "10005", "");
    for (body, pointer) in [
        (json!({"email": "x@y"}), "/role"),
        (json!({"email": "x@y", "role": "root"}), "/role"),
        (json!({"role": "admin"}), "/email"),
        (
            json!({"email": "ANN@example.org", "role": "admin"}),
            "/email",
        ),
    ] {
        let answer = ann.post(&world, "/portal/invitations", body).await;
        let (status, _, place) = answer.error();
        assert_eq!((status, place.as_str()), (422, pointer));
    }
}

#[tokio::test]
async fn two_hundred_sign_ins_at_once_are_judged_or_told_to_wait_and_the_api_goes_on() {
    let world = World::new().await;
    set_up(&world).await;
    let sign_ins = (0..200).map(|n: u8| {
        let world = &world;
        async move {
            let answer = Browser::from([203, 0, 113, n])
                .sign_in(world, "ann@example.org", "not the password")
                .await;
            if answer.status == 503 {
                assert_eq!(answer.header("retry-after"), "1");
            }
            answer.status
        }
    });
    let requests = (0..200).map(|_| async {
        let answer = world.get(&world.alice, "/v2/telephony_credentials").await;
        answer.status
    });
    let (signed_in, answered) = tokio::join!(join_all(sign_ins), join_all(requests));
    assert!(answered.iter().all(|status| *status == 200), "{answered:?}");
    let count = |status| signed_in.iter().filter(|had| **had == status).count();
    let (judged, waits, paused) = (count(401), count(503), count(429));
    assert_eq!(judged + waits + paused, 200, "{signed_in:?}");
    assert!(judged > 0 && waits > 0, "{signed_in:?}");
}
