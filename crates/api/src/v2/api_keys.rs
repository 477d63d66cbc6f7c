//! `/v2/api_keys`: the keys of the account. A key is shown once, by the answer that makes it.

use std::sync::{Arc, OnceLock};

use axum::extract::State;
use ringtrip_model::{
    AccountId, ApiKey, ApiKeyId, FieldErrors, Generator, MAX_LABEL_CHARS, NewApiKey, PlainApiKey,
    Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;

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
use crate::respond::{Created, Data, List, Text};

/// Rows on a page unless asked otherwise.
const DEFAULT_PAGE_SIZE: u32 = 20;

/// A key as it is shown.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiKey")]
pub(crate) struct Key {
    #[schemars(extend("const" = "api_key"))]
    record_type: &'static str,
    id: Text<ApiKeyId>,
    name: String,
    /// The public part, by which the key can be told from others.
    #[schemars(regex(pattern = "^KEY[0-9A-F]{32}$"))]
    prefix: String,
    #[schemars(extend("enum" = ["active", "expired", "revoked"]))]
    status: &'static str,
    /// The whole key; only in the answer that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", regex(pattern = "^KEY[0-9A-F]{32}_[0-9A-Za-z]{22}$"))]
    api_key: Option<String>,
    expires_at: Option<Text<Timestamp>>,
    /// When it was last used, give or take two minutes.
    last_used_at: Option<Text<Timestamp>>,
    created_at: Text<Timestamp>,
}

impl Key {
    fn new(key: ApiKey, now: Timestamp) -> Self {
        Self {
            record_type: "api_key",
            id: Text(key.id),
            status: if key.expired_at(now) {
                "expired"
            } else {
                "active"
            },
            name: key.name,
            prefix: key.lookup,
            api_key: None,
            expires_at: key.expires_at.map(Text),
            last_used_at: key.last_used_at.map(Text),
            created_at: Text(key.created_at),
        }
    }

    fn revealed(self, plain: Option<&PlainApiKey>) -> Self {
        Self {
            api_key: plain.map(|plain| plain.expose().to_owned()),
            ..self
        }
    }
}

fn read_name(fields: &mut Fields<'_>) -> Option<String> {
    fields.limit("name", Limit::Chars(0, MAX_LABEL_CHARS));
    match fields.get::<String>("name") {
        Sent::Value(name) => Some(name),
        Sent::Null => Some(String::new()),
        Sent::Absent | Sent::Refused => None,
    }
}

/// Reads a new key.
fn read_new(
    fields: &mut Fields<'_>,
    account: AccountId,
    now: Timestamp,
    rng: &mut Generator,
) -> Result<(NewApiKey, PlainApiKey), FieldErrors> {
    let name = read_name(fields).unwrap_or_default();
    let expires_at = match fields.get("expires_at") {
        Sent::Value(end) => Some(end),
        Sent::Absent | Sent::Null | Sent::Refused => None,
    };
    NewApiKey::new(account, &name, expires_at, now, rng)
}

/// Reads the label of a key, if that is to change.
fn read_patch(fields: &mut Fields<'_>) -> Result<Option<String>, FieldErrors> {
    let name = read_name(fields);
    name.as_deref().map(ApiKey::check_name).transpose()
}

pub(crate) mod operations {
    use super::{DEFAULT_PAGE_SIZE, Operation, read_new, read_patch};

    pub(crate) fn create() -> Operation {
        Operation::new("Create an API key")
            .description(
                "The answer has the whole key in api_key, this once, and once more when the request is repeated \
                 under its Idempotency-Key.",
            )
            .body(|fields, sample| read_new(fields, sample.account, sample.now, &mut sample.rng))
    }

    pub(crate) fn list() -> Operation {
        Operation::new("List API keys")
            .description("Those that are not revoked, the newest first.")
            .paged(DEFAULT_PAGE_SIZE)
    }

    pub(crate) fn retrieve() -> Operation {
        Operation::new("Retrieve an API key")
    }

    pub(crate) fn update() -> Operation {
        Operation::new("Rename an API key").body(|fields, _| read_patch(fields))
    }

    pub(crate) fn delete() -> Operation {
        Operation::new("Revoke an API key")
            .description("It is refused from the moment of the answer.")
    }
}

pub(crate) async fn create(
    caller: Caller,
    once: Once,
    State(api): State<Api>,
    JsonObject(body): JsonObject,
) -> Result<Made<Created<Key>>, ApiError> {
    let now = api.now();
    let drawn = Arc::new(OnceLock::new());
    let known = Arc::clone(&drawn);
    let show = move |made| Created(Key::new(made, now).revealed(known.get()));
    once.create(&api, caller.account, &body, show, async |store| {
        let (new, plain) = fields::read(&body, |fields| {
            api.with_generator(|rng| read_new(fields, caller.account, now, rng))
        })?;
        // Nobody has set it: this runs once.
        let _ = drawn.set(plain);
        Ok(store.insert_api_key(new).await?)
    })
    .await
}

pub(crate) async fn list(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<List<Key>, ApiError> {
    let page = PageRequest::read(&query, DEFAULT_PAGE_SIZE)?;
    let found = api
        .store()
        .list_api_keys(caller.account, page.into())
        .await?;
    let now = api.now();
    Ok(List {
        meta: page.meta(found.total),
        data: found
            .items
            .into_iter()
            .map(|key| Key::new(key, now))
            .collect(),
    })
}

pub(crate) async fn retrieve(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<ApiKeyId>,
) -> Result<Data<Key>, ApiError> {
    let found = api.store().api_key(caller.account, id).await?;
    Ok(Data {
        data: Key::new(found.ok_or(ApiError::NotFound)?, api.now()),
    })
}

pub(crate) async fn update(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<ApiKeyId>,
    JsonObject(body): JsonObject,
) -> Result<Data<Key>, ApiError> {
    let found = api.store().api_key(caller.account, id).await?;
    let mut key = found.ok_or(ApiError::NotFound)?;
    let now = api.now();
    if let Some(name) = fields::read(&body, read_patch)? {
        let renamed =
            to_the_end(
                async move { Ok(api.store().rename_api_key(caller.account, id, name).await?) },
            );
        key = renamed.await?.ok_or(ApiError::NotFound)?;
    }
    Ok(Data {
        data: Key::new(key, now),
    })
}

pub(crate) async fn delete(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<ApiKeyId>,
    _: IgnoredBody,
) -> Result<Data<Key>, ApiError> {
    let now = api.now();
    let revoked =
        to_the_end(async move { Ok(api.store().revoke_api_key(caller.account, id, now).await?) });
    let key = revoked.await?.ok_or(ApiError::NotFound)?;
    let data = Key {
        status: "revoked",
        ..Key::new(key, now)
    };
    Ok(Data { data })
}
