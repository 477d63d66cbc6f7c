//! Our media endpoint towards one party: addresses, handshake, streams.

pub(crate) mod dtls;
pub(crate) mod ice;
pub(crate) mod session;

use std::time::Duration;

use ringtrip_model::{Generator, LegId, LegQuality, MediaFailure, Time};

use crate::plan::{AnchorId, IceCredentials, RemotePlan};
use crate::srtp::SrtpKeys;
use crate::stun::{BindingRequest, MAX_RESPONSE_LEN};
use crate::transmit::{MAX_DATAGRAM_LEN, TransmitQueue};
use dtls::{DtlsContext, DtlsSession};
use ice::{Checked, IceLite, Path};
use session::Session;

/// Silence after which the path counts as stalled.
const STALLED_AFTER: Duration = Duration::from_secs(5);
/// Silence, or time without a handshake, after which the path is dead.
const DEAD_AFTER: Duration = Duration::from_secs(60);
/// How long the handshake's last flight can still be repeated for a party that lost it.
const HANDSHAKE_KEPT: Duration = Duration::from_secs(30);
/// Handshake datagrams that may wait for the party's description: a fragmented ClientHello, twice.
const MAX_EARLY: usize = 4;

/// What an input changed for the world outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    Nothing,
    /// The handshake is complete.
    Connected,
    /// Nothing came for [`STALLED_AFTER`].
    Stalled,
    /// The anchor is dead.
    Failed(Option<MediaFailure>),
}

/// What a shard lends an anchor while it handles something.
pub(crate) struct Tools<'a> {
    pub(crate) dtls: &'a DtlsContext,
    pub(crate) rng: &'a mut Generator,
    pub(crate) transmits: &'a mut TransmitQueue,
    /// Our NTP time.
    pub(crate) wall: u64,
    pub(crate) now: Time,
}

/// One anchor.
pub(crate) struct Anchor {
    id: AnchorId,
    leg: LegId,
    replaces: Option<AnchorId>,
    ice: IceLite,
    state: State,
    /// When something authentic came last, or waiting for it began.
    heard_at: Time,
    stalled: bool,
    /// Measured by sessions that are over: this anchor's or those it replaced.
    before: LegQuality,
}

enum State {
    /// Checks are answered; the party's description is not here yet.
    Waiting {
        early: Vec<Vec<u8>>,
    },
    Handshaking {
        plan: Box<RemotePlan>,
        dtls: DtlsSession,
        since: Time,
    },
    Connected {
        session: Box<Session>,
        dtls: Option<DtlsSession>,
        since: Time,
    },
    Dead,
}

impl Anchor {
    pub(crate) fn new(
        id: AnchorId,
        leg: LegId,
        ice: IceCredentials,
        replaces: Option<AnchorId>,
        now: Time,
    ) -> Self {
        Self {
            id,
            leg,
            replaces,
            ice: IceLite::new(ice),
            state: State::Waiting { early: Vec::new() },
            heard_at: now,
            stalled: false,
            before: LegQuality::default(),
        }
    }

    pub(crate) const fn id(&self) -> AnchorId {
        self.id
    }

    pub(crate) const fn leg(&self) -> LegId {
        self.leg
    }

