//! Nothing in a description grows without a bound.

use ringtrip_media::sdp::{
    MAX_ATTRIBUTES, MAX_BYTES, MAX_CANDIDATES, MAX_FORMATS, MAX_SECTIONS, SdpError,
    SessionDescription,
};

use crate::support::{Desk, small_offer};

fn check(text: &str, expected: Option<&str>) {
    let what = match SessionDescription::parse(text) {
        Ok(_) => None,
        Err(SdpError::TooMany { what, .. }) => Some(what),
        Err(SdpError::TooLarge { .. }) => Some("bytes"),
        Err(SdpError::NoVersion) => Some("version"),
        Err(SdpError::BadLine { what, .. }) => Some(what),
    };
    assert_eq!(what, expected);
}

#[test]
fn sections() {
    let more = "m=text 9 UDP/TLS/RTP/SAVPF 98\r\n";
    check(&(small_offer() + &more.repeat(MAX_SECTIONS - 1)), None);
    check(
        &(small_offer() + &more.repeat(MAX_SECTIONS)),
        Some("m= sections"),
    );
}

#[test]
fn candidates_of_all_sections_and_kinds_together() {
    let section = "m=text 9 UDP/TLS/RTP/SAVPF 98\r\n";
    let half = "a=candidate:1 1 tcp 1 a.local 9 typ host\r\n".repeat(MAX_CANDIDATES / 2);
    let full = small_offer() + &half + section + &half;
    check(&full, None);
    check(&(full + "a=candidate:\r\n"), Some("candidates"));
}

#[test]
fn attributes_of_a_section() {
    let have = small_offer().matches("\r\na=").count() - 1;
    let more = "a=x\r\n".repeat(MAX_ATTRIBUTES - have);
    check(&(small_offer() + &more), None);
    check(&(small_offer() + &more + "a=x\r\n"), Some("attributes"));
    check(&(small_offer() + &more + "m=text 9 X 98\r\na=x\r\n"), None);
}

#[test]
fn formats_of_a_section() {
    let section = |count: usize| format!("v=0\r\nm=text 9 X{}\r\n", " 1".repeat(count));
    check(&section(MAX_FORMATS), None);
    check(&section(MAX_FORMATS + 1), Some("formats"));
}

#[test]
fn bytes() {
    let text = small_offer();
    let filled = |size: usize| format!("{text}a={}", "x".repeat(size - text.len() - 2));
    check(&filled(MAX_BYTES), None);
    check(&filled(MAX_BYTES + 1), Some("bytes"));
}

#[test]
fn a_refused_offer_leaves_no_leg_behind() {
    let mut desk = Desk::new(1, 4);
    for text in ["nonsense".to_owned(), "v=0\r\n".repeat(20_000)] {
        assert_eq!(desk.read('a', &text), ["a: refused BadDescription"]);
    }
    assert_eq!((desk.control.legs(), desk.control.anchors()), (0, 0));
}

#[test]
fn a_full_shard_refuses_new_legs_and_anchors() {
    let mut desk = Desk::new(1, 2);
    desk.call();
    assert_eq!(desk.read('c', &small_offer()), ["c: refused Full"]);
    assert_eq!(desk.offer('d', 'a'), ["d: refused Full"]);
    // A re-attach needs a slot, too.
    assert_eq!(desk.offer('a', 'b'), ["a: refused Full"]);
    desk.close('a');
    assert_eq!(desk.closed(1, 0, 3), ["a: closed 3"]);
    assert_eq!(desk.offer('b', 'b'), ["0> open 1.1 for 0.0", "b: offer"]);
}

#[test]
fn new_calls_go_to_the_emptiest_shard_and_their_legs_stay_together() {
    let mut desk = Desk::new(2, 8);
    desk.read('a', &small_offer());
    assert_eq!(desk.offer('b', 'a')[0], "0> open 0.0");
    assert_eq!(desk.offer('c', 'a')[0], "0> open 1.0");
    desk.read('d', &small_offer());
    assert_eq!(desk.offer('e', 'd')[0], "1> open 0.0");
    assert!(desk.sdp.contains(" 127.0.0.1 3479 typ host"));
}
