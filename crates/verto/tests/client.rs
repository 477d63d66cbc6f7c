//! Clients, call switch and credential store of a test, with what the endpoint said to each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ringtrip_model::{
    AccountId, CallId, CallerId, CredentialConnectionId, Generator, Identity, LegCommand, LegEvent,
    LegId, LegParty, LoginRefusal, LoginRequest, MediaPolicy, SdpAnswer, SdpOffer, SessionId,
    SocketId, TelephonyCredentialId, Time, Timestamp,
};
use ringtrip_verto::{CloseReason, Config, Endpoint, Output};
use serde_json::{Value, json};

/// 2026-11-21T00:00:00Z.
pub(crate) const STARTED_AT: Timestamp = Timestamp::from_secs(1_795_219_200);

pub(crate) const ALICE: &str = "gencredalice";
pub(crate) const BOB: &str = "gencredbob";

pub(crate) struct World {
    pub(crate) endpoint: Endpoint,
    pub(crate) now: Time,
    pub(crate) rng: Generator,
    pub(crate) closed: BTreeMap<SocketId, CloseReason>,
    pub(crate) logins: VecDeque<(SocketId, u64, LoginRequest)>,
    pub(crate) events: VecDeque<LegEvent>,
    /// Which sessions can be called.
    pub(crate) bound: BTreeMap<SessionId, LegParty>,
    frames: BTreeMap<SocketId, VecDeque<Value>>,
    /// Legs that ended, to see that none ends twice.
    ended: BTreeSet<LegId>,
    next_socket: u64,
    next_id: u64,
}

