//! The words of ringtrip: ids, resources, access tokens, and what the engines say to each other.
//!
//! Everything else in the workspace may import this crate; it imports none of ours. It holds no
//! behaviour beyond what makes a value valid: no sockets, no clock, no tasks, no global randomness.
//! Instants come in as [`Time`], calendar times as [`Timestamp`], randomness as a [`Generator`].

pub mod access_token;
mod account;
mod api_key;
mod audit_event;
mod call;
mod cause;
mod codec;
mod credential_connection;
mod date_range;
mod e164;
mod field_error;
pub mod fuzz;
mod id;
mod leg;
mod media;
mod mobile_push_credential;
mod money;
mod outbound_voice_profile;
mod password;
mod phone_number;
mod portal_token;
mod recording;
mod rng;
mod role;
mod route;
mod sdp;
mod secret;
mod session;
mod telephony_credential;
mod time;
mod trunk;
mod user;
mod webhook;
mod words;

pub use access_token::{
    SigningKey, TokenClaims, TokenError, sign as sign_access_token, verify as verify_access_token,
};
pub use account::{Account, NewAccount};
pub use api_key::{ApiKey, ApiKeyError, HashedApiKey, MAX_API_KEYS, NewApiKey, PlainApiKey};
pub use audit_event::{Actor, AuditEvent};
pub use call::{
    CallEvent, CallEventKind, CallSnapshot, Direction, HangupSource, Initiation, LegPlace,
    LegPlaceError, LegQuality, LegRecord, LiveLeg, MAX_TOLD_HEADERS_BYTES, SnapshotLeg,
};
pub use cause::HangupCause;
pub use codec::{AudioCodec, MediaPolicy, NegotiatedMedia, OfferedMedia, VideoCodec};
pub use credential_connection::{
    AnchorsiteOverride, AniNumberFormat, AniOverrideType, ConnectionSettings, CredentialConnection,
    DnisNumberFormat, DtmfType, EncryptedMedia, InboundSettings, JitterBuffer, MAX_CODECS,
    MAX_TAGS, MAX_URL_CHARS, NewCredentialConnection, NoiseSuppression, NoiseSuppressionDetails,
    NoiseSuppressionEngine, OutboundSettings, RegistrationStatus, RoutingMethod, RtcpPort,
    RtcpSettings, SimultaneousRinging, T38ReinviteSource, WebhookApiVersion,
};
pub use date_range::DateRange;
pub use e164::{Country, E164, E164Error, PhoneNumberType};
pub use field_error::{FieldError, FieldErrorKind, FieldErrors, MAX_LABEL_CHARS};
pub use id::{
    AccountId, ApiKeyId, AuditEventId, CallId, CredentialConnectionId, IdError, InvitationId,
    LegId, MobilePushCredentialId, NodeId, OutboundVoiceProfileId, PhoneNumberId, PortalSessionId,
    SessionId, SocketId, TelephonyCredentialId, TrunkId, UserId, WebhookDeliveryId, WebhookEventId,
};
pub use leg::{CallerId, CustomHeader, Digit, LegCommand, LegEvent, LegParty};
pub use media::{MediaCommand, MediaEvent, MediaFailure};
pub use mobile_push_credential::{
    MAX_PUSH_MATERIAL_BYTES, MobilePushCredential, NewMobilePushCredential, PushMaterial,
    PushPlatform,
};
pub use money::{Money, MoneyError};
pub use outbound_voice_profile::{
    CallRecording, CallRecordingType, CallingWindow, MAX_DESTINATIONS, MAX_RECORDED_NUMBERS,
    NewOutboundVoiceProfile, OutboundVoiceProfile, ProfileSettings, Rate, ServicePlan, TrafficType,
    UsagePaymentMethod,
};
pub use password::{
    HashedPassword, HashedPasswordError, MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, PlainPassword,
};
pub use phone_number::{
    CallForwarding, CnamListing, ForwardingType, InboundCallRecording, InboundCallScreening,
    MediaFeatures, NewPhoneNumber, NumberPaymentMethod, PhoneNumber, PhoneNumberSettings,
    PhoneNumberStatus, VoiceSettings,
};
pub use portal_token::{HashedToken, PlainToken};
pub use recording::{RecordingChannels, RecordingFormat};
pub use rng::Generator;
pub use role::{Permission, Role};
pub use route::{
    CallingPreference, ChannelLimits, Destination, PermitRefusal, PermitRequest, Route,
    RouteRequest,
};
pub use sdp::{SdpAnswer, SdpOffer};
pub use secret::{Pii, Secret};
pub use session::{Contact, ContactTransport, Identity, LoginRefusal, LoginRequest, RevokeScope};
pub use telephony_credential::{
    MAX_CREDENTIALS_PER_TAG, NewTelephonyCredential, TelephonyCredential, TelephonyCredentialPatch,
    TelephonyCredentialStatus,
};
pub use time::{Time, Timestamp, TimestampError};
pub use trunk::{
    MAX_PREFIXES, NewTrunk, Trunk, TrunkHealth, TrunkNumberFormat, TrunkRegistration,
    TrunkSettings, TrunkTransport,
};
pub use user::{
    INVITATION_LIFETIME, Invitation, MAX_INVITATIONS, MAX_SESSIONS, MAX_USERS, NewInvitation,
    NewUser, PASSWORD_RESET_LIFETIME, PortalSession, SESSION_IDLE, SESSION_LIFETIME, User,
    check_user_name,
};
pub use webhook::{
    WebhookAnswer, WebhookAttempt, WebhookDelivery, WebhookError, WebhookEventType, WebhookKey,
    WebhookStatus,
};
