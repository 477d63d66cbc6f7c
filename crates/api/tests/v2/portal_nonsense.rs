//! Nonsense of every sort for every route of the portal. Whatever makes no sense is answered with 4xx in the
//! envelope, at the place of the fault, and changes nothing.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::body::Body;
use ringtrip_api::{PORTAL_ROUTES, PortalAccess, PortalRoute};
use ringtrip_model::{Generator, PlainToken, Timestamp};
use serde_json::{Value, json};

use crate::browser::{Browser, PASSWORD, join, open, set_up, setup_link};
use crate::nonsense::{
    METACHARACTERS, PAGES, assert_refused, assert_refuses_field, candidates, no_objects, shortened,
    too_large,
};
use crate::objects::filled;
use crate::support::{Answer, START, World};

/// A server with two accounts, and links that work.
struct Stage {
    world: World,
    /// The owner of the server, unless there is none yet.
    ann: Browser,
    /// The owner of another account.
    bob: Option<Browser>,
    invitation: String,
    link: String,
}

impl Stage {
    async fn of(route: &PortalRoute) -> Self {
        let world = World::with_portal(open()).await;
        if route.path == "/portal/setup" {
            let link = setup_link(&world).await;
            return Self {
                world,
                ann: Browser::new(),
                bob: None,
                invitation: String::new(),
                link,
            };
        }
        let mut ann = set_up(&world).await;
        world.advance_secs(1);
        join(&world, &mut ann, "dev@example.org", "developer").await;
        let mut bob = Browser::new();
        let body = json!({"email": "bob@example.net", "name": "Bob", "password": PASSWORD,
            "organization_name": "Bobs"});
        let signed_up = bob.post(&world, "/portal/sign_up", body).await;
        assert_eq!(signed_up.status, 201, "{signed_up:?}");
        let link = PlainToken::generate(&mut Generator::from_seed([5; 32]));
        let made = world.store.renew_password_reset_link(
            "ann@example.org",
            link.hashed(),
            Timestamp::from_micros(START),
        );
        assert!(made.await.unwrap().is_some());
        let invited = invite(&world, &mut ann, "new@example.org").await;
        let url = invited["url"].as_str().unwrap();
        let invitation = url.split_once('#').unwrap().1.to_owned();
        Self {
            invitation,
            link: link.expose().to_owned(),
            bob: Some(bob),
            world,
            ann,
        }
    }

    /// Returns a body that the route takes, with every field that it reads; a new route gets an arm here.
    fn body_of(&self, route: &PortalRoute) -> Option<Value> {
        Some(match (route.method, route.path) {
            ("GET" | "DELETE", _) => return None,
            (_, "/portal/setup") => json!({"token": self.link, "email": "ann@example.org",
                "name": "Ann", "organization_name": "Acme", "password": PASSWORD}),
            (_, "/portal/sign_up") => json!({"email": "eve@example.org", "name": "Eve",
                "organization_name": "Eves", "password": PASSWORD}),
            (_, "/portal/sign_in") => json!({"email": "ann@example.org", "password": PASSWORD}),
            (_, "/portal/links") => json!({"token": self.link}),
            (_, "/portal/password_resets") => json!({"token": self.link, "password": PASSWORD}),
            (_, "/portal/invitations/accept") => {
                json!({"token": self.invitation, "name": "New", "password": PASSWORD})
            }
            (_, "/portal/profile") => json!({"name": "Anna"}),
            (_, "/portal/password") => {
                json!({"current_password": PASSWORD, "password": "seven quiet otters"})
            }
            (_, "/portal/users/{id}") => json!({"role": "admin"}),
            (_, "/portal/invitations") => json!({"email": "eve@example.org", "role": "admin"}),
            _ => panic!("this test does not know what {route:?} reads: add it"),
        })
    }

    /// Fills the braces of a path with the id of something of the account of whoever is signed in there.
    async fn path_of(&self, route: &PortalRoute, owner: &Browser) -> String {
        if !route.path.contains('{') {
            return route.path.to_owned();
        }
        let list = route.path.strip_suffix("/{id}").unwrap();
        let mut owner = owner.clone();
        if list == "/portal/invitations" {
            invite(&self.world, &mut owner, "other@example.org").await;
        }
        let listed = owner.get(&self.world, list).await.json();
        // The last of them is not the one who asks, where there are several.
        let last = listed["data"].as_array().unwrap().last().unwrap();
        filled(route.path, last["id"].as_str().unwrap())
    }

