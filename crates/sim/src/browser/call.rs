//! A client's calls.

use ringtrip_model::{AudioCodec, SocketId};
use serde_json::{Value, json};

use super::{Ask, Browser, Step, Surroundings};
use crate::plane::PeerId;
use crate::report::Fault;
use crate::sdp;

/// Where a client's call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallState {
    /// The invite is out.
    Requesting,
    /// It has its result.
    Trying,
    /// It rings here.
    Ringing,
    /// The answer is out.
    Answering,
    /// Both sides talk.
    Active,
    /// It is over, as far as this side knows.
    Ended,
}

/// A call as its client knows it.
#[derive(Debug)]
pub struct BrowserCall {
    /// Where it stands.
    pub state: CallState,
    /// Its peer connection.
    pub peer: Option<PeerId>,
    /// What is spoken, once known.
    pub codec: Option<AudioCodec>,
    /// Whether this side holds it.
    pub held: bool,
    /// How often it was attached anew.
    pub attached: u32,
    /// How many restarts succeeded.
    pub restarted: u32,
    /// Keys that the far side pressed.
    pub keys: String,
    /// The invite's result came; true for a call from outside.
    pub(super) result: bool,
    ringing: bool,
    /// The server said that it is over; it has nothing more to say about it.
    pub(super) told_over: bool,
    pub(super) offer: String,
    /// Counts attaches; an answer is for the latest.
    pub(super) attaches: u32,
    outbound: bool,
    /// Its talk is planned.
    fidgets: bool,
    /// The socket that its invite went out on: only there is its result to come first.
    pub(super) invited_on: Option<SocketId>,
}

impl BrowserCall {
    pub(super) fn new(state: CallState, outbound: bool) -> Self {
        Self {
            state,
            peer: None,
            codec: None,
            held: false,
            attached: 0,
            restarted: 0,
            keys: String::new(),
            result: !outbound,
            ringing: false,
            told_over: false,
            offer: String::new(),
            attaches: 0,
            outbound,
            fidgets: false,
            invited_on: None,
        }
    }

    /// Tells whether the party placed it.
    pub const fn is_outbound(&self) -> bool {
        self.outbound
    }
}

impl Browser {
    pub(super) fn dialog(&self, name: &str) -> Value {
        let key = if self.habits.android {
            "callId"
        } else {
            "callID"
        };
        json!({key: name, "audio": true, "attach": false})
    }

    /// Calls somebody. The invite goes out with everything the SDK would put in.
    pub(super) fn dial(&mut self, to: &str, badly: bool, around: &mut Surroundings<'_>) {
        if !self.is_ready() {
            return;
        }
        let name = self.dice.uuid();
        let mut call = BrowserCall::new(CallState::Requesting, true);
        call.invited_on = self.socket();
        let sdp = if badly {
            around.checks.report.fault(Fault::BadDescription);
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n".to_owned()
        } else {
            let peer = self.new_peer();
            call.peer = Some(peer);
            around
                .plane
                .offer(peer, self.device, &self.habits.abilities, around.now)
        };
        self.calls.insert(name.clone(), call);
        if self.habits.debugs {
            let id = self.dice.uuid();
            let report = json!({
                "jsonrpc": "2.0", "id": id, "type": "debug_report_start",
                "debug_report_id": "r", "debug_report_version": 1, "call_id": name,
            });
            self.say(&report);
            self.requests.insert(id, Ask::Other);
        }
        let params = json!({
            "sessid": self.sessid(), "sdp": sdp, "User-Agent": "Web-2.27.10",
            "dialogParams": {
                "callID": name, "destination_number": to, "audio": true, "video": false, "attach": false,
                "caller_id_name": "", "caller_id_number": "", "custom_headers": [{"name": "X-Sim", "value": "1"}],
            },
        });
        self.ask("telnyx_rtc.invite", params, Ask::Invite(name.clone()));
        if self.habits.trickles {
            self.trickle(&name);
        }
        if self.dice.percent(self.habits.cancels) {
            // Around the time at which people answer, so that the two may cross.
            let exactly = self.habits.answers_after.filter(|_| self.dice.percent(70));
            let after = match exactly {
                Some(after) => after + self.dice.millis(0, 400),
                None => self.dice.millis(50, 6_000),
            };
            self.later(after, Step::HangUp(name));
        }
    }

