//! A shard and some str0m peers on a simulated network, in virtual time.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringtrip_media::plan::{
    AnchorId, AudioPlan, DtlsRole, Fingerprint, IceCredentials, RemotePlan, ShardCommand,
    ShardEvent, TelephoneEvents, VideoPlan,
};
use ringtrip_media::{DtlsContext, Shard, ShardConfig};
use ringtrip_model::{AudioCodec, Generator, LegId, LegQuality, MediaFailure, Time, Timestamp};
use str0m::format::{Codec, FormatParams};
use str0m::media::{Frequency, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionValues, RawPacket, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

pub(crate) const SERVER: &str = "10.0.0.1:3478";
/// One way.
pub(crate) const DELAY: Duration = Duration::from_millis(5);
pub(crate) const FRAME: Duration = Duration::from_millis(20);

/// A packet that a browser received and decrypted.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) at: Time,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) marker: bool,
    pub(crate) payload: Vec<u8>,
    pub(crate) level: Option<i8>,
}

#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) codec: AudioCodec,
    pub(crate) event_clock_hz: Option<u32>,
    pub(crate) level_extension: Option<u8>,
    pub(crate) video: bool,
    pub(crate) role: DtlsRole,
    pub(crate) wrong_fingerprint: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            codec: AudioCodec::Opus,
            event_clock_hz: Some(48_000),
            level_extension: Some(1),
            video: false,
            role: DtlsRole::Server,
            wrong_fingerprint: false,
        }
    }
}

impl Setup {
    pub(crate) fn audio(codec: AudioCodec) -> Self {
        Self {
            codec,
            event_clock_hz: Some(codec.clock_rate_hz()),
            ..Self::default()
        }
    }

    pub(crate) fn video() -> Self {
        Self {
            video: true,
            ..Self::default()
        }
    }

    pub(crate) fn audio_payload_type(&self) -> u8 {
        match self.codec {
            AudioCodec::Opus => 111,
            AudioCodec::G722 => 9,
            AudioCodec::Pcmu => 0,
            AudioCodec::Pcma => 8,
        }
    }
}

pub(crate) const EVENTS: u8 = 110;
pub(crate) const VP8: u8 = 96;

pub(crate) struct Browser {
    pub(crate) rtc: Rtc,
    pub(crate) setup: Setup,
    pub(crate) anchor: AnchorId,
    /// What it believes its address to be.
    inside: SocketAddr,
    /// What the server sees.
    pub(crate) outside: SocketAddr,
    deadline: Time,
    pub(crate) connected_at: Option<Time>,
    pub(crate) heard: Vec<Heard>,
    pub(crate) key_frames_asked: usize,
    pub(crate) rtcp: Vec<(Time, RawPacket)>,
    pub(crate) audio_ssrc: u32,
    pub(crate) video_ssrc: u32,
    next_audio: u64,
    next_video: u64,
    pub(crate) pwd: String,
    pub(crate) ufrag: String,
    /// Datagrams it sends are lost while this is set.
    pub(crate) muted: bool,
    /// It gave up by itself.
    pub(crate) dead: bool,
}

enum Flight {
    ToShard { from: SocketAddr, bytes: Vec<u8> },
    ToBrowser { to: SocketAddr, bytes: Vec<u8> },
}

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) base: Instant,
    pub(crate) shard: Shard,
    pub(crate) browsers: Vec<Browser>,
    flights: BTreeMap<(Time, u64), Flight>,
    order: u64,
    pub(crate) rng: Generator,
    /// Share of datagrams lost, in percent, once set.
    pub(crate) loss: u32,
    /// Share of datagrams sent twice.
    pub(crate) duplicates: u32,
    /// Extra delay, drawn for each datagram.
    pub(crate) jitter: Duration,
    pub(crate) events: Vec<(Time, ShardEvent)>,
    /// Datagrams from the shard to addresses that are nobody's.
    pub(crate) strays: usize,
    /// Everything the shard sent, if kept.
    pub(crate) capture: Option<Vec<(SocketAddr, Vec<u8>)>>,
    fingerprint: Fingerprint,
}

