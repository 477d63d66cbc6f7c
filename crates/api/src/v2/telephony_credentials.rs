//! `/v2/telephony_credentials`: generated SIP users, and the access tokens made for them.

use axum::extract::State;
use ringtrip_model::{
    AccountId, CredentialConnectionId, FieldError, FieldErrorKind, Generator,
    NewTelephonyCredential, RevokeScope, Secret, TelephonyCredential, TelephonyCredentialId,
    TelephonyCredentialPatch, TelephonyCredentialStatus, Timestamp, access_token,
};
use ringtrip_store::{ChangedCredential, TelephonyCredentialFilter};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{PathId, to_the_end};
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Place};
use crate::fields::{Fields, Sent, check};
use crate::json::{IgnoredBody, JsonObject};
use crate::page::PageRequest;
use crate::query::Query;
use crate::respond::{Created, CreatedText, Data, List, Text};

/// Rows on a page unless asked otherwise.
const DEFAULT_PAGE_SIZE: u32 = 50;

/// A credential as it is shown. The tag never is.
#[derive(Debug, Serialize)]
pub(crate) struct Credential {
    id: TelephonyCredentialId,
    record_type: &'static str,
    name: String,
    expired: bool,
    user_id: Text<AccountId>,
    resource_id: String,
    #[serde(serialize_with = "exposed")]
    sip_password: Secret<String>,
    sip_username: String,
    created_at: Text<Timestamp>,
    expires_at: Option<Text<Timestamp>>,
    updated_at: Text<Timestamp>,
}

impl Credential {
    fn new(credential: TelephonyCredential, now: Timestamp) -> Self {
        Self {
            id: credential.id,
            record_type: "credential",
            expired: credential.expired_at(now),
            name: credential.name,
            user_id: Text(credential.account),
            resource_id: format!("{RESOURCE_PREFIX}{}", credential.connection),
            sip_password: credential.sip_password,
            sip_username: credential.sip_username,
            created_at: Text(credential.created_at),
            expires_at: credential.expires_at.map(Text),
            updated_at: Text(credential.updated_at),
        }
    }
}

const RESOURCE_PREFIX: &str = "connection:";

