//! Every bound that a peer can reach.

use ringtrip_model::{HangupCause, LegEvent, LegId};
use ringtrip_verto::{CloseReason, Config};
use serde_json::json;

use crate::client::{ALICE, BOB, STARTED_AT, World, dialog, invite, offer};

#[test]
fn frames_are_64_kib_before_login_and_1_mib_after() {
    let mut world = World::new();
    let filled = |bytes: usize| {
        let head = r#"{"id":1,"method":"telnyx_rtc.ping","params":""#;
        format!("{head}{}\"}}", "x".repeat(bytes - head.len() - 2))
    };
    let guest = world.open();
    world.send_text(guest, &filled(64 * 1024));
    assert_eq!(world.frame(guest)["error"]["code"], -32000);
    world.send_text(guest, &filled(64 * 1024 + 1));
    assert_eq!(world.closed.get(&guest), Some(&CloseReason::FrameTooLarge));

    let alice = world.log_in(ALICE);
    world.send_text(alice.socket, &filled(1024 * 1024));
    assert_eq!(world.frame(alice.socket)["result"]["message"], "PONG");
    world.send_text(alice.socket, &filled(1024 * 1024 + 1));
    assert_eq!(
        world.closed.get(&alice.socket),
        Some(&CloseReason::FrameTooLarge)
    );
}

#[test]
fn a_flood_closes_only_its_socket() {
    let mut world = World::new();
    let (alice, bob) = (world.log_in(ALICE), world.log_in(BOB));
    for _ in 0..399 {
        world.ask(alice.socket, "telnyx_rtc.ping", json!({}));
    }
    assert!(world.closed.is_empty());
    world.request(alice.socket, "telnyx_rtc.ping", json!({}));
    assert_eq!(world.closed.get(&alice.socket), Some(&CloseReason::Flood));
    world.ask(bob.socket, "telnyx_rtc.ping", json!({}));
}

#[test]
fn two_hundred_frames_a_second_are_fine_for_ever() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    for _ in 0..2_000 {
        world.request(alice.socket, "telnyx_rtc.ping", json!({}));
        world.pass(std::time::Duration::from_millis(5));
    }
    assert!(world.closed.is_empty());
}

#[test]
fn the_oldest_of_too_many_half_open_sockets_makes_room() {
    let mut world = World::with(Config {
        max_half_open: 3,
        started_at: STARTED_AT,
        ..Config::default()
    });
    let alice = world.log_in(ALICE);
    let sockets: Vec<_> = (0..5)
        .map(|_| {
            world.pass(std::time::Duration::from_millis(1));
            world.open()
        })
        .collect();
    assert_eq!(world.closed.len(), 2);
    for socket in &sockets[..2] {
        assert_eq!(world.closed.get(socket), Some(&CloseReason::HalfOpen));
    }
    world.ask(alice.socket, "telnyx_rtc.ping", json!({}));
    world.log_in_on(sockets[2], BOB, json!({}));
    world.open();
    assert_eq!(world.closed.len(), 2);
}

#[test]
fn a_caller_with_16_calls_gets_a_bye_instead_of_an_error() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    for number in 0..16 {
        world.dial(alice, &format!("call-{number}"), BOB);
    }
    let response = world.ask(alice.socket, "telnyx_rtc.invite", invite("one more", BOB));
    assert_eq!(response["result"]["message"], "CALL CREATED");
    let bye = world.frame_of(alice.socket, "telnyx_rtc.bye");
    assert_eq!(
        (&bye["callID"], &bye["cause"]),
        (&json!("one more"), &json!("SWITCH_CONGESTION"))
    );
    world.assert_no_events();
    let leg = LegId::generate(&mut world.rng);
    world.command(offer(leg, alice.session));
    assert_eq!(
        world.event(),
        LegEvent::Hangup {
            leg,
            cause: Some(HangupCause::UserBusy)
        }
    );
    world.assert_silent(alice.socket);
}

#[test]
fn unanswered_requests_of_a_session_are_bounded() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    for name in ["a", "b"] {
        world.call_out(alice, name);
        for _ in 0..32 {
            world.request(
                alice.socket,
                "telnyx_rtc.modify",
                dialog(name, json!({"action": "hold"})),
            );
        }
        world.events.clear();
    }
    world.assert_silent(alice.socket);
    for (method, params) in [
        ("telnyx_rtc.modify", json!({"action": "hold"})),
        (
            "telnyx_rtc.modify",
            json!({"action": "updateMedia", "sdp": "v=0"}),
        ),
        ("telnyx_rtc.attach", json!({"sdp": "v=0"})),
    ] {
        let refusal = world.refused(alice.socket, method, dialog("a", params));
        assert_eq!(refusal, (-32002, "Too many unanswered requests".to_owned()));
    }
    // A bye and a ping always get through.
    assert_eq!(
        world.ask(alice.socket, "telnyx_rtc.ping", json!({}))["result"]["message"],
        "PONG"
    );
    world.request(alice.socket, "telnyx_rtc.bye", dialog("a", json!({})));
    assert_eq!(world.frames(alice.socket).len(), 33);
}

#[test]
fn a_user_has_32_sessions_and_abandoned_ones_make_room() {
    let mut world = World::new();
    let first = world.log_in(ALICE);
    for _ in 1..32 {
        world.log_in(ALICE);
    }
    let socket = world.open();
    world.request(socket, "login", json!({"login_token": "t"}));
    world.authenticated(Ok(crate::client::identity(ALICE)));
    assert_eq!(world.frame(socket)["error"]["code"], -32001);
    // Another user is not concerned.
    world.log_in(BOB);
    // One that lost its socket is forgotten for a new one, unless it carries a call.
    let leg = world.call_out(first, "a");
    world.close(first.socket);
    world.request(socket, "login", json!({"login_token": "t"}));
    world.authenticated(Ok(crate::client::identity(ALICE)));
    assert_eq!(world.frame(socket)["error"]["code"], -32001);
    world.command(ringtrip_model::LegCommand::Hangup {
        leg,
        cause: HangupCause::NormalClearing,
    });
    world.log_in_on(socket, ALICE, json!({}));
}
