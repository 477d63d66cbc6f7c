//! The thread that carries all legs' packets: a socket for each, so that the server sees as many
//! addresses as parties, and one wait for all of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::Context;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use tokio::sync::{mpsc as tokio_mpsc, oneshot};

use crate::leg::{Arrival, Leg, LegDescription, Tools};
use crate::sdp::Remote;

/// Between two packets of one leg.
const FRAME: Duration = Duration::from_millis(20);
const WAKE: Token = Token(usize::MAX);

/// What a leg of a call tells.
#[derive(Debug)]
pub(crate) enum LegEvent {
    /// The first sound of the other party.
    Heard(Instant),
    /// It will never hear anything.
    Failed(String),
}

/// What was measured since the window began.
#[derive(Debug, Default)]
pub(crate) struct Window {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// One-way, in microseconds, of each packet received.
    pub(crate) delays_us: Vec<u32>,
}

enum Command {
    Open {
        count: usize,
        reply: oneshot::Sender<anyhow::Result<Vec<LegDescription>>>,
    },
    Start {
        leg: usize,
        remote: Remote,
        payload_type: u8,
        events: tokio_mpsc::UnboundedSender<LegEvent>,
    },
    /// Two legs send to each other, without server.
    Pair {
        a: usize,
        b: usize,
    },
    Quiet {
        leg: usize,
    },
    Talk,
    Hush,
    Measure {
        reply: oneshot::Sender<Window>,
    },
    CloseAll,
}

/// The way to the thread.
#[derive(Clone)]
pub(crate) struct Media {
    commands: mpsc::Sender<Command>,
    waker: Arc<Waker>,
}

impl Media {
    /// Starts the thread. It ends with the process.
    ///
    /// # Errors
    /// When the system has no descriptor or thread left.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (commands, queued) = mpsc::channel();
        let engine = Engine {
            poll,
            tools: Tools::new()?,
            commands: queued,
            legs: Vec::new(),
            due: BinaryHeap::new(),
            window: Window::default(),
            number: 1,
            base: Instant::now(),
        };
        std::thread::Builder::new()
            .name("load-media".to_owned())
            .spawn(move || engine.run())?;
        Ok(Self { commands, waker })
    }

    fn tell(&self, command: Command) {
        // If the thread is gone, whoever waits for its reply learns it there.
        let _ = self.commands.send(command);
        let _ = self.waker.wake();
    }

    /// Opens legs.
    ///
    /// # Errors
    /// When no port is left.
    pub(crate) async fn open(&self, count: usize) -> anyhow::Result<Vec<LegDescription>> {
        let (reply, opened) = oneshot::channel();
        self.tell(Command::Open { count, reply });
        opened.await?
    }

    /// Connects a leg to the server. It sends until told to be quiet.
    pub(crate) fn connect(
        &self,
        leg: usize,
        remote: Remote,
        payload_type: u8,
    ) -> tokio_mpsc::UnboundedReceiver<LegEvent> {
        let (events, received) = tokio_mpsc::unbounded_channel();
        self.tell(Command::Start {
            leg,
            remote,
            payload_type,
            events,
        });
        received
    }

    /// Connects two legs to each other.
    pub(crate) fn pair(&self, a: usize, b: usize) {
        self.tell(Command::Pair { a, b });
    }

    /// Lets a leg send no more.
    pub(crate) fn quiet(&self, leg: usize) {
        self.tell(Command::Quiet { leg });
    }

    /// Lets all connected legs send.
    pub(crate) fn talk(&self) {
        self.tell(Command::Talk);
    }

    /// Lets no leg send any more.
    pub(crate) fn hush(&self) {
        self.tell(Command::Hush);
    }

    /// Ends the window of measurement and begins a new one.
    ///
    /// # Errors
    /// When the thread is gone.
    pub(crate) async fn measure(&self) -> anyhow::Result<Window> {
        let (reply, measured) = oneshot::channel();
        self.tell(Command::Measure { reply });
        Ok(measured.await?)
    }

    /// Closes all legs.
    pub(crate) fn close_all(&self) {
        self.tell(Command::CloseAll);
    }
}

