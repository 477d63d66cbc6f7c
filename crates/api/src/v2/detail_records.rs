//! `/v2/detail_records`: the record of every ended leg, as a customer searches them.
//!
//! A leg of a browser or an app is a `webrtc` record, one of a telephone or a trunk a `sip-trunking` one. The
//! other sorts that Telnyx has are of products that ringtrip has not, so there are none. Nothing is billed:
//! rates and costs are zero.

use axum::extract::State;
use ringtrip_model::{
    Country, CredentialConnectionId, DateRange, Direction, E164, LegRecord, Timestamp,
};
use ringtrip_store::{
    Comparison, DetailRecord, DetailRecordCondition, DetailRecordNumber, DetailRecordOrder,
    DetailRecordText, LegProtocol, TextMatch,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Place};
use crate::operation::Operation;
use crate::page::{PageRequest, Sort, read_sorts};
use crate::query::Query;
use crate::respond::{List, Text};

/// Rows on a page unless asked otherwise.
const DEFAULT_PAGE_SIZE: u32 = 20;
/// The largest page.
const MAX_PAGE_SIZE: u32 = 50;

/// The sorts of records that Telnyx knows.
const RECORD_TYPES: &[&str] = &[
    "ai-voice-assistant",
    "amd",
    "call-control",
    "conference",
    "conference-participant",
    "embedding",
    "fax",
    "inference",
    "inference-speech-to-text",
    "media_storage",
    "media-streaming",
    "messaging",
    "noise-suppression",
    "recording",
    "sip-trunking",
    "siprec-client",
    "stt",
    "tts",
    "verify",
    "webrtc",
    "wireless",
];

/// The texts that records can be searched by.
const TEXTS: &[(&str, DetailRecordText)] = &[
    ("auth_username", DetailRecordText::User),
    ("call_id", DetailRecordText::ProtocolCallId),
    ("caller_name", DetailRecordText::CallerName),
    ("caller_number", DetailRecordText::CallerNumber),
    ("cli", DetailRecordText::CallerNumber),
    ("cld", DetailRecordText::Destination),
    ("dest_number", DetailRecordText::Destination),
    ("connection_name", DetailRecordText::ConnectionName),
];

const TEXT_OPERATORS: &[(&str, TextMatch)] = &[
    ("contains", TextMatch::Contains),
    ("starts_with", TextMatch::StartsWith),
    ("ends_with", TextMatch::EndsWith),
];

/// The numbers and times that records can be searched and sorted by.
const NUMBERS: &[(&str, DetailRecordNumber)] = &[
    ("started_at", DetailRecordNumber::StartedAt),
    ("created_at", DetailRecordNumber::StartedAt),
    ("finished_at", DetailRecordNumber::EndedAt),
    ("call_sec", DetailRecordNumber::CallSecs),
];

const NUMBER_OPERATORS: &[(&str, Comparison)] = &[
    ("gt", Comparison::Greater),
    ("gte", Comparison::AtLeast),
    ("lt", Comparison::Less),
    ("lte", Comparison::AtMost),
];

/// The longest text that records can be searched by, in bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// Times are shown, and so compared, in milliseconds.
const MILLISECOND: i64 = 1000;

/// The record of a leg of a browser or an app.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebrtcDetailRecord")]
pub(crate) struct Record {
    #[schemars(extend("enum" = ["webrtc_detail_record", "sip_trunking_detail_record"]))]
    record_type: &'static str,
    /// The leg.
    id: String,
    auth_username: String,
    connection_id: Text<CredentialConnectionId>,
    /// The name that the connection has now; empty once it is deleted.
    connection_name: String,
    session_id: String,
    /// The SDK's own name of the call.
    call_id: String,
    telnyx_session_id: String,
    telnyx_leg_id: String,
    telnyx_call_control_id: String,
    fs_channel_id: String,
    #[schemars(extend("enum" = ["inbound", "outbound"]))]
    direction: &'static str,
    cli: String,
    cld: String,
    caller_name: String,
    caller_number: String,
    dest_number: String,
    started_at: Text<Timestamp>,
    finished_at: Text<Timestamp>,
    /// For how many seconds it was answered.
    call_sec: u64,
    billed_sec: u64,
    rate: &'static str,
    cost: &'static str,
    currency: String,
    payment_method: &'static str,
    /// The country of the called number, where it is one.
    country_code: &'static str,
    /// The country of the calling number, where it is one.
    source_country_code: &'static str,
    billing_group_id: String,
    billing_group_name: String,
    tags: String,
}

