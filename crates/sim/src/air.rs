//! Media in the air: real shards, real WebRTC peers, and packets that get lost between them.
//!
//! Each browser is a `str0m` peer, an implementation independent of ours. It speaks a packet every
//! 20 ms, each saying whose and which it is, and listens.

mod peer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringtrip_media::plan::Fingerprint;
use ringtrip_media::{DtlsContext, DtlsSetupError, Shard, ShardCommand, ShardConfig, ShardEvent};
use ringtrip_model::{AudioCodec, Time};
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::crypto::CryptoProvider;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, RtcConfig};

pub use self::peer::Heard;
use self::peer::Peer;
use crate::clock::Agenda;
use crate::dice::Dice;
use crate::facts::STARTED_AT;
use crate::net::{Fate, Link, Weather};
use crate::plane::{Abilities, MediaPlane, PeerId, UnusableDescription};
use crate::report::{Fault, Report};
use crate::sdp;

/// A packet of sound.
pub const FRAME: Duration = Duration::from_millis(20);
/// Browsers check a path every 48 ms at first and every 480 ms later, however often it fails.
const FIRST_CHECK: Duration = Duration::from_millis(50);
const LAST_CHECK: Duration = Duration::from_millis(480);
const CHECKS: usize = 60;
/// Never, as far as a run is concerned.
const NEVER: Time = Time::from_secs(1_000_000);

/// Real shards and real peers.
pub struct Air {
    base: Instant,
    crypto: Arc<CryptoProvider>,
    fingerprint: Fingerprint,
    shards: Vec<(SocketAddr, Shard)>,
    peers: BTreeMap<PeerId, Peer>,
    addresses: BTreeMap<SocketAddr, PeerId>,
    /// How the network is.
    pub weather: Weather,
    seed: u64,
    links: BTreeMap<(usize, bool), Link>,
    flights: Agenda<Flight>,
    muted: BTreeSet<usize>,
    /// Nothing was lost on the way so far: what is missing then was left out by us.
    spotless: bool,
    next_port: u16,
    next_frame: Time,
    told: VecDeque<(usize, ShardEvent)>,
    counted: Report,
    mistakes: Vec<String>,
}

enum Flight {
    ToShard {
        shard: usize,
        from: SocketAddr,
        bytes: Vec<u8>,
    },
    ToPeer {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
}

impl Air {
    /// Makes media threads at these addresses. `base` is the instant of [`Time::ZERO`].
    ///
    /// # Errors
    /// When the cryptographic library makes no certificate.
    pub fn new(
        threads: u16,
        base: Instant,
        seed: u64,
        dice: &mut Dice,
    ) -> Result<Self, DtlsSetupError> {
        let dtls = Arc::new(DtlsContext::generate(base)?);
        let fingerprint = dtls.fingerprint();
        let shard = |index| {
            let address = SocketAddr::from(([10, 0, 0, 1], 3478 + index));
            let config = ShardConfig {
                dtls: Arc::clone(&dtls),
                locals: vec![address],
                wall_at_zero: STARTED_AT,
                max_anchors: 256,
            };
            (address, Shard::new(config, dice.generator()))
        };
        Ok(Self {
            base,
            crypto: Arc::new(crate::handshake::provider()),
            fingerprint,
            shards: (0..threads).map(shard).collect(),
            peers: BTreeMap::new(),
            addresses: BTreeMap::new(),
            weather: Weather::FAIR,
            seed,
            links: BTreeMap::new(),
            flights: Agenda::default(),
            muted: BTreeSet::new(),
            spotless: true,
            next_port: 10_000,
            next_frame: Time::ZERO,
            told: VecDeque::new(),
            counted: Report::default(),
            mistakes: Vec::new(),
        })
    }

    /// Tells whether a peer's media is up.
    pub fn is_connected(&self, peer: PeerId) -> bool {
        self.peers
            .get(&peer)
            .is_some_and(|peer| peer.connected && !peer.dead)
    }

