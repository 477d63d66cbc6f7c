//! VP8: relayed, key frames asked for, lost packets asked for again.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on fails, and looks for one event among many"
)]

mod support;

use std::time::Duration;

use ringtrip_model::Time;
use str0m::rtp::RawPacket;
use str0m::rtp::rtcp::{Rtcp, SenderInfo};
use support::{FRAME, Setup, VP8, World, local_video};

const PICTURE: [u8; 40] = [0x10; 40];

fn show(world: &mut World, index: usize, frames: usize) {
    for _ in 0..frames {
        world.show(index, &PICTURE, false);
        world.show(index, &PICTURE, true);
        world.run_for(FRAME);
    }
}

fn pictures(world: &World, index: usize) -> usize {
    world.browsers[index]
        .heard
        .iter()
        .filter(|heard| heard.payload_type == VP8)
        .count()
}

#[test]
fn pictures_pass_unchanged_with_a_stream_of_their_own() {
    let mut world = World::call(1, Setup::video(), Setup::video());
    show(&mut world, 0, 20);
    world.run_for(FRAME);
    let heard: Vec<_> = world.browsers[1]
        .heard
        .iter()
        .filter(|h| h.payload_type == VP8)
        .collect();
    assert_eq!(heard.len(), 40);
    assert!(
        heard
            .iter()
            .all(|h| h.ssrc == local_video(1) && h.payload == PICTURE)
    );
    let marked = heard.iter().map(|h| h.marker);
    assert!(
        marked.eq([false, true].into_iter().cycle().take(40)),
        "the marker ends a frame"
    );
}

#[test]
fn pictures_do_not_reach_a_party_without_video() {
    let mut world = World::call(2, Setup::video(), Setup::default());
    show(&mut world, 0, 5);
    world.talk(&[0, 1], 5);
    world.run_for(FRAME);
    assert_eq!(world.browsers[1].heard.len(), 5);
    assert_eq!(world.browsers[0].key_frames_asked, 0);
}

#[test]
fn key_frames_are_asked_for_when_a_viewer_joins_and_not_too_often() {
    let mut world = World::new(3);
    world.join(Setup::video());
    world.join(Setup::video());
    world.run_for(Duration::from_secs(1));
    show(&mut world, 0, 5);
    world.bridge(0, 1);
    show(&mut world, 0, 5);
    assert_eq!(world.browsers[0].key_frames_asked, 1, "on bridging");

    for _ in 0..20 {
        world.ask_key_frame(1);
        show(&mut world, 0, 1);
    }
    world.run_for(Duration::from_secs(1));
    let asked = world.browsers[0].key_frames_asked;
    assert!((2..=3).contains(&asked), "{asked} in half a second");

    world.hold(1, true);
    show(&mut world, 0, 30);
    world.hold(1, false);
    show(&mut world, 0, 5);
    assert_eq!(
        world.browsers[0].key_frames_asked,
        asked + 1,
        "after a hold"
    );

    world.run_for(Duration::from_secs(1));
    let new = world.rejoin(1, Setup::video());
    world.run_for(Duration::from_secs(1));
    assert!(world.is_connected(new));
    show(&mut world, 0, 5);
    world.run_for(FRAME);
    assert_eq!(
        world.browsers[0].key_frames_asked,
        asked + 2,
        "after a re-attach"
    );
    assert_eq!(pictures(&world, new), 10);
}

#[test]
fn what_is_lost_towards_the_viewer_is_sent_again() {
    let mut world = World::call(4, Setup::video(), Setup::video());
    show(&mut world, 0, 20);
    for n in 0..100 {
        // Only the second hop loses: the sender's packets are with us before the loss begins.
        world.show(0, &PICTURE, true);
        world.run_for(Duration::from_micros(4_900));
        world.loss = if n % 10 == 3 { 100 } else { 0 };
        world.run_for(Duration::from_micros(200));
        world.loss = 0;
        world.run_for(Duration::from_millis(15));
    }
    world.run_for(Duration::from_secs(1));
    let mut numbers: Vec<u16> = world.browsers[1]
        .heard
        .iter()
        .filter(|h| h.payload_type == VP8)
        .map(|h| h.sequence)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 140, "nothing is missing in the end");
}

#[test]
fn what_is_lost_on_its_way_to_us_is_asked_for_at_its_sender() {
    let mut world = World::call(6, Setup::video(), Setup::video());
    show(&mut world, 0, 20);
    // The sender's number 9,040 never reaches us; the viewer misses it under another number.
    world.loss = 100;
    world.show(0, &PICTURE, true);
    world.loss = 0;
    show(&mut world, 0, 20);
    world.run_for(Duration::from_millis(100));
    let asked: Vec<u16> = world.browsers[0]
        .rtcp
        .iter()
        .filter_map(|(_, raw)| match raw {
            RawPacket::RtcpRx(Rtcp::Nack(nack)) => Some(nack.reports.iter().map(|entry| entry.pid)),
            _ => None,
        })
        .flatten()
        .collect();
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|number| *number == 9_040), "{asked:?}");
}

fn reports(world: &World, index: usize) -> Vec<(Time, SenderInfo)> {
    world.browsers[index]
        .rtcp
        .iter()
        .filter_map(|(at, raw)| match raw {
            RawPacket::RtcpRx(Rtcp::SenderReport(report)) => Some((*at, report.sender_info)),
            _ => None,
        })
        .collect()
}

#[test]
fn sound_and_picture_keep_the_relation_of_the_source() {
    let mut world = World::call(5, Setup::video(), Setup::video());
    for n in 0..200_u32 {
        let mut payload = vec![0];
        payload.extend(n.to_be_bytes());
        payload.extend([0; 60]);
        world.speak(0, &payload);
        world.show(0, &PICTURE, true);
        world.run_for(FRAME);
    }
    // In this world the browser's audio and video timestamps count from the same instant. What was
    // taken together must be reported at the same NTP time.
    let heard = &world.browsers[1].heard;
    let sound = heard.iter().rev().find(|h| h.payload_type != VP8).unwrap();
    let picture = heard
        .iter()
        .rev()
        .find(|h| h.payload_type == VP8 && h.at == sound.at)
        .unwrap();
    let reports = reports(&world, 1);
    let last = |ssrc: u32| {
        reports
            .iter()
            .rev()
            .find(|(_, info)| *info.ssrc == ssrc)
            .unwrap()
            .1
    };
    let instant = |info: &SenderInfo, timestamp: u32, clock: f64| {
        let ticks = timestamp
            .wrapping_sub(info.rtp_time.numer() as u32)
            .cast_signed();
        (ticks, f64::from(ticks) / clock, info.ntp_time)
    };
    let (audio, video) = (last(sound.ssrc), last(picture.ssrc));
    let (_, a, a_ntp) = instant(&audio, sound.timestamp, 48e3);
    let (_, v, v_ntp) = instant(&video, picture.timestamp, 90e3);
    let between = match a_ntp.duration_since(v_ntp) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(behind) => -behind.duration().as_secs_f64(),
    };
    let apart = between + a - v;
    assert!(apart.abs() < 0.002, "{apart} s");
}
