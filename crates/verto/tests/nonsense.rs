//! Random histories: whatever clients, calls and the network do, each request is answered once and
//! each leg ends once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use ringtrip_model::{
    Generator, HangupCause, LegCommand, LegEvent, LegId, LoginRefusal, RevokeScope, SdpAnswer,
    SocketId, Time,
};
use ringtrip_verto::fuzz::fuzz_frame;
use ringtrip_verto::{Config, Endpoint, Output};
use serde_json::{Value, json};

use crate::client::{STARTED_AT, answer, attach, check_frame, identity, invite, offer, party};

const USERS: [&str; 3] = ["gencredalice", "gencredbob", "mallory@other"];

#[derive(Debug, Clone)]
enum Step {
    Open,
    Close(usize),
    Login {
        socket: usize,
        session: Option<usize>,
    },
    Verdict {
        user: usize,
        good: bool,
    },
    Invite {
        socket: usize,
        name: usize,
    },
    Request {
        socket: usize,
        method: usize,
        leg: usize,
    },
    Text {
        socket: usize,
        text: String,
    },
    Offer {
        session: usize,
    },
    /// The call does what it was asked for first.
    Agree,
    /// The call says anything.
    Command {
        leg: usize,
        kind: usize,
    },
    Pass {
        millis: u64,
    },
    Revoke {
        user: usize,
    },
    Fault {
        socket: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let index = 0_usize..4;
    let socket = index.clone();
    let millis = prop_oneof![8 => 0_u64..50, 4 => 1_000_u64..12_000, 1 => 40_000_u64..100_000];
    prop_oneof![
        8 => Just(Step::Open),
        4 => index.clone().prop_map(Step::Close),
        30 => (socket.clone(), proptest::option::of(index.clone()))
            .prop_map(|(socket, session)| Step::Login { socket, session }),
        30 => (0_usize..3, proptest::bool::weighted(0.85))
            .prop_map(|(user, good)| Step::Verdict { user: user / 2, good }),
        30 => (socket.clone(), 0_usize..6).prop_map(|(socket, name)| Step::Invite { socket, name }),
        80 => (socket.clone(), 0_usize..14, index.clone())
            .prop_map(|(socket, method, leg)| Step::Request { socket, method, leg }),
        5 => (socket.clone(), ".{0,40}").prop_map(|(socket, text)| Step::Text { socket, text }),
        30 => index.clone().prop_map(|session| Step::Offer { session }),
        90 => Just(Step::Agree),
        40 => (index.clone(), 0_usize..10).prop_map(|(leg, kind)| Step::Command { leg, kind }),
        12 => millis.prop_map(|millis| Step::Pass { millis }),
        1 => (0_usize..3).prop_map(|user| Step::Revoke { user }),
        1 => socket.prop_map(|socket| Step::Fault { socket }),
    ]
}

/// Plays steps; what it counts must come out even.
struct Player {
    endpoint: Endpoint,
    rng: Generator,
    now: Time,
    sockets: Vec<SocketId>,
    open: BTreeSet<SocketId>,
    logins: Vec<(SocketId, u64)>,
    sessions: Vec<ringtrip_model::SessionId>,
    legs: Vec<LegId>,
    live: BTreeSet<LegId>,
    events: VecDeque<LegEvent>,
    waiting: BTreeMap<SocketId, BTreeSet<String>>,
    requests: u64,
    trace: Vec<String>,
}

impl Player {
    fn new() -> Self {
        let config = Config {
            started_at: STARTED_AT,
            max_legs: 4,
            max_outstanding: 2,
            max_half_open: 4,
            ..Config::default()
        };
        Self {
            endpoint: Endpoint::new(config, Generator::from_seed([3; 32])),
            rng: Generator::from_seed([4; 32]),
            now: Time::from_secs(1),
            sockets: Vec::new(),
            open: BTreeSet::new(),
            logins: Vec::new(),
            sessions: Vec::new(),
            legs: Vec::new(),
            live: BTreeSet::new(),
            events: VecDeque::new(),
            waiting: BTreeMap::new(),
            requests: 0,
            trace: Vec::new(),
        }
    }

