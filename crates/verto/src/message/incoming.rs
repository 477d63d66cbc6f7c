//! What clients send, read leniently: unknown fields are passed over, odd types count as absent.

use ringtrip_model::{CallerId, CustomHeader, Digit, LoginRequest, Secret, SessionId};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Number;
use serde_json::value::RawValue;

use super::Refusal;

/// Objects and arrays nested deeper than this are refused.
const MAX_DEPTH: usize = 64;
const MAX_ID_BYTES: usize = 256;
const MAX_CALL_ID_BYTES: usize = 256;
const MAX_SDP_BYTES: usize = 64 * 1024;
const MAX_DESTINATION_CHARS: usize = 256;
const MAX_CALLER_CHARS: usize = 128;
const MAX_HEADERS: usize = 32;
const MAX_HEADER_NAME_BYTES: usize = 128;
const MAX_HEADER_VALUE_BYTES: usize = 1024;
const MAX_CLIENT_STATE_BYTES: usize = 8 * 1024;
const MAX_DIGITS: usize = 32;
const MAX_TOKEN_BYTES: usize = 8 * 1024;
const MAX_USER_BYTES: usize = 256;
const MAX_PASSWORD_BYTES: usize = 1024;

/// A request's id, kept as its sender wrote it: text or number.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(Box<RawValue>);

impl RequestId {
    fn read(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        let fits = text.len() <= MAX_ID_BYTES;
        let plain = if is_number(text) {
            serde_json::from_str::<Number>(text).is_ok()
        } else {
            text.starts_with('"') && serde_json::from_str::<String>(text).is_ok()
        };
        (fits && plain).then(|| Self(raw.to_owned()))
    }

    pub(crate) fn raw(&self) -> &RawValue {
        &self.0
    }
}

/// The methods that a client may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Login,
    AnonymousLogin,
    GatewayState,
    Ping,
    Invite,
    Answer,
    Bye,
    Modify,
    Info,
    Attach,
    Candidate,
    EndOfCandidates,
    AttachCalls,
    DisablePush,
    RingingAck,
    /// A frame without `method` but with a `type`: a debug report of the JS SDK.
    Debug,
    Unknown,
}

impl Method {
    fn from_name(name: &str) -> Self {
        match name {
            "login" => Self::Login,
            "anonymous_login" => Self::AnonymousLogin,
            "telnyx_rtc.gatewayState" => Self::GatewayState,
            "telnyx_rtc.ping" => Self::Ping,
            "telnyx_rtc.invite" => Self::Invite,
            "telnyx_rtc.answer" => Self::Answer,
            "telnyx_rtc.bye" => Self::Bye,
            "telnyx_rtc.modify" => Self::Modify,
            "telnyx_rtc.info" => Self::Info,
            "telnyx_rtc.attach" => Self::Attach,
            "telnyx_rtc.candidate" => Self::Candidate,
            "telnyx_rtc.endOfCandidates" => Self::EndOfCandidates,
            "telnyx_rtc.attachCalls" => Self::AttachCalls,
            "telnyx_rtc.disable_push_notification" => Self::DisablePush,
            "telnyx_rtc.ringing_ack" => Self::RingingAck,
            _ => Self::Unknown,
        }
    }
}

/// One text frame.
#[derive(Debug)]
pub(crate) enum Frame<'a> {
    /// Something to do, with an id if an answer is wanted.
    Request(Request<'a>),
    /// An answer to a request of ours: a sign of life.
    Response,
    /// The `#SP…` texts of the SDK's speed test, which are no JSON.
    SpeedTest,
    /// Neither; answered with an error that carries the id as far as there is one.
    Malformed(Option<RequestId>),
}

/// A request or notification.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) id: Option<RequestId>,
    pub(crate) method: Method,
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "raw")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "present")]
    result: bool,
    #[serde(default, deserialize_with = "present")]
    error: bool,
}

