//! What a client makes of the frames it gets, and what it holds against them.

use ringtrip_model::{HangupCause, SocketId};
use serde_json::{Value, json};

use super::call::CallState;
use super::{Ask, Browser, Line, Stage, Step, Surroundings};

impl Browser {
    /// Takes a frame from its socket.
    pub fn frame(&mut self, socket: SocketId, frame: &Value, around: &mut Surroundings<'_>) {
        if self.socket() != Some(socket) {
            return;
        }
        self.last_heard = around.now;
        if frame["voice_sdk_id"].as_str().is_none_or(str::is_empty) {
            around
                .checks
                .wrong(around.now, format!("no voice_sdk_id: {frame}"));
        }
        if frame.get("result").is_some() || frame.get("error").is_some() {
            self.read_response(frame, around);
        } else {
            self.read_request(frame, around);
        }
    }

    fn read_response(&mut self, frame: &Value, around: &mut Surroundings<'_>) {
        let asked = frame["id"].as_str().and_then(|id| self.requests.remove(id));
        let Some(ask) = asked else { return };
        let result = frame.get("result");
        if result.is_some_and(|result| !result.is_object()) {
            around
                .checks
                .wrong(around.now, format!("a result that is no object: {frame}"));
        }
        if ask != Ask::Login
            && ask != Ask::Other
            && result.is_some_and(|result| result["sessid"].as_str().is_none())
        {
            around
                .checks
                .wrong(around.now, format!("a result without sessid: {frame}"));
        }
        match ask {
            Ask::Login => self.read_login(frame, around),
            Ask::Ping | Ask::Other => {}
            Ask::Invite(call) => self.invite_answered(&call, result, around),
            Ask::Answer(call) => self.answer_answered(&call, result, around),
            Ask::Bye(call) => {
                if let Some(call) = self.calls.get_mut(&call) {
                    // From here on the server has nothing to say about it.
                    call.told_over |= result.is_some();
                }
            }
            Ask::Hold { call, wish, action } => {
                self.hold_answered(&call, wish, action, result, around)
            }
            Ask::Restart(call) => self.restart_answered(&call, result, around),
            Ask::Attach(call, number) => self.attach_answered(&call, number, result, around),
        }
    }

