//! A simulated client: it speaks the signalling protocol in text frames as the SDKs do, and watches
//! that the server keeps to it.

mod call;
mod habits;
mod path;
mod reading;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ringtrip_model::{SocketId, Time};
use serde_json::{Value, json};

pub use self::call::{BrowserCall, CallState};
pub use self::habits::Habits;
use crate::check::Checks;
use crate::dice::Dice;
use crate::plane::{MediaPlane, PeerId};

/// As the JavaScript SDK: a request of these kinds that is not answered costs the socket.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// As the JavaScript SDK: how long a session's name is kept in the tab.
const STORED_FOR: Duration = Duration::from_secs(90);

/// What a browser does to the world.
#[derive(Debug)]
pub enum Act {
    /// Opens a socket.
    Connect,
    /// Sends a text frame.
    Send(SocketId, String),
    /// Closes its socket.
    Close(SocketId),
    /// Will do something later.
    Later(Duration, Step),
}

/// Something a browser does by itself or at its person's wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Opens its socket, unless it has one.
    Connect,
    /// Calls somebody.
    Dial(String),
    /// Calls somebody with a description that cannot be used.
    DialBadly(String),
    /// Answers a call.
    Answer(String),
    /// Hangs a call up, whatever its state.
    HangUp(String),
    /// Holds.
    Hold(String),
    /// Takes back.
    Unhold(String),
    /// Toggles.
    ToggleHold(String),
    /// Presses a key.
    Key(String),
    /// Restarts its media path.
    Restart(String),
    /// Restarts its media path with something that is no offer.
    RestartBadly(String),
    /// Answers an attach, unless a newer one came meanwhile.
    AnswerAttach(String, u32),
    /// Does the next thing of a talk.
    Fidget(String),
    /// Gives a request up.
    GiveUp(String),
    /// Looks whether the server is still there.
    Probe(SocketId),
    /// Asks for its gateway state, as `getIsRegistered` does.
    AskState,
    /// Logs in again on its socket.
    Renew,
    /// Sends some text as it is.
    Say(String),
    /// Loses all that the page knows, but for what the tab keeps, and starts again.
    Reload,
    /// Hangs everything up and closes its socket for good.
    Leave,
}

/// How a client proves who it is.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// SIP user name.
    pub user: String,
    /// SIP password.
    pub password: String,
    /// Access token.
    pub token: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Down,
    Connecting,
    Open {
        socket: SocketId,
        stage: Stage,
    },
    /// Punted, or left: it does not come back.
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Guest,
    LoggedIn,
    Ready,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Ask {
    Login,
    Ping,
    Invite(String),
    Answer(String),
    Bye(String),
    Hold {
        call: String,
        wish: Option<bool>,
        action: &'static str,
    },
    Restart(String),
    Attach(String, u32),
    Other,
}

/// What lies around a browser while it acts.
pub struct Surroundings<'a> {
    /// Its peer connections.
    pub plane: &'a mut dyn MediaPlane,
    /// Who watches.
    pub checks: &'a mut Checks,
    /// Now.
    pub now: Time,
}

/// A simulated client.
#[derive(Debug)]
pub struct Browser {
    /// Which of the world's devices it is.
    pub device: usize,
    /// How it behaves.
    pub habits: Habits,
    /// Who it is.
    pub credentials: Credentials,
    pub(crate) calls: BTreeMap<String, BrowserCall>,
    dice: Dice,
    line: Line,
    /// The session's name, kept over a reload, and since when.
    stored: Option<(String, Time)>,
    sessid: Option<String>,
    requests: BTreeMap<String, Ask>,
    attempts: u32,
    peers: u64,
    last_heard: Time,
    /// Calls that a new page may take over by attach.
    reattachable: Vec<String>,
    acts: VecDeque<Act>,
}

impl Browser {
    /// Makes a client without a socket.
    pub fn new(device: usize, credentials: Credentials, habits: Habits, dice: Dice) -> Self {
        Self {
            device,
            habits,
            credentials,
            calls: BTreeMap::new(),
            dice,
            line: Line::Down,
            stored: None,
            sessid: None,
            requests: BTreeMap::new(),
            attempts: 0,
            peers: 0,
            last_heard: Time::ZERO,
            reattachable: Vec::new(),
            acts: VecDeque::new(),
        }
    }

