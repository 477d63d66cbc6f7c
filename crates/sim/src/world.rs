//! A node, its clients and all that lies between, in virtual time.

mod ground;

use std::time::Duration;

use ringtrip_media::{Control, ControlConfig};
use ringtrip_model::{RevokeScope, SocketId, Time};
use serde_json::Value;

use self::ground::Happening;
pub use self::ground::{Ground, Knobs};
use crate::browser::{Act, Browser, Credentials, Habits, Step, Surroundings};
use crate::check::Checks;
use crate::dice::Dice;
use crate::facts::{Facts, STARTED_AT};
use crate::net::Pipe;
use crate::node::{Input, Node};
use crate::plane::MediaPlane;
use crate::report::Fault;

/// More than so many steps without time passing: something spins.
const MAX_STEPS_AT_ONCE: u32 = 20_000;
/// The device of sockets that no browser is behind.
pub const NOBODY: usize = usize::MAX;

/// What a world is made of.
#[derive(Debug)]
pub struct Setup {
    /// Who there is.
    pub facts: Facts,
    /// How signalling is set.
    pub config: ringtrip_verto::Config,
    /// How the switch is set.
    pub settings: ringtrip_switch::Settings,
    /// Anchors that one media thread takes.
    pub max_anchors: u32,
    /// Whether to keep a readable trace.
    pub keep_trace: bool,
}

impl Setup {
    /// Sets everything as the product does.
    pub fn new(facts: Facts) -> Self {
        let domains = ["sip.telnyx.com", "localhost"].map(str::to_owned).to_vec();
        let node = ringtrip_model::NodeId(1);
        Self {
            facts,
            config: ringtrip_verto::Config {
                started_at: STARTED_AT,
                ..ringtrip_verto::Config::default()
            },
            settings: ringtrip_switch::Settings::new(node, STARTED_AT, domains),
            max_anchors: 1_024,
            keep_trace: false,
        }
    }
}

/// A node with its clients.
pub struct World<P> {
    /// Now.
    pub now: Time,
    /// The clients, by device.
    pub browsers: Vec<Browser>,
    /// Store, network and media threads.
    pub ground: Ground<P>,
    node: Node,
    dice: Dice,
}

/// How a socket breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Both sides notice soon.
    Reset,
    /// Only the browser notices.
    HalfSeen,
    /// Nobody notices.
    Silent,
}

impl<P: MediaPlane> World<P> {
    /// Puts a world together.
    pub fn new(seed: u64, setup: Setup, plane: P) -> Self {
        let mut dice = Dice::new(seed, "world");
        let control = Control::new(
            ControlConfig {
                shards: plane.addresses(),
                fingerprint: plane.fingerprint(),
                max_anchors_per_shard: setup.max_anchors,
            },
            dice.generator(),
        );
        let endpoint = ringtrip_verto::Endpoint::new(setup.config, dice.generator());
        let node = Node::new(endpoint, setup.settings, control, dice.generator());
        let checks = Checks::new(setup.keep_trace);
        let ground = Ground::new(plane, setup.facts, checks, dice.fork());
        Self {
            now: Time::from_secs(1),
            browsers: Vec::new(),
            ground,
            node,
            dice,
        }
    }

    /// Gives a user a device and switches it on.
    pub fn add_browser(&mut self, user: usize, habits: Habits) -> usize {
        let device = self.browsers.len();
        let credentials = self.credentials(user);
        self.browsers
            .push(Browser::new(device, credentials, habits, self.dice.fork()));
        self.ground.users.push(user);
        self.act(device, Step::Connect);
        device
    }

    /// Opens a new page on a device: nothing of the former one is left.
    pub fn replace_browser(&mut self, device: usize, habits: Habits) {
        let credentials = self.credentials(self.ground.users[device]);
        self.browsers[device] = Browser::new(device, credentials, habits, self.dice.fork());
        self.act(device, Step::Connect);
    }

    /// Lets a device speak for another user from its next login on.
    pub fn become_user(&mut self, device: usize, user: usize) {
        self.browsers[device].credentials = self.credentials(user);
        self.ground.users[device] = user;
    }

    fn credentials(&self, user: usize) -> Credentials {
        let user = &self.ground.facts.users[user];
        Credentials {
            user: user.name.clone(),
            password: user.password.clone(),
            token: user.token(),
        }
    }

    /// Lets a device do something now.
    pub fn act(&mut self, device: usize, step: Step) {
        let mut around = Surroundings {
            plane: &mut self.ground.plane,
            checks: &mut self.ground.checks,
            now: self.now,
        };
        self.browsers[device].step(step, &mut around);
        self.carry_out(device);
    }

    /// Lets a device do something later.
    pub fn act_later(&mut self, device: usize, after: Duration, step: Step) {
        self.ground
            .agenda
            .add(self.now + after, Happening::Step(device, step));
    }

