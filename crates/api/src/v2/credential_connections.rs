//! `/v2/credential_connections`: how a customer's clients reach us.

mod request;
mod response;

use axum::extract::State;
use ringtrip_model::{
    ConnectionSettings, CredentialConnection, CredentialConnectionId, FieldErrors,
    NewCredentialConnection, OutboundVoiceProfileId, RevokeScope, Secret,
};
use ringtrip_store::{
    ChangedConnection, CredentialConnectionFilter, CredentialConnectionOrder,
    CredentialConnectionSort,
};

use self::request::Parts;
use self::response::{Connection, Registration};
use super::{PathId, to_the_end};
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Place};
use crate::fields::check;
use crate::json::{IgnoredBody, JsonObject};
use crate::page::{PageRequest, read_sort};
use crate::query::Query;
use crate::respond::{Created, Data, List};

/// Rows on a page unless asked otherwise.
const DEFAULT_PAGE_SIZE: u32 = 250;

/// What a list can be sorted by.
const SORTS: &[(&str, CredentialConnectionSort)] = &[
    ("created_at", CredentialConnectionSort::CreatedAt),
    ("connection_name", CredentialConnectionSort::ConnectionName),
    ("active", CredentialConnectionSort::Active),
];

/// The shortest text that connections can be searched by.
const MIN_CONTAINS_CHARS: usize = 3;

fn shown(api: &Api, connection: CredentialConnection) -> Connection {
    let registered = is_registered(api, &connection);
    Connection {
        connection,
        registered,
    }
}

/// Tells whether a client is logged in with the connection's own user name.
fn is_registered(api: &Api, connection: &CredentialConnection) -> bool {
    !api.bus().devices(&connection.user_name).is_empty()
}

pub(crate) async fn create(
    caller: Caller,
    State(api): State<Api>,
    JsonObject(body): JsonObject,
) -> Result<Created<Connection>, ApiError> {
    let mut faults = Vec::new();
    let (mut name, mut user_name) = (String::new(), String::new());
    let mut password = Secret::new(String::new());
    let mut settings = ConnectionSettings::default();
    let parts = Parts {
        connection_name: &mut name,
        user_name: &mut user_name,
        password: &mut password,
        settings: &mut settings,
    };
    request::apply(&body, parts, &mut faults);
    let now = api.now();
    let checked = api.with_generator(|rng| {
        NewCredentialConnection::new(
            caller.account,
            name,
            user_name,
            password.expose().as_str(),
            settings,
            now,
            rng,
        )
    });
    let new = check(faults, checked)?;
    let connection = api.store().insert_credential_connection(new).await?;
    Ok(Created(shown(&api, connection)))
}

pub(crate) async fn list(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<List<Connection>, ApiError> {
    let page = PageRequest::read(&query, DEFAULT_PAGE_SIZE)?;
    let order = read_sort(&query, SORTS)?
        .map_or_else(CredentialConnectionOrder::default, |(by, descending)| {
            CredentialConnectionOrder { by, descending }
        });
    let contains = query
        .filter_by("connection_name", "contains")
        .map(read_contains)
        .transpose()?;
    let profile = query
        .filter("outbound_voice_profile_id")
        .or_else(|| query.filter("outbound.outbound_voice_profile_id"))
        .map(str::parse::<OutboundVoiceProfileId>);
    // A credential connection has no FQDN, and nothing has an id that is none.
    if query.filter("fqdn").is_some() || matches!(profile, Some(Err(_))) {
        return Ok(List {
            data: Vec::new(),
            meta: page.meta(0),
        });
    }
    let filter = CredentialConnectionFilter {
        connection_name_contains: contains,
        outbound_voice_profile_id: profile.and_then(Result::ok),
    };
    let found = api
        .store()
        .list_credential_connections(caller.account, filter, order, page.into())
        .await?;
    Ok(List {
        meta: page.meta(found.total),
        data: found
            .items
            .into_iter()
            .map(|connection| shown(&api, connection))
            .collect(),
    })
}

fn read_contains(text: &str) -> Result<String, ApiError> {
    if text.chars().count() < MIN_CONTAINS_CHARS {
        return Err(ApiError::InvalidQuery {
            place: Place::Parameter("filter[connection_name][contains]".into()),
            detail: format!(
                "filter[connection_name][contains] needs at least {MIN_CONTAINS_CHARS} characters."
            ),
        });
    }
    Ok(text.to_owned())
}

pub(crate) async fn retrieve(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<CredentialConnectionId>,
) -> Result<Data<Connection>, ApiError> {
    let found = api
        .store()
        .credential_connection(caller.account, id)
        .await?;
    let connection = found.ok_or(ApiError::NotFound)?;
    Ok(Data {
        data: shown(&api, connection),
    })
}

pub(crate) async fn update(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<CredentialConnectionId>,
    JsonObject(body): JsonObject,
) -> Result<Data<Connection>, ApiError> {
    let now = api.now();
    to_the_end(async move {
        let change = move |connection: &mut CredentialConnection| {
            let mut faults = Vec::new();
            request::apply(&body, Parts::of(connection), &mut faults);
            let values = connection.normalize_and_validate();
            check(
                faults,
                if values.is_empty() {
                    Ok(())
                } else {
                    Err(FieldErrors(values))
                },
            )
        };
        let changed = api
            .store()
            .update_credential_connection(caller.account, id, now, change)
            .await?;
        let ChangedConnection { before, after } = changed.ok_or(ApiError::NotFound)?;
        if let Some(scope) = shut_out(&before, &after) {
            api.bus().revoke(scope).await;
        }
        Ok(Data {
            data: shown(&api, after),
        })
    })
    .await
}

/// Tells whose sessions end with a change: everyone's when the connection is switched off, those of its own
/// user when that has another name or password. What else a connection allows counts from the next login.
fn shut_out(before: &CredentialConnection, after: &CredentialConnection) -> Option<RevokeScope> {
    if before.settings.active && !after.settings.active {
        Some(RevokeScope::Connection(after.id))
    } else if before.user_name != after.user_name || before.password != after.password {
        Some(RevokeScope::ConnectionUser(after.id))
    } else {
        None
    }
}

pub(crate) async fn delete(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<CredentialConnectionId>,
    _: IgnoredBody,
) -> Result<Data<Connection>, ApiError> {
    to_the_end(async move {
        let deleted = api
            .store()
            .delete_credential_connection(caller.account, id)
            .await?;
        let deleted = deleted.ok_or(ApiError::NotFound)?;
        // Its credentials went with it, so their sessions do too.
        api.bus().revoke(RevokeScope::Connection(id)).await;
        Ok(Data {
            data: shown(&api, deleted),
        })
    })
    .await
}

pub(crate) async fn check_registration_status(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<CredentialConnectionId>,
    _: IgnoredBody,
) -> Result<Data<Registration>, ApiError> {
    let found = api
        .store()
        .credential_connection(caller.account, id)
        .await?;
    let connection = found.ok_or(ApiError::NotFound)?;
    let registered = is_registered(&api, &connection);
    Ok(Data {
        data: Registration::new(connection, registered),
    })
}
