//! Entry points for fuzzing: arbitrary bytes in, invariants out. Nothing else uses them.

use std::collections::{BTreeMap, BTreeSet};

use ringtrip_model::{
    AccountId, CallId, CallerId, CredentialConnectionId, Generator, Identity, LegCommand, LegEvent,
    LegId, LegParty, LoginRefusal, MediaPolicy, SdpAnswer, SdpOffer, SessionId, SocketId, Time,
};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{Config, Endpoint, Output};

/// Feeds text to a guest socket, then each of its lines to a logged-in socket that has a call each
/// way, with a call switch that agrees to everything, and checks:
///
/// - nothing panics;
/// - each frame sent is a JSON object with `voice_sdk_id`, and an object `result`, an `error` or a
///   `method`; no id is answered more often than it was asked;
/// - only the identity that was proven is bound;
/// - every leg ends exactly once, and nothing is left when all time has passed.
pub fn fuzz_frame(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut bench = Bench::new();
    let guest = SocketId(1);
    bench.endpoint.handle_opened(guest, bench.now);
    bench.frame(guest, text);

    let member = SocketId(2);
    bench.endpoint.handle_opened(member, bench.now);
    bench.verdict = Ok(bench.identity());
    bench.frame(
        member,
        r#"{"jsonrpc":"2.0","id":"login","method":"login","params":{"login_token":"t"}}"#,
    );
    bench.frame(member, INVITE);
    bench.ring();
    for line in text.lines() {
        bench.frame(member, line);
        bench.now += std::time::Duration::from_millis(10);
    }
    bench.finish();
}

/// A call that is answered at once; its name is the one that a corpus uses.
const INVITE: &str = r#"{"jsonrpc":"2.0","id":"invite","method":"telnyx_rtc.invite","params":{"sdp":"v=0","dialogParams":{"callID":"out","destination_number":"x"}}}"#;

struct Bench {
    endpoint: Endpoint,
    now: Time,
    verdict: Result<Identity, LoginRefusal>,
    sessions: BTreeSet<SessionId>,
    live: BTreeSet<LegId>,
    ended: BTreeSet<LegId>,
    /// How often each id was asked and not answered yet.
    asked: BTreeMap<(SocketId, String), usize>,
}

impl Bench {
    fn new() -> Self {
        Self {
            endpoint: Endpoint::new(Config::default(), Generator::from_seed([9; 32])),
            now: Time::from_secs(1),
            verdict: Err(LoginRefusal::UnknownUser),
            sessions: BTreeSet::new(),
            live: BTreeSet::new(),
            ended: BTreeSet::new(),
            asked: BTreeMap::new(),
        }
    }

    fn identity(&self) -> Identity {
        let mut rng = Generator::from_seed([8; 32]);
        let party = LegParty {
            account: AccountId::generate(&mut rng),
            connection: CredentialConnectionId::from_i64(1),
            credential: None,
            user: "fuzz".to_owned(),
            policy: MediaPolicy::default(),
            ring_timeout_secs: 30,
        };
        Identity {
            party,
            expires_at: None,
        }
    }

    fn frame(&mut self, socket: SocketId, text: &str) {
        if let Some(id) = answerable(text) {
            *self.asked.entry((socket, id)).or_default() += 1;
        }
        self.endpoint.handle_frame(socket, text, self.now);
        self.drain();
    }

    /// Rings the logged-in device under a name that is the same in every run.
    fn ring(&mut self) {
        let Some(&session) = self.sessions.first() else {
            return;
        };
        let mut rng = Generator::from_seed([7; 32]);
        let leg = LegId::generate(&mut rng);
        self.live.insert(leg);
        let command = LegCommand::Offer {
            leg,
            call: CallId::generate(&mut rng),
            session,
            offer: SdpOffer("v=0".to_owned()),
            caller: CallerId::default(),
            callee: CallerId::default(),
            custom_headers: Vec::new(),
            client_state: None,
        };
        self.endpoint.handle_command(command, self.now);
        self.drain();
    }

    fn finish(&mut self) {
        self.endpoint.handle_closed(SocketId(2), self.now);
        self.drain();
        while let Some(at) = self.endpoint.poll_timeout() {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        assert!(
            self.live.is_empty(),
            "legs that never ended: {:?}",
            self.live
        );
        assert!(
            self.sessions.is_empty(),
            "sessions still bound: {:?}",
            self.sessions
        );
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Send { socket, frame } => self.check(socket, &frame),
                Output::Close { .. } => {}
                Output::Authenticate {
                    socket, request, ..
                } => {
                    self.endpoint.handle_authenticated(
                        socket,
                        request,
                        self.verdict.clone(),
                        self.now,
                    );
                }
                Output::Bind { session, party, .. } => {
                    assert!(
                        self.verdict
                            .as_ref()
                            .is_ok_and(|proven| proven.party == party),
                        "bound unproven"
                    );
                    self.sessions.insert(session);
                }
                Output::Unbind { session, .. } => {
                    assert!(self.sessions.remove(&session), "unbound what was not bound");
                }
                Output::Leg(event) => self.agree(event),
            }
        }
    }

    fn check(&mut self, socket: SocketId, frame: &str) {
        let frame: Value = serde_json::from_str(frame).expect("every frame is JSON");
        assert!(
            frame.get("voice_sdk_id").is_some_and(Value::is_string),
            "{frame}"
        );
        if frame.get("method").is_some() {
            assert!(
                frame["id"].is_u64() && frame["params"].is_object(),
                "{frame}"
            );
            return;
        }
        assert!(
            frame["result"].is_object() || frame["error"].is_object(),
            "{frame}"
        );
        if !frame["id"].is_null() {
            let open = self
                .asked
                .get_mut(&(socket, frame["id"].to_string()))
                .expect("answers follow requests");
            assert!(*open > 0, "answered twice: {frame}");
            *open -= 1;
        }
    }

    fn agree(&mut self, event: LegEvent) {
        let leg = event.leg();
        let command = match event {
            LegEvent::Incoming { .. } => {
                assert!(self.live.insert(leg), "a leg began twice");
                let call = CallId::from_uuid(leg.as_uuid());
                let answer = SdpAnswer("v=0".to_owned());
                LegCommand::Answer {
                    leg,
                    call,
                    answer,
                    custom_headers: Vec::new(),
                }
            }
            LegEvent::Answered { .. } => LegCommand::Accepted { leg },
            LegEvent::HoldRequested { held, .. } => LegCommand::Held {
                leg,
                held: held.unwrap_or(true),
            },
            LegEvent::UpdateRequested { .. } => LegCommand::UpdateRefused { leg },
            LegEvent::AttachAnswered { .. } => LegCommand::Attached { leg },
            LegEvent::Hangup { .. } => {
                assert!(
                    self.live.remove(&leg) && self.ended.insert(leg),
                    "a leg ended twice"
                );
                return;
            }
            LegEvent::Ringing { .. }
            | LegEvent::Dtmf { .. }
            | LegEvent::Lost { .. }
            | LegEvent::Returned { .. } => return,
        };
        self.endpoint.handle_command(command, self.now);
    }
}

/// Returns a request's id as text, if it has one that is answered under its own name.
fn answerable(text: &str) -> Option<String> {
    let frame: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    let id: Value = serde_json::from_str(frame.get("id")?.get()).ok()?;
    let response = frame.contains_key("result") || frame.contains_key("error");
    ((id.is_string() || id.is_number()) && !response).then(|| id.to_string())
}