impl Record {
    /// A text that is not known is empty, as in Telnyx's records.
    fn new(found: DetailRecord, protocol: LegProtocol, currency: &str) -> Self {
        const NOTHING: &str = "0.0000";
        let LegRecord {
            leg,
            call,
            connection,
            user,
            protocol_call_id,
            direction,
            caller,
            destination,
            started_at,
            answered_at,
            ended_at,
            ..
        } = found.record;
        let call_sec = answered_at.map_or(0, |answered| ended_at.since(answered).as_secs());
        Self {
            record_type: match protocol {
                LegProtocol::Webrtc => "webrtc_detail_record",
                LegProtocol::Sip => "sip_trunking_detail_record",
            },
            id: leg.to_string(),
            auth_username: user,
            connection_id: Text(connection),
            connection_name: found.connection_name.unwrap_or_default(),
            session_id: String::new(),
            call_id: protocol_call_id,
            telnyx_session_id: call.to_string(),
            telnyx_leg_id: leg.to_string(),
            telnyx_call_control_id: String::new(),
            fs_channel_id: String::new(),
            direction: direction_name(direction),
            country_code: country_of(&destination),
            source_country_code: country_of(&caller.number),
            cli: caller.number.clone(),
            cld: destination.clone(),
            caller_name: caller.name,
            caller_number: caller.number,
            dest_number: destination,
            started_at: Text(started_at),
            finished_at: Text(ended_at),
            call_sec,
            billed_sec: 0,
            rate: NOTHING,
            cost: NOTHING,
            currency: currency.to_owned(),
            payment_method: "rate-deck",
            billing_group_id: String::new(),
            billing_group_name: String::new(),
            tags: String::new(),
        }
    }
}

const fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
    }
}

fn country_of(number: &str) -> &'static str {
    let number = number.parse::<E164>().ok();
    number
        .and_then(|number| number.country())
        .map_or("", Country::alpha2)
}

pub(crate) mod operations {
    use serde_json::json;

    use super::{
        DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, NUMBER_OPERATORS, NUMBERS, Operation, RECORD_TYPES,
        TEXT_OPERATORS, TEXTS,
    };
    use crate::schema::words;

    pub(crate) fn list() -> Operation {
        let up = NUMBERS.iter().map(|(name, _)| (*name).to_owned());
        let down = NUMBERS.iter().map(|(name, _)| format!("-{name}"));
        let names: Vec<_> = up.chain(down).collect();
        let mut operation = Operation::new("Search detail records")
            .description(
                "One for each ended leg of a call. Those of browsers and apps are webrtc records; the other \
                 types are known and have none. Nothing is billed: rates and costs are zero.",
            )
            .required_query(
                "filter[record_type]",
                words(RECORD_TYPES),
                "Which sort of records.",
            )
            .query(
                "filter[date_range]",
                json!({"type": "string"}),
                "yesterday, today, tomorrow, last_week, this_week, next_week, last_month, this_month, \
                 next_month or last_N_days, in UTC; a week begins on Monday.",
            )
            .query(
                "sort",
                json!({"type": "string"}),
                "One or several with commas between; with - the greatest first.",
            )
            .query(
                "sort[]",
                json!({"type": "array", "items": words(&names.iter().map(String::as_str).collect::<Vec<_>>())}),
                "The same.",
            )
            .paged_up_to(DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE);
        for field in [
            "id",
            "telnyx_leg_id",
            "telnyx_session_id",
            "connection_id",
            "direction",
        ] {
            operation = operation.filter::<String>(field, "");
        }
        for (field, _) in TEXTS {
            operation = operation.filter::<String>(field, "");
            for (operator, _) in TEXT_OPERATORS {
                operation = operation.filter_by::<String>(field, operator, "");
            }
        }
        for (field, _) in NUMBERS {
            operation = operation.filter::<String>(field, "");
            for (operator, _) in NUMBER_OPERATORS {
                operation = operation.filter_by::<String>(field, operator, "");
            }
        }
        operation
    }
}

