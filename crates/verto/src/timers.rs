//! Deadlines of sockets and sessions.

use std::collections::BTreeSet;

use ringtrip_model::{SessionId, SocketId, Time};

/// Whose deadline it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    Socket(SocketId),
    Session(SessionId),
}

/// All deadlines, at most one for each socket and session.
///
/// A deadline that moves away is left where it is: it fires early, finds nothing due, and is set
/// again. So a frame, which only postpones, costs nothing here.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeSet<(Time, Timer)>,
}

impl Timers {
    /// Makes sure that `timer` fires at `at` or before; `armed` is where it stands.
    pub(crate) fn arm(&mut self, timer: Timer, armed: &mut Option<Time>, at: Time) {
        if armed.is_some_and(|set| set <= at) {
            return;
        }
        if let Some(set) = armed.replace(at) {
            self.queue.remove(&(set, timer));
        }
        self.queue.insert((at, timer));
    }

    /// Forgets a deadline.
    pub(crate) fn disarm(&mut self, timer: Timer, armed: Option<Time>) {
        if let Some(set) = armed {
            self.queue.remove(&(set, timer));
        }
    }

    /// Takes a deadline that is due.
    pub(crate) fn pop(&mut self, now: Time) -> Option<Timer> {
        let &(at, timer) = self.queue.first()?;
        if at > now {
            return None;
        }
        self.queue.pop_first();
        Some(timer)
    }

    /// Returns the earliest deadline.
    pub(crate) fn next(&self) -> Option<Time> {
        self.queue.first().map(|&(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_moves_forward_only_when_it_fires() {
        let mut timers = Timers::default();
        let timer = Timer::Socket(SocketId(1));
        let mut armed = None;
        timers.arm(timer, &mut armed, Time::from_secs(10));
        timers.arm(timer, &mut armed, Time::from_secs(20));
        assert_eq!(timers.next(), Some(Time::from_secs(10)));
        timers.arm(timer, &mut armed, Time::from_secs(5));
        assert_eq!(timers.next(), Some(Time::from_secs(5)));
        assert_eq!(timers.pop(Time::from_secs(4)), None);
        assert_eq!(timers.pop(Time::from_secs(5)), Some(timer));
        assert_eq!(timers.next(), None);
    }
}
