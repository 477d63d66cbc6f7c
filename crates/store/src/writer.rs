//! Writing: a request is carried out in a transaction, committed, and only then answered.
//!
//! SQLite has one task that writes: it takes what is waiting, carries it out in one transaction, commits,
//! and answers everybody (group commit). A request that fails is undone alone, to its own savepoint. If
//! the transaction itself fails, nothing of the batch is kept and everybody in it is told. What writes
//! much at once waits in a queue of its own and is carried out in transactions of its own, one after
//! each batch of the others: nobody waits for more than one of them.
//!
//! With Postgres each request has a task, a connection of a pool and a transaction of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use ringtrip_model::{AuditEvent, AuditEventId};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::audit::Trail;
use crate::audit_events;
use crate::db::{self, Conn, Pool};
use crate::error::{StoreError, Unavailability};

/// Requests that may wait.
const QUEUE: usize = 4096;
/// Large requests that may wait.
const LARGE_QUEUE: usize = 32;
/// Requests in one transaction.
const MAX_BATCH: usize = 100;

/// A future that borrows the writing connection.
pub(crate) type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'c>>;

/// Tells a carried-out request whether it was committed; it then answers its caller.
type Conclude = Box<dyn FnOnce(Fate) + Send>;
type Run = Box<dyn for<'c> FnOnce(&'c mut Conn) -> Running<'c> + Send>;
type Running<'c> = Pin<Box<dyn Future<Output = Ran> + Send + 'c>>;

/// What a request asks of the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One statement, which is done in full or not at all: it needs no savepoint.
    One,
    /// Any number of statements, undone together.
    Several,
    /// As [`Kind::Several`], and so much to write that others must not wait for it in one batch.
    Large,
}

/// A request that waits.
struct Request {
    kind: Kind,
    run: Run,
}

/// What became of a request's statements.
enum Ran {
    /// Done, and what the audit log tells of it.
    Keep(Conclude, Option<AuditEvent>),
    /// Refused: what it did before it was refused must be undone.
    Undo(Conclude),
    /// Broken off by a fault or a panic: what it did must be undone, if that can be told.
    Broken(Conclude),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Committed,
    /// Not committed, or not known to be.
    Failed,
}

/// How much was written since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteCounts {
    /// Requests carried out, refused ones too.
    pub requests: u64,
    /// Transactions committed for them.
    pub commits: u64,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    commits: AtomicU64,
}

/// The way to the writer.
#[derive(Debug)]
pub(crate) struct Writer {
    way: Way,
    counters: Arc<Counters>,
}

#[derive(Debug)]
enum Way {
    /// To the one task that writes.
    Queue {
        queue: mpsc::Sender<Request>,
        large: mpsc::Sender<Request>,
    },
    /// To a transaction of its own.
    Pool {
        pool: Pool,
        /// A request takes one, a large one [`LARGE_SHARE`].
        places: Arc<Semaphore>,
    },
}

/// A large request takes the place of so many others.
const LARGE_SHARE: u32 = (QUEUE / LARGE_QUEUE) as u32;

/// The connection that writes.
pub(crate) enum Link {
    /// One of its own, made anew after a failure.
    File {
        options: Box<SqliteConnectOptions>,
        conn: Option<Conn>,
    },
    /// The only one there is, taken for each batch.
    Memory(Pool),
}

enum Held<'a> {
    Own(&'a mut Conn),
    Lent(Conn),
}

impl Held<'_> {
    fn conn(&mut self) -> &mut Conn {
        match self {
            Self::Own(conn) => conn,
            Self::Lent(conn) => conn,
        }
    }
}

impl Writer {
    /// Starts the task. It ends once the [`Writer`] is dropped and what was waiting is written.
    pub(crate) fn start(link: Link) -> (Self, JoinHandle<()>) {
        let (queue, requests) = mpsc::channel(QUEUE);
        let (large_queue, large) = mpsc::channel(LARGE_QUEUE);
        let counters = Arc::new(Counters::default());
        let task = Task {
            requests,
            large,
            large_next: false,
            link,
            counters: Arc::clone(&counters),
        };
        let writer = Self {
            way: Way::Queue {
                queue,
                large: large_queue,
            },
            counters,
        };
        (writer, tokio::spawn(task.run()))
    }

    /// Writes by transactions of their own on the connections of a pool.
    pub(crate) fn on_pool(pool: Pool) -> Self {
        Self {
            way: Way::Pool {
                pool,
                places: Arc::new(Semaphore::new(QUEUE)),
            },
            counters: Arc::new(Counters::default()),
        }
    }

