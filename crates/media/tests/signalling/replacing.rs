//! Re-attach: a leg gets a new anchor while the old one goes on.

use std::time::Duration;

use ringtrip_media::REPLACEMENT_TIMEOUT;
use ringtrip_media::plan::ShardEvent;
use ringtrip_model::{LegQuality, MediaFailure};

use crate::support::{Desk, anchor, parsed, small_answer, small_offer};

/// The page was loaded anew: another certificate, other credentials.
fn other_answer() -> String {
    small_answer()
        .replace("CD:CD", "EE:CD")
        .replace("a=ice-ufrag:abcd", "a=ice-ufrag:efgh")
}

fn failed(slot: u32, generation: u32) -> ShardEvent {
    ShardEvent::Failed {
        anchor: anchor(slot, generation),
        failure: None,
    }
}

#[test]
fn the_new_anchor_takes_over_when_it_is_connected() {
    let mut desk = Desk::new(1, 8);
    desk.call();
    assert_eq!(desk.offer('a', 'b'), ["0> open 2.0 for 1.0", "a: offer"]);
    assert_eq!(desk.digit('a', '5'), ["0> digit 1.0 5"]);
    assert_eq!(
        desk.apply('a', &other_answer()),
        ["0> remote 2.0", "a: applied Opus"]
    );
    assert_eq!(desk.digit('a', '6'), ["0> digit 1.0 6"]);
    assert_eq!(
        desk.connected(2, 0),
        ["0> hold 2.0 false", "0> bridge 2.0 0.0", "a: connected"]
    );
    assert_eq!(desk.digit('a', '7'), ["0> digit 2.0 7"]);
    assert_eq!(desk.control.anchors(), 2);
    assert_eq!(desk.close('a'), ["0> close 2.0"]);
    assert_eq!(desk.closed(2, 0, 9), ["a: closed 9"]);
    assert_eq!(desk.control.anchors(), 1);
}

#[test]
fn the_latest_attempt_wins() {
    let mut desk = Desk::new(1, 8);
    desk.call();
    desk.offer('a', 'b');
    desk.apply('a', &other_answer());
    assert_eq!(
        desk.offer('a', 'b'),
        ["0> close 2.0", "0> open 3.0 for 1.0", "a: offer"]
    );
    assert!(desk.closed(2, 0, 1).is_empty());
    desk.apply('a', &other_answer());
    assert_eq!(desk.connected(3, 0).last().unwrap(), "a: connected");
    desk.close('a');
    assert_eq!(desk.closed(3, 0, 4), ["a: closed 5"]);
}

#[test]
fn an_older_attempt_that_connects_while_it_is_closed_takes_the_former_main_along() {
    let mut desk = Desk::new(1, 8);
    desk.call();
    desk.hold('a', true);
    desk.offer('a', 'b');
    desk.apply('a', &other_answer());
    desk.offer('a', 'b');
    // 2.0 replaced 1.0 before it heard that it shall close; 3.0 has nothing to take over.
    assert_eq!(
        desk.connected(2, 0),
        ["0> hold 3.0 true", "0> bridge 3.0 0.0"]
    );
    assert!(desk.closed(2, 0, 5).is_empty());
    desk.apply('a', &other_answer());
    assert_eq!(desk.connected(3, 0), ["a: connected"]);
    assert_eq!(desk.close('a'), ["0> close 3.0"]);
    assert_eq!(desk.closed(3, 0, 2), ["a: closed 7"]);
}

#[test]
fn both_sides_may_be_replaced_at_once() {
    let mut desk = Desk::new(1, 8);
    desk.call();
    desk.offer('a', 'b');
    desk.offer('b', 'a');
    desk.apply('a', &other_answer());
    desk.apply('b', &other_answer());
    assert_eq!(
        desk.connected(2, 0),
        ["0> hold 2.0 false", "0> bridge 2.0 0.0", "a: connected"]
    );
    assert_eq!(
        desk.connected(3, 0),
        ["0> hold 3.0 false", "0> bridge 3.0 2.0", "b: connected"]
    );
}

#[test]
fn hold_and_bridge_that_come_too_late_for_the_former_anchor_are_said_again() {
    let mut desk = Desk::new(1, 8);
    desk.read('a', &small_offer());
    desk.offer('b', 'a');
    desk.apply('b', &small_answer());
    desk.connected(0, 0);
    desk.offer('b', 'a');
    desk.apply('b', &other_answer());
    desk.answer('a', crate::support::OPUS);
    assert_eq!(desk.bridge('a', 'b'), ["0> bridge 2.0 0.0"]);
    assert_eq!(desk.hold('b', true), ["0> hold 0.0 true"]);
    assert_eq!(
        desk.connected(1, 0),
        ["0> hold 1.0 true", "0> bridge 1.0 2.0", "b: connected"]
    );
}

#[test]
fn a_dead_path_is_no_loss_while_its_replacement_is_on_the_way() {
    let mut desk = Desk::new(1, 8);
    desk.call();
    desk.offer('a', 'b');
    desk.apply('a', &other_answer());
    assert_eq!(
        desk.shard(failed(1, 0)),
        ["0> close 1.0", "0> hold 2.0 false", "0> bridge 2.0 0.0"]
    );
    assert!(desk.closed(1, 0, 1).is_empty());
    assert_eq!(desk.control.poll_timeout(), None);
    assert_eq!(desk.connected(2, 0), ["a: connected"]);
}