/// Reads any value, `null` included.
fn raw<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Notes that a key is there, whatever its value.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl<'a> Frame<'a> {
    /// Reads a frame. A key of ours that stands twice in one object makes it malformed.
    pub(crate) fn read(text: &'a str) -> Self {
        if text.starts_with("#SP") {
            return Self::SpeedTest;
        }
        if !is_object(text.trim_start()) {
            return Self::Malformed(None);
        }
        let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) else {
            return Self::Malformed(None);
        };
        if envelope.result || envelope.error {
            return Self::Response;
        }
        let id = match envelope.id {
            None => None,
            Some(raw) => match RequestId::read(raw) {
                Some(id) => Some(id),
                None => return Self::Malformed(None),
            },
        };
        // Reading the envelope takes no recursion; reading on would.
        if too_deep(text) {
            return Self::Malformed(id);
        }
        let method = match (envelope.method, envelope.kind) {
            (Some(method), _) => match string(Some(method)) {
                Some(name) => Method::from_name(&name),
                None => return Self::Malformed(id),
            },
            (None, Some(kind)) if string(Some(kind)).is_some() => Method::Debug,
            (None, _) => Method::Unknown,
        };
        Self::Request(Request {
            id,
            method,
            params: envelope.params,
        })
    }
}

impl Request<'_> {
    pub(crate) fn login(&self) -> LoginParams {
        let params: LoginFields<'_> = self.params.and_then(object).unwrap_or_default();
        let filled =
            |raw, limit| string(raw).filter(|text| !text.is_empty() && text.len() <= limit);
        let user = filled(params.login, MAX_USER_BYTES);
        let password = filled(params.passwd, MAX_PASSWORD_BYTES);
        let token = filled(params.login_token, MAX_TOKEN_BYTES);
        let login = match (user, password, token) {
            // An application that gives both kinds sends both; user name and password win.
            (Some(user), Some(password), _) => Some(LoginRequest::Password {
                user,
                password: Secret::new(password),
            }),
            (_, _, Some(token)) => Some(LoginRequest::Token(Secret::new(token))),
            (_, _, None) => None,
        };
        LoginParams {
            login,
            sessid: string(params.sessid).and_then(|text| text.parse().ok()),
        }
    }

    /// Reads the parameters of a message about a call.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] if they are there but no object.
    pub(crate) fn call(&self) -> Result<CallParams<'_>, Refusal> {
        let fields: CallFields<'_> = match self.params {
            Some(raw) => object(raw).ok_or(Refusal::Invalid)?,
            None => CallFields::default(),
        };
        let dialog = match fields.dialog {
            Some(raw) => Some(object(raw).ok_or(Refusal::DialogMissing)?),
            None => None,
        };
        Ok(CallParams { fields, dialog })
    }
}

/// What a `login` says.
#[derive(Debug)]
pub(crate) struct LoginParams {
    /// What it shows; none if nothing usable.
    pub(crate) login: Option<LoginRequest>,
    /// The session it wants back.
    pub(crate) sessid: Option<SessionId>,
}

#[derive(Deserialize, Default)]
struct LoginFields<'a> {
    #[serde(borrow, default)]
    login: Option<&'a RawValue>,
    #[serde(borrow, default)]
    passwd: Option<&'a RawValue>,
    #[serde(borrow, default)]
    login_token: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sessid: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct CallFields<'a> {
    #[serde(borrow, default)]
    sdp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    action: Option<&'a RawValue>,
    #[serde(borrow, default)]
    dtmf: Option<&'a RawValue>,
    #[serde(borrow, default)]
    msg: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "callID")]
    call_id: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "dialogParams")]
    dialog: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct DialogFields<'a> {
    #[serde(borrow, default, rename = "callID")]
    call_id: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "callId")]
    call_id_mobile: Option<&'a RawValue>,
    #[serde(borrow, default)]
    destination_number: Option<&'a RawValue>,
    #[serde(borrow, default)]
    caller_id_name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    caller_id_number: Option<&'a RawValue>,
    #[serde(borrow, default)]
    custom_headers: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "clientState")]
    client_state: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "client_state")]
    client_state_snake: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct HeaderFields<'a> {
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

/// What `telnyx_rtc.modify` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpokenAction {
    Hold,
    Unhold,
    ToggleHold,
    UpdateMedia,
}

