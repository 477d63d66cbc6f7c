//! A browser on the portal's pages, and the people in front of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::body::Body;
use axum::http::Request;
use ringtrip_api::{Peer, PortalConfig, SignUp};
use ringtrip_model::PlainToken;
use serde_json::{Value, json};

use crate::support::{Answer, World};

pub(crate) const PASSWORD: &str = "mauve tractor eleven";
pub(crate) const HTTPS: Peer = Peer {
    source: IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9)),
    secure: true,
};

/// A browser on a page of this server: it keeps cookies, and its page knows the CSRF token.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) peer: Peer,
    host: &'static str,
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) csrf: String,
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self::at(HTTPS, "phone.example.org")
    }

    pub(crate) fn at(peer: Peer, host: &'static str) -> Self {
        Self {
            peer,
            host,
            cookies: BTreeMap::new(),
            csrf: String::new(),
        }
    }

    pub(crate) fn from(source: [u8; 4]) -> Self {
        let source = IpAddr::from(source);
        Self::at(Peer { source, ..HTTPS }, "phone.example.org")
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let scheme = if self.peer.secure { "https" } else { "http" };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .extension(self.peer)
            .header("host", self.host)
            .header("origin", format!("{scheme}://{}", self.host))
            .header("sec-fetch-site", "same-origin")
            .header("user-agent", "a browser")
            .header("content-type", "application/json")
            .header("x-csrf-token", &self.csrf);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        request
    }

    pub(crate) async fn ask(
        &mut self,
        world: &World,
        method: &str,
        path: &str,
        body: Value,
    ) -> Answer {
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        let answer = world
            .send(self.request(method, path).body(body).unwrap())
            .await;
        for set in answer.headers.get_all("set-cookie") {
            let (pair, attributes) = set.to_str().unwrap().split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            assert!(attributes.contains("HttpOnly") && attributes.contains("SameSite=Lax"));
            assert_eq!(
                attributes.contains("Secure"),
                self.peer.secure,
                "{attributes}"
            );
            assert_eq!(name.starts_with("__Host-"), self.peer.secure, "{name}");
            assert!(attributes.contains("Path=/") && !attributes.contains("Domain"));
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let text = String::from_utf8_lossy(&answer.body);
        if let Ok(json) = serde_json::from_str::<Value>(&text)
            && let Some(token) = json["data"]["csrf_token"].as_str()
        {
            self.csrf = token.to_owned();
        }
        assert!(
            !answer.headers.contains_key("access-control-allow-origin"),
            "no page of anybody else may read this"
        );
        answer
    }

    pub(crate) async fn get(&mut self, world: &World, path: &str) -> Answer {
        self.ask(world, "GET", path, Value::Null).await
    }

    pub(crate) async fn post(&mut self, world: &World, path: &str, body: Value) -> Answer {
        self.ask(world, "POST", path, body).await
    }

    pub(crate) async fn sign_in(&mut self, world: &World, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password});
        self.post(world, "/portal/sign_in", body).await
    }

    pub(crate) async fn signed_in(&mut self, world: &World) -> u16 {
        self.get(world, "/portal/session").await.status
    }

    pub(crate) fn session(&self) -> String {
        self.cookies["__Host-ringtrip_session"].clone()
    }
}

/// Makes the owner of a fresh account, through the setup link.
pub(crate) async fn set_up(world: &World) -> Browser {
    let token = setup_link(world).await;
    let mut browser = Browser::new();
    let body = json!({
        "token": token, "email": "Ann@example.org", "name": "Ann", "password": PASSWORD,
        "organization_name": "Acme",
    });
    let answer = browser.post(world, "/portal/setup", body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    browser
}

pub(crate) async fn setup_link(world: &World) -> String {
    let mut rng = ringtrip_model::Generator::from_seed([42; 32]);
    let token = PlainToken::generate(&mut rng);
    assert!(world.store.renew_setup_link(token.hashed()).await.unwrap());
    token.expose().to_owned()
}

/// Has somebody with a role join the account of a browser that is signed in.
pub(crate) async fn join(world: &World, owner: &mut Browser, email: &str, role: &str) -> Browser {
    let body = json!({"email": email, "role": role});
    let invited = owner.post(world, "/portal/invitations", body).await;
    assert_eq!(invited.status, 201, "{invited:?}");
    let url = invited.json()["data"]["url"].as_str().unwrap().to_owned();
    let token = url.strip_prefix("https://phone.example.org/invitation#");
    let mut browser = Browser::new();
    let body = json!({"token": token.unwrap(), "name": role, "password": PASSWORD});
    let joined = browser
        .post(world, "/portal/invitations/accept", body)
        .await;
    assert_eq!(joined.status, 201, "{joined:?}");
    assert_eq!(joined.json()["data"]["user"]["role"], role);
    browser
}

pub(crate) fn open() -> PortalConfig {
    PortalConfig {
        sign_up: SignUp::Open,
        ..PortalConfig::default()
    }
}
