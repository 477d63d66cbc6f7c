//! Every leg is closed once, and nothing follows.

use ringtrip_media::CLOSE_TIMEOUT;
use ringtrip_media::plan::ShardEvent;

use crate::support::{Desk, OPUS, anchor, leg, small_answer, small_offer};

#[test]
fn legs_without_an_anchor_close_at_once() {
    let mut desk = Desk::new(1, 4);
    assert_eq!(desk.close('x'), ["x: closed"]);
    desk.read('a', &small_offer());
    assert_eq!(desk.close('a'), ["a: closed"]);
    assert_eq!(
        (desk.control.legs(), desk.control.poll_timeout()),
        (0, None)
    );
}

#[test]
fn the_last_anchor_brings_the_last_word() {
    let mut desk = Desk::new(1, 8);
    desk.call();
    desk.offer('a', 'b');
    desk.apply('a', &small_answer());
    assert_eq!(desk.close('a'), ["0> close 2.0", "0> close 1.0"]);
    assert!(desk.closed(2, 0, 1).is_empty());
    assert_eq!(desk.closed(1, 0, 20), ["a: closed 21"]);
    assert!(desk.closed(1, 0, 20).is_empty());
    assert_eq!((desk.control.legs(), desk.control.anchors()), (1, 1));
    assert_eq!(desk.control.poll_timeout(), None);
}

#[test]
fn an_anchor_that_took_over_meanwhile_is_the_only_one_left() {
    let mut desk = Desk::new(1, 8);
    desk.call();
    desk.offer('a', 'b');
    desk.apply('a', &small_answer());
    desk.close('a');
    assert!(desk.connected(2, 0).is_empty());
    assert_eq!(desk.closed(2, 0, 6), ["a: closed 6"]);
    assert_eq!(desk.control.anchors(), 1);
}

#[test]
fn a_closing_leg_answers_nothing_more() {
    let mut desk = Desk::new(1, 4);
    desk.call();
    desk.close('a');
    assert!(desk.read('a', &small_offer()).is_empty());
    assert!(desk.answer('a', OPUS).is_empty());
    assert!(desk.offer('a', 'b').is_empty());
    assert!(desk.apply('a', &small_answer()).is_empty());
    assert!(desk.restart('a', &small_offer()).is_empty());
    assert!(desk.hold('a', true).is_empty());
    assert!(desk.digit('a', '1').is_empty());
    assert!(desk.close('a').is_empty());
    for event in [
        ShardEvent::Connected {
            anchor: anchor(1, 0),
        },
        ShardEvent::Stalled {
            anchor: anchor(1, 0),
        },
        ShardEvent::Resumed {
            anchor: anchor(1, 0),
        },
        ShardEvent::Failed {
            anchor: anchor(1, 0),
            failure: None,
        },
    ] {
        assert!(desk.shard(event).is_empty());
    }
    assert_eq!(desk.closed(1, 0, 1), ["a: closed 1"]);
}

#[test]
fn a_shard_that_does_not_answer_holds_up_no_leg_but_its_slot_is_not_given_away() {
    let mut desk = Desk::new(1, 3);
    desk.call();
    desk.close('a');
    assert_eq!(desk.control.poll_timeout(), Some(desk.now + CLOSE_TIMEOUT));
    desk.now += CLOSE_TIMEOUT;
    desk.control.handle_timeout(desk.now);
    assert_eq!(desk.drain(), ["a: closed"]);
    assert_eq!((desk.control.legs(), desk.control.anchors()), (1, 2));
    assert_eq!(desk.offer('c', 'b')[0], "0> open 2.0");
    assert!(desk.closed(1, 0, 1).is_empty());
    desk.close('c');
    desk.closed(2, 0, 0);
    assert_eq!(desk.offer('d', 'b')[0], "0> open 2.1");
    assert_eq!(desk.control.anchors(), 2);
}

#[test]
fn an_abandoned_leg_closes_without_a_word() {
    let mut desk = Desk::new(1, 4);
    desk.call();
    desk.control.abandon(leg('a'), desk.now);
    assert_eq!(desk.drain(), ["0> close 1.0"]);
    assert!(desk.closed(1, 0, 1).is_empty());
    desk.close('b');
    desk.control.abandon(leg('b'), desk.now);
    desk.control.abandon(leg('x'), desk.now);
    assert!(desk.closed(0, 0, 1).is_empty());
    assert!(desk.drain().is_empty());
    assert_eq!((desk.control.legs(), desk.control.anchors()), (0, 0));
}

#[test]
fn events_of_former_and_foreign_anchors_are_passed_over() {
    let mut desk = Desk::new(1, 4);
    desk.call();
    for (slot, generation) in [(0, 1), (1, 7), (2, 0), (u32::MAX, 0)] {
        assert!(desk.connected(slot, generation).is_empty());
        assert!(desk.closed(slot, generation, 1).is_empty());
    }
    desk.control.handle_shard(
        9,
        ShardEvent::Connected {
            anchor: anchor(0, 0),
        },
        desk.now,
    );
    assert!(desk.drain().is_empty());
}