    /// Breaks a device's socket.
    pub fn break_socket(&mut self, device: usize, how: Break) {
        let Some(socket) = self.browsers[device].socket() else {
            return;
        };
        let Some(pipe) = self.ground.pipes.get_mut(&socket) else {
            return;
        };
        (pipe.up, pipe.down) = (false, false);
        let (at_browser, at_node) = (pipe.delay(), pipe.delay());
        if how != Break::Silent {
            self.ground.agenda.add(
                self.now + at_browser,
                Happening::BrowserLost(device, socket),
            );
        }
        if how == Break::Reset {
            self.ground
                .agenda
                .add(self.now + at_node, Happening::Node(Input::Closed(socket)));
        }
        let fault = match how {
            Break::Reset => Fault::SocketReset,
            Break::HalfSeen => Fault::SocketHalfSeen,
            Break::Silent => Fault::SocketSilent,
        };
        self.ground.checks.report.fault(fault);
    }

    /// Takes a device's network away, sound included.
    pub fn unplug(&mut self, device: usize, time: Duration) {
        self.break_socket(device, Break::HalfSeen);
        self.ground.checks.report.fault(Fault::NetworkGone);
        self.ground.offline.insert(device, self.now + time);
        self.ground.plane.mute(device, true, self.now);
        self.ground
            .agenda
            .add(self.now + time, Happening::Unmute(device));
    }

    /// Keeps a device's sound away, but not its signalling.
    pub fn mute(&mut self, device: usize, time: Duration) {
        self.ground.plane.mute(device, true, self.now);
        self.ground
            .agenda
            .add(self.now + time, Happening::Unmute(device));
    }

    /// Opens a socket with no browser behind it, which says these things.
    pub fn open_raw(&mut self, frames: &[String]) -> SocketId {
        let socket = self.ground.names.next();
        let mut pipe = Pipe::new(NOBODY, self.ground.knobs.latency, self.dice.fork());
        self.ground.agenda.add(
            pipe.upwards(self.now),
            Happening::Node(Input::Opened(socket)),
        );
        for frame in frames {
            let at = pipe.upwards(self.now);
            self.ground
                .agenda
                .add(at, Happening::Node(Input::Frame(socket, frame.clone())));
        }
        self.ground.pipes.insert(socket, pipe);
        socket
    }

    /// Ends every session under a scope, as the deletion of a credential does.
    pub fn revoke(&mut self, scope: RevokeScope) {
        self.input(Input::Revoked(scope));
        let bound = self.ground.facts.bound_under(&scope);
        if bound > 0 {
            self.ground.checks.wrong(
                self.now,
                format!("{bound} sessions outlive their revocation"),
            );
        }
    }

    /// Stops the node in order.
    pub fn shut_down(&mut self) {
        self.ground.checks.going_down = true;
        self.ground.checks.report.fault(Fault::Shutdown);
        self.input(Input::Shutdown);
    }