    /// Sends something as Ann, from another place each time: wrong passwords cost a pause there.
    async fn send(&self, route: &PortalRoute, path: &str, body: impl Into<Body>) -> Answer {
        static PLACES: AtomicU32 = AtomicU32::new(u32::from_be_bytes([20, 0, 0, 0]));
        let mut browser = self.ann.clone();
        browser.peer.source = Ipv4Addr::from_bits(PLACES.fetch_add(1, Ordering::Relaxed)).into();
        let request = browser.request(route.method, path);
        self.world.send(request.body(body.into()).unwrap()).await
    }

    /// Everything that the people of both accounts are shown.
    async fn everything_there_is(&self) -> Vec<Value> {
        let mut seen = Vec::new();
        let options = self.ann.clone().get(&self.world, "/portal/options").await;
        seen.push(options.json());
        for owner in self.bob.iter().flat_map(|bob| [&self.ann, bob]) {
            for path in [
                "/portal/session",
                "/portal/sessions",
                "/portal/users",
                "/portal/invitations",
                "/portal/v2/account",
            ] {
                let answer = owner.clone().get(&self.world, path).await;
                assert_eq!(answer.status, 200, "{path}: {answer:?}");
                seen.push(answer.json());
            }
        }
        seen
    }
}

async fn invite(world: &World, owner: &mut Browser, email: &str) -> Value {
    let body = json!({"email": email, "role": "developer"});
    let invited = owner.post(world, "/portal/invitations", body).await;
    assert_eq!(invited.status, 201, "{invited:?}");
    invited.json()["data"].clone()
}

/// A field of a route, and the rest of a body that the route takes.
struct Field<'s> {
    stage: &'s Stage,
    route: &'static PortalRoute,
    path: &'s str,
    body: &'s Value,
    key: &'s str,
}

impl Field<'_> {
    fn pointer(&self) -> String {
        format!("/{}", self.key)
    }

    /// Returns the body with another value in the field.
    fn with(&self, value: Value) -> String {
        let mut body = self.body.clone();
        body[self.key] = value;
        body.to_string()
    }

    async fn send(&self, body: impl Into<Body>) -> Answer {
        self.stage.send(self.route, self.path, body).await
    }

    /// Tells whether a text that is not the right one is no fault of the field: a secret that nobody has.
    fn is_a_guess(&self) -> bool {
        self.key == "token" || self.route.path == "/portal/sign_in"
    }

    /// Asserts that an answer refuses a text: by the name of the field, unless it is a guess.
    fn assert_refuses_text(&self, answer: &Answer, what: &str) {
        if self.is_a_guess() {
            assert_refused(answer, what);
        } else {
            assert_refuses_field(answer, &self.pointer(), what);
        }
    }
}

