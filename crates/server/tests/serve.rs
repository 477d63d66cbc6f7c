//! `ringtrip serve` and the commands around it.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use serde_json::{Value, json};
use support::http::{Http, Response, Rest};
use support::installation::Installation;
use support::phone::Phone;
use support::process::{Server, command, run};

#[tokio::test]
async fn an_account_and_a_key_made_on_the_command_line_carry_a_login() {
    let installation = Installation::new("");
    let email = "ops@acme.example";
    let account = installation.json(&["account", "create", "--email", email, "--output", "json"]);
    assert_eq!(account["email"], email);
    let args = [
        "api-key",
        "create",
        "--account",
        email,
        "--name",
        "ci",
        "--output",
        "json",
    ];
    let key = installation.json(&args)["api_key"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(key.starts_with("KEY"));

    let mut server = Server::serve(installation.command(&["serve"]));
    let mut rest = Rest::connect(server.http, &key).await;
    let me = rest.data("GET", "/v2/whoami", None).await;
    assert_eq!(me["user_id"], account["user_id"]);
    let connection =
        json!({"connection_name": "phones", "user_name": "phones1", "password": "hunter2hunter2"});
    let connection = rest
        .data("POST", "/v2/credential_connections", Some(&connection))
        .await;
    let body = json!({"connection_id": connection["id"]});
    let credential = rest
        .data("POST", "/v2/telephony_credentials", Some(&body))
        .await;
    let token = rest.token(credential["id"].as_str().unwrap()).await;
    let mut phone = Phone::log_in(server.http, &token).await;
    phone.expect_undisturbed().await;
    let mut by_connection = Phone::connect(server.http).await;
    let login = json!({"login": "phones1", "passwd": "hunter2hunter2"});
    assert_eq!(
        by_connection.login(login).await["result"]["message"],
        "logged in"
    );

    let (status, printed) = server.stop();
    assert!(status.success(), "{status}");
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 2, "the setup link and nothing else: {printed}");
    assert!(!server.log().contains(&key));
    let (_, token) = lines[1].split_once('#').unwrap();
    assert!(!server.log().contains(token));
}

