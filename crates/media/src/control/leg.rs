//! What is known of one leg, and of its anchors.

use ringtrip_model::{Generator, LegId, LegQuality, SdpAnswer, Time};

use crate::negotiate::{LocalSession, MadeOffer, NegotiateError, ReceivedOffer};
use crate::plan::{AnchorId, IceCredentials, RemotePlan, ShardCommand};

#[derive(Debug)]
pub(super) struct Leg {
    pub(super) shard: usize,
    pub(super) state: State,
    pub(super) partner: Option<LegId>,
    pub(super) held: bool,
    /// Anchors that were told to close.
    pub(super) leaving: Vec<Leaving>,
    /// Summed over the anchors that are gone.
    pub(super) quality: Option<LegQuality>,
    pub(super) deadline: Option<Time>,
}

#[derive(Debug)]
pub(super) enum State {
    /// The party's offer was read and waits for our answer.
    Offered(Box<ReceivedOffer>),
    /// The leg has an anchor, and perhaps one that shall take over.
    Open {
        main: Box<Anchor>,
        successor: Option<Box<Anchor>>,
    },
    /// The leg had an anchor, which its shard gave up unasked.
    Orphaned,
    /// All anchors were told to close. If `silent`, nobody waits for the last word.
    Closing { silent: bool },
}

#[derive(Debug)]
pub(super) struct Anchor {
    pub(super) id: AnchorId,
    /// The anchor it takes over from, which is gone as soon as this one is connected.
    pub(super) replaces: Option<AnchorId>,
    pub(super) local: LocalSession,
    pub(super) stage: Stage,
    pub(super) stalled: bool,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// Our offer is out.
    Offering(MadeOffer),
    /// Both halves are known.
    Agreed(Box<RemotePlan>),
}

#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) id: AnchorId,
    pub(super) replaces: Option<AnchorId>,
}

impl Leg {
    /// Returns which anchor another one of the leg takes over from.
    pub(super) fn replaced_by(&self, anchor: AnchorId) -> Option<AnchorId> {
        let leaving = self.leaving.iter().find(|leaving| leaving.id == anchor);
        leaving
            .map(|leaving| leaving.replaces)
            .or_else(|| match &self.state {
                State::Open { main, successor } => [Some(main), successor.as_ref()]
                    .into_iter()
                    .flatten()
                    .find(|open| open.id == anchor)
                    .map(|open| open.replaces),
                State::Offered(_) | State::Orphaned | State::Closing { .. } => None,
            })?
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    pub(super) const fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing { .. })
    }
}

/// What came of a renewed offer.
pub(super) struct Renewal {
    pub(super) answer: SdpAnswer,
    /// Nothing to do if the offer brought no new ICE credentials.
    pub(super) restart: Option<ShardCommand>,
}

impl Anchor {
    pub(super) const fn leaving(&self) -> Leaving {
        Leaving {
            id: self.id,
            replaces: self.replaces,
        }
    }

    pub(super) const fn is_offering(&self) -> bool {
        matches!(self.stage, Stage::Offering(_))
    }

    /// Answers a renewed offer, with new credentials if it brings new ones (RFC 8839 §4.4.1.1.1).
    pub(super) fn renew(
        &mut self,
        offer: &ReceivedOffer,
        rng: &mut Generator,
    ) -> Result<Renewal, NegotiateError> {
        let Stage::Agreed(plan) = &mut self.stage else {
            return Err(NegotiateError::OtherFingerprint);
        };
        let (ufrag, pwd) = offer.renews(plan)?;
        let mut restart = None;
        if ufrag != plan.ufrag || pwd != plan.pwd {
            let ice = IceCredentials::generate(self.id.slot, rng);
            self.local.ice = ice.clone();
            plan.ufrag.clone_from(&ufrag);
            plan.pwd = pwd;
            restart = Some(ShardCommand::Restart {
                anchor: self.id,
                ice,
                remote_ufrag: ufrag,
            });
        }
        self.local.version += 1;
        Ok(Renewal {
            answer: offer.answer_again(plan, &self.local),
            restart,
        })
    }
}

/// Joins what two anchors of a leg measured, one after the other: counts add up, the later one's
/// readings stand where it has any.
pub(super) fn merged(earlier: &LegQuality, later: &LegQuality) -> LegQuality {
    let reading = |earlier: u32, later: u32| if later == 0 { earlier } else { later };
    LegQuality {
        packets_sent: earlier.packets_sent.saturating_add(later.packets_sent),
        packets_received: earlier
            .packets_received
            .saturating_add(later.packets_received),
        bytes_sent: earlier.bytes_sent.saturating_add(later.bytes_sent),
        bytes_received: earlier.bytes_received.saturating_add(later.bytes_received),
        packets_lost: earlier.packets_lost.saturating_add(later.packets_lost),
        packets_lost_remote: earlier
            .packets_lost_remote
            .saturating_add(later.packets_lost_remote),
        jitter_us: reading(earlier.jitter_us, later.jitter_us),
        jitter_remote_us: reading(earlier.jitter_remote_us, later.jitter_remote_us),
        round_trip_us: later.round_trip_us.or(earlier.round_trip_us),
    }
}
