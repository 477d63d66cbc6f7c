//! Bridge, hold and keys are spoken of by leg and carried out by anchor.

use ringtrip_media::plan::ShardEvent;
use ringtrip_model::Digit;

use crate::support::{Desk, OPUS, anchor, small_answer, small_offer};

#[test]
fn a_bridge_waits_for_both_anchors() {
    let mut desk = Desk::new(1, 8);
    desk.read('a', &small_offer());
    desk.offer('b', 'a');
    desk.apply('b', &small_answer());
    assert!(desk.bridge('a', 'b').is_empty());
    assert_eq!(
        desk.answer('a', OPUS),
        [
            "0> open 1.0",
            "0> remote 1.0",
            "0> bridge 1.0 0.0",
            "a: answer"
        ]
    );
}

#[test]
fn a_hold_waits_for_its_anchor() {
    let mut desk = Desk::new(1, 8);
    desk.read('a', &small_offer());
    assert!(desk.hold('a', true).is_empty());
    assert_eq!(desk.answer('a', OPUS)[2], "0> hold 0.0 true");
    assert_eq!(desk.hold('a', false), ["0> hold 0.0 false"]);
}

#[test]
fn a_new_partner_takes_the_place_of_the_old() {
    let mut desk = Desk::new(1, 8);
    desk.call();
    desk.offer('c', 'a');
    desk.apply('c', &small_answer());
    assert_eq!(desk.bridge('a', 'c'), ["0> bridge 1.0 2.0"]);
    // The former partner is on its own: its replacement joins nobody.
    desk.offer('b', 'a');
    desk.apply('b', &small_answer());
    assert_eq!(desk.connected(3, 0), ["0> hold 3.0 false", "b: connected"]);
}

#[test]
fn a_closed_leg_is_nobody_s_partner() {
    let mut desk = Desk::new(1, 8);
    desk.call();
    desk.close('b');
    desk.offer('a', 'a');
    desk.apply('a', &small_answer());
    assert_eq!(desk.connected(2, 0), ["0> hold 2.0 false", "a: connected"]);
    assert!(desk.bridge('a', 'b').is_empty());
    assert!(desk.bridge('a', 'a').is_empty());
    assert!(desk.bridge('a', 'x').is_empty());
}

#[test]
fn keys_go_both_ways() {
    let mut desk = Desk::new(1, 8);
    desk.call();
    assert_eq!(desk.digit('b', '#'), ["0> digit 0.0 #"]);
    assert!(desk.digit('x', '#').is_empty());
    let digit = Digit::from_char('7').unwrap();
    let event = ShardEvent::Digit {
        anchor: anchor(1, 0),
        digit,
    };
    assert_eq!(desk.shard(event.clone()), ["a: digit 7"]);
    desk.close('a');
    assert!(desk.shard(event).is_empty());
}