    fn input(&mut self, input: Input) {
        self.node.handle(input, &mut self.ground, self.now);
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// Lets time pass until something is true, at most for `limit`. Tells whether it is.
    pub fn run_while(
        &mut self,
        limit: Duration,
        mut unfinished: impl FnMut(&mut Self) -> bool,
    ) -> bool {
        let end = self.now + limit;
        while unfinished(self) {
            if self.now >= end {
                return false;
            }
            self.run_until((self.now + Duration::from_millis(10)).min(end));
        }
        true
    }

    /// Lets time pass up to an instant.
    pub fn run_until(&mut self, end: Time) {
        let mut steps = 0;
        loop {
            let next = [
                self.ground.agenda.next_at(),
                self.node.poll_timeout(),
                self.ground.plane.poll_timeout(),
            ];
            let Some(next) = next.into_iter().flatten().min().filter(|next| *next <= end) else {
                break;
            };
            steps = if next > self.now { 0 } else { steps + 1 };
            assert!(
                steps < MAX_STEPS_AT_ONCE,
                "time stands still at {} us",
                self.now.as_micros()
            );
            self.now = self.now.max(next);
            self.media_due();
            if let Some(happening) = self.ground.agenda.pop(self.now) {
                self.happen(happening);
            }
            if self.node.poll_timeout().is_some_and(|due| due <= self.now) {
                self.node.handle_timeout(&mut self.ground, self.now);
            }
        }
        self.now = self.now.max(end);
    }

    fn media_due(&mut self) {
        if self
            .ground
            .plane
            .poll_timeout()
            .is_some_and(|due| due <= self.now)
        {
            self.ground.plane.handle_timeout(self.now);
        }
        while let Some((shard, event)) = self.ground.plane.poll_event() {
            self.ground
                .checks
                .trace
                .remark(self.now, format_args!("shard {shard} tells {event:?}"));
            self.input(Input::Shard(shard, event));
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Node(input) => self.reach_node(input),
            Happening::Delete(user) => {
                let scope = self.ground.facts.delete(user);
                self.revoke(scope);
            }
            Happening::Unmute(device) => self.ground.plane.mute(device, false, self.now),
            Happening::Step(device, step) => self.act(device, step),
            Happening::BrowserOpened(device, socket) => {
                self.at_browser(device, |browser, around| {
                    browser.opened(socket, around);
                })
            }
            Happening::BrowserFailed(device) => {
                self.at_browser(device, |browser, _| browser.failed_to_connect());
            }
            Happening::BrowserLost(device, socket) => {
                self.at_browser(device, |browser, _| browser.closed(socket));
            }
            Happening::BrowserFrame(device, socket, frame) => {
                if self.ground.pipes.get(&socket).is_some_and(|pipe| pipe.down) {
                    self.at_browser(device, |browser, around| {
                        browser.frame(socket, &frame, around)
                    });
                }
            }
        }
    }

    fn at_browser(
        &mut self,
        device: usize,
        does: impl FnOnce(&mut Browser, &mut Surroundings<'_>),
    ) {
        let Some(browser) = self.browsers.get_mut(device) else {
            return;
        };
        let mut around = Surroundings {
            plane: &mut self.ground.plane,
            checks: &mut self.ground.checks,
            now: self.now,
        };
        does(browser, &mut around);
        self.carry_out(device);
    }

    fn reach_node(&mut self, input: Input) {
        match &input {
            Input::Opened(socket) => self.ground.checks.socket_opened(*socket),
            Input::Frame(socket, text) => {
                let through = self
                    .ground
                    .pipes
                    .get(socket)
                    .is_some_and(|pipe| pipe.up && pipe.at_node);
                if !through {
                    return;
                }
                let shown: String = text.chars().take(400).collect();
                self.ground
                    .checks
                    .trace
                    .remark(self.now, format_args!("socket {} says {shown}", socket.0));
                self.ground.checks.frame_arrives(*socket, text, self.now);
            }
            Input::Closed(socket) => {
                self.ground
                    .checks
                    .trace
                    .remark(self.now, format_args!("socket {} is gone", socket.0));
                self.ground.checks.socket_closed(*socket);
                if let Some(pipe) = self.ground.pipes.get_mut(socket) {
                    pipe.at_node = false;
                }
            }
            Input::Authenticated(..)
            | Input::Routed(..)
            | Input::Limits(..)
            | Input::Persisted(_)
            | Input::Shard(..)
            | Input::Revoked(_)
            | Input::Shutdown => {}
        }
        self.input(input);
    }

    fn carry_out(&mut self, device: usize) {
        while let Some(act) = self.browsers[device].poll_act() {
            let ground = &mut self.ground;
            match act {
                Act::Connect => {
                    if ground
                        .offline
                        .get(&device)
                        .is_some_and(|until| *until > self.now)
                    {
                        let after = self.dice.millis(300, 3_000);
                        ground
                            .agenda
                            .add(self.now + after, Happening::BrowserFailed(device));
                        continue;
                    }
                    let socket = ground.names.next();
                    let mut pipe = Pipe::new(device, ground.knobs.latency, self.dice.fork());
                    let at_node = pipe.upwards(self.now);
                    ground
                        .agenda
                        .add(at_node, Happening::Node(Input::Opened(socket)));
                    let at_browser = pipe.downwards(at_node);
                    ground
                        .agenda
                        .add(at_browser, Happening::BrowserOpened(device, socket));
                    ground.pipes.insert(socket, pipe);
                }
                Act::Send(socket, frame) => {
                    if let Some(pipe) = ground.pipes.get_mut(&socket) {
                        let at = pipe.upwards(self.now);
                        ground
                            .agenda
                            .add(at, Happening::Node(Input::Frame(socket, frame)));
                    }
                }
                Act::Close(socket) => {
                    if let Some(pipe) = ground.pipes.get_mut(&socket) {
                        pipe.down = false;
                        // A dead socket cannot be closed properly either.
                        if pipe.up {
                            let at = pipe.upwards(self.now);
                            ground
                                .agenda
                                .add(at, Happening::Node(Input::Closed(socket)));
                        }
                    }
                }
                Act::Later(after, step) => {
                    ground
                        .agenda
                        .add(self.now + after, Happening::Step(device, step));
                }
            }
        }
    }

    /// Checks that nothing is left of anything once everybody is gone for good.
    pub fn check_end(&mut self) {
        let plane = ("anchors on media threads", self.ground.plane.anchors());
        let remains = self
            .node
            .remains()
            .into_iter()
            .chain(self.ground.facts.remains())
            .chain([plane]);
        for (what, count) in remains.collect::<Vec<_>>() {
            if count > 0 {
                self.ground
                    .checks
                    .wrong(self.now, format!("{count} {what} are left at the end"));
            }
        }
        for mistake in self.ground.plane.take_mistakes() {
            self.ground.checks.wrong(self.now, mistake);
        }
        self.ground.checks.check_end(self.now);
        let ground = &mut self.ground;
        ground.plane.report(&mut ground.checks.report);
        ground.checks.report.run();
    }
}

/// Reads a frame; what the server sends is always JSON.
fn parsed(frame: &str) -> Value {
    serde_json::from_str(frame).unwrap_or(Value::Null)
}
