//! Both sides together: what signalling writes and a media thread does lets two str0m peers, who
//! know nothing but our SDP, hear each other; through a restart and a re-attach, too.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringtrip_media::plan::ShardEvent;
use ringtrip_media::{Control, ControlConfig, ControlOutput, DtlsContext, Shard, ShardConfig};
use ringtrip_model::{
    AudioCodec, Generator, LegId, MediaCommand, MediaEvent, NegotiatedMedia, SdpAnswer, SdpOffer,
    Time, Timestamp, VideoCodec,
};
use str0m::change::{SdpAnswer as PeerAnswer, SdpOffer as PeerOffer};
use str0m::media::{Direction, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

const SERVER: &str = "10.0.0.1:3478";
const FRAME: Duration = Duration::from_millis(20);

struct Peer {
    rtc: Rtc,
    address: SocketAddr,
    media: Vec<(Mid, MediaKind)>,
    /// Payloads of audio and video, as they came.
    heard: Vec<Vec<u8>>,
    seen: Vec<Vec<u8>>,
}

struct World {
    base: Instant,
    now: Time,
    control: Control,
    shard: Shard,
    peers: Vec<Peer>,
    events: Vec<MediaEvent>,
    shard_events: VecDeque<ShardEvent>,
    sdp: String,
}

fn leg(number: u8) -> LegId {
    LegId::generate(&mut Generator::from_seed([number; 32]))
}

impl World {
    fn new() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "str0m and dimpl count from some instant"
        )]
        let base = Instant::now();
        let dtls = Arc::new(DtlsContext::generate(base).unwrap());
        let server: SocketAddr = SERVER.parse().unwrap();
        let config = ControlConfig {
            shards: vec![vec![server]],
            fingerprint: dtls.fingerprint(),
            max_anchors_per_shard: 8,
        };
        let shard = ShardConfig {
            dtls,
            locals: vec![server],
            wall_at_zero: Timestamp::from_secs(1_790_000_000),
            max_anchors: 8,
        };
        let mut rng = Generator::from_seed([3; 32]);
        Self {
            base,
            now: Time::from_secs(1),
            control: Control::new(config, rng.fork()),
            shard: Shard::new(shard, rng),
            peers: Vec::new(),
            events: Vec::new(),
            shard_events: VecDeque::new(),
            sdp: String::new(),
        }
    }

    fn instant(&self) -> Instant {
        self.base + Duration::from_micros(self.now.as_micros())
    }

    fn peer(&mut self) -> usize {
        let mut rtc = RtcConfig::new().build(self.instant());
        let address = SocketAddr::from(([192, 0, 2, self.peers.len() as u8 + 1], 5_000));
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        self.peers.push(Peer {
            rtc,
            address,
            media: Vec::new(),
            heard: Vec::new(),
            seen: Vec::new(),
        });
        self.peers.len() - 1
    }

    fn command(&mut self, command: MediaCommand) {
        self.control.handle_command(command, self.now);
        self.pump();
    }

    /// Carries what `Control` and `Shard` tell each other.
    fn pump(&mut self) {
        loop {
            while let Some(output) = self.control.poll_output() {
                match output {
                    ControlOutput::Shard { command, .. } => {
                        self.shard.handle_command(command, self.now);
                    }
                    ControlOutput::Event(event) => {
                        if let MediaEvent::AnswerReady { answer, .. }
                        | MediaEvent::RestartReady { answer, .. } = &event
                        {
                            self.sdp.clone_from(&answer.0);
                        }
                        if let MediaEvent::OfferReady { offer, .. } = &event {
                            self.sdp.clone_from(&offer.0);
                        }
                        self.events.push(event);
                    }
                }
            }
            while let Some(event) = self.shard.poll_event() {
                self.shard_events.push_back(event);
            }
            let Some(event) = self.shard_events.pop_front() else {
                return;
            };
            self.control.handle_shard(0, event, self.now);
        }
    }

    /// Delivers all that is under way and moves on by a frame.
    fn step(&mut self) {
        for _ in 0..4 {
            self.shard.handle_timeout(self.now);
            for index in 0..self.peers.len() {
                let now = self.instant();
                self.peers[index]
                    .rtc
                    .handle_input(Input::Timeout(now))
                    .unwrap();
                self.drain(index);
            }
            let mut sent = Vec::new();
            while let Some(transmit) = self.shard.poll_transmit() {
                sent.push((transmit.to, transmit.bytes.to_vec()));
            }
            for (to, bytes) in sent {
                let now = self.instant();
                let Some(index) = self.peers.iter().position(|peer| peer.address == to) else {
                    continue;
                };
                let receive = Receive {
                    proto: Protocol::Udp,
                    source: SERVER.parse().unwrap(),
                    destination: to,
                    contents: bytes.as_slice().try_into().unwrap(),
                };
                self.peers[index]
                    .rtc
                    .handle_input(Input::Receive(now, receive))
                    .unwrap();
                self.drain(index);
            }
            self.pump();
        }
        self.now += FRAME;
    }

    fn drain(&mut self, index: usize) {
        loop {
            match self.peers[index].rtc.poll_output().unwrap() {
                Output::Timeout(_) => return,
                Output::Transmit(transmit) => {
                    let from = self.peers[index].address;
                    let mut bytes = transmit.contents.to_vec();
                    self.shard.handle_datagram(0, from, &mut bytes, self.now);
                }
                Output::Event(Event::MediaAdded(added)) => {
                    self.peers[index].media.push((added.mid, added.kind));
                }
                Output::Event(Event::MediaData(data)) => {
                    let peer = &mut self.peers[index];
                    let video = peer
                        .rtc
                        .media(data.mid)
                        .is_some_and(|m| m.kind() == MediaKind::Video);
                    let log = if video {
                        &mut peer.seen
                    } else {
                        &mut peer.heard
                    };
                    log.push(data.data.to_vec());
                }
                Output::Event(_) => {}
            }
        }
    }

    /// Lets the peers say their number for some frames.
    fn talk(&mut self, frames: u64) {
        for _ in 0..frames {
            for index in 0..self.peers.len() {
                let now = self.instant();
                let millis = self.now.as_micros() / 1_000;
                let peer = &mut self.peers[index];
                if !peer.rtc.is_connected() {
                    continue;
                }
                for (mid, kind) in peer.media.clone() {
                    let name = if kind == MediaKind::Audio {
                        "opus"
                    } else {
                        "VP8"
                    };
                    let Some(writer) = peer.rtc.writer(mid) else {
                        continue;
                    };
                    let found = writer
                        .payload_params()
                        .find(|params| params.spec().codec.to_string().eq_ignore_ascii_case(name))
                        .map(|params| (params.pt(), params.spec().clock_rate));
                    let Some((pt, clock)) = found else { continue };
                    let time = MediaTime::from_millis(millis).rebase(clock);
                    // A VP8 key frame begins with an even byte and this start code.
                    let data = vec![0x10, 2, 0, 0x9d, 1, 0x2a, 0, 1, 0, 1, index as u8];
                    writer.write(pt, now, time, data).unwrap();
                }
                self.drain(index);
            }
            self.step();
        }
    }

    /// Returns how often `listener` heard, or saw, what `speaker` sent, and forgets it.
    fn take(&mut self, listener: usize, speaker: usize) -> (usize, usize) {
        let peer = &mut self.peers[listener];
        let count = |log: &mut Vec<Vec<u8>>| {
            log.drain(..)
                .filter(|payload| payload.last() == Some(&(speaker as u8)))
                .count()
        };
        (count(&mut peer.heard), count(&mut peer.seen))
    }

    fn connected(&self, leg: LegId) -> usize {
        self.events
            .iter()
            .filter(|event| **event == MediaEvent::Connected { leg })
            .count()
    }

    /// The callee's or an attaching peer's part.
    fn answer_as(&mut self, peer: usize, video: bool, caller: LegId, callee: LegId) {
        let (leg, like, audio) = (callee, caller, vec![AudioCodec::Opus]);
        self.command(MediaCommand::MakeOffer {
            leg,
            like,
            audio,
            video,
        });
        let offer = PeerOffer::from_sdp_string(&self.sdp).unwrap();
        let answer = self.peers[peer].rtc.sdp_api().accept_offer(offer).unwrap();
        let answer = SdpAnswer(answer.to_sdp_string());
        self.command(MediaCommand::ApplyAnswer { leg, answer });
    }

    fn call(video: bool) -> Self {
        let mut world = Self::new();
        let (a, b) = (world.peer(), world.peer());
        let mut change = world.peers[a].rtc.sdp_api();
        let kinds = [MediaKind::Audio, MediaKind::Video];
        let media = kinds[..if video { 2 } else { 1 }]
            .iter()
            .map(|&kind| {
                (
                    change.add_media(kind, Direction::SendRecv, None, None, None),
                    kind,
                )
            })
            .collect();
        let (offer, pending) = change.apply().unwrap();
        world.peers[a].media = media;
        let offer = SdpOffer(offer.to_sdp_string());
        world.command(MediaCommand::ReadOffer { leg: leg(0), offer });
        world.answer_as(b, video, leg(0), leg(1));
        let media = NegotiatedMedia {
            audio: AudioCodec::Opus,
            video: video.then_some(VideoCodec::Vp8),
        };
        world.command(MediaCommand::MakeAnswer { leg: leg(0), media });
        let answer = PeerAnswer::from_sdp_string(&world.sdp).unwrap();
        world.peers[a]
            .rtc
            .sdp_api()
            .accept_answer(pending, answer)
            .unwrap();
        world.command(MediaCommand::Bridge {
            a: leg(0),
            b: leg(1),
        });
        for _ in 0..100 {
            world.step();
        }
        world
    }
}

