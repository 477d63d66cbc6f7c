//! Offers and answers: read, written, applied, renewed.

use ringtrip_model::{LegId, MediaEvent, MediaFailure, NegotiatedMedia, SdpAnswer, SdpOffer};

use super::Control;
use super::leg::{Anchor, Leg, Renewal, Stage, State};
use crate::negotiate::{MadeOffer, NegotiateError, ReceivedOffer};
use crate::plan::ShardCommand;

/// Most anchors of one leg that may be closing at a time.
const MAX_LEAVING: usize = 8;

impl Control {
    pub(super) fn read_offer(&mut self, leg: LegId, text: &SdpOffer) {
        let offer = match ReceivedOffer::read(text) {
            Ok(offer) => offer,
            Err(error) => return self.refuse_description(leg, error),
        };
        let offered = offer.offered();
        let state = State::Offered(Box::new(offer));
        match self.legs.get_mut(&leg) {
            Some(Leg {
                state: known @ State::Offered(_),
                ..
            }) => *known = state,
            // A leg that speaks already renews its session by a restart, not by an offer.
            Some(entry) if entry.is_closing() => return,
            Some(_) => return self.refuse(leg, MediaFailure::BadDescription),
            None => {
                let Some(shard) = self.least_loaded_shard() else {
                    return self.refuse(leg, MediaFailure::Full);
                };
                self.add_leg(leg, shard, state);
            }
        }
        self.event(MediaEvent::OfferRead { leg, offered });
    }

    pub(super) fn make_answer(&mut self, leg: LegId, media: NegotiatedMedia) {
        let Some(entry) = self.legs.get(&leg) else {
            return self.refuse(leg, MediaFailure::BadDescription);
        };
        let shard = entry.shard;
        match &entry.state {
            State::Offered(_) => {}
            State::Closing { .. } => return,
            State::Open { .. } | State::Orphaned => {
                return self.refuse(leg, MediaFailure::BadDescription);
            }
        }
        let Some((id, local)) = self.new_anchor(leg, shard) else {
            return self.refuse(leg, MediaFailure::Full);
        };
        let Some(entry) = self.legs.get_mut(&leg) else {
            return;
        };
        let State::Offered(offer) = &entry.state else {
            return;
        };
        match offer.answer(media, &local) {
            Ok((answer, plan)) => {
                let ice = local.ice.clone();
                let stage = Stage::Agreed(Box::new(plan.clone()));
                let main = Box::new(Anchor {
                    id,
                    replaces: None,
                    local,
                    stage,
                    stalled: false,
                });
                entry.state = State::Open {
                    main,
                    successor: None,
                };
                self.command(
                    shard,
                    ShardCommand::Open {
                        anchor: id,
                        leg,
                        ice,
                        replaces: None,
                    },
                );
                let remote = Box::new(plan);
                self.command(shard, ShardCommand::SetRemote { anchor: id, remote });
                self.settle(leg);
                self.event(MediaEvent::AnswerReady { leg, answer });
            }
            Err(error) => {
                self.shards[shard].slots.release(id);
                self.refuse_description(leg, error);
            }
        }
    }

    pub(super) fn make_offer(&mut self, leg: LegId, like: LegId, offer: MadeOffer) {
        if self.legs.get(&leg).is_some_and(Leg::is_closing) {
            return;
        }
        let known = self.legs.get(&leg).map(|entry| entry.shard);
        // Both legs of a call live on one shard, which alone may be full.
        let shard = known.or_else(|| match self.legs.get(&like) {
            Some(like) => Some(like.shard).filter(|&shard| self.has_room(shard)),
            None => self.least_loaded_shard(),
        });
        let crowded = self
            .legs
            .get(&leg)
            .is_some_and(|entry| entry.leaving.len() >= MAX_LEAVING);
        let opened = shard.filter(|_| !crowded).and_then(|shard| {
            let (id, local) = self.new_anchor(leg, shard)?;
            Some((shard, id, local))
        });
        let Some((shard, id, local)) = opened else {
            return self.refuse(leg, MediaFailure::Full);
        };

        let text = offer.write(&local);
        let ice = local.ice.clone();
        let stage = Stage::Offering(offer);
        let mut anchor = Box::new(Anchor {
            id,
            replaces: None,
            local,
            stage,
            stalled: false,
        });
        let mut replaces = None;
        let mut given_up = None;
        match self.legs.get_mut(&leg) {
            None => {
                self.add_leg(
                    leg,
                    shard,
                    State::Open {
                        main: anchor,
                        successor: None,
                    },
                );
            }
            Some(entry) => match &mut entry.state {
                // What was never answered carries nothing that could be taken over.
                State::Open {
                    main,
                    successor: None,
                } if main.is_offering() => {
                    given_up = Some(main.leaving());
                    *main = anchor;
                }
                State::Open { main, successor } => {
                    replaces = Some(main.id);
                    anchor.replaces = replaces;
                    given_up = successor.replace(anchor).map(|older| older.leaving());
                }
                State::Offered(_) | State::Orphaned => {
                    entry.state = State::Open {
                        main: anchor,
                        successor: None,
                    };
                }
                State::Closing { .. } => return,
            },
        }
        if let Some(leaving) = given_up {
            self.leave(leg, leaving);
        }
        self.command(
            shard,
            ShardCommand::Open {
                anchor: id,
                leg,
                ice,
                replaces,
            },
        );
        if replaces.is_none() {
            self.settle(leg);
        }
        self.event(MediaEvent::OfferReady { leg, offer: text });
    }

