//! A client's media paths: restarted by itself, or rebuilt because the server asks.

use serde_json::{Value, json};

use super::call::{BrowserCall, CallState};
use super::{Ask, Browser, Step, Surroundings};
use crate::report::Fault;

impl Browser {
    /// Restarts the media path, or with `badly` pretends to with something that is no offer.
    pub(super) fn restart(&mut self, name: &str, badly: bool, around: &mut Surroundings<'_>) {
        let Some(call) = self
            .calls
            .get(name)
            .filter(|call| call.state == CallState::Active)
        else {
            return;
        };
        let offer = if badly {
            Some("v=0\r\n".to_owned())
        } else {
            call.peer
                .and_then(|peer| around.plane.restart(peer, around.now))
        };
        let Some(offer) = offer else { return };
        let params = json!({
            "callID": name, "sessid": self.sessid(), "action": "updateMedia", "sdp": offer,
            "trickle": self.habits.trickles, "dialogParams": self.dialog(name),
        });
        self.ask("telnyx_rtc.modify", params, Ask::Restart(name.to_owned()));
    }

    pub(super) fn restart_answered(
        &mut self,
        name: &str,
        result: Option<&Value>,
        around: &mut Surroundings<'_>,
    ) {
        let Some(result) = result else {
            // As the SDK: it drops its socket to have the call attached anew.
            around.checks.report.fault(Fault::RestartRefused);
            if self.dice.percent(50) {
                self.recycle();
            }
            return;
        };
        if result["callID"] != name || result["action"] != "updateMedia" {
            around
                .checks
                .wrong(around.now, format!("a bad result of a restart: {result}"));
        }
        let Some(call) = self.calls.get_mut(name) else {
            return;
        };
        if call.state == CallState::Ended {
            return;
        }
        call.restarted += 1;
        let sdp = result["sdp"].as_str().unwrap_or_default();
        if let Some(peer) = call.peer
            && let Err(error) = around.plane.accept(peer, sdp, around.now)
        {
            around.checks.wrong(around.now, error.to_string());
        }
    }

    /// The server offers to rebuild a call's media: a new peer connection answers.
    pub(super) fn attach_received(
        &mut self,
        name: &str,
        params: &Value,
        around: &mut Surroundings<'_>,
    ) {
        self.watch_end(name, "an attach", around);
        self.watch_ids(params, around);
        if params["caller_id_number"]
            .as_str()
            .is_none_or(str::is_empty)
        {
            around.checks.wrong(
                around.now,
                format!("an attach without its far side: {params}"),
            );
        }
        if !self.calls.contains_key(name) {
            // A page that was reloaded takes up what it had; anything else is not its business.
            let Some(at) = self.reattachable.iter().position(|known| known == name) else {
                return;
            };
            self.reattachable.remove(at);
            self.calls
                .insert(name.to_owned(), BrowserCall::new(CallState::Active, false));
        }
        let Some(call) = self.calls.get_mut(name) else {
            return;
        };
        if call.state == CallState::Ended {
            return;
        }
        // The result of its own answer was lost with the socket: the attach says as much.
        call.state = CallState::Active;
        call.attaches += 1;
        call.offer = params["sdp"].as_str().unwrap_or_default().to_owned();
        let number = call.attaches;
        let after = self.dice.millis(30, 900);
        self.later(after, Step::AnswerAttach(name.to_owned(), number));
        self.talk(name);
    }

    pub(super) fn answer_attach(&mut self, name: &str, number: u32, around: &mut Surroundings<'_>) {
        if !self.is_ready() {
            return;
        }
        let peer = self.new_peer();
        let Some(call) = self.calls.get_mut(name) else {
            return;
        };
        if call.state != CallState::Active || call.attaches != number {
            return;
        }
        let offer = call.offer.clone();
        let answered = around.plane.answer(
            peer,
            self.device,
            &self.habits.abilities,
            &offer,
            around.now,
        );
        let sdp = match answered {
            Ok(sdp) => sdp,
            Err(error) => return around.checks.wrong(around.now, error.to_string()),
        };
        if let Some(former) = call.peer.replace(peer) {
            around.plane.drop_peer(former, around.now);
        }
        let params = json!({
            "sessid": self.sessid(), "sdp": sdp, "User-Agent": "Web-2.27.10",
            "dialogParams": {"callID": name, "attach": true, "custom_headers": []},
        });
        self.ask(
            "telnyx_rtc.attach",
            params,
            Ask::Attach(name.to_owned(), number),
        );
    }

    pub(super) fn attach_answered(
        &mut self,
        name: &str,
        number: u32,
        result: Option<&Value>,
        around: &mut Surroundings<'_>,
    ) {
        let Some(result) = result else {
            // Superseded by a newer attach, or the call is over.
            if self
                .calls
                .get(name)
                .is_some_and(|call| call.attaches == number)
            {
                self.hang_up(name, around);
            }
            return;
        };
        if result["callID"] != name {
            around
                .checks
                .wrong(around.now, format!("a bad result of an attach: {result}"));
        }
        if let Some(call) = self.calls.get_mut(name) {
            call.attached += 1;
        }
    }
}