    /// Returns once what was begun on a pool is done, and closes it. The task ends by itself.
    pub(crate) async fn finish(&self) {
        match &self.way {
            Way::Queue { .. } => {}
            Way::Pool { pool, places } => {
                // Nobody closes the semaphore before this has all of it.
                let _all = places.acquire_many(QUEUE as u32).await;
                places.close();
                pool.close().await;
            }
        }
    }

    /// Carries out a request and returns once it is durable. `settle` hears of the result on the
    /// writer's task, in the order of commits, before the caller does: a value if it is committed,
    /// [`None`] if its fate is unknown. A caller that goes away does not stop its request. What the
    /// trail tells of the value goes into the audit log in the same transaction.
    ///
    /// # Errors
    /// What `work` refuses, or [`StoreError::Unavailable`].
    pub(crate) async fn write<T, W, S>(
        &self,
        kind: Kind,
        doing: &'static str,
        trail: Option<(Arc<Trail>, AuditEventId)>,
        work: W,
        settle: S,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Conn) -> Work<'c, T> + Send + 'static,
        S: FnOnce(Option<&T>) + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let unavailable = move |cause| StoreError::Unavailable { doing, cause };
        let run: Run = Box::new(move |conn| {
            Box::pin(async move {
                match caught(work(conn)).await {
                    Some(Ok(value)) => {
                        let event = trail.and_then(|(trail, id)| trail.written(id, &value));
                        let conclude: Conclude = Box::new(move |fate| {
                            let result = match fate {
                                Fate::Committed => {
                                    settle(Some(&value));
                                    Ok(value)
                                }
                                Fate::Failed => {
                                    settle(None);
                                    Err(unavailable(Unavailability::BatchFailed))
                                }
                            };
                            // The caller may have gone away.
                            let _ = answer.send(result);
                        });
                        Ran::Keep(conclude, event)
                    }
                    Some(Err(error)) => {
                        let broken = error.may_end_transaction();
                        let conclude: Conclude = Box::new(move |_| {
                            let _ = answer.send(Err(error));
                        });
                        if broken {
                            Ran::Broken(conclude)
                        } else {
                            Ran::Undo(conclude)
                        }
                    }
                    None => Ran::Broken(Box::new(move |_| {
                        let _ = answer.send(Err(unavailable(Unavailability::Panicked)));
                    })),
                }
            })
        });
        self.hand_over(Request { kind, run }, doing)
            .map_err(unavailable)?;
        // A request that is dropped unanswered was never begun.
        answered
            .await
            .unwrap_or_else(|_| Err(unavailable(Unavailability::BatchFailed)))
    }

    fn hand_over(&self, request: Request, doing: &'static str) -> Result<(), Unavailability> {
        match &self.way {
            Way::Queue { queue, large } => {
                let queue = match request.kind {
                    Kind::One | Kind::Several => queue,
                    Kind::Large => large,
                };
                queue.try_send(request).map_err(|error| match error {
                    mpsc::error::TrySendError::Full(_) => Unavailability::QueueFull,
                    mpsc::error::TrySendError::Closed(_) => Unavailability::Closed,
                })
            }
            Way::Pool { pool, places } => {
                let share = match request.kind {
                    Kind::One | Kind::Several => 1,
                    Kind::Large => LARGE_SHARE,
                };
                let place = Arc::clone(places).try_acquire_many_owned(share);
                let place = place.map_err(|error| match error {
                    tokio::sync::TryAcquireError::NoPermits => Unavailability::QueueFull,
                    tokio::sync::TryAcquireError::Closed => Unavailability::Closed,
                })?;
                let (pool, counters) = (pool.clone(), Arc::clone(&self.counters));
                tokio::spawn(async move {
                    if let Err(error) = alone(&pool, request.run, &counters).await {
                        tracing::error!(%error, "a write failed while {doing}");
                    }
                    drop(place);
                });
                Ok(())
            }
        }
    }

    pub(crate) fn counts(&self) -> WriteCounts {
        WriteCounts {
            requests: self.counters.requests.load(Ordering::Relaxed),
            commits: self.counters.commits.load(Ordering::Relaxed),
        }
    }
}

