//! Media threads: sockets, clock and waiting around [`Shard`]s.
//!
//! Thread *i* owns one shard and one socket per local address, all on port `port + i`. It drains what
//! has arrived in batches, sends what the shard wants sent in batches, and waits. Wake-ups are what
//! a relay pays for: a busy thread looks every half millisecond instead of waking for each packet.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, SendTimeoutError, Sender};
use ringtrip_media::plan::ShardCommand;
use ringtrip_media::{DtlsContext, Shard, ShardConfig, ShardEvent};
use ringtrip_model::{Generator, Time, Timestamp};
use ringtrip_udp::{BATCH, ReceiveBatch, SendBatch, Socket, Waiter, Waker};

/// Commands that may wait for a thread. A call has about ten in its life.
const COMMANDS: usize = 16_384;
/// How long signalling waits for room before it gives a command up: a thread looks far more often.
const COMMAND_PATIENCE: Duration = Duration::from_millis(20);
/// How long a busy thread lets packets gather. A packet lasts 20 ms.
const GATHER: Duration = Duration::from_micros(500);
/// Batches taken from one socket before the others and the timers get a turn.
const BATCHES_PER_TURN: usize = 16;
/// The pause after a socket failed, so that a failure that lasts does not spin.
const FAILURE_PAUSE: Duration = Duration::from_millis(10);
/// Lost packets are told at most this often.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// What media threads are started with.
pub(crate) struct MediaThreadsConfig {
    /// Local addresses with the port of the first thread; port 0 picks free ports.
    pub(crate) sockets: Vec<SocketAddr>,
    /// How many threads.
    pub(crate) threads: usize,
    /// Whether packets from other machines are dropped unread.
    pub(crate) this_host_only: bool,
    /// The process's certificate.
    pub(crate) dtls: Arc<DtlsContext>,
    /// The instant of [`Time::ZERO`].
    pub(crate) base: Instant,
    /// Its calendar time.
    pub(crate) started_at: Timestamp,
    /// Anchors of one thread at once.
    pub(crate) max_anchors: u32,
}

/// Why media could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MediaStartError {
    /// An address is taken or not ours.
    #[error("{address} cannot be bound")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The ports of the last threads lie beyond 65535.
    #[error("there is no port {first} + {offset}")]
    Port {
        /// Of the first thread.
        first: u16,
        /// Of the thread in question.
        offset: usize,
    },
    /// No thread or descriptor was left.
    #[error("a media thread cannot be started")]
    Thread(#[source] io::Error),
}

/// The running threads.
pub(crate) struct MediaThreads {
    threads: Vec<MediaThread>,
    stopping: Arc<AtomicBool>,
}

struct MediaThread {
    addresses: Vec<SocketAddr>,
    commands: Sender<ShardCommand>,
    waker: Waker,
    handle: Option<JoinHandle<()>>,
}

impl MediaThreads {
    /// Binds all sockets, then starts the threads. `on_event` is called on them, with a shard's index
    /// and what it tells; it must not block.
    ///
    /// # Errors
    /// When an address cannot be bound. A further address that this host lost meanwhile is left out.
    pub(crate) fn start(
        config: MediaThreadsConfig,
        rng: &mut Generator,
        on_event: impl Fn(usize, ShardEvent) + Clone + Send + 'static,
    ) -> Result<Self, MediaStartError> {
        let stopping = Arc::new(AtomicBool::new(false));
        let own: Option<BTreeSet<IpAddr>> = config
            .this_host_only
            .then(|| config.sockets.iter().map(SocketAddr::ip).collect());
        let mut bound = Vec::new();
        for index in 0..config.threads.max(1) {
            bound.push(bind_all(&config.sockets, index)?);
        }
        let mut threads = Vec::new();
        for (index, sockets) in bound.into_iter().enumerate() {
            let waiter = Waiter::new(&sockets).map_err(MediaStartError::Thread)?;
            let waker = waiter.waker();
            let addresses: Vec<SocketAddr> = sockets.iter().map(Socket::local_addr).collect();
            let shard = Shard::new(
                ShardConfig {
                    dtls: Arc::clone(&config.dtls),
                    locals: addresses.clone(),
                    wall_at_zero: config.started_at,
                    max_anchors: config.max_anchors,
                },
                rng.fork(),
            );
            let (commands, queued) = crossbeam_channel::bounded(COMMANDS);
            let mut driver = Driver {
                index,
                shard,
                sockets,
                waiter,
                commands: queued,
                received: ReceiveBatch::new(),
                sending: SendBatch::new(),
                base: config.base,
                own: own.clone(),
                stopping: Arc::clone(&stopping),
                on_event: on_event.clone(),
                lost: 0,
                complained_at: None,
            };
            let handle = std::thread::Builder::new()
                .name(format!("media-{index}"))
                .spawn(move || driver.run())
                .map_err(MediaStartError::Thread)?;
            threads.push(MediaThread {
                addresses,
                commands,
                waker,
                handle: Some(handle),
            });
        }
        Ok(Self { threads, stopping })
    }

