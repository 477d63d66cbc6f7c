//! A desk around one call: it plays look-ups and the media engine, keeps what the call put out, and
//! lets an audit watch.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for the few outputs it is about"
)]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test file uses its own part of the desk"
)]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ringtrip_model::*;
use ringtrip_switch::fuzz::Audit;
use ringtrip_switch::{Call, Output, Settings};

/// What every leg's anchor is said to have measured.
pub const QUALITY: LegQuality = LegQuality {
    packets_sent: 7,
    packets_received: 8,
    bytes_sent: 70,
    bytes_received: 80,
    packets_lost: 1,
    packets_lost_remote: 2,
    jitter_us: 300,
    jitter_remote_us: 400,
    round_trip_us: Some(5_000),
};
/// The calendar time of `Time::ZERO`.
pub const STARTED_AT: Timestamp = Timestamp::from_secs(1_790_000_000);

pub fn rng(seed: u8) -> Generator {
    Generator::from_seed([seed; 32])
}

pub fn policy(names: &[&str]) -> MediaPolicy {
    MediaPolicy::from_codec_names(names.iter().copied())
}

pub fn party(user: &str, account: u8, codecs: &[&str]) -> LegParty {
    LegParty {
        account: AccountId::generate(&mut rng(account)),
        connection: CredentialConnectionId::from_i64(1_000 + i64::from(account)),
        credential: Some(TelephonyCredentialId::generate(&mut rng(account))),
        user: user.to_owned(),
        policy: policy(codecs),
        ring_timeout_secs: 90,
    }
}

pub fn session(n: u8) -> SessionId {
    SessionId::generate(&mut rng(100 + n))
}

/// What the call meets; change it before [`Desk::dial`].
pub struct Scene {
    pub caller: LegParty,
    pub callee: LegParty,
    pub destination: String,
    pub shown: CallerId,
    pub headers: Vec<CustomHeader>,
    pub client_state: Option<String>,
    pub offered: OfferedMedia,
    pub devices: Vec<SessionId>,
    pub enabled: bool,
    pub preference: CallingPreference,
    /// Replaces the route made of the above.
    pub route: Option<Route>,
    pub permit: Result<(), PermitRefusal>,
    pub settings: Settings,
}

const CODECS: [&str; 5] = ["OPUS", "G722", "G711U", "G711A", "VP8"];

impl Default for Scene {
    fn default() -> Self {
        Self {
            caller: party("alice", 1, &CODECS),
            callee: party("bob", 1, &CODECS),
            destination: "bob".to_owned(),
            shown: CallerId {
                name: "Alice".to_owned(),
                number: "+15550100".to_owned(),
            },
            headers: Vec::new(),
            client_state: None,
            offered: OfferedMedia {
                audio: AudioCodec::ALL.to_vec(),
                video: false,
            },
            devices: vec![session(1)],
            enabled: true,
            preference: CallingPreference::Disabled,
            route: None,
            permit: Ok(()),
            settings: Settings::new(NodeId(3), STARTED_AT, vec!["sip.telnyx.com".to_owned()]),
        }
    }
}

impl Scene {
    pub fn devices(count: u8) -> Self {
        Self {
            devices: (1..=count).map(session).collect(),
            ..Self::default()
        }
    }

    pub fn dial(self) -> Desk {
        Desk::dial(self)
    }
}

pub struct Desk {
    pub call: Call,
    pub audit: Audit,
    pub now: Time,
    pub scene: Scene,
    /// The caller's leg.
    pub a: LegId,
    /// Everything the call put out.
    pub log: Vec<Output>,
    /// What has not been looked at by [`Desk::fresh`].
    seen: usize,
    /// Whether questions are answered at once.
    pub auto: bool,
    /// Questions not answered yet.
    pub owed: VecDeque<Output>,
    /// Set to let the engine pick something else than the first codec offered to a device.
    pub picks: Option<AudioCodec>,
    /// Whether devices accept video that is offered.
    pub takes_video: bool,
    offers: Vec<(LegId, Vec<AudioCodec>, bool)>,
}

impl Desk {
    /// Places the call and plays along.
    pub fn dial(scene: Scene) -> Self {
        Self::place(scene, true)
    }

    /// Places the call and lets everybody it asks keep silent.
    pub fn silent(scene: Scene) -> Self {
        Self::place(scene, false)
    }

    fn place(scene: Scene, auto: bool) -> Self {
        let a = LegId::generate(&mut rng(50));
        let event = LegEvent::Incoming {
            leg: a,
            session: session(0),
            party: scene.caller.clone(),
            destination: scene.destination.clone(),
            caller: scene.shown.clone(),
            offer: SdpOffer("offer of a".to_owned()),
            protocol_call_id: "call-of-a".to_owned(),
            custom_headers: scene.headers.clone(),
            client_state: scene.client_state.clone(),
        };
        let now = Time::from_secs(10);
        let call = Call::incoming(event, &Arc::new(scene.settings.clone()), rng(60), now)
            .expect("an incoming leg");
        let audit = Audit::new(&call);
        let mut desk = Self {
            call,
            audit,
            now,
            scene,
            a,
            log: Vec::new(),
            seen: 0,
            auto,
            owed: VecDeque::new(),
            picks: None,
            takes_video: true,
            offers: Vec::new(),
        };
        desk.drain();
        desk
    }