    fn pick<T: Copy>(from: &[T], index: usize) -> Option<T> {
        if from.is_empty() {
            None
        } else {
            Some(from[from.len() - 1 - index % from.len()])
        }
    }

    fn request(&mut self, socket: usize, method: &str, params: &Value) {
        let Some(socket) = Self::pick(&self.sockets, socket) else {
            return;
        };
        self.requests += 1;
        let id = format!("request-{}", self.requests);
        if self.open.contains(&socket) {
            self.waiting.entry(socket).or_default().insert(id.clone());
        }
        let frame =
            json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string();
        self.endpoint.handle_frame(socket, &frame, self.now);
    }

    fn play(&mut self, step: &Step) {
        match step {
            Step::Open => {
                let socket = SocketId(self.sockets.len() as u64 + 1);
                self.sockets.push(socket);
                self.open.insert(socket);
                self.endpoint.handle_opened(socket, self.now);
            }
            Step::Close(index) => {
                if let Some(socket) = Self::pick(&self.sockets, *index) {
                    self.open.remove(&socket);
                    self.endpoint.handle_closed(socket, self.now);
                }
            }
            Step::Login { socket, session } => {
                let session = session.and_then(|index| Self::pick(&self.sessions, index));
                let sessid = session.map(|id| id.to_string());
                self.request(
                    *socket,
                    "login",
                    &json!({"login_token": "t", "sessid": sessid}),
                );
            }
            Step::Verdict { user, good } => self.verdict(*user, *good),
            Step::Invite { socket, name } => {
                self.request(
                    *socket,
                    "telnyx_rtc.invite",
                    &invite(&format!("call-{name}"), "x"),
                );
            }
            Step::Request {
                socket,
                method,
                leg,
            } => self.call_request(*socket, *method, *leg),
            Step::Text { socket, text } => {
                if let Some(socket) = Self::pick(&self.sockets, *socket) {
                    self.endpoint.handle_frame(socket, text, self.now);
                }
            }
            Step::Offer { session } => {
                if let Some(session) = Self::pick(&self.sessions, *session) {
                    let leg = LegId::generate(&mut self.rng);
                    self.legs.push(leg);
                    self.live.insert(leg);
                    self.endpoint.handle_command(offer(leg, session), self.now);
                }
            }
            Step::Agree => self.agree(),
            Step::Command { leg, kind } => self.command(*leg, *kind),
            Step::Pass { millis } => self.pass(Duration::from_millis(*millis)),
            Step::Revoke { user } => {
                let scope = RevokeScope::Credential(party(USERS[*user]).credential.unwrap());
                self.endpoint.handle_revoked(scope, self.now);
            }
            Step::Fault { socket } => {
                if let Some(socket) =
                    Self::pick(&self.sockets, *socket).filter(|socket| self.open.contains(socket))
                {
                    self.endpoint.remove_socket_after_panic(socket, self.now);
                }
            }
        }
        self.drain();
    }

    fn verdict(&mut self, user: usize, good: bool) {
        if self.logins.is_empty() {
            return;
        }
        let (socket, request) = self.logins.remove(0);
        let result = if good {
            Ok(identity(USERS[user]))
        } else {
            Err(LoginRefusal::BadToken)
        };
        self.endpoint
            .handle_authenticated(socket, request, result, self.now);
    }

    fn call_request(&mut self, socket: usize, method: usize, leg: usize) {
        let name = match Self::pick(&self.legs, leg) {
            Some(leg) if method.is_multiple_of(2) => leg.to_string(),
            _ => format!("call-{}", leg % 4),
        };
        let (method, extra) = [
            ("answer", json!({"sdp": "v=0"})),
            ("answer", json!({})),
            ("bye", json!({})),
            ("modify", json!({"action": "hold"})),
            ("modify", json!({"action": "toggleHold"})),
            ("modify", json!({"action": "updateMedia", "sdp": "v=0"})),
            ("modify", json!({"action": "updateMedia", "sdp": "v=0"})),
            ("attach", json!({"sdp": "v=0"})),
            ("attach", json!({"sdp": "v=0"})),
            ("info", json!({"dtmf": "12"})),
            ("gatewayState", json!({})),
            ("candidate", json!({})),
            ("ping", json!({})),
            ("nothing", json!({})),
        ][method]
            .clone();
        let params = crate::client::dialog(&name, extra);
        self.request(socket, &format!("telnyx_rtc.{method}"), &params);
    }