/// Asks the portal as a page of this server would.
async fn portal(
    http: &mut Http,
    method: &str,
    path: &str,
    host: &str,
    cookie: &str,
    body: &Value,
) -> Response {
    let body = body.to_string();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nCookie: {cookie}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    http.write(request.as_bytes()).await.unwrap();
    http.read(true).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_setup_link_makes_the_first_person_until_it_is_used() {
    let installation = Installation::new("");
    let token = |link: &str| link.split_once("/setup#").unwrap().1.to_owned();
    let (mut server, first) = Server::serve_first(installation.command(&["serve"]));
    assert!(
        first.starts_with(&format!("http://{}/setup#", server.http)),
        "{first}"
    );
    server.stop();
    // Made anew at each start, and by the command line while it runs.
    let (mut server, second) = Server::serve_first(installation.command(&["serve"]));
    let fresh = installation.json(&["user", "setup-link", "--output", "json"]);
    let fresh = fresh["url"].as_str().unwrap().to_owned();
    let mut http = Http::connect(server.http).await;
    let newcomer = |link: &str, email: &str| json!({"token": token(link), "email": email, "password": "mauve tractor eleven"});
    for dead in [&first, &second] {
        let body = newcomer(dead, "eve@acme.example");
        let answer = portal(&mut http, "POST", "/portal/setup", "localhost", "", &body).await;
        answer.envelope(404);
    }
    // As a proxy would pass it on that nobody trusts.
    let body = newcomer(&fresh, "ops@acme.example");
    let host = "phone.example.org";
    let answer = portal(&mut http, "POST", "/portal/setup", host, "", &body).await;
    answer.envelope(403);

    let answer = portal(&mut http, "POST", "/portal/setup", "localhost", "", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.json()["data"]["user"]["role"], "owner");
    let cookies = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie");
    let cookies: Vec<_> = cookies
        .map(|(_, value)| value.split(';').next().unwrap())
        .collect();
    let session = cookies
        .iter()
        .find(|cookie| cookie.starts_with("ringtrip_session="))
        .unwrap();
    let answer = portal(
        &mut http,
        "GET",
        "/portal/session",
        "localhost",
        session,
        &json!(null),
    )
    .await;
    assert_eq!(answer.json()["data"]["user"]["email"], "ops@acme.example");
    let body = newcomer(&fresh, "eve@acme.example");
    let answer = portal(&mut http, "POST", "/portal/setup", "localhost", "", &body).await;
    answer.envelope(404);
    let ended = installation.run(&["user", "setup-link"]);
    assert!(ended.refusal().contains("people already"), "{ended:?}");

    // A reset link while it runs, since no e-mail is sent.
    let args = ["user", "reset-password", "--email", "ops@acme.example"];
    let printed = installation.run(&args);
    let link = printed.success().lines().last().unwrap().to_owned();
    let (_, reset) = link.split_once("/reset#").unwrap();
    let body = json!({"token": reset, "password": "seven quiet otters"});
    let path = "/portal/password_resets";
    let answer = portal(&mut http, "POST", path, "localhost", "", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let path = "/portal/session";
    let answer = portal(&mut http, "GET", path, "localhost", session, &json!(null)).await;
    answer.envelope(401);

    // And an invitation, which says whom it is for.
    let args = [
        "user",
        "invite",
        "--account",
        "ops@acme.example",
        "--email",
        "cy@acme.example",
    ];
    let link =
        installation.json(&[&args[..], &["--role", "developer", "--output", "json"]].concat());
    let (_, invitation) = link["url"]
        .as_str()
        .unwrap()
        .split_once("/invitation#")
        .unwrap();
    let body = json!({"token": invitation});
    let answer = portal(&mut http, "POST", "/portal/links", "localhost", "", &body).await;
    assert_eq!(answer.json()["data"]["email"], "cy@acme.example");
    let (_, printed) = server.stop();
    assert_eq!(printed, "");
    let mut server = Server::serve(installation.command(&["serve"]));
    let (_, printed) = server.stop();
    assert_eq!(printed, "", "there is somebody by now");
}

#[tokio::test]
async fn pages_of_people_have_nothing_inline_and_are_framed_by_nobody() {
    let installation = Installation::new("");
    let server = Server::serve(installation.command(&["serve"]));
    let mut http = Http::connect(server.http).await;
    for path in [
        "/setup",
        "/invitation",
        "/reset",
        "/sign_in",
        "/people.js",
        "/people.css",
    ] {
        let answer = http.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
    let page = http.get("/setup").await.text();
    for inline in ["<style", " style=", "onclick=", "javascript:"] {
        assert!(!page.contains(inline), "{inline}");
    }
}

#[tokio::test]
async fn metrics_are_on_the_operators_port_alone() {
    let installation = Installation::new("");
    let server = Server::serve(installation.command(&["serve"]));
    let admin = server.wait_for_log("admin.addr")["admin.addr"].clone();
    let admin: SocketAddr = admin.as_str().unwrap().parse().unwrap();
    let mut operator = Http::connect(admin).await;
    let metrics = operator.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(
        metrics.text().contains("\nringtrip_sessions_active 0\n"),
        "{}",
        metrics.text()
    );
    assert_eq!(operator.get("/readyz").await.status, 200);
    assert_eq!(operator.get("/v2/whoami").await.status, 404);

    let mut public = Http::connect(server.http).await;
    public.get("/metrics").await.envelope(404);
    public.get("/portal/dev").await.envelope(404);
    assert_eq!(public.get("/readyz").await.status, 200);
    assert_eq!(public.get("/livez").await.status, 200);
}

#[test]
fn migrate_makes_the_database_and_may_be_repeated() {
    let installation = Installation::new("");
    for _ in 0..2 {
        installation.run(&["migrate"]).success();
    }
    assert!(installation.folder.path().join("ringtrip.db").exists());
    assert!(installation.folder.path().join("ringtrip.key").exists());
}

#[test]
fn check_and_print_agree_with_the_file_and_touch_nothing() {
    let installation = Installation::new("sip_domains = [\"sip.acme.example\"]\n");
    installation.run(&["config", "check"]).success();
    let ended = installation.run(&["config", "print"]);
    let printed: toml::Table = ended.success().parse().unwrap();
    assert_eq!(printed["sip_domains"][0].as_str(), Some("sip.acme.example"));
    assert_eq!(printed["media_threads"].as_integer(), Some(2));
    // What is printed can be used as a file.
    std::fs::write(installation.config(), ended.success()).unwrap();
    assert_eq!(
        installation.run(&["config", "print"]).success(),
        ended.success()
    );
    let left: Vec<_> = std::fs::read_dir(installation.folder.path())
        .unwrap()
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn the_environment_wins_over_the_file() {
    let installation = Installation::new("");
    let mut command = installation.command(&["config", "print"]);
    command
        .env("RINGTRIP_MEDIA_THREADS", "7")
        .env("RINGTRIP_SIP_DOMAINS", "a.example,b.example");
    let printed: toml::Table = run(command).success().parse().unwrap();
    assert_eq!(printed["media_threads"].as_integer(), Some(7));
    assert_eq!(printed["sip_domains"].as_array().unwrap().len(), 2);
    assert_eq!(printed["http_addr"].as_str(), Some("127.0.0.1:0"));
}

#[test]
fn what_is_wrong_with_the_configuration_is_said_in_one_line() {
    for (more, words) in [
        ("htp_addr = \"127.0.0.1:1\"\n", "did you mean http_addr"),
        ("max_call = 3\n", "did you mean max_calls"),
        ("wibble = 3\n", "wibble"),
        ("max_calls = \"many\"\n", "max_calls"),
        ("max_calls = 0\n", "max_calls"),
        ("log_format = \"xml\"\n", "log_format"),
        ("advertise_addr = 5\n", "advertise_addr"),
        ("what is this\n", "ringtrip.toml"),
    ] {
        let installation = Installation::new(more);
        for args in [&["config", "check"][..], &["serve"], &["migrate"]] {
            let ended = installation.run(args);
            let line = ended.refusal();
            assert!(line.contains(words), "{more}: {line}");
        }
        assert!(!installation.folder.path().join("ringtrip.db").exists());
    }
    for (name, value) in [
        ("RINGTRIP_HTP_ADDR", "x"),
        ("RINGTRIP_HTTP_ADDR", "localhost"),
    ] {
        let installation = Installation::new("");
        let mut command = installation.command(&["config", "check"]);
        command.env(name, value);
        let ended = run(command);
        let line = ended.refusal().to_lowercase();
        assert!(line.contains("http_addr"), "{line}");
    }
    let mut missing = command(&["serve"]);
    missing.arg("--config").arg("/nonexistent/ringtrip.toml");
    let ended = run(missing);
    assert!(ended.refusal().contains("/nonexistent/ringtrip.toml"));
}

#[test]
fn a_log_filter_that_cannot_be_read_is_refused() {
    let installation = Installation::new("log = \"ringtrip=loud=very\"\n");
    let ended = installation.run(&["serve"]);
    assert!(ended.refusal().contains("log"), "{ended:?}");
}

#[test]
fn taken_ports_are_named_by_their_keys() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let media = udp.local_addr().unwrap().to_string();
    for (name, key, address) in [
        ("RINGTRIP_HTTP_ADDR", "http_addr", &address),
        ("RINGTRIP_ADMIN_ADDR", "admin_addr", &address),
        ("RINGTRIP_MEDIA_ADDR", "media_addr", &media),
    ] {
        let installation = Installation::new("");
        let mut command = installation.command(&["serve"]);
        command
            .env(name, address)
            .env("RINGTRIP_MEDIA_THREADS", "1");
        let ended = run(command);
        let line = ended.refusal();
        assert!(
            line.contains(key) && line.contains(address.as_str()),
            "{line}"
        );
    }
}

#[test]
fn accounts_and_keys_that_cannot_be_made_are_said_in_one_line() {
    let installation = Installation::new("");
    let create = ["account", "create", "--email", "ops@acme.example"];
    installation.run(&create).success();
    let ended = installation.run(&create);
    assert!(ended.refusal().contains("ops@acme.example"), "{ended:?}");
    let ended = installation.run(&["account", "create", "--email", "no address"]);
    assert!(ended.refusal().contains("email"), "{ended:?}");
    let ended = installation.run(&["api-key", "create", "--account", "who@acme.example"]);
    assert!(ended.refusal().contains("who@acme.example"), "{ended:?}");
}

#[test]
fn a_database_that_cannot_be_opened_is_named() {
    let installation = Installation::new("");
    let path: &Path = &installation.folder.path().join("ringtrip.db");
    std::fs::create_dir(path).unwrap();
    let ended = installation.run(&["migrate"]);
    assert!(ended.refusal().contains("ringtrip.db"), "{ended:?}");
}
