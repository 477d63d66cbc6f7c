//! Logging in, and what a client finds then.

use ringtrip_model::{LoginRequest, Secret};
use ringtrip_verto::Output;
use serde_json::{Value, json};

use crate::client::{ALICE, BOB, World, error_of, identity, party};

fn token(text: &str) -> LoginRequest {
    LoginRequest::Token(Secret::new(text.to_owned()))
}

#[test]
fn a_token_login_gives_a_session_then_client_ready_then_a_binding() {
    let mut world = World::new();
    let socket = world.open();
    let login = json!({"jsonrpc": "2.0", "id": "b1", "method": "login", "params": {
        "login_token": "h.p.s",
        "userVariables": {"push_when_active": false, "pn_late_fanout": false},
        "reconnection": false,
        "loginParams": {"early_sdp_answer": false},
        "User-Agent": {"sdkVersion": "2.27.10", "data": "Mozilla/5.0"},
    }});
    world.send(socket, &login);
    let (asked, number, shown) = world.logins.pop_front().unwrap();
    assert_eq!((asked, shown), (socket, token("h.p.s")));
    world.assert_silent(socket);

    world
        .endpoint
        .handle_authenticated(socket, number, Ok(identity(ALICE)), world.now);
    let outputs: Vec<Output> = std::iter::from_fn(|| world.endpoint.poll_output()).collect();
    let [
        Output::Send { frame: result, .. },
        Output::Send { frame: ready, .. },
        Output::Bind {
            session,
            socket: on,
            party: bound,
            ..
        },
    ] = outputs.as_slice()
    else {
        panic!("{outputs:?}");
    };
    let result: Value = serde_json::from_str(result).unwrap();
    assert_eq!(result["id"], "b1");
    assert_eq!(
        result["result"],
        json!({"message": "logged in", "sessid": session.to_string()})
    );
    let ready: Value = serde_json::from_str(ready).unwrap();
    assert_eq!(ready["method"], "telnyx_rtc.clientReady");
    assert_eq!(ready["params"], json!({"reattached_sessions": []}));
    assert_eq!(result["voice_sdk_id"], ready["voice_sdk_id"]);
    assert_eq!((*on, bound), (socket, &party(ALICE)));
}

#[test]
fn user_name_and_password_win_over_a_token() {
    let mut world = World::new();
    let socket = world.open();
    world.request(
        socket,
        "login",
        json!({"login": "u", "passwd": "p", "login_token": "t"}),
    );
    let expected = LoginRequest::Password {
        user: "u".to_owned(),
        password: Secret::new("p".to_owned()),
    };
    assert_eq!(world.logins[0].2, expected);
}

#[test]
fn every_client_generation_is_understood() {
    let unknown_session = "11111111-2222-4333-8444-555555555555";
    for extra in [
        json!({"User-Agent": "Android-3.1.0", "sessid": unknown_session, "loginParams": {"attach_calls": "true"}}),
        json!({"User-Agent": "iOS-2.4.0", "sessid": unknown_session, "loginParams": {"attach_call": "true"}}),
        json!({"User-Agent": "ReactNative-1.0", "userVariables": {"push_device_token": "x"}, "from_push": true}),
        json!({"User-Agent": "Android-old", "loginParams": [], "userVariables": []}),
        json!({"User-Agent": null, "loginParams": null, "sessid": 7}),
    ] {
        let mut world = World::new();
        let socket = world.open();
        let (result, ready) = world.log_in_fully(socket, ALICE, extra.clone());
        assert_ne!(result["sessid"], unknown_session, "{extra}");
        assert_eq!(ready["reattached_sessions"], json!([]), "{extra}");
    }
}

#[test]
fn gateway_state_is_registered_at_once() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    for _ in 0..2 {
        let response = world.ask(alice.socket, "telnyx_rtc.gatewayState", json!({}));
        let result = &response["result"];
        assert_eq!(result["sessid"], alice.session.to_string());
        assert_eq!(result["params"]["state"], "REGED");
        assert_eq!(result["params"]["dc"], "local1");
        assert_eq!(result["params"]["region"], "local");
        assert_eq!(
            result["params"]["call_report_id"].as_str().unwrap().len(),
            32
        );
    }
}

#[test]
fn requests_before_login_want_authentication() {
    let mut world = World::new();
    let socket = world.open();
    for method in [
        "telnyx_rtc.gatewayState",
        "telnyx_rtc.invite",
        "telnyx_rtc.ping",
        "telnyx_rtc.bye",
        "nonsense",
    ] {
        let refusal = world.refused(socket, method, json!({}));
        assert_eq!(
            refusal,
            (-32000, "Authentication Required".to_owned()),
            "{method}"
        );
    }
    // Also while the login is being verified.
    world.request(socket, "login", json!({"login_token": "t"}));
    assert_eq!(
        world
            .refused(socket, "telnyx_rtc.gatewayState", json!({}))
            .0,
        -32000
    );
    assert!(world.bound.is_empty());
}

#[test]
fn an_anonymous_login_is_denied_without_asking_for_another() {
    let mut world = World::new();
    let socket = world.open();
    let params = json!({"target_type": "ai_assistant", "target_id": "a", "User-Agent": {}});
    assert_eq!(
        world.refused(socket, "anonymous_login", params.clone()).0,
        -32602
    );
    let alice = world.log_in(ALICE);
    assert_eq!(
        world.refused(alice.socket, "anonymous_login", params).0,
        -32602
    );
}

#[test]
fn logins_of_one_socket_are_verified_one_after_the_other() {
    let mut world = World::new();
    let socket = world.open();
    let ids: Vec<Value> = [ALICE, BOB]
        .into_iter()
        .map(|user| world.request(socket, "login", json!({"login_token": user})))
        .collect();
    assert_eq!(world.logins.len(), 1);
    assert_eq!(world.logins[0].2, token(ALICE));
    world.authenticated(Ok(identity(ALICE)));
    assert_eq!(world.logins.len(), 1);
    assert_eq!(world.logins[0].2, token(BOB));
    world.authenticated(Ok(identity(BOB)));
    let answered: Vec<Value> = world
        .frames(socket)
        .iter()
        .filter(|f| f.get("result").is_some())
        .map(|f| f["id"].clone())
        .collect();
    assert_eq!(answered, ids);
    assert_eq!(
        world
            .bound
            .values()
            .map(|party| party.user.as_str())
            .collect::<Vec<_>>(),
        [BOB]
    );
}

#[test]
fn more_logins_than_may_wait_are_refused() {
    let mut world = World::new();
    let socket = world.open();
    for _ in 0..4 {
        world.request(socket, "login", json!({"login_token": "t"}));
    }
    world.assert_silent(socket);
    let response = world.ask(socket, "login", json!({"login_token": "t"}));
    assert_eq!(error_of(&response).0, -32001);
}

#[test]
fn a_verdict_that_nobody_waits_for_is_dropped() {
    let mut world = World::new();
    let socket = world.open();
    world.request(socket, "login", json!({"login_token": "t"}));
    let (_, number, _) = world.logins.pop_front().unwrap();
    world
        .endpoint
        .handle_authenticated(socket, number + 1, Ok(identity(ALICE)), world.now);
    world.close(socket);
    world
        .endpoint
        .handle_authenticated(socket, number, Ok(identity(ALICE)), world.now);
    world.drain();
    assert!(world.bound.is_empty());
    world.assert_silent(socket);
}
