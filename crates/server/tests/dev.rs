//! `ringtrip dev`: its summary, what it keeps, what it refuses, and who gets its ready credentials.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use std::collections::BTreeSet;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};
use support::http::Http;
use support::phone::Phone;
use support::process::{Ended, Server, command, run};

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn dev(folder: &Path, more: &[&str]) -> Ended {
    let mut command = command(&["dev", "--output", "json"]);
    command.arg("--data-dir").arg(folder).args(more);
    run(command)
}

/// The summary without what is made anew at each start.
fn lasting(summary: &Value) -> Value {
    let mut accounts = summary["accounts"].clone();
    for account in accounts.as_array_mut().unwrap() {
        for credential in account["credentials"].as_array_mut().unwrap() {
            credential["token"] = Value::Null;
        }
    }
    accounts
}

#[tokio::test]
async fn the_summary_is_one_line_and_everything_in_it_is_true() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::dev(folder.path());
    let summary = server.summary.clone();
    let known = [
        "portal_url",
        "api_base",
        "websocket_url",
        "media",
        "accounts",
    ];
    assert_eq!(keys(&summary), BTreeSet::from(known));
    assert_eq!(summary["portal_url"], format!("http://{}/", server.http));
    assert_eq!(summary["websocket_url"], format!("ws://{}", server.http));
    let media: std::net::SocketAddr = server.said("/media/udp").parse().unwrap();
    assert!(media.ip().is_loopback() && media.port() != 0);
    assert!(UdpSocket::bind(media).is_err(), "nobody listens on {media}");

    let mut http = Http::connect(server.http).await;
    assert_eq!(http.get("/readyz").await.status, 200);
    assert_eq!(http.get("/livez").await.status, 200);
    assert_eq!(http.get("/").await.status, 200);

    let accounts = summary["accounts"].as_array().unwrap();
    assert_eq!(accounts.len(), 2);
    for (index, account) in accounts.iter().enumerate() {
        let known = [
            "email",
            "user_id",
            "api_key",
            "connection_id",
            "outbound_voice_profile_id",
            "credentials",
        ];
        assert_eq!(keys(account), BTreeSet::from(known));
        assert!(account["api_key"].as_str().unwrap().starts_with("KEY"));
        let mut rest = server.rest(index).await;
        let me = rest.data("GET", "/v2/whoami", None).await;
        assert_eq!(me["user_id"], account["user_id"], "{me}");
        let connection = account["connection_id"].as_str().unwrap();
        let path = format!("/v2/credential_connections/{connection}");
        let shown = rest.data("GET", &path, None).await;
        assert_eq!(shown["active"], true);
        let profile = account["outbound_voice_profile_id"].as_str().unwrap();
        assert_eq!(shown["outbound"]["outbound_voice_profile_id"], profile);
        let path = format!("/v2/outbound_voice_profiles/{profile}");
        assert_eq!(rest.data("GET", &path, None).await["connections_count"], 1);
        let credentials = account["credentials"].as_array().unwrap();
        assert_eq!(credentials.len(), 2);
        for credential in credentials {
            let known = ["id", "label", "sip_username", "sip_password", "token"];
            assert_eq!(keys(credential), BTreeSet::from(known));
            let id = credential["id"].as_str().unwrap();
            let path = format!("/v2/telephony_credentials/{id}");
            let row = rest.data("GET", &path, None).await;
            assert_eq!(row["sip_username"], credential["sip_username"]);
            assert_eq!(row["sip_password"], credential["sip_password"]);
            Phone::log_in(server.http, credential["token"].as_str().unwrap()).await;
            let mut by_password = Phone::connect(server.http).await;
            let params = json!({"login": row["sip_username"], "passwd": row["sip_password"]});
            let answer = by_password.login(params).await;
            assert_eq!(answer["result"]["message"], "logged in");
        }
    }
    let (status, rest) = server.stop();
    assert!(status.success(), "{status}");
    assert_eq!(rest, "", "more than one line on standard output");
}

#[test]
fn the_same_folder_gives_the_same_accounts_and_keys() {
    let folder = tempfile::tempdir().unwrap();
    let first = {
        let mut server = Server::dev(folder.path());
        server.stop();
        server.summary.clone()
    };
    let second = Server::dev(folder.path()).summary.clone();
    assert_eq!(lasting(&first), lasting(&second));
    let token = "/accounts/0/credentials/0/token";
    assert_ne!(first.pointer(token), second.pointer(token));
}

