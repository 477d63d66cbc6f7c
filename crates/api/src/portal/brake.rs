//! Slows down whoever guesses people's passwords, without locking anybody out of a browser that they
//! have signed in from before.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ringtrip_model::{HashedToken, Timestamp, UserId};

use crate::peer::network_of;

/// How long failures count.
const WINDOW: Duration = Duration::from_secs(600);
/// Failures for one address from one source, or from one known browser.
const OF_ONE: u32 = 10;
/// Failures for one address from all sources that are no known browsers.
const OF_ADDRESS: u32 = 50;
/// Failures of one source, whoever it tries to be; people behind one address share it.
const OF_SOURCE: u32 = 100;
/// New accounts from one source.
const OF_SIGN_UPS: u32 = 10;
/// New accounts from one site: of IPv6, all the networks that one customer may have.
const OF_SITE: u32 = 50;
/// What is counted at once, of sign-ins and of sign-ups.
const ROOM: usize = 50_000;
/// How often room is sought when there is none: looking costs a flood nothing, and the node much.
const SWEEP_PERIOD: Duration = Duration::from_secs(1);
/// As much of an address is looked at.
const MAX_ADDRESS_CHARS: usize = 254;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Counted {
    AddressFrom(String, IpAddr),
    Address(String),
    Source(IpAddr),
    Device(UserId, HashedToken),
    SignUps(IpAddr),
    SignUpsOfSite(IpAddr),
}

#[derive(Debug, Clone, Copy)]
struct Count {
    number: u32,
    since: Timestamp,
}

/// An attempt, as the brake knows it.
#[derive(Debug, Clone)]
pub(crate) struct Attempt(Vec<(Counted, u32)>);

impl Attempt {
    /// An attempt to sign in with an address, from a source.
    pub(crate) fn to_sign_in(email: &str, source: IpAddr) -> Self {
        let email: String = email
            .trim()
            .chars()
            .take(MAX_ADDRESS_CHARS)
            .flat_map(char::to_lowercase)
            .collect();
        let source = network_of(source);
        Self(vec![
            (Counted::AddressFrom(email.clone(), source), OF_ONE),
            (Counted::Address(email), OF_ADDRESS),
            (Counted::Source(source), OF_SOURCE),
        ])
    }

    /// An attempt from a browser that the person has signed in from before.
    pub(crate) fn from_known_device(user: UserId, device: HashedToken) -> Self {
        Self(vec![(Counted::Device(user, device), OF_ONE)])
    }

    /// An attempt to make a new account.
    pub(crate) fn to_sign_up(source: IpAddr) -> Self {
        Self(vec![
            (Counted::SignUps(network_of(source)), OF_SIGN_UPS),
            (Counted::SignUpsOfSite(site_of(source)), OF_SITE),
        ])
    }
}

/// As much of an address as stands for one customer: of IPv6, the first 48 bits (RFC 6177).
fn site_of(source: IpAddr) -> IpAddr {
    match network_of(source) {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 80 << 80).into(),
    }
}

/// The failures of the last minutes.
#[derive(Debug, Default)]
pub(crate) struct Brake {
    sign_ins: HashMap<Counted, Count>,
    // Apart, so that a flood of new accounts takes no room from those who have one.
    sign_ups: HashMap<Counted, Count>,
    /// When room was sought last.
    swept_at: Option<Timestamp>,
}

