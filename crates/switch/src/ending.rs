//! How legs and calls end: one command, one closed anchor, one event and one record each.

use ringtrip_model::{
    CallEventKind, HangupCause, HangupSource, LegCommand, LegId, LegQuality, LegRecord,
    MediaCommand, Time,
};

use crate::call::{Call, Output, Permit, Snapshot, State};
use crate::hangup::Ending;
use crate::leg::{Ended, Filing, LegState, Role};
use crate::record::{End, Talk, record};

impl Call {
    /// Ends a leg, and then whatever cannot go on without it.
    pub(crate) fn leg_ends(&mut self, id: LegId, ending: Ending) {
        let Some(leg) = self.leg(id).filter(|leg| leg.is_alive()) else {
            return;
        };
        let role = leg.profile.role;
        let answered = leg.active().is_some();
        let (own, far, source) = (
            ending.own(role, answered),
            ending.far(role, answered),
            ending.source(role),
        );
        let tell_leg = matches!(ending, Ending::Call(_));
        self.end_leg(id, own, source, tell_leg);
        match (role, &mut self.state) {
            (Role::Caller, _) => self.end_all(far, far, source),
            (Role::Device, State::Dialing(race)) => {
                race.lose(id, far, source);
                self.race_on();
            }
            (Role::Device, State::Settling(settling)) if settling.winner == id => {
                self.end_all(far, HangupCause::LoseRace, source);
            }
            (Role::Device, State::Bridged { callee, .. }) if *callee == id => {
                self.end_all(far, far, source)
            }
            (
                Role::Device,
                State::Reading
                | State::Routing { .. }
                | State::Permitting { .. }
                | State::Settling(_)
                | State::Bridged { .. }
                | State::Ended,
            ) => {}
        }
    }

    /// Ends every leg that is alive, and with that the call.
    pub(crate) fn end_all(
        &mut self,
        caller: HangupCause,
        devices: HangupCause,
        source: HangupSource,
    ) {
        for index in 0..self.legs.len() {
            let leg = &self.legs[index];
            let cause = match leg.profile.role {
                Role::Caller => caller,
                Role::Device => devices,
            };
            self.end_leg(leg.id(), cause, source, true);
        }
        self.state = State::Ended;
    }

    /// Ends one leg that is alive: its command, its anchor, its event, its record.
    pub(crate) fn end_leg(
        &mut self,
        id: LegId,
        cause: HangupCause,
        source: HangupSource,
        tell_leg: bool,
    ) {
        let Some(at) = self
            .legs
            .iter()
            .position(|leg| leg.id() == id && leg.is_alive())
        else {
            return;
        };
        let leg = &self.legs[at];
        let (known, has_media) = (leg.is_known_outside(), leg.has_media);
        let talk = leg.active().map(|active| Talk {
            answered: active.answered,
            media: Some(active.media),
        });
        let end = End {
            at: self.now,
            cause,
            source,
        };
        let record = record(
            self.id,
            &self.settings,
            &self.introduction,
            &leg.profile,
            talk,
            end,
        );
        if tell_leg && known {
            self.command(LegCommand::Hangup { leg: id, cause });
        }
        if has_media {
            self.media(MediaCommand::Close { leg: id });
        }
        self.tell(id, CallEventKind::Hangup { cause, source });
        let filing = if has_media {
            let until = self.now + self.settings.close_timeout;
            Filing::Closing {
                record: Box::new(record),
                until,
            }
        } else {
            self.output(Output::Record(record));
            Filing::Recorded
        };
        let leg = &mut self.legs[at];
        leg.asks.clear();
        leg.state = LegState::Ended(Ended { filing });
    }

    /// Writes the record of an ended leg whose anchor is closed, or is not going to be.
    pub(crate) fn file(&mut self, id: LegId, quality: Option<LegQuality>) {
        let Some(LegState::Ended(ended)) = self.leg_mut(id).map(|leg| &mut leg.state) else {
            return;
        };
        if let Filing::Closing { record, .. } =
            std::mem::replace(&mut ended.filing, Filing::Recorded)
        {
            let record = LegRecord { quality, ..*record };
            self.output(Output::Record(record));
        }
    }

    pub(crate) fn leg_timeout(&mut self, index: usize) {
        let leg = &self.legs[index];
        let id = leg.id();
        let is_due = |due: Option<Time>| due.is_some_and(|due| due <= self.now);
        if !is_due(leg.due()) {
            return;
        }
        if !leg.is_alive() {
            self.file(id, None);
        } else if is_due(leg.asks.due()) {
            self.leg_ends(id, Ending::Call(HangupCause::NormalTemporaryFailure));
        } else {
            self.leg_ends(id, Ending::Call(HangupCause::RecoveryOnTimerExpire));
        }
    }

    pub(crate) fn all_filed(&self) -> bool {
        self.legs.iter().all(|leg| {
            matches!(
                leg.state,
                LegState::Ended(Ended {
                    filing: Filing::Recorded,
                    ..
                })
            )
        })
    }

    /// Gives back what an ended call still has.
    pub(crate) fn wind_up(&mut self) {
        let State::Ended = self.state else {
            return;
        };
        let give_back = match self.permit {
            Permit::Held => true,
            Permit::Asked { by } => by <= self.now,
            Permit::Unasked | Permit::Gone => false,
        };
        if give_back {
            self.permit = Permit::Gone;
            self.output(Output::Release { call: self.id });
        }
        if self.snapshot == Snapshot::Written && self.all_filed() {
            self.snapshot = Snapshot::Forgotten;
            self.output(Output::Forget { call: self.id });
        }
    }
}
