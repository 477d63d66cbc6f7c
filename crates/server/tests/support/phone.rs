//! A client of the signalling: a WebSocket, and what the SDK would say over it.

use std::collections::VecDeque;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, protocol::WebSocketConfig};

use super::http::Rest;
use super::{Stream, soon};

/// A browser's offer of one audio stream.
pub(crate) const OFFER: &str = include_str!("../../../media/tests/sdp/chromium_offer_audio.sdp");
/// A browser's answer to such an offer.
pub(crate) const ANSWER: &str =
    include_str!("../../../media/tests/sdp/chromium_answer_all_audio.sdp");

/// What comes from the server.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    Frame(Value),
    /// The end, with the close frame's code and reason if there was one.
    Closed(Option<(u16, String)>),
}

/// A WebSocket, logged in or not.
#[derive(Debug)]
pub(crate) struct Phone {
    socket: WebSocketStream<Box<dyn Stream>>,
    port: u16,
    /// Frames that nobody waited for yet.
    heard: VecDeque<Value>,
    next_id: u64,
    /// Its session, once it is logged in.
    pub(crate) sessid: String,
    /// Whom others dial to reach it.
    pub(crate) user: String,
}

impl Phone {
    /// Connects without logging in.
    pub(crate) async fn connect(server: SocketAddr) -> Self {
        let stream = soon("connect", TcpStream::connect(server)).await.unwrap();
        let port = stream.local_addr().unwrap().port();
        let mut phone = Self::over(stream, server).await.unwrap();
        phone.port = port;
        phone
    }

    /// Upgrades a connection.
    pub(crate) async fn over(
        stream: impl Stream + 'static,
        server: SocketAddr,
    ) -> Result<Self, tokio_tungstenite::tungstenite::Error> {
        let mut config = WebSocketConfig::default();
        config.write_buffer_size = 0;
        let url = format!("ws://{server}/");
        let stream: Box<dyn Stream> = Box::new(stream);
        let upgrade = tokio_tungstenite::client_async_with_config(url, stream, Some(config));
        let (socket, _) = soon("upgrade", upgrade).await?;
        Ok(Self {
            socket,
            port: 0,
            heard: VecDeque::new(),
            next_id: 0,
            sessid: String::new(),
            user: String::new(),
        })
    }

    /// Returns the port of its own end; 0 if it did not connect by itself.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Logs in as one of the [`people`].
    pub(crate) async fn of(server: SocketAddr, (token, user): &(String, String)) -> Self {
        let mut phone = Self::log_in(server, token).await;
        phone.user.clone_from(user);
        phone
    }

    /// Connects and logs in by token.
    pub(crate) async fn log_in(server: SocketAddr, token: &str) -> Self {
        let mut phone = Self::connect(server).await;
        phone.prove(token).await;
        phone
    }

    /// Logs in by token.
    pub(crate) async fn prove(&mut self, token: &str) {
        let answer = self.login(json!({"login_token": token})).await;
        assert_eq!(answer["result"]["message"], "logged in", "{answer}");
    }

    /// Sends a login; returns what it is answered with.
    pub(crate) async fn login(&mut self, params: Value) -> Value {
        let answer = self.ask("login", params).await;
        if let Some(sessid) = answer["result"]["sessid"].as_str() {
            self.sessid = sessid.to_owned();
            self.event("telnyx_rtc.clientReady").await;
            let state = self.ask("telnyx_rtc.gatewayState", json!({})).await;
            assert_eq!(state["result"]["params"]["state"], "REGED", "{state}");
        }
        answer
    }

    /// Sends a text frame as it is.
    pub(crate) async fn say(&mut self, text: impl Into<String>) {
        self.try_say(text).await.unwrap();
    }

    /// Sends a text frame as it is, if the server still takes it.
    pub(crate) async fn try_say(
        &mut self,
        text: impl Into<String>,
    ) -> Result<(), tokio_tungstenite::tungstenite::Error> {
        let sent = self.socket.send(Message::text(text.into()));
        soon("send", sent).await
    }

    /// Sends a binary frame.
    pub(crate) async fn say_binary(&mut self, bytes: Vec<u8>) {
        let sent = self.socket.send(Message::binary(bytes));
        soon("send", sent).await.unwrap();
    }

