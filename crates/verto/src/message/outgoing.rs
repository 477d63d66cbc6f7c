//! What we send.

use ringtrip_model::{CallId, CallerId, CustomHeader, HangupCause, LegId, SessionId};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Refusal, RequestId};

#[derive(Serialize)]
struct ResultFrame<'a, T> {
    jsonrpc: &'static str,
    id: &'a RawValue,
    result: &'a T,
    voice_sdk_id: &'a str,
}

#[derive(Serialize)]
struct ErrorFrame<'a> {
    jsonrpc: &'static str,
    id: Option<&'a RawValue>,
    error: ErrorObject,
    voice_sdk_id: &'a str,
}

#[derive(Serialize)]
struct ErrorObject {
    code: i32,
    message: String,
}

#[derive(Serialize)]
struct RequestFrame<'a, T> {
    jsonrpc: &'static str,
    id: u32,
    method: &'a str,
    params: &'a T,
    voice_sdk_id: &'a str,
}

/// Writes the result of a client's request.
pub(crate) fn result_frame<T: Serialize>(id: &RequestId, result: &T, voice_sdk_id: &str) -> String {
    write(&ResultFrame {
        jsonrpc: "2.0",
        id: id.raw(),
        result,
        voice_sdk_id,
    })
}

/// Writes the refusal of a client's request; without an id for a frame that has no readable one.
pub(crate) fn error_frame(id: Option<&RequestId>, refusal: Refusal, voice_sdk_id: &str) -> String {
    let error = ErrorObject {
        code: refusal.code(),
        message: refusal.to_string(),
    };
    write(&ErrorFrame {
        jsonrpc: "2.0",
        id: id.map(RequestId::raw),
        error,
        voice_sdk_id,
    })
}

/// Writes a request of ours.
pub(crate) fn request_frame<T: Serialize>(
    id: u32,
    method: &str,
    params: &T,
    voice_sdk_id: &str,
) -> String {
    write(&RequestFrame {
        jsonrpc: "2.0",
        id,
        method,
        params,
        voice_sdk_id,
    })
}

fn write<T: Serialize>(frame: &T) -> String {
    serde_json::to_string(frame).expect("text, numbers and maps with text keys always become JSON")
}

/// `{"message": …, "sessid": …}`.
#[derive(Serialize)]
pub(crate) struct MessageBody {
    pub(crate) message: &'static str,
    pub(crate) sessid: SessionId,
}

/// `{"sessid": …}`.
#[derive(Serialize)]
pub(crate) struct SessionBody {
    pub(crate) sessid: SessionId,
}

/// The result of `telnyx_rtc.gatewayState`.
#[derive(Serialize)]
pub(crate) struct GatewayBody<'a> {
    params: GatewayParams<'a>,
    sessid: SessionId,
}

#[derive(Serialize)]
struct GatewayParams<'a> {
    state: &'static str,
    call_report_id: &'a str,
    dc: &'a str,
    region: &'a str,
}

impl<'a> GatewayBody<'a> {
    /// Says that the session is registered, the only state a logged-in socket is ever in.
    pub(crate) const fn registered(
        call_report_id: &'a str,
        dc: &'a str,
        region: &'a str,
        sessid: SessionId,
    ) -> Self {
        Self {
            params: GatewayParams {
                state: "REGED",
                call_report_id,
                dc,
                region,
            },
            sessid,
        }
    }
}

/// The result of invite, answer and attach.
#[derive(Serialize)]
pub(crate) struct CallBody<'a> {
    #[serde(rename = "callID")]
    pub(crate) call_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<&'static str>,
    pub(crate) sessid: SessionId,
}

/// The result of a bye.
#[derive(Serialize)]
pub(crate) struct EndedBody<'a> {
    #[serde(rename = "callID")]
    call_id: &'a str,
    message: &'static str,
    cause: &'static str,
    #[serde(rename = "causeCode")]
    cause_code: u16,
    sessid: SessionId,
}

impl<'a> EndedBody<'a> {
    pub(crate) const fn new(call_id: &'a str, cause: HangupCause, sessid: SessionId) -> Self {
        Self {
            call_id,
            message: "CALL ENDED",
            cause: cause.name(),
            cause_code: cause.code(),
            sessid,
        }
    }
}

