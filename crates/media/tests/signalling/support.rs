//! A `Control` at a desk: commands go in by leg name, what comes out is written as short lines.

use std::net::SocketAddr;
use std::sync::Arc;

use ringtrip_media::negotiate::LocalSession;
use ringtrip_media::plan::{
    AnchorId, Fingerprint, IceCredentials, RemotePlan, ShardCommand, ShardEvent,
};
use ringtrip_media::sdp::SessionDescription;
use ringtrip_media::{Control, ControlConfig, ControlOutput};
use ringtrip_model::{
    AudioCodec, Digit, Generator, LegId, LegQuality, MediaCommand, MediaEvent, NegotiatedMedia,
    SdpAnswer, SdpOffer, Time, VideoCodec,
};

/// Audio alone, in Opus.
pub(crate) const OPUS: NegotiatedMedia = NegotiatedMedia {
    audio: AudioCodec::Opus,
    video: None,
};
/// Opus with VP8.
pub(crate) const OPUS_VP8: NegotiatedMedia = NegotiatedMedia {
    audio: AudioCodec::Opus,
    video: Some(VideoCodec::Vp8),
};

/// Reads a description that a browser wrote.
pub(crate) fn fixture(name: &str) -> String {
    let path = format!("{}/tests/sdp/{name}.sdp", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

pub(crate) fn offer(name: &str) -> SdpOffer {
    SdpOffer(fixture(name))
}

/// Returns a session of ours with fixed names.
pub(crate) fn local() -> LocalSession {
    let mut rng = Generator::from_seed([5; 32]);
    let addresses: Arc<[SocketAddr]> = Arc::new([
        "127.0.0.1:3478".parse().unwrap(),
        "[fd00::1]:3478".parse().unwrap(),
    ]);
    let ice = IceCredentials::generate(7, &mut rng);
    LocalSession::generate(ice, Fingerprint([0xab; 32]), addresses, &mut rng)
}

/// The smallest offer a WebRTC endpoint could make; tests change what they are about.
pub(crate) fn small_offer() -> String {
    let fingerprint = ["CD"; 32].join(":");
    [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 110 126",
        "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuv",
        &format!("a=fingerprint:sha-256 {fingerprint}"),
        "a=setup:actpass",
        "a=mid:0",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:110 telephone-event/48000",
        "a=rtpmap:126 telephone-event/8000",
        "",
    ]
    .join("\r\n")
}

/// Parses an answer of ours.
pub(crate) fn parsed(text: &str) -> SessionDescription {
    SessionDescription::parse(text).unwrap()
}

pub(crate) struct Desk {
    pub(crate) control: Control,
    pub(crate) now: Time,
    /// The last description that came out.
    pub(crate) sdp: String,
    /// The last plan that a shard was given.
    pub(crate) plan: Option<RemotePlan>,
}

/// Names a leg by a letter.
pub(crate) fn leg(name: char) -> LegId {
    LegId::generate(&mut Generator::from_seed([name as u8; 32]))
}

/// Names an anchor as `slot.generation`.
pub(crate) fn anchor(slot: u32, generation: u32) -> AnchorId {
    AnchorId { slot, generation }
}

impl Desk {
    pub(crate) fn new(shards: u16, max_anchors_per_shard: u32) -> Self {
        let address = |i| vec![SocketAddr::from(([127, 0, 0, 1], 3478 + i))];
        let config = ControlConfig {
            shards: (0..shards).map(address).collect(),
            fingerprint: Fingerprint([0xab; 32]),
            max_anchors_per_shard,
        };
        let control = Control::new(config, Generator::from_seed([9; 32]));
        Self {
            control,
            now: Time::ZERO,
            sdp: String::new(),
            plan: None,
        }
    }

    pub(crate) fn command(&mut self, command: MediaCommand) -> Vec<String> {
        self.control.handle_command(command, self.now);
        self.drain()
    }

    pub(crate) fn shard(&mut self, event: ShardEvent) -> Vec<String> {
        self.control.handle_shard(0, event, self.now);
        self.drain()
    }

    pub(crate) fn connected(&mut self, slot: u32, generation: u32) -> Vec<String> {
        self.shard(ShardEvent::Connected {
            anchor: anchor(slot, generation),
        })
    }

    /// `sent` stands for all that was measured.
    pub(crate) fn closed(&mut self, slot: u32, generation: u32, sent: u64) -> Vec<String> {
        let quality = LegQuality {
            packets_sent: sent,
            ..LegQuality::default()
        };
        self.shard(ShardEvent::Closed {
            anchor: anchor(slot, generation),
            quality,
        })
    }

    pub(crate) fn read(&mut self, name: char, offer: &str) -> Vec<String> {
        self.command(MediaCommand::ReadOffer {
            leg: leg(name),
            offer: SdpOffer(offer.to_owned()),
        })
    }

    pub(crate) fn answer(&mut self, name: char, media: NegotiatedMedia) -> Vec<String> {
        self.command(MediaCommand::MakeAnswer {
            leg: leg(name),
            media,
        })
    }

    pub(crate) fn offer(&mut self, name: char, like: char) -> Vec<String> {
        self.command(MediaCommand::MakeOffer {
            leg: leg(name),
            like: leg(like),
            audio: vec![AudioCodec::Opus, AudioCodec::Pcmu],
            video: false,
        })
    }

    pub(crate) fn apply(&mut self, name: char, answer: &str) -> Vec<String> {
        let answer = SdpAnswer(answer.to_owned());
        self.command(MediaCommand::ApplyAnswer {
            leg: leg(name),
            answer,
        })
    }

    pub(crate) fn restart(&mut self, name: char, offer: &str) -> Vec<String> {
        self.command(MediaCommand::Restart {
            leg: leg(name),
            offer: SdpOffer(offer.to_owned()),
        })
    }

    pub(crate) fn close(&mut self, name: char) -> Vec<String> {
        self.command(MediaCommand::Close { leg: leg(name) })
    }

    pub(crate) fn bridge(&mut self, a: char, b: char) -> Vec<String> {
        self.command(MediaCommand::Bridge {
            a: leg(a),
            b: leg(b),
        })
    }

    pub(crate) fn hold(&mut self, name: char, held: bool) -> Vec<String> {
        self.command(MediaCommand::Hold {
            leg: leg(name),
            held,
        })
    }

    pub(crate) fn digit(&mut self, name: char, key: char) -> Vec<String> {
        let digit = Digit::from_char(key).unwrap();
        self.command(MediaCommand::SendDigit {
            leg: leg(name),
            digit,
        })
    }

    /// Brings `a` and `b` into a call: anchors 0.0 (`b`) and 1.0 (`a`), joined, both connected.
    pub(crate) fn call(&mut self) {
        self.read('a', &small_offer());
        self.offer('b', 'a');
        self.apply('b', &small_answer());
        self.answer('a', OPUS);
        self.bridge('a', 'b');
        self.connected(0, 0);
        self.connected(1, 0);
    }

    pub(crate) fn drain(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(output) = self.control.poll_output() {
            lines.push(match output {
                ControlOutput::Event(event) => self.event_line(event),
                ControlOutput::Shard { shard, command } => self.command_line(shard, command),
            });
        }
        lines
    }

    fn event_line(&mut self, event: MediaEvent) -> String {
        let name = ('a'..='z')
            .find(|&name| leg(name) == event.leg())
            .unwrap_or('?');
        let what = match event {
            MediaEvent::OfferRead { offered, .. } => format!("read {offered:?}"),
            MediaEvent::AnswerReady { answer, .. } => {
                self.sdp = answer.0;
                "answer".to_owned()
            }
            MediaEvent::OfferReady { offer, .. } => {
                self.sdp = offer.0;
                "offer".to_owned()
            }
            MediaEvent::AnswerApplied { media, .. } => format!("applied {:?}", media.audio),
            MediaEvent::Refused { failure, .. } => format!("refused {failure:?}"),
            MediaEvent::RestartReady { answer, .. } => {
                self.sdp = answer.0;
                "restart answer".to_owned()
            }
            MediaEvent::RestartRefused { .. } => "restart refused".to_owned(),
            MediaEvent::Connected { .. } => "connected".to_owned(),
            MediaEvent::Stalled { .. } => "stalled".to_owned(),
            MediaEvent::Resumed { .. } => "resumed".to_owned(),
            MediaEvent::Failed { failure, .. } => format!("failed {failure:?}"),
            MediaEvent::Digit { digit, .. } => format!("digit {}", digit.as_char()),
            MediaEvent::Closed { quality, .. } => match quality {
                Some(quality) => format!("closed {}", quality.packets_sent),
                None => "closed".to_owned(),
            },
        };
        format!("{name}: {what}")
    }

    fn command_line(&mut self, shard: usize, command: ShardCommand) -> String {
        let id = |anchor: AnchorId| format!("{}.{}", anchor.slot, anchor.generation);
        let what = match command {
            ShardCommand::Open {
                anchor,
                replaces,
                ice,
                ..
            } => {
                assert_eq!(ice.ufrag.len(), 12);
                let replaces = replaces
                    .map(|old| format!(" for {}", id(old)))
                    .unwrap_or_default();
                format!("open {}{replaces}", id(anchor))
            }
            ShardCommand::SetRemote { anchor, remote } => {
                self.plan = Some(*remote);
                format!("remote {}", id(anchor))
            }
            ShardCommand::Restart {
                anchor,
                remote_ufrag,
                ..
            } => {
                format!("restart {} {remote_ufrag}", id(anchor))
            }
            ShardCommand::Bridge { a, b } => format!("bridge {} {}", id(a), id(b)),
            ShardCommand::Hold { anchor, held } => format!("hold {} {held}", id(anchor)),
            ShardCommand::SendDigit { anchor, digit } => {
                format!("digit {} {}", id(anchor), digit.as_char())
            }
            ShardCommand::Close { anchor } => format!("close {}", id(anchor)),
        };
        format!("{shard}> {what}")
    }
}

/// Answers our offer of Opus and PCMU with Opus.
pub(crate) fn small_answer() -> String {
    small_offer()
        .replace("actpass", "active")
        .replace("SAVPF 111 0 110 126", "SAVPF 111 110")
}
