//! Slows down whoever guesses passwords: by source and user name, so that an owner elsewhere is not
//! locked out, and by source alone, so that nobody tries one password on everybody. Both only after some
//! failures, so that a person who mistypes notices nothing. People behind one address share its count; who
//! was right from there before does not wait for the others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use ringtrip_model::Time;

/// Failures for one user from one source that cost nothing.
const FREE: u32 = 10;
/// Failures of one source that cost nothing, whoever it tries to be.
const FREE_OF_SOURCE: u32 = 100;
/// Failures of all sources that found no room to be counted alone.
const FREE_OF_OVERFLOW: u32 = 1000;
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A source and user without a failure for so long start anew, and a source alone so long after its first.
const MEMORY: Duration = Duration::from_secs(900);
/// How long a right password tells its user from others at the source.
const PROOF: Duration = Duration::from_secs(24 * 3600);
/// What is remembered at once: sources with users, sources alone, and those that were right.
const ROOM: usize = 50_000;
/// How often room is sought when there is none: looking costs a flood nothing, and the node much.
const SWEEP_PERIOD: Duration = Duration::from_secs(1);
/// As much of a user name is looked at.
const MAX_USER_CHARS: usize = 254;

/// Who tries whose password.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Guess {
    source: IpAddr,
    user: String,
}

