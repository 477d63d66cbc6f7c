//! The legs that are alive, by connection.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use ringtrip_model::{CredentialConnectionId, LegId, LegPlace, LiveLeg};

/// Legs that are listed at once. Legs are bounded where they begin, far below this.
const MAX_LEGS: usize = 500_000;

/// Which of a connection's legs are wanted, in the order in which they began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegRange {
    /// Those behind the first so many.
    Skip(u64),
    /// Those behind a place.
    After(LegPlace),
    /// The last ones before a place.
    Before(LegPlace),
}

/// Some of a connection's legs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegPage {
    /// The legs, the oldest first.
    pub legs: Vec<LiveLeg>,
    /// How many the connection has.
    pub total: u64,
    /// Whether there are older ones than these.
    pub earlier: bool,
    /// Whether there are newer ones than these.
    pub later: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Legs {
    places: HashMap<LegId, (CredentialConnectionId, LegPlace)>,
    connections: HashMap<CredentialConnectionId, BTreeMap<LegPlace, LiveLeg>>,
}

impl Legs {
    pub(crate) fn begin(&mut self, leg: LiveLeg) {
        if self.places.len() >= MAX_LEGS {
            tracing::warn!(leg.id = %leg.leg, "too many live legs; leg {} is not listed", leg.leg);
            return;
        }
        self.end(leg.leg);
        self.places.insert(leg.leg, (leg.connection, leg.place()));
        let legs = self.connections.entry(leg.connection).or_default();
        legs.insert(leg.place(), leg);
    }

    pub(crate) fn end(&mut self, leg: LegId) {
        let Some((connection, place)) = self.places.remove(&leg) else {
            return;
        };
        if let Some(legs) = self.connections.get_mut(&connection) {
            legs.remove(&place);
            if legs.is_empty() {
                self.connections.remove(&connection);
            }
        }
    }

    pub(crate) fn list(
        &self,
        connection: CredentialConnectionId,
        range: LegRange,
        limit: usize,
    ) -> LegPage {
        let Some(all) = self.connections.get(&connection) else {
            return LegPage {
                legs: Vec::new(),
                total: 0,
                earlier: false,
                later: false,
            };
        };
        let legs: Vec<LiveLeg> = match range {
            LegRange::Skip(count) => {
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                all.values().skip(count).take(limit).cloned().collect()
            }
            LegRange::After(place) => {
                let behind = all.range((Bound::Excluded(place), Bound::Unbounded));
                behind.take(limit).map(|(_, leg)| leg.clone()).collect()
            }
            LegRange::Before(place) => {
                let before = all.range(..place).rev().take(limit);
                let mut legs: Vec<LiveLeg> = before.map(|(_, leg)| leg.clone()).collect();
                legs.reverse();
                legs
            }
        };
        let oldest = all.first_key_value().map(|(place, _)| *place);
        let newest = all.last_key_value().map(|(place, _)| *place);
        let (earlier, later) = match (legs.first(), legs.last()) {
            (Some(first), Some(last)) => {
                (oldest < Some(first.place()), Some(last.place()) < newest)
            }
            // Nothing lies beyond the end but what lies before it, and the other way round.
            _ => match range {
                LegRange::Skip(_) | LegRange::After(_) => (true, false),
                LegRange::Before(_) => (false, true),
            },
        };
        LegPage {
            legs,
            total: all.len() as u64,
            earlier,
            later,
        }
    }
}
