//! The HTTP port against broken framing, floods and slow senders.

mod support;

use serde_json::json;
use support::http::{Http, Response};
use support::process::Server;

/// Writes bytes on a connection of their own; returns the answer, and the connection after it.
async fn ask(server: &Server, bytes: &[u8]) -> (Option<Response>, Http) {
    let mut http = Http::connect(server.http).await;
    // The server may answer and close before it has read everything.
    let _ = http.write(bytes).await;
    let response = http.read(true).await.unwrap_or(None);
    (response, http)
}

#[tokio::test]
async fn framing_that_can_be_read_in_two_ways_is_refused_and_the_connection_closed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let smuggled = "GET /v2/whoami HTTP/1.1\r\nHost: x\r\n\r\n";
    for (what, head, body) in [
        (
            "two lengths",
            "Content-Length: 2\r\nContent-Length: 40\r\n",
            "{}",
        ),
        ("two lengths in one", "Content-Length: 2, 40\r\n", "{}"),
        (
            "chunks and a length",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "0\r\n\r\n",
        ),
        (
            "a length and chunks",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        ("a negative length", "Content-Length: -1\r\n", ""),
        ("a signed length", "Content-Length: +2\r\n", "{}"),
        ("a hexadecimal length", "Content-Length: 0x2\r\n", "{}"),
        (
            "a length without end",
            "Content-Length: 99999999999999999999999\r\n",
            "",
        ),
        ("another coding", "Transfer-Encoding: gzip\r\n", ""),
        (
            "chunked twice",
            "Transfer-Encoding: chunked, identity\r\n",
            "0\r\n\r\n",
        ),
        (
            "a size that is none",
            "Transfer-Encoding: chunked\r\n",
            "xyz\r\n{}\r\n0\r\n\r\n",
        ),
        (
            "a negative size",
            "Transfer-Encoding: chunked\r\n",
            "-2\r\n{}\r\n0\r\n\r\n",
        ),
        (
            "a size without end",
            "Transfer-Encoding: chunked\r\n",
            "fffffffffffffffff\r\n{}\r\n",
        ),
        (
            "more than its size",
            "Transfer-Encoding: chunked\r\n",
            "2\r\n{}{}\r\n0\r\n\r\n",
        ),
        ("a space before the colon", "Content-Length : 2\r\n", "{}"),
        ("a folded header", "X-A: b\r\n c\r\n", ""),
        ("a NUL in a header", "X-A: \0\r\n", ""),
    ] {
        let key = server.said("/accounts/0/api_key");
        let request = format!(
            "POST /v2/telephony_credentials HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\n{head}\r\n{body}{smuggled}"
        );
        let (response, mut http) = ask(&server, request.as_bytes()).await;
        let response = response.unwrap_or_else(|| panic!("{what}: no answer"));
        assert_eq!(response.envelope(400), "10015", "{what}");
        http.expect_close().await;
    }
    // None of them made anything, and the next client is served.
    let mut rest = server.rest(0).await;
    let list = rest
        .call("GET", "/v2/telephony_credentials", None)
        .await
        .json();
    assert_eq!(list["meta"]["total_results"], 2);
}

#[tokio::test]
async fn requests_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let flood: String = (0..5000).map(|n| format!("X-{n}: y\r\n")).collect();
    let wide = format!("X-Wide: {}\r\n", "y".repeat(200_000));
    for (what, bytes, allowed) in [
        ("nonsense", "nonsense\r\n\r\n".to_owned(), &[400_u16][..]),
        (
            "a TLS hello",
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}".repeat(10),
            &[400],
        ),
        (
            "5,000 headers",
            format!("GET / HTTP/1.1\r\nHost: x\r\n{flood}\r\n"),
            &[400, 431],
        ),
        (
            "a header of 200 kB",
            format!("GET / HTTP/1.1\r\nHost: x\r\n{wide}\r\n"),
            &[400, 431],
        ),
        (
            "a path of 200 kB",
            format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(200_000)),
            &[400, 414, 431],
        ),
        (
            "version 3",
            "GET / HTTP/3.0\r\nHost: x\r\n\r\n".to_owned(),
            &[400, 505],
        ),
    ] {
        let (response, mut http) = ask(&server, bytes.as_bytes()).await;
        let response = response.unwrap_or_else(|| panic!("{what}: no answer"));
        assert!(
            allowed.contains(&response.status),
            "{what}: {}",
            response.status
        );
        assert_eq!(response.envelope(response.status), "10015", "{what}");
        http.expect_close().await;
    }
    server.rest(0).await.data("GET", "/v2/whoami", None).await;
}

#[tokio::test]
async fn bodies_are_bounded_in_size_and_time() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let key = server.said("/accounts/0/api_key");
    let head = |more: &str| {
        format!(
            "POST /v2/telephony_credentials HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{more}\r\n"
        )
    };
    // Declared too large: refused before it is sent.
    let (response, mut http) = ask(&server, head("Content-Length: 1048577\r\n").as_bytes()).await;
    response.unwrap().envelope(413);
    http.expect_close().await;
    // Too large as it comes.
    let mut chunks = head("Transfer-Encoding: chunked\r\n");
    for _ in 0..17 {
        chunks.push_str(&format!("10000\r\n{}\r\n", "x".repeat(65_536)));
    }
    let (response, _) = ask(&server, chunks.as_bytes()).await;
    response.unwrap().envelope(413);
    // As large as allowed: read and understood.
    let mut body = br#"{"name": "big", "note": ""#.to_vec();
    body.resize(1_048_576 - 2, b'x');
    body.extend_from_slice(br#""}"#);
    let mut request = head(&format!("Content-Length: {}\r\n", body.len())).into_bytes();
    request.extend_from_slice(&body);
    let (response, _) = ask(&server, &request).await;
    response.unwrap().envelope(422);
    // Senders that stop in the middle of a body are told so and cut off; others are served meanwhile.
    let slow = head("Content-Length: 100\r\n") + "{";
    let trickle = head("Transfer-Encoding: chunked\r\n") + "1\r\n{\r\n";
    let other = async { server.rest(1).await.data("GET", "/v2/whoami", None).await };
    let (slow, trickle, _) = tokio::join!(
        ask(&server, slow.as_bytes()),
        ask(&server, trickle.as_bytes()),
        other
    );
    for (response, mut http) in [slow, trickle] {
        response.unwrap().envelope(408);
        http.expect_close().await;
    }
}