/// A logged-in client.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    pub(crate) socket: SocketId,
    pub(crate) session: SessionId,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Config {
            started_at: STARTED_AT,
            ..Config::default()
        })
    }

    pub(crate) fn with(config: Config) -> Self {
        Self {
            endpoint: Endpoint::new(config, Generator::from_seed([1; 32])),
            now: Time::from_secs(1),
            rng: Generator::from_seed([2; 32]),
            closed: BTreeMap::new(),
            logins: VecDeque::new(),
            events: VecDeque::new(),
            bound: BTreeMap::new(),
            frames: BTreeMap::new(),
            ended: BTreeSet::new(),
            next_socket: 0,
            next_id: 0,
        }
    }

    pub(crate) fn open(&mut self) -> SocketId {
        self.next_socket += 1;
        let socket = SocketId(self.next_socket);
        self.endpoint.handle_opened(socket, self.now);
        self.drain();
        socket
    }

    pub(crate) fn close(&mut self, socket: SocketId) {
        self.endpoint.handle_closed(socket, self.now);
        self.drain();
    }

    pub(crate) fn send_text(&mut self, socket: SocketId, text: &str) {
        self.endpoint.handle_frame(socket, text, self.now);
        self.drain();
    }

    pub(crate) fn send(&mut self, socket: SocketId, frame: &Value) {
        self.send_text(socket, &frame.to_string());
    }

    /// Sends a request under a fresh UUID, as the SDKs do, and returns the id.
    pub(crate) fn request(&mut self, socket: SocketId, method: &str, params: Value) -> Value {
        self.next_id += 1;
        let id = json!(format!("00000000-0000-4000-8000-{:012}", self.next_id));
        self.send(
            socket,
            &json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}),
        );
        id
    }

    /// Sends a request and takes the response to it, which must come at once and first.
    pub(crate) fn ask(&mut self, socket: SocketId, method: &str, params: Value) -> Value {
        let id = self.request(socket, method, params);
        let response = self.frame(socket);
        assert_eq!(response["id"], id, "{response}");
        assert!(response.get("method").is_none(), "{response}");
        response
    }

    /// Sends a request and returns its error code and message.
    pub(crate) fn refused(
        &mut self,
        socket: SocketId,
        method: &str,
        params: Value,
    ) -> (i64, String) {
        let response = self.ask(socket, method, params);
        error_of(&response)
    }

    pub(crate) fn command(&mut self, command: LegCommand) {
        self.endpoint.handle_command(command, self.now);
        self.drain();
    }

    pub(crate) fn authenticated(&mut self, result: Result<Identity, LoginRefusal>) {
        let (socket, request, _) = self.logins.pop_front().expect("a login to verify");
        self.endpoint
            .handle_authenticated(socket, request, result, self.now);
        self.drain();
    }

    /// Lets time pass, waking the endpoint whenever it wants. Returns how often that was.
    pub(crate) fn pass(&mut self, time: Duration) -> usize {
        let until = self.now + time;
        let mut wakes = 0;
        while let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            assert!(
                self.endpoint
                    .poll_timeout()
                    .is_none_or(|next| next > self.now),
                "a timer that never rests"
            );
            self.drain();
            wakes += 1;
        }
        self.now = until;
        wakes
    }

    pub(crate) fn pass_secs(&mut self, secs: u64) -> usize {
        self.pass(Duration::from_secs(secs))
    }

    /// Takes the next frame that a socket got.
    pub(crate) fn frame(&mut self, socket: SocketId) -> Value {
        self.frames
            .get_mut(&socket)
            .and_then(VecDeque::pop_front)
            .expect("a frame")
    }

    /// Takes the next frame that a socket got, which must be a request of the server.
    pub(crate) fn frame_of(&mut self, socket: SocketId, method: &str) -> Value {
        let frame = self.frame(socket);
        assert_eq!(frame["method"], method, "{frame}");
        frame["params"].clone()
    }

    pub(crate) fn frames(&mut self, socket: SocketId) -> Vec<Value> {
        self.frames.remove(&socket).unwrap_or_default().into()
    }

    pub(crate) fn assert_silent(&mut self, socket: SocketId) {
        assert_eq!(self.frames(socket), Vec::<Value>::new());
    }

    pub(crate) fn event(&mut self) -> LegEvent {
        self.events.pop_front().expect("an event")
    }

    pub(crate) fn assert_no_events(&self) {
        assert!(self.events.is_empty(), "{:?}", self.events);
    }

    /// Opens a socket and logs in by token.
    pub(crate) fn log_in(&mut self, user: &str) -> Client {
        let socket = self.open();
        self.log_in_on(socket, user, json!({}))
    }

    /// Logs in on a socket with further parameters, and takes all that is said about it.
    pub(crate) fn log_in_on(&mut self, socket: SocketId, user: &str, extra: Value) -> Client {
        let (result, _) = self.log_in_fully(socket, user, extra);
        let session = result["sessid"].as_str().unwrap().parse().unwrap();
        self.frames.remove(&socket);
        Client { socket, session }
    }

    /// Logs in on a socket; returns result and the parameters of clientReady.
    pub(crate) fn log_in_fully(
        &mut self,
        socket: SocketId,
        user: &str,
        extra: Value,
    ) -> (Value, Value) {
        let mut params = json!({"login_token": format!("token-of-{user}")});
        for (key, value) in extra.as_object().unwrap() {
            params[key] = value.clone();
        }
        let id = self.request(socket, "login", params);
        self.authenticated(Ok(identity(user)));
        let response = self.frame(socket);
        assert_eq!(response["id"], id, "{response}");
        assert_eq!(response["result"]["message"], "logged in", "{response}");
        let mut rest = std::mem::take(self.frames.entry(socket).or_default());
        let ready = rest
            .iter()
            .position(|frame| frame["method"] == "telnyx_rtc.clientReady")
            .expect("clientReady");
        let ready = rest.remove(ready).unwrap();
        self.frames.insert(socket, rest);
        (response["result"].clone(), ready["params"].clone())
    }

    /// Places a call from a client; takes its result.
    pub(crate) fn dial(&mut self, client: Client, call_id: &str, destination: &str) -> LegId {
        let response = self.ask(
            client.socket,
            "telnyx_rtc.invite",
            invite(call_id, destination),
        );
        assert_eq!(response["result"]["message"], "CALL CREATED", "{response}");
        let event = self.event();
        let LegEvent::Incoming { leg, session, .. } = event else {
            panic!("{event:?}");
        };
        assert_eq!(session, client.session);
        leg
    }

    /// Rings a client's device; takes invite and event.
    pub(crate) fn ring(&mut self, client: Client) -> LegId {
        let leg = LegId::generate(&mut self.rng);
        self.command(offer(leg, client.session));
        self.frame_of(client.socket, "telnyx_rtc.invite");
        assert_eq!(self.event(), LegEvent::Ringing { leg });
        leg
    }

    /// Places a call that is answered.
    pub(crate) fn call_out(&mut self, client: Client, call_id: &str) -> LegId {
        let leg = self.dial(client, call_id, BOB);
        self.command(answer(leg));
        self.frame_of(client.socket, "telnyx_rtc.answer");
        leg
    }

    /// Rings a client's device, which answers.
    pub(crate) fn call_in(&mut self, client: Client) -> LegId {
        let leg = self.ring(client);
        self.request(
            client.socket,
            "telnyx_rtc.answer",
            dialog(&leg.to_string(), json!({"sdp": "v=0 answer"})),
        );
        assert!(matches!(self.event(), LegEvent::Answered { .. }));
        self.command(LegCommand::Accepted { leg });
        assert_eq!(
            self.frame(client.socket)["result"]["message"],
            "CALL ANSWERED"
        );
        leg
    }

    /// Takes all outputs and checks what must hold for every frame.
    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Send { socket, frame } => {
                    assert!(
                        !self.closed.contains_key(&socket),
                        "frame after close: {frame}"
                    );
                    let frame: Value = serde_json::from_str(&frame).expect("JSON");
                    check_frame(&frame);
                    self.frames.entry(socket).or_default().push_back(frame);
                }
                Output::Close { socket, reason } => {
                    assert_eq!(self.closed.insert(socket, reason), None, "closed twice");
                }
                Output::Authenticate {
                    socket,
                    request,
                    login,
                } => self.logins.push_back((socket, request, login)),
                Output::Bind {
                    session,
                    socket,
                    party,
                    call_report_id,
                } => {
                    assert!(
                        !self.closed.contains_key(&socket),
                        "bound on a closed socket"
                    );
                    assert_eq!(call_report_id.len(), 32);
                    self.bound.insert(session, party);
                }
                Output::Unbind { session, party, .. } => {
                    assert_eq!(
                        self.bound.remove(&session),
                        Some(party),
                        "unbound as it was bound"
                    );
                }
                Output::Leg(event) => {
                    if let LegEvent::Hangup { leg, .. } = event {
                        assert!(self.ended.insert(leg), "{leg} ended twice");
                    }
                    self.events.push_back(event);
                }
            }
        }
    }
}

