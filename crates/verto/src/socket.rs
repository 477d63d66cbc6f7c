//! One WebSocket: how it stands with its login, when it was heard, how much it may still send.

use std::collections::VecDeque;
use std::time::Duration;

use ringtrip_model::{LoginRequest, SessionId, Time};

use crate::Config;
use crate::message::RequestId;

/// Logins of one socket that may wait for their turn, the one in progress included.
pub(crate) const MAX_LOGINS: usize = 4;

/// Sessions that one socket may carry: the current one, and former ones whose calls go on.
pub(crate) const MAX_SESSIONS: usize = 4;

#[derive(Debug)]
pub(crate) struct Socket {
    /// On every frame to it; its session's, once it has one.
    pub(crate) voice_sdk_id: String,
    pub(crate) opened: Time,
    pub(crate) last_heard: Time,
    pub(crate) allowance: Allowance,
    /// Logins refused on it so far; a success does not wipe them.
    pub(crate) refusals: u32,
    /// Logins that wait for their result; only the first has been asked.
    pub(crate) logins: VecDeque<Login>,
    pub(crate) stage: Stage,
    pub(crate) armed: Option<Time>,
}

#[derive(Debug)]
pub(crate) enum Stage {
    /// Not logged in.
    Guest {
        /// Closed then.
        deadline: Time,
    },
    /// Logged in.
    Member {
        /// Whose frames these are.
        current: SessionId,
        /// Sessions that it was logged in as before, oldest first, while they have calls.
        former: Vec<SessionId>,
        /// When the next server ping leaves.
        next_ping: Time,
    },
}

#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) request: Option<RequestId>,
    pub(crate) sessid: Option<SessionId>,
    pub(crate) step: LoginStep,
}

#[derive(Debug)]
pub(crate) enum LoginStep {
    /// An earlier login of the socket comes first.
    Waiting(LoginRequest),
    /// Asked under this number.
    Asked(u64),
}

impl Socket {
    pub(crate) fn new(voice_sdk_id: String, config: &Config, now: Time) -> Self {
        Self {
            voice_sdk_id,
            opened: now,
            last_heard: now,
            allowance: Allowance::new(config.frame_rate(), now),
            refusals: 0,
            logins: VecDeque::new(),
            stage: Stage::Guest {
                deadline: now + config.login_timeout,
            },
            armed: None,
        }
    }

    pub(crate) const fn current(&self) -> Option<SessionId> {
        match &self.stage {
            Stage::Guest { .. } => None,
            Stage::Member { current, .. } => Some(*current),
        }
    }

    /// Returns its sessions, the current one first.
    pub(crate) fn sessions(&self) -> Vec<SessionId> {
        match &self.stage {
            Stage::Guest { .. } => Vec::new(),
            Stage::Member {
                current, former, ..
            } => std::iter::once(*current)
                .chain(former.iter().rev().copied())
                .collect(),
        }
    }

    /// Returns when something is due at the latest.
    pub(crate) fn deadline(&self, config: &Config) -> Time {
        match &self.stage {
            Stage::Guest { deadline } => *deadline,
            Stage::Member { next_ping, .. } => (*next_ping).min(self.last_heard + config.silence),
        }
    }
}

/// How often something may happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// In the long run.
    pub(crate) per_second: u32,
    /// At once.
    pub(crate) burst: u32,
}

/// A token bucket, in thousandths of a token; full at first.
#[derive(Debug)]
pub(crate) struct Allowance {
    rate: Rate,
    millis: u64,
    at: Time,
}

impl Allowance {
    pub(crate) const fn new(rate: Rate, now: Time) -> Self {
        Self {
            rate,
            millis: rate.burst as u64 * 1000,
            at: now,
        }
    }

    /// Takes one token; returns false when there is none.
    pub(crate) fn take(&mut self, now: Time) -> bool {
        let passed_ms = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        if passed_ms > 0 {
            let gained = passed_ms.saturating_mul(u64::from(self.rate.per_second));
            self.millis = self
                .millis
                .saturating_add(gained)
                .min(u64::from(self.rate.burst) * 1000);
            // What is left of a millisecond counts next time.
            self.at += Duration::from_millis(passed_ms);
        }
        let enough = self.millis >= 1000;
        if enough {
            self.millis -= 1000;
        }
        enough
    }
}

/// Returns when a socket is pinged next: on a slot that it shares with others.
pub(crate) fn next_ping(config: &Config, now: Time) -> Time {
    let slot = u64::try_from(config.ping_slot.as_micros())
        .unwrap_or(u64::MAX)
        .max(1);
    let at = (now + config.ping_interval.max(Duration::from_micros(slot))).as_micros();
    Time::from_micros(at.div_ceil(slot).saturating_mul(slot))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowance_refills_up_to_its_burst() {
        let rate = Rate {
            per_second: 10,
            burst: 3,
        };
        let mut allowance = Allowance::new(rate, Time::ZERO);
        let mut take = |ms| allowance.take(Time::from_millis(ms));
        assert_eq!(
            [take(0), take(0), take(0), take(0)],
            [true, true, true, false]
        );
        assert_eq!([take(99), take(100), take(100)], [false, true, false]);
        assert_eq!(
            [take(9000), take(9000), take(9000), take(9000)],
            [true, true, true, false]
        );
    }

    #[test]
    fn pings_meet_on_slots() {
        let config = Config::default();
        assert_eq!(
            next_ping(&config, Time::from_millis(1)),
            Time::from_secs(21)
        );
        assert_eq!(
            next_ping(&config, Time::from_millis(999)),
            Time::from_secs(21)
        );
        assert_eq!(next_ping(&config, Time::from_secs(1)), Time::from_secs(21));
    }
}
