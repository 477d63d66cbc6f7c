//! `/v2/telephony_credentials`: generated SIP users, and the access tokens made for them.

use axum::extract::State;
use axum::http::StatusCode;
use ringtrip_model::{
    AccountId, CredentialConnectionId, FieldError, FieldErrorKind, FieldErrors, Generator,
    MAX_LABEL_CHARS, NewTelephonyCredential, RevokeScope, Secret, TelephonyCredential,
    TelephonyCredentialId, TelephonyCredentialPatch, TelephonyCredentialStatus, Timestamp,
    access_token,
};
use ringtrip_store::{
    ChangedCredential, StatusFilter, TelephonyCredentialFilter, TelephonyCredentialTag,
};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::{PathId, to_the_end};
use crate::Api;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::fields::{self, Fields, Limit, Sent};
use crate::json::{IgnoredBody, JsonObject};
use crate::once::{Made, Once};
use crate::operation::Operation;
use crate::page::PageRequest;
use crate::query::Query;
use crate::respond::{Created, CreatedText, Data, List, Text};

/// Rows on a page unless asked otherwise.
const DEFAULT_PAGE_SIZE: u32 = 50;

/// A credential as it is shown. The tag never is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TelephonyCredential")]
pub(crate) struct Credential {
    id: Text<TelephonyCredentialId>,
    #[schemars(extend("const" = "credential"))]
    record_type: &'static str,
    name: String,
    expired: bool,
    user_id: Text<AccountId>,
    #[schemars(regex(pattern = RESOURCE_PATTERN))]
    resource_id: String,
    #[serde(serialize_with = "exposed")]
    #[schemars(with = "String", regex(pattern = "^[0-9a-f]{32}$"))]
    sip_password: Secret<String>,
    sip_username: String,
    created_at: Text<Timestamp>,
    expires_at: Option<Text<Timestamp>>,
    updated_at: Text<Timestamp>,
}

