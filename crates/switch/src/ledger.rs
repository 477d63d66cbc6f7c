//! What the outside knows of a call, kept apart from the state machine for the day that breaks.

use std::sync::Arc;

use ringtrip_model::{
    CallEventKind, CallId, HangupCause, HangupSource, LegCommand, LegEvent, LegId, MediaCommand,
    NegotiatedMedia, Time,
};

use crate::call::Output;
use crate::event::History;
use crate::leg::{Profile, Role};
use crate::record::{End, Introduction, Talk, initiation, record};
use crate::settings::Settings;

/// Notes outputs as they are taken and events as they come, and nothing else.
#[derive(Debug)]
pub(crate) struct Ledger {
    call: CallId,
    settings: Arc<Settings>,
    introduction: Arc<Introduction>,
    legs: Vec<Entry>,
    /// What the caller's answer was made for.
    media: Option<NegotiatedMedia>,
    /// The number of the last event taken.
    last_event: u32,
    /// A permit was asked for and not given back.
    permit: bool,
    /// A snapshot was written and not forgotten.
    snapshot: bool,
}

/// One leg, as far as others know of it.
#[derive(Debug)]
struct Entry {
    profile: Arc<Profile>,
    /// Its protocol side carries it.
    alive: bool,
    /// The media engine carries it.
    anchored: bool,
    /// Others know of it.
    begun: bool,
    /// Its beginning is part of the history.
    told: bool,
    /// Its end is part of the history.
    ended: Option<End>,
    answered: Option<Time>,
    recorded: bool,
}

impl Ledger {
    /// Opens the ledger of a call.
    pub(crate) fn new(
        call: CallId,
        settings: Arc<Settings>,
        introduction: Arc<Introduction>,
    ) -> Self {
        Self {
            call,
            settings,
            introduction,
            legs: Vec::new(),
            media: None,
            last_event: 0,
            permit: false,
            snapshot: false,
        }
    }

    /// Notes a leg; nobody outside has heard of it, unless it is the caller's.
    pub(crate) fn open(&mut self, profile: Arc<Profile>) {
        let is_caller = profile.role == Role::Caller;
        self.legs.push(Entry {
            profile,
            alive: is_caller,
            anchored: false,
            begun: is_caller,
            told: false,
            ended: None,
            answered: None,
            recorded: false,
        });
    }

    fn entry(&mut self, leg: LegId) -> Option<&mut Entry> {
        self.legs.iter_mut().find(|entry| entry.profile.id == leg)
    }

    /// Notes an event before it is acted on.
    pub(crate) fn note_leg_event(&mut self, event: &LegEvent) {
        if let LegEvent::Hangup { leg, .. } = event
            && let Some(entry) = self.entry(*leg)
        {
            entry.alive = false;
        }
    }

    /// Notes the answer to a request for a place.
    pub(crate) fn note_permit(&mut self, granted: bool) {
        self.permit &= granted;
    }

    /// Notes an output as it is taken.
    pub(crate) fn note_output(&mut self, output: &Output) {
        match output {
            Output::Leg(command) => self.note_leg_command(command),
            Output::Media(command) => self.note_media_command(command),
            Output::Event(event) => {
                self.last_event = event.seq;
                let Some(entry) = event.leg.and_then(|leg| self.entry(leg)) else {
                    return;
                };
                entry.begun = true;
                entry.told = true;
                if let CallEventKind::Answered = event.kind {
                    entry.answered = Some(event.time);
                }
                if let CallEventKind::Hangup { cause, source } = event.kind {
                    entry.ended = Some(End {
                        at: event.time,
                        cause,
                        source,
                    });
                }
            }
            Output::Record(record) => {
                if let Some(entry) = self.entry(record.leg) {
                    entry.recorded = true;
                }
            }
            Output::NeedPermit(_) => self.permit = true,
            Output::Release { .. } => self.permit = false,
            Output::Persist(_) => self.snapshot = true,
            Output::Forget { .. } => self.snapshot = false,
            Output::NeedRoute(_) => {}
        }
    }

    fn note_leg_command(&mut self, command: &LegCommand) {
        let alive = match command {
            LegCommand::Offer { .. } => true,
            LegCommand::Hangup { .. } => false,
            LegCommand::Ringing { .. }
            | LegCommand::Answer { .. }
            | LegCommand::Accepted { .. }
            | LegCommand::Held { .. }
            | LegCommand::Updated { .. }
            | LegCommand::UpdateRefused { .. }
            | LegCommand::Attach { .. }
            | LegCommand::Attached { .. }
            | LegCommand::Dtmf { .. } => return,
        };
        if let Some(entry) = self.entry(command.leg()) {
            entry.alive = alive;
        }
    }

    fn note_media_command(&mut self, command: &MediaCommand) {
        let (leg, anchored) = match command {
            MediaCommand::ReadOffer { leg, .. } | MediaCommand::MakeOffer { leg, .. } => {
                (*leg, true)
            }
            MediaCommand::Close { leg } => (*leg, false),
            MediaCommand::MakeAnswer { media, .. } => {
                self.media = Some(*media);
                return;
            }
            MediaCommand::ApplyAnswer { .. }
            | MediaCommand::Restart { .. }
            | MediaCommand::Bridge { .. }
            | MediaCommand::Hold { .. }
            | MediaCommand::SendDigit { .. } => return,
        };
        if let Some(entry) = self.entry(leg) {
            entry.anchored = anchored;
        }
    }

    /// Returns what others must be told so that nothing of the call is left.
    pub(crate) fn last_words(&self, now: Time) -> Vec<Output> {
        let cause = HangupCause::NormalTemporaryFailure;
        let end = End {
            at: now,
            cause,
            source: HangupSource::Server,
        };
        let mut words = Vec::new();
        for entry in self.legs.iter().filter(|entry| entry.alive) {
            words.push(Output::Leg(LegCommand::Hangup {
                leg: entry.profile.id,
                cause,
            }));
        }
        for entry in self.legs.iter().filter(|entry| entry.anchored) {
            words.push(Output::Media(MediaCommand::Close {
                leg: entry.profile.id,
            }));
        }
        let mut history = History::after(self.last_event);
        for entry in self
            .legs
            .iter()
            .filter(|entry| entry.begun && entry.ended.is_none())
        {
            let mut tell = |kind| {
                let event = history.next(self.call, Some(entry.profile.id), now, kind);
                words.push(Output::Event(event));
            };
            if !entry.told {
                let initiation = initiation(&self.introduction, &entry.profile, None);
                tell(CallEventKind::Initiated(Box::new(initiation)));
            }
            tell(CallEventKind::Hangup {
                cause,
                source: HangupSource::Server,
            });
        }
        for entry in self
            .legs
            .iter()
            .filter(|entry| entry.begun && !entry.recorded)
        {
            let talk = entry.answered.map(|answered| Talk {
                answered,
                media: self.media,
            });
            let end = entry.ended.unwrap_or(end);
            let record = record(
                self.call,
                &self.settings,
                &self.introduction,
                &entry.profile,
                talk,
                end,
            );
            words.push(Output::Record(record));
        }
        if self.permit {
            words.push(Output::Release { call: self.call });
        }
        if self.snapshot {
            words.push(Output::Forget { call: self.call });
        }
        words
    }
}
