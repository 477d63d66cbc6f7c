//! Addresses, slots, panics and load of one shard.

use std::time::Instant;

use super::*;
use crate::testing::binding_request;

#[expect(
    clippy::disallowed_methods,
    reason = "the DTLS engine counts from some instant"
)]
fn shard() -> Shard {
    let config = ShardConfig {
        dtls: Arc::new(DtlsContext::generate(Instant::now()).unwrap()),
        locals: vec![address(1), address(2)],
        wall_at_zero: Timestamp::from_secs(1_790_000_000),
        max_anchors: 100,
    };
    Shard::new(config, Generator::from_seed([5; 32]))
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn open(shard: &mut Shard, slot: u32) -> (AnchorId, IceCredentials) {
    let anchor = AnchorId {
        slot,
        generation: 1,
    };
    let digit = |n: u32| char::from_digit(n, 36).unwrap();
    let ufrag = format!("00{}{}rest", digit(slot / 36), digit(slot % 36));
    let ice = IceCredentials {
        ufrag,
        pwd: format!("password {slot:015}"),
    };
    let leg = LegId::generate(&mut Generator::from_seed([slot as u8; 32]));
    shard.handle_command(
        ShardCommand::Open {
            anchor,
            leg,
            ice: ice.clone(),
            replaces: None,
        },
        Time::ZERO,
    );
    (anchor, ice)
}

/// Sends a check and returns the length of the answer.
fn check(shard: &mut Shard, ice: &IceCredentials, id: u8, from: SocketAddr) -> Option<usize> {
    let mut bytes = binding_request(ice, [id; 12], true);
    shard.handle_datagram(1, from, &mut bytes, Time::ZERO);
    let transmit = shard.poll_transmit()?;
    assert_eq!((transmit.socket, transmit.to), (1, from));
    assert!(transmit.bytes.len() <= bytes.len() + 40);
    Some(transmit.bytes.len())
}

#[test]
fn slots_are_read_from_ufrags() {
    for (ufrag, slot) in [
        ("0000x", Some(0)),
        ("00zZ", Some(35 * 36 + 35)),
        ("zzzz", Some(1_679_615)),
    ] {
        assert_eq!(slot_of(ufrag.as_bytes()), slot);
    }
    assert_eq!((slot_of(b"00"), slot_of(b"0+00")), (None, None));
}

#[test]
fn checks_are_answered_before_anything_is_known_of_the_party() {
    let mut shard = shard();
    let (_, ice) = open(&mut shard, 40);
    assert_eq!(check(&mut shard, &ice, 1, address(9)), Some(64));
    let mut other = ice.clone();
    other.ufrag.push('x');
    assert_eq!(check(&mut shard, &other, 2, address(9)), None);
    other = IceCredentials {
        ufrag: "0099rest".into(),
        ..ice
    };
    assert_eq!(check(&mut shard, &other, 3, address(9)), None);
}

#[test]
fn an_address_follows_the_anchor_that_was_checked_last() {
    let mut shard = shard();
    let (first, first_ice) = open(&mut shard, 1);
    let (_, second_ice) = open(&mut shard, 2);
    let path = Path {
        socket: 1,
        remote: address(9),
    };
    check(&mut shard, &first_ice, 1, address(9));
    assert_eq!(shard.paths.get(path), Some(1));
    check(&mut shard, &second_ice, 2, address(9));
    assert_eq!(shard.paths.get(path), Some(2));
    shard.handle_command(ShardCommand::Close { anchor: first }, Time::ZERO);
    assert_eq!(
        shard.paths.get(path),
        Some(2),
        "it is no longer the first one's to give up"
    );
}

#[test]
fn tables_are_empty_when_everything_is_closed() {
    let mut shard = shard();
    for round in 0..50_u8 {
        let anchors: Vec<_> = (0..10).map(|slot| open(&mut shard, slot)).collect();
        for (at, (_, ice)) in anchors.iter().enumerate() {
            check(&mut shard, ice, round, address(100 + at as u16));
        }
        for (anchor, _) in anchors {
            shard.handle_command(ShardCommand::Close { anchor }, Time::ZERO);
        }
    }
    assert_eq!(
        (shard.anchors(), shard.paths.len(), shard.slots.len()),
        (0, 0, 10)
    );
    assert_eq!(std::iter::from_fn(|| shard.poll_event()).count(), 500);
}

#[test]
fn a_panic_ends_one_anchor_and_no_other() {
    let mut shard = shard();
    let (broken, ice) = open(&mut shard, 1);
    let (_, healthy) = open(&mut shard, 2);
    check(&mut shard, &ice, 1, address(9));
    shard.break_on = Some(1);
    shard.handle_datagram(1, address(9), &mut [0x80; 40], Time::ZERO);
    let failed = ShardEvent::Failed {
        anchor: broken,
        failure: None,
    };
    assert_eq!(shard.poll_event(), Some(failed));
    assert_eq!(check(&mut shard, &ice, 2, address(9)), None, "it is dead");
    assert_eq!(check(&mut shard, &healthy, 3, address(9)), Some(64));
    shard.handle_command(ShardCommand::Close { anchor: broken }, Time::ZERO);
    assert!(
        matches!(shard.poll_event(), Some(ShardEvent::Closed { anchor, .. }) if anchor == broken)
    );
}

#[test]
fn a_shard_is_busy_above_five_thousand_a_second() {
    let mut shard = shard();
    for (interval, busy) in [(300, false), (150, true), (300, false)] {
        let start = shard.load.window + Duration::from_secs(1);
        for n in 0..2_000 {
            let now = start + Duration::from_micros(n * interval);
            shard.handle_datagram(0, address(1), &mut [255], now);
        }
        assert_eq!(shard.busy(), busy, "{interval}");
    }
}