    pub(super) fn apply_answer(&mut self, leg: LegId, answer: &SdpAnswer) {
        let latest = self.legs.get_mut(&leg).and_then(|entry| {
            let shard = entry.shard;
            match &mut entry.state {
                State::Open { main, successor } => {
                    Some((shard, successor.as_mut().unwrap_or(main)))
                }
                State::Offered(_) | State::Orphaned | State::Closing { .. } => None,
            }
        });
        let Some((shard, anchor)) = latest else {
            if !self.legs.get(&leg).is_some_and(Leg::is_closing) {
                self.refuse(leg, MediaFailure::BadDescription);
            }
            return;
        };
        let Stage::Offering(offer) = &anchor.stage else {
            return self.refuse(leg, MediaFailure::BadDescription);
        };
        match offer.apply(answer, &anchor.local) {
            Ok(plan) => {
                let media = plan.media();
                let id = anchor.id;
                anchor.stage = Stage::Agreed(Box::new(plan.clone()));
                self.set_deadline(leg, None);
                self.command(
                    shard,
                    ShardCommand::SetRemote {
                        anchor: id,
                        remote: Box::new(plan),
                    },
                );
                self.event(MediaEvent::AnswerApplied { leg, media });
            }
            Err(error) => self.refuse_description(leg, error),
        }
    }

    pub(super) fn restart(&mut self, leg: LegId, text: &SdpOffer) {
        let Some(entry) = self.legs.get_mut(&leg) else {
            return self.event(MediaEvent::RestartRefused { leg });
        };
        let shard = entry.shard;
        let result = match &mut entry.state {
            State::Open { main, successor } => ReceivedOffer::read(text).and_then(|offer| {
                // While a leg is re-attached its old path may still be restarted; the certificate
                // tells which of the two is meant.
                let anchors = [Some(main), successor.as_mut()].into_iter().flatten();
                let mut refusal = NegotiateError::OtherFingerprint;
                for anchor in anchors {
                    match anchor.renew(&offer, &mut self.rng) {
                        Ok(renewal) => return Ok(renewal),
                        Err(NegotiateError::OtherFingerprint) => {}
                        Err(error) => refusal = error,
                    }
                }
                Err(refusal)
            }),
            State::Closing { .. } => return,
            State::Offered(_) | State::Orphaned => Err(NegotiateError::OtherFingerprint),
        };
        match result {
            Ok(Renewal { answer, restart }) => {
                if let Some(command) = restart {
                    self.command(shard, command);
                }
                self.event(MediaEvent::RestartReady { leg, answer });
            }
            Err(error) => {
                log_refusal(leg, error);
                self.event(MediaEvent::RestartRefused { leg });
            }
        }
    }

    fn refuse_description(&mut self, leg: LegId, error: NegotiateError) {
        log_refusal(leg, error);
        self.refuse(leg, error.failure());
    }
}

/// Logs why a description was refused, without its text, which holds addresses and secrets.
fn log_refusal(leg: LegId, error: NegotiateError) {
    let reason: &dyn std::error::Error = &error;
    let source = reason.source().map(ToString::to_string).unwrap_or_default();
    tracing::info!(leg.id = %leg, %error, source, "the description of leg {leg} was refused");
}
