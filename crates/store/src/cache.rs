//! A bounded cache that never serves what the database no longer holds.
//!
//! One process writes. After a commit, and before it answers, the writer puts or
//! removes every entry the commit touched. (Where commits may be told of in another order than they
//! were made, putting is removing: the next reader asks the database.) A reader that misses takes a [`Ticket`], asks the
//! database, and hands the row in with the ticket; the row is kept only if the entry was not touched
//! meanwhile. Whoever reads after a write was answered therefore sees that write.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a look-up finds.
#[derive(Debug)]
pub(crate) enum Found<V> {
    /// The value.
    Ready(Arc<V>),
    /// Nothing: ask the database, then [`Coherent::fill`].
    Missing(Ticket),
}

/// The right to hand in what a miss found in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

#[derive(Debug)]
enum Slot<V> {
    Loading(Ticket),
    Ready(Arc<V>),
}

/// Two generations: entries are born young; when the young are half the capacity, they become the old
/// and the old are dropped, but for those that were asked for meanwhile.
#[derive(Debug)]
struct Entries<K, V> {
    young: HashMap<K, Slot<V>>,
    old: HashMap<K, Slot<V>>,
    last_ticket: u64,
}

/// The cache. All operations are short and never wait for the database.
#[derive(Debug)]
pub(crate) struct Coherent<K, V> {
    entries: Mutex<Entries<K, V>>,
    capacity: usize,
    ordered: bool,
}