    /// Returns what a peer heard since an instant.
    pub fn heard_since(&self, peer: PeerId, since: Time) -> &[Heard] {
        let heard = self
            .peers
            .get(&peer)
            .map(|peer| peer.heard.as_slice())
            .unwrap_or_default();
        let from = heard.partition_point(|packet| packet.at < since);
        &heard[from..]
    }

    /// Gives a peer another public address, as a NAT does when it forgets.
    pub fn rebind(&mut self, peer: PeerId) {
        self.next_port += 1;
        let port = self.next_port;
        if let Some(entry) = self.peers.get_mut(&peer) {
            // What is on its way to the old address is lost.
            self.spotless = false;
            self.addresses.remove(&entry.outside);
            entry.outside.set_port(port);
            self.addresses.insert(entry.outside, peer);
            self.counted.fault(Fault::Rebinding);
        }
    }

    fn instant(&self, now: Time) -> Instant {
        self.base + Duration::from_micros(now.as_micros())
    }

    fn make_peer(
        &mut self,
        device: usize,
        abilities: &Abilities,
        now: Time,
    ) -> Result<Peer, UnusableDescription> {
        let mut config = RtcConfig::new()
            .set_crypto_provider(Arc::clone(&self.crypto))
            .set_rtp_mode(true)
            .clear_codecs();
        config.set_initial_stun_rto(FIRST_CHECK);
        config.set_max_stun_rto(LAST_CHECK);
        config.set_max_stun_retransmits(CHECKS);
        for codec in &abilities.codecs {
            config = match codec {
                AudioCodec::Opus => config.enable_opus(true, false),
                AudioCodec::G722 => config.enable_g722(true, false),
                AudioCodec::Pcmu => config.enable_pcmu(true, false),
                AudioCodec::Pcma => config.enable_pcma(true, false),
            };
        }
        let mut rtc = config.build(self.instant(now));
        self.next_port += 1;
        let inside = SocketAddr::from(([192, 168, 0, 2], self.next_port));
        let outside = SocketAddr::from(([203, 0, 113, 7], self.next_port));
        let candidate = Candidate::host(inside, "udp").map_err(unusable)?;
        rtc.add_local_candidate(candidate);
        Ok(Peer {
            device,
            rtc,
            inside,
            outside,
            pending: None,
            mid: Mid::new(),
            spoken: None,
            deadline: now,
            connected: false,
            dead: false,
            next_number: 0,
            heard: Vec::new(),
        })
    }

    fn keep(&mut self, id: PeerId, peer: Peer, now: Time) {
        self.addresses.insert(peer.outside, id);
        self.peers.insert(id, peer);
        self.feed(id, None, now);
    }

    /// Gives a peer a datagram, or only the time, and takes what it has to say.
    fn feed(&mut self, id: PeerId, datagram: Option<(SocketAddr, &[u8])>, now: Time) {
        let instant = self.instant(now);
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let input = match datagram {
            None => Some(Input::Timeout(instant)),
            Some((source, bytes)) => match bytes.try_into() {
                Ok(contents) => {
                    let destination = peer.inside;
                    Some(Input::Receive(
                        instant,
                        Receive {
                            proto: Protocol::Udp,
                            source,
                            destination,
                            contents,
                        },
                    ))
                }
                Err(error) => {
                    self.mistakes
                        .push(format!("a datagram that no peer can read: {error}"));
                    None
                }
            },
        };
        if let Some(input) = input {
            peer.dead |= peer.rtc.handle_input(input).is_err();
        }
        self.drain(id, now);
    }

    fn drain(&mut self, id: PeerId, now: Time) {
        loop {
            let Some(peer) = self.peers.get_mut(&id) else {
                return;
            };
            if peer.dead {
                peer.deadline = NEVER;
                return;
            }
            match peer.rtc.poll_output() {
                Err(_) => peer.dead = true,
                Ok(Output::Timeout(at)) => {
                    let at = Time::ZERO + at.saturating_duration_since(self.base);
                    peer.deadline = at.max(now + Duration::from_micros(100));
                    return;
                }
                Ok(Output::Transmit(transmit)) => {
                    let (device, from) = (peer.device, peer.outside);
                    let shard = self
                        .shards
                        .iter()
                        .position(|(address, _)| *address == transmit.destination);
                    if let Some(shard) = shard {
                        let bytes = transmit.contents.to_vec();
                        self.launch(
                            device,
                            true,
                            now,
                            |bytes| Flight::ToShard { shard, from, bytes },
                            bytes,
                        );
                    }
                }
                Ok(Output::Event(Event::Connected)) => peer.connected = true,
                Ok(Output::Event(Event::RtpPacket(packet))) => {
                    let mistake = peer.hear(&packet, self.spotless, now);
                    self.mistakes
                        .extend(mistake.map(|text| format!("{id:?}: {text}")));
                }
                Ok(Output::Event(_)) => {}
            }
        }
    }

