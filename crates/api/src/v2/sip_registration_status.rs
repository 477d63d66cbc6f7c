//! `/v2/sip_registration_status`: whether a user is registered, and from where.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ringtrip_cluster::Registration;
use ringtrip_model::{
    AccountId, ContactTransport, CredentialConnection, CredentialConnectionId, TelephonyCredential,
    TelephonyCredentialStatus, Timestamp,
};
use ringtrip_store::{Page, TelephonyCredentialFilter};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Place};
use crate::operation::{Answer, Operation, schema_of};
use crate::query::Query;
use crate::respond::{Text, Word, json};

/// The sorts of credentials that Telnyx registers; the first is one of a carrier's, which nobody has
/// here.
const CREDENTIAL_TYPES: &[&str] = &["uac_external_credential", "telephony_credential"];

/// Whether a user is registered. Where something is known of SIP alone, it is null: clients log in over
/// a WebSocket.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SipRegistrationStatus")]
pub(crate) struct Status {
    connection_id: Text<CredentialConnectionId>,
    connection_name: String,
    #[schemars(extend("enum" = CREDENTIAL_TYPES))]
    credential_type: &'static str,
    credential_username: String,
    registered: bool,
    #[schemars(extend("enum" = ["connection_disabled", "registered", "unknown"]))]
    sip_registration_status: &'static str,
    sip_registration_details: Details,
    last_registration_response: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SipRegistrationDetails")]
struct Details {
    auth_retries: Option<u32>,
    expires: Option<u32>,
    failures: Option<u32>,
    /// When the user last logged in, or was last seen to leave.
    last_modified: Option<Text<Timestamp>>,
    next_action_at: Option<u32>,
    node: Option<String>,
    sip_uri_user_host: Option<String>,
    transport: Option<Word<ContactTransport>>,
    ua_ip: Option<String>,
    ua_port: Option<u16>,
    /// Since the login, in seconds.
    uptime: Option<i64>,
}

impl Status {
    fn new(
        credential: TelephonyCredential,
        connection: CredentialConnection,
        registration: Registration,
        now: Timestamp,
    ) -> Self {
        let usable = connection.settings.active
            && credential.status_at(now) == TelephonyCredentialStatus::Active;
        let contact = registration.contact;
        Self {
            connection_id: Text(connection.id),
            connection_name: connection.connection_name,
            credential_type: "telephony_credential",
            credential_username: credential.sip_username,
            registered: contact.is_some(),
            sip_registration_status: match &contact {
                Some(_) => "registered",
                None if !usable => "connection_disabled",
                // Whether a user who is not here will come is nothing we know.
                None => "unknown",
            },
            sip_registration_details: Details {
                auth_retries: None,
                expires: None,
                failures: None,
                last_modified: match &contact {
                    Some(contact) => Some(Text(contact.since)),
                    None => registration.changed_at.map(Text),
                },
                next_action_at: None,
                node: None,
                sip_uri_user_host: None,
                transport: contact.as_ref().map(|contact| Word(contact.transport)),
                ua_ip: contact.as_ref().map(|contact| contact.address.to_string()),
                ua_port: contact.as_ref().and_then(|contact| contact.port),
                uptime: contact
                    .as_ref()
                    .map(|contact| (now.as_secs() - contact.since.as_secs()).max(0)),
            },
            last_registration_response: None,
        }
    }
}

/// By itself, as Telnyx answers.
impl IntoResponse for Status {
    fn into_response(self) -> Response {
        json(StatusCode::OK, 512, &self)
    }
}

impl Answer for Status {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        operation.answers(
            StatusCode::OK,
            "application/json",
            schema_of::<Self>(schemas),
        );
    }
}

pub(crate) mod operations {
    use serde_json::json;

    use super::{CREDENTIAL_TYPES, Operation, StatusCode};

    pub(crate) fn retrieve() -> Operation {
        Operation::new("Tell whether a user is registered")
            .description("Of a telephony credential's user. Nobody has one of the other type.")
            .required_query(
                "credential_type",
                json!({"type": "string", "enum": CREDENTIAL_TYPES}),
                "The sort of credential.",
            )
            .required_query(
                "username",
                json!({"type": "string", "minLength": 1}),
                "Its SIP user name.",
            )
            .may_fail(StatusCode::NOT_FOUND)
    }
}

pub(crate) async fn retrieve(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<Status, ApiError> {
    let kind = query.get("credential_type").unwrap_or_default();
    if !CREDENTIAL_TYPES.contains(&kind) {
        let names = CREDENTIAL_TYPES.join(" or ");
        return Err(refused("credential_type", format!("must be {names}")));
    }
    let user = query.get("username").unwrap_or_default();
    if user.is_empty() {
        return Err(refused("username", "must not be empty".to_owned()));
    }
    if kind != "telephony_credential" {
        return Err(ApiError::NotFound);
    }
    let credential = find(&api, caller.account, user).await?;
    let connection = api
        .store()
        .credential_connection(caller.account, credential.connection)
        .await?
        .ok_or(ApiError::NotFound)?;
    let registration = api.bus().registration(&credential.sip_username);
    Ok(Status::new(credential, connection, registration, api.now()))
}

fn refused(parameter: &'static str, why: String) -> ApiError {
    ApiError::InvalidQuery {
        place: Place::Parameter(parameter.into()),
        detail: format!("{parameter} {why}."),
    }
}

async fn find(api: &Api, account: AccountId, user: &str) -> Result<TelephonyCredential, ApiError> {
    let filter = TelephonyCredentialFilter {
        sip_username: Some(user.to_owned()),
        ..TelephonyCredentialFilter::default()
    };
    let first = Page { number: 1, size: 1 };
    let found = api
        .store()
        .list_telephony_credentials(account, filter, first, api.now())
        .await?;
    found.items.into_iter().next().ok_or(ApiError::NotFound)
}
