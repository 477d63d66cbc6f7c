//! Keeping alive.

use std::time::Duration;

use ringtrip_model::LegEvent;
use ringtrip_verto::CloseReason;
use serde_json::json;

use crate::client::{ALICE, STARTED_AT, World};

#[test]
fn the_server_pings_about_every_20_seconds() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let mut pings = Vec::new();
    for second in 1..=120 {
        world.pass_secs(1);
        for frame in world.frames(alice.socket) {
            assert_eq!(frame["method"], "telnyx_rtc.ping");
            let serno = frame["params"]["serno"].as_i64().unwrap();
            assert_eq!(serno, STARTED_AT.as_secs() + 1 + second);
            pings.push(second);
            world.ask(alice.socket, "telnyx_rtc.ping", json!({}));
        }
    }
    assert_eq!(pings, [20, 40, 60, 80, 100, 120]);
}

#[test]
fn each_kind_of_ping_gets_a_pong_and_never_a_ping() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    world.pass_secs(21);
    let ours = world.frame(alice.socket);
    // Android and iOS send our own frame back, id and all.
    world.send(alice.socket, &ours);
    let pong = world.frame(alice.socket);
    assert_eq!(pong["id"], ours["id"]);
    assert_eq!(
        pong["result"],
        json!({"message": "PONG", "sessid": alice.session.to_string()})
    );
    // JavaScript sends a request of its own, React Native one without params.
    assert_eq!(
        world.ask(alice.socket, "telnyx_rtc.ping", json!({}))["result"]["message"],
        "PONG"
    );
    world.send(
        alice.socket,
        &json!({"jsonrpc": "2.0", "id": "rn", "method": "telnyx_rtc.ping"}),
    );
    assert_eq!(world.frame(alice.socket)["id"], "rn");
    // A ping without an id is a sign of life and no more.
    world.send(
        alice.socket,
        &json!({"jsonrpc": "2.0", "method": "telnyx_rtc.ping"}),
    );
    world.assert_silent(alice.socket);
}

#[test]
fn a_silent_socket_is_lost_after_40_seconds() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let leg = world.call_out(alice, "a");
    world.pass(Duration::from_millis(39_999));
    assert!(world.closed.is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.closed.get(&alice.socket), Some(&CloseReason::Silent));
    assert_eq!(world.event(), LegEvent::Lost { leg });
    assert!(world.bound.is_empty());
}

#[test]
fn any_frame_is_life() {
    for text in [
        r##"#SPU 1024"##,
        "{",
        r#"{"jsonrpc":"2.0","id":1000001,"result":{}}"#,
        "[1]",
    ] {
        let mut world = World::new();
        let alice = world.log_in(ALICE);
        world.pass_secs(39);
        world.send_text(alice.socket, text);
        world.pass_secs(39);
        assert!(world.closed.is_empty(), "{text}");
        world.pass_secs(1);
        assert_eq!(world.closed.len(), 1, "{text}");
    }
}

#[test]
fn guests_are_not_pinged() {
    let mut world = World::new();
    let socket = world.open();
    world.pass_secs(10);
    world.assert_silent(socket);
}

#[test]
fn a_thousand_idle_sockets_share_their_wake_ups() {
    let mut world = World::new();
    let mut clients = Vec::new();
    for number in 0..1_000 {
        clients.push(world.log_in(&format!("user{number}")));
        world.pass(Duration::from_millis(7));
    }
    let wakes = world.pass_secs(20);
    assert!(wakes <= 21, "woke up {wakes} times in 20 seconds");
    for client in clients {
        let frames = world.frames(client.socket);
        assert!(
            !frames.is_empty()
                && frames
                    .iter()
                    .all(|frame| frame["method"] == "telnyx_rtc.ping")
        );
    }
}