    fn launch(
        &mut self,
        device: usize,
        up: bool,
        now: Time,
        flight: impl Fn(Vec<u8>) -> Flight,
        bytes: Vec<u8>,
    ) {
        if self.muted.contains(&device) {
            self.spotless = false;
            return;
        }
        let seed = self.seed ^ ((device as u64) << 1) ^ u64::from(up);
        let link = self
            .links
            .entry((device, up))
            .or_insert_with(|| Link::new(seed));
        match link.fate(&self.weather, &bytes, now) {
            Fate::Lost => {
                self.spotless = false;
                self.counted.fault(Fault::PacketLost);
            }
            Fate::Arrives(at) => {
                if at > now + self.weather.delay {
                    self.counted.fault(Fault::PacketLate);
                }
                self.flights.add(at, flight(bytes));
            }
            Fate::ArrivesTwice(first, second) => {
                self.counted.fault(Fault::PacketTwice);
                self.flights.add(first, flight(bytes.clone()));
                self.flights.add(second, flight(bytes));
            }
        }
    }

    fn flush(&mut self, shard: usize, now: Time) {
        let mut sent = Vec::new();
        let (from, engine) = &mut self.shards[shard];
        let from = *from;
        while let Some(transmit) = engine.poll_transmit() {
            sent.push((transmit.to, transmit.bytes.to_vec()));
        }
        while let Some(event) = engine.poll_event() {
            self.told.push_back((shard, event));
        }
        for (to, bytes) in sent {
            // What goes to an address that is nobody's any more is lost.
            let device = self
                .addresses
                .get(&to)
                .and_then(|peer| self.peers.get(peer))
                .map(|peer| peer.device);
            if let Some(device) = device {
                self.launch(
                    device,
                    false,
                    now,
                    |bytes| Flight::ToPeer { from, to, bytes },
                    bytes,
                );
            }
        }
    }

    fn land(&mut self, flight: Flight, now: Time) {
        match flight {
            Flight::ToShard {
                shard,
                from,
                mut bytes,
            } => {
                self.shards[shard]
                    .1
                    .handle_datagram(0, from, &mut bytes, now);
                self.flush(shard, now);
            }
            Flight::ToPeer { from, to, bytes } => {
                if let Some(peer) = self.addresses.get(&to).copied() {
                    self.feed(peer, Some((from, &bytes)), now);
                }
            }
        }
    }

    fn everybody_speaks(&mut self, now: Time) {
        self.next_frame = now + FRAME;
        let instant = self.instant(now);
        let speakers: Vec<PeerId> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.may_speak())
            .map(|(id, _)| *id)
            .collect();
        for id in speakers {
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.speak(id, now, instant);
            }
            self.feed(id, None, now);
        }
    }
}

fn unusable(error: impl std::fmt::Display) -> UnusableDescription {
    UnusableDescription(error.to_string())
}