/// Checks what holds for every frame: an object with an object result or an error or a method, always with
/// `voice_sdk_id`, requests with integer ids.
pub(crate) fn check_frame(frame: &Value) {
    assert_eq!(frame["jsonrpc"], "2.0", "{frame}");
    assert!(
        frame["voice_sdk_id"]
            .as_str()
            .is_some_and(|id| id.starts_with("VSDK") && id.len() == 36),
        "{frame}"
    );
    let keys = ["result", "error", "method"]
        .into_iter()
        .filter(|key| frame.get(key).is_some());
    assert_eq!(keys.count(), 1, "{frame}");
    if frame.get("method").is_some() {
        assert!(
            frame["id"].is_u64() && frame["params"].is_object(),
            "{frame}"
        );
    } else if frame.get("result").is_some() {
        assert!(frame["result"].is_object(), "{frame}");
    } else {
        assert!(
            frame["error"]["code"].is_i64() && frame["error"]["message"].is_string(),
            "{frame}"
        );
    }
}

pub(crate) fn error_of(response: &Value) -> (i64, String) {
    let error = &response["error"];
    (
        error["code"].as_i64().expect("an error"),
        error["message"].as_str().unwrap().to_owned(),
    )
}

/// The user of a name. Users whose name has an `@` belong to another tenant.
pub(crate) fn party(user: &str) -> LegParty {
    let number = user.bytes().fold(7_u64, |hash, byte| {
        (hash * 31 + u64::from(byte)) & 0xffff_ffff_ffff
    });
    let credential: TelephonyCredentialId = format!("00000000-0000-4000-8000-{number:012x}")
        .parse()
        .unwrap();
    let tenant = if user.contains('@') { 2 } else { 1 };
    let account: AccountId = format!("00000000-0000-4000-9000-{tenant:012}")
        .parse()
        .unwrap();
    LegParty {
        account,
        connection: CredentialConnectionId::from_i64(tenant),
        credential: Some(credential),
        user: user.to_owned(),
        policy: MediaPolicy::from_codec_names(["OPUS", "G711U"]),
        ring_timeout_secs: 30,
    }
}

pub(crate) fn identity(user: &str) -> Identity {
    Identity {
        party: party(user),
        expires_at: None,
    }
}

/// The parameters of a call message: `dialogParams.callID` and what else is given.
pub(crate) fn dialog(call_id: &str, mut params: Value) -> Value {
    params["sessid"] = json!("ignored");
    params["dialogParams"] = json!({"callID": call_id});
    params
}

pub(crate) fn invite(call_id: &str, destination: &str) -> Value {
    json!({
        "sessid": "ignored",
        "sdp": "v=0 offer",
        "User-Agent": "Web-2.27.10",
        "dialogParams": {
            "callID": call_id,
            "destination_number": destination,
            "caller_id_name": "Alice",
            "caller_id_number": "+15550100",
            "custom_headers": [{"name": "X-Order", "value": "17"}],
            "clientState": "c3RhdGU=",
            "iceServers": [{"urls": "turn:example.test", "credential": "never shown"}],
            "userVariables": [],
        },
    })
}

pub(crate) fn shown(name: &str, number: &str) -> CallerId {
    CallerId {
        name: name.to_owned(),
        number: number.to_owned(),
    }
}

pub(crate) fn call() -> CallId {
    "7e1b7cf1-6f0c-4f0e-9d39-6f3a3a0d8d11".parse().unwrap()
}

pub(crate) fn offer(leg: LegId, session: SessionId) -> LegCommand {
    LegCommand::Offer {
        leg,
        call: call(),
        session,
        offer: SdpOffer("v=0 our offer".to_owned()),
        caller: shown("Alice", ALICE),
        callee: shown("", BOB),
        custom_headers: Vec::new(),
        client_state: Some("c3RhdGU=".to_owned()),
    }
}

pub(crate) fn answer(leg: LegId) -> LegCommand {
    LegCommand::Answer {
        leg,
        call: call(),
        answer: SdpAnswer("v=0 our answer".to_owned()),
        custom_headers: Vec::new(),
    }
}

pub(crate) fn attach(leg: LegId) -> LegCommand {
    LegCommand::Attach {
        leg,
        call: call(),
        offer: SdpOffer("v=0 fresh offer".to_owned()),
        remote: shown("Bob", BOB),
    }
}