#[test]
fn a_path_that_died_after_its_replacement_connected_is_not_waited_for() {
    let mut desk = Desk::new(1, 8);
    desk.call();
    desk.offer('a', 'b');
    desk.apply('a', &other_answer());
    // The shard said both before it heard that 1.0 shall close.
    desk.shard(failed(1, 0));
    assert_eq!(desk.connected(2, 0), ["a: connected"]);
    desk.close('a');
    assert_eq!(desk.closed(2, 0, 1), ["a: closed 1"]);
    assert_eq!(desk.control.anchors(), 1);
}

#[test]
fn an_offer_that_is_never_answered_does_not_keep_a_dead_leg() {
    let mut desk = Desk::new(1, 8);
    desk.call();
    desk.offer('a', 'b');
    desk.shard(failed(1, 0));
    assert_eq!(
        desk.control.poll_timeout(),
        Some(desk.now + REPLACEMENT_TIMEOUT)
    );
    desk.now += REPLACEMENT_TIMEOUT - Duration::from_micros(1);
    desk.control.handle_timeout(desk.now);
    assert!(desk.drain().is_empty());
    desk.now += Duration::from_micros(1);
    desk.control.handle_timeout(desk.now);
    assert_eq!(desk.drain(), ["a: failed None"]);
    assert_eq!(desk.control.poll_timeout(), None);
}

#[test]
fn an_answer_in_time_keeps_the_leg() {
    let mut desk = Desk::new(1, 8);
    desk.call();
    desk.offer('a', 'b');
    desk.shard(failed(1, 0));
    desk.apply('a', &other_answer());
    assert_eq!(desk.control.poll_timeout(), None);
    // From here on the new anchor's own silence counts.
    assert_eq!(desk.shard(failed(2, 0)), ["a: failed None"]);
}

#[test]
fn a_replacement_that_fails_is_no_loss() {
    let mut desk = Desk::new(1, 8);
    desk.call();
    desk.offer('a', 'b');
    desk.apply('a', &other_answer());
    assert_eq!(desk.shard(failed(2, 0)), ["0> close 2.0"]);
    desk.closed(2, 0, 0);
    assert_eq!(desk.digit('a', '1'), ["0> digit 1.0 1"]);
    assert_eq!(desk.shard(failed(1, 0)), ["a: failed None"]);
}

#[test]
fn a_wrong_certificate_ends_the_leg_whichever_anchor_met_it() {
    let mut desk = Desk::new(1, 8);
    desk.call();
    desk.offer('a', 'b');
    let failure = Some(MediaFailure::FingerprintMismatch);
    for slot in [1, 2] {
        let event = ShardEvent::Failed {
            anchor: anchor(slot, 0),
            failure,
        };
        assert_eq!(desk.shard(event), ["a: failed Some(FingerprintMismatch)"]);
    }
}

#[test]
fn only_the_main_anchor_stalls_the_leg_and_a_new_one_ends_the_stall() {
    let mut desk = Desk::new(1, 8);
    desk.call();
    let stalled = |slot| ShardEvent::Stalled {
        anchor: anchor(slot, 0),
    };
    let resumed = |slot| ShardEvent::Resumed {
        anchor: anchor(slot, 0),
    };
    desk.offer('a', 'b');
    assert!(desk.shard(stalled(2)).is_empty());
    assert!(desk.shard(resumed(1)).is_empty());
    assert_eq!(desk.shard(stalled(1)), ["a: stalled"]);
    assert!(desk.shard(stalled(1)).is_empty());
    assert_eq!(desk.shard(resumed(1)), ["a: resumed"]);
    desk.shard(stalled(1));
    desk.apply('a', &other_answer());
    assert_eq!(
        desk.connected(2, 0),
        [
            "a: resumed",
            "0> hold 2.0 false",
            "0> bridge 2.0 0.0",
            "a: connected"
        ]
    );
}

#[test]
fn the_old_path_may_still_be_restarted_meanwhile() {
    let mut desk = Desk::new(1, 8);
    desk.call();
    desk.offer('a', 'b');
    desk.apply('a', &other_answer());
    let old = small_offer().replace("a=ice-ufrag:abcd", "a=ice-ufrag:oldx");
    assert_eq!(
        desk.restart('a', &old),
        ["0> restart 1.0 oldx", "a: restart answer"]
    );
    let new = other_answer()
        .replace("active", "actpass")
        .replace("efgh", "newx");
    assert_eq!(
        desk.restart('a', &new),
        ["0> restart 2.0 newx", "a: restart answer"]
    );
    assert!(
        parsed(&desk.sdp).sections[0]
            .ufrag
            .as_ref()
            .unwrap()
            .starts_with("0002")
    );
}

#[test]
fn an_anchor_that_its_shard_gives_up_fails_the_leg_which_may_be_offered_anew() {
    let mut desk = Desk::new(1, 8);
    desk.call();
    let gone = |slot| ShardEvent::Closed {
        anchor: anchor(slot, 0),
        quality: LegQuality::default(),
    };
    assert_eq!(desk.shard(gone(1)), ["a: failed None"]);
    assert_eq!(
        desk.offer('a', 'b'),
        ["0> open 1.1", "0> bridge 1.1 0.0", "a: offer"]
    );
    assert_eq!(desk.shard(gone(0)), ["b: failed None"]);
    assert_eq!(desk.close('b'), ["b: closed 0"]);
}

#[test]
fn attempts_that_are_still_closing_are_bounded() {
    let mut desk = Desk::new(1, 100);
    desk.call();
    let mut refused = 0;
    for _ in 0..20 {
        refused += usize::from(desk.offer('a', 'b') == ["a: refused Full"]);
    }
    assert_eq!((refused, desk.control.anchors()), (11, 11));
    desk.closed(2, 0, 0);
    assert_eq!(desk.offer('a', 'b').last().unwrap(), "a: offer");
}