    /// Sends a request; returns its id.
    pub(crate) async fn request(&mut self, method: &str, params: Value) -> String {
        self.next_id += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.next_id);
        let mut params = params;
        if !self.sessid.is_empty() && params.get("sessid").is_none() {
            params["sessid"] = json!(self.sessid);
        }
        let frame = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.say(frame.to_string()).await;
        id
    }

    /// Sends a request; returns the whole answer, a result or an error.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params).await;
        self.answer_to(&json!(id)).await
    }

    /// Waits for the answer to a request.
    pub(crate) async fn answer_to(&mut self, id: &Value) -> Value {
        self.find(&format!("an answer to {id}"), |frame| {
            frame["id"] == *id && frame.get("method").is_none()
        })
        .await
    }

    /// Waits for a request of the server; returns its params.
    pub(crate) async fn event(&mut self, method: &str) -> Value {
        let frame = self.find(method, |frame| frame["method"] == method).await;
        frame["params"].clone()
    }

    async fn find(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.heard.iter().position(&wanted) {
            return self.heard.remove(at).unwrap();
        }
        loop {
            match soon(what, self.hear()).await {
                Heard::Frame(frame) if wanted(&frame) => return frame,
                Heard::Frame(frame) => self.heard.push_back(frame),
                Heard::Closed(reason) => {
                    panic!(
                        "closed ({reason:?}) instead of {what}; before: {:?}",
                        self.heard
                    )
                }
            }
        }
    }

    /// Reads what comes next, frames kept for later aside.
    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    return Heard::Frame(serde_json::from_str(&text).unwrap());
                }
                Some(Ok(Message::Close(frame))) => {
                    let reason = frame.map(|f| (f.code.into(), f.reason.to_string()));
                    return Heard::Closed(reason);
                }
                Some(Ok(Message::Binary(bytes))) => panic!("a binary frame: {bytes:?}"),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(_)) | None => return Heard::Closed(None),
            }
        }
    }

    /// Waits for the end; returns the frames that came before it, and the close code and reason.
    pub(crate) async fn until_closed(&mut self) -> (Vec<Value>, Option<(u16, String)>) {
        let mut frames: Vec<Value> = self.heard.drain(..).collect();
        loop {
            match soon("close", self.hear()).await {
                Heard::Frame(frame) => frames.push(frame),
                Heard::Closed(reason) => return (frames, reason),
            }
        }
    }

    /// Asserts that the session lives, and that nothing came that nobody waited for.
    pub(crate) async fn expect_undisturbed(&mut self) {
        let pong = self.ask("telnyx_rtc.ping", json!({})).await;
        assert_eq!(pong["result"]["message"], "PONG", "{pong}");
        self.heard
            .retain(|frame| frame["method"] != "telnyx_rtc.ping");
        assert!(self.heard.is_empty(), "{:?}", self.heard);
    }

    /// Asks for a call; returns the answer to the invite.
    pub(crate) async fn invite(&mut self, call: &str, destination: &str, sdp: &str) -> Value {
        let params = json!({
            "sdp": sdp,
            "dialogParams": {"callID": call, "destination_number": destination, "audio": true},
        });
        self.ask("telnyx_rtc.invite", params).await
    }

    /// Hangs up; returns the answer.
    pub(crate) async fn bye(&mut self, call: &str) -> Value {
        let params = json!({
            "cause": "NORMAL_CLEARING", "causeCode": 16, "dialogParams": {"callID": call},
        });
        self.ask("telnyx_rtc.bye", params).await
    }

    /// Answers a call that rings here; returns the answer to that.
    pub(crate) async fn pick_up(&mut self, call: &str) -> Value {
        let params = json!({"sdp": ANSWER, "dialogParams": {"callID": call}});
        self.ask("telnyx_rtc.answer", params).await
    }
}

/// Brings two phones into a call: returns the callIDs of the caller's and of the callee's leg.
pub(crate) async fn call(caller: &mut Phone, callee: &mut Phone) -> (String, String) {
    let name = format!("{}-call-{}", caller.user, caller.next_id);
    let created = caller.invite(&name, &callee.user.clone(), OFFER).await;
    assert_eq!(created["result"]["message"], "CALL CREATED", "{created}");
    let invite = callee.event("telnyx_rtc.invite").await;
    let rings = invite["callID"].as_str().unwrap().to_owned();
    caller.event("telnyx_rtc.ringing").await;
    let answered = callee.pick_up(&rings).await;
    assert_eq!(answered["result"]["message"], "CALL ANSWERED", "{answered}");
    caller.event("telnyx_rtc.answer").await;
    (name, rings)
}

/// Makes people who can call each other, under a connection of their own with more settings; returns their
/// tokens and user names.
pub(crate) async fn people(rest: &mut Rest, count: usize, more: &Value) -> Vec<(String, String)> {
    let mut body =
        json!({"connection_name": "phones", "user_name": "phones1", "password": "hunter2hunter2"});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    let path = "/v2/credential_connections";
    let connection = rest.data("POST", path, Some(&body)).await;
    let mut people = Vec::new();
    for _ in 0..count {
        let body = json!({"connection_id": connection["id"]});
        let path = "/v2/telephony_credentials";
        let made = rest.data("POST", path, Some(&body)).await;
        let token = rest.token(made["id"].as_str().unwrap()).await;
        people.push((token, made["sip_username"].as_str().unwrap().to_owned()));
    }
    people
}