    /// Returns the bound addresses of each thread.
    pub(crate) fn addresses(&self) -> Vec<Vec<SocketAddr>> {
        self.threads
            .iter()
            .map(|thread| thread.addresses.clone())
            .collect()
    }

    /// Hands a command to a thread.
    pub(crate) fn send(&self, shard: usize, command: ShardCommand) {
        let Some(thread) = self.threads.get(shard) else {
            tracing::error!(shard, "there is no such media thread");
            return;
        };
        match thread.commands.send_timeout(command, COMMAND_PATIENCE) {
            Ok(()) => thread.waker.wake(),
            Err(SendTimeoutError::Timeout(command)) => {
                tracing::error!(
                    shard,
                    ?command,
                    "a media thread hangs; a command was dropped"
                );
            }
            Err(SendTimeoutError::Disconnected(_)) => {
                tracing::error!(shard, "a media thread is gone; a command was dropped");
            }
        }
    }

    /// Stops the threads and waits for them. Anchors are not closed first.
    pub(crate) fn stop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        for thread in &self.threads {
            thread.waker.wake();
        }
        for thread in &mut self.threads {
            if let Some(handle) = thread.handle.take()
                && handle.join().is_err()
            {
                tracing::error!("a media thread ended with a panic");
            }
        }
    }
}

impl Drop for MediaThreads {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for MediaThreads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaThreads")
            .field("addresses", &self.addresses())
            .finish()
    }
}

/// Binds a thread's sockets, one per local address.
fn bind_all(addresses: &[SocketAddr], offset: usize) -> Result<Vec<Socket>, MediaStartError> {
    let mut sockets = Vec::new();
    for (position, first) in addresses.iter().enumerate() {
        let mut address = *first;
        if first.port() != 0 {
            let port = u16::try_from(usize::from(first.port()) + offset);
            let port = port.map_err(|_| MediaStartError::Port {
                first: first.port(),
                offset,
            })?;
            address.set_port(port);
        }
        match Socket::bind(address) {
            Ok(socket) => sockets.push(socket),
            Err(error) if position > 0 && error.kind() == io::ErrorKind::AddrNotAvailable => {
                tracing::warn!(%address, %error, "media does not listen on {address}");
            }
            Err(source) => return Err(MediaStartError::Bind { address, source }),
        }
    }
    Ok(sockets)
}

/// One thread's loop.
struct Driver<F> {
    index: usize,
    shard: Shard,
    sockets: Vec<Socket>,
    waiter: Waiter,
    commands: Receiver<ShardCommand>,
    received: ReceiveBatch,
    sending: SendBatch,
    base: Instant,
    /// The only addresses that packets may come from, if that is restricted.
    own: Option<BTreeSet<IpAddr>>,
    stopping: Arc<AtomicBool>,
    on_event: F,
    /// Datagrams that the kernel or the shard's buffers had no room for.
    lost: u64,
    complained_at: Option<Time>,
}

impl<F: Fn(usize, ShardEvent)> Driver<F> {
    fn run(&mut self) {
        while !self.stopping.load(Ordering::Acquire) {
            // A shard contains the panics of its anchors; this is for the loop itself.
            if catch_unwind(AssertUnwindSafe(|| self.turn())).is_err() {
                tracing::error!(
                    shard = self.index,
                    "media thread {} panicked and goes on",
                    self.index
                );
                self.shard.clear_transmits();
            }
        }
    }

    fn now(&self) -> Time {
        Time::ZERO + self.base.elapsed()
    }

    /// Handles everything that is there, then waits.
    fn turn(&mut self) {
        // Bounded, so that a stream of commands cannot keep packets waiting.
        for _ in 0..COMMANDS {
            let Ok(command) = self.commands.try_recv() else {
                break;
            };
            let now = self.now();
            self.shard.handle_command(command, now);
            self.flush();
        }
        let mut failed = false;
        let mut more = false;
        for socket in 0..self.sockets.len() {
            match self.drain(socket) {
                Ok(left) => more |= left,
                Err(error) => {
                    failed = true;
                    self.complain_about(&error);
                }
            }
        }
        let now = self.now();
        if self.shard.poll_timeout().is_some_and(|at| at <= now) {
            self.shard.handle_timeout(now);
            self.flush();
        }
        while let Some(event) = self.shard.poll_event() {
            (self.on_event)(self.index, event);
        }
        self.complain_about_loss();
        if more || !self.commands.is_empty() {
            return;
        }
        self.wait(failed);
    }

