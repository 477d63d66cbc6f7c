//! Forwarding a packet allocates nothing.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on fails, and looks for one event among many"
)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use ringtrip_model::{AudioCodec, Time};
use support::{FRAME, Setup, World};

#[test]
fn ten_thousand_packets_allocate_nothing() {
    for setup in [
        Setup::audio(AudioCodec::Opus),
        Setup::audio(AudioCodec::Pcmu),
        Setup::video(),
    ] {
        let video = setup.video;
        let mut world = World::call(1, setup.clone(), setup);
        let mut now = world.now;
        // What the browsers would send, recorded on its way to the shard.
        for n in 0..10_100_u32 {
            let speaker = (n % 2) as usize;
            world.now += FRAME / 2;
            if video {
                world.show(speaker, &[0x10; 1_000], n % 4 == 3);
            } else {
                world.speak(speaker, &[0x55; 160]);
            }
        }
        let mut packets: Vec<(SocketAddr, Vec<u8>)> = world.take_flights();
        packets.retain(|(_, bytes)| bytes[0] >= 128 && !(192..224).contains(&bytes[1]));
        assert!(packets.len() >= 10_100);
        let (warm_up, measured) = packets.split_at_mut(100);
        assert_eq!(forward(&mut world, warm_up, &mut now), 100);
        let mut sent = 0;
        let measure =
            allocation_counter::measure(|| sent = forward(&mut world, measured, &mut now));
        assert_eq!(sent, measured.len(), "all were forwarded");
        assert_eq!((measure.count_total, measure.bytes_total), (0, 0));
    }
}

/// Hands packets to the shard. Returns how many it wanted sent on.
fn forward(world: &mut World, packets: &mut [(SocketAddr, Vec<u8>)], now: &mut Time) -> usize {
    let mut sent = 0;
    for (from, bytes) in packets {
        *now += Duration::from_micros(100);
        world.shard.handle_datagram(0, *from, bytes, *now);
        sent += world.shard.transmits().len();
        world.shard.clear_transmits();
    }
    sent
}