#[expect(
    clippy::disallowed_methods,
    reason = "str0m and the DTLS engine count from some instant"
)]
fn some_instant() -> Instant {
    Instant::now()
}

impl World {
    pub(crate) fn new(seed: u8) -> Self {
        let base = some_instant();
        let mut rng = Generator::from_seed([seed; 32]);
        let dtls = Arc::new(DtlsContext::generate(base).unwrap());
        let fingerprint = dtls.fingerprint();
        let config = ShardConfig {
            dtls,
            locals: vec![SERVER.parse().unwrap()],
            wall_at_zero: Timestamp::from_secs(1_790_000_000),
            max_anchors: 64,
        };
        Self {
            now: Time::from_secs(1),
            base,
            shard: Shard::new(config, rng.fork()),
            browsers: Vec::new(),
            flights: BTreeMap::new(),
            order: 0,
            rng,
            loss: 0,
            duplicates: 0,
            jitter: Duration::ZERO,
            events: Vec::new(),
            strays: 0,
            capture: None,
            fingerprint,
        }
    }

    /// Takes what browsers sent and nobody received, in order.
    pub(crate) fn take_flights(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        std::mem::take(&mut self.flights)
            .into_values()
            .filter_map(|flight| match flight {
                Flight::ToShard { from, bytes } => Some((from, bytes)),
                Flight::ToBrowser { .. } => None,
            })
            .collect()
    }

    pub(crate) fn instant(&self, time: Time) -> Instant {
        self.base + Duration::from_micros(time.as_micros())
    }

    pub(crate) fn command(&mut self, command: ShardCommand) {
        self.shard.handle_command(command, self.now);
        self.drain_shard();
    }

    pub(crate) fn credentials(&mut self, slot: u32) -> IceCredentials {
        let digit = |n: u32| char::from_digit(n % 36, 36).unwrap();
        let name: String = [slot / 46_656, slot / 1_296, slot / 36, slot]
            .map(digit)
            .iter()
            .collect();
        IceCredentials {
            ufrag: format!("{name}{}", self.rng.alphanumeric(8)),
            pwd: self.rng.alphanumeric(24),
        }
    }

    /// Opens an anchor and makes a browser for it; its description is handed over at once.
    pub(crate) fn join(&mut self, setup: Setup) -> usize {
        let index = self.open(setup, None);
        self.describe(index);
        index
    }

    /// As `join`, as the successor of another browser's anchor.
    pub(crate) fn rejoin(&mut self, old: usize, setup: Setup) -> usize {
        let index = self.open(setup, Some(self.browsers[old].anchor));
        self.describe(index);
        index
    }

