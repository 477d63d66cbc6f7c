//! What happens in a conversation: hold, keys, restarts, lost and returned signalling, dead media.

use ringtrip_model::{
    CallEventKind, Digit, HangupCause, LegCommand, LegId, MediaCommand, MediaFailure,
    NegotiatedMedia, SdpAnswer, SdpOffer,
};

use crate::ask::Ask;
use crate::call::{Call, MAX_DIGITS, State};
use crate::hangup::{Ending, cause_of_failure};
use crate::leg::{Active, Attach, Leg, LegState, Path};

impl Call {
    /// Returns the other leg of a conversation.
    fn far(&self, id: LegId) -> Option<LegId> {
        let State::Bridged { callee, .. } = self.state else {
            return None;
        };
        let caller = self.caller();
        if id == caller {
            Some(callee)
        } else if id == callee {
            Some(caller)
        } else {
            None
        }
    }

    fn active_mut(&mut self, id: LegId) -> Option<&mut Active> {
        self.leg_mut(id).and_then(Leg::active_mut)
    }

    /// Holds or takes back; before answer there is nothing to hold.
    pub(crate) fn hold(&mut self, id: LegId, wish: Option<bool>) {
        let Some(active) = self.active_mut(id) else {
            self.command(LegCommand::Held {
                leg: id,
                held: false,
            });
            return;
        };
        let held = wish.unwrap_or(!active.held);
        if active.held != held {
            active.held = held;
            self.media(MediaCommand::Hold { leg: id, held });
            self.tell(
                id,
                if held {
                    CallEventKind::Held
                } else {
                    CallEventKind::Unheld
                },
            );
        }
        self.command(LegCommand::Held { leg: id, held });
    }

    /// Carries keys that a party pressed out of band: as tones to whoever listens, and as they are.
    /// Keys before answer reach nobody.
    pub(crate) fn keys_pressed(&mut self, id: LegId, digits: &[Digit]) {
        let Some(far) = self.far(id) else {
            return;
        };
        for &digit in digits.iter().take(MAX_DIGITS) {
            self.tell(id, CallEventKind::Dtmf { digit });
            self.media(MediaCommand::SendDigit { leg: far, digit });
            self.command(LegCommand::Dtmf { leg: far, digit });
        }
    }

    /// Tells of a key that came as RFC 4733 events. The bridge relays those itself, so none are sent.
    pub(crate) fn key_heard(&mut self, id: LegId, digit: Digit) {
        let Some(far) = self.far(id) else {
            return;
        };
        self.tell(id, CallEventKind::Dtmf { digit });
        self.command(LegCommand::Dtmf { leg: far, digit });
    }

    /// Begins an ICE restart. One at a time: what comes on top is refused, each in its turn.
    pub(crate) fn restart(&mut self, id: LegId, offer: SdpOffer) {
        let Some(leg) = self.leg_mut(id) else {
            return;
        };
        let full = leg.asks.is_full();
        match leg.active_mut() {
            Some(Active {
                restart: Some(refusals),
                ..
            }) => *refusals = refusals.saturating_add(1),
            Some(active) if !full => {
                active.restart = Some(0);
                self.ask(id, Ask::Restart, MediaCommand::Restart { leg: id, offer });
            }
            Some(_) | None => self.command(LegCommand::UpdateRefused { leg: id }),
        }
    }

    /// The restart is answered, or refused.
    pub(crate) fn restart_done(&mut self, id: LegId, answer: Option<SdpAnswer>) {
        let Some(refusals) = self.active_mut(id).and_then(|active| active.restart.take()) else {
            return;
        };
        if let Some(answer) = answer {
            self.command(LegCommand::Updated { leg: id, answer });
            self.tell(id, CallEventKind::MediaRestarted);
        } else {
            self.command(LegCommand::UpdateRefused { leg: id });
        }
        for _ in 0..refusals {
            self.command(LegCommand::UpdateRefused { leg: id });
        }
    }

    /// The signalling path is gone. The leg's protocol side waits for it and ends the leg if need be.
    pub(crate) fn signalling_lost(&mut self, id: LegId) {
        if let Some(active) = self.active_mut(id)
            && !active.lost
        {
            active.lost = true;
            self.tell(id, CallEventKind::SignallingLost);
        }
    }

    /// The signalling path is back, and with it perhaps a page that lost its media: offer anew.
    pub(crate) fn signalling_returned(&mut self, id: LegId) {
        let Some(leg) = self.leg_mut(id) else {
            return;
        };
        match &mut leg.state {
            LegState::Active(active) => {
                active.lost = false;
                self.tell(id, CallEventKind::SignallingReturned);
                self.begin_attach(id);
            }
            LegState::Answering(answering) => {
                answering.returned = true;
                self.tell(id, CallEventKind::SignallingReturned);
            }
            LegState::Offered
            | LegState::Preparing
            | LegState::Dialing
            | LegState::Ringing
            | LegState::Ended(_) => {}
        }
    }