/// Carries out a request in a transaction of its own. On error its caller has been told, or is told by
/// the request's being dropped.
async fn alone(pool: &Pool, run: Run, counters: &Counters) -> Result<(), sqlx::Error> {
    let mut conn = pool.begin().await?;
    counters.requests.fetch_add(1, Ordering::Relaxed);
    let (result, conclude) = match run(&mut conn).await {
        Ran::Keep(conclude, event) => {
            let committed = match record(&mut conn, event.as_slice()).await {
                Ok(()) => conn.commit().await,
                Err(error) => Err(error),
            };
            if committed.is_ok() {
                counters.commits.fetch_add(1, Ordering::Relaxed);
            }
            (committed, conclude)
        }
        Ran::Undo(conclude) | Ran::Broken(conclude) => {
            // What fails here has undone the transaction already.
            let _ = conn.rollback().await;
            (Ok(()), conclude)
        }
    };
    conclude(if result.is_ok() {
        Fate::Committed
    } else {
        Fate::Failed
    });
    result
}

/// Polls a request; nothing if it panics, which ends this request alone.
async fn caught<T>(mut work: Work<'_, T>) -> Option<Result<T, StoreError>> {
    std::future::poll_fn(move |context| {
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => Poll::Ready(Some(result)),
            Err(_) => {
                tracing::error!("a write panicked and was undone");
                Poll::Ready(None)
            }
        }
    })
    .await
}

struct Task {
    requests: mpsc::Receiver<Request>,
    large: mpsc::Receiver<Request>,
    /// Whether the others have just had their turn.
    large_next: bool,
    link: Link,
    counters: Arc<Counters>,
}

impl Task {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while self.gather(&mut batch).await {
            self.counters
                .requests
                .fetch_add(batch.len() as u64, Ordering::Relaxed);
            let mut concluded = Vec::with_capacity(batch.len());
            let result = self.carry_out(&mut batch, &mut concluded).await;
            let fate = if result.is_ok() {
                Fate::Committed
            } else {
                Fate::Failed
            };
            match result {
                Ok(()) => {
                    self.counters.commits.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    tracing::error!(%error, "a batch of writes failed");
                    self.link.give_up().await;
                    // Those that wait would only wait as long again for the same fault. There may be
                    // room for small ones where there was none for a large one.
                    batch.clear();
                    while self.large.try_recv().is_ok() {}
                    if self.large_next {
                        while self.requests.try_recv().is_ok() {}
                    }
                }
            }
            // Last: what somebody sends who has heard of a fault does not go with those that waited during it.
            for conclude in concluded {
                conclude(fate);
            }
        }
        self.link.close().await;
    }

    /// Fills the empty batch, with all that wait or with a single large request; the two take turns
    /// while there are both. False once the [`Writer`] is gone and nothing waits.
    async fn gather(&mut self, batch: &mut Vec<Request>) -> bool {
        if self.large_next
            && let Ok(large) = self.large.try_recv()
        {
            self.large_next = false;
            batch.push(large);
            return true;
        }
        let large = tokio::select! {
            biased;
            count = self.requests.recv_many(batch, MAX_BATCH) => {
                if count > 0 {
                    self.large_next = true;
                    return true;
                }
                self.large.recv().await
            }
            Some(large) = self.large.recv() => Some(large),
        };
        self.large_next = false;
        batch.extend(large);
        !batch.is_empty()
    }

    /// Carries out a batch in one transaction. Who was begun is in `concluded`, to be told what became of it;
    /// dropping the others tells them. On error nothing of the batch is kept.
    async fn carry_out(
        &mut self,
        batch: &mut Vec<Request>,
        concluded: &mut Vec<Conclude>,
    ) -> Result<(), sqlx::Error> {
        let mut held = self.link.hold().await?;
        let conn = held.conn();
        let result = match statements(conn, batch, concluded).await {
            Ok(()) => execute(conn, "COMMIT").await,
            Err(error) => Err(error),
        };
        if result.is_err() {
            // The failure may have ended the transaction already.
            let _ = execute(conn, "ROLLBACK").await;
        }
        result
    }
}

