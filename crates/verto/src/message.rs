//! The JSON of the protocol. Nothing outside this module reads or writes it.

mod incoming;
mod outgoing;

pub(crate) use incoming::{CallParams, Frame, Method, Request, RequestId, SpokenAction};
pub(crate) use outgoing::{
    AnswerBody, AttachBody, ByeBody, CallBody, ClientReadyBody, EmptyBody, EndedBody, GatewayBody,
    HoldBody, InfoBody, InviteBody, MessageBody, PingBody, RingingBody, SessionBody, TelnyxIds,
    UpdateBody, error_frame, request_frame, result_frame,
};

/// Why a request is answered with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The frame is no request: broken JSON, an id that is neither text nor number, wrong types.
    #[error("Invalid Request")]
    Invalid,
    #[error("Invalid Method, Missing Method or Permission Denied")]
    UnknownMethod,
    #[error("Permission Denied")]
    Denied,
    /// Never the answer to a login: the JS SDK takes this code for "log in again, now".
    #[error("Authentication Required")]
    NotLoggedIn,
    #[error("Login Incorrect")]
    LoginIncorrect,
    #[error("Too Many Sessions")]
    TooManySessions,
    /// The node is about to stop and takes nobody in.
    #[error("Server Is Shutting Down")]
    ShuttingDown,
    /// Whoever it is cannot be found out at the moment.
    #[error("Service Unavailable")]
    Unavailable,
    #[error("CALL DOES NOT EXIST")]
    NoSuchCall,
    #[error("CALL ERROR")]
    CallError,
    #[error("MEDIA ERROR")]
    MediaError,
    #[error("SDP missing")]
    SdpMissing,
    #[error("SDP too long")]
    SdpTooLong,
    #[error("CallID missing")]
    CallIdMissing,
    #[error("CallID invalid")]
    CallIdInvalid,
    #[error("Dialog data missing")]
    DialogMissing,
    #[error("Destination missing")]
    DestinationMissing,
    #[error("Destination invalid")]
    DestinationInvalid,
    #[error("Custom headers invalid")]
    HeadersInvalid,
    #[error("Client state invalid")]
    ClientStateInvalid,
    #[error("Cannot update a call that has not been answered.")]
    NotAnswered,
    #[error("DTMF invalid")]
    DigitsInvalid,
    #[error("Text messages are not carried")]
    NoTextMessages,
    #[error("Too many unanswered requests")]
    TooManyRequests,
}

impl Refusal {
    /// Returns the JSON-RPC error code.
    pub(crate) const fn code(self) -> i32 {
        match self {
            Self::Invalid => -32600,
            Self::UnknownMethod => -32601,
            Self::Denied => -32602,
            Self::NotLoggedIn => -32000,
            Self::LoginIncorrect
            | Self::TooManySessions
            | Self::ShuttingDown
            | Self::Unavailable => -32001,
            Self::NoSuchCall
            | Self::CallError
            | Self::MediaError
            | Self::SdpMissing
            | Self::SdpTooLong
            | Self::CallIdMissing
            | Self::CallIdInvalid
            | Self::DialogMissing
            | Self::DestinationMissing
            | Self::DestinationInvalid
            | Self::HeadersInvalid
            | Self::ClientStateInvalid
            | Self::NotAnswered
            | Self::DigitsInvalid
            | Self::NoTextMessages
            | Self::TooManyRequests => -32002,
        }
    }
}
