//! Bad input on the signalling sockets: a clear error or a close for its sender, nothing for others.

mod support;

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::http::Http;
use support::installation::Installation;
use support::phone::{ANSWER, Heard, OFFER, Phone, call};
use support::process::Server;
use support::{raise_file_limit, soon};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

/// A request of exactly so many bytes.
fn ping_of(bytes: usize) -> String {
    let frame = |pad: usize| {
        let pad = "x".repeat(pad);
        json!({"jsonrpc": "2.0", "id": "big", "method": "telnyx_rtc.ping", "params": {"pad": pad}})
            .to_string()
    };
    frame(bytes - frame(0).len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_half_open_sockets_disturb_nobody() {
    let files = raise_file_limit();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let (mut alice, mut bob) = (server.phone(0, 0).await, server.phone(0, 1).await);
    let mut rest = server.rest(0).await;
    let total = usize::try_from(files.saturating_sub(500))
        .unwrap()
        .min(4000);
    let (silent, slow) = (total / 4 * 3, total / 4);
    println!("{silent} sockets without login, {slow} with half a head");

    let mut heads = Vec::new();
    for number in 0..slow {
        let mut stream = TcpStream::connect(server.http).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
        heads.push(stream);
        if number.is_multiple_of(250) {
            alice.expect_undisturbed().await;
        }
    }
    let mut guests = Vec::new();
    for number in 0..silent {
        guests.push(Phone::connect(server.http).await);
        if number.is_multiple_of(250) {
            alice.expect_undisturbed().await;
            assert_eq!(rest.call("GET", "/v2/whoami", None).await.status, 200);
        }
    }

    // With all of them in place: a new login, a new connection to REST, and a call.
    let mut late = server.phone(0, 0).await;
    late.expect_undisturbed().await;
    let mut fresh = server.rest(1).await;
    assert_eq!(fresh.call("GET", "/v2/whoami", None).await.status, 200);
    drop(late);
    let (mine, theirs) = call(&mut alice, &mut bob).await;
    assert_eq!(alice.bye(&mine).await["result"]["message"], "CALL ENDED");
    assert_eq!(bob.event("telnyx_rtc.bye").await["callID"], *theirs);

    // The oldest had to go, and were told why; the others run into their deadlines.
    if silent > 1024 {
        let (_, reason) = guests[0].until_closed().await;
        let text = "too many connections without login";
        assert_eq!(reason, Some((1008, text.to_owned())));
    }
    let (_, reason) = guests.last_mut().unwrap().until_closed().await;
    assert_eq!(reason, Some((1008, "no login in time".to_owned())));
    let mut byte = [0; 1];
    for head in [0, slow - 1] {
        // Closed, whatever is said before: nobody may hold a connection with half a head.
        soon("close", async {
            use tokio::io::AsyncReadExt;
            while heads[head].read(&mut byte).await.unwrap_or(0) > 0 {}
        })
        .await;
    }
    alice.expect_undisturbed().await;
}

#[tokio::test]
async fn a_socket_that_only_pretends_to_log_in_meets_its_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let mut silent = Phone::connect(server.http).await;
    let mut busy = Phone::connect(server.http).await;
    // Binary frames, and requests that are refused, prolong nothing.
    for _ in 0..20 {
        busy.say_binary(vec![0; 100]).await;
        let answer = busy.ask("telnyx_rtc.ping", json!({})).await;
        assert_eq!(answer["error"]["code"], -32000, "{answer}");
    }
    let closed = (Vec::new(), Some((1008, "no login in time".to_owned())));
    let (of_silent, of_busy) = tokio::join!(silent.until_closed(), busy.until_closed());
    assert_eq!((of_silent, of_busy), (closed.clone(), closed));
}

#[tokio::test]
async fn frames_are_bounded_before_and_after_login() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let (mut alice, mut bob) = (server.phone(0, 0).await, server.phone(0, 1).await);

    let mut guest = Phone::connect(server.http).await;
    guest.say(ping_of(64 * 1024)).await;
    assert_eq!(
        guest.answer_to(&json!("big")).await["error"]["code"],
        -32000
    );
    guest.say(ping_of(64 * 1024 + 1)).await;
    let (frames, reason) = guest.until_closed().await;
    assert_eq!(frames, [] as [Value; 0]);
    assert_eq!(reason, Some((1009, "frame too large".to_owned())));

    alice.say(ping_of(1024 * 1024)).await;
    let pong = alice.answer_to(&json!("big")).await;
    assert_eq!(pong["result"]["message"], "PONG");
    // The server need not read all of it before it closes.
    let _ = alice.try_say(ping_of(1024 * 1024 + 1)).await;
    let (frames, _) = alice.until_closed().await;
    assert_eq!(frames, [] as [Value; 0]);
    bob.expect_undisturbed().await;
}

