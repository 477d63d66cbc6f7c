//! Bytes as the script of a call.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ringtrip_model::{
    AccountId, AudioCodec, CallerId, CallingPreference, CredentialConnectionId, CustomHeader,
    Digit, Generator, HangupCause, LegEvent, LegId, LegParty, LegQuality, MediaCommand, MediaEvent,
    MediaFailure, MediaPolicy, NegotiatedMedia, NodeId, OfferedMedia, PermitRefusal, Route,
    SdpAnswer, SdpOffer, SessionId, Time, Timestamp, VideoCodec,
};

use crate::call::{Call, Output};
use crate::fuzz::Audit;
use crate::settings::Settings;

/// The most steps of one script.
const MAX_STEPS: usize = 2_000;

/// Reads a script byte by byte; zeroes follow its end.
struct Script<'a>(std::slice::Iter<'a, u8>);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let at = usize::from(self.byte());
        if from.is_empty() {
            None
        } else {
            from.get(at % from.len()).copied()
        }
    }
}

struct Stage<'a> {
    script: Script<'a>,
    call: Call,
    audit: Audit,
    now: Time,
    /// What somebody owes the call.
    owed: VecDeque<Output>,
    /// What the device's side of the media engine would pick.
    favourite: AudioCodec,
    route: Route,
    transcript: Vec<Output>,
}

/// Plays `bytes` as a call's life and returns everything the call put out: equal bytes, equal output.
///
/// # Panics
/// Panics when the call breaks a rule of [`Audit`], or does not end.
pub fn play(bytes: &[u8]) -> Vec<Output> {
    let mut script = Script(bytes.iter());
    let mut rng = Generator::from_seed([script.byte(); 32]);
    let caller_account = AccountId::generate(&mut rng);
    let callee_account = if script.flag() {
        AccountId::generate(&mut rng)
    } else {
        caller_account
    };
    let session = SessionId::generate(&mut rng);
    let mut devices: Vec<_> = (0..script.byte() % 6)
        .map(|_| SessionId::generate(&mut rng))
        .collect();
    if script.flag() {
        devices.push(session);
    }
    let policy = |bits: u8| MediaPolicy {
        audio: AudioCodec::ALL
            .into_iter()
            .enumerate()
            .filter(|(i, _)| bits >> i & 1 == 0)
            .map(|(_, c)| c)
            .collect(),
        video: bits & 16 == 0,
    };
    let party = |account, policy| LegParty {
        account,
        connection: CredentialConnectionId::from_i64(1),
        credential: None,
        user: "party".to_owned(),
        policy,
        ring_timeout_secs: 60,
    };
    let route = match script.byte() % 16 {
        0 => Route::Unknown,
        1 => Route::Unavailable,
        kind => Route::User {
            party: party(callee_account, policy(script.byte())),
            enabled: kind != 2,
            preference: if kind < 5 {
                CallingPreference::Internal
            } else {
                CallingPreference::Unrestricted
            },
            devices,
        },
    };
    let incoming = LegEvent::Incoming {
        leg: LegId::generate(&mut rng),
        session,
        party: party(caller_account, policy(script.byte())),
        destination: if script.byte() == 7 {
            "+15550100".to_owned()
        } else {
            "bob".to_owned()
        },
        caller: CallerId::default(),
        offer: SdpOffer(String::new()),
        protocol_call_id: "a".to_owned(),
        custom_headers: Vec::new(),
        client_state: None,
    };
    let settings = Arc::new(Settings::new(
        NodeId(1),
        Timestamp::from_secs(1_790_000_000),
        Vec::new(),
    ));
    let now = Time::from_secs(1);
    let call = Call::incoming(incoming, &settings, rng, now).expect("the event is an incoming leg");
    let audit = Audit::new(&call);
    let mut stage = Stage {
        script,
        call,
        audit,
        now,
        owed: VecDeque::new(),
        favourite: AudioCodec::Opus,
        route,
        transcript: Vec::new(),
    };
    stage.drain();
    stage.begin();
    for _ in 0..MAX_STEPS {
        if stage.script.0.len() == 0 {
            break;
        }
        stage.step();
    }
    stage.finish();
    stage.transcript
}

