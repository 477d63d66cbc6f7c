//! The HTTP port over TLS.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use std::net::SocketAddr;

use rustix::process::Signal;
use rustls::version::{TLS12, TLS13};
use serde_json::json;
use support::http::{Http, Rest};
use support::installation::Installation;
use support::phone::{Phone, call};
use support::process::Server;
use support::soon;
use support::tls::{Authority, shown};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const TLS: &str = "tls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\n";

/// Makes a server whose certificate comes from an authority of its own; returns a key for it, too.
fn start() -> (Authority, Installation, Server, String) {
    let authority = Authority::new();
    let installation = Installation::new(TLS);
    authority.issue().write(installation.folder.path());
    let (server, key) = installation.start("ops@acme.example");
    (authority, installation, server, key)
}

async fn rest(authority: &Authority, server: &Server, key: &str) -> Rest {
    let stream = authority.connect(server.http).await;
    Rest::over(Http::over(stream, server.http), key)
}

/// Makes a connection with two credentials; returns their tokens and user names.
async fn people(rest: &mut Rest) -> Vec<(String, String)> {
    let body =
        json!({"connection_name": "phones", "user_name": "phones1", "password": "hunter2hunter2"});
    let connection = rest
        .data("POST", "/v2/credential_connections", Some(&body))
        .await;
    let mut people = Vec::new();
    for _ in 0..2 {
        let body = json!({"connection_id": connection["id"]});
        let made = rest
            .data("POST", "/v2/telephony_credentials", Some(&body))
            .await;
        let token = rest.token(made["id"].as_str().unwrap()).await;
        people.push((token, made["sip_username"].as_str().unwrap().to_owned()));
    }
    people
}

async fn phone(authority: &Authority, server: &Server, (token, user): &(String, String)) -> Phone {
    let stream = authority.connect(server.http).await;
    let mut phone = Phone::over(stream, server.http).await.unwrap();
    phone.prove(token).await;
    phone.user.clone_from(user);
    phone
}

#[tokio::test]
async fn rest_and_signalling_work_and_a_certificate_is_renewed_during_a_call() {
    let (authority, installation, mut server, key) = start();
    let mut rest = rest(&authority, &server, &key).await;
    let people = people(&mut rest).await;
    let mut alice = phone(&authority, &server, &people[0]).await;
    let mut bob = phone(&authority, &server, &people[1]).await;
    let (mine, theirs) = call(&mut alice, &mut bob).await;
    let before = shown(&authority.connect(server.http).await);

    // A file that is broken changes nothing and is complained about.
    let folder = installation.folder.path();
    std::fs::write(folder.join("cert.pem"), "nonsense").unwrap();
    server.signal(Signal::HUP);
    let line = server.wait_for_log_of("tls.reloaded", &json!(false));
    assert_eq!(line["level"], "ERROR", "{line}");
    assert!(line["message"].as_str().unwrap().contains("cert.pem"));
    assert_eq!(shown(&authority.connect(server.http).await), before);
    // So does a key that is another certificate's.
    authority.issue().write(folder);
    let renewed = authority.issue();
    std::fs::write(folder.join("cert.pem"), &renewed.certificate).unwrap();
    server.signal(Signal::HUP);
    while server.log().matches("\"tls.reloaded\":false").count() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(shown(&authority.connect(server.http).await), before);

    renewed.write(folder);
    server.signal(Signal::HUP);
    server.wait_for_log_of("tls.reloaded", &json!(true));
    assert_ne!(shown(&authority.connect(server.http).await), before);
    // Connections, sockets and the call go on.
    rest.data("GET", "/v2/whoami", None).await;
    alice.expect_undisturbed().await;
    bob.expect_undisturbed().await;
    assert_eq!(alice.bye(&mine).await["result"]["message"], "CALL ENDED");
    assert_eq!(bob.event("telnyx_rtc.bye").await["callID"], *theirs);
    assert!(server.stop().0.success());
}