impl MediaPlane for Air {
    fn addresses(&self) -> Vec<Vec<SocketAddr>> {
        self.shards
            .iter()
            .map(|(address, _)| vec![*address])
            .collect()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn offer(&mut self, id: PeerId, device: usize, abilities: &Abilities, now: Time) -> String {
        let Ok(mut peer) = self.make_peer(device, abilities, now) else {
            return String::new();
        };
        let mut change = peer.rtc.sdp_api();
        peer.mid = change.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        let Some((offer, pending)) = change.apply() else {
            return String::new();
        };
        peer.pending = Some(pending);
        self.keep(id, peer, now);
        offer.to_sdp_string()
    }

    fn answer(
        &mut self,
        id: PeerId,
        device: usize,
        abilities: &Abilities,
        offer: &str,
        now: Time,
    ) -> Result<String, UnusableDescription> {
        let mut peer = self.make_peer(device, abilities, now)?;
        let offered = sdp::audio(offer).ok_or_else(|| unusable("no audio"))?;
        let offer = SdpOffer::from_sdp_string(offer).map_err(unusable)?;
        let answer = peer
            .rtc
            .sdp_api()
            .accept_offer(offer)
            .map_err(unusable)?
            .to_sdp_string();
        peer.mid = Mid::from(offered.mid.as_str());
        peer.spoken = sdp::audio(&answer).and_then(|audio| audio.codecs.first().copied());
        self.keep(id, peer, now);
        Ok(answer)
    }

    fn accept(&mut self, id: PeerId, answer: &str, now: Time) -> Result<(), UnusableDescription> {
        let Some(peer) = self.peers.get_mut(&id) else {
            return Ok(());
        };
        let Some(pending) = peer.pending.take() else {
            return Ok(());
        };
        let parsed = SdpAnswer::from_sdp_string(answer).map_err(unusable)?;
        peer.rtc
            .sdp_api()
            .accept_answer(pending, parsed)
            .map_err(unusable)?;
        peer.spoken = sdp::audio(answer).and_then(|audio| audio.codecs.first().copied());
        self.feed(id, None, now);
        Ok(())
    }

    fn restart(&mut self, id: PeerId, _now: Time) -> Option<String> {
        let peer = self.peers.get_mut(&id)?;
        let mut change = peer.rtc.sdp_api();
        change.ice_restart(true);
        let (offer, pending) = change.apply()?;
        peer.pending = Some(pending);
        Some(offer.to_sdp_string())
    }

    fn drop_peer(&mut self, id: PeerId, _now: Time) {
        if let Some(peer) = self.peers.remove(&id) {
            self.addresses.remove(&peer.outside);
        }
    }

    fn mute(&mut self, device: usize, muted: bool, _now: Time) {
        if muted {
            self.muted.insert(device);
        } else {
            self.muted.remove(&device);
        }
    }

    /// The peers send no telephone events; keys go out of band alone, as in the JavaScript SDK.
    fn press(&mut self, _peer: PeerId, _now: Time) {}

    fn command(&mut self, shard: usize, command: ShardCommand, now: Time) {
        self.shards[shard].1.handle_command(command, now);
        self.flush(shard, now);
    }

    fn handle_timeout(&mut self, now: Time) {
        for shard in 0..self.shards.len() {
            if self.shards[shard]
                .1
                .poll_timeout()
                .is_some_and(|at| at <= now)
            {
                self.shards[shard].1.handle_timeout(now);
                self.flush(shard, now);
            }
        }
        if self.next_frame <= now {
            self.everybody_speaks(now);
        }
        let due = |(_, peer): &(&PeerId, &Peer)| peer.deadline <= now;
        let due: Vec<PeerId> = self.peers.iter().filter(due).map(|(id, _)| *id).collect();
        for peer in due {
            self.feed(peer, None, now);
        }
        while let Some(flight) = self.flights.pop(now) {
            self.land(flight, now);
        }
    }

    fn poll_timeout(&self) -> Option<Time> {
        let shards = self.shards.iter().map(|(_, shard)| shard.poll_timeout());
        let peers = self.peers.values().map(|peer| peer.deadline).min();
        let speaks = self
            .peers
            .values()
            .any(Peer::may_speak)
            .then_some(self.next_frame);
        shards
            .chain([self.flights.next_at(), peers, speaks])
            .flatten()
            .min()
    }

    fn poll_event(&mut self) -> Option<(usize, ShardEvent)> {
        self.told.pop_front()
    }

    fn anchors(&self) -> usize {
        self.shards.iter().map(|(_, shard)| shard.anchors()).sum()
    }

    fn report(&mut self, report: &mut Report) {
        report.merge(&std::mem::take(&mut self.counted));
    }

    fn take_mistakes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.mistakes)
    }
}