fn exposed<S: Serializer>(secret: &Secret<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

/// What a request says about a credential.
struct Request {
    connection: Sent<CredentialConnectionId>,
    name: Sent<String>,
    tag: Sent<String>,
    expires_at: Sent<Timestamp>,
}

impl Request {
    fn read(body: &Map<String, Value>, faults: &mut Vec<FieldError>) -> Self {
        let mut fields = Fields::new(body, faults);
        let connection = match fields.get::<String>("connection_id") {
            Sent::Absent => Sent::Absent,
            Sent::Null => Sent::Null,
            Sent::Refused => Sent::Refused,
            Sent::Value(text) if text.trim().is_empty() => Sent::Null,
            Sent::Value(text) => match text.parse() {
                Ok(id) => Sent::Value(id),
                Err(_) => {
                    let what = "The connection does not exist.".to_owned();
                    fields.refuse("connection_id", FieldErrorKind::NoSuchResource, what);
                    Sent::Refused
                }
            },
        };
        let expected = "an ISO 8601 date with a time, such as 2026-11-21T09:30:00Z";
        Self {
            connection,
            name: fields.get("name"),
            tag: fields.get("tag"),
            expires_at: fields.get_parsed(
                "expires_at",
                FieldErrorKind::Invalid,
                expected,
                |text| text.parse().ok(),
            ),
        }
    }
}

/// Turns a field that cannot be told apart from an absent one into an option.
fn optional<T>(sent: Sent<T>) -> Option<T> {
    match sent {
        Sent::Value(value) => Some(value),
        Sent::Absent | Sent::Null | Sent::Refused => None,
    }
}

/// Turns a nullable field into a change: nothing, to nothing, or to a value.
fn change<T>(sent: Sent<T>) -> Option<Option<T>> {
    match sent {
        Sent::Value(value) => Some(Some(value)),
        Sent::Null => Some(None),
        Sent::Absent | Sent::Refused => None,
    }
}

pub(crate) async fn create(
    caller: Caller,
    State(api): State<Api>,
    JsonObject(body): JsonObject,
) -> Result<Created<Credential>, ApiError> {
    let mut faults = Vec::new();
    let request = Request::read(&body, &mut faults);
    if matches!(request.connection, Sent::Absent | Sent::Null) {
        faults.insert(0, FieldError::missing("/connection_id"));
    }
    let now = api.now();
    // A credential without a connection is never stored: the fault has been noted above.
    let connection = optional(request.connection).unwrap_or(CredentialConnectionId::from_i64(0));
    let checked = api.with_generator(|rng| {
        NewTelephonyCredential::new(
            caller.account,
            connection,
            optional(request.name),
            optional(request.tag),
            optional(request.expires_at),
            now,
            rng,
        )
    });
    let new = check(faults, checked)?;
    let credential = api.store().insert_telephony_credential(new).await?;
    Ok(Created(Credential::new(credential, now)))
}

pub(crate) async fn list(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<List<Credential>, ApiError> {
    let page = PageRequest::read(&query, DEFAULT_PAGE_SIZE)?;
    let filter = TelephonyCredentialFilter {
        tag: query.filter("tag").map(str::to_owned),
        name: query.filter("name").map(str::to_owned),
        sip_username: query.filter("sip_username").map(str::to_owned),
        connection: query
            .filter("resource_id")
            .map(read_resource_id)
            .transpose()?,
        status: query
            .filter("status")
            .map(read_status)
            .transpose()?
            .flatten(),
    };
    let now = api.now();
    let found = api
        .store()
        .list_telephony_credentials(caller.account, filter, page.into(), now)
        .await?;
    Ok(List {
        meta: page.meta(found.total),
        data: found
            .items
            .into_iter()
            .map(|credential| Credential::new(credential, now))
            .collect(),
    })
}

fn read_resource_id(text: &str) -> Result<CredentialConnectionId, ApiError> {
    text.strip_prefix(RESOURCE_PREFIX)
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| ApiError::InvalidQuery {
            place: Place::Parameter("filter[resource_id]".into()),
            detail: "filter[resource_id] must be connection: and the id of a connection."
                .to_owned(),
        })
}

/// Reads one status, or several with commas between; all there are is as good as none.
fn read_status(text: &str) -> Result<Option<TelephonyCredentialStatus>, ApiError> {
    use TelephonyCredentialStatus::{Active, Expired, Inactive};
    let mut asked = Vec::new();
    for name in text.split(',') {
        asked.push(TelephonyCredentialStatus::from_name(name).ok_or_else(|| {
            ApiError::InvalidQuery {
                place: Place::Parameter("filter[status]".into()),
                detail: "filter[status] must be active, inactive or expired.".to_owned(),
            }
        })?);
    }
    Ok(match (asked.contains(&Active), asked.contains(&Expired)) {
        (true, true) => None,
        (true, false) => Some(Active),
        (false, true) => Some(Expired),
        (false, false) => Some(Inactive),
    })
}

pub(crate) async fn retrieve(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<TelephonyCredentialId>,
) -> Result<Data<Credential>, ApiError> {
    let found = api.store().telephony_credential(caller.account, id).await?;
    let credential = found.ok_or(ApiError::NotFound)?;
    Ok(Data {
        data: Credential::new(credential, api.now()),
    })
}

pub(crate) async fn update(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<TelephonyCredentialId>,
    JsonObject(body): JsonObject,
) -> Result<Data<Credential>, ApiError> {
    let mut faults = Vec::new();
    let request = Request::read(&body, &mut faults);
    if matches!(request.connection, Sent::Null) {
        faults.insert(0, FieldError::missing("/connection_id"));
    }
    let patch = TelephonyCredentialPatch {
        connection: optional(request.connection),
        // Null gives the default name again, as a blank one does.
        name: change(request.name).map(Option::unwrap_or_default),
        tag: change(request.tag),
        expires_at: change(request.expires_at),
    };
    let now = api.now();
    if let Err(faults) = check(faults, patch.check()) {
        // Nothing can be wrong about what does not exist.
        let found = api.store().telephony_credential(caller.account, id).await?;
        return Err(found.map_or(ApiError::NotFound, |_| faults.into()));
    }
    let after = to_the_end(async move {
        let changed = api
            .store()
            .update_telephony_credential(caller.account, id, patch, now)
            .await?;
        let ChangedCredential { before, after } = changed.ok_or(ApiError::NotFound)?;
        // Sessions keep what their connection allowed when they began; a credential that moved, or has
        // ended, must not go on with that.
        if after.connection != before.connection || after.expired_at(api.now()) {
            api.bus().revoke(RevokeScope::Credential(id)).await;
        }
        Ok(after)
    })
    .await?;
    Ok(Data {
        data: Credential::new(after, now),
    })
}

pub(crate) async fn delete(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<TelephonyCredentialId>,
    _: IgnoredBody,
) -> Result<Data<Credential>, ApiError> {
    let now = api.now();
    let deleted = to_the_end(async move {
        let deleted = api
            .store()
            .delete_telephony_credential(caller.account, id)
            .await?;
        let deleted = deleted.ok_or(ApiError::NotFound)?;
        api.bus().revoke(RevokeScope::Credential(id)).await;
        Ok(deleted)
    })
    .await?;
    Ok(Data {
        data: Credential::new(deleted, now),
    })
}

pub(crate) async fn create_token(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<TelephonyCredentialId>,
    _: IgnoredBody,
) -> Result<CreatedText, ApiError> {
    let now = api.now();
    let found = api.store().telephony_credential(caller.account, id).await?;
    let credential = found.ok_or(ApiError::NotFound)?;
    if credential.expired_at(now) {
        return Err(ApiError::Fields(vec![FieldError::new(
            "/status",
            FieldErrorKind::Terminal,
            "An expired credential gets no tokens.",
        )]));
    }
    let keys = api.store().signing_keys();
    let mut rng = api.with_generator(Generator::fork);
    access_token::sign(&keys, id, now, credential.expires_at, &mut rng)
        .map(CreatedText)
        .map_err(ApiError::Sign)
}