    fn trickle(&mut self, name: &str) {
        let candidate = json!({
            "sessid": self.sessid(), "candidate": "candidate:1 1 udp 2122260223 192.0.2.1 5000 typ host",
            "sdpMid": "0", "sdpMLineIndex": 0, "dialogParams": self.dialog(name),
        });
        self.ask("telnyx_rtc.candidate", candidate, Ask::Other);
        let end = json!({"sessid": self.sessid(), "endOfCandidates": true, "dialogParams": self.dialog(name)});
        self.ask("telnyx_rtc.endOfCandidates", end, Ask::Other);
    }

    pub(super) fn invite_answered(
        &mut self,
        name: &str,
        result: Option<&Value>,
        around: &mut Surroundings<'_>,
    ) {
        let Some(result) = result else {
            return self.end_locally(name, around);
        };
        if result["callID"] != name || result["message"] != "CALL CREATED" {
            around
                .checks
                .wrong(around.now, format!("a bad result of an invite: {result}"));
        }
        if let Some(call) = self.calls.get_mut(name) {
            call.result = true;
            if call.state == CallState::Requesting {
                call.state = CallState::Trying;
            }
        }
    }

    pub(super) fn far_rings(&mut self, name: &str, params: &Value, around: &mut Surroundings<'_>) {
        self.watch_end(name, "ringing", around);
        self.watch_ids(params, around);
        let Some(call) = self.calls.get_mut(name) else {
            return;
        };
        let early = call.state == CallState::Requesting || call.state == CallState::Active;
        if early || std::mem::replace(&mut call.ringing, true) || !call.outbound {
            around
                .checks
                .wrong(around.now, format!("ringing out of turn: {params}"));
        }
    }

    pub(super) fn far_answered(
        &mut self,
        name: &str,
        params: &Value,
        around: &mut Surroundings<'_>,
    ) {
        self.watch_end(name, "an answer", around);
        self.watch_ids(params, around);
        let Some(call) = self.calls.get_mut(name) else {
            return;
        };
        if !call.outbound || !call.result || call.codec.is_some() {
            around
                .checks
                .wrong(around.now, format!("an answer out of turn: {params}"));
        }
        let sdp = params["sdp"].as_str().unwrap_or_default();
        call.codec =
            sdp::audio(sdp).and_then(|audio| audio.codecs.first().map(|(codec, _)| *codec));
        if let Some(codec) = call.codec {
            around.checks.caller_speaks(name, codec);
        }
        // It may have hung up meanwhile: the bye is on its way.
        if call.state == CallState::Ended {
            return;
        }
        let peer = call.peer;
        call.state = CallState::Active;
        let used = peer.map(|peer| around.plane.accept(peer, sdp, around.now));
        if let Some(Err(error)) = used {
            around.checks.wrong(around.now, error.to_string());
        }
        self.talk(name);
    }

    /// A device is called. Everything that any SDK requires must be there.
    pub(super) fn invited(&mut self, name: &str, params: &Value, around: &mut Surroundings<'_>) {
        self.watch_ids(params, around);
        let sdp = params["sdp"].as_str().unwrap_or_default().to_owned();
        let complete = !name.is_empty()
            && !sdp.is_empty()
            && params["caller_id_name"].is_string()
            && params["caller_id_number"]
                .as_str()
                .is_some_and(|number| !number.is_empty())
            && params["dialogParams"]["custom_headers"].is_array();
        if !complete || self.calls.contains_key(name) {
            around
                .checks
                .wrong(around.now, format!("a bad invite: {params}"));
            return;
        }
        let mut call = BrowserCall::new(CallState::Ringing, false);
        call.offer = sdp;
        self.calls.insert(name.to_owned(), call);
        if self.habits.obedient {
            return;
        }
        let (answers, rejects) = (self.habits.answers, self.habits.rejects);
        let thrown = u32::try_from(self.dice.below(100)).unwrap_or(0);
        if thrown < answers {
            let after = match self.habits.answers_after {
                Some(after) => after,
                None => self.dice.millis(100, 5_000),
            };
            self.later(after, Step::Answer(name.to_owned()));
        } else if thrown < answers + rejects {
            let after = self.dice.millis(100, 4_000);
            self.later(after, Step::HangUp(name.to_owned()));
        } else if thrown < answers + rejects + self.habits.answers_late {
            // Rings are set to end after 5 to 15 s.
            let after = self.dice.millis(4_950, 15_100);
            self.later(after, Step::Answer(name.to_owned()));
        }
    }

