//! Rebinding, restart, stalls, re-attach and hold: the far side hears one continuous stream.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on fails, and looks for one event among many"
)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use ringtrip_media::plan::{ShardCommand, ShardEvent};
use ringtrip_model::AudioCodec;
use str0m::ice::IceCreds;
use support::{FRAME, Heard, Setup, World, assert_continuous};

fn is_continuous(heard: &[Heard]) {
    assert_continuous(heard, 48_000, FRAME);
}

#[test]
fn a_new_address_moves_the_path_both_ways() {
    let mut world = World::call(1, Setup::default(), Setup::default());
    world.talk(&[0, 1], 20);
    world.browsers[0].outside = SocketAddr::from(([203, 0, 113, 77], 9_999));
    let moved = world.now;
    world.talk(&[0, 1], 400);
    let back = world.browsers[0]
        .heard
        .iter()
        .find(|heard| heard.at > moved + FRAME)
        .unwrap();
    let took = back.at.since(moved);
    // The peer checks every few seconds; what it sends is heard as soon as a check came through.
    assert!(took < Duration::from_secs(5), "{took:?}");
    let last = world.heard_from(1, 0).last().unwrap().at;
    assert!(world.now.since(last) < FRAME * 2);
    assert!(!world.told(|event| matches!(event, ShardEvent::Failed { .. })));
}

#[test]
fn a_restart_keeps_the_sound() {
    let mut world = World::call(2, Setup::default(), Setup::default());
    world.talk(&[0, 1], 20);
    let (anchor, ice) = (world.browsers[0].anchor, world.credentials(0));
    world.command(ShardCommand::Restart {
        anchor,
        ice: ice.clone(),
        remote_ufrag: "renewed".to_owned(),
    });
    // The old credentials carry the call until the answer reaches the party.
    world.talk(&[0, 1], 20);
    let creds = IceCreds {
        ufrag: ice.ufrag,
        pass: ice.pwd,
    };
    world.browsers[0]
        .rtc
        .direct_api()
        .set_remote_ice_credentials(creds);
    world.talk(&[0, 1], 3_000);
    assert_eq!(world.heard_from(1, 0).len(), 3_040);
    assert_eq!(world.heard_from(0, 1).len(), 3_040);
    is_continuous(&world.browsers[0].heard);
    is_continuous(&world.browsers[1].heard);
}

#[test]
fn silence_stalls_and_resumes_and_ends() {
    let mut world = World::call(3, Setup::default(), Setup::default());
    let anchor = world.browsers[0].anchor;
    world.talk(&[0, 1], 20);
    world.browsers[0].muted = true;
    world.run_for(Duration::from_secs(6));
    assert!(world.told(|event| *event == ShardEvent::Stalled { anchor }));
    assert!(!world.told(|event| *event == ShardEvent::Resumed { anchor }));
    world.browsers[0].muted = false;
    world.talk(&[0, 1], 200);
    assert!(world.told(|event| *event == ShardEvent::Resumed { anchor }));
    let last = world.browsers[1].heard.last().unwrap().at;
    assert!(world.now.since(last) < FRAME * 2);

    world.browsers[0].muted = true;
    world.run_for(Duration::from_secs(59));
    assert_eq!(world.failure(0), None);
    world.run_for(Duration::from_secs(2));
    assert_eq!(world.failure(0), Some(None));
    assert!(world.close(0).packets_received > 20);
}

#[test]
fn a_party_that_never_comes_ends_after_a_minute() {
    let mut world = World::new(4);
    let described = world.open(Setup::default(), None);
    let waiting = world.open(Setup::default(), None);
    for index in [described, waiting] {
        world.browsers[index].muted = true;
    }
    world.describe(described);
    world.run_for(Duration::from_secs(61));
    assert_eq!(world.failure(described), Some(None));
    // One that still rings has all the time that signalling gives it.
    world.run_for(Duration::from_secs(200));
    assert_eq!(world.failure(waiting), None);
}

