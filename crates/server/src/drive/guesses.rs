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
    /// Tells whether a password may be judged now.
    pub(crate) fn may_try(&self, guess: &Guess, now: Time) -> bool {
        self.failures
            .get(guess)
            .is_none_or(|failures| now.since(failures.last) >= pause(failures.count))
    }

    /// Notes how a password was judged.
    pub(crate) fn judged(&mut self, guess: Guess, right: bool, now: Time) {
        if right {
            self.failures.remove(&guess);
            return;
        }
        if self.failures.len() >= ROOM {
            self.failures
                .retain(|_, failures| now.since(failures.last) < MEMORY);
        }
        let known = self.failures.get(&guess).copied();
        let fresh = known.filter(|failures| now.since(failures.last) < MEMORY);
        let count = fresh.map_or(0, |failures| failures.count) + 1;
        if known.is_some() || self.failures.len() < ROOM {
            self.failures.insert(guess, Failures { count, last: now });
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
        let mut judged = 0;
        for second in 0..60 {
            let now = Time::from_secs(second);
            if guesses.may_try(&guess(1, "alice"), now) {
                judged += 1;
                guesses.judged(guess(1, "Alice"), false, now);
            }
        }
        assert!(
            (FREE..=20).contains(&judged),
            "{judged} of 60 guesses were judged"
        );
        let now = Time::from_secs(60);
        assert!(
            guesses.may_try(&guess(2, "alice"), now),
            "the owner elsewhere"
        );
        assert!(guesses.may_try(&guess(1, "bob"), now), "another user");
    }

    #[test]
    fn a_right_password_and_a_quarter_of_an_hour_both_start_anew() {
        let mut guesses = Guesses::default();
        for _ in 0..12 {
            guesses.judged(guess(1, "alice"), false, Time::ZERO);
        }
        assert!(!guesses.may_try(&guess(1, "alice"), Time::from_secs(1)));
        assert!(guesses.may_try(&guess(1, "alice"), Time::from_secs(4)));
        guesses.judged(guess(1, "alice"), true, Time::from_secs(4));
        assert!(guesses.may_try(&guess(1, "alice"), Time::from_secs(4)));
        for _ in 0..30 {
            guesses.judged(guess(1, "alice"), false, Time::from_secs(5));
        }
        assert!(!guesses.may_try(&guess(1, "alice"), Time::from_secs(60)));
        guesses.judged(guess(1, "alice"), false, Time::from_secs(1000));
        assert!(guesses.may_try(&guess(1, "alice"), Time::from_secs(1001)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut guesses = Guesses::default();
        for user in 0..ROOM + 100 {
            guesses.judged(guess(1, &user.to_string()), false, Time::ZERO);
        }
        assert_eq!(guesses.failures.len(), ROOM);
        guesses.judged(guess(1, "late"), false, Time::from_secs(1000));
        assert_eq!(guesses.failures.len(), 1);
    }
}
