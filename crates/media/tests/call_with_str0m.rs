//! Two str0m peers, each connected to an anchor, hear each other.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on fails, and looks for one event among many"
)]

mod support;

use std::time::Duration;

use ringtrip_media::plan::{DtlsRole, ShardEvent};
use ringtrip_model::AudioCodec;
use str0m::rtp::RawPacket;
use str0m::rtp::rtcp::Rtcp;
use support::{FRAME, Setup, World, assert_continuous, local_audio};

#[test]
fn both_hear_each_other_in_every_codec_and_role() {
    for codec in AudioCodec::ALL {
        for role in [DtlsRole::Server, DtlsRole::Client] {
            let setup = Setup {
                role,
                ..Setup::audio(codec)
            };
            let mut world = World::call(1, setup.clone(), setup.clone());
            world.talk(&[0, 1], 50);
            world.run_for(FRAME);
            for (listener, speaker) in [(0, 1), (1, 0)] {
                let heard = world.heard_from(listener, speaker);
                assert_eq!(heard.len(), 50, "{codec:?} {role:?}");
                assert!(
                    heard
                        .iter()
                        .zip(0_u32..)
                        .all(|(h, n)| h.payload[1..5] == n.to_be_bytes())
                );
                assert_eq!(heard[0].payload_type, setup.audio_payload_type());
                assert_eq!(heard[0].ssrc, local_audio(listener as u32));
                assert!(heard[0].marker && !heard[1].marker);
                assert_eq!(heard[0].level, Some(-30));
                let millis = Duration::from_millis(1);
                assert_continuous(
                    &world.browsers[listener].heard,
                    codec.clock_rate_hz(),
                    millis,
                );
            }
        }
    }
}

#[test]
fn connects_quickly_without_loss() {
    let mut world = World::new(2);
    let browser = world.join(Setup::default());
    world.run_for(Duration::from_secs(1));
    assert!(world.is_connected(browser));
    // One round trip for ICE and two for DTLS, 10 ms each, and the peer's pacing of its checks.
    let took = world.browsers[browser].connected_at.unwrap().as_micros() - 1_000_000;
    assert!(took < 150_000, "{took} us");
}

#[test]
fn a_handshake_that_comes_before_the_description_waits() {
    let mut world = World::new(3);
    let browser = world.open(Setup::default(), None);
    world.run_for(Duration::from_millis(300));
    assert!(world.events.is_empty());
    let described = world.now;
    world.describe(browser);
    world.run_for(Duration::from_millis(100));
    assert!(world.is_connected(browser));
    let connected = world.browsers[browser].connected_at.unwrap();
    assert!(
        connected.since(described) < Duration::from_millis(40),
        "no repeat was waited for"
    );
}

#[test]
fn handshakes_survive_loss() {
    let mut connected = 0;
    for seed in 0..10 {
        let mut world = World::new(seed);
        world.loss = 10;
        world.duplicates = 5;
        world.jitter = Duration::from_millis(30);
        let a = world.join(Setup::default());
        let b = world.join(Setup {
            role: DtlsRole::Client,
            ..Setup::default()
        });
        world.run_for(Duration::from_secs(20));
        connected += [a, b]
            .into_iter()
            .filter(|index| world.is_connected(*index))
            .count();
    }
    // The peer draws randomness of its own and gives up after four repeats.
    assert!(connected >= 19, "{connected} of 20");
}

#[test]
fn what_was_measured_is_told_at_the_end() {
    let mut world = World::call(4, Setup::default(), Setup::default());
    world.talk(&[0, 1], 100);
    // Some of what the first browser says is lost on its way to us.
    for n in 0..100 {
        world.loss = if n % 10 == 0 { 100 } else { 0 };
        world.talk(&[0], 1);
    }
    world.loss = 0;
    world.talk(&[0, 1], 500);
    let (first, second) = (world.close(0), world.close(1));
    assert_eq!(first.packets_sent, 600);
    assert_eq!(first.packets_received, 690);
    assert_eq!(first.packets_lost, 10);
    assert_eq!(second.packets_sent, 690);
    assert_eq!(second.packets_lost, 0);
    assert_eq!(
        second.packets_lost_remote, 10,
        "the far side sees the same gaps"
    );
    assert_eq!(first.bytes_received, 690 * 65);
    let trip = second.round_trip_us.unwrap();
    assert!((9_000..=12_000).contains(&trip), "{trip} us");
    assert!(first.jitter_us < 1_000);
}

#[test]
fn reports_are_sent_and_held_to_their_pace() {
    let mut world = World::call(5, Setup::default(), Setup::default());
    world.talk(&[0, 1], 1_500);
    let reports = world.browsers[0]
        .rtcp
        .iter()
        .filter(|(_, rtcp)| matches!(rtcp, RawPacket::RtcpRx(Rtcp::SenderReport(_))))
        .count();
    // Thirty seconds at about five seconds each.
    assert!((4..=13).contains(&reports), "{reports}");
    assert!(!world.told(|event| matches!(event, ShardEvent::Stalled { .. })));
}

#[test]
fn only_negotiated_payload_types_pass() {
    let b = Setup {
        event_clock_hz: None,
        ..Setup::default()
    };
    let mut world = World::call(6, Setup::default(), b);
    world.talk(&[0], 3);
    // Keys towards a party that did not negotiate them.
    for _ in 0..3 {
        world.write_audio(0, support::EVENTS, 1, &[5, 10, 0, 160], false);
        world.run_for(FRAME);
    }
    world.talk(&[0], 3);
    assert_eq!(world.browsers[1].heard.len(), 6);
    assert_continuous(&world.browsers[1].heard, 48_000, Duration::from_millis(1));
}

#[test]
fn parties_with_different_codecs_hear_nothing() {
    let mut world = World::call(
        7,
        Setup::audio(AudioCodec::Pcmu),
        Setup::audio(AudioCodec::Pcma),
    );
    world.talk(&[0, 1], 5);
    assert!(
        world
            .browsers
            .iter()
            .all(|browser| browser.heard.is_empty())
    );
}

#[test]
fn loss_and_reordering_show_as_they_are() {
    let mut world = World::call(8, Setup::default(), Setup::default());
    world.talk(&[0, 1], 10);
    world.jitter = Duration::from_millis(60);
    world.loss = 10;
    world.duplicates = 5;
    world.talk(&[0, 1], 500);
    world.loss = 0;
    world.duplicates = 0;
    world.jitter = Duration::ZERO;
    world.run_for(Duration::from_millis(200));
    world.talk(&[0, 1], 10);
    let heard = world.heard_from(1, 0);
    let first = heard.iter().map(|h| h.sequence).next().unwrap();
    let number = |h: &&support::Heard| u32::from_be_bytes(h.payload[1..5].try_into().unwrap());
    // About 81 % arrive; each at the place its number says, none twice.
    assert!(heard.len() > 350, "{}", heard.len());
    let mut places: Vec<u16> = heard
        .iter()
        .map(|h| h.sequence.wrapping_sub(first))
        .collect();
    let in_call = |n: &&&support::Heard| n.at > heard[9].at;
    for h in heard.iter().skip(10).take_while(in_call).take(300) {
        assert_eq!(u32::from(h.sequence.wrapping_sub(first)), number(h) + 10);
    }
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), heard.len());
}