impl Stage<'_> {
    fn drain(&mut self) {
        loop {
            self.audit.check_last_words(&self.call, self.now);
            let Some(output) = self.call.poll_output() else {
                break;
            };
            self.audit.note_output(&output);
            let is_question = match &output {
                Output::Media(command) => match command {
                    MediaCommand::Bridge { .. }
                    | MediaCommand::Hold { .. }
                    | MediaCommand::SendDigit { .. } => false,
                    MediaCommand::ReadOffer { .. }
                    | MediaCommand::MakeAnswer { .. }
                    | MediaCommand::MakeOffer { .. }
                    | MediaCommand::ApplyAnswer { .. }
                    | MediaCommand::Restart { .. }
                    | MediaCommand::Close { .. } => true,
                },
                Output::NeedRoute(_) | Output::NeedPermit(_) | Output::Persist(_) => true,
                Output::Leg(_)
                | Output::Release { .. }
                | Output::Forget { .. }
                | Output::Event(_)
                | Output::Record(_) => false,
            };
            if let Output::Media(MediaCommand::MakeOffer { audio, .. }) = &output {
                self.favourite = audio[0];
            }
            if is_question {
                self.owed.push_back(output.clone());
            }
            self.transcript.push(output);
        }
        self.audit.check_settled();
    }

    /// Plays the opening well, as far as the script wants: most of a call's states lie behind it.
    fn begin(&mut self) {
        let chapter = self.script.byte() % 4;
        if chapter == 0 {
            return;
        }
        self.serve_all();
        let Some(device) = self.call.legs().nth(1) else {
            return;
        };
        self.leg(LegEvent::Ringing { leg: device });
        if chapter == 1 {
            return;
        }
        self.leg(LegEvent::Answered {
            leg: device,
            answer: SdpAnswer(String::new()),
            custom_headers: Vec::new(),
        });
        if chapter == 3 {
            self.serve_all();
            for leg in self.audit.alive() {
                self.media(MediaEvent::Connected { leg });
            }
        }
    }

    fn serve_all(&mut self) {
        while !self.owed.is_empty() {
            self.serve(true);
        }
    }

    fn step(&mut self) {
        match self.script.byte() % 32 {
            // Whoever owes something delivers, mostly well.
            0..=12 => self.serve(true),
            13 => self.serve(false),
            14 => {
                if let Some(output) = self.owed.pop_front() {
                    self.owed.push_back(output);
                }
            }
            15..=21 => self.leg_event(),
            22 | 23 => self.media_event(),
            24 => self.lookup_nonsense(),
            25..=27 => self.pass_some(),
            28 => self.pass(1_000),
            29 if self.script.byte() < 64 => self.pass(20_000),
            30 if self.script.byte() < 64 => {
                if let Some(due) = self.call.poll_timeout() {
                    self.now = self.now.max(due);
                    self.timeout();
                }
            }
            29 | 30 => self.serve(true),
            _ => {
                if self.script.byte() > 250 {
                    self.call
                        .abort(HangupCause::NormalTemporaryFailure, self.now);
                    self.drain();
                }
            }
        }
    }

    fn pass_some(&mut self) {
        let millis = u64::from(self.script.byte()) * 10;
        self.pass(millis);
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.timeout();
    }

    fn timeout(&mut self) {
        self.call.handle_timeout(self.now);
        self.drain();
        assert!(
            self.call.poll_timeout().is_none_or(|due| due > self.now),
            "a timer that does not run out"
        );
    }

    fn media(&mut self, event: MediaEvent) {
        self.audit.note_media_event(&event);
        self.call.handle_media(event, self.now);
        self.drain();
    }

    fn leg(&mut self, event: LegEvent) {
        self.audit.note_leg_event(&event);
        self.call.handle_leg(event, self.now);
        self.drain();
    }

    fn negotiated(&mut self) -> NegotiatedMedia {
        let audio = if self.script.byte() > 240 {
            AudioCodec::Pcma
        } else {
            self.favourite
        };
        NegotiatedMedia {
            audio,
            video: self.script.flag().then_some(VideoCodec::Vp8),
        }
    }

    fn failure(&mut self) -> MediaFailure {
        let all = [
            MediaFailure::BadDescription,
            MediaFailure::NoCommonCodec,
            MediaFailure::FingerprintMismatch,
            MediaFailure::DtlsFailed,
            MediaFailure::Full,
        ];
        self.script.pick(&all).unwrap_or(MediaFailure::Full)
    }

    fn serve(&mut self, well: bool) {
        let Some(output) = self.owed.pop_front() else {
            return;
        };
        match output {
            Output::Media(command) => {
                if let Some(event) = self.played(command, well) {
                    self.media(event);
                }
                return;
            }
            Output::NeedRoute(_) => {
                let route = if well {
                    self.route.clone()
                } else {
                    Route::Unavailable
                };
                self.call.handle_route(route, self.now);
            }
            Output::NeedPermit(_) => {
                let result = if well {
                    Ok(())
                } else {
                    Err(PermitRefusal::Node)
                };
                self.audit.note_permit(well);
                self.call.handle_permit(result, self.now);
            }
            Output::Persist(_) => {
                if well {
                    self.call.handle_persisted(self.now);
                }
            }
            Output::Leg(_)
            | Output::Release { .. }
            | Output::Forget { .. }
            | Output::Event(_)
            | Output::Record(_) => {}
        }
        self.drain();
    }

    fn played(&mut self, command: MediaCommand, well: bool) -> Option<MediaEvent> {
        Some(match command {
            MediaCommand::Close { leg } => MediaEvent::Closed {
                leg,
                quality: well.then(LegQuality::default),
            },
            MediaCommand::Restart { leg, .. } if well => MediaEvent::RestartReady {
                leg,
                answer: SdpAnswer(String::new()),
            },
            MediaCommand::Restart { leg, .. } => MediaEvent::RestartRefused { leg },
            MediaCommand::ReadOffer { leg, .. }
            | MediaCommand::MakeAnswer { leg, .. }
            | MediaCommand::MakeOffer { leg, .. }
            | MediaCommand::ApplyAnswer { leg, .. }
                if !well =>
            {
                MediaEvent::Refused {
                    leg,
                    failure: self.failure(),
                }
            }
            MediaCommand::ReadOffer { leg, .. } => {
                let offered = OfferedMedia {
                    audio: AudioCodec::ALL.to_vec(),
                    video: self.script.flag(),
                };
                MediaEvent::OfferRead { leg, offered }
            }
            MediaCommand::MakeAnswer { leg, .. } => MediaEvent::AnswerReady {
                leg,
                answer: SdpAnswer(String::new()),
            },
            MediaCommand::MakeOffer { leg, .. } => MediaEvent::OfferReady {
                leg,
                offer: SdpOffer(String::new()),
            },
            MediaCommand::ApplyAnswer { leg, .. } => MediaEvent::AnswerApplied {
                leg,
                media: self.negotiated(),
            },
            MediaCommand::Bridge { .. }
            | MediaCommand::Hold { .. }
            | MediaCommand::SendDigit { .. } => return None,
        })
    }

    fn leg_event(&mut self) {
        let legs: Vec<_> = self.call.legs().collect();
        let Some(leg) = self.script.pick(&legs) else {
            return;
        };
        let event = match self.script.byte() % 24 {
            0..=3 => LegEvent::Ringing { leg },
            4..=9 => {
                let header = CustomHeader {
                    name: "X-A".to_owned(),
                    value: "1".to_owned(),
                };
                LegEvent::Answered {
                    leg,
                    answer: SdpAnswer(String::new()),
                    custom_headers: vec![header],
                }
            }
            10 | 11 => {
                let held = [None, Some(true), Some(false)];
                LegEvent::HoldRequested {
                    leg,
                    held: self.script.pick(&held).flatten(),
                }
            }
            12 | 13 => LegEvent::UpdateRequested {
                leg,
                offer: SdpOffer(String::new()),
            },
            14 | 15 => {
                let digits = vec![Digit::from_event(self.script.byte() & 15).expect("below 16"); 3];
                LegEvent::Dtmf { leg, digits }
            }
            16 => LegEvent::Lost { leg },
            17 | 18 => LegEvent::Returned { leg },
            19..=21 => LegEvent::AttachAnswered {
                leg,
                answer: SdpAnswer(String::new()),
            },
            _ => match self.script.byte() {
                0..=29 => LegEvent::Hangup { leg, cause: None },
                30..=49 => LegEvent::Hangup {
                    leg,
                    cause: self.script.pick(&HangupCause::ALL),
                },
                _ => LegEvent::Returned { leg },
            },
        };
        self.leg(event);
    }

    /// What the media engine says of itself, and answers that nobody asked for.
    fn media_event(&mut self) {
        let mut legs: Vec<_> = self.call.legs().collect();
        legs.push(LegId::generate(&mut Generator::from_seed([9; 32])));
        let Some(leg) = self.script.pick(&legs) else {
            return;
        };
        let event = match self.script.byte() % 16 {
            0 | 1 => MediaEvent::Connected { leg },
            2 => MediaEvent::Stalled { leg },
            3 => MediaEvent::Resumed { leg },
            4 => MediaEvent::Failed { leg, failure: None },
            5 => MediaEvent::Failed {
                leg,
                failure: Some(self.failure()),
            },
            6 => MediaEvent::Digit {
                leg,
                digit: Digit::from_event(11).expect("below 16"),
            },
            7 => MediaEvent::OfferReady {
                leg,
                offer: SdpOffer(String::new()),
            },
            8 => MediaEvent::AnswerReady {
                leg,
                answer: SdpAnswer(String::new()),
            },
            9 => MediaEvent::AnswerApplied {
                leg,
                media: self.negotiated(),
            },
            10 => MediaEvent::Refused {
                leg,
                failure: self.failure(),
            },
            11 => MediaEvent::RestartReady {
                leg,
                answer: SdpAnswer(String::new()),
            },
            12 => MediaEvent::RestartRefused { leg },
            _ => MediaEvent::OfferRead {
                leg,
                offered: OfferedMedia {
                    audio: Vec::new(),
                    video: true,
                },
            },
        };
        self.media(event);
    }

    fn lookup_nonsense(&mut self) {
        match self.script.byte() % 3 {
            0 => self.call.handle_route(self.route.clone(), self.now),
            1 => {
                self.audit.note_permit(true);
                self.call.handle_permit(Ok(()), self.now);
            }
            _ => self.call.handle_persisted(self.now),
        }
        self.drain();
    }

    /// Everybody hangs up, nobody answers any more, and all timers run out.
    fn finish(&mut self) {
        for leg in self.audit.alive() {
            self.leg(LegEvent::Hangup { leg, cause: None });
        }
        for _ in 0..1_000 {
            let Some(due) = self.call.poll_timeout() else {
                break;
            };
            self.now = self.now.max(due);
            self.timeout();
        }
        self.audit.check_over(&self.call);
        // The dead stay dead.
        for leg in self.call.legs().collect::<Vec<_>>() {
            self.call.handle_leg(LegEvent::Returned { leg }, self.now);
            self.call
                .handle_media(MediaEvent::Closed { leg, quality: None }, self.now);
        }
        self.call.abort(HangupCause::NormalClearing, self.now);
        assert_eq!(self.call.poll_output(), None, "a call that is over goes on");
    }
}
