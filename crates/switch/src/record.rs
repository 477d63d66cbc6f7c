//! The record of an ended leg, and what the two sides of a call are told about each other.

use ringtrip_model::{
    CallId, CallerId, CustomHeader, HangupCause, HangupSource, Initiation, LegParty, LegRecord,
    MAX_TOLD_HEADERS_BYTES, NegotiatedMedia, OfferedMedia, Time,
};

use crate::leg::{Profile, Role};
use crate::settings::Settings;

/// What the caller brought along: the same for all legs of the call.
#[derive(Debug)]
pub(crate) struct Introduction {
    /// Shown to the callee.
    pub(crate) caller: CallerId,
    /// Shown to the caller.
    pub(crate) callee: CallerId,
    /// As dialled.
    pub(crate) destination: String,
    /// Headers for the callee.
    pub(crate) custom_headers: Vec<CustomHeader>,
    /// The application's opaque text.
    pub(crate) client_state: Option<String>,
}

/// Fills what the application left empty: its user name for the number, the number for the name.
pub(crate) fn shown_caller(wished: CallerId, party: &LegParty) -> CallerId {
    let number = if wished.number.is_empty() {
        party.user.clone()
    } else {
        wished.number
    };
    let name = if wished.name.is_empty() {
        number.clone()
    } else {
        wished.name
    };
    CallerId { name, number }
}

/// Tells how a leg begins.
pub(crate) fn initiation(
    introduction: &Introduction,
    profile: &Profile,
    offered: Option<OfferedMedia>,
) -> Initiation {
    let mut bytes = 0;
    let headers = introduction.custom_headers.iter().take_while(|header| {
        bytes += header.name.len() + header.value.len();
        bytes <= MAX_TOLD_HEADERS_BYTES
    });
    let client_state = match profile.role {
        Role::Caller => introduction.client_state.as_ref(),
        Role::Device => None,
    };
    Initiation {
        account: profile.party.account,
        connection: profile.party.connection,
        direction: profile.role.direction(),
        caller: introduction.caller.clone(),
        to: introduction.destination.clone(),
        offered,
        custom_headers: headers.cloned().collect(),
        // Half of it would say something else.
        client_state: client_state
            .filter(|state| state.len() <= MAX_TOLD_HEADERS_BYTES)
            .cloned(),
    }
}

/// How an answered leg talked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Talk {
    /// Since when.
    pub(crate) answered: Time,
    /// With what.
    pub(crate) media: Option<NegotiatedMedia>,
}

/// How a leg ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// When.
    pub(crate) at: Time,
    /// Why.
    pub(crate) cause: HangupCause,
    /// Through whom.
    pub(crate) source: HangupSource,
}

/// Writes the record of an ended leg, without what its anchor measured.
pub(crate) fn record(
    call: CallId,
    settings: &Settings,
    introduction: &Introduction,
    profile: &Profile,
    talk: Option<Talk>,
    end: End,
) -> LegRecord {
    let media = talk.and_then(|talk| talk.media);
    LegRecord {
        leg: profile.id,
        call,
        node: settings.node,
        account: profile.party.account,
        connection: profile.party.connection,
        credential: profile.party.credential,
        user: profile.party.user.clone(),
        protocol_call_id: profile.protocol_call_id.clone(),
        direction: profile.role.direction(),
        caller: introduction.caller.clone(),
        destination: introduction.destination.clone(),
        started_at: settings.wall(profile.started),
        answered_at: talk.map(|talk| settings.wall(talk.answered)),
        ended_at: settings.wall(end.at),
        cause: end.cause,
        source: end.source,
        audio: media.map(|media| media.audio),
        video: media.and_then(|media| media.video),
        quality: None,
    }
}