    /// Opens an anchor and makes a browser for it. The shard does not know its description yet.
    pub(crate) fn open(&mut self, setup: Setup, replaces: Option<AnchorId>) -> usize {
        let slot = u32::try_from(self.browsers.len()).unwrap();
        let anchor = AnchorId {
            slot,
            generation: 3,
        };
        let ice = self.credentials(slot);
        let leg = LegId::generate(&mut self.rng);
        self.command(ShardCommand::Open {
            anchor,
            leg,
            ice: ice.clone(),
            replaces,
        });

        let provider = Arc::new(str0m::crypto::from_feature_flags());
        let mut config = RtcConfig::new()
            .set_crypto_provider(provider)
            .set_rtp_mode(true)
            .enable_raw_packets(true)
            .clear_codecs()
            .clear_extension_map();
        if let Some(id) = setup.level_extension {
            config = config.set_extension(id, Extension::AudioLevel);
        }
        let codecs = config.codec_config();
        let (codec, clock, channels) = match setup.codec {
            AudioCodec::Opus => (Codec::Opus, Frequency::FORTY_EIGHT_KHZ, Some(2)),
            AudioCodec::G722 => (Codec::G722, Frequency::EIGHT_KHZ, None),
            AudioCodec::Pcmu => (Codec::PCMU, Frequency::EIGHT_KHZ, None),
            AudioCodec::Pcma => (Codec::PCMA, Frequency::EIGHT_KHZ, None),
        };
        let format = FormatParams::default();
        codecs.add_config(
            setup.audio_payload_type().into(),
            None,
            codec,
            clock,
            channels,
            format,
        );
        if let Some(hz) = setup.event_clock_hz {
            let clock = Frequency::new(hz).unwrap();
            codecs.add_config(EVENTS.into(), None, Codec::Tele, clock, None, format);
        }
        if setup.video {
            let clock = Frequency::NINETY_KHZ;
            codecs.add_config(VP8.into(), None, Codec::Vp8, clock, None, format);
        }
        let mut rtc = config.build(self.instant(self.now));
        let inside: SocketAddr = SocketAddr::from(([192, 168, 0, slot as u8 + 1], 5_000));
        let outside = SocketAddr::from(([203, 0, 113, slot as u8 + 1], 6_000));
        let server: SocketAddr = SERVER.parse().unwrap();
        rtc.add_local_candidate(Candidate::host(inside, "udp").unwrap());
        rtc.add_remote_candidate(Candidate::host(server, "udp").unwrap());
        let fingerprint = str0m::config::Fingerprint {
            hash_func: "sha-256".to_owned(),
            bytes: self.fingerprint.0.to_vec(),
        };
        let (audio_ssrc, video_ssrc) = (1_000 + slot, 2_000 + slot);
        {
            let mut direct = rtc.direct_api();
            direct.set_remote_fingerprint(fingerprint);
            direct.set_remote_ice_credentials(str0m::ice::IceCreds {
                ufrag: ice.ufrag.clone(),
                pass: ice.pwd.clone(),
            });
            direct.set_ice_controlling(true);
            direct.start_dtls(setup.role == DtlsRole::Server).unwrap();
            direct.declare_media(audio_mid(), MediaKind::Audio);
            direct.declare_stream_tx(audio_ssrc.into(), None, audio_mid(), None);
            direct.expect_stream_rx(local_audio(slot).into(), None, audio_mid(), None);
            if setup.video {
                direct.declare_media(video_mid(), MediaKind::Video);
                direct.declare_stream_tx(video_ssrc.into(), None, video_mid(), None);
                direct.expect_stream_rx(local_video(slot).into(), None, video_mid(), None);
            }
        }
        let creds = rtc.direct_api().local_ice_credentials();
        self.browsers.push(Browser {
            rtc,
            setup,
            anchor,
            inside,
            outside,
            deadline: self.now,
            connected_at: None,
            heard: Vec::new(),
            key_frames_asked: 0,
            rtcp: Vec::new(),
            audio_ssrc,
            video_ssrc,
            next_audio: 100 + u64::from(slot),
            next_video: 9_000,
            pwd: creds.pass,
            ufrag: creds.ufrag,
            muted: false,
            dead: false,
        });
        self.browsers.len() - 1
    }

    /// What signalling would hand over about a browser.
    pub(crate) fn plan(&mut self, index: usize) -> RemotePlan {
        let browser = &mut self.browsers[index];
        let slot = browser.anchor.slot;
        let mut fingerprint = [0; 32];
        let bytes = browser
            .rtc
            .direct_api()
            .local_dtls_fingerprint()
            .bytes
            .clone();
        fingerprint.copy_from_slice(&bytes);
        if browser.setup.wrong_fingerprint {
            fingerprint[0] ^= 1;
        }
        let setup = &browser.setup;
        RemotePlan {
            ufrag: browser.ufrag.clone(),
            pwd: browser.pwd.clone(),
            fingerprint: Fingerprint(fingerprint),
            role: setup.role,
            cname: "ringtrip".to_owned(),
            audio: AudioPlan {
                codec: setup.codec,
                payload_type: setup.audio_payload_type(),
                events: setup.event_clock_hz.map(|clock_rate_hz| TelephoneEvents {
                    payload_type: EVENTS,
                    clock_rate_hz,
                }),
                level_extension: setup.level_extension,
                local_ssrc: local_audio(slot),
            },
            video: setup.video.then(|| VideoPlan {
                payload_type: VP8,
                local_ssrc: local_video(slot),
                pli: true,
                nack: true,
            }),
        }
    }

