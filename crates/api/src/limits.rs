//! How often a key may ask, and how often a source may ask without a good one.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use ringtrip_model::{PlainApiKey, Timestamp};

use crate::error::ApiError;
use crate::peer::Peer;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The time over which a rate is meant: so many seconds' worth may come at once.
const WINDOW_SECS: i64 = 10;
const WINDOW: i64 = WINDOW_SECS * 1_000_000;
/// Keys, or sources, remembered.
const ROOM: usize = 50_000;
/// How often room is sought when there is none, in microseconds.
const SEARCH_PERIOD: i64 = 1_000_000;

/// Requests a second, each over ten seconds; 0 means any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimits {
    /// Of one API key.
    pub per_key: u32,
    /// Of one source address (an IPv6 network of 64 bits), without a key or with a wrong one.
    pub per_source: u32,
}

/// How a key or a source stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Requests in a whole window.
    limit: u64,
    /// Requests that may come at once now.
    remaining: u64,
    /// Seconds until the whole window is free again.
    reset_secs: u64,
    /// Seconds until the next request is taken, if this one is not.
    wait_secs: Option<u64>,
}

/// The standing that is shown in a request's answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown(Arc<OnceLock<Standing>>);

/// Counts the requests of keys and sources.
#[derive(Debug)]
pub(crate) struct Limits {
    keys: Buckets<String>,
    sources: Buckets<IpAddr>,
    refused: AtomicU64,
}

impl Limits {
    pub(crate) fn new(rates: RateLimits) -> Self {
        Self {
            keys: Buckets::new(rates.per_key),
            sources: Buckets::new(rates.per_source),
            refused: AtomicU64::new(0),
        }
    }

    /// Counts a request that came without a key.
    ///
    /// # Errors
    /// 429 if its source has sent as many as it may.
    pub(crate) fn take_source(
        &self,
        peer: Peer,
        shown: &Shown,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        self.settle(self.sources.take(&peer.network(), now), shown)
    }

    /// Tells whether a key is worth a look: any key, until its source has failed as often as it may;
    /// then only one that was good lately, so that a guesser locks nobody out.
    ///
    /// # Errors
    /// 429 if it is not.
    pub(crate) fn admit(
        &self,
        peer: Peer,
        key: &PlainApiKey,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        match self.sources.wait_secs(&peer.network(), now) {
            Some(wait_secs) if !self.keys.is_off() && !self.keys.knows(key.lookup()) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(ApiError::TooManyRequests { wait_secs })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Counts a request of a key that is good.
    ///
    /// # Errors
    /// 429 if it has sent as many as it may.
    pub(crate) fn take_key(
        &self,
        key: &PlainApiKey,
        shown: &Shown,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        self.settle(self.keys.take(key.lookup(), now), shown)
    }

    /// Counts requests that were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn settle(&self, standing: Option<Standing>, shown: &Shown) -> Result<(), ApiError> {
        let Some(standing) = standing else {
            return Ok(());
        };
        // The first count is the one that decides.
        let _ = shown.0.set(standing);
        match standing.wait_secs {
            None => Ok(()),
            Some(wait_secs) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(ApiError::TooManyRequests { wait_secs })
            }
        }
    }
}

impl Shown {
    /// Adds a place for a standing to a request.
    pub(crate) fn begin(extensions: &mut Extensions) -> Self {
        let shown = Self::default();
        extensions.insert(shown.clone());
        shown
    }

    /// Returns the place in a request; one that nobody looks at if there is none.
    pub(crate) fn of(parts: &Parts) -> Self {
        parts.extensions.get().cloned().unwrap_or_default()
    }

    /// Puts the standing into an answer.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        if let Some(standing) = self.0.get() {
            headers.insert(LIMIT, HeaderValue::from(standing.limit));
            headers.insert(REMAINING, HeaderValue::from(standing.remaining));
            headers.insert(RESET, HeaderValue::from(standing.reset_secs));
        }
    }
}

/// A leaking bucket for each name, held as the time at which it will be empty: each request adds what
/// it costs, and one that would bring that time further than a window away is not taken.
#[derive(Debug)]
struct Buckets<K> {
    per_second: u32,
    empty_at: Mutex<Known<K>>,
}

#[derive(Debug)]
struct Known<K> {
    /// In microseconds since the epoch.
    times: HashMap<K, i64>,
    searched: i64,
}

impl<K: Eq + Hash> Buckets<K> {
    fn new(per_second: u32) -> Self {
        Self {
            per_second,
            empty_at: Mutex::new(Known {
                times: HashMap::new(),
                searched: i64::MIN,
            }),
        }
    }

    const fn is_off(&self) -> bool {
        self.per_second == 0
    }

    /// Microseconds that a request costs.
    fn cost(&self) -> i64 {
        (1_000_000 / i64::from(self.per_second.max(1))).max(1)
    }