#[tokio::test]
async fn a_flood_closes_its_own_socket_only() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let (mut alice, mut bob) = (server.phone(0, 0).await, server.phone(0, 1).await);
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "telnyx_rtc.ping"}).to_string();
    // It may be closed before the last one is sent.
    for _ in 0..5000 {
        if alice.try_say(ping.clone()).await.is_err() {
            break;
        }
    }
    let (frames, _) = alice.until_closed().await;
    assert!(frames.len() < 5000, "all were answered");
    bob.expect_undisturbed().await;
}

#[tokio::test]
async fn frames_that_are_not_masked_end_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let mut http = Http::connect(server.http).await;
    let upgrade = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
    ];
    let answer = http.request("GET", "/any/path", &upgrade, None).await;
    assert_eq!(answer.status, 101);
    http.write(b"\x81\x02{}").await.unwrap();
    http.expect_close().await;
}

#[tokio::test]
async fn what_is_no_request_gets_an_error_and_costs_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let (mut alice, mut bob) = (server.phone(0, 0).await, server.phone(0, 1).await);
    let deep = format!(
        r#"{{"id":"x","method":"telnyx_rtc.ping","params":{}1{}}}"#,
        "[".repeat(5000),
        "]".repeat(5000)
    );
    let deep_object = format!(
        r#"{{"id":"x","method":"telnyx_rtc.info","params":{}1{}}}"#,
        r#"{"a":"#.repeat(100),
        "}".repeat(100)
    );
    for text in [
        "",
        "{",
        "no JSON",
        "null",
        "5",
        "\"text\"",
        "[]",
        r#"[{"id":1,"method":"telnyx_rtc.ping"}]"#,
        r#"{"id":"x"}"#,
        r#"{"id":"x","method":5}"#,
        r#"{"id":"x","method":null}"#,
        r#"{"id":{},"method":"telnyx_rtc.ping"}"#,
        r#"{"id":[1],"method":"telnyx_rtc.ping"}"#,
        r#"{"id":true,"method":"telnyx_rtc.ping"}"#,
        r#"{"id":"x","method":"telnyx_rtc.destroy"}"#,
        r#"{"id":"x","method":"telnyx_rtc.invite"}"#,
        r#"{"id":"x","method":"telnyx_rtc.invite","params":[]}"#,
        r#"{"id":"x","method":"telnyx_rtc.invite","params":"sdp"}"#,
        r#"{"id":"x","method":"telnyx_rtc.invite","params":{"sdp":5,"dialogParams":{"callID":"c"}}}"#,
        r#"{"id":"x","method":"telnyx_rtc.invite","params":{"sdp":"v=0","dialogParams":[]}}"#,
        r#"{"id":"x","method":"telnyx_rtc.invite","params":{"sdp":"v=0","dialogParams":{"callID":{}}}}"#,
        r#"{"id":"x","method":"telnyx_rtc.invite","params":{"sdp":"v=0","dialogParams":{"callID":"c"}}}"#,
        r#"{"id":"x","method":"telnyx_rtc.bye","params":{"dialogParams":{"callID":"\u0000"}}}"#,
        r#"{"id":"x","method":"telnyx_rtc.modify","params":{"action":{},"dialogParams":{"callID":"c"}}}"#,
        r#"{"id":"x","method":"login"}"#,
        r#"{"id":"x","method":"login","params":{"login_token":[]}}"#,
        r#"{"id":"x","method":"anonymous_login","params":{"target_type":"ai_assistant"}}"#,
        &deep,
        &deep_object,
    ] {
        // A socket of its own: five refused logins would close it.
        alice.say(text).await;
        let answer = match soon(text, alice.hear()).await {
            Heard::Frame(answer) => answer,
            Heard::Closed(reason) => panic!("{text}: closed {reason:?}"),
        };
        let code = answer["error"]["code"].as_i64();
        let expected = [-32600, -32601, -32602, -32002, -32001];
        assert!(
            code.is_some_and(|code| expected.contains(&code)),
            "{text}: {answer}"
        );
        assert!(answer["error"]["message"].is_string(), "{text}: {answer}");
    }
    // Answers to requests that nobody made, a speed test, binary frames: no answer at all.
    for text in [
        r#"{"id":1000001,"result":{"method":"telnyx_rtc.ping"}}"#,
        r#"{"id":"x","result":5}"#,
        r#"{"id":"x","error":{}}"#,
        "#SPU 5",
        "#SPB 0123456789",
        "#SPE",
    ] {
        alice.say(text).await;
    }
    alice.say_binary(vec![0xff; 70_000]).await;
    alice.expect_undisturbed().await;
    bob.expect_undisturbed().await;
    assert_eq!(server.metric("ringtrip_panics_total").await, 0);
}

