//! Where passwords are judged: a few at a time, off the threads that answer requests, with a bounded
//! queue before it.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::refusal::PortalRefusal;
use crate::error::ApiError;

/// Passwords that may wait for their turn. Each takes some tens of milliseconds of a core.
const QUEUE: usize = 32;
/// Passwords that are judged at once, at most; each takes 19 MiB.
const MAX_AT_ONCE: usize = 4;

/// The pool.
#[derive(Debug)]
pub(crate) struct Hashing {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Hashing {
    /// Leaves half of the cores to others.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let at_once = (cores / 2).clamp(1, MAX_AT_ONCE);
        Self {
            places: Arc::new(Semaphore::new(at_once + QUEUE)),
            turns: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// Runs work on a password.
    ///
    /// # Errors
    /// 503 if as much waits as may.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| ApiError::Portal(PortalRefusal::Busy))?;
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.expect("this semaphore is never closed");
        let task = tokio::task::spawn_blocking(move || {
            let done = work();
            // Only now may the next one begin, whether or not anybody still waits for this one.
            drop((turn, place));
            done
        });
        match task.await {
            Ok(done) => Ok(done),
            Err(failure) => match failure.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime drops what has not begun only when the node stops.
                Err(_) => Err(ApiError::Panicked),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_finds_no_place_is_refused_and_the_others_are_done() {
        let hashing = Arc::new(Hashing::new());
        let places = hashing.places.available_permits();
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        let mut tasks = Vec::new();
        for _ in 0..places {
            let (hashing, held) = (Arc::clone(&hashing), Arc::clone(&held));
            tasks.push(tokio::spawn(async move {
                // Ends when the test lets go.
                hashing
                    .run(move || held.lock().unwrap().recv().is_err())
                    .await
            }));
        }
        while hashing.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = hashing.run(|| ()).await;
        assert!(matches!(
            refused,
            Err(ApiError::Portal(PortalRefusal::Busy))
        ));
        drop(release);
        for task in tasks {
            assert!(task.await.unwrap().unwrap());
        }
        assert!(hashing.run(|| ()).await.is_ok());
    }
}
