//! Golden traces: exchanges in the documented shapes, replayed word for word.
//!
//! A trace is an array of steps. `open`, `close` and `on` name a socket; `client` is sent on it,
//! `server` must be the next frame on it. `verify` answers a login with a user, or refuses it with
//! null. `event` is what the call must hear next, `command` what it says. `pass_ms` lets time pass.
//!
//! In what is expected, `"*"` stands for anything, `"#"` for an integer, and `"$name"` for a text
//! that is bound where it first stands and must be the same from then on; in what is sent, `"$name"`
//! stands for what was bound.

use std::collections::BTreeMap;
use std::time::Duration;

use ringtrip_model::{
    CallerId, Digit, HangupCause, LegCommand, LegId, LoginRefusal, SdpAnswer, SdpOffer, SocketId,
};
use serde_json::{Map, Value};

use crate::client::{World, call, identity};

#[test]
fn every_trace_plays_as_written() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 6);
    for path in paths {
        let steps: Vec<Map<String, Value>> =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let mut replay = Replay {
            world: World::new(),
            sockets: BTreeMap::new(),
            on: None,
            bound: BTreeMap::new(),
        };
        for (number, step) in steps.iter().enumerate() {
            replay.step(
                step,
                &format!("{} step {number}", path.file_name().unwrap().display()),
            );
        }
        replay.world.assert_no_events();
        for (name, socket) in replay.sockets.clone() {
            let left = replay.world.frames(socket);
            assert!(
                left.is_empty(),
                "{}: {name} got more than expected: {left:?}",
                path.display()
            );
        }
    }
}

struct Replay {
    world: World,
    sockets: BTreeMap<String, SocketId>,
    on: Option<SocketId>,
    bound: BTreeMap<String, String>,
}

impl Replay {
    fn step(&mut self, step: &Map<String, Value>, place: &str) {
        let field = |key: &str| step.get(key).and_then(Value::as_str);
        if let Some(name) = field("open") {
            let socket = self.world.open();
            self.sockets.insert(name.to_owned(), socket);
            self.on = Some(socket);
        } else if let Some(name) = field("close") {
            self.world.close(self.sockets[name]);
        } else if let Some(name) = field("closed") {
            assert!(
                self.world.closed.contains_key(&self.sockets[name]),
                "{place}: {name} is open"
            );
        } else if let Some(frame) = step.get("client") {
            self.choose(step);
            let frame = self.fill(frame);
            self.world.send(self.on.expect("a socket"), &frame);
        } else if let Some(expected) = step.get("server") {
            self.choose(step);
            let frame = self.world.frame(self.on.expect("a socket"));
            self.compare(expected, &frame, place, "");
        } else if let Some(user) = step.get("verify") {
            let result = user.as_str().map(identity).ok_or(LoginRefusal::BadToken);
            self.world.authenticated(result);
        } else if let Some(kind) = field("event") {
            let event = self.world.event();
            let shown = format!("{event:?}");
            assert_eq!(shown.split([' ', '(']).next(), Some(kind), "{place}");
            self.compare(
                &step["leg"],
                &Value::String(event.leg().to_string()),
                place,
                "leg",
            );
        } else if let Some(kind) = field("command") {
            let command = self.command(kind, step);
            self.world.command(command);
        } else if let Some(millis) = step.get("pass_ms").and_then(Value::as_u64) {
            self.world.pass(Duration::from_millis(millis));
        } else {
            panic!("{place}: what is {step:?}?");
        }
    }

    fn choose(&mut self, step: &Map<String, Value>) {
        if let Some(name) = step.get("on").and_then(Value::as_str) {
            self.on = Some(self.sockets[name]);
        }
    }

    fn command(&mut self, kind: &str, step: &Map<String, Value>) -> LegCommand {
        let text = |key: &str| {
            step.get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let shown = |key: &str| CallerId {
            name: String::new(),
            number: text(key),
        };
        let name = text("leg");
        let leg: LegId = if kind == "offer" {
            let leg = LegId::generate(&mut self.world.rng);
            self.bound.insert(name, leg.to_string());
            leg
        } else {
            self.bound[&name].parse().unwrap()
        };
        let call = call();
        match kind {
            "offer" => LegCommand::Offer {
                leg,
                call,
                session: self.bound[&text("session")].parse().unwrap(),
                offer: SdpOffer(text("sdp")),
                caller: shown("caller"),
                callee: shown("callee"),
                custom_headers: Vec::new(),
                client_state: None,
            },
            "ringing" => LegCommand::Ringing {
                leg,
                call,
                caller: shown("caller"),
                callee: shown("callee"),
            },
            "answer" => LegCommand::Answer {
                leg,
                call,
                answer: SdpAnswer(text("sdp")),
                custom_headers: Vec::new(),
            },
            "accepted" => LegCommand::Accepted { leg },
            "held" => LegCommand::Held {
                leg,
                held: step["held"] == true,
            },
            "updated" => LegCommand::Updated {
                leg,
                answer: SdpAnswer(text("sdp")),
            },
            "attach" => LegCommand::Attach {
                leg,
                call,
                offer: SdpOffer(text("sdp")),
                remote: shown("remote"),
            },
            "attached" => LegCommand::Attached { leg },
            "dtmf" => LegCommand::Dtmf {
                leg,
                digit: text("digit")
                    .chars()
                    .next()
                    .and_then(Digit::from_char)
                    .unwrap(),
            },
            "hangup" => LegCommand::Hangup {
                leg,
                cause: HangupCause::from_name(&text("cause")).unwrap(),
            },
            other => panic!("no command {other}"),
        }
    }

    fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if text.starts_with('$') => Value::String(self.bound[text].clone()),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.fill(item)).collect()),
            Value::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(key, value)| (key.clone(), self.fill(value)))
                    .collect(),
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }

    fn compare(&mut self, expected: &Value, got: &Value, place: &str, path: &str) {
        match (expected, got) {
            (Value::String(mark), _) if mark == "*" => {}
            (Value::String(mark), _) if mark == "#" => {
                assert!(got.is_i64(), "{place} {path}: {got}")
            }
            (Value::String(mark), Value::String(text)) if mark.starts_with('$') => {
                let bound = self
                    .bound
                    .entry(mark.clone())
                    .or_insert_with(|| text.clone());
                assert_eq!(bound, text, "{place} {path}: {mark}");
            }
            (Value::Object(a), Value::Object(b)) => {
                let (names, got): (Vec<_>, Vec<_>) = (a.keys().collect(), b.keys().collect());
                assert_eq!(names, got, "{place} {path}");
                for (key, value) in a {
                    self.compare(value, &b[key], place, &format!("{path}.{key}"));
                }
            }
            (Value::Array(a), Value::Array(b)) => {
                assert_eq!(a.len(), b.len(), "{place} {path}: {got}");
                for (index, (a, b)) in a.iter().zip(b).enumerate() {
                    self.compare(a, b, place, &format!("{path}[{index}]"));
                }
            }
            _ => assert_eq!(expected, got, "{place} {path}"),
        }
    }
}