/// The result of hold, unhold and toggleHold.
#[derive(Serialize)]
pub(crate) struct HoldBody<'a> {
    #[serde(rename = "callID")]
    call_id: &'a str,
    action: &'static str,
    #[serde(rename = "holdState")]
    hold_state: &'static str,
    sessid: SessionId,
}

impl<'a> HoldBody<'a> {
    pub(crate) const fn new(
        call_id: &'a str,
        action: &'static str,
        held: bool,
        sessid: SessionId,
    ) -> Self {
        Self {
            call_id,
            action,
            hold_state: if held { "held" } else { "active" },
            sessid,
        }
    }
}

/// The result of updateMedia.
#[derive(Serialize)]
pub(crate) struct UpdateBody<'a> {
    #[serde(rename = "callID")]
    pub(crate) call_id: &'a str,
    pub(crate) action: &'static str,
    pub(crate) sdp: &'a str,
    pub(crate) sessid: SessionId,
}

/// The three ids that the SDKs keep; Android throws unless the first two are UUIDs.
#[derive(Serialize)]
pub(crate) struct TelnyxIds {
    telnyx_session_id: CallId,
    telnyx_leg_id: LegId,
    telnyx_call_control_id: String,
}

impl TelnyxIds {
    pub(crate) fn new(call: CallId, leg: LegId) -> Self {
        Self {
            telnyx_session_id: call,
            telnyx_leg_id: leg,
            telnyx_call_control_id: format!("v3:{leg}"),
        }
    }
}

#[derive(Serialize)]
struct DialogParams<'a> {
    custom_headers: Vec<HeaderBody<'a>>,
}

#[derive(Serialize)]
struct HeaderBody<'a> {
    name: &'a str,
    value: &'a str,
}

impl<'a> DialogParams<'a> {
    /// iOS needs the array wherever `dialogParams` is.
    fn new(headers: &'a [CustomHeader]) -> Self {
        let header = |header: &'a CustomHeader| HeaderBody {
            name: &header.name,
            value: &header.value,
        };
        Self {
            custom_headers: headers.iter().map(header).collect(),
        }
    }
}

#[derive(Serialize)]
struct Parties<'a> {
    caller_id_name: &'a str,
    caller_id_number: &'a str,
    callee_id_name: &'a str,
    callee_id_number: &'a str,
    display_direction: &'static str,
}

impl<'a> Parties<'a> {
    fn new(caller: &'a CallerId, callee: &'a CallerId, display_direction: &'static str) -> Self {
        Self {
            caller_id_name: &caller.name,
            caller_id_number: &caller.number,
            callee_id_name: if callee.name.is_empty() {
                "Outbound Call"
            } else {
                &callee.name
            },
            callee_id_number: &callee.number,
            display_direction,
        }
    }
}

/// The parameters of an invite to a device.
#[derive(Serialize)]
pub(crate) struct InviteBody<'a> {
    #[serde(rename = "callID")]
    call_id: &'a str,
    sdp: &'a str,
    #[serde(flatten)]
    parties: Parties<'a>,
    #[serde(rename = "dialogParams")]
    dialog: DialogParams<'a>,
    #[serde(flatten)]
    ids: TelnyxIds,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_state: Option<&'a str>,
}

impl<'a> InviteBody<'a> {
    pub(crate) fn new(
        call_id: &'a str,
        sdp: &'a str,
        (caller, callee): (&'a CallerId, &'a CallerId),
        headers: &'a [CustomHeader],
        ids: TelnyxIds,
        client_state: Option<&'a str>,
    ) -> Self {
        let parties = Parties::new(caller, callee, "outbound");
        Self {
            call_id,
            sdp,
            parties,
            dialog: DialogParams::new(headers),
            ids,
            client_state,
        }
    }
}

/// The parameters of `telnyx_rtc.ringing`.
#[derive(Serialize)]
pub(crate) struct RingingBody<'a> {
    #[serde(rename = "callID")]
    call_id: &'a str,
    #[serde(flatten)]
    parties: Parties<'a>,
    #[serde(flatten)]
    ids: TelnyxIds,
    #[serde(rename = "dialogParams")]
    dialog: DialogParams<'a>,
}

