//! One party's side of a call.
//!
//! Calling: `Offered → Ringing → Active → Ended`. Called: `Preparing → Dialing → Ringing → Answering
//! → Active → Ended`. Any state may end.

use std::sync::Arc;

use ringtrip_model::{
    CustomHeader, Direction, LegId, LegParty, LegRecord, NegotiatedMedia, SdpAnswer, SessionId,
    Time,
};

use crate::ask::Asks;

/// Which side of the call a leg is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The party placed the call.
    Caller,
    /// One of the devices we called.
    Device,
}

impl Role {
    /// Returns the direction as the party sees it.
    pub(crate) const fn direction(self) -> Direction {
        match self {
            Self::Caller => Direction::Outbound,
            Self::Device => Direction::Inbound,
        }
    }
}

/// Who a leg is: fixed from its beginning to its record.
#[derive(Debug)]
pub(crate) struct Profile {
    /// The leg.
    pub(crate) id: LegId,
    /// Its side.
    pub(crate) role: Role,
    /// The session that carries it.
    pub(crate) session: SessionId,
    /// Its party; devices of one user share it.
    pub(crate) party: Arc<LegParty>,
    /// The protocol's own name of the leg.
    pub(crate) protocol_call_id: String,
    /// When it began.
    pub(crate) started: Time,
}

/// A leg and where it stands.
#[derive(Debug)]
pub(crate) struct Leg {
    /// Who it is.
    pub(crate) profile: Arc<Profile>,
    /// Where it stands.
    pub(crate) state: LegState,
    /// What the media engine owes it.
    pub(crate) asks: Asks,
    /// Whether the media engine has heard of it, so that it must be closed.
    pub(crate) has_media: bool,
    /// Whether its media came up; may happen just before the leg is active.
    pub(crate) connected: bool,
    /// Whether its beginning is part of the history.
    pub(crate) begun: bool,
}

/// Where a leg stands.
#[derive(Debug)]
pub(crate) enum LegState {
    /// The calling party has described itself and hears nothing yet.
    Offered,
    /// Our offer to a device is in the making; its protocol side does not know of the leg.
    Preparing,
    /// The device has our offer.
    Dialing,
    /// The device rings; a caller hears that it does.
    Ringing,
    /// The device was answered; whether the answer stands is not settled.
    Answering(Answering),
    /// Both ways are open.
    Active(Active),
    /// It is over.
    Ended(Ended),
}

/// A device's answer on its way to be accepted.
#[derive(Debug)]
pub(crate) struct Answering {
    /// How far it is.
    pub(crate) turn: Turn,
    /// Headers for the caller.
    pub(crate) headers: Vec<CustomHeader>,
    /// How many requests wait for `Accepted`: 1, unless the device repeated itself.
    pub(crate) owed: u32,
    /// The signalling path was replaced meanwhile: re-attach as soon as the leg is active.
    pub(crate) returned: bool,
}

/// How far a device's answer is.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Another device's answer is being tried.
    Waiting(SdpAnswer),
    /// The media engine is reading it, or the caller is being connected to it.
    Taken,
}

/// An answered leg.
#[derive(Debug)]
pub(crate) struct Active {
    /// Since when.
    pub(crate) answered: Time,
    /// What it uses.
    pub(crate) media: NegotiatedMedia,
    /// Whether its party holds the call.
    pub(crate) held: bool,
    /// Whether its signalling path is gone.
    pub(crate) lost: bool,
    /// How its media is.
    pub(crate) path: Path,
    /// How far a re-attachment is.
    pub(crate) attach: Attach,
    /// A restart under way, with the number of requests that came on top and will be refused after.
    pub(crate) restart: Option<u32>,
}

impl Active {
    /// Answers a call at `answered`, its media to be up `by` then.
    pub(crate) fn new(answered: Time, media: NegotiatedMedia, connected: bool, by: Time) -> Self {
        let path = if connected {
            Path::Up
        } else {
            Path::Connecting { by }
        };
        Self {
            answered,
            media,
            held: false,
            lost: false,
            path,
            attach: Attach::Idle,
            restart: None,
        }
    }
}

/// How a leg's media is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    /// Not up since the answer.
    Connecting {
        /// When we give up.
        by: Time,
    },
    /// It works.
    Up,
    /// Nothing arrives from the party.
    Stalled,
    /// Dead, while a re-attachment may still replace it.
    Dead {
        /// When we give up.
        by: Time,
    },
}

impl Path {
    /// Returns when we give up on it.
    pub(crate) const fn due(self) -> Option<Time> {
        match self {
            Self::Connecting { by } | Self::Dead { by } => Some(by),
            Self::Up | Self::Stalled => None,
        }
    }
}

/// How far the rebuilding of a leg's media is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attach {
    /// None is under way.
    Idle,
    /// A fresh offer is in the making.
    Offering,
    /// The party has the offer.
    Offered,
    /// Its answer is being read.
    Applying {
        /// How many requests wait for `Attached`: 1, unless the party repeated itself.
        owed: u32,
    },
    /// The answer was used; the new anchor is not up yet.
    Applied,
}

/// A leg that is over.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What is left to do.
    pub(crate) filing: Filing,
}

/// How far an ended leg's paperwork is.
#[derive(Debug)]
pub(crate) enum Filing {
    /// The anchor is closing; its numbers belong into the record.
    Closing {
        /// The record so far.
        record: Box<LegRecord>,
        /// When it is written without them.
        until: Time,
    },
    /// The record is written.
    Recorded,
}

impl Leg {
    /// Begins a leg.
    pub(crate) fn new(profile: Arc<Profile>, state: LegState) -> Self {
        Self {
            profile,
            state,
            asks: Asks::default(),
            has_media: false,
            connected: false,
            begun: false,
        }
    }

    /// Returns its name.
    pub(crate) fn id(&self) -> LegId {
        self.profile.id
    }

    /// Tells whether it has not ended.
    pub(crate) const fn is_alive(&self) -> bool {
        !matches!(self.state, LegState::Ended(_))
    }

    /// Returns its conversation, if it is in one.
    pub(crate) const fn active(&self) -> Option<&Active> {
        if let LegState::Active(active) = &self.state {
            Some(active)
        } else {
            None
        }
    }

    /// Returns its conversation, if it is in one.
    pub(crate) const fn active_mut(&mut self) -> Option<&mut Active> {
        if let LegState::Active(active) = &mut self.state {
            Some(active)
        } else {
            None
        }
    }

    /// Tells whether its protocol side knows of it, so that it can be told to hang up.
    pub(crate) const fn is_known_outside(&self) -> bool {
        match self.state {
            LegState::Preparing | LegState::Ended(_) => false,
            LegState::Offered
            | LegState::Dialing
            | LegState::Ringing
            | LegState::Answering(_)
            | LegState::Active(_) => true,
        }
    }

    /// Returns when something about it is overdue.
    pub(crate) fn due(&self) -> Option<Time> {
        let own = match &self.state {
            LegState::Active(active) => active.path.due(),
            LegState::Ended(Ended {
                filing: Filing::Closing { until, .. },
                ..
            }) => Some(*until),
            LegState::Offered
            | LegState::Preparing
            | LegState::Dialing
            | LegState::Ringing
            | LegState::Answering(_)
            | LegState::Ended(Ended {
                filing: Filing::Recorded,
                ..
            }) => None,
        };
        own.into_iter().chain(self.asks.due()).min()
    }
}