#[tokio::test]
async fn nothing_works_before_login_and_debug_frames_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let mut bob = server.phone(0, 1).await;
    let mut guest = Phone::connect(server.http).await;
    for method in [
        "telnyx_rtc.invite",
        "telnyx_rtc.answer",
        "telnyx_rtc.bye",
        "telnyx_rtc.modify",
        "telnyx_rtc.info",
        "telnyx_rtc.attach",
        "telnyx_rtc.candidate",
        "telnyx_rtc.gatewayState",
        "telnyx_rtc.ping",
        "telnyx_rtc.unheard_of",
    ] {
        let params = json!({
            "sessid": bob.sessid, "sdp": OFFER, "dtmf": "1", "action": "hold",
            "dialogParams": {"callID": "early", "destination_number": bob.user},
        });
        let answer = guest.ask(method, params).await;
        assert_eq!(answer["error"]["code"], -32000, "{method}: {answer}");
        assert_eq!(answer["error"]["message"], "Authentication Required");
        assert!(answer["voice_sdk_id"].is_string());
    }
    let anonymous = json!({"target_type": "ai_assistant", "target_id": "x"});
    let answer = guest.ask("anonymous_login", anonymous).await;
    assert_ne!(answer["error"]["code"], -32000, "{answer}");
    assert!(answer["error"]["code"].is_i64(), "{answer}");
    for kind in [
        "debug_report_start",
        "debug_report_data",
        "debug_report_stop",
    ] {
        let frame = json!({"jsonrpc": "2.0", "id": kind, "type": kind, "debug_report_id": "d"});
        guest.say(frame.to_string()).await;
        assert!(guest.answer_to(&json!(kind)).await["result"].is_object());
    }
    bob.expect_undisturbed().await;
}

