//! `/v2/trunks`: routes to carriers. A resource of ours; Telnyx, being the carrier, has none.

use axum::extract::State;
use ringtrip_model::{
    AccountId, FieldErrors, Generator, MAX_CODECS, MAX_LABEL_CHARS, MAX_PREFIXES, MAX_TAGS,
    NewTrunk, Secret, Timestamp, Trunk, TrunkHealth, TrunkId, TrunkNumberFormat, TrunkSettings,
    TrunkTransport,
};
use ringtrip_store::{TrunkFilter, TrunkOrder, TrunkSort};
use schemars::JsonSchema;
use serde::Serialize;

use super::PathId;
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Place};
use crate::fields::{self, Fields, Limit, Sent};
use crate::json::{IgnoredBody, JsonObject};
use crate::once::{Made, Once};
use crate::operation::Operation;
use crate::page::{PageRequest, read_sort};
use crate::query::Query;
use crate::respond::{Created, Data, List, Text, Word};

/// Rows on a page unless asked otherwise.
const DEFAULT_PAGE_SIZE: u32 = 20;

/// What a list can be sorted by.
const SORTS: &[(&str, TrunkSort)] = &[
    ("created_at", TrunkSort::CreatedAt),
    ("name", TrunkSort::Name),
    ("priority", TrunkSort::Priority),
    ("enabled", TrunkSort::Enabled),
];

/// A route to a carrier. Its password is never shown.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Trunk")]
pub(crate) struct ShownTrunk {
    id: Text<TrunkId>,
    #[schemars(extend("const" = "trunk"))]
    record_type: &'static str,
    name: String,
    enabled: bool,
    host: String,
    #[schemars(range(min = 1, max = 65_535))]
    port: u32,
    transport: Word<TrunkTransport>,
    auth_username: Option<String>,
    auth_password_set: bool,
    registration: Registration,
    number_format: Word<TrunkNumberFormat>,
    codecs: Vec<String>,
    #[schemars(range(max = 65_535))]
    priority: u32,
    #[schemars(range(min = 1, max = 65_535))]
    weight: u32,
    prefixes: Vec<String>,
    tags: Vec<String>,
    channel_limit: Option<u32>,
    health: Word<TrunkHealth>,
    created_at: Text<Timestamp>,
    updated_at: Text<Timestamp>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TrunkRegistration")]
struct Registration {
    enabled: bool,
    #[schemars(range(min = 60, max = 86_400))]
    expires_secs: u32,
}

impl ShownTrunk {
    fn new(trunk: Trunk) -> Self {
        let s = trunk.settings;
        Self {
            id: Text(trunk.id),
            record_type: "trunk",
            name: trunk.name,
            enabled: s.enabled,
            port: s.effective_port(),
            host: s.host,
            transport: Word(s.transport),
            auth_username: s.auth_username,
            auth_password_set: trunk.auth_password.is_some(),
            registration: Registration {
                enabled: s.registration.enabled,
                expires_secs: s.registration.expires_secs,
            },
            number_format: Word(s.number_format),
            codecs: s.codecs,
            priority: s.priority,
            weight: s.weight,
            prefixes: s.prefixes,
            tags: s.tags,
            channel_limit: s.channel_limit,
            // Nothing has tried the carrier: no part of this program speaks SIP to one yet.
            health: Word(TrunkHealth::Unknown),
            created_at: Text(trunk.created_at),
            updated_at: Text(trunk.updated_at),
        }
    }
}

/// Reads a new trunk.
fn read_new(
    fields: &mut Fields<'_>,
    account: AccountId,
    now: Timestamp,
    rng: &mut Generator,
) -> Result<NewTrunk, FieldErrors> {
    let mut name = String::new();
    let (mut password, mut settings) = (None, TrunkSettings::default());
    apply(fields, &mut name, &mut password, &mut settings);
    NewTrunk::new(account, name, password, settings, now, rng)
}

/// Reads a change onto a trunk.
fn read_change(fields: &mut Fields<'_>, trunk: &mut Trunk) -> Result<(), FieldErrors> {
    apply(
        fields,
        &mut trunk.name,
        &mut trunk.auth_password,
        &mut trunk.settings,
    );
    let faults = trunk.normalize_and_validate();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(FieldErrors(faults))
    }
}

/// Applies a body to a trunk's parts: on a new trunk these hold the defaults, on a stored one what it
/// has, so that nested objects are merged and lists replaced. `null` clears a field that may be unset,
/// and gives any other its default again.
fn apply(
    fields: &mut Fields<'_>,
    name: &mut String,
    password: &mut Option<Secret<String>>,
    s: &mut TrunkSettings,
) {
    let unset = TrunkSettings::default();
    fields.limit("name", Limit::Chars(1, MAX_LABEL_CHARS));
    fields.set("name", name, String::new());
    fields.set("enabled", &mut s.enabled, unset.enabled);
    fields.limit("host", Limit::Chars(1, 255));
    fields.set("host", &mut s.host, unset.host);
    fields.limit("port", Limit::Range(1, 65_535));
    fields.set_nullable("port", &mut s.port);
    fields.set("transport", &mut s.transport, unset.transport);
    fields.limit("auth_username", Limit::Chars(0, 128));
    fields.set_nullable("auth_username", &mut s.auth_username);
    fields.limit("auth_password", Limit::Chars(0, 128));
    match fields.get::<String>("auth_password") {
        Sent::Absent | Sent::Refused => {}
        Sent::Null => *password = None,
        Sent::Value(text) => *password = Some(Secret::new(text)),
    }
    fields.set("number_format", &mut s.number_format, unset.number_format);
    fields.limit("codecs", Limit::Entries(MAX_CODECS, 64));
    fields.set("codecs", &mut s.codecs, unset.codecs);
    fields.limit("priority", Limit::Range(0, 65_535));
    fields.set("priority", &mut s.priority, unset.priority);
    fields.limit("weight", Limit::Range(1, 65_535));
    fields.set("weight", &mut s.weight, unset.weight);
    fields.limit("prefixes", Limit::Entries(MAX_PREFIXES, 16));
    fields.set("prefixes", &mut s.prefixes, unset.prefixes);
    fields.limit("tags", Limit::Entries(MAX_TAGS, MAX_LABEL_CHARS));
    fields.set("tags", &mut s.tags, unset.tags);
    fields.set_nullable("channel_limit", &mut s.channel_limit);

    let mut registration = fields.nested("/registration");
    registration.set(
        "enabled",
        &mut s.registration.enabled,
        unset.registration.enabled,
    );
    registration.limit("expires_secs", Limit::Range(60, 86_400));
    registration.set(
        "expires_secs",
        &mut s.registration.expires_secs,
        unset.registration.expires_secs,
    );
}

