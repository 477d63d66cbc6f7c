//! One leg as its wire knows it: who began it, whether it is answered, which requests wait.

use std::collections::VecDeque;

use ringtrip_model::{
    CallerId, CustomHeader, Direction, HangupCause, LegCommand, LegEvent, LegId, SdpAnswer,
    SdpOffer,
};

use crate::message::{
    AnswerBody, AttachBody, ByeBody, CallBody, HoldBody, Refusal, RequestId, RingingBody,
    SpokenAction, TelnyxIds, UpdateBody,
};
use crate::session::Wire;

/// A live leg.
#[derive(Debug)]
pub(crate) struct Leg {
    id: LegId,
    name: String,
    client_state: Option<String>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The party called; its invite has its result.
    Calling,
    /// We called; the device rings.
    Ringing,
    /// The device's answer waits for [`LegCommand::Accepted`].
    Answering { request: Option<RequestId> },
    /// Both sides are connected.
    Active {
        direction: Direction,
        waiting: Waiting,
    },
}

/// What the party asked for in an answered call and the call has not decided yet.
#[derive(Debug, Default)]
struct Waiting {
    /// In the order of their [`LegCommand::Held`]s.
    holds: VecDeque<Hold>,
    /// Only the first is with the call, so that each result finds its request.
    updates: VecDeque<Update>,
    attach: Attach,
}

#[derive(Debug)]
struct Hold {
    /// None for a notification, or when the socket that asked is gone.
    request: Option<RequestId>,
    action: SpokenAction,
}

#[derive(Debug)]
struct Update {
    request: Option<RequestId>,
    /// The offer, until the call has it.
    offer: Option<SdpOffer>,
}

#[derive(Debug, Default)]
enum Attach {
    #[default]
    Idle,
    /// We sent `telnyx_rtc.attach`.
    Offered,
    /// The party's answer waits for [`LegCommand::Attached`].
    Answered { request: Option<RequestId> },
}

impl Leg {
    /// Begins the leg of a party that calls.
    pub(crate) const fn calling(id: LegId, name: String, client_state: Option<String>) -> Self {
        Self {
            id,
            name,
            client_state,
            state: State::Calling,
        }
    }

    /// Begins the leg of a device that is called. Its name is its id: the mobile SDKs want a UUID.
    pub(crate) fn ringing(id: LegId, client_state: Option<String>) -> Self {
        Self {
            id,
            name: id.to_string(),
            client_state,
            state: State::Ringing,
        }
    }

    pub(crate) const fn id(&self) -> LegId {
        self.id
    }