#[tokio::test]
async fn a_refused_login_is_told_as_such_and_the_fifth_closes() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let token = server.said("/accounts/0/credentials/0/token");
    let user = server.said("/accounts/0/credentials/0/sip_username");
    let other = server.said("/accounts/1/credentials/0/sip_password");
    let mut tampered = token.clone().into_bytes();
    let last = tampered.len() - 10;
    tampered[last] = if tampered[last] == b'A' { b'B' } else { b'A' };
    let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
    let attempts = [
        json!({"login_token": String::from_utf8(tampered).unwrap()}),
        json!({"login_token": unsigned}),
        json!({"login": user, "passwd": other}),
        json!({"login": "gencrednobody", "passwd": "guess"}),
        json!({"login_token": "x".repeat(20_000)}),
    ];
    let mut guest = Phone::connect(server.http).await;
    for (number, attempt) in attempts.into_iter().enumerate() {
        let answer = guest.login(attempt).await;
        assert_eq!(answer["error"]["code"], -32001, "{number}: {answer}");
        assert_eq!(answer["error"]["message"], "Login Incorrect", "{number}");
    }
    let (frames, reason) = guest.until_closed().await;
    assert_eq!(frames, [] as [Value; 0]);
    assert_eq!(reason, Some((1008, "too many refused logins".to_owned())));

    // After four, the right one still gets in.
    let mut guest = Phone::connect(server.http).await;
    for _ in 0..4 {
        let answer = guest.login(json!({"login_token": "wrong"})).await;
        assert_eq!(answer["error"]["code"], -32001);
    }
    let answer = guest.login(json!({"login_token": token})).await;
    assert_eq!(answer["result"]["message"], "logged in");
}

#[tokio::test]
async fn calls_of_others_are_out_of_reach_whatever_is_claimed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let (mut alice, mut bob) = (server.phone(0, 0).await, server.phone(0, 1).await);
    let (of_alice, of_bob) = call(&mut alice, &mut bob).await;
    let carol = server.phone(1, 0).await;
    let mallory = {
        let mut rest = server.rest(0).await;
        let body = json!({"connection_id": server.said("/accounts/0/connection_id")});
        let made = rest
            .data("POST", "/v2/telephony_credentials", Some(&body))
            .await;
        let token = rest.token(made["id"].as_str().unwrap()).await;
        Phone::log_in(server.http, &token).await
    };
    for mut stranger in [carol, mallory] {
        for leg in [&of_alice, &of_bob] {
            for (method, more) in [
                (
                    "telnyx_rtc.bye",
                    json!({"cause": "NORMAL_CLEARING", "causeCode": 16}),
                ),
                ("telnyx_rtc.modify", json!({"action": "hold"})),
                ("telnyx_rtc.modify", json!({"action": "toggleHold"})),
                (
                    "telnyx_rtc.modify",
                    json!({"action": "updateMedia", "sdp": OFFER}),
                ),
                ("telnyx_rtc.info", json!({"dtmf": "1"})),
                ("telnyx_rtc.answer", json!({"sdp": ANSWER})),
                ("telnyx_rtc.attach", json!({"sdp": ANSWER})),
            ] {
                for sessid in [&alice.sessid, &bob.sessid, &stranger.sessid.clone()] {
                    let mut params = more.clone();
                    params["sessid"] = json!(sessid);
                    params["callID"] = json!(leg);
                    params["dialogParams"] = json!({
                        "callID": leg, "telnyxLegId": of_bob, "telnyxCallControlId": "v3:x",
                    });
                    let answer = stranger.ask(method, params).await;
                    assert_eq!(answer["error"]["code"], -32002, "{method}: {answer}");
                    assert_eq!(
                        answer["error"]["message"], "CALL DOES NOT EXIST",
                        "{method}"
                    );
                }
            }
            for method in ["telnyx_rtc.candidate", "telnyx_rtc.endOfCandidates"] {
                let params = json!({
                    "sessid": alice.sessid, "candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host",
                    "sdpMid": "0", "sdpMLineIndex": 0, "dialogParams": {"callID": leg},
                });
                stranger.ask(method, params).await;
            }
        }
        // A call of one's own may have any name, also that of somebody else's.
        let created = stranger.invite(&of_alice, "nobody-there", OFFER).await;
        assert_eq!(created["result"]["message"], "CALL CREATED", "{created}");
        assert_eq!(stranger.event("telnyx_rtc.bye").await["callID"], *of_alice);
        stranger.bye(&of_alice).await;
    }
    // Somebody else's session is not given back, and its owner keeps it.
    let mut thief = Phone::connect(server.http).await;
    let token = server.said("/accounts/1/credentials/1/token");
    let params = json!({"login_token": token, "sessid": alice.sessid, "reconnection": true});
    let answer = thief.login(params).await;
    assert_eq!(answer["result"]["message"], "logged in");
    assert_ne!(thief.sessid, alice.sessid);

    alice.expect_undisturbed().await;
    bob.expect_undisturbed().await;
    assert_eq!(server.metric("ringtrip_calls_active").await, 1);
    assert_eq!(bob.bye(&of_bob).await["result"]["message"], "CALL ENDED");
    let bye = alice.event("telnyx_rtc.bye").await;
    assert_eq!(
        (&bye["callID"], &bye["causeCode"]),
        (&json!(of_alice), &json!(16))
    );
}

