//! `/v2/outbound_voice_profiles`: what connections may dial to the telephone network.

use std::borrow::Cow;

use axum::extract::State;
use axum::http::StatusCode;
use ringtrip_model::{
    AccountId, CallRecording, CallRecordingType, CallingWindow, FieldErrors, Generator,
    MAX_DESTINATIONS, MAX_LABEL_CHARS, MAX_RECORDED_NUMBERS, MAX_TAGS, NewOutboundVoiceProfile,
    OutboundVoiceProfile, OutboundVoiceProfileId, ProfileSettings, Rate, RecordingChannels,
    RecordingFormat, ServicePlan, Timestamp, TrafficType, UsagePaymentMethod,
};
use ringtrip_store::{
    OutboundVoiceProfileFilter, OutboundVoiceProfileOrder, OutboundVoiceProfileSort,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::PathId;
use crate::Api;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::fields::{self, Fields, FromJson, Limit};
use crate::json::{IgnoredBody, JsonObject};
use crate::once::{Made, Once};
use crate::operation::Operation;
use crate::page::{PageRequest, read_sort};
use crate::query::Query;
use crate::respond::{Data, List, Text, Word};

/// Rows on a page unless asked otherwise.
const DEFAULT_PAGE_SIZE: u32 = 20;

/// What a list can be sorted by.
const SORTS: &[(&str, OutboundVoiceProfileSort)] = &[
    ("enabled", OutboundVoiceProfileSort::Enabled),
    ("created_at", OutboundVoiceProfileSort::CreatedAt),
    ("name", OutboundVoiceProfileSort::Name),
    ("service_plan", OutboundVoiceProfileSort::ServicePlan),
    ("traffic_type", OutboundVoiceProfileSort::TrafficType),
    (
        "usage_payment_method",
        OutboundVoiceProfileSort::UsagePaymentMethod,
    ),
];

/// What connections may dial to the telephone network.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OutboundVoiceProfile")]
pub(crate) struct Profile {
    id: Text<OutboundVoiceProfileId>,
    #[schemars(extend("const" = "outbound_voice_profile"))]
    record_type: &'static str,
    #[schemars(length(min = 3))]
    name: String,
    connections_count: u64,
    traffic_type: Word<TrafficType>,
    service_plan: Word<ServicePlan>,
    concurrent_call_limit: Option<u32>,
    enabled: bool,
    tags: Vec<String>,
    usage_payment_method: Word<UsagePaymentMethod>,
    whitelisted_destinations: Vec<String>,
    max_destination_rate: Option<f64>,
    daily_spend_limit: Option<String>,
    daily_spend_limit_enabled: bool,
    call_recording: Recording,
    billing_group_id: Option<Uuid>,
    calling_window: Window,
    created_at: Text<Timestamp>,
    updated_at: Text<Timestamp>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OutboundCallRecording")]
struct Recording {
    call_recording_type: Word<CallRecordingType>,
    call_recording_caller_phone_numbers: Vec<String>,
    call_recording_channels: Word<RecordingChannels>,
    call_recording_format: Word<RecordingFormat>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CallingWindow")]
struct Window {
    start_time: Option<String>,
    end_time: Option<String>,
    calls_per_cld: Option<u32>,
}

impl Profile {
    fn new(profile: OutboundVoiceProfile) -> Self {
        let s = profile.settings;
        Self {
            id: Text(profile.id),
            record_type: "outbound_voice_profile",
            name: profile.name,
            connections_count: profile.connections_count,
            traffic_type: Word(s.traffic_type),
            service_plan: Word(s.service_plan),
            concurrent_call_limit: s.concurrent_call_limit,
            enabled: s.enabled,
            tags: s.tags,
            usage_payment_method: Word(s.usage_payment_method),
            whitelisted_destinations: s.whitelisted_destinations,
            max_destination_rate: s.max_destination_rate.map(Rate::as_f64),
            daily_spend_limit: s.daily_spend_limit,
            daily_spend_limit_enabled: s.daily_spend_limit_enabled,
            call_recording: Recording::new(s.call_recording),
            billing_group_id: s.billing_group_id,
            calling_window: Window::new(s.calling_window),
            created_at: Text(profile.created_at),
            updated_at: Text(profile.updated_at),
        }
    }
}

impl Recording {
    fn new(recording: CallRecording) -> Self {
        Self {
            call_recording_type: Word(recording.call_recording_type),
            call_recording_caller_phone_numbers: recording.call_recording_caller_phone_numbers,
            call_recording_channels: Word(recording.call_recording_channels),
            call_recording_format: Word(recording.call_recording_format),
        }
    }
}

impl Window {
    fn new(window: CallingWindow) -> Self {
        Self {
            start_time: window.start_time,
            end_time: window.end_time,
            calls_per_cld: window.calls_per_cld,
        }
    }
}

impl FromJson for Rate {
    fn expected() -> Cow<'static, str> {
        "a number from 0 to 1000000 with at most six decimals".into()
    }

    fn schema() -> Value {
        json!({"type": "number", "minimum": 0, "maximum": 1_000_000})
    }

    fn from_json(value: &Value) -> Option<Self> {
        value.as_f64().and_then(Self::from_f64)
    }
}

/// Reads a new profile.
fn read_new(
    fields: &mut Fields<'_>,
    account: AccountId,
    now: Timestamp,
    rng: &mut Generator,
) -> Result<NewOutboundVoiceProfile, FieldErrors> {
    let (mut name, mut settings) = (String::new(), ProfileSettings::default());
    apply(fields, &mut name, &mut settings);
    NewOutboundVoiceProfile::new(account, name, settings, now, rng)
}

/// Reads a change onto a profile.
fn read_change(
    fields: &mut Fields<'_>,
    profile: &mut OutboundVoiceProfile,
) -> Result<(), FieldErrors> {
    apply(fields, &mut profile.name, &mut profile.settings);
    let faults = profile.normalize_and_validate();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(FieldErrors(faults))
    }
}

/// Applies a body to a profile's parts: on a new profile these hold the defaults, on a stored one what
/// it has, so that nested objects are merged and lists replaced. `null` clears a field that may be
/// unset, and gives any other its default again.
fn apply(fields: &mut Fields<'_>, name: &mut String, s: &mut ProfileSettings) {
    let unset = ProfileSettings::default();
    fields.limit("name", Limit::Chars(3, MAX_LABEL_CHARS));
    fields.set("name", name, String::new());
    fields.set("traffic_type", &mut s.traffic_type, unset.traffic_type);
    fields.set("service_plan", &mut s.service_plan, unset.service_plan);
    fields.set_nullable("concurrent_call_limit", &mut s.concurrent_call_limit);
    fields.set("enabled", &mut s.enabled, unset.enabled);
    fields.limit("tags", Limit::Entries(MAX_TAGS, MAX_LABEL_CHARS));
    fields.set("tags", &mut s.tags, unset.tags);
    fields.set(
        "usage_payment_method",
        &mut s.usage_payment_method,
        unset.usage_payment_method,
    );
    fields.limit(
        "whitelisted_destinations",
        Limit::Entries(MAX_DESTINATIONS, 2),
    );
    fields.set(
        "whitelisted_destinations",
        &mut s.whitelisted_destinations,
        unset.whitelisted_destinations,
    );
    fields.set_nullable("max_destination_rate", &mut s.max_destination_rate);
    fields.limit(
        "daily_spend_limit",
        Limit::Pattern(r"^[0-9]{1,12}(\.[0-9]{1,4})?$"),
    );
    fields.set_nullable("daily_spend_limit", &mut s.daily_spend_limit);
    fields.set(
        "daily_spend_limit_enabled",
        &mut s.daily_spend_limit_enabled,
        unset.daily_spend_limit_enabled,
    );
    fields.set_reference("billing_group_id", "billing group", &mut s.billing_group_id);

    let mut recording = fields.nested("/call_recording");
    let (s_recording, u_recording) = (&mut s.call_recording, unset.call_recording);
    recording.set(
        "call_recording_type",
        &mut s_recording.call_recording_type,
        u_recording.call_recording_type,
    );
    recording.limit(
        "call_recording_caller_phone_numbers",
        Limit::Entries(MAX_RECORDED_NUMBERS, 16),
    );
    recording.set(
        "call_recording_caller_phone_numbers",
        &mut s_recording.call_recording_caller_phone_numbers,
        u_recording.call_recording_caller_phone_numbers,
    );
    recording.set(
        "call_recording_channels",
        &mut s_recording.call_recording_channels,
        u_recording.call_recording_channels,
    );
    recording.set(
        "call_recording_format",
        &mut s_recording.call_recording_format,
        u_recording.call_recording_format,
    );

    const TIME: Limit =
        Limit::Pattern(r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?Z?$");
    let mut window = fields.nested("/calling_window");
    let s_window = &mut s.calling_window;
    window.limit("start_time", TIME);
    window.set_nullable("start_time", &mut s_window.start_time);
    window.limit("end_time", TIME);
    window.set_nullable("end_time", &mut s_window.end_time);
    window.set_nullable("calls_per_cld", &mut s_window.calls_per_cld);
}

pub(crate) mod operations {
    use ringtrip_model::ProfileSettings;

    use super::{
        DEFAULT_PAGE_SIZE, NewOutboundVoiceProfile, Operation, SORTS, StatusCode, read_change,
        read_new,
    };

    pub(crate) fn create() -> Operation {
        Operation::new("Create an outbound voice profile")
            .body(|fields, sample| read_new(fields, sample.account, sample.now, &mut sample.rng))
    }

    pub(crate) fn list() -> Operation {
        Operation::new("List outbound voice profiles")
            .paged(DEFAULT_PAGE_SIZE)
            .sorted(SORTS)
            .filter_by::<String>(
                "name",
                "contains",
                "Those whose name holds this text, whatever the case.",
            )
    }

    pub(crate) fn retrieve() -> Operation {
        Operation::new("Retrieve an outbound voice profile")
    }

    pub(crate) fn update() -> Operation {
        Operation::new("Update an outbound voice profile")
            .description("What is not sent stays as it is; objects are merged, lists replaced.")
            .body(|fields, sample| {
                let new = NewOutboundVoiceProfile::new(
                    sample.account,
                    "example",
                    ProfileSettings::default(),
                    sample.now,
                    &mut sample.rng,
                );
                read_change(fields, &mut new?.into_profile())
            })
    }

    pub(crate) fn delete() -> Operation {
        Operation::new("Delete an outbound voice profile")
            .description("One that connections use is refused. Answers with what was deleted.")
            .may_fail(StatusCode::UNPROCESSABLE_ENTITY)
    }
}

/// Answers 200, as Telnyx does.
pub(crate) async fn create(
    caller: Caller,
    once: Once,
    State(api): State<Api>,
    JsonObject(body): JsonObject,
) -> Result<Made<Data<Profile>>, ApiError> {
    let now = api.now();
    let show = |made| Data {
        data: Profile::new(made),
    };
    once.create(&api, caller.account, &body, show, async |store| {
        let new = fields::read(&body, |fields| {
            api.with_generator(|rng| read_new(fields, caller.account, now, rng))
        })?;
        Ok(store.insert_outbound_voice_profile(new).await?)
    })
    .await
}

pub(crate) async fn list(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<List<Profile>, ApiError> {
    let page = PageRequest::read(&query, DEFAULT_PAGE_SIZE)?;
    let order = read_sort(&query, SORTS)?
        .map_or_else(OutboundVoiceProfileOrder::default, |(by, descending)| {
            OutboundVoiceProfileOrder { by, descending }
        });
    let filter = OutboundVoiceProfileFilter {
        name_contains: query.filter_by("name", "contains").map(str::to_owned),
    };
    let found = api
        .store()
        .list_outbound_voice_profiles(caller.account, filter, order, page.into())
        .await?;
    Ok(List {
        meta: page.meta(found.total),
        data: found.items.into_iter().map(Profile::new).collect(),
    })
}

pub(crate) async fn retrieve(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<OutboundVoiceProfileId>,
) -> Result<Data<Profile>, ApiError> {
    let found = api
        .store()
        .outbound_voice_profile(caller.account, id)
        .await?;
    let profile = found.ok_or(ApiError::NotFound)?;
    Ok(Data {
        data: Profile::new(profile),
    })
}

pub(crate) async fn update(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<OutboundVoiceProfileId>,
    JsonObject(body): JsonObject,
) -> Result<Data<Profile>, ApiError> {
    let change = move |profile: &mut OutboundVoiceProfile| {
        fields::read(&body, |fields| read_change(fields, profile))
    };
    let changed = api
        .store()
        .update_outbound_voice_profile(caller.account, id, api.now(), change)
        .await?;
    let profile = changed.ok_or(ApiError::NotFound)?;
    Ok(Data {
        data: Profile::new(profile),
    })
}

pub(crate) async fn delete(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<OutboundVoiceProfileId>,
    _: IgnoredBody,
) -> Result<Data<Profile>, ApiError> {
    let deleted = api
        .store()
        .delete_outbound_voice_profile(caller.account, id)
        .await?;
    let profile = deleted.ok_or(ApiError::NotFound)?;
    Ok(Data {
        data: Profile::new(profile),
    })
}