#[tokio::test]
async fn a_body_that_nobody_reads_does_not_hold_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    for path in [
        "/v2/no_such_thing",
        "/v2/telephony_credentials",
        "/",
        "/livez",
    ] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n{}",
            "x".repeat(10_000)
        );
        let (response, mut http) = ask(&server, request.as_bytes()).await;
        let response = response.unwrap();
        assert!(
            (400..500).contains(&response.status),
            "{path}: {}",
            response.status
        );
        response.envelope(response.status);
        http.expect_close().await;
    }
}

#[tokio::test]
async fn everything_unknown_is_answered_in_the_envelope() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let mut http = Http::connect(server.http).await;
    for (method, path, status) in [
        ("GET", "/v2/no_such_thing", 404),
        ("GET", "/telephony_credentials", 404),
        ("GET", "/v2", 404),
        ("DELETE", "/", 404),
        ("PUT", "/v2/telephony_credentials", 405),
        ("BREW", "/v2/telephony_credentials", 405),
        ("GET", "/v2/telephony_credentials", 401),
        ("GET", "/%00", 404),
        ("GET", "/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/assets/../../Cargo.toml", 404),
        ("GET", "/index.html/..", 404),
        ("POST", "/livez", 404),
        ("POST", "/call_report", 400),
    ] {
        let response = http.request(method, path, &[], Some(b"")).await;
        response.envelope(status);
        assert_eq!(
            response.header("access-control-allow-origin"),
            Some("*"),
            "{path}"
        );
        assert_eq!(response.header("cache-control"), Some("no-store"), "{path}");
        assert!(response.header("x-request-id").is_some(), "{path}");
        assert_eq!(response.header("server"), None, "{path}");
    }
}

#[tokio::test]
async fn any_origin_may_ask_and_none_gets_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let mut http = Http::connect(server.http).await;
    for (path, method, names) in [
        (
            "/v2/telephony_credentials",
            "POST",
            "authorization,content-type",
        ),
        (
            "/v2/telephony_credentials/x",
            "PATCH",
            "authorization,x-stainless-os",
        ),
        (
            "/call_report",
            "POST",
            "content-type,x-call-id,x-call-report-id,x-voice-sdk-id",
        ),
    ] {
        let headers = [
            ("Origin", "https://app.example"),
            ("Access-Control-Request-Method", method),
            ("Access-Control-Request-Headers", names),
        ];
        let response = http.request("OPTIONS", path, &headers, None).await;
        assert_eq!(response.status, 204);
        assert_eq!(response.header("access-control-allow-origin"), Some("*"));
        assert_eq!(
            response.header("access-control-allow-methods"),
            Some(method)
        );
        assert_eq!(response.header("access-control-allow-headers"), Some(names));
        assert_eq!(response.header("access-control-allow-credentials"), None);
    }
}

#[tokio::test]
async fn paths_are_forgiving_and_head_has_no_body() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let mut rest = server.rest(0).await;
    for path in [
        "//v2//whoami",
        "/v2/whoami/",
        "///v2/whoami//",
        "/v2/whoami?x=//",
    ] {
        let me = rest.data("GET", path, None).await;
        assert_eq!(me["user_id"], server.said("/accounts/0/user_id"), "{path}");
    }
    // The same connection serves on: a body after HEAD would be taken for the next answer.
    for path in ["/v2/whoami", "/", "/livez", "/v2/no_such_thing"] {
        let response = rest.call("HEAD", path, None).await;
        let expected = if path.contains("no_such") { 404 } else { 200 };
        assert_eq!(response.status, expected, "{path}");
        rest.data("GET", "/v2/whoami", None).await;
    }
    // Several requests sent at once are answered in their order.
    let key = server.said("/accounts/0/api_key");
    let one = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n")
    };
    let together =
        one("/v2/whoami") + &one("/v2/no_such_thing") + &one("/v2/telephony_credentials");
    let mut http = Http::connect(server.http).await;
    http.write(together.as_bytes()).await.unwrap();
    for status in [200, 404, 200] {
        assert_eq!(http.read(true).await.unwrap().unwrap().status, status);
    }
}

#[tokio::test]
async fn call_reports_are_taken_from_sessions_only() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let mut phone = server.phone(0, 0).await;
    let state = phone.ask("telnyx_rtc.gatewayState", json!({})).await;
    let id = state["result"]["params"]["call_report_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut http = Http::connect(server.http).await;
    let post = |id: &str| {
        [
            ("Origin", "https://app.example".to_owned()),
            ("X-Call-Report-Id", id.to_owned()),
            ("X-Call-Id", "some-call".to_owned()),
        ]
    };
    for (id, status) in [(id.as_str(), 200), ("made-up", 404)] {
        let headers = post(id);
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let body = br#"{"summary":{},"stats":[],"logs":[]}"#;
        let response = http
            .request("POST", "/call_report", &headers, Some(body))
            .await;
        assert_eq!(response.status, status, "{}", response.text());
        assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    }
}