impl Guess {
    /// `source` is the network that counts as one: an IPv4 address, or the /64 of an IPv6 one.
    pub(crate) fn new(source: IpAddr, user: &str) -> Self {
        let user = user.chars().take(MAX_USER_CHARS);
        Self {
            source,
            user: user.map(|char| char.to_ascii_lowercase()).collect(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    first: Time,
    last: Time,
}

impl Failures {
    const fn none(now: Time) -> Self {
        Self {
            count: 0,
            first: now,
            last: now,
        }
    }

    const fn add(&mut self, now: Time) {
        self.count = self.count.saturating_add(1);
        self.last = now;
    }

    fn must_wait(&self, free: u32, now: Time) -> bool {
        let pause = match self.count.checked_sub(free) {
            None => Duration::ZERO,
            Some(over) => LONGEST_PAUSE.min(Duration::from_secs(1 << over.min(16))),
        };
        now.since(self.last) < pause
    }

    /// For one user from one source: who goes on does not start anew.
    fn are_recent(&self, now: Time) -> bool {
        now.since(self.last) < MEMORY
    }

    /// For a source alone: one device that never learns should not add up to a pause for its neighbours.
    fn began_lately(&self, now: Time) -> bool {
        now.since(self.first) < MEMORY
    }
}

/// The failures of the last minutes.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    failures: HashMap<Guess, Failures>,
    sources: HashMap<IpAddr, Failures>,
    /// Those of sources without room.
    overflow: Option<Failures>,
    /// Who was right lately, and when.
    proven: HashMap<Guess, Time>,
    /// When room was sought last.
    swept_at: Option<Time>,
}

impl Guesses {
    /// Tells whether a password may be judged now. One that may counts as wrong for its source and user
    /// until it proves right, so that many sent at once are no way around the pause. For the source alone
    /// it counts once it proved wrong: many people behind one address may well come back at once.
    pub(crate) fn admit(&mut self, guess: &Guess, now: Time) -> bool {
        self.seek_room(now);
        let known = self.failures.get(guess).copied();
        if known.is_some_and(|failures| failures.must_wait(FREE, now)) {
            return false;
        }
        let counted = known.is_some() || self.failures.len() < ROOM;
        let proven = self.proven.contains_key(guess);
        // Who has no count of their own is judged by their source's, whoever they are.
        if !(counted && proven) && self.source_must_wait(guess.source, now) {
            return false;
        }
        if counted {
            let fresh = known.filter(|failures| failures.are_recent(now));
            let mut failures = fresh.unwrap_or(Failures::none(now));
            failures.add(now);
            self.failures.insert(guess.clone(), failures);
        }
        true
    }

    fn source_must_wait(&self, source: IpAddr, now: Time) -> bool {
        let (failures, free) = match self.sources.get(&source) {
            Some(failures) => (Some(failures), FREE_OF_SOURCE),
            None if self.sources.len() < ROOM => (None, FREE_OF_SOURCE),
            None => (self.overflow.as_ref(), FREE_OF_OVERFLOW),
        };
        failures.is_some_and(|failures| failures.began_lately(now) && failures.must_wait(free, now))
    }

    /// Forgets what is old when something is full, once in a while.
    fn seek_room(&mut self, now: Time) {
        let fullest = self.failures.len().max(self.sources.len());
        let is_full = fullest.max(self.proven.len()) >= ROOM;
        if is_full && self.swept_at.is_none_or(|at| now.since(at) >= SWEEP_PERIOD) {
            self.swept_at = Some(now);
            self.failures.retain(|_, failures| failures.are_recent(now));
            self.sources
                .retain(|_, failures| failures.began_lately(now));
            self.proven.retain(|_, at| now.since(*at) < PROOF);
        }
    }

    /// The password was right.
    pub(crate) fn right(&mut self, guess: &Guess, now: Time) {
        self.failures.remove(guess);
        if self.proven.len() < ROOM || self.proven.contains_key(guess) {
            self.proven.insert(guess.clone(), now);
        }
    }

    /// The login was refused: for its password, or because there is no such user or none that may log in.
    pub(crate) fn wrong(&mut self, guess: &Guess, now: Time) {
        let failures = if self.sources.len() < ROOM || self.sources.contains_key(&guess.source) {
            let failures = self.sources.entry(guess.source);
            failures.or_insert(Failures::none(now))
        } else {
            self.overflow.get_or_insert(Failures::none(now))
        };
        if !failures.began_lately(now) {
            *failures = Failures::none(now);
        }
        failures.add(now);
    }

    /// The password could not be judged.
    pub(crate) fn unjudged(&mut self, guess: &Guess) {
        if let Some(failures) = self.failures.get_mut(guess) {
            failures.count = failures.count.saturating_sub(1);
        }
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
        guesses.right(&alice, Time::from_secs(1));
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

    /// A source of its own for each number.
    fn source(number: usize) -> IpAddr {
        let number = u32::try_from(number).unwrap();
        std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    /// How many of so many wrong passwords for different users were judged.
    fn judged(guesses: &mut Guesses, from: IpAddr, users: usize, now: Time) -> usize {
        let tried = (0..users).map(|user| Guess::new(from, &format!("user{user}")));
        let judged = tried.filter(|guess| {
            let admitted = guesses.admit(guess, now);
            if admitted {
                guesses.wrong(guess, now);
            }
            admitted
        });
        judged.count()
    }

    #[test]
    fn a_source_that_tries_everybody_is_slowed_down_and_no_other() {
        let mut guesses = Guesses::default();
        let one = source(1);
        assert_eq!(judged(&mut guesses, one, 1000, Time::ZERO), 100);
        assert_eq!(judged(&mut guesses, source(2), 50, Time::ZERO), 50);
        let more: usize = (1..900)
            .map(|second| judged(&mut guesses, one, 1, Time::from_secs(second)))
            .sum();
        assert!((5..=15).contains(&more), "{more} more in that time");
        let later = Time::from_secs(900);
        assert_eq!(judged(&mut guesses, one, 1000, later), 100);
    }

    #[test]
    fn a_device_that_never_learns_does_not_slow_its_neighbours_down() {
        let mut guesses = Guesses::default();
        let stale = guess(1, "stale");
        for second in 0..6 * 3600 {
            let now = Time::from_secs(second);
            if guesses.admit(&stale, now) {
                guesses.wrong(&stale, now);
            }
            let neighbour = guess(1, "neighbour");
            assert!(guesses.admit(&neighbour, now), "after {second} s");
            guesses.unjudged(&neighbour);
        }
    }

    #[test]
    fn who_was_right_before_does_not_wait_for_the_others_at_the_source() {
        let mut guesses = Guesses::default();
        let (alice, bob) = (guess(1, "alice"), guess(1, "bob"));
        assert!(guesses.admit(&alice, Time::ZERO));
        guesses.right(&alice, Time::ZERO);
        judged(&mut guesses, guess(1, "").source, 1000, Time::ZERO);
        assert!(!guesses.admit(&bob, Time::ZERO));
        let admitted = (0..60).filter(|_| guesses.admit(&alice, Time::ZERO));
        assert_eq!(admitted.count(), FREE as usize);
    }

    #[test]
    fn many_people_behind_one_address_come_back_at_once() {
        let mut guesses = Guesses::default();
        let people: Vec<Guess> = (0..1000).map(|n| guess(1, &n.to_string())).collect();
        assert!(people.iter().all(|one| guesses.admit(one, Time::ZERO)));
        for one in &people {
            guesses.right(one, Time::ZERO);
        }
        assert!(people.iter().all(|one| guesses.admit(one, Time::ZERO)));
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
        let long = guess(1, &"x".repeat(100_000));
        assert_eq!(long.user.len(), MAX_USER_CHARS);
    }

    #[test]
    fn without_room_the_source_decides_and_then_all_sources_without_room_together() {
        let mut guesses = Guesses::default();
        for number in 0..ROOM {
            assert_eq!(judged(&mut guesses, source(number), 1, Time::ZERO), 1);
        }
        assert_eq!(guesses.failures.len(), ROOM);
        // A source that is counted, with users that are not.
        assert_eq!(judged(&mut guesses, source(0), 1000, Time::ZERO), 99);
        let same = Guess::new(source(1), "late");
        let tried = (0..1000).filter(|_| {
            let admitted = guesses.admit(&same, Time::ZERO);
            guesses.wrong(&same, Time::ZERO);
            admitted
        });
        assert_eq!(tried.count(), 99);
        // Sources that are not counted.
        let late =
            (ROOM..2 * ROOM).map(|number| judged(&mut guesses, source(number), 1, Time::ZERO));
        assert_eq!(late.sum::<usize>(), FREE_OF_OVERFLOW as usize);
        assert_eq!(
            (guesses.failures.len(), guesses.sources.len()),
            (ROOM, ROOM)
        );
        let after = Time::from_secs(900);
        assert_eq!(judged(&mut guesses, source(2 * ROOM), 1, after), 1);
        assert_eq!((guesses.failures.len(), guesses.sources.len()), (1, 1));
    }

    #[test]
    fn room_is_sought_once_a_second_at_most() {
        let mut guesses = Guesses::default();
        for user in 0..ROOM {
            assert!(guesses.admit(&guess(1, &user.to_string()), Time::ZERO));
        }
        let mut swept = std::collections::BTreeSet::new();
        for millis in 0..3000 {
            guesses.admit(&guess(2, "late"), Time::from_millis(1000 + millis));
            swept.extend(guesses.swept_at);
        }
        assert_eq!(swept.len(), 3);
    }
}