    pub(super) fn watch_ids(&self, params: &Value, around: &mut Surroundings<'_>) {
        let uuid = |key: &str| {
            params[key]
                .as_str()
                .is_some_and(|id| id.parse::<ringtrip_model::LegId>().is_ok())
        };
        if !uuid("telnyx_session_id") || !uuid("telnyx_leg_id") {
            around
                .checks
                .wrong(around.now, format!("no telnyx ids: {params}"));
        }
    }

    pub(super) fn answer(&mut self, name: &str, around: &mut Surroundings<'_>) {
        let peer = self.new_peer();
        let Some(call) = self.calls.get_mut(name) else {
            return;
        };
        if call.state == CallState::Ended
            && call.told_over
            && !call.outbound
            && call.codec.is_none()
        {
            // A person who answers a moment too late presses the button all the same; the SDK's
            // state stops them, other clients' may not.
            around.checks.report.fault(Fault::LateAnswer);
        } else if call.state != CallState::Ringing {
            return;
        }
        let offer = call.offer.clone();
        let abilities = &self.habits.abilities;
        let sdp = match around
            .plane
            .answer(peer, self.device, abilities, &offer, around.now)
        {
            Ok(sdp) => sdp,
            Err(error) => {
                around.checks.wrong(around.now, error.to_string());
                return;
            }
        };
        if call.state == CallState::Ringing {
            call.state = CallState::Answering;
            call.peer = Some(peer);
            let codecs = sdp::audio(&sdp)
                .map(|audio| audio.codecs)
                .unwrap_or_default();
            around
                .checks
                .callee_offers(name, codecs.iter().map(|(codec, _)| *codec).collect());
        } else {
            around.plane.drop_peer(peer, around.now);
        }
        let params = json!({
            "sessid": self.sessid(), "sdp": sdp, "User-Agent": "Web-2.27.10",
            "dialogParams": {"callID": name, "custom_headers": [], "attach": false},
        });
        self.ask(
            "telnyx_rtc.answer",
            params.clone(),
            Ask::Answer(name.to_owned()),
        );
        if self.dice.percent(self.habits.repeats) {
            around.checks.report.fault(Fault::RepeatedAnswer);
            self.ask("telnyx_rtc.answer", params, Ask::Other);
        }
    }

    pub(super) fn answer_answered(
        &mut self,
        name: &str,
        result: Option<&Value>,
        around: &mut Surroundings<'_>,
    ) {
        let Some(result) = result else {
            // As the SDK: it hangs up what could not be answered.
            return self.hang_up(name, around);
        };
        if result["callID"] != name || result["message"] != "CALL ANSWERED" {
            around
                .checks
                .wrong(around.now, format!("a bad result of an answer: {result}"));
        }
        self.watch_end(name, "the acceptance of its answer", around);
        if let Some(call) = self.calls.get_mut(name)
            && call.state == CallState::Answering
        {
            call.state = CallState::Active;
            self.talk(name);
        }
    }

    /// Plans what happens in a conversation.
    pub(super) fn talk(&mut self, name: &str) {
        let Some(call) = self.calls.get_mut(name) else {
            return;
        };
        if self.habits.obedient || std::mem::replace(&mut call.fidgets, true) {
            return;
        }
        let (from, to) = self.habits.talks;
        let whole = self.dice.millis(from, to);
        self.later(whole, Step::HangUp(name.to_owned()));
        let (from, to) = self.habits.restless;
        let first = self.dice.millis(from, to);
        self.later(first, Step::Fidget(name.to_owned()));
    }