    /// Takes all outputs and, if `auto`, answers what is asked.
    pub fn drain(&mut self) {
        loop {
            self.audit.check_last_words(&self.call, self.now);
            if let Some(output) = self.call.poll_output() {
                self.audit.note_output(&output);
                self.log.push(output.clone());
                if is_question(&output) {
                    self.owed.push_back(output);
                }
            } else if self.auto && !self.owed.is_empty() {
                self.serve_quietly();
            } else {
                break;
            }
        }
        self.audit.check_settled();
    }

    /// Answers the oldest question.
    pub fn serve(&mut self) {
        self.serve_quietly();
        self.drain();
    }

    /// Answers all questions, and those that follow.
    pub fn serve_all(&mut self) {
        while !self.owed.is_empty() {
            self.serve();
        }
    }

    /// Answers the oldest question about a leg with a refusal.
    pub fn refuse(&mut self, leg: LegId, failure: MediaFailure) {
        let at = self
            .owed
            .iter()
            .position(|o| matches!(o, Output::Media(c) if leg_of(c) == leg))
            .expect("the leg has a question");
        self.owed.remove(at);
        self.media(MediaEvent::Refused { leg, failure });
    }

    fn serve_quietly(&mut self) {
        match self.owed.pop_front().expect("somebody was asked") {
            Output::NeedRoute(_) => {
                let route = self.scene.route.clone().unwrap_or(Route::User {
                    party: self.scene.callee.clone(),
                    enabled: self.scene.enabled,
                    preference: self.scene.preference,
                    devices: self.scene.devices.clone(),
                });
                self.call.handle_route(route, self.now);
            }
            Output::NeedPermit(_) => {
                self.audit.note_permit(self.scene.permit.is_ok());
                self.call.handle_permit(self.scene.permit, self.now);
            }
            Output::Persist(_) => self.call.handle_persisted(self.now),
            Output::Media(command) => {
                let event = self.played(command);
                self.audit.note_media_event(&event);
                self.call.handle_media(event, self.now);
            }
            other => panic!("{other:?} is no question"),
        }
    }

    fn played(&mut self, command: MediaCommand) -> MediaEvent {
        match command {
            MediaCommand::ReadOffer { leg, .. } => MediaEvent::OfferRead {
                leg,
                offered: self.scene.offered.clone(),
            },
            MediaCommand::MakeAnswer { leg, .. } => MediaEvent::AnswerReady {
                leg,
                answer: SdpAnswer("answer for a".to_owned()),
            },
            MediaCommand::MakeOffer {
                leg, audio, video, ..
            } => {
                self.offers.push((leg, audio, video));
                MediaEvent::OfferReady {
                    leg,
                    offer: SdpOffer(format!("offer {}", self.offers.len())),
                }
            }
            MediaCommand::ApplyAnswer { leg, answer } => {
                if answer.0 == "unusable" {
                    return MediaEvent::Refused {
                        leg,
                        failure: MediaFailure::NoCommonCodec,
                    };
                }
                let (_, audio, video) = self
                    .offers
                    .iter()
                    .rev()
                    .find(|(of, ..)| *of == leg)
                    .expect("an answer follows an offer");
                let audio = self.picks.unwrap_or(audio[0]);
                let video = (*video && self.takes_video).then_some(VideoCodec::Vp8);
                MediaEvent::AnswerApplied {
                    leg,
                    media: NegotiatedMedia { audio, video },
                }
            }
            MediaCommand::Restart { leg, offer } if offer.0 == "unusable" => {
                MediaEvent::RestartRefused { leg }
            }
            MediaCommand::Restart { leg, .. } => MediaEvent::RestartReady {
                leg,
                answer: SdpAnswer("restarted".to_owned()),
            },
            MediaCommand::Close { leg } => MediaEvent::Closed {
                leg,
                quality: Some(QUALITY),
            },
            other => panic!("{other:?} is no question"),
        }
    }

    pub fn leg(&mut self, event: LegEvent) {
        self.audit.note_leg_event(&event);
        self.call.handle_leg(event, self.now);
        self.drain();
    }

    pub fn media(&mut self, event: MediaEvent) {
        self.audit.note_media_event(&event);
        self.call.handle_media(event, self.now);
        self.drain();
    }

    pub fn ring(&mut self, leg: LegId) {
        self.leg(LegEvent::Ringing { leg });
    }

    pub fn answer(&mut self, leg: LegId) {
        self.answer_with(leg, "answer");
    }