async fn statements(
    conn: &mut Conn,
    batch: &mut Vec<Request>,
    concluded: &mut Vec<Conclude>,
) -> Result<(), sqlx::Error> {
    execute(conn, "BEGIN IMMEDIATE").await?;
    let mut has_savepoint = false;
    let mut events = Vec::new();
    for Request { kind, run } in batch.drain(..) {
        let single = match kind {
            Kind::One => true,
            Kind::Several | Kind::Large => false,
        };
        if !single {
            let sql = if has_savepoint {
                "RELEASE request; SAVEPOINT request"
            } else {
                "SAVEPOINT request"
            };
            execute(conn, sql).await?;
            has_savepoint = true;
        }
        match run(conn).await {
            Ran::Keep(conclude, event) => {
                concluded.push(conclude);
                events.extend(event);
            }
            Ran::Undo(conclude) if single => concluded.push(conclude),
            Ran::Broken(conclude) if single => {
                concluded.push(conclude);
                // The fault may have ended the transaction, and the panic come after the statement.
                return Err(sqlx::Error::Protocol(
                    "a statement was broken off".to_owned(),
                ));
            }
            Ran::Undo(conclude) | Ran::Broken(conclude) => {
                concluded.push(conclude);
                // Some faults (disk full) end the whole transaction; then there is no savepoint to
                // return to, this fails, and with it the batch.
                execute(conn, "ROLLBACK TO request").await?;
            }
        }
    }
    record(conn, &events).await
}

/// Adds what the audit log tells of requests to their transaction.
async fn record(conn: &mut Conn, events: &[AuditEvent]) -> Result<(), sqlx::Error> {
    if events.is_empty() {
        return Ok(());
    }
    audit_events::insert_all(conn, events).await
}

async fn execute(conn: &mut Conn, sql: &'static str) -> Result<(), sqlx::Error> {
    db::query(sql).execute(conn).await.map(drop)
}

