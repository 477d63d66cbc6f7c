//! A frame whose handling panicked.

use ringtrip_model::{HangupCause, LegEvent};
use ringtrip_verto::CloseReason;
use serde_json::json;

use crate::client::{ALICE, BOB, World};

#[test]
fn a_fault_costs_one_socket_and_its_calls() {
    let mut world = World::new();
    let (alice, bob) = (world.log_in(ALICE), world.log_in(BOB));
    let lost = world.call_out(alice, "a");
    world.call_out(bob, "b");
    world
        .endpoint
        .remove_socket_after_panic(alice.socket, world.now);
    world.drain();
    let cause = Some(HangupCause::NormalTemporaryFailure);
    assert_eq!(world.event(), LegEvent::Hangup { leg: lost, cause });
    world.assert_no_events();
    assert_eq!(world.closed.get(&alice.socket), Some(&CloseReason::Fault));
    assert_eq!(
        world.bound.keys().copied().collect::<Vec<_>>(),
        [bob.session]
    );
    world.close(alice.socket);
    world.assert_no_events();
    world.ask(bob.socket, "telnyx_rtc.ping", json!({}));
}