impl SpokenAction {
    /// Returns the word of the wire.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Unhold => "unhold",
            Self::ToggleHold => "toggleHold",
            Self::UpdateMedia => "updateMedia",
        }
    }
}

/// The parameters of a message about a call.
pub(crate) struct CallParams<'a> {
    fields: CallFields<'a>,
    dialog: Option<DialogFields<'a>>,
}

impl CallParams<'_> {
    /// Returns the call's name: `dialogParams.callID`, else `dialogParams.callId`, else `callID`.
    pub(crate) fn call_id(&self) -> Result<String, Refusal> {
        let dialog = self.dialog.as_ref();
        let name = string(dialog.and_then(|dialog| dialog.call_id))
            .or_else(|| string(dialog.and_then(|dialog| dialog.call_id_mobile)))
            .or_else(|| string(self.fields.call_id))
            .ok_or(Refusal::CallIdMissing)?;
        if name.is_empty() {
            return Err(Refusal::CallIdMissing);
        }
        if name.len() > MAX_CALL_ID_BYTES || name.contains(char::is_control) {
            return Err(Refusal::CallIdInvalid);
        }
        Ok(name)
    }

    pub(crate) fn sdp(&self) -> Result<String, Refusal> {
        let sdp = string(self.fields.sdp)
            .filter(|sdp| !sdp.is_empty())
            .ok_or(Refusal::SdpMissing)?;
        if sdp.len() > MAX_SDP_BYTES {
            Err(Refusal::SdpTooLong)
        } else {
            Ok(sdp)
        }
    }

    pub(crate) fn require_dialog(&self) -> Result<(), Refusal> {
        self.dialog
            .as_ref()
            .map(|_| ())
            .ok_or(Refusal::DialogMissing)
    }

    pub(crate) fn destination(&self) -> Result<String, Refusal> {
        let destination = self
            .dialog
            .as_ref()
            .and_then(|dialog| text(dialog.destination_number))
            .ok_or(Refusal::DestinationMissing)?;
        if destination.chars().count() > MAX_DESTINATION_CHARS
            || destination.contains(char::is_control)
        {
            return Err(Refusal::DestinationInvalid);
        }
        Ok(destination)
    }

    /// Returns what the application wants shown, without control characters and cut to a sane
    /// length: it is for people's eyes only.
    pub(crate) fn caller(&self) -> CallerId {
        let shown = |raw| -> String {
            let text = text(raw).unwrap_or_default();
            text.chars()
                .filter(|c| !c.is_control())
                .take(MAX_CALLER_CHARS)
                .collect()
        };
        self.dialog
            .as_ref()
            .map_or_else(CallerId::default, |dialog| CallerId {
                name: shown(dialog.caller_id_name),
                number: shown(dialog.caller_id_number),
            })
    }

    /// Returns the headers for the far side. Anything but an array counts as none, an entry without
    /// a name is passed over (the SDK's demo sends such).
    pub(crate) fn custom_headers(&self) -> Result<Vec<CustomHeader>, Refusal> {
        let Some(raw) = self
            .dialog
            .as_ref()
            .and_then(|dialog| dialog.custom_headers)
        else {
            return Ok(Vec::new());
        };
        if !raw.get().starts_with('[') {
            return Ok(Vec::new());
        }
        let entries: Vec<&RawValue> =
            serde_json::from_str(raw.get()).map_err(|_| Refusal::HeadersInvalid)?;
        if entries.len() > MAX_HEADERS {
            return Err(Refusal::HeadersInvalid);
        }
        let mut headers = Vec::with_capacity(entries.len());
        for entry in entries {
            let fields: HeaderFields<'_> = object(entry).ok_or(Refusal::HeadersInvalid)?;
            let name = string(fields.name).unwrap_or_default();
            let value = text(fields.value).unwrap_or_default();
            if name.is_empty() {
                continue;
            }
            // These end up in SIP: a token (RFC 3261 §25.1) and a value without line breaks.
            let valid = name.len() <= MAX_HEADER_NAME_BYTES
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b))
                && value.len() <= MAX_HEADER_VALUE_BYTES
                && !value.contains(char::is_control);
            if !valid {
                return Err(Refusal::HeadersInvalid);
            }
            headers.push(CustomHeader { name, value });
        }
        Ok(headers)
    }

    pub(crate) fn client_state(&self) -> Result<Option<String>, Refusal> {
        let dialog = self.dialog.as_ref();
        let state = string(dialog.and_then(|dialog| dialog.client_state))
            .or_else(|| string(dialog.and_then(|dialog| dialog.client_state_snake)))
            .filter(|state| !state.is_empty());
        match state {
            Some(state)
                if state.len() > MAX_CLIENT_STATE_BYTES || state.contains(char::is_control) =>
            {
                Err(Refusal::ClientStateInvalid)
            }
            state => Ok(state),
        }
    }

    pub(crate) fn action(&self) -> Result<SpokenAction, Refusal> {
        match string(self.fields.action).as_deref() {
            Some("hold") => Ok(SpokenAction::Hold),
            Some("unhold") => Ok(SpokenAction::Unhold),
            Some("toggleHold") => Ok(SpokenAction::ToggleHold),
            Some("updateMedia") => Ok(SpokenAction::UpdateMedia),
            Some(_) | None => Err(Refusal::Denied),
        }
    }

    /// Returns the keys of an `info`.
    pub(crate) fn digits(&self) -> Result<Vec<Digit>, Refusal> {
        let Some(keys) = text(self.fields.dtmf) else {
            let message = self.fields.dtmf.is_none() && self.fields.msg.is_some();
            return Err(if message {
                Refusal::NoTextMessages
            } else {
                Refusal::DigitsInvalid
            });
        };
        if keys.is_empty() || keys.len() > MAX_DIGITS {
            return Err(Refusal::DigitsInvalid);
        }
        keys.chars()
            .map(|key| Digit::from_char(key).ok_or(Refusal::DigitsInvalid))
            .collect()
    }
}