impl Link {
    async fn hold(&mut self) -> Result<Held<'_>, sqlx::Error> {
        match self {
            Self::File { options, conn } => {
                if conn.is_none() {
                    *conn = Some(Conn::Sqlite(options.connect().await?));
                }
                Ok(Held::Own(
                    conn.as_mut()
                        .expect("a connection was made if there was none"),
                ))
            }
            Self::Memory(pool) => pool.acquire().await.map(Held::Lent),
        }
    }

    /// Closes a connection that has failed; the next batch gets a new one, which finds no lock of the old one.
    async fn give_up(&mut self) {
        match self {
            Self::File { conn, .. } => {
                if let Some(conn) = conn.take() {
                    // It has failed, so nothing of it is missed.
                    let _ = conn.close().await;
                }
            }
            // The connection is the database.
            Self::Memory(_) => {}
        }
    }

    async fn close(self) {
        match self {
            Self::File {
                conn: Some(conn), ..
            } => {
                if let Err(error) = conn.close().await {
                    tracing::warn!(%error, "the database did not close cleanly");
                }
            }
            Self::File { conn: None, .. } | Self::Memory(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Mutex;
    use std::time::Duration;

    use futures_util::future::join_all;

    use super::*;

    /// A writer on a file with one table, which waits for locks as good as not at all.
    async fn start(path: &Path, pages: &'static str) -> (Writer, JoinHandle<()>) {
        db::create_file(path).unwrap();
        let options =
            db::writer_options(path, Duration::from_millis(1)).pragma("max_page_count", pages);
        let mut conn = Conn::Sqlite(options.connect().await.unwrap());
        execute(
            &mut conn,
            "CREATE TABLE things (id BIGINT PRIMARY KEY NOT NULL, body BLOB NOT NULL)",
        )
        .await
        .unwrap();
        Writer::start(Link::File {
            options: Box::new(options),
            conn: Some(conn),
        })
    }

    async fn insert(writer: &Writer, id: i64, len: usize) -> Result<(), StoreError> {
        writer
            .write(
                Kind::Several,
                "testing",
                None,
                move |conn| Box::pin(put(conn, id, len)),
                |_| {},
            )
            .await
    }

    async fn put(conn: &mut Conn, id: i64, len: usize) -> Result<(), StoreError> {
        db::query("INSERT INTO things (id, body) VALUES ($1, $2)")
            .bind(id)
            .bind(vec![7; len])
            .execute(conn)
            .await
            .map(drop)
            .map_err(StoreError::while_doing("testing"))
    }

    fn more_space(conn: &mut Conn) -> Work<'_, ()> {
        let done = execute(conn, "PRAGMA max_page_count = 10000");
        Box::pin(async move { done.await.map_err(StoreError::while_doing("testing")) })
    }

    async fn ids(path: &Path) -> Vec<i64> {
        let pool = db::readers(path).await.unwrap();
        let ids = sqlx::query_scalar("SELECT id FROM things ORDER BY id")
            .fetch_all(&pool)
            .await
            .unwrap();
        pool.close().await;
        ids
    }

    #[tokio::test]
    async fn a_lock_of_another_process_makes_writes_unavailable_until_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let (writer, task) = start(&path, "1000").await;
        let other = db::writer_options(&path, Duration::ZERO).connect().await;
        let mut other = Conn::Sqlite(other.unwrap());
        execute(&mut other, "BEGIN IMMEDIATE").await.unwrap();
        for result in join_all((1..=300).map(|id| insert(&writer, id, 1))).await {
            assert!(result.unwrap_err().is_unavailable());
        }
        execute(&mut other, "ROLLBACK").await.unwrap();
        insert(&writer, 301, 1).await.unwrap();
        drop(writer);
        task.await.unwrap();
        assert_eq!(ids(&path).await, [301]);
    }

    #[tokio::test]
    async fn on_a_full_disk_only_what_was_acknowledged_is_there_and_space_heals() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let (writer, task) = start(&path, "20").await;
        insert(&writer, 1, 10).await.unwrap();
        let results =
            join_all([(2, 10), (3, 1_000_000), (4, 10)].map(|(id, len)| insert(&writer, id, len)));
        let results = results.await;
        assert!(results[1].as_ref().unwrap_err().is_unavailable());
        let mut expected = vec![1];
        expected.extend(
            results
                .iter()
                .zip([2, 3, 4])
                .filter(|(r, _)| r.is_ok())
                .map(|(_, id)| id),
        );
        assert_eq!(ids(&path).await, expected);
        writer
            .write(Kind::Several, "testing", None, more_space, |_| {})
            .await
            .unwrap();
        insert(&writer, 5, 1_000_000).await.unwrap();
        expected.push(5);
        drop(writer);
        task.await.unwrap();
        assert_eq!(ids(&path).await, expected);
    }

    #[tokio::test]
    async fn results_are_settled_in_the_order_of_commits_before_they_are_answered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let (writer, _task) = start(&path, "1000").await;
        let settled = Arc::new(Mutex::new(Vec::new()));
        let write = |id: i64| {
            let settled = Arc::clone(&settled);
            writer.write(
                Kind::Several,
                "testing",
                None,
                move |conn| Box::pin(async move { put(conn, id % 3, 1).await.map(|()| id) }),
                move |id: Option<&i64>| settled.lock().unwrap().push(id.copied()),
            )
        };
        let results = join_all((0..5).map(write)).await;
        assert!(
            results[3].is_err() && results[4].is_err(),
            "the same key twice"
        );
        assert_eq!(*settled.lock().unwrap(), [Some(0), Some(1), Some(2)]);
    }

    #[tokio::test]
    async fn single_statements_stand_alone_among_others_and_a_panic_in_one_ends_its_batch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let (writer, task) = start(&path, "1000").await;
        // As in a store: the writer's connection is never the last one to close.
        let readers = db::readers(&path).await.unwrap();
        let write = |kind, id, fault: &'static str| {
            writer.write(
                kind,
                "testing",
                None,
                move |conn| {
                    Box::pin(async move {
                        if fault == "refused at once" {
                            return Err(StoreError::UnknownAccount);
                        }
                        put(conn, id, 1).await?;
                        match fault {
                            "refused" => Err(StoreError::UnknownAccount),
                            "panic" => panic!("on purpose"),
                            _ => Ok(()),
                        }
                    })
                },
                |_| {},
            )
        };
        let (one, several) = (Kind::One, Kind::Several);
        let first = join_all([
            write(one, 1, ""),
            write(several, 2, ""),
            write(one, 3, ""),
            write(several, 4, "refused"),
            write(one, 9, "refused at once"),
            write(one, 5, ""),
            // A key that is taken.
            write(one, 5, ""),
            write(one, 6, ""),
        ])
        .await;
        let done: Vec<bool> = first.iter().map(Result::is_ok).collect();
        assert_eq!(done, [true, true, true, false, false, true, false, true]);

        let second = join_all([write(one, 7, ""), write(one, 10, "panic")]).await;
        assert!(second.iter().all(Result::is_err));
        write(one, 8, "").await.unwrap();
        drop(writer);
        task.await.unwrap();
        readers.close().await;
        assert_eq!(ids(&path).await, [1, 2, 3, 5, 6, 8]);
    }

    #[tokio::test]
    async fn the_queue_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, _task) = start(&folder.path().join("x.db"), "10000").await;
        let count = i64::try_from(QUEUE).unwrap();
        let results = join_all((0..count + 5).map(|id| insert(&writer, id, 1))).await;
        let refused = results.iter().filter(|result| result.is_err()).count();
        assert_eq!(refused, 5);
        assert!(matches!(
            results.last().unwrap(),
            Err(StoreError::Unavailable {
                cause: Unavailability::QueueFull,
                ..
            })
        ));
    }
}
