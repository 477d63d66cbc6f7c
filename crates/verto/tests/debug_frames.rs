//! Debug reports and the speed test.

use serde_json::json;

use crate::client::{ALICE, World};

#[test]
fn frames_without_a_method_are_answered_with_an_empty_result() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    for kind in [
        "debug_report_start",
        "debug_report_data",
        "debug_report_stop",
    ] {
        let data = json!({"samples": "x".repeat(900_000)});
        let frame = json!({"jsonrpc": "2.0", "id": kind, "type": kind, "debug_report_id": "d",
            "debug_report_version": 1, "call_id": "a", "debug_report_data": data});
        world.send(alice.socket, &frame);
        let response = world.frame(alice.socket);
        assert_eq!(
            (&response["id"], &response["result"]),
            (&json!(kind), &json!({}))
        );
    }
    assert!(world.closed.is_empty());
}

#[test]
fn a_debug_report_of_a_guest_does_not_ask_for_a_login() {
    let mut world = World::new();
    let socket = world.open();
    world.send(
        socket,
        &json!({"jsonrpc": "2.0", "id": "d", "type": "debug_report_start"}),
    );
    assert_eq!(world.frame(socket)["result"], json!({}));
}

#[test]
fn neither_method_nor_type_is_a_missing_method() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    world.send(alice.socket, &json!({"jsonrpc": "2.0", "id": 5}));
    assert_eq!(world.frame(alice.socket)["error"]["code"], -32601);
}

#[test]
fn the_speed_test_neither_closes_nor_answers() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    world.send_text(alice.socket, "#SPU 2097152");
    for _ in 0..2_048 {
        world.send_text(alice.socket, &format!("#SPB {}", ".".repeat(1_019)));
    }
    world.send_text(alice.socket, "#SPE");
    world.assert_silent(alice.socket);
    assert!(world.closed.is_empty());
}