fn is_object(text: &str) -> bool {
    text.starts_with('{')
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

/// Reads an object; serde would also take an array for a struct.
fn object<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    if is_object(raw.get()) {
        serde_json::from_str(raw.get()).ok()
    } else {
        None
    }
}

fn string(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(raw?.get()).ok()
}

/// Reads text, or a number as its digits.
fn text(raw: Option<&RawValue>) -> Option<String> {
    let number = raw.map(RawValue::get).filter(|text| is_number(text));
    number.map(ToOwned::to_owned).or_else(|| string(raw))
}

/// Tells whether objects and arrays nest deeper than allowed, without recursion.
fn too_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => loop {
                match bytes.next() {
                    Some(b'\\') => {
                        bytes.next();
                    }
                    Some(b'"') | None => break,
                    Some(_) => {}
                }
            },
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Request<'_> {
        match Frame::read(text) {
            Frame::Request(request) => request,
            other @ (Frame::Response | Frame::SpeedTest | Frame::Malformed(_)) => {
                panic!("{other:?}")
            }
        }
    }

    #[test]
    fn ids_are_echoed_as_written() {
        for id in [
            r#""a-b""#,
            "1",
            "-7",
            "12345678901234567890123",
            "1e3",
            r#""\u00e9""#,
        ] {
            let text = format!(r#"{{"id":{id},"method":"login"}}"#);
            assert_eq!(request(&text).id.unwrap().raw().get(), id);
        }
    }

    #[test]
    fn other_ids_are_malformed() {
        let long = format!("\"{}\"", "x".repeat(300));
        for id in [
            "null",
            "true",
            "{}",
            "[1]",
            "1e999",
            r#""\ud800""#,
            long.as_str(),
        ] {
            let text = format!(r#"{{"id":{id},"method":"login"}}"#);
            assert!(matches!(Frame::read(&text), Frame::Malformed(None)), "{id}");
        }
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        for text in [
            "",
            " ",
            "null",
            "[]",
            r#"["login"]"#,
            "{",
            r#"{"id":1,"id":2,"method":"login"}"#,
            "\u{0}",
        ] {
            assert!(
                matches!(Frame::read(text), Frame::Malformed(None)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_result_or_error_makes_a_response_even_when_null() {
        for text in [
            r#"{"id":1,"result":null}"#,
            r#"{"id":1,"error":{}}"#,
            r#"{"id":1,"method":"x","result":{}}"#,
        ] {
            assert!(matches!(Frame::read(text), Frame::Response), "{text}");
        }
    }

    #[test]
    fn depth_counts_outside_of_text_only() {
        let nest = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(!too_deep(&nest(63)));
        assert!(too_deep(&nest(64)));
        assert!(!too_deep(&format!(
            "{{\"a\":\"{}\\\"{}\"}}",
            "[".repeat(100),
            "{".repeat(100)
        )));
    }

    #[test]
    fn a_call_is_named_in_three_places() {
        for (params, name) in [
            (
                r#"{"dialogParams":{"callID":"a","callId":"b"},"callID":"c"}"#,
                "a",
            ),
            (
                r#"{"dialogParams":{"callID":null,"callId":"b"},"callID":"c"}"#,
                "b",
            ),
            (r#"{"dialogParams":{"callID":7},"callID":"c"}"#, "c"),
            (r#"{"callID":"c"}"#, "c"),
        ] {
            let text = format!(r#"{{"id":1,"method":"telnyx_rtc.bye","params":{params}}}"#);
            assert_eq!(request(&text).call().unwrap().call_id().unwrap(), name);
        }
    }

    #[test]
    fn user_name_and_password_win_over_a_token() {
        let login = |params: &str| {
            request(&format!(r#"{{"id":1,"method":"login","params":{params}}}"#))
                .login()
                .login
        };
        assert!(matches!(
            login(r#"{"login":"u","passwd":"p","login_token":"t"}"#),
            Some(LoginRequest::Password { .. })
        ));
        assert!(matches!(
            login(r#"{"login":"u","login_token":"t"}"#),
            Some(LoginRequest::Token(_))
        ));
        assert!(matches!(
            login(r#"{"login":"","passwd":"","login_token":"t"}"#),
            Some(LoginRequest::Token(_))
        ));
        for nothing in [
            "{}",
            "[]",
            "null",
            "7",
            r#"{"login":7,"passwd":[]}"#,
            r#"{"login":"u"}"#,
        ] {
            assert_eq!(login(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn headers_are_checked_and_nameless_ones_passed_over() {
        let headers = |value: &str| {
            let text = format!(
                r#"{{"id":1,"method":"telnyx_rtc.invite","params":{{"dialogParams":{{"custom_headers":{value}}}}}}}"#
            );
            request(&text).call().unwrap().custom_headers()
        };
        assert_eq!(headers("null"), Ok(vec![]));
        assert_eq!(headers("{}"), Ok(vec![]));
        assert_eq!(headers(r#"[{"name":"","value":""}]"#), Ok(vec![]));
        assert_eq!(
            headers(r#"[{"name":"X-Order","value":17}]"#),
            Ok(vec![CustomHeader {
                name: "X-Order".into(),
                value: "17".into()
            }])
        );
        let many = format!("[{}]", vec![r#"{"name":"X","value":"1"}"#; 33].join(","));
        let long_name = format!(r#"[{{"name":"{}","value":""}}]"#, "x".repeat(129));
        let long_value = format!(r#"[{{"name":"X","value":"{}"}}]"#, "x".repeat(1025));
        for bad in [
            r#"[{"name":"X Y","value":""}]"#,
            r#"[{"name":"X","value":"a\r\nB: c"}]"#,
            "[1]",
            &many,
            &long_name,
            &long_value,
        ] {
            assert_eq!(headers(bad), Err(Refusal::HeadersInvalid), "{bad}");
        }
    }

    #[test]
    fn caller_names_lose_control_characters_and_excess() {
        let text = format!(
            r#"{{"id":1,"method":"telnyx_rtc.invite","params":{{"dialogParams":{{"caller_id_name":"A\u0000\nB","caller_id_number":"{}"}}}}}}"#,
            "9".repeat(500)
        );
        let caller = request(&text).call().unwrap().caller();
        assert_eq!(caller.name, "AB");
        assert_eq!(caller.number.len(), MAX_CALLER_CHARS);
    }
}
