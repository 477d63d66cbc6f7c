//! What is going to happen, in order.

use std::collections::BTreeMap;

use ringtrip_model::Time;

/// A queue of things that happen at a time. What is due at the same instant happens in the order in
/// which it was put in, so that a run does not hang on anything but its seed.
#[derive(Debug)]
pub struct Agenda<T> {
    entries: BTreeMap<(Time, u64), T>,
    next: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<T> Agenda<T> {
    /// Puts something in.
    pub fn add(&mut self, at: Time, what: T) {
        self.entries.insert((at, self.next), what);
        self.next += 1;
    }

    /// Returns when the next thing is due.
    pub fn next_at(&self) -> Option<Time> {
        self.entries.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the next thing out if it is due at `now`.
    pub fn pop(&mut self, now: Time) -> Option<T> {
        let entry = self.entries.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// Tells whether nothing is going to happen.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_together_keeps_its_order() {
        let mut agenda = Agenda::default();
        for (at, what) in [(5, 'c'), (3, 'a'), (5, 'd'), (3, 'b')] {
            agenda.add(Time::from_millis(at), what);
        }
        assert_eq!(agenda.next_at(), Some(Time::from_millis(3)));
        assert_eq!(agenda.pop(Time::from_millis(2)), None);
        let order: String = std::iter::from_fn(|| agenda.pop(Time::from_millis(5))).collect();
        assert_eq!(order, "abcd");
        assert!(agenda.is_empty());
    }
}