#[tokio::test]
async fn descriptions_that_cannot_be_used_leave_no_call() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let (mut alice, mut bob) = (server.phone(0, 0).await, server.phone(0, 1).await);
    let bob_is = bob.user.clone();
    for (number, sdp) in ["x".repeat(64 * 1024 + 1), String::new()]
        .into_iter()
        .enumerate()
    {
        let answer = alice
            .invite(&format!("refused-{number}"), &bob_is, &sdp)
            .await;
        assert_eq!(answer["error"]["code"], -32002, "{answer}");
    }
    let (session, media) = OFFER.split_once("m=audio").unwrap();
    let sections = format!("m=audio{media}").repeat(17);
    let candidates = "a=candidate:1 1 udp 1 192.0.2.2 9 typ host\r\n".repeat(1200);
    let unusable = [
        session.to_owned(),
        format!("{session}{sections}"),
        "x".repeat(64 * 1024),
        "v=0\r\n".to_owned(),
        format!("{OFFER}{candidates}"),
        OFFER.replace("a=fingerprint", "a=nothing"),
        OFFER.replace("a=ice-pwd", "a=nothing"),
        OFFER.replace("111 63 9 0 8 13 110 126", "63 13"),
        format!("{session}m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\n"),
        "\u{0}".repeat(50),
    ];
    for (number, sdp) in unusable.iter().enumerate() {
        let name = format!("unusable-{number}");
        let answer = alice.invite(&name, &bob_is, sdp).await;
        if answer.get("error").is_some() {
            assert_eq!(answer["error"]["code"], -32002, "{number}: {answer}");
            continue;
        }
        let bye = alice.event("telnyx_rtc.bye").await;
        assert_eq!(bye["callID"], name.as_str(), "{bye}");
        assert_eq!(bye["cause"], "INCOMPATIBLE_DESTINATION", "{number}: {bye}");
    }
    server
        .wait_for_metric("ringtrip_calls_active", |calls| calls == 0)
        .await;
    alice.expect_undisturbed().await;
    bob.expect_undisturbed().await;

    // The same from the side that is called: the caller hears of it, and nothing stays.
    let created = alice.invite("to-a-bad-answer", &bob_is, OFFER).await;
    assert_eq!(created["result"]["message"], "CALL CREATED");
    let rings = bob.event("telnyx_rtc.invite").await["callID"].clone();
    let params = json!({"sdp": "v=0\r\nm=", "dialogParams": {"callID": rings}});
    let answer = bob.ask("telnyx_rtc.answer", params).await;
    assert!(answer["error"]["code"].is_i64(), "{answer}");
    let bye = alice.event("telnyx_rtc.bye").await;
    assert_eq!(bye["callID"], "to-a-bad-answer");
    server
        .wait_for_metric("ringtrip_calls_active", |calls| calls == 0)
        .await;
}