    /// Takes a turn's worth of datagrams from a socket. Returns whether more may be waiting.
    fn drain(&mut self, socket: usize) -> io::Result<bool> {
        for _ in 0..BATCHES_PER_TURN {
            let count = self.sockets[socket].receive(&mut self.received)?;
            let now = self.now();
            for (from, bytes) in self.received.datagrams() {
                let ours = self.own.as_ref().is_none_or(|own| {
                    let ip = from.ip().to_canonical();
                    ip.is_loopback() || own.contains(&ip)
                });
                if ours {
                    self.shard.handle_datagram(socket, from, bytes, now);
                }
            }
            self.flush();
            if count < BATCH {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sends what the shard wants sent, one batch per socket.
    fn flush(&mut self) {
        if self.shard.transmits().len() == 0 {
            return;
        }
        for (index, socket) in self.sockets.iter().enumerate() {
            let batch = self
                .shard
                .transmits()
                .filter(|transmit| transmit.socket == index)
                .map(|transmit| (transmit.to, transmit.bytes));
            self.lost += self.sending.send(socket, batch).dropped as u64;
        }
        self.shard.clear_transmits();
    }

    fn wait(&mut self, failed: bool) {
        let now = self.now();
        let until = self.shard.poll_timeout().map(|at| at.since(now));
        let waited = if failed {
            self.waiter.pause(FAILURE_PAUSE)
        } else if self.shard.busy() {
            self.waiter
                .pause(until.map_or(GATHER, |until| until.min(GATHER)))
        } else {
            self.waiter.wait(until)
        };
        if let Err(error) = waited {
            self.complain_about(&error);
            // The wait itself fails: the plainest way to wait is left.
            std::thread::sleep(FAILURE_PAUSE);
        }
    }

    fn complain_about(&mut self, error: &io::Error) {
        if self.may_complain() {
            tracing::error!(shard = self.index, %error, "a socket of media thread {} failed", self.index);
        }
    }

    fn complain_about_loss(&mut self) {
        let lost = self.lost + self.shard.overflowed();
        if lost > 0 && self.may_complain() {
            tracing::warn!(
                shard = self.index,
                lost,
                "media thread {} could not send {lost} packets since it started",
                self.index
            );
        }
    }

    fn may_complain(&mut self) -> bool {
        let now = self.now();
        let may = self
            .complained_at
            .is_none_or(|at| now.since(at) >= COMPLAINT_INTERVAL);
        if may {
            self.complained_at = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use ringtrip_media::plan::{AnchorId, IceCredentials};
    use ringtrip_model::LegId;

    use super::*;

    fn config(threads: usize) -> MediaThreadsConfig {
        let base = Instant::now();
        MediaThreadsConfig {
            sockets: vec![SocketAddr::from(([127, 0, 0, 1], 0)); 2],
            threads,
            this_host_only: true,
            dtls: Arc::new(DtlsContext::generate(base).unwrap()),
            base,
            started_at: Timestamp::from_secs(1_790_000_000),
            max_anchors: 8,
        }
    }

    #[test]
    fn commands_reach_their_thread_and_events_come_back() {
        let mut rng = Generator::from_seed([1; 32]);
        let (events, heard) = crossbeam_channel::unbounded();
        let mut threads = MediaThreads::start(config(3), &mut rng, move |shard, event| {
            events.send((shard, event)).unwrap();
        })
        .unwrap();
        let addresses: BTreeSet<SocketAddr> = threads.addresses().into_iter().flatten().collect();
        assert_eq!(addresses.len(), 6, "each thread has its own sockets");
        for shard in [2, 0, 1] {
            let anchor = AnchorId {
                slot: 5,
                generation: shard as u32,
            };
            let ice = IceCredentials {
                ufrag: "0005abcdefgh".into(),
                pwd: "p".repeat(24),
            };
            let leg = LegId::generate(&mut rng);
            threads.send(
                shard,
                ShardCommand::Open {
                    anchor,
                    leg,
                    ice,
                    replaces: None,
                },
            );
            threads.send(shard, ShardCommand::Close { anchor });
            let (from, event) = heard.recv_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!(from, shard);
            assert!(matches!(event, ShardEvent::Closed { anchor: closed, .. } if closed == anchor));
        }
        threads.send(
            9,
            ShardCommand::Close {
                anchor: AnchorId {
                    slot: 0,
                    generation: 0,
                },
            },
        );
        threads.stop();
        assert!(
            heard.recv().is_err(),
            "the threads and their callbacks are gone"
        );
    }

    #[test]
    fn a_taken_port_names_its_address() {
        let taken = Socket::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let mut config = config(1);
        config.sockets = vec![taken.local_addr()];
        let mut rng = Generator::from_seed([1; 32]);
        let error = MediaThreads::start(config, &mut rng, |_, _| {}).unwrap_err();
        assert!(
            error.to_string().contains(&taken.local_addr().to_string()),
            "{error}"
        );
    }
}