impl<K: Hash + Eq + Clone, V> Coherent<K, V> {
    /// Makes an empty cache for at most `capacity` entries. `ordered` says that the writer tells of commits
    /// in their order.
    pub(crate) fn new(capacity: usize, ordered: bool) -> Self {
        let entries = Entries {
            young: HashMap::new(),
            old: HashMap::new(),
            last_ticket: 0,
        };
        Self {
            entries: Mutex::new(entries),
            capacity,
            ordered,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries<K, V>> {
        // Every operation leaves the maps whole, so a panic of another thread has broken nothing.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks up an entry.
    pub(crate) fn get<Q>(&self, key: &Q) -> Found<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let mut entries = self.lock();
        if let Some(Slot::Ready(value)) = entries.young.get(key) {
            return Found::Ready(Arc::clone(value));
        }
        if let Some((key, Slot::Ready(value))) = entries.old.remove_entry(key) {
            self.put_young(&mut entries, key, Slot::Ready(Arc::clone(&value)));
            return Found::Ready(value);
        }
        entries.last_ticket += 1;
        let ticket = Ticket(entries.last_ticket);
        self.put_young(&mut entries, key.to_owned(), Slot::Loading(ticket));
        Found::Missing(ticket)
    }

    /// Hands in what the database held; kept if nothing has touched the entry since the ticket.
    pub(crate) fn fill(&self, key: &K, ticket: Ticket, value: Option<&Arc<V>>) {
        let mut entries = self.lock();
        let Entries { young, old, .. } = &mut *entries;
        let slot = match young.get_mut(key) {
            Some(slot) => Some(slot),
            None => old.get_mut(key),
        };
        match (slot, value) {
            (Some(slot @ Slot::Loading(_)), Some(value)) if slot.has(ticket) => {
                *slot = Slot::Ready(Arc::clone(value));
            }
            (Some(slot @ Slot::Loading(_)), None) if slot.has(ticket) => {
                entries.young.remove(key);
                entries.old.remove(key);
            }
            (Some(Slot::Loading(_) | Slot::Ready(_)) | None, _) => {}
        }
    }

    /// Sets an entry. Only the writer may: it alone knows the order of commits.
    pub(crate) fn put(&self, key: K, value: Arc<V>) {
        if !self.ordered {
            return self.remove(&key);
        }
        let mut entries = self.lock();
        entries.old.remove(&key);
        self.put_young(&mut entries, key, Slot::Ready(value));
    }

    /// Removes an entry, and the rights of readers that are about to fill it.
    pub(crate) fn remove(&self, key: &K) {
        let mut entries = self.lock();
        entries.young.remove(key);
        entries.old.remove(key);
    }

    /// Removes every entry that `keep` refuses, and the rights of all readers under way.
    pub(crate) fn retain(&self, keep: impl Fn(&V) -> bool) {
        let mut entries = self.lock();
        let keep = |slot: &mut Slot<V>| match slot {
            Slot::Ready(value) => keep(value),
            Slot::Loading(_) => false,
        };
        entries.young.retain(|_, slot| keep(slot));
        entries.old.retain(|_, slot| keep(slot));
    }

    fn put_young(&self, entries: &mut Entries<K, V>, key: K, slot: Slot<V>) {
        entries.young.insert(key, slot);
        if entries.young.len() > self.capacity / 2 {
            entries.old = std::mem::take(&mut entries.young);
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let entries = self.lock();
        entries.young.len() + entries.old.len()
    }
}

impl<V> Slot<V> {
    fn has(&self, ticket: Ticket) -> bool {
        match self {
            Self::Loading(own) => *own == ticket,
            Self::Ready(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(cache: &Coherent<u32, &'static str>, key: u32) -> Ticket {
        match cache.get(&key) {
            Found::Missing(ticket) => ticket,
            Found::Ready(value) => panic!("{value} is there"),
        }
    }

    fn ready(cache: &Coherent<u32, &'static str>, key: u32) -> Option<&'static str> {
        match cache.get(&key) {
            Found::Missing(_) => None,
            Found::Ready(value) => Some(*value),
        }
    }

    #[test]
    fn a_row_that_was_touched_while_it_was_read_is_not_kept() {
        let cache = Coherent::new(100, true);
        let slow = ticket(&cache, 1);
        cache.remove(&1);
        cache.fill(&1, slow, Some(&Arc::new("deleted")));
        assert_eq!(ready(&cache, 1), None);

        let slow = ticket(&cache, 2);
        cache.put(2, Arc::new("new"));
        cache.fill(&2, slow, Some(&Arc::new("old")));
        assert_eq!(ready(&cache, 2), Some("new"));

        let slow = ticket(&cache, 3);
        cache.retain(|_| true);
        cache.fill(&3, slow, Some(&Arc::new("old")));
        assert_eq!(ready(&cache, 3), None);
    }

    #[test]
    fn without_an_order_of_commits_what_was_written_is_read_anew() {
        let cache = Coherent::new(100, false);
        let slow = ticket(&cache, 1);
        cache.put(1, Arc::new("new"));
        cache.fill(&1, slow, Some(&Arc::new("old")));
        assert_eq!(ready(&cache, 1), None);
        let miss = ticket(&cache, 1);
        cache.fill(&1, miss, Some(&Arc::new("new")));
        assert_eq!(ready(&cache, 1), Some("new"));
    }

    #[test]
    fn of_two_readers_the_later_one_fills() {
        let cache = Coherent::new(100, true);
        let (first, second) = (ticket(&cache, 1), ticket(&cache, 1));
        cache.fill(&1, first, Some(&Arc::new("first")));
        cache.fill(&1, second, Some(&Arc::new("second")));
        assert_eq!(ready(&cache, 1), Some("second"));
    }

    #[test]
    fn absence_is_not_remembered() {
        let cache = Coherent::new(100, true);
        let miss = ticket(&cache, 1);
        cache.fill(&1, miss, None);
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn the_size_is_bounded_and_what_is_used_stays() {
        let cache = Coherent::new(10, true);
        cache.put(0, Arc::new("used"));
        for key in 1..1000 {
            assert_eq!(ready(&cache, 0), Some("used"), "{key}");
            cache.put(key, Arc::new("x"));
            assert!(cache.len() <= 12);
        }
        for key in 1000..2000 {
            let _abandoned = ticket(&cache, key);
            assert!(cache.len() <= 12);
        }
        assert_eq!(ready(&cache, 1), None);
    }

    #[test]
    fn removal_reaches_both_generations() {
        let cache = Coherent::new(4, true);
        for key in 0..4 {
            cache.put(key, Arc::new("x"));
        }
        for key in 0..4 {
            cache.remove(&key);
            assert_eq!(ready(&cache, key), None);
            cache.remove(&key);
        }
        assert_eq!(cache.len(), 0);
    }
}