#[test]
fn two_peers_hear_and_see_each_other() {
    for video in [false, true] {
        let mut world = World::call(video);
        assert_eq!((world.connected(leg(0)), world.connected(leg(1))), (1, 1));
        world.talk(50);
        for (listener, speaker) in [(0, 1), (1, 0)] {
            let (heard, seen) = world.take(listener, speaker);
            assert!(heard >= 45, "{heard} of 50");
            assert_eq!(seen >= 45, video, "{seen} of 50");
        }
        world.command(MediaCommand::Close { leg: leg(0) });
        world.command(MediaCommand::Close { leg: leg(1) });
        let closed = |event: &&MediaEvent| {
            matches!(
                event,
                MediaEvent::Closed {
                    quality: Some(_),
                    ..
                }
            )
        };
        assert_eq!(world.events.iter().filter(closed).count(), 2);
        assert_eq!((world.control.anchors(), world.shard.anchors()), (0, 0));
    }
}

#[test]
fn sound_survives_a_restart() {
    let mut world = World::call(false);
    let mut change = world.peers[0].rtc.sdp_api();
    change.ice_restart(true);
    let (offer, pending) = change.apply().unwrap();
    let offer = SdpOffer(offer.to_sdp_string());
    world.command(MediaCommand::Restart { leg: leg(0), offer });
    assert_eq!(world.events.last().map(MediaEvent::leg), Some(leg(0)));
    let answer = PeerAnswer::from_sdp_string(&world.sdp).unwrap();
    world.peers[0]
        .rtc
        .sdp_api()
        .accept_answer(pending, answer)
        .unwrap();
    // Long enough for the old credentials to be forgotten.
    world.talk(2_000);
    world.take(0, 1);
    world.take(1, 0);
    world.talk(50);
    assert!(world.take(0, 1).0 >= 45 && world.take(1, 0).0 >= 45);
    let failed = |event: &MediaEvent| matches!(event, MediaEvent::Failed { .. });
    assert!(!world.events.iter().any(failed));
}

#[test]
fn sound_goes_over_to_a_new_peer() {
    let mut world = World::call(false);
    world.talk(20);
    let reloaded = world.peer();
    world.answer_as(reloaded, false, leg(0), leg(1));
    world.talk(100);
    assert_eq!(world.connected(leg(1)), 2);
    world.take(0, reloaded);
    world.take(reloaded, 0);
    world.talk(50);
    assert!(world.take(0, reloaded).0 >= 45 && world.take(reloaded, 0).0 >= 45);
    assert_eq!((world.control.anchors(), world.shard.anchors()), (2, 2));
}
