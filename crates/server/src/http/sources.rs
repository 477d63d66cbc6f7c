//! How many of something each source has, so that one source cannot take the room of all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts places by source. It remembers only sources that hold one.
#[derive(Debug)]
pub(crate) struct Sources {
    limit: usize,
    held: Mutex<HashMap<IpAddr, usize>>,
}

/// A place that a source holds, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    sources: Arc<Sources>,
    source: IpAddr,
}

impl Sources {
    /// Allows each source `limit` places; 0 means any number.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            held: Mutex::default(),
        })
    }

    /// Gives a source a place; none if it has as many as it may.
    pub(crate) fn enter(self: &Arc<Self>, source: IpAddr) -> Option<Place> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(source).or_default();
        if self.limit > 0 && *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Place {
            sources: Arc::clone(self),
            source,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let held = &self.sources.held;
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_its_places_and_takes_none_from_others() {
        let sources = Sources::new(2);
        let (one, other) = (
            IpAddr::from([203, 0, 113, 1]),
            IpAddr::from([203, 0, 113, 2]),
        );
        let mut places = vec![sources.enter(one).unwrap(), sources.enter(one).unwrap()];
        assert!(sources.enter(one).is_none());
        places.push(sources.enter(other).unwrap());
        places.remove(0);
        places.push(sources.enter(one).unwrap());
        drop(places);
        assert!(sources.held.lock().unwrap().is_empty());
    }

    #[test]
    fn without_a_limit_all_are_let_in() {
        let sources = Sources::new(0);
        let source = IpAddr::from([203, 0, 113, 1]);
        let places: Vec<_> = (0..10_000)
            .map(|_| sources.enter(source).unwrap())
            .collect();
        assert_eq!(places.len(), 10_000);
    }
}
