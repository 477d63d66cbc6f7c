//! Behind a proxy: whose address counts, and for what.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use std::net::SocketAddr;

use serde_json::json;
use support::http::Http;
use support::installation::Installation;
use support::phone::Phone;
use support::process::Server;
use support::soon;
use tokio::net::{TcpSocket, TcpStream};

async fn connect_from(source: [u8; 4], server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    soon("connect", socket.connect(server)).await.unwrap()
}

/// Sends a request without a key from an address, for a client; returns status and what remains.
async fn ask(server: &Server, source: [u8; 4], client: &str) -> (u16, String) {
    let mut http = Http::over(connect_from(source, server.http).await, server.http);
    let headers = [("X-Forwarded-For", client)];
    let response = http.request("GET", "/v2/whoami", &headers, None).await;
    let remaining = response.header("x-ratelimit-remaining").unwrap_or("none");
    (response.status, remaining.to_owned())
}

#[tokio::test]
async fn limits_count_the_client_behind_a_trusted_proxy_and_nobody_elses_word() {
    let installation =
        Installation::new("trusted_proxies = [\"127.0.0.1\"]\nrate_limit_per_source = 1\n");
    let (server, _) = installation.start("ops@acme.example");
    let proxy = [127, 0, 0, 1];
    // The first is the first, whatever was asked for others before.
    for client in ["203.0.113.1", "203.0.113.2", "192.0.2.7, 203.0.113.3"] {
        assert_eq!(
            ask(&server, proxy, client).await,
            (401, "9".to_owned()),
            "{client}"
        );
    }
    // The end of the list counts, not what the client put in front of it.
    let exhaust = async { while ask(&server, proxy, "203.0.113.4, 203.0.113.9").await.0 != 429 {} };
    soon("the end of what a source may ask", exhaust).await;
    for client in ["203.0.113.4", "203.0.113.9, 203.0.113.5"] {
        assert_eq!(
            ask(&server, proxy, client).await,
            (401, "9".to_owned()),
            "{client}"
        );
    }
    // From somebody else the header says nothing.
    let mut refused = false;
    for client in 0..250 {
        refused |= ask(&server, [127, 0, 0, 2], &format!("198.51.100.{client}"))
            .await
            .0
            == 429;
    }
    assert!(refused, "the stranger's own address is counted");
    assert_eq!(ask(&server, proxy, "127.0.0.2, 203.0.113.6").await.0, 401);
}

#[tokio::test]
async fn a_source_without_a_good_key_is_told_when_to_come_back() {
    let installation = Installation::new("rate_limit_per_source = 1\nrate_limit_per_key = 1\n");
    let (server, key) = installation.start("ops@acme.example");
    let mut http = Http::connect(server.http).await;
    let good = format!("Bearer {key}");
    let response = http
        .request("GET", "/v2/whoami", &[("Authorization", &good)], None)
        .await;
    assert_eq!(response.header("x-ratelimit-limit"), Some("10"));
    let wrong = [("Authorization", "Bearer KEY0123456789")];
    let refused = loop {
        let response = http.request("GET", "/v2/whoami", &wrong, None).await;
        if response.status == 429 {
            break response;
        }
        assert_eq!(response.envelope(401), "10009");
    };
    assert_eq!(refused.envelope(429), "10011");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let exposed = refused.header("access-control-expose-headers").unwrap();
    for name in ["retry-after", "x-ratelimit-limit", "x-ratelimit-reset"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    // The good key of the same address is not locked out, nor is the port.
    let response = http
        .request("GET", "/v2/whoami", &[("Authorization", &good)], None)
        .await;
    assert_eq!(response.status, 200);
    assert_eq!(http.get("/readyz").await.status, 200);
    // It has a limit of its own.
    let headers = [("Authorization", good.as_str())];
    let exhaust = async {
        while http
            .request("GET", "/v2/whoami", &headers, None)
            .await
            .status
            == 200
        {}
    };
    soon("the end of what a key may ask", exhaust).await;
    let mut operator = Http::connect(server.admin()).await;
    let metrics = operator.get("/metrics").await.text();
    assert!(
        !metrics.contains("\nringtrip_http_rate_limited_total 0\n"),
        "{metrics}"
    );
    assert!(metrics.contains("ringtrip_http_requests_total{method=\"GET\",status=\"4xx\"}"));
}

#[tokio::test]
async fn connections_of_a_source_are_bounded() {
    let installation = Installation::new("max_connections_per_source = 3\n");
    let (server, _) = installation.start("ops@acme.example");
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut http = Http::over(connect_from([127, 0, 0, 2], server.http).await, server.http);
        assert_eq!(http.get("/livez").await.status, 200);
        held.push(http);
    }
    // A WebSocket is a connection as well, after its upgrade, too.
    let stream = connect_from([127, 0, 0, 2], server.http).await;
    let mut phone = Phone::over(stream, server.http).await.unwrap();
    let answer = phone.ask("telnyx_rtc.ping", json!({})).await;
    assert_eq!(answer["error"]["code"], -32000, "{answer}");
    let mut http = Http::over(connect_from([127, 0, 0, 2], server.http).await, server.http);
    http.expect_close().await;
    let mut other = Http::connect(server.http).await;
    assert_eq!(other.get("/livez").await.status, 200);
    // Room comes back with the end of one of them.
    held.pop();
    loop {
        let mut http = Http::over(connect_from([127, 0, 0, 2], server.http).await, server.http);
        if http.send("GET", "/livez", &[], None).await.is_ok() {
            break;
        }
    }
}