    /// Counts a request; none if nothing is counted, or there is no room to.
    fn take<Q>(&self, name: &Q, now: Timestamp) -> Option<Standing>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        if self.is_off() {
            return None;
        }
        let (cost, now) = (self.cost(), now.as_micros());
        let mut known = self.empty_at.lock().unwrap_or_else(PoisonError::into_inner);
        let at = match known.times.get_mut(name) {
            Some(at) => at,
            None => {
                known.make_room(now);
                if known.times.len() >= ROOM {
                    return None;
                }
                known.times.entry(name.to_owned()).or_insert(now)
            }
        };
        // The clock may have been set back.
        let before = (*at).clamp(now, now + WINDOW);
        let after = before + cost;
        let taken = after <= now + WINDOW;
        *at = if taken { after } else { before };
        let at = *at;
        Some(Standing {
            limit: count(WINDOW / cost),
            remaining: count((now + WINDOW - at) / cost),
            reset_secs: seconds(at - now),
            wait_secs: (!taken).then(|| seconds(after - now - WINDOW).max(1)),
        })
    }

    /// Returns how long a request would have to wait, if it would, without counting one.
    fn wait_secs(&self, name: &K, now: Timestamp) -> Option<u64> {
        if self.is_off() {
            return None;
        }
        let known = self.empty_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now.as_micros();
        let at = (*known.times.get(name)?).clamp(now, now + WINDOW);
        let over = at + self.cost() - now - WINDOW;
        (over > 0).then(|| seconds(over).max(1))
    }

    fn knows<Q>(&self, name: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let known = self.empty_at.lock().unwrap_or_else(PoisonError::into_inner);
        known.times.contains_key(name)
    }
}

impl<K: Eq + Hash> Known<K> {
    /// Forgets empty buckets if there is no room for another, once in a while.
    fn make_room(&mut self, now: i64) {
        if self.times.len() >= ROOM && now.saturating_sub(self.searched) >= SEARCH_PERIOD {
            self.searched = now;
            self.times.retain(|_, at| *at > now);
        }
    }
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Rounds microseconds up to whole seconds.
fn seconds(micros: i64) -> u64 {
    count(micros).div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(1_790_000_000_000_000 + millis * 1000)
    }

    fn peer(last: u8) -> Peer {
        Peer {
            source: IpAddr::from([203, 0, 113, last]),
            secure: false,
        }
    }

    #[test]
    fn ten_seconds_worth_may_come_at_once_and_then_so_many_a_second() {
        let buckets: Buckets<String> = Buckets::new(5);
        for left in (0..50).rev() {
            let standing = buckets.take("k", at(0)).unwrap();
            assert_eq!(
                (standing.limit, standing.remaining, standing.wait_secs),
                (50, left, None)
            );
        }
        let refused = buckets.take("k", at(0)).unwrap();
        assert_eq!(
            (refused.remaining, refused.reset_secs, refused.wait_secs),
            (0, 10, Some(1))
        );
        assert_eq!(buckets.take("other", at(0)).unwrap().remaining, 49);
        // What was refused cost nothing.
        assert_eq!(buckets.take("k", at(200)).unwrap().wait_secs, None);
        assert!(buckets.take("k", at(200)).unwrap().wait_secs.is_some());
        assert_eq!(buckets.take("k", at(60_000)).unwrap().remaining, 49);
    }

    #[test]
    fn a_clock_that_is_set_back_costs_no_more_than_a_window() {
        let buckets: Buckets<String> = Buckets::new(1);
        for _ in 0..10 {
            buckets.take("k", at(3_600_000));
        }
        assert_eq!(buckets.take("k", at(0)).unwrap().wait_secs, Some(1));
        assert_eq!(buckets.take("k", at(1000)).unwrap().wait_secs, None);
    }

    #[test]
    fn without_a_rate_nothing_is_counted() {
        let buckets: Buckets<String> = Buckets::new(0);
        assert_eq!(buckets.take("k", at(0)), None);
        assert!(buckets.empty_at.lock().unwrap().times.is_empty());
    }

    #[test]
    fn memory_is_bounded_and_those_without_room_are_not_refused() {
        let buckets: Buckets<u32> = Buckets::new(1);
        for name in 0..50_000 {
            assert!(buckets.take(&name, at(0)).is_some());
        }
        assert_eq!(buckets.take(&50_000, at(0)), None);
        assert_eq!(buckets.empty_at.lock().unwrap().times.len(), ROOM);
        assert!(buckets.take(&50_000, at(2000)).is_some());
        assert_eq!(buckets.empty_at.lock().unwrap().times.len(), 1);
    }

    #[test]
    fn a_source_that_fails_too_often_locks_out_nobody_whose_key_was_good() {
        let limits = Limits::new(RateLimits {
            per_key: 100,
            per_source: 1,
        });
        let mut rng = ringtrip_model::Generator::from_seed([3; 32]);
        let (good, fresh) = (
            PlainApiKey::generate(&mut rng),
            PlainApiKey::generate(&mut rng),
        );
        limits.take_key(&good, &Shown::default(), at(0)).unwrap();
        for _ in 0..10 {
            limits.admit(peer(1), &fresh, at(0)).unwrap();
            limits
                .take_source(peer(1), &Shown::default(), at(0))
                .unwrap();
        }
        assert!(limits.admit(peer(1), &fresh, at(0)).is_err());
        limits.admit(peer(1), &good, at(0)).unwrap();
        limits.admit(peer(2), &fresh, at(0)).unwrap();
        limits.admit(peer(1), &fresh, at(1000)).unwrap();
        assert_eq!(limits.refused(), 1);
    }
}