impl Brake {
    /// Lets an attempt pass, or says how many seconds it must wait. One that passes counts as a failure
    /// until it proves right, so that many at once are no way around.
    pub(crate) fn admit(&mut self, attempt: &Attempt, now: Timestamp) -> Result<(), u32> {
        let is_full = self.counts_of(attempt).len() + attempt.0.len() > ROOM;
        if is_full && self.swept_at.is_none_or(|at| now.since(at) >= SWEEP_PERIOD) {
            self.swept_at = Some(now);
            for counts in [&mut self.sign_ins, &mut self.sign_ups] {
                counts.retain(|_, count| now.since(count.since) < WINDOW);
            }
        }
        let counts = self.counts_of(attempt);
        let mut wait = Duration::ZERO;
        for (counted, limit) in &attempt.0 {
            match counts.get(counted) {
                Some(count) if now.since(count.since) < WINDOW && count.number >= *limit => {
                    wait = wait.max(WINDOW - now.since(count.since));
                }
                Some(_) => {}
                // There are only as many known browsers as there were sign-ins.
                None if counts.len() >= ROOM && !matches!(counted, Counted::Device(..)) => {
                    wait = wait.max(WINDOW);
                }
                None => {}
            }
        }
        if wait > Duration::ZERO {
            return Err(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1));
        }
        for (counted, _) in &attempt.0 {
            let fresh = Count {
                number: 0,
                since: now,
            };
            let count = counts.entry(counted.clone()).or_insert(fresh);
            if now.since(count.since) >= WINDOW {
                *count = fresh;
            }
            count.number += 1;
        }
        Ok(())
    }

    fn counts_of(&mut self, attempt: &Attempt) -> &mut HashMap<Counted, Count> {
        match attempt.0.first() {
            Some((Counted::SignUps(_) | Counted::SignUpsOfSite(_), _)) => &mut self.sign_ups,
            _ => &mut self.sign_ins,
        }
    }

    /// The password was right: what went before was mistyped.
    pub(crate) fn right(&mut self, attempt: &Attempt) {
        self.unjudged(attempt);
        for (counted, _) in &attempt.0 {
            if let Counted::AddressFrom(..) | Counted::Device(..) = counted {
                self.sign_ins.remove(counted);
            }
        }
    }

    /// The password could not be judged, so the attempt does not count.
    pub(crate) fn unjudged(&mut self, attempt: &Attempt) {
        let counts = self.counts_of(attempt);
        for (counted, _) in &attempt.0 {
            if let Some(count) = counts.get_mut(counted) {
                count.number = count.number.saturating_sub(1);
                if count.number == 0 {
                    counts.remove(counted);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ringtrip_model::{Generator, PlainToken};

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_790_000_000 + secs)
    }

    fn from(source: &str, email: &str) -> Attempt {
        Attempt::to_sign_in(email, source.parse().unwrap())
    }

    fn passed(brake: &mut Brake, attempt: &Attempt, times: u32, now: Timestamp) -> usize {
        (0..times)
            .filter(|_| brake.admit(attempt, now).is_ok())
            .count()
    }

    #[test]
    fn ten_failures_in_ten_minutes_and_then_a_pause_for_that_address_from_there() {
        let mut brake = Brake::default();
        let guesses = from("203.0.113.1", "Ann@example.org");
        assert_eq!(passed(&mut brake, &guesses, 60, at(0)), 10);
        assert_eq!(
            brake.admit(&from("203.0.113.1", "ann@EXAMPLE.org "), at(1)),
            Err(599)
        );
        assert!(
            brake
                .admit(&from("203.0.113.2", "ann@example.org"), at(1))
                .is_ok()
        );
        assert!(
            brake
                .admit(&from("203.0.113.1", "bob@example.org"), at(1))
                .is_ok()
        );
        assert_eq!(passed(&mut brake, &guesses, 60, at(600)), 10);
    }

    #[test]
    fn a_known_browser_has_a_count_of_its_own() {
        let mut rng = Generator::from_seed([1; 32]);
        let mut brake = Brake::default();
        for source in 1..=100 {
            let guesses = from(&format!("203.0.113.{source}"), "ann@example.org");
            passed(&mut brake, &guesses, 10, at(0));
        }
        let ann = UserId::generate(&mut rng);
        let device = PlainToken::generate(&mut rng).hashed();
        assert!(
            brake
                .admit(&from("198.51.100.1", "ann@example.org"), at(1))
                .is_err()
        );
        let known = Attempt::from_known_device(ann, device);
        assert_eq!(passed(&mut brake, &known, 60, at(1)), 10);
    }

    #[test]
    fn a_source_has_a_limit_over_all_addresses_and_a_network_is_one_source() {
        let mut brake = Brake::default();
        let tried = (0..300).filter(|n| {
            let source = format!("2001:db8::{n:x}");
            brake
                .admit(&from(&source, &format!("{n}@x")), at(0))
                .is_ok()
        });
        assert_eq!(tried.count(), OF_SOURCE as usize);
        assert!(brake.admit(&from("2001:db8:0:1::1", "1@x"), at(0)).is_ok());
        let mapped = from("::ffff:203.0.113.1", "a@x");
        passed(&mut brake, &mapped, 10, at(0));
        assert!(brake.admit(&from("203.0.113.1", "a@x"), at(0)).is_err());
    }

    #[test]
    fn a_right_password_clears_and_one_that_was_not_judged_costs_nothing() {
        let mut brake = Brake::default();
        let ann = from("203.0.113.1", "ann@example.org");
        for _ in 0..100 {
            assert!(brake.admit(&ann, at(0)).is_ok());
            brake.unjudged(&ann);
        }
        assert!(brake.sign_ins.is_empty());
        assert_eq!(passed(&mut brake, &ann, 9, at(0)), 9);
        assert!(brake.admit(&ann, at(0)).is_ok());
        brake.right(&ann);
        assert_eq!(passed(&mut brake, &ann, 60, at(0)), 10);
    }

    #[test]
    fn a_customer_with_many_networks_makes_no_more_accounts_than_a_few() {
        let mut brake = Brake::default();
        let mut made = 0;
        for network in 0..1000 {
            let source = format!("2001:db8:7:{network:x}::1").parse().unwrap();
            made += u32::from(brake.admit(&Attempt::to_sign_up(source), at(0)).is_ok());
        }
        assert_eq!(made, OF_SITE);
    }

    #[test]
    fn memory_is_bounded() {
        let mut brake = Brake::default();
        let source = |n: usize| {
            let source = format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255);
            source.parse().unwrap()
        };
        for n in 0..ROOM {
            // Each takes two places.
            let admitted = brake.admit(&Attempt::to_sign_up(source(n)), at(0));
            assert_eq!(admitted.is_ok(), n < ROOM / 2, "{n}");
        }
        let mut admitted = 0;
        for n in 0..ROOM {
            let attempt = Attempt::to_sign_in(&format!("{n}@example.org"), source(n));
            admitted += usize::from(brake.admit(&attempt, at(0)).is_ok());
        }
        assert!((ROOM / 3..ROOM / 3 + 2).contains(&admitted), "{admitted}");
        let mut rng = Generator::from_seed([1; 32]);
        let device = PlainToken::generate(&mut rng).hashed();
        let known = Attempt::from_known_device(UserId::generate(&mut rng), device);
        assert!(brake.admit(&known, at(1)).is_ok(), "nobody is locked out");
        brake.right(&known);
        let late = Attempt::to_sign_up("192.0.2.1".parse().unwrap());
        assert!(brake.admit(&late, at(600)).is_ok());
        assert_eq!(brake.sign_ups.len(), 2);
    }
}