#[tokio::test]
async fn a_slow_reader_is_cut_off_and_nobody_else_notices() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let (mut alice, mut carol) = (server.phone(0, 0).await, server.phone(1, 0).await);
    // Bob's window is as small as can be, and he never reads once he is logged in.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(server.http).await.unwrap();
    let mut bob = Phone::over(stream, server.http).await.unwrap();
    let token = server.said("/accounts/0/credentials/1/token");
    bob.login(json!({"login_token": token})).await;
    let user = server.said("/accounts/0/credentials/1/sip_username");

    let header = |n: usize| json!({"name": format!("X-{n}"), "value": "v".repeat(1000)});
    let headers: Vec<Value> = (0..32).map(header).collect();
    let mut number = 0;
    while server.metric("ringtrip_slow_readers_total").await == 0 {
        assert!(number < 2000, "never cut off");
        // A session of its own for each few calls, since frames per second are bounded.
        let mut caller = server.phone(0, 0).await;
        for _ in 0..16 {
            number += 1;
            let name = format!("call-{number}");
            // Each rings at Bob's with 32 KiB of headers.
            let params = json!({"sdp": OFFER, "dialogParams": {
                "callID": name, "destination_number": user, "custom_headers": headers,
            }});
            let created = caller.ask("telnyx_rtc.invite", params).await;
            assert_eq!(created["result"]["message"], "CALL CREATED", "{created}");
            // Ringing, or, once Bob is cut off, the end.
            match soon("ringing", caller.hear()).await {
                Heard::Frame(frame) if frame["method"] == "telnyx_rtc.ringing" => {}
                Heard::Frame(frame) => {
                    assert_eq!(frame["method"], "telnyx_rtc.bye", "{frame}");
                    break;
                }
                Heard::Closed(reason) => panic!("the caller was closed: {reason:?}"),
            }
            caller.bye(&name).await;
        }
        carol.expect_undisturbed().await;
    }
    println!("cut off after {number} calls");
    carol.expect_undisturbed().await;
    alice.expect_undisturbed().await;
    server
        .wait_for_metric("ringtrip_sockets_open", |sockets| sockets == 2)
        .await;
    // He may come back.
    let mut back = Phone::log_in(server.http, &token).await;
    back.expect_undisturbed().await;
}