pub(crate) mod operations {
    use super::{
        DEFAULT_PAGE_SIZE, NewTrunk, Operation, SORTS, TrunkSettings, read_change, read_new,
    };

    pub(crate) fn create() -> Operation {
        Operation::new("Create a trunk")
            .description(
                "The password is kept and never shown again. Health is unknown as long as nothing \
                 speaks SIP to carriers.",
            )
            .body(|fields, sample| read_new(fields, sample.account, sample.now, &mut sample.rng))
    }

    pub(crate) fn list() -> Operation {
        Operation::new("List trunks")
            .paged(DEFAULT_PAGE_SIZE)
            .sorted(SORTS)
            .filter_by::<String>(
                "name",
                "contains",
                "Those whose name holds this text, whatever the case.",
            )
            .filter::<bool>("enabled", "Those that are enabled, or are not.")
    }

    pub(crate) fn retrieve() -> Operation {
        Operation::new("Retrieve a trunk")
    }

    pub(crate) fn update() -> Operation {
        Operation::new("Update a trunk")
            .description("What is not sent stays as it is; objects are merged, lists replaced.")
            .body(|fields, sample| {
                let settings = TrunkSettings {
                    host: "sip.carrier.example".to_owned(),
                    ..TrunkSettings::default()
                };
                let (account, now) = (sample.account, sample.now);
                let new = NewTrunk::new(account, "example", None, settings, now, &mut sample.rng);
                read_change(fields, &mut new?.into_trunk())
            })
    }

    pub(crate) fn delete() -> Operation {
        Operation::new("Delete a trunk").description("Answers with what was deleted.")
    }
}

pub(crate) async fn create(
    caller: Caller,
    once: Once,
    State(api): State<Api>,
    JsonObject(body): JsonObject,
) -> Result<Made<Created<ShownTrunk>>, ApiError> {
    let now = api.now();
    let show = |made| Created(ShownTrunk::new(made));
    once.create(&api, caller.account, &body, show, async |store| {
        let new = fields::read(&body, |fields| {
            api.with_generator(|rng| read_new(fields, caller.account, now, rng))
        })?;
        Ok(store.insert_trunk(new).await?)
    })
    .await
}

pub(crate) async fn list(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<List<ShownTrunk>, ApiError> {
    let page = PageRequest::read(&query, DEFAULT_PAGE_SIZE)?;
    let order = read_sort(&query, SORTS)?.map_or_else(TrunkOrder::default, |(by, descending)| {
        TrunkOrder { by, descending }
    });
    let filter = TrunkFilter {
        name_contains: query.filter_by("name", "contains").map(str::to_owned),
        enabled: query.filter("enabled").map(read_enabled).transpose()?,
    };
    let found = api
        .store()
        .list_trunks(caller.account, filter, order, page.into())
        .await?;
    Ok(List {
        meta: page.meta(found.total),
        data: found.items.into_iter().map(ShownTrunk::new).collect(),
    })
}

fn read_enabled(text: &str) -> Result<bool, ApiError> {
    text.parse().map_err(|_| ApiError::InvalidQuery {
        place: Place::Parameter("filter[enabled]".into()),
        detail: "filter[enabled] must be true or false.".to_owned(),
    })
}

pub(crate) async fn retrieve(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<TrunkId>,
) -> Result<Data<ShownTrunk>, ApiError> {
    let found = api.store().trunk(caller.account, id).await?;
    let trunk = found.ok_or(ApiError::NotFound)?;
    Ok(Data {
        data: ShownTrunk::new(trunk),
    })
}

pub(crate) async fn update(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<TrunkId>,
    JsonObject(body): JsonObject,
) -> Result<Data<ShownTrunk>, ApiError> {
    let change = move |trunk: &mut Trunk| fields::read(&body, |fields| read_change(fields, trunk));
    let changed = api
        .store()
        .update_trunk(caller.account, id, api.now(), change)
        .await?;
    let trunk = changed.ok_or(ApiError::NotFound)?;
    Ok(Data {
        data: ShownTrunk::new(trunk),
    })
}

pub(crate) async fn delete(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<TrunkId>,
    _: IgnoredBody,
) -> Result<Data<ShownTrunk>, ApiError> {
    let deleted = api.store().delete_trunk(caller.account, id).await?;
    let trunk = deleted.ok_or(ApiError::NotFound)?;
    Ok(Data {
        data: ShownTrunk::new(trunk),
    })
}
