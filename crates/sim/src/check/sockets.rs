//! Sockets: what each owes its client, and that nothing is said after the end.

use std::collections::BTreeMap;
use std::time::Duration;

use ringtrip_model::{LegId, SocketId, Time};
use ringtrip_verto::CloseReason;
use serde_json::Value;

use super::Checks;
use crate::report::Fault;

/// No answer takes longer: 5 s for whatever a call asks, and some for the way.
const ANSWERED_AFTER: Duration = Duration::from_secs(7);

/// One socket, from the server's side.
#[derive(Debug, Default)]
pub(super) struct SocketTrack {
    open: bool,
    /// The client reads no more; what was said in the same breath is lost.
    dropped: bool,
    /// Requests that wait for their answer, by id as written: how many, and since when.
    owed: BTreeMap<String, (u32, Time)>,
    /// Frames that cannot be answered to an id.
    nonsense: u32,
}

impl Checks {
    pub(crate) fn socket_opened(&mut self, socket: SocketId) {
        self.sockets.insert(
            socket,
            SocketTrack {
                open: true,
                ..SocketTrack::default()
            },
        );
    }

    pub(crate) fn socket_closed(&mut self, socket: SocketId) {
        self.sockets.remove(&socket);
    }

    pub(crate) fn socket_dropped(&mut self, socket: SocketId) {
        if let Some(track) = self.sockets.get_mut(&socket) {
            track.dropped = true;
        }
    }

    /// Notes a frame as the server gets it: a request with an id will be answered once.
    pub(crate) fn frame_arrives(&mut self, socket: SocketId, text: &str, now: Time) {
        let frame: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        let Some(track) = self.sockets.get_mut(&socket) else {
            return;
        };
        let response = frame.get("result").is_some() || frame.get("error").is_some();
        if response || text.starts_with("#SP") {
            return;
        }
        match &frame["id"] {
            id @ (Value::String(_) | Value::Number(_)) => {
                track.owed.entry(id.to_string()).or_insert((0, now)).0 += 1;
            }
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                track.nonsense += 1
            }
        }
        if frame["method"] == "telnyx_rtc.answer" {
            let leg = frame["params"]["dialogParams"]["callID"].as_str();
            let leg = leg.and_then(|leg| leg.parse::<LegId>().ok());
            if leg.is_some_and(|leg| self.leg_is_over(leg)) {
                self.report.fault(Fault::AnswerCrossesHangup);
            }
        }
        if frame["method"] == "telnyx_rtc.bye" {
            let leg = frame["params"]["dialogParams"]["callID"].as_str();
            let leg = leg.and_then(|leg| leg.parse::<LegId>().ok());
            if leg.is_some_and(|leg| self.leg_is_over(leg)) {
                self.report.fault(Fault::ByesCross);
            }
        }
    }

    /// Checks a frame as the server sends it.
    pub(crate) fn frame_leaves(&mut self, socket: SocketId, frame: &Value, now: Time) {
        let answer = frame.get("result").is_some() || frame.get("error").is_some();
        let id = frame.get("id").map_or_else(String::new, Value::to_string);
        let Some(track) = self.sockets.get_mut(&socket) else {
            return self.wrong(now, format!("a frame for a socket that is gone: {frame}"));
        };
        if track.dropped {
            return;
        }
        let mut mistake = None;
        if !track.open {
            mistake = Some("a frame after the close");
        } else if answer && !id.is_empty() && id != "null" {
            match track.owed.get_mut(&id) {
                Some((count, _)) if *count > 1 => *count -= 1,
                Some(_) => {
                    track.owed.remove(&id);
                }
                None => mistake = Some("an answer that nobody waits for"),
            }
        } else if answer && track.nonsense == 0 {
            mistake = Some("an answer to nothing");
        }
        if let Some(mistake) = mistake {
            self.wrong(now, format!("{mistake}: {frame}"));
        }
    }

    pub(crate) fn server_closes(&mut self, socket: SocketId, reason: CloseReason, now: Time) {
        self.report.close(reason);
        let known = self
            .sockets
            .get_mut(&socket)
            .map(|track| std::mem::replace(&mut track.open, false));
        if known == Some(false) {
            self.wrong(now, format!("socket {} is closed twice", socket.0));
        }
        match reason {
            CloseReason::TakenOver => self.report.fault(Fault::Takeover),
            CloseReason::FrameTooLarge => self.report.fault(Fault::FrameTooLarge),
            CloseReason::Flood => self.report.fault(Fault::Flood),
            CloseReason::LoginTimeout
            | CloseReason::LoginRefused
            | CloseReason::HalfOpen
            | CloseReason::Silent
            | CloseReason::Revoked
            | CloseReason::Shutdown
            | CloseReason::Fault
            | CloseReason::Unavailable => {}
        }
    }

    /// Checks that every request on a socket that lives has its answer by the time that a call gives
    /// up waiting for whatever the answer hangs on.
    pub fn check_answered(&mut self, now: Time) {
        let late = |(_, (_, since)): &(&String, &(u32, Time))| now.since(*since) > ANSWERED_AFTER;
        let mut waiting = Vec::new();
        for (socket, track) in self
            .sockets
            .iter()
            .filter(|(_, track)| track.open && !track.dropped)
        {
            for (id, _) in track.owed.iter().filter(late) {
                waiting.push(format!("socket {} waits for {id}", socket.0));
            }
        }
        for what in waiting {
            self.wrong(now, what);
        }
    }
}