#[tokio::test]
async fn the_log_holds_no_secret_even_at_trace() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::dev_with(folder.path(), "trace", &[]);
    let mut secrets = Vec::new();
    for account in 0..2 {
        secrets.push(server.said(&format!("/accounts/{account}/api_key")));
        for person in 0..2 {
            let path = format!("/accounts/{account}/credentials/{person}");
            secrets.push(server.said(&format!("{path}/sip_password")));
            secrets.push(server.said(&format!("{path}/token")));
        }
    }
    let mut rest = server.rest(0).await;
    let connection = json!({
        "connection_name": "secret", "user_name": "secretive", "password": "open sesame 1001",
        "webhook_event_url": "https://hooks.example/",
    });
    let made = rest
        .data("POST", "/v2/credential_connections", Some(&connection))
        .await;
    secrets.push("open sesame 1001".to_owned());
    let body = json!({"connection_id": made["id"]});
    let made = rest
        .data("POST", "/v2/telephony_credentials", Some(&body))
        .await;
    secrets.push(made["sip_password"].as_str().unwrap().to_owned());
    secrets.push(rest.token(made["id"].as_str().unwrap()).await);
    let broken = r#"{"password": "half a secret 2002", "#;
    secrets.push("half a secret 2002".to_owned());
    let headers = [("Authorization", format!("Bearer {}", secrets[0]))];
    let headers = headers
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    rest.http
        .request(
            "POST",
            "/v2/credential_connections",
            &headers,
            Some(broken.as_bytes()),
        )
        .await
        .envelope(400);
    let wrong = [("Authorization", "Bearer KEYwrong-and-secret-3003")];
    secrets.push("KEYwrong-and-secret-3003".to_owned());
    rest.http
        .request("GET", "/v2/whoami", &wrong, None)
        .await
        .envelope(401);

    let mut alice = Phone::connect(server.http).await;
    for params in [
        json!({"login": "secretive", "passwd": "mistyped secret 4004"}),
        json!({"login_token": "eyJmistyped.secret.5005"}),
        json!({"login": "secretive", "passwd": "open sesame 1001", "login_token": "eyJboth6006"}),
    ] {
        for key in ["passwd", "login_token"] {
            if let Some(secret) = params[key].as_str() {
                secrets.push(secret.to_owned());
            }
        }
        alice.login(params).await;
    }
    alice
        .say(r#"{"id":"x","method":"login","params":{"passwd":"broken frame 7007"#)
        .await;
    secrets.push("broken frame 7007".to_owned());
    let mut alice = server.phone(0, 0).await;
    let mut bob = Phone::connect(server.http).await;
    let login = json!({
        "login": server.said("/accounts/0/credentials/1/sip_username"),
        "passwd": server.said("/accounts/0/credentials/1/sip_password"),
    });
    bob.user = login["login"].as_str().unwrap().to_owned();
    bob.login(login).await;
    let params = json!({"sdp": OFFER, "dialogParams": {
        "callID": "with-turn", "destination_number": bob.user,
        "iceServers": [{"urls": "turn:turn.example", "credential": "turn secret 8008"}],
    }});
    secrets.push("turn secret 8008".to_owned());
    alice.ask("telnyx_rtc.invite", params).await;
    bob.event("telnyx_rtc.invite").await;
    alice.bye("with-turn").await;
    // Keys of the media of the call, and what seals the database.
    let key = std::fs::read_to_string(folder.path().join("ringtrip.key")).unwrap();
    secrets.push(key.trim().rsplit([':', ' ']).next().unwrap().to_owned());
    secrets.push("7EFOxST5F1gvGTGSxgSjeHzm".to_owned());

    assert!(server.stop().0.success());
    let log = server.log();
    assert!(
        log.contains("logged in on socket"),
        "nothing is logged below info: {log}"
    );
    for secret in &secrets {
        assert!(secret.len() > 10, "{secret}");
        // Libraries print bytes as text, or as lists of numbers.
        let numbers = format!("{:?}", secret.as_bytes());
        for form in [secret.as_str(), numbers.trim_matches(['[', ']'])] {
            if let Some(at) = log.find(form) {
                let line = log[..at].rfind('\n').map_or(0, |end| end + 1);
                let line: String = log[line..].chars().take(300).collect();
                panic!("{secret} is in the log: {line}");
            }
        }
    }
}

#[tokio::test]
async fn many_sessions_of_one_credential_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let token = server.said("/accounts/0/credentials/0/token");
    let mut phones = Vec::new();
    let refused = loop {
        let mut phone = Phone::connect(server.http).await;
        let answer = phone.login(json!({"login_token": token})).await;
        if answer.get("error").is_some() {
            break answer;
        }
        phones.push(phone);
        assert!(phones.len() < 1000, "no bound");
    };
    assert_eq!(refused["error"]["code"], -32001, "{refused}");
    join_all(phones.iter_mut().map(Phone::expect_undisturbed)).await;
    server.phone(0, 1).await.expect_undisturbed().await;
}

#[tokio::test]
async fn pages_of_other_origins_get_no_socket_where_the_operator_says_so() {
    let installation = Installation::new("websocket_origins = [\"https://app.example\"]\n");
    let (server, _) = installation.start("ops@acme.example");
    for (origin, status) in [
        (None, 101),
        (Some("https://app.example"), 101),
        (Some("https://evil.example"), 403),
        (Some("null"), 403),
        (Some("https://app.example.evil.example"), 403),
    ] {
        let mut headers = vec![
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            // Whatever cookies come along.
            ("Cookie", "__Host-ringtrip_session=x"),
        ];
        headers.extend(origin.map(|origin| ("Origin", origin)));
        let mut http = Http::connect(server.http).await;
        let response = http.request("GET", "/", &headers, None).await;
        assert_eq!(response.status, status, "{origin:?}");
        if status == 403 {
            assert_eq!(response.envelope(403), "10010");
        }
    }
}