impl<'a> RingingBody<'a> {
    pub(crate) fn new(
        call_id: &'a str,
        caller: &'a CallerId,
        callee: &'a CallerId,
        ids: TelnyxIds,
    ) -> Self {
        Self {
            call_id,
            parties: Parties::new(caller, callee, "inbound"),
            ids,
            dialog: DialogParams::new(&[]),
        }
    }
}

/// The parameters of an answer to a caller.
#[derive(Serialize)]
pub(crate) struct AnswerBody<'a> {
    #[serde(rename = "callID")]
    call_id: &'a str,
    sdp: &'a str,
    #[serde(rename = "dialogParams")]
    dialog: DialogParams<'a>,
    variables: Variables,
    #[serde(flatten)]
    ids: TelnyxIds,
}

/// No channel variables are shown to clients; the SDKs expect the object.
#[derive(Serialize)]
struct Variables {}

impl<'a> AnswerBody<'a> {
    pub(crate) fn new(
        call_id: &'a str,
        sdp: &'a str,
        headers: &'a [CustomHeader],
        ids: TelnyxIds,
    ) -> Self {
        Self {
            call_id,
            sdp,
            dialog: DialogParams::new(headers),
            variables: Variables {},
            ids,
        }
    }
}

/// The parameters of an attach.
#[derive(Serialize)]
pub(crate) struct AttachBody<'a> {
    #[serde(rename = "callID")]
    call_id: &'a str,
    sdp: &'a str,
    #[serde(flatten)]
    parties: Parties<'a>,
    #[serde(rename = "dialogParams")]
    dialog: DialogParams<'a>,
    variables: Variables,
    #[serde(flatten)]
    ids: TelnyxIds,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_state: Option<&'a str>,
}

impl<'a> AttachBody<'a> {
    /// Every SDK shows the caller's fields as the far side here, whoever called.
    pub(crate) fn new(
        call_id: &'a str,
        sdp: &'a str,
        (remote, own): (&'a CallerId, &'a CallerId),
        display_direction: &'static str,
        ids: TelnyxIds,
        client_state: Option<&'a str>,
    ) -> Self {
        let parties = Parties::new(remote, own, display_direction);
        Self {
            call_id,
            sdp,
            parties,
            dialog: DialogParams::new(&[]),
            variables: Variables {},
            ids,
            client_state,
        }
    }
}

/// The parameters of a bye.
#[derive(Serialize)]
pub(crate) struct ByeBody<'a> {
    #[serde(rename = "callID")]
    call_id: &'a str,
    cause: &'static str,
    #[serde(rename = "causeCode")]
    cause_code: u16,
    #[serde(rename = "sipCode", skip_serializing_if = "Option::is_none")]
    sip_code: Option<u16>,
    #[serde(rename = "sipReason", skip_serializing_if = "Option::is_none")]
    sip_reason: Option<&'static str>,
    sip_call_id: LegId,
    #[serde(rename = "dialogParams")]
    dialog: DialogParams<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_state: Option<&'a str>,
}

impl<'a> ByeBody<'a> {
    /// An ordinary end carries no SIP status: nothing was refused.
    pub(crate) fn new(
        call_id: &'a str,
        leg: LegId,
        cause: HangupCause,
        client_state: Option<&'a str>,
    ) -> Self {
        let refused = cause != HangupCause::NormalClearing;
        Self {
            call_id,
            cause: cause.name(),
            cause_code: cause.code(),
            sip_code: refused.then(|| cause.sip_status()),
            sip_reason: refused.then(|| cause.sip_reason()),
            sip_call_id: leg,
            dialog: DialogParams::new(&[]),
            client_state,
        }
    }
}

/// The parameters of a key pressed by the far side.
#[derive(Serialize)]
pub(crate) struct InfoBody<'a> {
    #[serde(rename = "callID")]
    pub(crate) call_id: &'a str,
    pub(crate) dtmf: char,
}

/// The parameters of `telnyx_rtc.clientReady`.
#[derive(Serialize)]
pub(crate) struct ClientReadyBody<'a> {
    pub(crate) reattached_sessions: Vec<&'a str>,
}

/// The parameters of a server ping.
#[derive(Serialize)]
pub(crate) struct PingBody {
    /// Seconds since 1970; React Native requires the key.
    pub(crate) serno: i64,
}

/// No parameters, or an empty result.
#[derive(Serialize)]
pub(crate) struct EmptyBody {}