    pub(super) fn fidget(&mut self, name: &str, around: &mut Surroundings<'_>) {
        if self
            .calls
            .get(name)
            .is_none_or(|call| call.state != CallState::Active)
        {
            return;
        }
        let name = name.to_owned();
        let next = match self.dice.below(10) {
            0 | 1 => Step::Hold(name.clone()),
            2 | 3 => Step::Unhold(name.clone()),
            4 => Step::ToggleHold(name.clone()),
            5 | 6 => Step::Key(name.clone()),
            7 if self.dice.percent(10) => Step::RestartBadly(name.clone()),
            7 => Step::Restart(name.clone()),
            _ => Step::AskState,
        };
        self.step(next, around);
        let (from, to) = self.habits.restless;
        let after = self.dice.millis(from, to);
        self.later(after, Step::Fidget(name));
    }

    pub(super) fn hang_up(&mut self, name: &str, around: &mut Surroundings<'_>) {
        let Some(call) = self.calls.get(name) else {
            return;
        };
        if call.state == CallState::Ended {
            return;
        }
        let (cause, code) = if call.state == CallState::Active {
            ("NORMAL_CLEARING", 16)
        } else {
            ("USER_BUSY", 17)
        };
        self.end_locally(name, around);
        let params = json!({
            "sessid": self.sessid(), "sipCode": null, "sip_call_id": null,
            "cause": cause, "causeCode": code, "dialogParams": self.dialog(name),
        });
        self.ask("telnyx_rtc.bye", params, Ask::Bye(name.to_owned()));
    }

    pub(super) fn modify(&mut self, name: &str, wish: Option<bool>, action: &'static str) {
        if self
            .calls
            .get(name)
            .is_none_or(|call| call.state != CallState::Active)
        {
            return;
        }
        let params =
            json!({"sessid": self.sessid(), "action": action, "dialogParams": self.dialog(name)});
        let ask = Ask::Hold {
            call: name.to_owned(),
            wish,
            action,
        };
        self.ask("telnyx_rtc.modify", params, ask);
    }

    pub(super) fn hold_answered(
        &mut self,
        name: &str,
        wish: Option<bool>,
        action: &'static str,
        result: Option<&Value>,
        around: &mut Surroundings<'_>,
    ) {
        // An error means that the call ended meanwhile.
        let Some(result) = result else { return };
        let held = match result["holdState"].as_str() {
            Some("held") => true,
            Some("active") => false,
            Some(_) | None => wish == Some(false),
        };
        let proper = result["callID"] == name && result["action"] == action;
        if !proper || wish.is_some_and(|wish| wish != held) {
            around
                .checks
                .wrong(around.now, format!("a bad result of {action}: {result}"));
        }
        if let Some(call) = self.calls.get_mut(name) {
            call.held = held;
        }
    }

    pub(super) fn press(&mut self, name: &str, around: &mut Surroundings<'_>) {
        let Some(call) = self
            .calls
            .get(name)
            .filter(|call| call.state == CallState::Active)
        else {
            return;
        };
        if let Some(peer) = call.peer.filter(|_| self.dice.percent(30)) {
            around.plane.press(peer, around.now);
        }
        let keys = ["5", "#", "12*", "A"];
        let keys = self.dice.pick(&keys).copied().unwrap_or("0");
        let params =
            json!({"sessid": self.sessid(), "dtmf": keys, "dialogParams": self.dialog(name)});
        self.ask("telnyx_rtc.info", params, Ask::Other);
    }

    pub(super) fn key_received(
        &mut self,
        name: &str,
        params: &Value,
        around: &mut Surroundings<'_>,
    ) {
        self.watch_end(name, "a key", around);
        let Some(key) = params["dtmf"].as_str() else {
            return around
                .checks
                .wrong(around.now, format!("a bad key: {params}"));
        };
        if let Some(call) = self.calls.get_mut(name) {
            call.keys += key;
        }
    }
}