    pub(crate) fn describe(&mut self, index: usize) {
        let remote = Box::new(self.plan(index));
        self.command(ShardCommand::SetRemote {
            anchor: self.browsers[index].anchor,
            remote,
        });
    }

    /// Two browsers, connected and bridged.
    pub(crate) fn call(seed: u8, a: Setup, b: Setup) -> Self {
        let mut world = Self::new(seed);
        world.join(a);
        world.join(b);
        world.run_for(Duration::from_secs(1));
        assert!(world.is_connected(0) && world.is_connected(1));
        world.bridge(0, 1);
        world
    }

    pub(crate) fn bridge(&mut self, a: usize, b: usize) {
        let (a, b) = (self.browsers[a].anchor, self.browsers[b].anchor);
        self.command(ShardCommand::Bridge { a, b });
    }

    pub(crate) fn hold(&mut self, index: usize, held: bool) {
        self.command(ShardCommand::Hold {
            anchor: self.browsers[index].anchor,
            held,
        });
    }

    pub(crate) fn close(&mut self, index: usize) -> LegQuality {
        let anchor = self.browsers[index].anchor;
        self.command(ShardCommand::Close { anchor });
        self.events
            .iter()
            .find_map(|(_, event)| match event {
                ShardEvent::Closed {
                    anchor: closed,
                    quality,
                } if *closed == anchor => Some(*quality),
                _ => None,
            })
            .unwrap()
    }

    /// Whether both ends agree that it is.
    pub(crate) fn is_connected(&self, index: usize) -> bool {
        let anchor = self.browsers[index].anchor;
        self.told(|event| *event == ShardEvent::Connected { anchor })
            && self.browsers[index].connected_at.is_some()
    }

    pub(crate) fn told(&self, test: impl Fn(&ShardEvent) -> bool) -> bool {
        self.events.iter().any(|(_, event)| test(event))
    }