    fn read_login(&mut self, frame: &Value, around: &mut Surroundings<'_>) {
        if let Some(error) = frame.get("error") {
            // It would log in again at once, for ever.
            if error["code"] == -32000 {
                around
                    .checks
                    .wrong(around.now, format!("a login refused with -32000: {frame}"));
            }
            if let Line::Open {
                socket,
                stage: Stage::Guest,
            } = self.line
            {
                self.acts.push_back(super::Act::Close(socket));
                self.line = Line::Gone;
            }
            return;
        }
        let sessid = frame["result"]["sessid"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if sessid.is_empty() || frame["result"]["message"] != "logged in" {
            around
                .checks
                .wrong(around.now, format!("a login without session: {frame}"));
        }
        self.stored = Some((sessid.clone(), around.now));
        self.sessid = Some(sessid);
        if let Line::Open {
            stage: stage @ Stage::Guest,
            ..
        } = &mut self.line
        {
            *stage = Stage::LoggedIn;
        }
    }

    fn read_request(&mut self, frame: &Value, around: &mut Surroundings<'_>) {
        let method = frame["method"].as_str().unwrap_or_default().to_owned();
        let params = &frame["params"];
        if !frame["id"].is_u64() || self.requests.contains_key(&frame["id"].to_string()) {
            around
                .checks
                .wrong(around.now, format!("a request under a bad id: {frame}"));
        }
        let call = params["callID"].as_str().unwrap_or_default().to_owned();
        match method.as_str() {
            "telnyx_rtc.clientReady" => self.ready(params, around),
            "telnyx_rtc.ping" => self.pinged(frame),
            "telnyx_rtc.punt" => {
                // It drops all calls without a bye and does not come back.
                let names: Vec<String> = self.calls.keys().cloned().collect();
                for name in names {
                    self.end_locally(&name, around);
                }
                self.line = Line::Gone;
            }
            "telnyx_rtc.invite" => self.invited(&call, params, around),
            "telnyx_rtc.ringing" => self.far_rings(&call, params, around),
            "telnyx_rtc.answer" => self.far_answered(&call, params, around),
            "telnyx_rtc.bye" => self.bye_received(&call, params, around),
            "telnyx_rtc.info" => self.key_received(&call, params, around),
            "telnyx_rtc.attach" => self.attach_received(&call, params, around),
            _ => around
                .checks
                .wrong(around.now, format!("an unknown request: {frame}")),
        }
        let acknowledged = ["invite", "ringing", "answer", "bye"]
            .iter()
            .any(|name| method.strip_prefix("telnyx_rtc.") == Some(name));
        if acknowledged && !self.habits.android {
            self.say(&json!({"jsonrpc": "2.0", "id": frame["id"], "result": {"method": method}}));
        }
    }

    fn pinged(&mut self, frame: &Value) {
        if self.habits.echoes_pings {
            self.say(frame);
        } else {
            self.ask("telnyx_rtc.ping", json!({}), Ask::Ping);
        }
    }

    /// Logged in: which calls are still there?
    fn ready(&mut self, params: &Value, around: &mut Surroundings<'_>) {
        let Line::Open { stage, .. } = &mut self.line else {
            return;
        };
        if *stage == Stage::Guest {
            around.checks.wrong(
                around.now,
                "clientReady before the login's result".to_owned(),
            );
        }
        *stage = Stage::Ready;
        self.attempts = 0;
        let Some(listed) = params["reattached_sessions"].as_array() else {
            around
                .checks
                .wrong(around.now, format!("no reattached_sessions: {params}"));
            return;
        };
        let listed: Vec<&str> = listed.iter().filter_map(Value::as_str).collect();
        for name in &listed {
            if self.calls.get(*name).is_some_and(|call| call.told_over) {
                around
                    .checks
                    .wrong(around.now, format!("call {name} is over and listed"));
            }
        }
        let live: Vec<String> = self
            .calls
            .iter()
            .filter(|(_, call)| call.state != CallState::Ended)
            .map(|(name, _)| name.clone())
            .collect();
        // The SDK ends all its calls if none of them is listed.
        if !live.is_empty() && !live.iter().any(|name| listed.contains(&name.as_str())) {
            for name in live {
                self.end_locally(&name, around);
            }
        }
        self.reattachable
            .retain(|name| listed.contains(&name.as_str()));
        self.step(Step::AskState, around);
    }

    fn bye_received(&mut self, name: &str, params: &Value, around: &mut Surroundings<'_>) {
        let cause = params["cause"].as_str().and_then(HangupCause::from_name);
        if cause.is_none_or(|cause| params["causeCode"] != cause.code()) {
            around.checks.wrong(
                around.now,
                format!("a bye without a proper cause: {params}"),
            );
        }
        let socket = self.socket();
        let Some(call) = self.calls.get_mut(name) else {
            return;
        };
        if call.told_over {
            around
                .checks
                .wrong(around.now, format!("call {name} ends twice: {params}"));
        }
        if !call.result && call.invited_on == socket {
            around.checks.wrong(
                around.now,
                format!("a bye before the invite's result: {params}"),
            );
        }
        call.told_over = true;
        self.end_locally(name, around);
    }

    /// Holds a message about a call that was ended by the server's own word against it.
    pub(super) fn watch_end(&self, name: &str, what: &str, around: &mut Surroundings<'_>) {
        if self.calls.get(name).is_some_and(|call| call.told_over) {
            around
                .checks
                .wrong(around.now, format!("call {name} is over and gets {what}"));
        }
    }
}
