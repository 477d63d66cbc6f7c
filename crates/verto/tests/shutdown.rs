//! A node that goes down.

use ringtrip_model::{HangupCause, LegEvent};
use ringtrip_verto::CloseReason;
use serde_json::json;

use crate::client::{ALICE, BOB, World};

#[test]
fn calls_end_with_a_bye_and_sockets_close_without_a_punt() {
    let mut world = World::new();
    let (alice, away, guest) = (world.log_in(ALICE), world.log_in(BOB), world.open());
    let here = world.call_out(alice, "here");
    let there = world.call_out(away, "there");
    world.close(away.socket);
    assert_eq!(world.event(), LegEvent::Lost { leg: there });
    world.endpoint.handle_shutdown(world.now);
    world.drain();
    assert_eq!(
        world.frame_of(alice.socket, "telnyx_rtc.bye")["causeCode"],
        41
    );
    world.assert_silent(alice.socket);
    let mut ended: Vec<_> = world.events.drain(..).collect();
    ended.sort_by_key(LegEvent::leg);
    let cause = Some(HangupCause::NormalTemporaryFailure);
    let mut expected = [here, there].map(|leg| LegEvent::Hangup { leg, cause });
    expected.sort_by_key(LegEvent::leg);
    assert_eq!(ended, expected);
    for socket in [alice.socket, guest] {
        assert_eq!(world.closed.get(&socket), Some(&CloseReason::Shutdown));
    }
    assert!(world.bound.is_empty());
    assert_eq!(world.endpoint.poll_timeout(), None);

    let late = world.open();
    assert_eq!(world.closed.get(&late), Some(&CloseReason::Shutdown));
    world.send(
        late,
        &json!({"id": 1, "method": "login", "params": {"login_token": "t"}}),
    );
    assert!(world.logins.is_empty());
}