    fn agree(&mut self) {
        let wants = |event: &LegEvent| {
            !matches!(
                event,
                LegEvent::Ringing { .. }
                    | LegEvent::Dtmf { .. }
                    | LegEvent::Lost { .. }
                    | LegEvent::Hangup { .. }
            )
        };
        self.events
            .retain(|event| wants(event) && self.live.contains(&event.leg()));
        let Some(event) = self.events.pop_front() else {
            return;
        };
        let leg = event.leg();
        let command = match event {
            LegEvent::Incoming { .. } => answer(leg),
            LegEvent::Answered { .. } => LegCommand::Accepted { leg },
            LegEvent::HoldRequested { held, .. } => LegCommand::Held {
                leg,
                held: held.unwrap_or(true),
            },
            LegEvent::UpdateRequested { .. } if self.requests.is_multiple_of(2) => {
                LegCommand::UpdateRefused { leg }
            }
            LegEvent::UpdateRequested { .. } => LegCommand::Updated {
                leg,
                answer: SdpAnswer("v=0".to_owned()),
            },
            LegEvent::Returned { .. } => attach(leg),
            LegEvent::AttachAnswered { .. } => LegCommand::Attached { leg },
            LegEvent::Ringing { .. }
            | LegEvent::Dtmf { .. }
            | LegEvent::Lost { .. }
            | LegEvent::Hangup { .. } => return,
        };
        self.endpoint.handle_command(command, self.now);
    }

    fn command(&mut self, leg: usize, kind: usize) {
        let Some(leg) = Self::pick(&self.legs, leg) else {
            return;
        };
        let command = match kind {
            0 | 1 => answer(leg),
            2 | 3 => LegCommand::Accepted { leg },
            4 => LegCommand::Held { leg, held: true },
            5 => LegCommand::Updated {
                leg,
                answer: SdpAnswer("v=0".to_owned()),
            },
            6 => LegCommand::UpdateRefused { leg },
            7 => attach(leg),
            8 => LegCommand::Attached { leg },
            _ => LegCommand::Hangup {
                leg,
                cause: HangupCause::NormalClearing,
            },
        };
        if matches!(command, LegCommand::Hangup { .. }) {
            self.live.remove(&leg);
        }
        self.endpoint.handle_command(command, self.now);
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            self.trace.push(format!("{output:?}"));
            if let Output::Leg(event) = &output {
                self.events.push_back(event.clone());
            }
            match output {
                Output::Send { socket, frame } => {
                    assert!(
                        self.open.contains(&socket),
                        "frame to a closed socket: {frame}"
                    );
                    let frame: Value = serde_json::from_str(&frame).unwrap();
                    check_frame(&frame);
                    if let (None, Some(id)) = (frame.get("method"), frame["id"].as_str()) {
                        let waiting = self.waiting.entry(socket).or_default();
                        assert!(
                            waiting.remove(id),
                            "{id} was not asked or is answered already"
                        );
                    }
                    if let Some(sessid) = frame["result"]["sessid"]
                        .as_str()
                        .and_then(|id| id.parse().ok())
                        && !self.sessions.contains(&sessid)
                    {
                        self.sessions.push(sessid);
                    }
                }
                Output::Close { socket, .. } => assert!(self.open.remove(&socket), "closed twice"),
                Output::Authenticate {
                    socket, request, ..
                } => self.logins.push((socket, request)),
                Output::Bind { .. } | Output::Unbind { .. } => {}
                Output::Leg(LegEvent::Incoming { leg, .. }) => {
                    self.legs.push(leg);
                    assert!(self.live.insert(leg), "a leg began twice");
                }
                Output::Leg(LegEvent::Hangup { leg, .. }) => {
                    assert!(self.live.remove(&leg), "ended twice")
                }
                Output::Leg(event) => assert!(
                    self.live.contains(&event.leg()),
                    "{event:?} after its leg's end"
                ),
            }
        }
    }