    pub(crate) fn failure(&self, index: usize) -> Option<Option<MediaFailure>> {
        let anchor = self.browsers[index].anchor;
        self.events.iter().find_map(|(_, event)| match event {
            ShardEvent::Failed {
                anchor: failed,
                failure,
            } if *failed == anchor => Some(*failure),
            _ => None,
        })
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let flight = self.flights.first_key_value().map(|((at, _), _)| *at);
            let browser = self.browsers.iter().map(|browser| browser.deadline).min();
            let next = [flight, self.shard.poll_timeout(), browser]
                .into_iter()
                .flatten()
                .min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if self.shard.poll_timeout().is_some_and(|at| at <= self.now) {
                self.shard.handle_timeout(self.now);
                self.drain_shard();
            }
            for index in 0..self.browsers.len() {
                if self.browsers[index].deadline <= self.now {
                    self.input(index, Input::Timeout(self.instant(self.now)));
                }
            }
            while let Some(entry) = self.flights.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                match entry.remove() {
                    Flight::ToShard { from, bytes } => self.arrive(from, bytes),
                    Flight::ToBrowser { to, bytes } => self.deliver(to, &bytes),
                }
            }
        }
        self.now = end;
    }

    /// Hands a datagram to the shard at once.
    pub(crate) fn arrive(&mut self, from: SocketAddr, mut bytes: Vec<u8>) {
        self.shard.handle_datagram(0, from, &mut bytes, self.now);
        self.drain_shard();
    }

    fn deliver(&mut self, to: SocketAddr, bytes: &[u8]) {
        let now = self.instant(self.now);
        let Some(index) = self
            .browsers
            .iter()
            .position(|browser| browser.outside == to)
        else {
            self.strays += 1;
            return;
        };
        let browser = &mut self.browsers[index];
        let contents = bytes
            .try_into()
            .expect("the shard sends what its peers can tell apart");
        let receive = Receive {
            proto: Protocol::Udp,
            source: SERVER.parse().unwrap(),
            destination: browser.inside,
            contents,
        };
        let input = Input::Receive(now, receive);
        browser.dead |= browser.rtc.handle_input(input).is_err();
        self.drain_browser(index);
    }

    fn input(&mut self, index: usize, input: Input<'_>) {
        let browser = &mut self.browsers[index];
        browser.dead |= browser.rtc.handle_input(input).is_err();
        self.drain_browser(index);
    }

    fn drain_shard(&mut self) {
        let mut sent = Vec::new();
        while let Some(transmit) = self.shard.poll_transmit() {
            assert_eq!(transmit.socket, 0);
            sent.push((transmit.to, transmit.bytes.to_vec()));
        }
        for (to, bytes) in sent {
            if let Some(capture) = &mut self.capture {
                capture.push((to, bytes.clone()));
            }
            self.launch(|| Flight::ToBrowser {
                to,
                bytes: bytes.clone(),
            });
        }
        while let Some(event) = self.shard.poll_event() {
            self.events.push((self.now, event));
        }
    }

    fn drain_browser(&mut self, index: usize) {
        loop {
            if self.browsers[index].dead {
                self.browsers[index].deadline = Time::from_secs(1_000_000);
                return;
            }
            let Ok(output) = self.browsers[index].rtc.poll_output() else {
                self.browsers[index].dead = true;
                continue;
            };
            match output {
                Output::Timeout(at) => {
                    let at = Time::ZERO + at.saturating_duration_since(self.base);
                    self.browsers[index].deadline = at.max(self.now + Duration::from_micros(100));
                    return;
                }
                Output::Transmit(transmit) => {
                    let browser = &self.browsers[index];
                    if !browser.muted {
                        let (from, bytes) = (browser.outside, transmit.contents.to_vec());
                        self.launch(|| Flight::ToShard {
                            from,
                            bytes: bytes.clone(),
                        });
                    }
                }
                Output::Event(event) => self.note(index, event),
            }
        }
    }

    fn note(&mut self, index: usize, event: Event) {
        let now = self.now;
        let browser = &mut self.browsers[index];
        match event {
            Event::Connected => browser.connected_at = Some(now),
            Event::KeyframeRequest(_) => browser.key_frames_asked += 1,
            Event::RawPacket(raw) => match *raw {
                RawPacket::RtpRx(header, payload) => browser.heard.push(Heard {
                    at: now,
                    payload_type: *header.payload_type,
                    sequence: header.sequence_number,
                    timestamp: header.timestamp,
                    ssrc: *header.ssrc,
                    marker: header.marker,
                    payload,
                    level: header.ext_vals.audio_level,
                }),
                rtcp @ (RawPacket::RtcpRx(_) | RawPacket::RtcpTx(_)) => {
                    browser.rtcp.push((now, rtcp))
                }
                RawPacket::RtpTx(..) => {}
            },
            _ => {}
        }
    }

    fn launch(&mut self, make: impl Fn() -> Flight) {
        let copies = match () {
            () if self.rng.below(100) < self.loss => 0,
            () if self.rng.below(100) < self.duplicates => 2,
            () => 1,
        };
        for _ in 0..copies {
            let extra = self
                .rng
                .below(u32::try_from(self.jitter.as_micros()).unwrap() + 1);
            let at = self.now + DELAY + Duration::from_micros(u64::from(extra));
            self.order += 1;
            self.flights.insert((at, self.order), make());
        }
    }

    /// Lets a browser send one audio packet, its clock following the world's.
    pub(crate) fn speak(&mut self, index: usize, payload: &[u8]) {
        let clock = self.browsers[index].setup.codec.clock_rate_hz();
        let timestamp = (self.now.as_micros() * u64::from(clock) / 1_000_000) as u32;
        let payload_type = self.browsers[index].setup.audio_payload_type();
        self.write_audio(index, payload_type, timestamp, payload, false);
    }

    pub(crate) fn write_audio(
        &mut self,
        index: usize,
        payload_type: u8,
        timestamp: u32,
        payload: &[u8],
        marker: bool,
    ) {
        let now = self.instant(self.now);
        let browser = &mut self.browsers[index];
        let level = ExtensionValues {
            audio_level: Some(-30),
            voice_activity: Some(true),
            ..ExtensionValues::default()
        };
        let write = RtpWrite::new(
            payload_type.into(),
            browser.next_audio.into(),
            timestamp,
            now,
            payload,
        )
        .marker(marker)
        .ext_vals(level);
        browser.next_audio += 1;
        let ssrc = browser.audio_ssrc;
        browser
            .rtc
            .direct_api()
            .stream_tx(&ssrc.into())
            .unwrap()
            .write_rtp(write);
        self.input(index, Input::Timeout(now));
    }

    pub(crate) fn show(&mut self, index: usize, payload: &[u8], marker: bool) {
        let now = self.instant(self.now);
        let timestamp = (self.now.as_micros() * 90 / 1_000) as u32;
        let browser = &mut self.browsers[index];
        let write = RtpWrite::new(
            VP8.into(),
            browser.next_video.into(),
            timestamp,
            now,
            payload,
        )
        .marker(marker)
        .nackable(true);
        browser.next_video += 1;
        let ssrc = browser.video_ssrc;
        browser
            .rtc
            .direct_api()
            .stream_tx(&ssrc.into())
            .unwrap()
            .write_rtp(write);
        self.input(index, Input::Timeout(now));
    }

    pub(crate) fn ask_key_frame(&mut self, index: usize) {
        let now = self.instant(self.now);
        let browser = &mut self.browsers[index];
        let ssrc = local_video(browser.anchor.slot);
        let mut direct = browser.rtc.direct_api();
        direct
            .stream_rx(&ssrc.into())
            .unwrap()
            .request_keyframe(KeyframeRequestKind::Pli);
        self.input(index, Input::Timeout(now));
    }

    /// Both browsers speak every 20 ms, each packet saying whose and which it is.
    pub(crate) fn talk(&mut self, speakers: &[usize], packets: u32) {
        for n in 0..packets {
            for speaker in speakers {
                let mut payload = vec![u8::try_from(*speaker).unwrap()];
                payload.extend(n.to_be_bytes());
                payload.extend([0x55; 60]);
                self.speak(*speaker, &payload);
            }
            self.run_for(FRAME);
        }
    }

    /// What a browser heard from another one.
    pub(crate) fn heard_from(&self, listener: usize, speaker: usize) -> Vec<&Heard> {
        let speaker = u8::try_from(speaker).unwrap();
        self.browsers[listener]
            .heard
            .iter()
            .filter(|heard| heard.payload.len() == 65 && heard.payload[0] == speaker)
            .collect()
    }
}

pub(crate) fn audio_mid() -> Mid {
    "aud".into()
}

pub(crate) fn video_mid() -> Mid {
    "vid".into()
}

pub(crate) const fn local_audio(slot: u32) -> u32 {
    0xA000_0000 + slot
}

pub(crate) const fn local_video(slot: u32) -> u32 {
    0xB000_0000 + slot
}

/// Asserts that a stream never jumps: one SSRC, sequence numbers rising by one, timestamps rising
/// with the time that passed (within `slack`).
pub(crate) fn assert_continuous(heard: &[Heard], clock_rate_hz: u32, slack: Duration) {
    for pair in heard.windows(2) {
        let [before, after] = pair else { continue };
        assert_eq!(before.ssrc, after.ssrc);
        assert_eq!(
            after.sequence.wrapping_sub(before.sequence),
            1,
            "at {:?}",
            after.at
        );
        let passed = after.at.since(before.at);
        let ticks = after.timestamp.wrapping_sub(before.timestamp).cast_signed();
        let played = f64::from(ticks) / f64::from(clock_rate_hz);
        let apart = (played - passed.as_secs_f64()).abs();
        assert!(
            apart <= slack.as_secs_f64(),
            "{played} s of sound in {passed:?}"
        );
    }
}