#[test]
fn secrets_on_disk_are_for_their_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::dev(folder.path());
    for name in ["dev.json", "ringtrip.key", "ringtrip.db", "ringtrip.db-wal"] {
        let metadata = std::fs::metadata(folder.path().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
    // The password that REST gives back is sealed in the file.
    let password = server.said("/accounts/0/credentials/0/sip_password");
    let key = server.said("/accounts/0/api_key");
    server.stop();
    for name in ["ringtrip.db", "ringtrip.db-wal"] {
        let bytes = std::fs::read(folder.path().join(name)).unwrap_or_default();
        for secret in [&password, &key] {
            let secret = secret.as_bytes();
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{name} holds a secret in the clear");
        }
    }
}

#[test]
fn ephemeral_keeps_nothing() {
    let (home, temp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut keys = Vec::new();
    for _ in 0..2 {
        let mut command = command(&["dev", "--ephemeral", "--output", "human"]);
        command
            .args(["--http", "127.0.0.1:0", "--media", "127.0.0.1:0"])
            .current_dir(home.path())
            .env("TMPDIR", temp.path())
            .env("RINGTRIP_LOG", "info");
        let printed = first_key_of_a_run(command);
        keys.push(printed);
        for folder in [&home, &temp] {
            let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
            assert!(left.is_empty(), "left behind: {left:?}");
        }
    }
    assert_ne!(keys[0], keys[1]);
}

/// Starts `dev` with the summary for people, stops it once that is complete, returns an API key.
fn first_key_of_a_run(mut command: std::process::Command) -> String {
    use std::io::{BufRead, BufReader};
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut key = None;
    for line in lines {
        let line = line.unwrap();
        if let Some(found) = line.trim().strip_prefix("API key") {
            key.get_or_insert(found.trim().to_owned());
        }
        if line.contains("Ctrl-C") {
            break;
        }
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(child.wait().unwrap().success());
    key.unwrap()
}

#[test]
fn other_addresses_than_loopback_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for option in ["--http", "--sip", "--media"] {
        for address in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0"] {
            let ended = dev(folder.path(), &[option, address]);
            let line = ended.refusal();
            assert!(line.contains(option) && line.contains(address), "{line}");
            assert!(line.contains("loopback"), "{line}");
        }
    }
}

#[test]
fn a_taken_port_is_one_line_that_names_the_option() {
    let folder = tempfile::tempdir().unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = tcp.local_addr().unwrap().to_string();
    let ended = dev(folder.path(), &["--http", &taken, "--media", "127.0.0.1:0"]);
    let line = ended.refusal();
    assert!(line.contains("--http") && line.contains(&taken), "{line}");

    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = udp.local_addr().unwrap().to_string();
    let ended = dev(folder.path(), &["--media", &taken, "--http", "127.0.0.1:0"]);
    let line = ended.refusal();
    assert!(line.contains("--media") && line.contains(&taken), "{line}");
}

#[test]
fn a_database_without_its_own_key_is_not_touched() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for folder in [&folder, &other] {
        Server::dev(folder.path()).stop();
    }
    let ports = ["--http", "127.0.0.1:0", "--media", "127.0.0.1:0"];
    let key = folder.path().join("ringtrip.key");
    let own = std::fs::read(&key).unwrap();

    std::fs::remove_file(&key).unwrap();
    let ended = dev(folder.path(), &ports);
    let line = ended.refusal();
    assert!(line.contains("ringtrip.key"), "{line}");
    assert!(!key.exists(), "a new key was made beside an old database");

    std::fs::copy(other.path().join("ringtrip.key"), &key).unwrap();
    let ended = dev(folder.path(), &ports);
    let line = ended.refusal();
    assert!(line.contains("ringtrip.key"), "{line}");

    std::fs::write(&key, own).unwrap();
    Server::dev(folder.path());
}

#[test]
fn a_damaged_dev_json_is_named() {
    let folder = tempfile::tempdir().unwrap();
    Server::dev(folder.path()).stop();
    std::fs::write(folder.path().join("dev.json"), "{").unwrap();
    let ended = dev(
        folder.path(),
        &["--http", "127.0.0.1:0", "--media", "127.0.0.1:0"],
    );
    let line = ended.refusal();
    assert!(line.contains("dev.json"), "{line}");
}

#[tokio::test]
async fn ready_credentials_go_to_the_servers_own_page_without_what_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let port = server.http.port();
    let own = format!("http://127.0.0.1:{port}");
    let mut http = Http::connect(server.http).await;
    let answer = http
        .request(
            "GET",
            "/portal/dev",
            &[("Origin", &own), ("Sec-Fetch-Site", "same-origin")],
            None,
        )
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let text = answer.text();
    for account in 0..2 {
        for secret in [
            "api_key",
            "credentials/0/sip_password",
            "credentials/1/sip_password",
        ] {
            let secret = server.said(&format!("/accounts/{account}/{secret}"));
            assert!(!text.contains(&secret), "{text}");
        }
    }
    let token = answer.json()["accounts"][1]["credentials"][1]["token"].clone();
    Phone::log_in(server.http, token.as_str().unwrap()).await;

    // DNS rebinding: a foreign name that leads to this address.
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
    ] {
        let head = format!("GET /portal/dev HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
        http.write(head.as_bytes()).await.unwrap();
        let answer = http.read(true).await.unwrap().unwrap();
        assert_eq!(answer.status, 403, "{host}");
        assert!(!answer.text().contains("eyJ"), "{host}");
    }
    for (name, value) in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Origin", "http://127.0.0.1:1"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let answer = http
            .request("GET", "/portal/dev", &[(name, value)], None)
            .await;
        assert_eq!(answer.status, 403, "{name}: {value}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let preflight = [
        ("Origin", "http://evil.example"),
        ("Access-Control-Request-Method", "GET"),
    ];
    let answer = http
        .request("OPTIONS", "/portal/dev", &preflight, None)
        .await;
    assert_eq!(
        answer.header("access-control-allow-origin"),
        None,
        "the page's credentials must not be offered to other origins"
    );
}

#[tokio::test]
async fn a_signal_ends_it_in_order_and_tells_the_phones() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::dev(folder.path());
    let mut phone = server.phone(0, 0).await;
    let (status, _) = server.stop();
    assert!(status.success(), "{status}");
    let (frames, reason) = phone.until_closed().await;
    let methods: Vec<_> = frames.iter().map(|frame| &frame["method"]).collect();
    assert!(
        !methods.contains(&&json!("telnyx_rtc.punt")),
        "a punt would keep the SDK from coming back"
    );
    assert_eq!(reason, Some((1012, "server restart".to_owned())));
}