#[test]
fn a_replacement_takes_over_without_a_gap_at_the_far_side() {
    let mut world = World::call(5, Setup::default(), Setup::default());
    world.talk(&[0, 1], 50);
    let new = world.rejoin(0, Setup::default());
    // The old anchor forwards until the new one is connected.
    world.talk(&[0, 1], 1);
    assert_eq!(world.heard_from(1, 0).len(), 51);
    world.run_for(Duration::from_secs(1));
    assert!(world.is_connected(new));
    world.talk(&[new, 1], 50);
    world.run_for(FRAME);
    assert_eq!(world.heard_from(1, new).len(), 50);
    assert_eq!(world.heard_from(new, 1).len(), 50);
    is_continuous(&world.browsers[1].heard);
    let first = world.heard_from(1, new)[0];
    assert!(first.marker);

    let old = world.browsers[0].anchor;
    assert!(!world.told(|event| matches!(event, ShardEvent::Closed { .. })));
    // Commands that still name the old anchor reach the new one.
    world.command(ShardCommand::Hold {
        anchor: old,
        held: true,
    });
    let before = world.browsers[1].heard.len();
    world.talk(&[new, 1], 5);
    assert_eq!(world.browsers[1].heard.len(), before);
    assert_eq!(world.shard.anchors(), 2);
    let quality = world.close(new);
    assert_eq!(quality.packets_received, 51 + 50 + 5, "of both anchors");
}

#[test]
fn bridge_and_hold_given_to_a_pending_replacement_act_on_the_old_anchor_first() {
    let mut world = World::call(6, Setup::default(), Setup::default());
    world.talk(&[0, 1], 5);
    let new = world.open(Setup::default(), Some(world.browsers[0].anchor));
    world.bridge(new, 1);
    world.talk(&[0, 1], 5);
    world.run_for(FRAME);
    assert_eq!(
        world.heard_from(1, 0).len(),
        10,
        "the old one still forwards"
    );
    world.hold(new, true);
    world.talk(&[0, 1], 5);
    assert_eq!(world.heard_from(1, 0).len(), 10);
    world.describe(new);
    world.run_for(Duration::from_secs(1));
    assert!(world.is_connected(new));
    world.talk(&[new, 1], 5);
    assert_eq!(world.heard_from(1, new).len(), 0, "the hold was inherited");
    world.hold(new, false);
    world.talk(&[new, 1], 5);
    world.run_for(FRAME);
    assert_eq!(world.heard_from(1, new).len(), 5);
    is_continuous(&world.browsers[1].heard);
}

#[test]
fn hold_stops_both_ways_and_numbers_go_on_afterwards() {
    let setup = Setup::audio(AudioCodec::Pcmu);
    let mut world = World::call(7, setup.clone(), setup);
    world.talk(&[0, 1], 20);
    world.hold(0, true);
    world.run_for(FRAME);
    let before = [0, 1].map(|index: usize| world.browsers[index].heard.len());
    world.talk(&[0, 1], 100);
    assert_eq!(
        [0, 1].map(|index: usize| world.browsers[index].heard.len()),
        before
    );
    // The other side holds too: both must let go.
    world.hold(1, true);
    world.hold(0, false);
    world.talk(&[0, 1], 5);
    assert_eq!(
        [0, 1].map(|index: usize| world.browsers[index].heard.len()),
        before
    );
    world.hold(1, false);
    world.talk(&[0, 1], 20);
    world.run_for(FRAME);
    for index in [0, 1] {
        assert_eq!(world.browsers[index].heard.len(), before[index] + 20);
        assert_continuous(&world.browsers[index].heard, 8_000, FRAME);
    }
    assert!(!world.told(|event| matches!(event, ShardEvent::Stalled { .. })));
}

#[test]
fn a_new_partner_continues_the_stream() {
    let mut world = World::call(8, Setup::default(), Setup::default());
    world.join(Setup::default());
    world.run_for(Duration::from_secs(1));
    world.talk(&[0, 1, 2], 20);
    world.bridge(2, 1);
    world.talk(&[0, 1, 2], 20);
    world.run_for(FRAME);
    assert_eq!(
        (world.heard_from(1, 0).len(), world.heard_from(1, 2).len()),
        (20, 20)
    );
    assert_eq!(
        (world.heard_from(0, 1).len(), world.heard_from(2, 1).len()),
        (20, 20)
    );
    is_continuous(&world.browsers[1].heard);
}