    pub fn answer_with(&mut self, leg: LegId, sdp: &str) {
        let header = CustomHeader {
            name: "X-From-Callee".to_owned(),
            value: "1".to_owned(),
        };
        self.leg(LegEvent::Answered {
            leg,
            answer: SdpAnswer(sdp.to_owned()),
            custom_headers: vec![header],
        });
    }

    pub fn hang_up(&mut self, leg: LegId) {
        self.leg(LegEvent::Hangup { leg, cause: None });
    }

    /// Lets time pass, with every timer on the way.
    pub fn pass(&mut self, secs: u64) {
        let until = self.now + Duration::from_secs(secs);
        while let Some(due) = self.call.poll_timeout().filter(|due| *due <= until) {
            assert!(due > self.now, "a timer that does not run out");
            self.now = due;
            self.call.handle_timeout(due);
            self.drain();
        }
        self.now = until;
        self.call.handle_timeout(until);
        self.drain();
    }

    /// The devices' legs in the order they were dialled.
    pub fn b(&self) -> Vec<LegId> {
        self.call.legs().skip(1).collect()
    }

    /// Rings and answers the first device, media up on both sides; returns its leg.
    pub fn bridge(&mut self) -> LegId {
        let b = self.b()[0];
        self.ring(b);
        self.answer(b);
        self.media(MediaEvent::Connected { leg: self.a });
        self.media(MediaEvent::Connected { leg: b });
        self.fresh();
        b
    }

    /// What the call put out since the last look.
    pub fn fresh(&mut self) -> Vec<Output> {
        let fresh = self.log[self.seen..].to_vec();
        self.seen = self.log.len();
        fresh
    }

    /// The commands to a leg's protocol side since the last look.
    pub fn fresh_commands(&mut self) -> Vec<LegCommand> {
        self.fresh()
            .into_iter()
            .filter_map(|o| {
                if let Output::Leg(c) = o {
                    Some(c)
                } else {
                    None
                }
            })
            .collect()
    }

    pub fn commands(&self) -> impl Iterator<Item = &LegCommand> {
        self.log.iter().filter_map(|o| {
            if let Output::Leg(c) = o {
                Some(c)
            } else {
                None
            }
        })
    }

    pub fn media_commands(&self) -> impl Iterator<Item = &MediaCommand> {
        self.log.iter().filter_map(|o| {
            if let Output::Media(c) = o {
                Some(c)
            } else {
                None
            }
        })
    }

    pub fn events(&self) -> impl Iterator<Item = &CallEvent> {
        self.log.iter().filter_map(|o| {
            if let Output::Event(e) = o {
                Some(e)
            } else {
                None
            }
        })
    }

    pub fn records(&self) -> impl Iterator<Item = &LegRecord> {
        self.log.iter().filter_map(|o| {
            if let Output::Record(r) = o {
                Some(r)
            } else {
                None
            }
        })
    }

    /// The cause a leg's protocol side was told, if it was.
    pub fn told(&self, leg: LegId) -> Option<HangupCause> {
        self.commands().find_map(|c| match c {
            LegCommand::Hangup { leg: of, cause } if *of == leg => Some(*cause),
            _ => None,
        })
    }

    pub fn record(&self, leg: LegId) -> &LegRecord {
        self.records()
            .find(|r| r.leg == leg)
            .expect("the leg has a record")
    }

    /// The cause and source of a leg's record.
    pub fn end(&self, leg: LegId) -> (HangupCause, HangupSource) {
        let record = self.record(leg);
        (record.cause, record.source)
    }

    pub fn happened(&self, leg: LegId, kind: &CallEventKind) -> usize {
        self.events()
            .filter(|e| e.leg == Some(leg) && e.kind == *kind)
            .count()
    }

    /// Checks that nothing is left.
    pub fn over(&self) {
        self.audit.check_over(&self.call);
    }
}

fn is_question(output: &Output) -> bool {
    match output {
        Output::Media(command) => !matches!(
            command,
            MediaCommand::Bridge { .. }
                | MediaCommand::Hold { .. }
                | MediaCommand::SendDigit { .. }
        ),
        Output::NeedRoute(_) | Output::NeedPermit(_) | Output::Persist(_) => true,
        Output::Leg(_)
        | Output::Release { .. }
        | Output::Forget { .. }
        | Output::Event(_)
        | Output::Record(_) => false,
    }
}

fn leg_of(command: &MediaCommand) -> LegId {
    match command {
        MediaCommand::ReadOffer { leg, .. }
        | MediaCommand::MakeAnswer { leg, .. }
        | MediaCommand::MakeOffer { leg, .. }
        | MediaCommand::ApplyAnswer { leg, .. }
        | MediaCommand::Restart { leg, .. }
        | MediaCommand::Bridge { a: leg, .. }
        | MediaCommand::Hold { leg, .. }
        | MediaCommand::SendDigit { leg, .. }
        | MediaCommand::Close { leg } => *leg,
    }
}
