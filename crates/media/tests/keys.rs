//! Keys as RFC 4733 events, sent, heard and relayed, in both clocks.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on fails, and looks for one event among many"
)]

mod support;

use std::time::Duration;

use ringtrip_media::plan::{ShardCommand, ShardEvent};
use ringtrip_model::{AudioCodec, Digit};
use support::{EVENTS, FRAME, Heard, Setup, World};

fn press(world: &mut World, index: usize, keys: &str) {
    let anchor = world.browsers[index].anchor;
    for key in keys.chars() {
        let digit = Digit::from_char(key).unwrap();
        world.command(ShardCommand::SendDigit { anchor, digit });
    }
}

fn digits(world: &World) -> String {
    world
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            ShardEvent::Digit { digit, .. } => Some(digit.as_char()),
            _ => None,
        })
        .collect()
}

fn events(heard: &[Heard]) -> Vec<&Heard> {
    heard
        .iter()
        .filter(|heard| heard.payload_type == EVENTS)
        .collect()
}

#[test]
fn queued_keys_go_out_in_both_clocks() {
    for (codec, clock) in [(AudioCodec::Opus, 48_000_u16), (AudioCodec::Pcmu, 8_000)] {
        let mut world = World::call(1, Setup::audio(codec), Setup::audio(codec));
        world.talk(&[0, 1], 10);
        press(&mut world, 1, "1#");
        world.talk(&[0, 1], 30);
        let heard = &world.browsers[1].heard;
        let sent = events(heard);
        assert_eq!(sent.len(), 14);
        for (key, code) in [1, 11].into_iter().enumerate() {
            let event = &sent[key * 7..key * 7 + 7];
            assert!(event.iter().all(|packet| packet.payload[0] == code));
            assert!(
                event
                    .iter()
                    .all(|packet| packet.timestamp == event[0].timestamp)
            );
            assert_eq!(event.iter().filter(|packet| packet.marker).count(), 1);
            assert!(event[0].marker);
            let durations: Vec<u16> = event
                .iter()
                .map(|packet| u16::from_be_bytes([packet.payload[2], packet.payload[3]]))
                .collect();
            let ms = [20, 40, 60, 80, 100, 100, 100].map(|ms: u32| ms * u32::from(clock) / 1_000);
            assert_eq!(durations, ms.map(|ticks| ticks as u16));
            let ends: Vec<bool> = event
                .iter()
                .map(|packet| packet.payload[1] & 0x80 != 0)
                .collect();
            assert_eq!(ends, [false, false, false, false, true, true, true]);
        }
        // One numbering for keys and sound, and no sound within a key.
        for pair in heard.windows(2) {
            assert_eq!(pair[1].sequence.wrapping_sub(pair[0].sequence), 1);
            assert!(
                pair[1]
                    .timestamp
                    .wrapping_sub(pair[0].timestamp)
                    .cast_signed()
                    >= 0
            );
        }
        let (first, last) = (sent[0].at, sent[6].at);
        assert!(
            !heard
                .iter()
                .any(|h| h.payload_type != EVENTS && h.at > first && h.at < last)
        );
        assert!(
            heard.last().unwrap().payload_type != EVENTS,
            "sound is back"
        );
        // The other side hears no keys, and nobody is told of one.
        assert!(events(&world.browsers[0].heard).is_empty());
        assert_eq!(digits(&world), "");
    }
}

#[test]
fn keys_wait_their_turn_and_the_queue_is_bounded() {
    let mut world = World::call(2, Setup::default(), Setup::default());
    press(&mut world, 0, &"5".repeat(100));
    world.run_for(Duration::from_secs(30));
    let starts = events(&world.browsers[0].heard)
        .iter()
        .filter(|h| h.marker)
        .count();
    // One was being sent when the queue of 32 filled, or none was.
    assert!((32..=33).contains(&starts), "{starts}");
}

#[test]
fn keys_are_not_sent_to_a_party_without_them() {
    let b = Setup {
        event_clock_hz: None,
        ..Setup::default()
    };
    let mut world = World::call(3, Setup::default(), b);
    press(&mut world, 1, "1");
    world.talk(&[0, 1], 20);
    world.run_for(FRAME);
    assert_eq!(world.browsers[1].heard.len(), 20);
}

/// A browser plays a key as RFC 4733 wants it.
fn play(world: &mut World, index: usize, code: u8, clock: u32) {
    let timestamp = (world.now.as_micros() * u64::from(clock) / 1_000_000) as u32;
    for n in 1..=7_u32 {
        let ms = (n * 20).min(100);
        let end = if n > 4 { 0x80 } else { 0 };
        let duration = (ms * clock / 1_000) as u16;
        let [high, low] = duration.to_be_bytes();
        world.write_audio(
            index,
            EVENTS,
            timestamp,
            &[code, end | 10, high, low],
            n == 1,
        );
        world.run_for(FRAME);
    }
}

#[test]
fn a_partys_keys_are_told_once_and_relayed() {
    let mut world = World::call(4, Setup::default(), Setup::default());
    world.talk(&[0, 1], 5);
    play(&mut world, 0, 7, 48_000);
    world.talk(&[0, 1], 2);
    play(&mut world, 0, 7, 48_000);
    play(&mut world, 0, 10, 48_000);
    world.talk(&[0, 1], 5);
    world.run_for(FRAME);
    assert_eq!(digits(&world), "77*");
    let heard = &world.browsers[1].heard;
    let relayed = events(heard);
    assert_eq!(relayed.len(), 21);
    assert_eq!(relayed[6].payload, [7, 0x8A, 0x12, 0xC0]);
    assert!(relayed[0].marker && !relayed[1].marker);
    assert!(
        heard
            .windows(2)
            .all(|pair| pair[1].sequence.wrapping_sub(pair[0].sequence) == 1)
    );
}

#[test]
fn durations_are_rescaled_between_clocks() {
    let narrow = Setup {
        event_clock_hz: Some(8_000),
        ..Setup::default()
    };
    for (a, b, clock, durations) in [
        (
            narrow.clone(),
            Setup::default(),
            8_000,
            [960, 1_920, 2_880, 3_840, 4_800, 4_800, 4_800],
        ),
        (
            Setup::default(),
            narrow,
            48_000,
            [160, 320, 480, 640, 800, 800, 800],
        ),
    ] {
        let mut world = World::call(5, a, b);
        world.talk(&[0, 1], 5);
        play(&mut world, 0, 3, clock);
        world.talk(&[0, 1], 5);
        world.run_for(FRAME);
        assert_eq!(digits(&world), "3");
        let heard = &world.browsers[1].heard;
        let relayed = events(heard);
        let got: Vec<u16> = relayed
            .iter()
            .map(|h| u16::from_be_bytes([h.payload[2], h.payload[3]]))
            .collect();
        assert_eq!(got, durations);
        assert!(relayed.iter().all(|h| h.timestamp == relayed[0].timestamp));
        for pair in heard.windows(2) {
            assert_eq!(pair[1].sequence.wrapping_sub(pair[0].sequence), 1);
            let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
            assert!(step < 48_000, "timestamps stay in the audio clock: {step}");
        }
    }
}
