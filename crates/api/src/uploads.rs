//! How many call reports are taken in at once. They are large, and sent without a key.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Uploads under one call report id.
const MAX_OF_ONE_ID: usize = 2;
/// Uploads in all. What their senders have sent so far is held in memory.
const MAX_IN_ALL: usize = 64;
/// Uploads that have arrived and are checked and stored; the others wait for their turn.
const MAX_PROCESSED: usize = 16;

/// The uploads under way.
#[derive(Debug)]
pub(crate) struct Uploads {
    /// How many there are of each id; an id without any has no entry.
    of_ids: Mutex<HashMap<String, usize>>,
    in_all: Semaphore,
    turns: Semaphore,
}

/// An upload under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Upload<'a> {
    uploads: &'a Uploads,
    id: &'a str,
    _one: SemaphorePermit<'a>,
}

impl Uploads {
    pub(crate) fn new() -> Self {
        Self {
            of_ids: Mutex::new(HashMap::new()),
            in_all: Semaphore::new(MAX_IN_ALL),
            turns: Semaphore::new(MAX_PROCESSED),
        }
    }

    /// Lets an upload begin; nothing if there are as many as may be, of the id or in all.
    pub(crate) fn begin<'a>(&'a self, id: &'a str) -> Option<Upload<'a>> {
        let one = self.in_all.try_acquire().ok()?;
        let mut of_ids = self.of_ids.lock().unwrap_or_else(PoisonError::into_inner);
        match of_ids.get_mut(id) {
            Some(count) if *count >= MAX_OF_ONE_ID => return None,
            Some(count) => *count += 1,
            None => {
                of_ids.insert(id.to_owned(), 1);
            }
        }
        Some(Upload {
            uploads: self,
            id,
            _one: one,
        })
    }
}

impl Upload<'_> {
    /// Waits until the upload, which has arrived, may be checked and stored.
    pub(crate) async fn turn(&self) -> SemaphorePermit<'_> {
        let turn = self.uploads.turns.acquire().await;
        turn.expect("this semaphore is never closed")
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        let of_ids = &self.uploads.of_ids;
        let mut of_ids = of_ids.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = of_ids.get_mut(self.id) {
            *count -= 1;
            if *count == 0 {
                of_ids.remove(self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn each_id_has_two_and_all_have_sixty_four() {
        let uploads = Uploads::new();
        let ids: Vec<String> = (0..40).map(|i| format!("report-{i}")).collect();
        let mut begun = Vec::new();
        for id in &ids[..32] {
            for _ in 0..2 {
                begun.push(uploads.begin(id).unwrap());
            }
            assert!(uploads.begin(id).is_none(), "a third one of {id}");
        }
        assert!(uploads.begin(&ids[32]).is_none(), "a sixty-fifth");
        begun.pop();
        assert!(uploads.begin(&ids[0]).is_none());
        begun.push(uploads.begin(&ids[32]).unwrap());
        drop(begun);
        assert!(uploads.of_ids.lock().unwrap().is_empty());
        assert_eq!(uploads.in_all.available_permits(), MAX_IN_ALL);
    }

    #[test]
    fn sixteen_are_processed_and_the_next_waits_for_one_to_end() {
        let uploads = Uploads::new();
        let ids: Vec<String> = (0..17).map(|i| format!("report-{i}")).collect();
        let begun: Vec<_> = ids.iter().map(|id| uploads.begin(id).unwrap()).collect();
        let mut context = Context::from_waker(Waker::noop());
        let mut turns = Vec::new();
        for upload in &begun[..16] {
            match pin!(upload.turn()).poll(&mut context) {
                std::task::Poll::Ready(turn) => turns.push(turn),
                std::task::Poll::Pending => panic!("there is room"),
            }
        }
        let mut last = pin!(begun[16].turn());
        assert!(last.as_mut().poll(&mut context).is_pending());
        turns.pop();
        assert!(last.as_mut().poll(&mut context).is_ready());
    }
}