    /// Lets the calls end and the store answer: then nobody may wait any more.
    fn settle(&mut self) {
        while !self.logins.is_empty() {
            self.verdict(0, true);
            self.drain();
        }
        for leg in std::mem::take(&mut self.live) {
            self.endpoint.handle_command(
                LegCommand::Hangup {
                    leg,
                    cause: HangupCause::NormalClearing,
                },
                self.now,
            );
            self.drain();
        }
        for socket in &self.open {
            let waiting = self.waiting.get(socket);
            assert!(
                waiting.is_none_or(BTreeSet::is_empty),
                "{socket:?} never answered: {waiting:?}"
            );
        }
        self.pass(Duration::from_secs(200));
        assert!(
            self.open.is_empty(),
            "silent sockets stay open: {:?}",
            self.open
        );
        assert_eq!(self.endpoint.poll_timeout(), None);
    }
}

fn run(steps: &[Step]) -> Vec<String> {
    let mut player = Player::new();
    for step in steps {
        player.play(step);
    }
    player.settle();
    player.trace
}

#[test]
fn random_histories_go_everywhere() {
    let mut runner = TestRunner::deterministic();
    let histories = proptest::collection::vec(step(), 60..120);
    let traces: Vec<String> = (0..600)
        .flat_map(|_| run(&histories.new_tree(&mut runner).unwrap().current()))
        .collect();
    for sign in [
        "Leg(Ringing",
        "Leg(Answered",
        "CALL ANSWERED",
        "holdState",
        "Leg(UpdateRequested",
        "updateMedia",
        "MEDIA ERROR",
        "telnyx_rtc.attach",
        "Leg(AttachAnswered",
        "CALL ENDED",
        "DestinationOutOfOrder",
        "RecoveryOnTimerExpire",
        "SubscriberAbsent",
        "BearerCapabilityNotAuth",
        "Leg(Lost",
        "Leg(Returned",
        "TakenOver",
        "Revoked",
        "LoginTimeout",
        "LoginRefused",
        "HalfOpen",
        "Silent",
        "Fault",
        "Too many unanswered requests",
        "SWITCH_CONGESTION",
        "UserBusy",
    ] {
        let count = traces.iter().filter(|line| line.contains(sign)).count();
        assert!(count > 0, "{sign} never happened");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_are_answered_once_and_legs_end_once(steps in proptest::collection::vec(step(), 1..120)) {
        run(&steps);
    }

    #[test]
    fn the_same_history_gives_the_same_outputs(steps in proptest::collection::vec(step(), 1..60)) {
        prop_assert_eq!(run(&steps), run(&steps));
    }

    #[test]
    fn random_text_keeps_the_invariants(text in "\\PC{0,200}") {
        fuzz_frame(text.as_bytes());
    }

    #[test]
    fn random_bytes_keep_the_invariants(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz_frame(&bytes);
    }

    #[test]
    fn mutated_frames_keep_the_invariants(
        which in 0_usize..5,
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..6),
    ) {
        let mut bytes = [
            json!({"jsonrpc": "2.0", "id": "x", "method": "telnyx_rtc.invite", "params": invite("b", "y")}),
            json!({"jsonrpc": "2.0", "id": 7, "method": "telnyx_rtc.modify", "params": crate::client::dialog("out", json!({"action": "updateMedia", "sdp": "v=0"}))}),
            json!({"jsonrpc": "2.0", "id": "y", "method": "telnyx_rtc.bye", "params": crate::client::dialog("out", json!({"cause": "USER_BUSY"}))}),
            json!({"jsonrpc": "2.0", "id": "z", "method": "login", "params": {"login": "u", "passwd": "p", "sessid": "s"}}),
            json!({"jsonrpc": "2.0", "id": "w", "type": "debug_report_data", "debug_report_data": {"a": [1, 2, {"b": null}]}}),
        ][which].to_string().into_bytes();
        for (at, byte, how) in cuts {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.truncate(at.max(1)); }
            }
        }
        fuzz_frame(&bytes);
    }
}