#[tokio::test]
async fn versions_and_protocols_are_those_of_today() {
    let (authority, _installation, server, _) = start();
    for version in [&TLS12, &TLS13] {
        let stream = authority
            .connect_with(server.http, &[version], &["h2", "http/1.1"])
            .await
            .unwrap();
        let connection = stream.get_ref().1;
        assert_eq!(connection.protocol_version(), Some(version.version));
        assert_eq!(connection.alpn_protocol(), Some(&b"http/1.1"[..]));
        let mut http = Http::over(stream, server.http);
        assert_eq!(http.get("/livez").await.status, 200);
    }
    // A client that wants another protocol alone is told so.
    let refused = authority
        .connect_with(server.http, rustls::ALL_VERSIONS, &["h2"])
        .await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn a_client_without_tls_is_told_so() {
    let (_, _installation, server, key) = start();
    for (method, path) in [("GET", "/"), ("POST", "/v2/telephony_credentials")] {
        let mut rest = Rest::connect(server.http, &key).await;
        let response = rest.call(method, path, Some(&json!({}))).await;
        assert_eq!(response.envelope(400), "10015");
        assert!(response.text().contains("https://"), "{}", response.text());
        rest.http.expect_close().await;
    }
    let stream = TcpStream::connect(server.http).await.unwrap();
    assert!(Phone::over(stream, server.http).await.is_err());
}

#[tokio::test]
async fn nonsense_and_silence_disturb_nobody() {
    let (authority, _installation, server, key) = start();
    // A handshake that stops in the middle, one that is none, and one that never begins.
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        &[22; 400],
        b"",
    ] {
        let mut stream = TcpStream::connect(server.http).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut rest = rest(&authority, &server, &key).await;
        rest.data("GET", "/v2/whoami", None).await;
        // Each is closed within its ten seconds.
        let mut answer = Vec::new();
        let _ = soon("close", stream.read_to_end(&mut answer)).await;
        assert!(answer.len() < 20, "{answer:?}");
    }
}

/// Connects from another address of this machine.
async fn connect_from(source: [u8; 4], server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    soon("connect", socket.connect(server)).await.unwrap()
}

#[tokio::test]
async fn handshakes_of_a_source_are_bounded() {
    let (authority, _installation, server, key) = start();
    support::raise_file_limit();
    // Whoever says nothing at all takes no place, however many they are.
    let mut silent = Vec::new();
    for source in 3..8 {
        for _ in 0..130 {
            silent.push(connect_from([127, 0, 0, source], server.http).await);
        }
    }
    rest(&authority, &server, &key)
        .await
        .data("GET", "/v2/whoami", None)
        .await;
    for _ in 0..200 {
        let mut stream = connect_from([127, 0, 0, 2], server.http).await;
        stream.write_all(b"\x16\x03\x01").await.unwrap();
        silent.push(stream);
    }
    let mut operator = Http::connect(server.admin()).await;
    soon("refusals", async {
        loop {
            let metrics = operator.get("/metrics").await.text();
            let mut lines = metrics.lines();
            let refused = lines.find_map(|line| line.strip_prefix("ringtrip_tls_refused_total "));
            if refused.unwrap() != "0" {
                break;
            }
        }
    })
    .await;
    // Others come in meanwhile.
    let mut rest = rest(&authority, &server, &key).await;
    rest.data("GET", "/v2/whoami", None).await;
    drop(silent);
}

#[test]
fn what_is_wrong_with_the_files_is_said_in_one_line() {
    let authority = Authority::new();
    for (more, files, words) in [
        (TLS, false, "tls_cert cert.pem: cannot be read"),
        ("tls_cert = \"cert.pem\"\n", true, "tls_key: must be set"),
        ("tls_key = \"key.pem\"\n", true, "tls_cert: must be set"),
        (
            "tls_cert = \"cert.pem\"\ntls_key = \"cert.pem\"\n",
            true,
            "tls_key cert.pem: holds no private key",
        ),
        (
            "tls_cert = \"key.pem\"\ntls_key = \"key.pem\"\n",
            true,
            "tls_cert key.pem: holds no certificate",
        ),
    ] {
        let installation = Installation::new(more);
        if files {
            authority.issue().write(installation.folder.path());
        }
        for args in [&["config", "check"][..], &["serve"]] {
            let ended = installation.run(args);
            let errors: Vec<_> = ended
                .stderr
                .lines()
                .filter(|line| line.starts_with("ringtrip:"))
                .collect();
            assert_eq!((ended.code, errors.len()), (Some(1), 1), "{ended:?}");
            assert!(errors[0].contains(words), "{words}: {ended:?}");
        }
    }
}