    /// Has a fresh offer made for a leg, with the codec that is frozen. An attempt under way is
    /// superseded; an offer that nobody has seen yet is as good as a fresh one.
    pub(crate) fn begin_attach(&mut self, id: LegId) {
        let Some(like) = self.far(id) else {
            return;
        };
        let give_up = self.now + self.settings.connect_timeout;
        let Some(leg) = self.leg_mut(id) else {
            return;
        };
        let full = leg.asks.is_full();
        let Some(active) = leg.active_mut() else {
            return;
        };
        let owed = match active.attach {
            Attach::Offering => return,
            Attach::Applying { owed } => owed,
            Attach::Idle | Attach::Offered | Attach::Applied => 0,
        };
        if let Path::Connecting { by } | Path::Dead { by } = &mut active.path {
            *by = give_up;
        }
        let media = active.media;
        active.attach = if full { Attach::Idle } else { Attach::Offering };
        leg.asks.supersede(Ask::ApplyAnswer);
        for _ in 0..owed {
            self.command(LegCommand::Attached { leg: id });
        }
        if !full {
            let (audio, video) = (vec![media.audio], media.video.is_some());
            self.ask(
                id,
                Ask::MakeOffer,
                MediaCommand::MakeOffer {
                    leg: id,
                    like,
                    audio,
                    video,
                },
            );
        }
    }

    /// There is no room for a fresh anchor.
    pub(crate) fn attach_impossible(&mut self, id: LegId) {
        if let Some(active) = self.active_mut(id)
            && active.attach == Attach::Offering
        {
            active.attach = Attach::Idle;
        }
    }

    /// The party answers an attach. An answer to an offer that is no longer the latest, or to none,
    /// changes nothing and is simply acknowledged.
    pub(crate) fn attach_answered(&mut self, id: LegId, answer: SdpAnswer) {
        match self.active_mut(id).map(|active| &mut active.attach) {
            Some(attach @ Attach::Offered) => {
                *attach = Attach::Applying { owed: 1 };
                self.ask(
                    id,
                    Ask::ApplyAnswer,
                    MediaCommand::ApplyAnswer { leg: id, answer },
                );
            }
            Some(Attach::Applying { owed }) => *owed = owed.saturating_add(1),
            Some(Attach::Idle | Attach::Offering | Attach::Applied) | None => {
                self.command(LegCommand::Attached { leg: id })
            }
        }
    }

    /// The answer to an attach can be used, if it keeps the codec: we do not transcode.
    pub(crate) fn attach_applied(&mut self, id: LegId, media: NegotiatedMedia) {
        let Some(active) = self.active_mut(id) else {
            return;
        };
        let Attach::Applying { owed } = active.attach else {
            return;
        };
        if media.audio != active.media.audio {
            self.leg_ends(id, Ending::Call(HangupCause::IncompatibleDestination));
            return;
        }
        active.attach = Attach::Applied;
        for _ in 0..owed {
            self.command(LegCommand::Attached { leg: id });
        }
        self.tell(id, CallEventKind::Attached);
    }

    /// ICE and DTLS are up.
    pub(crate) fn media_connected(&mut self, id: LegId) {
        if let Some(leg) = self.leg_mut(id) {
            leg.connected = true;
            if let Some(active) = leg.active_mut() {
                active.path = Path::Up;
                if active.attach == Attach::Applied {
                    active.attach = Attach::Idle;
                }
            }
            self.tell(id, CallEventKind::MediaConnected);
        }
    }

    /// Nothing arrives from the party.
    pub(crate) fn media_stalled(&mut self, id: LegId) {
        if let Some(active) = self.active_mut(id)
            && active.path == Path::Up
        {
            active.path = Path::Stalled;
            self.tell(id, CallEventKind::MediaStalled);
        }
    }

    /// Something arrives again.
    pub(crate) fn media_resumed(&mut self, id: LegId) {
        if let Some(active) = self.active_mut(id)
            && matches!(active.path, Path::Stalled | Path::Dead { .. })
        {
            active.path = Path::Up;
            self.tell(id, CallEventKind::MediaResumed);
        }
    }

    /// The path is dead for good. Silence gets one more chance while the party is away or about to
    /// re-attach; a security failure gets none.
    pub(crate) fn media_failed(&mut self, id: LegId, failure: Option<MediaFailure>) {
        if let Some(failure) = failure {
            self.leg_ends(id, Ending::Call(cause_of_failure(failure)));
            return;
        }
        let by = self.now + self.settings.connect_timeout;
        match self.active_mut(id) {
            Some(active) if active.lost || active.attach != Attach::Idle => {
                active.path = match active.path {
                    already @ Path::Dead { .. } => already,
                    Path::Connecting { .. } | Path::Up | Path::Stalled => Path::Dead { by },
                };
            }
            Some(_) | None => self.leg_ends(id, Ending::Call(HangupCause::RecoveryOnTimerExpire)),
        }
    }
}