    /// Returns the callID, as the side that made it wrote it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn client_state(&self) -> Option<&str> {
        self.client_state.as_deref()
    }

    /// Tells whether a callID means this leg. UUIDs compare in either case.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        same_name(&self.name, name)
    }

    pub(crate) const fn is_answered(&self) -> bool {
        matches!(self.state, State::Active { .. })
    }

    /// Counts the requests that wait for an answer.
    pub(crate) fn outstanding(&self) -> usize {
        match &self.state {
            State::Calling | State::Ringing => 0,
            State::Answering { .. } => 1,
            State::Active { waiting, .. } => {
                let attach = usize::from(matches!(waiting.attach, Attach::Answered { .. }));
                waiting.holds.len() + waiting.updates.len() + attach
            }
        }
    }

    /// Returns the cause of a bye by the party itself. What the SDK says counts for nothing: it says
    /// `USER_BUSY` for every hang-up before answer.
    pub(crate) const fn own_cause(&self) -> HangupCause {
        match self.state {
            State::Calling => HangupCause::OriginatorCancel,
            State::Ringing | State::Answering { .. } => HangupCause::UserBusy,
            State::Active { .. } => HangupCause::NormalClearing,
        }
    }

    /// Takes the device's answer.
    pub(crate) fn answer(
        &mut self,
        request: Option<&RequestId>,
        answer: SdpAnswer,
        custom_headers: Vec<CustomHeader>,
    ) -> Result<LegEvent, Refusal> {
        match self.state {
            State::Ringing => {
                self.state = State::Answering {
                    request: request.cloned(),
                };
                Ok(LegEvent::Answered {
                    leg: self.id,
                    answer,
                    custom_headers,
                })
            }
            State::Calling | State::Answering { .. } | State::Active { .. } => {
                Err(Refusal::CallError)
            }
        }
    }

    /// Takes a wish to hold or to take back.
    pub(crate) fn hold(
        &mut self,
        request: Option<&RequestId>,
        action: SpokenAction,
        held: Option<bool>,
    ) -> Result<LegEvent, Refusal> {
        self.waiting()?.holds.push_back(Hold {
            request: request.cloned(),
            action,
        });
        Ok(LegEvent::HoldRequested { leg: self.id, held })
    }

    /// Takes an offer to restart media. Nothing is to be told while an earlier one is being decided.
    pub(crate) fn update(
        &mut self,
        request: Option<&RequestId>,
        offer: SdpOffer,
    ) -> Result<Option<LegEvent>, Refusal> {
        let leg = self.id;
        let updates = &mut self.waiting()?.updates;
        let (now, later) = if updates.is_empty() {
            (Some(offer), None)
        } else {
            (None, Some(offer))
        };
        updates.push_back(Update {
            request: request.cloned(),
            offer: later,
        });
        Ok(now.map(|offer| LegEvent::UpdateRequested { leg, offer }))
    }

    /// Takes the party's answer to our attach.
    pub(crate) fn attach(
        &mut self,
        request: Option<&RequestId>,
        answer: SdpAnswer,
    ) -> Result<LegEvent, Refusal> {
        let leg = self.id;
        let attach = &mut self.waiting()?.attach;
        match attach {
            Attach::Offered => {
                *attach = Attach::Answered {
                    request: request.cloned(),
                };
                Ok(LegEvent::AttachAnswered { leg, answer })
            }
            Attach::Idle | Attach::Answered { .. } => Err(Refusal::CallError),
        }
    }

    fn waiting(&mut self) -> Result<&mut Waiting, Refusal> {
        match &mut self.state {
            State::Active { waiting, .. } => Ok(waiting),
            State::Calling | State::Ringing | State::Answering { .. } => Err(Refusal::NotAnswered),
        }
    }

    /// Lets go of the requests of a socket that is gone, or serves this session no more and is told
    /// so. What is with the call keeps its place, so that the call's next words still meet the
    /// requests they answer.
    pub(crate) fn lose_socket(&mut self, wire: &mut Wire<'_>) {
        let State::Active { waiting, .. } = &mut self.state else {
            return;
        };
        for hold in &mut waiting.holds {
            wire.refuse(hold.request.take().as_ref(), Refusal::CallError);
        }
        waiting.updates.retain_mut(|update| {
            wire.refuse(update.request.take().as_ref(), Refusal::CallError);
            update.offer.is_none()
        });
        if let Attach::Answered { request } = std::mem::take(&mut waiting.attach) {
            wire.refuse(request.as_ref(), Refusal::CallError);
        }
    }

    /// Does what the call says, but for [`LegCommand::Offer`] and [`LegCommand::Hangup`], which make
    /// and end a leg.
    pub(crate) fn handle_command(
        &mut self,
        command: LegCommand,
        own: &CallerId,
        wire: &mut Wire<'_>,
    ) {
        match command {
            LegCommand::Ringing {
                call,
                caller,
                callee,
                ..
            } => {
                if matches!(self.state, State::Calling) {
                    let ids = TelnyxIds::new(call, self.id);
                    wire.request(
                        "telnyx_rtc.ringing",
                        &RingingBody::new(&self.name, &caller, &callee, ids),
                    );
                }
            }
            LegCommand::Answer {
                call,
                answer,
                custom_headers,
                ..
            } => {
                if matches!(self.state, State::Calling) {
                    let ids = TelnyxIds::new(call, self.id);
                    wire.request(
                        "telnyx_rtc.answer",
                        &AnswerBody::new(&self.name, &answer.0, &custom_headers, ids),
                    );
                    self.state = State::Active {
                        direction: Direction::Outbound,
                        waiting: Waiting::default(),
                    };
                }
            }
            LegCommand::Accepted { .. } => self.accepted(wire),
            LegCommand::Held { held, .. } => self.held(held, wire),
            LegCommand::Updated { answer, .. } => self.updated(Some(answer), wire),
            LegCommand::UpdateRefused { .. } => self.updated(None, wire),
            LegCommand::Attach {
                call,
                offer,
                remote,
                ..
            } => {
                let State::Active { direction, waiting } = &mut self.state else {
                    return;
                };
                if !wire.is_open() {
                    return;
                }
                let shown = match direction {
                    Direction::Outbound => "inbound",
                    Direction::Inbound => "outbound",
                };
                // An attach answer that is still being decided belongs to the former offer.
                if let Attach::Answered { request } =
                    std::mem::replace(&mut waiting.attach, Attach::Offered)
                {
                    wire.refuse(request.as_ref(), Refusal::MediaError);
                }
                let ids = TelnyxIds::new(call, self.id);
                let state = self.client_state.as_deref();
                let body = AttachBody::new(&self.name, &offer.0, (&remote, own), shown, ids, state);
                wire.request("telnyx_rtc.attach", &body);
            }
            LegCommand::Attached { .. } => {
                let State::Active { waiting, .. } = &mut self.state else {
                    return;
                };
                if let Attach::Answered { request } = &waiting.attach {
                    let sessid = wire.sessid();
                    wire.result(
                        request.as_ref(),
                        &CallBody {
                            call_id: &self.name,
                            message: None,
                            sessid,
                        },
                    );
                    waiting.attach = Attach::Idle;
                }
            }
            LegCommand::Dtmf { digit, .. } => {
                if self.is_answered() {
                    wire.info(&self.name, digit);
                }
            }
            LegCommand::Offer { .. } | LegCommand::Hangup { .. } => {}
        }
    }

    fn accepted(&mut self, wire: &mut Wire<'_>) {
        let State::Answering { request } = &self.state else {
            return;
        };
        let body = CallBody {
            call_id: &self.name,
            message: Some("CALL ANSWERED"),
            sessid: wire.sessid(),
        };
        wire.result(request.as_ref(), &body);
        self.state = State::Active {
            direction: Direction::Inbound,
            waiting: Waiting::default(),
        };
    }

    fn held(&mut self, held: bool, wire: &mut Wire<'_>) {
        let State::Active { waiting, .. } = &mut self.state else {
            return;
        };
        if let Some(hold) = waiting.holds.pop_front() {
            let body = HoldBody::new(&self.name, hold.action.name(), held, wire.sessid());
            wire.result(hold.request.as_ref(), &body);
        }
    }

    fn updated(&mut self, answer: Option<SdpAnswer>, wire: &mut Wire<'_>) {
        let State::Active { waiting, .. } = &mut self.state else {
            return;
        };
        let Some(update) = waiting.updates.pop_front() else {
            return;
        };
        match answer {
            Some(answer) => {
                let action = SpokenAction::UpdateMedia.name();
                let body = UpdateBody {
                    call_id: &self.name,
                    action,
                    sdp: &answer.0,
                    sessid: wire.sessid(),
                };
                wire.result(update.request.as_ref(), &body);
            }
            None => wire.refuse(update.request.as_ref(), Refusal::MediaError),
        }
        if let Some(offer) = waiting
            .updates
            .front_mut()
            .and_then(|next| next.offer.take())
        {
            wire.tell(LegEvent::UpdateRequested {
                leg: self.id,
                offer,
            });
        }
    }

    /// Refuses what still waits, since the leg ends.
    pub(crate) fn refuse_waiting(&mut self, wire: &mut Wire<'_>) {
        match &mut self.state {
            State::Calling | State::Ringing => {}
            State::Answering { request } => {
                wire.refuse(request.take().as_ref(), Refusal::CallError)
            }
            State::Active { waiting, .. } => {
                let waiting = std::mem::take(waiting);
                let holds = waiting.holds.into_iter().map(|hold| hold.request);
                let updates = waiting.updates.into_iter().map(|update| update.request);
                let attach = match waiting.attach {
                    Attach::Idle | Attach::Offered => None,
                    Attach::Answered { request } => request,
                };
                for request in holds.chain(updates).chain([attach]) {
                    wire.refuse(request.as_ref(), Refusal::CallError);
                }
            }
        }
    }

    /// Tells the party that the leg is over.
    pub(crate) fn bye(&self, cause: HangupCause, wire: &mut Wire<'_>) {
        let body = ByeBody::new(&self.name, self.id, cause, self.client_state.as_deref());
        wire.request("telnyx_rtc.bye", &body);
    }
}

/// Tells whether two callIDs are the same.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    a == b || (a.eq_ignore_ascii_case(b) && a.parse::<LegId>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_uuids_compare_in_either_case() {
        let uuid = "c215ade3-0d39-418e-94be-c5f780760199";
        assert!(same_name(uuid, &uuid.to_uppercase()));
        assert!(same_name("call-a", "call-a"));
        assert!(!same_name("call-a", "CALL-A"));
    }
}