impl Credential {
    fn new(credential: TelephonyCredential, now: Timestamp) -> Self {
        Self {
            id: Text(credential.id),
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

/// A tag, and how many credentials hold it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TelephonyCredentialTag")]
pub(crate) struct Tag {
    tag: String,
    amount: u64,
}

impl Tag {
    fn new(tag: TelephonyCredentialTag) -> Self {
        Self {
            tag: tag.tag,
            amount: tag.amount,
        }
    }
}

const RESOURCE_PREFIX: &str = "connection:";
const RESOURCE_PATTERN: &str = "^connection:[1-9][0-9]{0,18}$";

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
    /// Reads a request; one that makes a credential must name its connection.
    fn read(fields: &mut Fields<'_>, makes: bool) -> Self {
        let connection = fields.get_reference("connection_id", "connection");
        if matches!(connection, Sent::Null) || makes && matches!(connection, Sent::Absent) {
            fields.missing("connection_id");
        }
        fields.limit("name", Limit::Chars(0, MAX_LABEL_CHARS));
        fields.limit("tag", Limit::Chars(0, MAX_LABEL_CHARS));
        Self {
            connection,
            name: fields.get("name"),
            tag: fields.get("tag"),
            expires_at: fields.get("expires_at"),
        }
    }
}

/// Reads a new credential.
fn read_new(
    fields: &mut Fields<'_>,
    account: AccountId,
    now: Timestamp,
    rng: &mut Generator,
) -> Result<NewTelephonyCredential, FieldErrors> {
    let request = Request::read(fields, true);
    NewTelephonyCredential::new(
        account,
        // A credential without a connection is never stored: the fault has been noted above.
        optional(request.connection).unwrap_or(CredentialConnectionId::from_i64(0)),
        optional(request.name),
        optional(request.tag),
        optional(request.expires_at),
        now,
        rng,
    )
}

/// Reads a change of a credential.
fn read_patch(fields: &mut Fields<'_>) -> Result<TelephonyCredentialPatch, FieldErrors> {
    let request = Request::read(fields, false);
    let patch = TelephonyCredentialPatch {
        connection: optional(request.connection),
        // Null gives the default name again, as a blank one does.
        name: change(request.name).map(Option::unwrap_or_default),
        tag: change(request.tag),
        expires_at: change(request.expires_at),
    };
    patch.check()?;
    Ok(patch)
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

pub(crate) mod operations {
    use serde_json::json;

    use super::{
        DEFAULT_PAGE_SIZE, Operation, RESOURCE_PATTERN, StatusCode, TelephonyCredentialStatus,
        read_new, read_patch,
    };

    pub(crate) fn create() -> Operation {
        Operation::new("Create a telephony credential")
            .body(|fields, sample| read_new(fields, sample.account, sample.now, &mut sample.rng))
    }

    pub(crate) fn list() -> Operation {
        Operation::new("List telephony credentials")
            .paged(DEFAULT_PAGE_SIZE)
            .filter::<String>("tag", "Those with this tag.")
            .filter::<String>("name", "Those with this name.")
            .filter_any(
                "status",
                TelephonyCredentialStatus::NAMES,
                "Those in one of these states.",
            )
            .query(
                "filter[resource_id]",
                json!({"type": "string", "pattern": RESOURCE_PATTERN}),
                "connection: and the id of their connection.",
            )
            .filter::<String>("sip_username", "The one with this user name.")
    }

    pub(crate) fn retrieve() -> Operation {
        Operation::new("Retrieve a telephony credential")
    }

    pub(crate) fn update() -> Operation {
        Operation::new("Update a telephony credential")
            .description(
                "What is not sent stays as it is. An expired credential can only be deleted.",
            )
            .body(|fields, _| read_patch(fields))
    }

    pub(crate) fn delete() -> Operation {
        Operation::new("Delete a telephony credential")
            .description("Ends the sessions that its tokens opened. Answers with what was deleted.")
    }

    pub(crate) fn activate() -> Operation {
        Operation::new("Switch a telephony credential on")
            .description("An expired credential can only be deleted.")
            .may_fail(StatusCode::UNPROCESSABLE_ENTITY)
    }

    pub(crate) fn deactivate() -> Operation {
        Operation::new("Switch a telephony credential off")
            .description(
                "Until it is switched on it gets no tokens and cannot log in; the sessions it has end, \
                 with their calls, before the answer.",
            )
            .may_fail(StatusCode::UNPROCESSABLE_ENTITY)
    }

    pub(crate) fn list_tags() -> Operation {
        Operation::new("List the tags of telephony credentials").paged(DEFAULT_PAGE_SIZE)
    }

    pub(crate) fn create_token() -> Operation {
        Operation::new("Create an access token for a telephony credential")
            .description(
                "A JWT that a client logs in with, for 24 hours or until the credential ends. An expired \
                 or inactive credential gets none.",
            )
            .may_fail(StatusCode::UNPROCESSABLE_ENTITY)
    }
}

pub(crate) async fn create(
    caller: Caller,
    once: Once,
    State(api): State<Api>,
    JsonObject(body): JsonObject,
) -> Result<Made<Created<Credential>>, ApiError> {
    let now = api.now();
    let show = move |made| Created(Credential::new(made, now));
    once.create(&api, caller.account, &body, show, async |store| {
        let new = fields::read(&body, |fields| {
            api.with_generator(|rng| read_new(fields, caller.account, now, rng))
        })?;
        Ok(store.insert_telephony_credential(new).await?)
    })
    .await
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
        connection: query.filter_parsed(
            "resource_id",
            "connection: and the id of a connection",
            |text| text.strip_prefix(RESOURCE_PREFIX)?.parse().ok(),
        )?,
        status: query.filter_words("status")?.and_then(asked_statuses),
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

/// Brings several statuses down to one, or all but one; all there are is as good as none.
fn asked_statuses(asked: Vec<TelephonyCredentialStatus>) -> Option<StatusFilter> {
    let all = TelephonyCredentialStatus::ALL.iter().copied();
    let (wanted, others): (Vec<_>, Vec<_>) = all.partition(|status| asked.contains(status));
    match (wanted.as_slice(), others.as_slice()) {
        ([status], _) => Some(StatusFilter::Only(*status)),
        (_, [status]) => Some(StatusFilter::AllBut(*status)),
        _ => None,
    }
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
    let patch = match fields::read(&body, read_patch) {
        Ok(patch) => patch,
        // Nothing can be wrong about what does not exist.
        Err(faults) => {
            let found = api.store().telephony_credential(caller.account, id).await?;
            return Err(found.map_or(ApiError::NotFound, |_| faults.into()));
        }
    };
    let now = api.now();
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

pub(crate) async fn activate(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<TelephonyCredentialId>,
    _: IgnoredBody,
) -> Result<Data<Credential>, ApiError> {
    switch(caller, api, id, true).await
}

pub(crate) async fn deactivate(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<TelephonyCredentialId>,
    _: IgnoredBody,
) -> Result<Data<Credential>, ApiError> {
    switch(caller, api, id, false).await
}

async fn switch(
    caller: Caller,
    api: Api,
    id: TelephonyCredentialId,
    active: bool,
) -> Result<Data<Credential>, ApiError> {
    let now = api.now();
    let after = to_the_end(async move {
        let changed = api
            .store()
            .switch_telephony_credential(caller.account, id, active, now)
            .await?;
        let after = changed.ok_or(ApiError::NotFound)?;
        if !active {
            api.bus().revoke(RevokeScope::Credential(id)).await;
        }
        Ok(after)
    })
    .await?;
    Ok(Data {
        data: Credential::new(after, now),
    })
}

pub(crate) async fn list_tags(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<List<Tag>, ApiError> {
    let page = PageRequest::read(&query, DEFAULT_PAGE_SIZE)?;
    let found = api
        .store()
        .list_telephony_credential_tags(caller.account, page.into())
        .await?;
    Ok(List {
        meta: page.meta(found.total),
        data: found.items.into_iter().map(Tag::new).collect(),
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
    let refusal = match credential.status_at(now) {
        TelephonyCredentialStatus::Active => None,
        TelephonyCredentialStatus::Inactive => Some("An inactive credential gets no tokens."),
        TelephonyCredentialStatus::Expired => Some("An expired credential gets no tokens."),
    };
    if let Some(detail) = refusal {
        return Err(ApiError::Fields(vec![FieldError::new(
            "/status",
            FieldErrorKind::Terminal,
            detail,
        )]));
    }
    let keys = api.store().signing_keys();
    let mut rng = api.with_generator(Generator::fork);
    access_token::sign(&keys, id, now, credential.expires_at, &mut rng)
        .map(CreatedText)
        .map_err(ApiError::Sign)
}
