//! What strangers and broken peers cannot do.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on fails, and looks for one event among many"
)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use ringtrip_media::plan::{DtlsRole, ShardCommand, ShardEvent};
use ringtrip_model::MediaFailure;
use support::{FRAME, SERVER, Setup, World};

fn stranger(port: u16) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 9], port))
}

#[test]
fn a_wrong_certificate_ends_the_anchor_and_passes_nothing() {
    for role in [DtlsRole::Server, DtlsRole::Client] {
        let mut world = World::new(1);
        let good = world.join(Setup::default());
        let bad = world.join(Setup {
            wrong_fingerprint: true,
            role,
            ..Setup::default()
        });
        world.run_for(Duration::from_secs(2));
        assert_eq!(
            world.failure(bad),
            Some(Some(MediaFailure::FingerprintMismatch))
        );
        assert!(world.is_connected(good) && !world.is_connected(bad));
        world.bridge(good, bad);
        world.talk(&[good, bad], 20);
        assert!(
            world
                .browsers
                .iter()
                .all(|browser| browser.heard.is_empty())
        );
        assert_eq!(world.close(bad).packets_received, 0);
    }
}

#[test]
fn floods_of_garbage_get_no_byte_back_and_disturb_nobody() {
    let mut world = World::call(2, Setup::default(), Setup::default());
    world.talk(&[0, 1], 10);
    let known = world.browsers[0].outside;
    for n in 0..4_000_u32 {
        let len = 1 + world.rng.below(200) as usize;
        let mut bytes = vec![0; len];
        world.rng.fill(&mut bytes);
        // STUN, DTLS, RTP, RTCP and others, from strangers and from a party's own address.
        bytes[0] = [0, 22, 0x80, 0x80, 0x90, 255][(n % 6) as usize];
        if n % 6 == 3 && len > 1 {
            bytes[1] = 200;
        }
        let from = if n % 2 == 0 {
            stranger(n as u16)
        } else {
            known
        };
        world.arrive(from, bytes);
    }
    assert_eq!(world.strays, 0);
    world.capture = Some(Vec::new());
    world.talk(&[0, 1], 50);
    world.run_for(FRAME);
    let capture = world.capture.take().unwrap();
    assert!(
        capture
            .iter()
            .all(|(to, _)| world.browsers.iter().any(|b| b.outside == *to))
    );
    assert_eq!(world.heard_from(0, 1).len(), 60);
    assert_eq!(world.heard_from(1, 0).len(), 60);
    assert!(!world.told(|event| matches!(event, ShardEvent::Failed { .. })));
}

#[test]
fn strangers_media_reaches_nobody() {
    let mut world = World::call(3, Setup::default(), Setup::default());
    world.talk(&[0, 1], 5);
    // Captured packets of one party, sent again from elsewhere and from its own address.
    world.capture = Some(Vec::new());
    world.talk(&[0], 5);
    let sent: Vec<_> = world
        .capture
        .take()
        .unwrap()
        .into_iter()
        .map(|(_, bytes)| bytes)
        .collect();
    let before = (world.browsers[0].heard.len(), world.browsers[1].heard.len());
    for bytes in sent {
        for from in [
            stranger(1),
            world.browsers[0].outside,
            world.browsers[1].outside,
        ] {
            world.arrive(from, bytes.clone());
        }
    }
    world.run_for(Duration::from_millis(50));
    // What was on its way arrives; nothing else does.
    assert_eq!(world.browsers[0].heard.len(), before.0);
    assert_eq!(world.browsers[1].heard.len(), before.1.max(10));
}

#[test]
fn a_client_hello_from_a_stranger_is_not_heard() {
    let mut world = World::new(4);
    let browser = world.open(Setup::default(), None);
    world.describe(browser);
    let mut hello = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 1];
    hello.resize(53, 0);
    for n in 0..1_000 {
        world.arrive(stranger(n), hello.clone());
        world.arrive(world.browsers[browser].outside, hello.clone());
    }
    world.run_for(Duration::from_secs(1));
    assert!(world.is_connected(browser));
    assert_eq!(world.strays, 0);
}

#[test]
fn without_checks_sending_stops_although_media_still_comes() {
    let mut world = World::call(5, Setup::default(), Setup::default());
    world.talk(&[0, 1], 10);
    // The first browser's checks no longer arrive: its ICE credentials are wrong from now on.
    let wrong = str0m::ice::IceCreds {
        ufrag: "none".into(),
        pass: "x".repeat(24),
    };
    world.browsers[0]
        .rtc
        .direct_api()
        .set_remote_ice_credentials(wrong);
    world.talk(&[0, 1], 1_000);
    assert_eq!(
        world.heard_from(0, 1).len(),
        1_010,
        "consent lasts for a while"
    );
    world.talk(&[0, 1], 1_000);
    let last = world.browsers[0].heard.last().unwrap().at;
    let silent = world.now.since(last);
    assert!(silent > Duration::from_secs(4), "{silent:?}");
    assert!(world.now.since(world.browsers[1].heard.last().unwrap().at) < FRAME * 2);
}

#[test]
fn commands_about_anchors_that_are_gone_do_nothing() {
    let mut world = World::call(6, Setup::default(), Setup::default());
    let gone = world.browsers[0].anchor;
    world.close(0);
    let mut ghost = gone;
    ghost.generation += 1;
    ghost.slot += 40;
    let plan = world.plan(1);
    for anchor in [gone, ghost] {
        let ice = world.credentials(anchor.slot);
        let other = world.browsers[1].anchor;
        world.command(ShardCommand::SetRemote {
            anchor,
            remote: Box::new(plan.clone()),
        });
        world.command(ShardCommand::Restart {
            anchor,
            ice,
            remote_ufrag: "x".into(),
        });
        world.command(ShardCommand::Bridge {
            a: anchor,
            b: other,
        });
        world.command(ShardCommand::Hold { anchor, held: true });
        world.command(ShardCommand::Close { anchor });
        assert!(world.told(|e| matches!(e, ShardEvent::Closed { anchor: a, .. } if *a == anchor)));
    }
    world.talk(&[0, 1], 5);
    assert_eq!(world.shard.anchors(), 1);
    let from: SocketAddr = SERVER.parse().unwrap();
    world.arrive(from, Vec::new());
    world
        .shard
        .handle_datagram(7, from, &mut [0x80; 20], world.now);
}

#[test]
fn a_full_shard_says_so() {
    let mut world = World::new(7);
    let anchor = ringtrip_media::plan::AnchorId {
        slot: 64,
        generation: 0,
    };
    let ice = world.credentials(64);
    let leg = ringtrip_model::LegId::generate(&mut world.rng);
    world.command(ShardCommand::Open {
        anchor,
        leg,
        ice,
        replaces: None,
    });
    let failure = Some(MediaFailure::Full);
    assert!(world.told(|event| *event == ShardEvent::Failed { anchor, failure }));
}