    /// Takes the next thing it does.
    pub fn poll_act(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    /// Tells whether it is logged in and has been told so.
    pub const fn is_ready(&self) -> bool {
        matches!(
            self.line,
            Line::Open {
                stage: Stage::Ready,
                ..
            }
        )
    }

    /// Tells whether it left for good.
    pub const fn is_gone(&self) -> bool {
        matches!(self.line, Line::Gone)
    }

    /// Returns its socket.
    pub const fn socket(&self) -> Option<SocketId> {
        match self.line {
            Line::Open { socket, .. } => Some(socket),
            Line::Down | Line::Connecting | Line::Gone => None,
        }
    }

    /// Returns the calls that it believes to be answered.
    pub fn active_calls(&self) -> Vec<&str> {
        let active = self
            .calls
            .iter()
            .filter(|(_, call)| call.state == CallState::Active);
        active.map(|(name, _)| name.as_str()).collect()
    }

    /// Returns the calls that ring here.
    pub fn ringing_calls(&self) -> Vec<&str> {
        let ringing = self
            .calls
            .iter()
            .filter(|(_, call)| call.state == CallState::Ringing);
        ringing.map(|(name, _)| name.as_str()).collect()
    }

    /// Returns a call it knows.
    pub fn call(&self, name: &str) -> Option<&BrowserCall> {
        self.calls.get(name)
    }

    /// Takes note that the socket it wanted is open.
    pub fn opened(&mut self, socket: SocketId, around: &mut Surroundings<'_>) {
        if self.line != Line::Connecting {
            self.acts.push_back(Act::Close(socket));
            return;
        }
        self.line = Line::Open {
            socket,
            stage: Stage::Guest,
        };
        self.requests.clear();
        self.last_heard = around.now;
        self.log_in(around.now);
        self.later(Duration::from_secs(3), Step::Probe(socket));
    }

    /// Takes note that its socket is gone. It comes back, unless it was told not to.
    pub fn closed(&mut self, socket: SocketId) {
        if self.socket() == Some(socket) {
            self.requests.clear();
            self.line = Line::Down;
            self.come_back();
        }
    }

    /// Takes note that no socket could be opened.
    pub fn failed_to_connect(&mut self) {
        if self.line == Line::Connecting {
            self.line = Line::Down;
            self.come_back();
        }
    }

    /// 1, 2, 4 … 30 s, a quarter more or less.
    fn come_back(&mut self) {
        let base = 1_000_u64 << self.attempts.min(5);
        let base = base.min(30_000);
        self.attempts += 1;
        let after = self.dice.millis(base * 3 / 4, base * 5 / 4);
        self.later(after, Step::Connect);
    }

    fn later(&mut self, after: Duration, step: Step) {
        self.acts.push_back(Act::Later(after, step));
    }

    fn new_peer(&mut self) -> PeerId {
        self.peers += 1;
        PeerId(((self.device as u64) << 32) | self.peers)
    }

    fn say(&mut self, frame: &Value) {
        if let Some(socket) = self.socket() {
            self.acts.push_back(Act::Send(socket, frame.to_string()));
        }
    }

    fn ask(&mut self, method: &str, params: Value, ask: Ask) {
        if self.socket().is_none() {
            return;
        }
        let id = self.dice.uuid();
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        let limited = match &ask {
            Ask::Ping | Ask::Bye(_) | Ask::Hold { .. } | Ask::Restart(_) => true,
            Ask::Login | Ask::Invite(_) | Ask::Answer(_) | Ask::Attach(..) | Ask::Other => false,
        };
        if limited {
            self.later(REQUEST_TIMEOUT, Step::GiveUp(id.clone()));
        }
        self.requests.insert(id, ask);
    }

    fn log_in(&mut self, now: Time) {
        let mut params = if self.habits.by_password {
            json!({"login": self.credentials.user, "passwd": self.credentials.password})
        } else {
            json!({"login_token": self.credentials.token})
        };
        params["userVariables"] = json!({"push_when_active": false});
        params["loginParams"] = json!({"early_sdp_answer": false});
        let fresh = |(_, at): &&(String, Time)| now.since(*at) < STORED_FOR;
        if let Some((sessid, _)) = self.stored.as_ref().filter(fresh) {
            params["sessid"] = json!(sessid);
            params["reconnection"] = json!(true);
        } else if self.habits.android {
            // A name that the server has never seen.
            params["sessid"] = json!(self.dice.uuid());
        }
        self.ask("login", params, Ask::Login);
    }

    fn sessid(&self) -> Value {
        self.sessid
            .as_ref()
            .map_or(Value::Null, |sessid| json!(sessid))
    }

    /// Leaves the socket, as after a request that was not answered, and comes back.
    fn recycle(&mut self) {
        if let Line::Open { socket, .. } = self.line {
            self.acts.push_back(Act::Close(socket));
            self.requests.clear();
            self.line = Line::Down;
            self.come_back();
        }
    }

    /// Does something.
    pub fn step(&mut self, step: Step, around: &mut Surroundings<'_>) {
        match step {
            Step::Connect => {
                if self.line == Line::Down {
                    self.line = Line::Connecting;
                    self.acts.push_back(Act::Connect);
                }
            }
            Step::GiveUp(id) => {
                if self.requests.contains_key(&id) {
                    self.recycle();
                }
            }
            Step::Probe(socket) => self.probe(socket, around.now),
            Step::AskState => {
                let state = "telnyx_rtc.gatewayState";
                self.ask(state, json!({}), Ask::Other);
            }
            Step::Renew => {
                if self.is_ready() {
                    self.log_in(around.now);
                }
            }
            Step::Say(text) => {
                if let Some(socket) = self.socket() {
                    self.acts.push_back(Act::Send(socket, text));
                }
            }
            Step::Reload => self.reload(around),
            Step::Leave => self.leave(around),
            Step::Dial(to) => self.dial(&to, false, around),
            Step::DialBadly(to) => self.dial(&to, true, around),
            Step::Answer(call) => self.answer(&call, around),
            Step::HangUp(call) => self.hang_up(&call, around),
            Step::Hold(call) => self.modify(&call, Some(true), "hold"),
            Step::Unhold(call) => self.modify(&call, Some(false), "unhold"),
            Step::ToggleHold(call) => self.modify(&call, None, "toggleHold"),
            Step::Key(call) => self.press(&call, around),
            Step::Restart(call) => self.restart(&call, false, around),
            Step::RestartBadly(call) => self.restart(&call, true, around),
            Step::AnswerAttach(call, number) => self.answer_attach(&call, number, around),
            Step::Fidget(call) => self.fidget(&call, around),
        }
    }

    /// As the SDK's health check: 20 s of silence, then a ping that must be answered.
    fn probe(&mut self, socket: SocketId, now: Time) {
        if self.socket() != Some(socket) {
            return;
        }
        let silent = now.since(self.last_heard);
        if silent >= Duration::from_secs(25) {
            self.recycle();
        } else {
            if silent >= Duration::from_secs(20) {
                self.ask("telnyx_rtc.ping", json!({}), Ask::Ping);
            }
            self.later(Duration::from_secs(3), Step::Probe(socket));
        }
    }

    /// Loses its peer connections and all it knew of its calls; the tab keeps the session's name.
    fn reload(&mut self, around: &mut Surroundings<'_>) {
        for call in self.calls.values_mut() {
            if let Some(peer) = call.peer.take() {
                around.plane.drop_peer(peer, around.now);
            }
        }
        let lives = |(_, call): &(&String, &BrowserCall)| call.state != CallState::Ended;
        self.reattachable.extend(
            self.calls
                .iter()
                .filter(lives)
                .map(|(name, _)| name.clone()),
        );
        self.calls.clear();
        self.requests.clear();
        if let Line::Open { socket, .. } = self.line {
            self.acts.push_back(Act::Close(socket));
        }
        if self.line != Line::Gone {
            self.line = Line::Down;
            let after = self.dice.millis(200, 2_500);
            self.later(after, Step::Connect);
        }
    }

    fn leave(&mut self, around: &mut Surroundings<'_>) {
        let names: Vec<String> = self.calls.keys().cloned().collect();
        for name in names {
            self.hang_up(&name, around);
        }
        if let Line::Open { socket, .. } = self.line {
            self.acts.push_back(Act::Close(socket));
        }
        self.line = Line::Gone;
    }

    /// Ends a call on this side only, without a word.
    fn end_locally(&mut self, name: &str, around: &mut Surroundings<'_>) {
        if let Some(call) = self.calls.get_mut(name) {
            call.state = CallState::Ended;
            if let Some(peer) = call.peer.take() {
                around.plane.drop_peer(peer, around.now);
            }
        }
    }
}
