//! Slows down whoever guesses passwords: by source and user name, so that an owner elsewhere is not
//! locked out, and only after a few failures, so that a person who mistypes notices nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use ringtrip_model::Time;

/// Failures that cost nothing.
const FREE: u32 = 10;
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A source without a failure for so long starts anew.
const MEMORY: Duration = Duration::from_secs(900);
/// Sources and names remembered.
const ROOM: usize = 50_000;

/// Who tries whose password.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Guess {
    source: IpAddr,
    user: String,
}

impl Guess {
    pub(crate) fn new(source: IpAddr, user: &str) -> Self {
        Self {
            source,
            user: user.to_ascii_lowercase(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Time,
}

/// The failures of the last minutes.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    failures: HashMap<Guess, Failures>,
}

impl Guesses {
    /// Tells whether a password may be judged now. One that may counts as wrong until it proves
    /// right, so that many sent at once are no way around the pause.
    pub(crate) fn admit(&mut self, guess: &Guess, now: Time) -> bool {
        let known = self.failures.get(guess).copied();
        if known.is_some_and(|failures| now.since(failures.last) < pause(failures.count)) {
            return false;
        }
        if self.failures.len() >= ROOM {
            self.failures
                .retain(|_, failures| now.since(failures.last) < MEMORY);
        }
        let fresh = known.filter(|failures| now.since(failures.last) < MEMORY);
        let count = fresh.map_or(0, |failures| failures.count) + 1;
        if known.is_some() || self.failures.len() < ROOM {
            let failures = Failures { count, last: now };
            self.failures.insert(guess.clone(), failures);
        }
        true
    }

    /// The password was right.
    pub(crate) fn right(&mut self, guess: &Guess) {
        self.failures.remove(guess);
    }

    /// The password could not be judged.
    pub(crate) fn unjudged(&mut self, guess: &Guess) {
        if let Some(failures) = self.failures.get_mut(guess) {
            failures.count = failures.count.saturating_sub(1);
        }
    }
}

fn pause(failures: u32) -> Duration {
    match failures.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(over) => LONGEST_PAUSE.min(Duration::from_secs(1 << over.min(16))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(last: u8, user: &str) -> Guess {
        Guess::new(IpAddr::from([203, 0, 113, last]), user)
    }

    #[test]
    fn a_guesser_is_slowed_down_and_nobody_else() {
        let mut guesses = Guesses::default();
        let judged =
            (0..60).filter(|second| guesses.admit(&guess(1, "Alice"), Time::from_secs(*second)));
        let judged = judged.count();
        assert!(
            (10..=20).contains(&judged),
            "{judged} of 60 guesses were judged"
        );
        let now = Time::from_secs(60);
        assert!(
            guesses.admit(&guess(2, "alice"), now),
            "the owner elsewhere"
        );
        assert!(guesses.admit(&guess(1, "bob"), now), "another user");
    }

    #[test]
    fn guesses_sent_at_once_count_before_they_are_judged() {
        let mut guesses = Guesses::default();
        let admitted = (0..60)
            .filter(|_| guesses.admit(&guess(1, "alice"), Time::ZERO))
            .count();
        assert_eq!(admitted, FREE as usize);
    }

    #[test]
    fn a_right_password_and_a_quarter_of_an_hour_both_start_anew() {
        let (mut guesses, alice) = (Guesses::default(), guess(1, "alice"));
        for _ in 0..FREE {
            assert!(guesses.admit(&alice, Time::ZERO));
        }
        assert!(!guesses.admit(&alice, Time::ZERO));
        assert!(guesses.admit(&alice, Time::from_secs(1)));
        guesses.right(&alice);
        for _ in 0..FREE {
            assert!(guesses.admit(&alice, Time::from_secs(1)));
        }
        assert!(!guesses.admit(&alice, Time::from_secs(1)));
        assert!(guesses.admit(&alice, Time::from_secs(1000)));
        assert!(guesses.admit(&alice, Time::from_secs(1000)));
    }

    #[test]
    fn a_password_that_could_not_be_judged_costs_nothing() {
        let (mut guesses, alice) = (Guesses::default(), guess(1, "alice"));
        for _ in 0..100 {
            assert!(guesses.admit(&alice, Time::ZERO));
            guesses.unjudged(&alice);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut guesses = Guesses::default();
        for user in 0..ROOM + 100 {
            assert!(guesses.admit(&guess(1, &user.to_string()), Time::ZERO));
        }
        assert_eq!(guesses.failures.len(), ROOM);
        assert!(guesses.admit(&guess(1, "late"), Time::from_secs(1000)));
        assert_eq!(guesses.failures.len(), 1);
    }
}