struct Port {
    socket: UdpSocket,
    leg: Leg,
    sending: bool,
    /// Whether a packet is in the heap.
    queued: bool,
    events: Option<tokio_mpsc::UnboundedSender<LegEvent>>,
    heard: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Packet,
    Timer,
}

struct Engine {
    poll: Poll,
    tools: Arc<Tools>,
    commands: mpsc::Receiver<Command>,
    /// By number; closed ones leave a gap, so that a number is never used twice.
    legs: Vec<Option<Port>>,
    due: BinaryHeap<Reverse<(Instant, usize, Due)>>,
    window: Window,
    /// Of the window; packets of another are not counted.
    number: u32,
    /// What frames count from.
    base: Instant,
}

impl Engine {
    fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        loop {
            let now = Instant::now();
            let timeout = self
                .due
                .peek()
                .map(|Reverse((at, ..))| at.saturating_duration_since(now));
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
            }
            for event in &events {
                if event.token() != WAKE {
                    self.receive(event.token().0);
                }
            }
            loop {
                match self.commands.try_recv() {
                    Ok(command) => self.command(command),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return,
                }
            }
            self.run_due();
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Open { count, reply } => {
                let opened = (0..count).map(|_| self.open()).collect();
                // Who asked and is gone wants no answer; so below.
                let _ = reply.send(opened);
            }
            Command::Start {
                leg,
                remote,
                payload_type,
                events,
            } => {
                let now = Instant::now();
                let Some(Some(port)) = self.legs.get_mut(leg) else {
                    return;
                };
                if let Err(error) = port.socket.connect(remote.address) {
                    let _ = events.send(LegEvent::Failed(error.to_string()));
                    return;
                }
                port.events = Some(events);
                let socket = &port.socket;
                port.leg
                    .start(remote, payload_type, now, |bytes| send(socket, bytes));
                self.arm(leg);
            }
            Command::Pair { a, b } => {
                let now = Instant::now();
                for (own, other, key) in [(a, b, 1), (b, a, 2)] {
                    let Some(Some(address)) = self
                        .legs
                        .get(other)
                        .map(|port| port.as_ref().and_then(|port| port.socket.local_addr().ok()))
                    else {
                        return;
                    };
                    let Some(Some(port)) = self.legs.get_mut(own) else {
                        return;
                    };
                    let (mine, theirs) = ([key; 28], [3 - key; 28]);
                    // Both can only fail for lengths and addresses that are right here.
                    let _ = port.socket.connect(address);
                    let _ = port.leg.start_with(&mine, &theirs, now);
                }
            }
            Command::Quiet { leg } => {
                if let Some(Some(port)) = self.legs.get_mut(leg) {
                    port.sending = false;
                }
            }
            Command::Talk => {
                let now = Instant::now();
                for (number, port) in self.legs.iter_mut().enumerate() {
                    let Some(port) = port else { continue };
                    port.sending = true;
                    if !port.queued {
                        port.queued = true;
                        let at = next_frame(self.base, number, now);
                        self.due.push(Reverse((at, number, Due::Packet)));
                    }
                }
            }
            Command::Hush => self
                .legs
                .iter_mut()
                .flatten()
                .for_each(|port| port.sending = false),
            Command::Measure { reply } => {
                self.number += 1;
                let next = Window {
                    delays_us: Vec::with_capacity(1 << 19),
                    ..Window::default()
                };
                let _ = reply.send(std::mem::replace(&mut self.window, next));
            }
            Command::CloseAll => self.legs.iter_mut().for_each(|port| *port = None),
        }
    }

    fn open(&mut self) -> anyhow::Result<LegDescription> {
        let number = self.legs.len();
        let mut socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .context("no port is left")?;
        self.poll
            .registry()
            .register(&mut socket, Token(number), Interest::READABLE)?;
        let leg = Leg::new(&self.tools, number, Instant::now())?;
        let description = leg.description(number, socket.local_addr()?);
        self.legs.push(Some(Port {
            socket,
            leg,
            sending: false,
            queued: false,
            events: None,
            heard: false,
        }));
        Ok(description)
    }

    fn receive(&mut self, number: usize) {
        let mut buffer = [0; 2048];
        loop {
            let Some(Some(port)) = self.legs.get_mut(number) else {
                return;
            };
            let len = match port.socket.recv(&mut buffer) {
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // Told once what became of an earlier datagram.
                Err(_) => continue,
            };
            let now = Instant::now();
            let socket = &port.socket;
            let arrival = port
                .leg
                .handle(&mut buffer[..len], now, |bytes| send(socket, bytes));
            self.arrived(number, arrival, now);
        }
    }

    fn arrived(&mut self, number: usize, arrival: anyhow::Result<Arrival>, now: Instant) {
        let Some(Some(port)) = self.legs.get_mut(number) else {
            return;
        };
        match arrival {
            Ok(Arrival::Nothing) => self.arm(number),
            Ok(Arrival::Connected) => {
                port.sending = true;
                if !port.queued {
                    port.queued = true;
                    let at = next_frame(self.base, number, now);
                    self.due.push(Reverse((at, number, Due::Packet)));
                }
                self.arm(number);
            }
            Ok(Arrival::Sound { delay, window }) => {
                if !port.heard {
                    port.heard = true;
                    if let Some(events) = &port.events {
                        let _ = events.send(LegEvent::Heard(now));
                    }
                }
                if window == self.number {
                    self.window.received += 1;
                    let us = u32::try_from(delay.as_micros()).unwrap_or(u32::MAX);
                    self.window.delays_us.push(us);
                }
            }
            Err(error) => {
                if let Some(events) = &port.events {
                    let _ = events.send(LegEvent::Failed(error.to_string()));
                }
            }
        }
    }

    fn arm(&mut self, number: usize) {
        if let Some(Some(port)) = self.legs.get(number)
            && let Some(at) = port.leg.deadline()
        {
            self.due.push(Reverse((at, number, Due::Timer)));
        }
    }

    fn run_due(&mut self) {
        let mut buffer = [0; 2048];
        while let Some(Reverse((at, number, due))) = self.due.peek().copied() {
            let now = Instant::now();
            if at > now {
                return;
            }
            self.due.pop();
            let Some(Some(port)) = self.legs.get_mut(number) else {
                continue;
            };
            match due {
                Due::Packet if !port.sending => port.queued = false,
                Due::Packet => {
                    if let Some(len) = port.leg.packet(self.number, now, &mut buffer) {
                        send(&port.socket, &buffer[..len]);
                        self.window.sent += 1;
                    }
                    self.due.push(Reverse((at + FRAME, number, Due::Packet)));
                }
                // Entries are not taken back when a deadline moves: an early one finds nothing to do.
                Due::Timer if port.leg.deadline().is_none_or(|deadline| deadline > now) => {}
                Due::Timer => {
                    let socket = &port.socket;
                    let arrival = port.leg.timeout(now, |bytes| send(socket, bytes));
                    self.arrived(number, arrival, now);
                }
            }
        }
    }
}

/// Returns when a leg's next frame is full. Each has a clock of its own, as microphones have: sound does
/// not begin when a connection does, and 200 parties do not speak in the same moment.
fn next_frame(base: Instant, leg: usize, now: Instant) -> Instant {
    let frame = FRAME.as_micros();
    // A prime, so that neighbours, who are in one call, are apart and all of them evenly spread.
    let phase = leg as u128 * 7_919 % frame;
    let since = (now - base).as_micros();
    let wait = (phase + frame - since % frame) % frame;
    now + Duration::from_micros(u64::try_from(wait).unwrap_or(0))
}

/// Sends, or loses the datagram, as a network would.
fn send(socket: &UdpSocket, bytes: &[u8]) {
    let _ = socket.send(bytes);
}