pub(crate) async fn list(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<List<Record>, ApiError> {
    let page = PageRequest::read_up_to(&query, DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)?;
    let order = read_sorts(&query, NUMBERS)?
        .into_iter()
        .map(|Sort { by, descending }| DetailRecordOrder { by, descending })
        .collect();
    let protocol = read_record_type(&query)?;
    let conditions = read_conditions(&query, api.now())?;
    let (Some(protocol), Some(conditions)) = (protocol, conditions) else {
        return Ok(List {
            data: Vec::new(),
            meta: page.meta(0),
        });
    };
    let found = api
        .store()
        .list_detail_records(caller.account, protocol, conditions, order, page.into())
        .await?;
    let currency = &api.billing().currency;
    Ok(List {
        meta: page.meta(found.total),
        data: found
            .items
            .into_iter()
            .map(|record| Record::new(record, protocol, currency))
            .collect(),
    })
}

/// Reads which records are asked for; nothing for a sort that there are none of.
fn read_record_type(query: &Query) -> Result<Option<LegProtocol>, ApiError> {
    match query.filter("record_type") {
        Some("webrtc") => Ok(Some(LegProtocol::Webrtc)),
        Some("sip-trunking") => Ok(Some(LegProtocol::Sip)),
        Some(other) if RECORD_TYPES.contains(&other) => Ok(None),
        Some(_) | None => Err(invalid(
            "record_type",
            None,
            &format!("is required and must be one of {}", RECORD_TYPES.join(", ")),
        )),
    }
}

/// Reads what the records have in common; nothing where no record can.
fn read_conditions(
    query: &Query,
    now: Timestamp,
) -> Result<Option<Vec<DetailRecordCondition>>, ApiError> {
    let mut conditions = Vec::new();
    if let Some(name) = query.filter("date_range") {
        let range = DateRange::from_name(name).ok_or_else(|| {
            let names = DateRange::NAMES.join(", ");
            invalid(
                "date_range",
                None,
                &format!("must be one of {names} or last_N_days"),
            )
        })?;
        match range.at(now) {
            Some(span) => conditions.extend(DetailRecordCondition::started_within(span)),
            None => return Ok(None),
        }
    }
    // What is no id is the id of nothing.
    let mut impossible = false;
    let mut id = |field, condition: fn(&str) -> Option<DetailRecordCondition>| {
        if let Some(text) = query.filter(field) {
            match condition(text) {
                Some(condition) => conditions.push(condition),
                None => impossible = true,
            }
        }
    };
    let leg = |text: &str| text.parse().ok().map(DetailRecordCondition::Leg);
    id("id", leg);
    id("telnyx_leg_id", leg);
    id("telnyx_session_id", |text| {
        text.parse().ok().map(DetailRecordCondition::Call)
    });
    id("connection_id", |text| {
        text.parse().ok().map(DetailRecordCondition::Connection)
    });
    id("direction", |text| {
        [Direction::Inbound, Direction::Outbound]
            .into_iter()
            .find(|direction| direction_name(*direction) == text)
            .map(DetailRecordCondition::Direction)
    });
    if impossible {
        return Ok(None);
    }
    for (field, text) in TEXTS {
        let equals = query.filter(field).map(|value| (TextMatch::Equals, value));
        let others = TEXT_OPERATORS.iter().filter_map(|(operator, how)| {
            let value = query.filter_by(field, operator)?;
            // Every text holds nothing.
            (!value.is_empty()).then_some((*how, value))
        });
        for (how, value) in equals.into_iter().chain(others) {
            if value.len() > MAX_TEXT_BYTES {
                return Ok(None);
            }
            conditions.push(DetailRecordCondition::Text(*text, how, value.to_owned()));
        }
    }
    for (field, number) in NUMBERS {
        let equal = query
            .filter(field)
            .map(|value| (None, Comparison::Equal, value));
        let others = NUMBER_OPERATORS.iter().filter_map(|(operator, how)| {
            let value = query.filter_by(field, operator)?;
            Some((Some(*operator), *how, value))
        });
        for (operator, how, value) in equal.into_iter().chain(others) {
            conditions.extend(compare(field, operator, *number, how, value)?);
        }
    }
    Ok(Some(conditions))
}

fn compare(
    field: &str,
    operator: Option<&str>,
    number: DetailRecordNumber,
    how: Comparison,
    value: &str,
) -> Result<Vec<DetailRecordCondition>, ApiError> {
    let condition = |how, value| DetailRecordCondition::Number(number, how, value);
    if number == DetailRecordNumber::CallSecs {
        let plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        let seconds = value.parse().ok().filter(|_| plain);
        let seconds =
            seconds.ok_or_else(|| invalid(field, operator, "must be a whole number of seconds"))?;
        return Ok(vec![condition(how, seconds)]);
    }
    // A day alone is its first instant.
    let at: Option<Timestamp> = match value.len() {
        10 => format!("{value}T00:00:00Z").parse().ok(),
        _ => value.parse().ok(),
    };
    let at = at.ok_or_else(|| {
        invalid(
            field,
            operator,
            "must be an ISO 8601 date, with or without a time",
        )
    })?;
    let this = at.as_millis().saturating_mul(MILLISECOND);
    let next = this.saturating_add(MILLISECOND);
    Ok(match how {
        Comparison::Equal => vec![
            condition(Comparison::AtLeast, this),
            condition(Comparison::Less, next),
        ],
        Comparison::Greater => vec![condition(Comparison::AtLeast, next)],
        Comparison::AtLeast => vec![condition(Comparison::AtLeast, this)],
        Comparison::Less => vec![condition(Comparison::Less, this)],
        Comparison::AtMost => vec![condition(Comparison::Less, next)],
    })
}

fn invalid(field: &str, operator: Option<&str>, what: &str) -> ApiError {
    let name = match operator {
        Some(operator) => format!("filter[{field}][{operator}]"),
        None => format!("filter[{field}]"),
    };
    ApiError::InvalidQuery {
        detail: format!("{name} {what}."),
        place: Place::Parameter(name.into()),
    }
}
