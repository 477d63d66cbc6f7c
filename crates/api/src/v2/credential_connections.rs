//! `/v2/credential_connections`: how a customer's clients reach us.

mod request;
mod response;

use axum::extract::State;
use ringtrip_model::{
    AccountId, CredentialConnection, CredentialConnectionId, OutboundVoiceProfileId, RevokeScope,
};
use ringtrip_store::{
    ChangedConnection, CredentialConnectionFilter, CredentialConnectionOrder,
    CredentialConnectionSort, Listing,
};

use self::request::{read_change, read_new};
use self::response::{Connection, Registration};
use super::{PathId, to_the_end};
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Place};
use crate::fields;
use crate::json::{IgnoredBody, JsonObject};
use crate::once::{Made, Once};
use crate::operation::Operation;
use crate::page::{PageRequest, read_sort};
use crate::query::Query;
use crate::respond::{Created, Data, List};

/// Rows on a page unless asked otherwise.
pub(super) const DEFAULT_PAGE_SIZE: u32 = 250;

/// What a list can be sorted by.
pub(super) const SORTS: &[(&str, CredentialConnectionSort)] = &[
    ("created_at", CredentialConnectionSort::CreatedAt),
    ("connection_name", CredentialConnectionSort::ConnectionName),
    ("active", CredentialConnectionSort::Active),
];

/// The shortest text that connections can be searched by.
const MIN_CONTAINS_CHARS: usize = 3;

/// Shows a connection, with what is known of the logins of its own user name.
fn shown(api: &Api, connection: CredentialConnection) -> Connection {
    let registration = api.bus().registration(&connection.user_name);
    Connection {
        connection,
        registration,
    }
}

pub(crate) mod operations {
    use super::{
        DEFAULT_PAGE_SIZE, MIN_CONTAINS_CHARS, Operation, SORTS, read_change, read_new, request,
    };
    use serde_json::json;

    pub(crate) fn create() -> Operation {
        Operation::new("Create a credential connection")
            .body(|fields, sample| read_new(fields, sample.account, sample.now, &mut sample.rng))
    }

    pub(crate) fn list() -> Operation {
        filtered(Operation::new("List credential connections"))
            .paged(DEFAULT_PAGE_SIZE)
            .sorted(SORTS)
    }

    /// Adds the filters that [`super::Listed`] reads.
    pub(in super::super) fn filtered(operation: Operation) -> Operation {
        operation
            .query(
                "filter[connection_name][contains]",
                json!({"type": "string", "minLength": MIN_CONTAINS_CHARS}),
                "Those whose name holds this text, whatever the case.",
            )
            .filter::<String>(
                "outbound_voice_profile_id",
                "Those that dial by this profile.",
            )
            .filter::<String>("outbound.outbound_voice_profile_id", "The same.")
            .filter::<String>("fqdn", "Of no credential connection: finds none.")
    }

    pub(crate) fn retrieve() -> Operation {
        Operation::new("Retrieve a credential connection")
    }

    pub(crate) fn update() -> Operation {
        Operation::new("Update a credential connection")
            .description("What is not sent stays as it is; objects are merged, lists replaced.")
            .body(|fields, sample| {
                let mut connection = request::example(sample.account, sample.now, &mut sample.rng);
                read_change(fields, &mut connection)
            })
    }

    pub(crate) fn delete() -> Operation {
        Operation::new("Delete a credential connection")
            .description("Its credentials go with it. Answers with what was deleted.")
    }

    pub(crate) fn check_registration_status() -> Operation {
        Operation::new("Tell whether the connection's own user is registered").description(
            "Where several devices are, of the one that logged in last. What was before the node started \
             is not known.",
        )
    }
}

pub(crate) async fn create(
    caller: Caller,
    once: Once,
    State(api): State<Api>,
    JsonObject(body): JsonObject,
) -> Result<Made<Created<Connection>>, ApiError> {
    let now = api.now();
    let shown_by = api.clone();
    let show = move |made| Created(shown(&shown_by, made));
    once.create(&api, caller.account, &body, show, async |store| {
        let new = fields::read(&body, |fields| {
            api.with_generator(|rng| read_new(fields, caller.account, now, rng))
        })?;
        Ok(store.insert_credential_connection(new).await?)
    })
    .await
}

pub(crate) async fn list(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<List<Connection>, ApiError> {
    let page = PageRequest::read(&query, DEFAULT_PAGE_SIZE)?;
    let found = Listed::read(&query)?
        .find(&api, caller.account, page)
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

/// Which connections are asked for, and in which order.
pub(super) struct Listed {
    /// Nothing where no credential connection can be meant.
    filter: Option<CredentialConnectionFilter>,
    order: CredentialConnectionOrder,
}

impl Listed {
    pub(super) fn read(query: &Query) -> Result<Self, ApiError> {
        let order = read_sort(query, SORTS)?
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
        let impossible = query.filter("fqdn").is_some() || matches!(profile, Some(Err(_)));
        let filter = CredentialConnectionFilter {
            connection_name_contains: contains,
            outbound_voice_profile_id: profile.and_then(Result::ok),
        };
        Ok(Self {
            filter: (!impossible).then_some(filter),
            order,
        })
    }

    pub(super) async fn find(
        self,
        api: &Api,
        account: AccountId,
        page: PageRequest,
    ) -> Result<Listing<CredentialConnection>, ApiError> {
        let Some(filter) = self.filter else {
            return Ok(Listing {
                items: Vec::new(),
                total: 0,
            });
        };
        let found = api
            .store()
            .list_credential_connections(account, filter, self.order, page.into())
            .await?;
        Ok(found)
    }
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
            fields::read(&body, |fields| read_change(fields, connection))
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
    let known = api.bus().registration(&connection.user_name);
    Ok(Data {
        data: Registration::new(connection, known),
    })
}