    pub(crate) const fn replaces(&self) -> Option<AnchorId> {
        self.replaces
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = Path> {
        self.ice.paths()
    }

    pub(crate) fn session(&self) -> Option<&Session> {
        match &self.state {
            State::Connected { session, .. } => Some(session),
            State::Waiting { .. } | State::Handshaking { .. } | State::Dead => None,
        }
    }

    pub(crate) fn session_mut(&mut self) -> Option<&mut Session> {
        match &mut self.state {
            State::Connected { session, .. } => Some(session),
            State::Waiting { .. } | State::Handshaking { .. } | State::Dead => None,
        }
    }

    /// Returns the session and where to send, if the party can be sent to.
    pub(crate) fn reachable(&mut self, now: Time) -> Option<(&mut Session, Path)> {
        let path = self.ice.path(now)?;
        Some((self.session_mut()?, path))
    }

    /// Returns where to send, as long as the party consents.
    pub(crate) fn path(&self, now: Time) -> Option<Path> {
        self.ice.path(now)
    }

    /// Notes that something authentic came. Returns whether that ends a stall.
    pub(crate) const fn touch(&mut self, now: Time) -> bool {
        self.heard_at = now;
        std::mem::replace(&mut self.stalled, false)
    }

    /// Answers checks with other credentials too.
    pub(crate) fn restart(&mut self, ice: IceCredentials) {
        self.ice.restart(ice);
    }

    /// Verifies and answers a check. [`None`]: it is not ours, nothing happened.
    pub(crate) fn handle_check(
        &mut self,
        request: &BindingRequest<'_>,
        path: Path,
        tools: &mut Tools<'_>,
    ) -> Option<(Checked, Change)> {
        if matches!(self.state, State::Dead) {
            return None;
        }
        let mut response = [0; MAX_RESPONSE_LEN];
        let checked = self
            .ice
            .handle_check(request, path, tools.now, &mut response)?;
        tools
            .transmits
            .push_copy(path.socket, path.remote, &response[..checked.response_len]);
        let change = match &self.state {
            // As client we begin when there is somewhere to send to.
            State::Handshaking { dtls, .. } if dtls.deadline().is_none() => self.advance(tools),
            State::Handshaking { .. }
            | State::Waiting { .. }
            | State::Connected { .. }
            | State::Dead => Change::Nothing,
        };
        Some((checked, change))
    }

    /// Begins the handshake. Only the first description counts; later ones change no keys.
    pub(crate) fn set_remote(&mut self, plan: Box<RemotePlan>, tools: &mut Tools<'_>) -> Change {
        let State::Waiting { early } = &mut self.state else {
            return Change::Nothing;
        };
        let early = std::mem::take(early);
        let dtls = DtlsSession::new(tools.dtls, plan.role, plan.fingerprint, tools.now);
        self.heard_at = tools.now;
        self.state = State::Handshaking {
            plan,
            dtls,
            since: tools.now,
        };
        let mut change = Change::Nothing;
        if self.ice.path(tools.now).is_some() {
            change = self.advance(tools);
        }
        for datagram in early {
            if change == Change::Nothing {
                change = self.handle_dtls(&datagram, tools);
            }
        }
        change
    }

    /// Feeds a handshake datagram from an address that is the party's.
    pub(crate) fn handle_dtls(&mut self, bytes: &[u8], tools: &mut Tools<'_>) -> Change {
        let Some(path) = self.ice.path(tools.now) else {
            return Change::Nothing;
        };
        let transmits = &mut *tools.transmits;
        let send = |packet: &[u8]| {
            transmits.push_copy(path.socket, path.remote, packet);
        };
        match &mut self.state {
            State::Waiting { early } => {
                if early.len() < MAX_EARLY && bytes.len() <= MAX_DATAGRAM_LEN {
                    early.push(bytes.to_vec());
                }
                Change::Nothing
            }
            State::Handshaking { dtls, .. } => {
                let result = dtls.handle_datagram(tools.dtls, bytes, tools.now, send);
                self.progress(result, tools)
            }
            State::Connected { dtls, .. } => {
                // Only the repeat of a flight that was lost can be meant.
                if let Some(kept) = dtls
                    && kept
                        .handle_datagram(tools.dtls, bytes, tools.now, send)
                        .is_err()
                {
                    *dtls = None;
                }
                Change::Nothing
            }
            State::Dead => Change::Nothing,
        }
    }

    fn advance(&mut self, tools: &mut Tools<'_>) -> Change {
        let State::Handshaking { dtls, .. } = &mut self.state else {
            return Change::Nothing;
        };
        let path = self.ice.path(tools.now);
        let transmits = &mut *tools.transmits;
        let result = dtls.advance(tools.dtls, tools.now, |packet| {
            if let Some(path) = path {
                transmits.push_copy(path.socket, path.remote, packet);
            }
        });
        self.progress(result, tools)
    }

    fn progress(
        &mut self,
        result: Result<Option<SrtpKeys>, MediaFailure>,
        tools: &mut Tools<'_>,
    ) -> Change {
        match result {
            Ok(None) => Change::Nothing,
            Ok(Some(keys)) => self.connect(&keys, tools),
            Err(failure) => self.die(Some(failure)),
        }
    }

    fn connect(&mut self, keys: &SrtpKeys, tools: &mut Tools<'_>) -> Change {
        match std::mem::replace(&mut self.state, State::Dead) {
            State::Handshaking { plan, dtls, .. } => {
                let Ok(session) = Session::new(keys, plan, tools.rng, tools.now) else {
                    return self.die(Some(MediaFailure::DtlsFailed));
                };
                self.heard_at = tools.now;
                self.state = State::Connected {
                    session: Box::new(session),
                    dtls: Some(dtls),
                    since: tools.now,
                };
                Change::Connected
            }
            other @ (State::Waiting { .. } | State::Connected { .. } | State::Dead) => {
                self.state = other;
                Change::Nothing
            }
        }
    }

    fn die(&mut self, failure: Option<MediaFailure>) -> Change {
        self.before = self.quality();
        self.state = State::Dead;
        Change::Failed(failure)
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn deadline(&self) -> Option<Time> {
        match &self.state {
            State::Waiting { .. } | State::Dead => None,
            State::Handshaking { dtls, since, .. } => {
                let end = *since + DEAD_AFTER;
                Some(dtls.deadline().map_or(end, |at| at.min(end)))
            }
            State::Connected {
                session,
                dtls,
                since,
            } => {
                let silence = if self.stalled {
                    DEAD_AFTER
                } else {
                    STALLED_AFTER
                };
                let mut at = session.deadline().min(self.heard_at + silence);
                if let Some(dtls) = dtls {
                    at = at.min(*since + HANDSHAKE_KEPT);
                    at = dtls.deadline().map_or(at, |due| at.min(due));
                }
                Some(at)
            }
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, tools: &mut Tools<'_>) -> Change {
        let now = tools.now;
        let path = self.ice.path(now);
        match &mut self.state {
            State::Waiting { .. } | State::Dead => Change::Nothing,
            State::Handshaking { dtls, since, .. } => {
                if now.since(*since) >= DEAD_AFTER {
                    let failure = path.map(|_| MediaFailure::DtlsFailed);
                    return self.die(failure);
                }
                if dtls.deadline().is_some_and(|at| at <= now) {
                    return self.advance(tools);
                }
                Change::Nothing
            }
            State::Connected {
                session,
                dtls,
                since,
            } => {
                if now.since(*since) >= HANDSHAKE_KEPT {
                    *dtls = None;
                }
                if let Some(kept) = dtls
                    && kept.deadline().is_some_and(|at| at <= now)
                {
                    let transmits = &mut *tools.transmits;
                    let result = kept.advance(tools.dtls, now, |packet| {
                        if let Some(path) = path {
                            transmits.push_copy(path.socket, path.remote, packet);
                        }
                    });
                    if result.is_err() {
                        *dtls = None;
                    }
                }
                session.handle_timeout(path, tools.wall, now, tools.rng, tools.transmits);
                let silence = now.since(self.heard_at);
                if silence >= DEAD_AFTER {
                    return self.die(None);
                }
                if silence >= STALLED_AFTER && !self.stalled {
                    self.stalled = true;
                    return Change::Stalled;
                }
                Change::Nothing
            }
        }
    }

    /// Ends an anchor that broke while it was handled; it only waits to be closed.
    pub(crate) fn bury(&mut self) {
        self.state = State::Dead;
    }

    /// Takes what an anchor that this one replaces has measured and not yet sent.
    pub(crate) fn succeed(&mut self, old: &mut Self) {
        self.before = add(self.before, old.quality());
        if let (Some(from), Some(to)) = (old.session_mut(), self.session_mut()) {
            from.hand_over(to);
        }
        self.replaces = None;
    }

    /// Returns what was measured, replaced anchors included.
    pub(crate) fn quality(&self) -> LegQuality {
        match self.session() {
            Some(session) => add(self.before, session.quality()),
            None => self.before,
        }
    }
}

/// Adds counters; what is a state rather than a count is taken from the later one, if it has it.
fn add(earlier: LegQuality, later: LegQuality) -> LegQuality {
    let state = |earlier: u32, later: u32| if later == 0 { earlier } else { later };
    LegQuality {
        packets_sent: earlier.packets_sent + later.packets_sent,
        packets_received: earlier.packets_received + later.packets_received,
        bytes_sent: earlier.bytes_sent + later.bytes_sent,
        bytes_received: earlier.bytes_received + later.bytes_received,
        packets_lost: earlier.packets_lost + later.packets_lost,
        packets_lost_remote: earlier.packets_lost_remote + later.packets_lost_remote,
        jitter_us: state(earlier.jitter_us, later.jitter_us),
        jitter_remote_us: state(earlier.jitter_remote_us, later.jitter_remote_us),
        round_trip_us: later.round_trip_us.or(earlier.round_trip_us),
    }
}