/// Tries every field of every route. Whatever is tried, nothing is written, unless that is what it is for.
async fn in_every_field(writes: bool, attempt: impl AsyncFn(Field<'_>)) {
    for route in PORTAL_ROUTES {
        let stage = Stage::of(route).await;
        let Some(body) = stage.body_of(route) else {
            continue;
        };
        let path = stage.path_of(route, &stage.ann).await;
        let before = stage.everything_there_is().await;
        for key in body.as_object().unwrap().keys() {
            let field = Field {
                stage: &stage,
                route,
                path: &path,
                body: &body,
                key,
            };
            attempt(field).await;
        }
        if !writes {
            assert_eq!(stage.everything_there_is().await, before, "{route:?}");
        }
    }
}

#[tokio::test]
async fn a_field_of_a_wrong_type_or_without_end_is_named_and_nothing_is_written() {
    in_every_field(false, async |field| {
        let route = field.route;
        for value in candidates().into_iter().chain([json!("x".repeat(10_000))]) {
            // What is empty is as if it were not there, which some fields may be.
            if value.is_null() || value.as_str().is_some_and(|text| text.len() < 100) {
                continue;
            }
            let what = format!("{route:?} {} {}", field.key, shortened(&value));
            let is_text = value.is_string();
            let sent = field.with(value);
            let too_large = route.access == PortalAccess::Anyone && sent.len() > 16_384;
            let answer = field.send(sent).await;
            // What is no text at all is no token either.
            let no_token = field.key == "token" && route.path != "/portal/links";
            if too_large {
                assert_eq!(answer.status, 413, "{what}: {answer:?}");
            } else if is_text || no_token {
                field.assert_refuses_text(&answer, &what);
            } else {
                assert_refuses_field(&answer, &field.pointer(), &what);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn characters_that_no_text_has_are_refused_in_every_field() {
    in_every_field(false, async |field| {
        let template = field.with("@@".into());
        let (head, tail) = template.split_once("\"@@\"").unwrap();
        for (text, code) in [
            (&b"\"a\\u0000b\""[..], None),
            (b"\"\\ud800\"", Some("10023")),
            (b"\"\\udfff\\ud800\"", Some("10023")),
            (b"\"\0\"", Some("10023")),
            (b"\"\xff\"", Some("10028")),
            (b"\"\xed\xa0\x80\"", Some("10028")),
        ] {
            let sent = [head.as_bytes(), text, tail.as_bytes()].concat();
            let answer = field.send(sent).await;
            let what = format!("{:?} {}", field.route, field.key);
            match code {
                Some(code) => assert_eq!(answer.error().1, code, "{what}: {answer:?}"),
                None => field.assert_refuses_text(&answer, &what),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn metacharacters_in_a_field_are_text_or_refused() {
    in_every_field(true, async |field| {
        for text in METACHARACTERS {
            let answer = field.send(field.with((*text).into())).await;
            let what = format!("{:?} {} {text}", field.route, field.key);
            assert!(answer.status < 500, "{what}: {answer:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn bodies_that_are_no_object_or_too_large_are_refused_on_every_route() {
    for route in PORTAL_ROUTES.iter().filter(|route| route.method != "GET") {
        let stage = Stage::of(route).await;
        let path = stage.path_of(route, &stage.ann).await;
        let before = stage.everything_there_is().await;
        let answer = stage.send(route, &path, too_large()).await;
        assert_eq!(answer.status, 413, "{route:?}: {answer:?}");
        if route.method != "DELETE" {
            for (body, status) in no_objects() {
                let answer = stage.send(route, &path, body.clone()).await;
                assert_eq!(answer.status, status, "{route:?} {body}: {answer:?}");
            }
        }
        assert_eq!(stage.everything_there_is().await, before, "{route:?}");
    }
}

#[tokio::test]
async fn what_belongs_to_another_account_looks_like_what_does_not_exist() {
    for route in PORTAL_ROUTES
        .iter()
        .filter(|route| route.path.contains('{'))
    {
        let stage = Stage::of(route).await;
        let foreign = stage.path_of(route, stage.bob.as_ref().unwrap()).await;
        let own = stage.path_of(route, &stage.ann).await;
        let before = stage.everything_there_is().await;
        let body = stage.body_of(route).unwrap_or_default().to_string();
        for body in [body.as_str(), "{}"] {
            let unknown = filled(route.path, "c215ade3-0d39-418e-94be-c5f780760199");
            let missing = stage.send(route, &unknown, body.to_owned()).await;
            missing.assert_error(404, "10005", "");
            let malformed = [
                "x",
                "0",
                "%00",
                "%ff",
                "..",
                "'%20OR%201=1",
                "%F0%9F%98%80",
                "c215ade3-0d39-418e-94be-c5f780760199x",
            ];
            let malformed = malformed.map(|id| filled(route.path, id));
            for path in malformed.iter().chain([&foreign]) {
                let answer = stage.send(route, path, body.to_owned()).await;
                assert_eq!(answer.json(), missing.json(), "{route:?} {path}");
                assert_eq!(answer.status, 404);
            }
        }
        assert_eq!(stage.everything_there_is().await, before, "{route:?}");
        // For those whose it is, it is there.
        let answer = stage.send(route, &own, body).await;
        assert_eq!(answer.status, 200, "{route:?} {answer:?}");
    }
}

#[tokio::test]
async fn pages_out_of_range_are_refused_on_every_list() {
    let lists = ["/portal/users", "/portal/invitations", "/portal/sessions"];
    for route in PORTAL_ROUTES.iter().filter(|route| route.method == "GET") {
        let stage = Stage::of(route).await;
        let answer = stage.send(route, route.path, Body::empty()).await;
        assert_eq!(answer.status, 200, "{route:?}: {answer:?}");
        let is_list = answer.json()["data"].is_array();
        assert_eq!(is_list, lists.contains(&route.path), "{route:?}");
        if !is_list {
            continue;
        }
        for name in ["page[number]", "page[size]", "page_number", "page_size"] {
            for value in PAGES.iter().copied().chain(["4294967296"]) {
                let path = format!("{}?{name}={value}", route.path);
                let answer = stage.send(route, &path, Body::empty()).await;
                assert!(matches!(answer.status, 400 | 422), "{path}: {answer:?}");
                assert_refused(&answer, &path);
            }
        }
        let path = format!("{}?page[number]=4294967295&page[size]=250", route.path);
        let answer = stage.send(route, &path, Body::empty()).await;
        assert_eq!(
            (answer.status, answer.json()["data"].clone()),
            (200, json!([]))
        );
    }
}
