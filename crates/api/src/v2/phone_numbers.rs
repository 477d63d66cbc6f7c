//! `/v2/phone_numbers`: the telephone numbers of a customer, and their voice settings.
//!
//! Numbers come from the operator's carriers, so there is nothing to order: `POST` takes one in, which is
//! ringtrip's own.

mod request;
mod response;

use axum::extract::State;
use axum::http::StatusCode;
use ringtrip_model::{Country, PhoneNumber, PhoneNumberId, PhoneNumberStatus};
use ringtrip_store::{NameMatch, PhoneNumberFilter, PhoneNumberOrder, PhoneNumberSort};

use self::request::{read_change, read_new, read_voice_change};
use self::response::{Deleted, Detailed, WithVoiceSettings};
use super::PathId;
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
const DEFAULT_PAGE_SIZE: u32 = 20;

/// What a list can be sorted by. A number is purchased when it is taken in.
const SORTS: &[(&str, PhoneNumberSort)] = &[
    ("purchased_at", PhoneNumberSort::CreatedAt),
    ("created_at", PhoneNumberSort::CreatedAt),
    ("phone_number", PhoneNumberSort::PhoneNumber),
    ("connection_name", PhoneNumberSort::ConnectionName),
    ("usage_payment_method", PhoneNumberSort::UsagePaymentMethod),
];

/// The fewest digits, or characters of a name, that can be searched by.
const MIN_SEARCHED: usize = 3;

pub(crate) mod operations {
    use ringtrip_model::{NumberPaymentMethod, PhoneNumberStatus, PhoneNumberType};
    use serde_json::json;

    use super::{
        DEFAULT_PAGE_SIZE, MIN_SEARCHED, Operation, SORTS, StatusCode, read_change, read_new,
        read_voice_change, request,
    };

    pub(crate) fn create() -> Operation {
        Operation::new("Take in a phone number")
            .description(
                "Adds a number that the operator's carriers bring. It may exist once in the whole \
                 installation. Country and type follow from its digits; where these do not tell the country, \
                 it must be stated.",
            )
            .body(|fields, sample| read_new(fields, sample.account, sample.now, &mut sample.rng))
    }

    /// The query that both lists have.
    fn listed(operation: Operation) -> Operation {
        let name = json!({"type": "string", "minLength": MIN_SEARCHED});
        let mut operation = operation
            .paged(DEFAULT_PAGE_SIZE)
            .sorted(SORTS)
            .query(
                "filter[phone_number]",
                json!({"type": "string"}),
                "Those that hold these digits, three at least; after + those that begin with them.",
            )
            .filter_any(
                "status",
                PhoneNumberStatus::NAMES,
                "Those in one of these states.",
            )
            .filter::<String>("tag", "Those with this tag.")
            .query(
                "filter[without_tags]",
                json!({"type": "string"}),
                "true: those without a tag.",
            )
            .filter::<String>("connection_id", "Those whose calls go to this connection.")
            .query(
                "filter[country_iso_alpha2]",
                json!({"type": "string"}),
                "Those of one of these countries, with commas between.",
            )
            .filter_by::<PhoneNumberType>("number_type", "eq", "Those of this type.")
            .filter::<String>("customer_reference", "Those with this reference.")
            .filter::<String>(
                "billing_group_id",
                "Those of this billing group; null: of none.",
            )
            .filter::<NumberPaymentMethod>(
                "voice.usage_payment_method",
                "Those whose calls are counted so.",
            )
            .filter::<String>("source", "Of no number: finds none.")
            .filter::<String>(
                "emergency_address_id",
                "Of no number: finds none, but null all.",
            );
        for field in ["connection_name", "voice.connection_name"] {
            operation = operation.filter::<String>(
                field,
                "Those whose connection has this name, whatever the case.",
            );
            for operator in ["contains", "starts_with", "ends_with"] {
                operation =
                    operation.query(&format!("filter[{field}][{operator}]"), name.clone(), "");
            }
        }
        operation
    }

    pub(crate) fn list() -> Operation {
        listed(Operation::new("List phone numbers"))
    }

    pub(crate) fn retrieve() -> Operation {
        Operation::new("Retrieve a phone number")
    }

    pub(crate) fn update() -> Operation {
        Operation::new("Update a phone number")
            .description(
                "What is not sent stays as it is. An empty connection_id takes the number from its \
                 connection.",
            )
            .body(|fields, sample| {
                let mut number = request::example(sample.account, sample.now, &mut sample.rng);
                read_change(fields, &mut number)
            })
    }

    pub(crate) fn delete() -> Operation {
        Operation::new("Delete a phone number")
            .description("A locked one stays. Answers with what was deleted.")
            .may_fail(StatusCode::UNPROCESSABLE_ENTITY)
    }

    pub(crate) fn list_voice() -> Operation {
        listed(Operation::new(
            "List phone numbers with their voice settings",
        ))
    }

    pub(crate) fn retrieve_voice() -> Operation {
        Operation::new("Retrieve the voice settings of a phone number")
    }

    pub(crate) fn update_voice() -> Operation {
        Operation::new("Update the voice settings of a phone number")
            .description("What is not sent stays as it is; objects are merged.")
            .body(|fields, sample| {
                let mut number = request::example(sample.account, sample.now, &mut sample.rng);
                read_voice_change(fields, &mut number)
            })
    }
}

pub(crate) async fn create(
    caller: Caller,
    once: Once,
    State(api): State<Api>,
    JsonObject(body): JsonObject,
) -> Result<Made<Created<Detailed>>, ApiError> {
    let now = api.now();
    let show = |made| Created(Detailed::new(made));
    once.create(&api, caller.account, &body, show, async |store| {
        let new = fields::read(&body, |fields| {
            api.with_generator(|rng| read_new(fields, caller.account, now, rng))
        })?;
        Ok(store.insert_phone_number(new).await?)
    })
    .await
}

pub(crate) async fn list(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<List<Detailed>, ApiError> {
    listed(&api, caller, &query, Detailed::new).await
}

pub(crate) async fn list_voice(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<List<WithVoiceSettings>, ApiError> {
    listed(&api, caller, &query, WithVoiceSettings::new).await
}

async fn listed<T>(
    api: &Api,
    caller: Caller,
    query: &Query,
    show: impl Fn(PhoneNumber) -> T,
) -> Result<List<T>, ApiError> {
    let page = PageRequest::read(query, DEFAULT_PAGE_SIZE)?;
    let order = read_sort(query, SORTS)?
        .map_or_else(PhoneNumberOrder::default, |(by, descending)| {
            PhoneNumberOrder { by, descending }
        });
    let Some(filter) = read_filter(query)? else {
        return Ok(List {
            data: Vec::new(),
            meta: page.meta(0),
        });
    };
    let found = api
        .store()
        .list_phone_numbers(caller.account, filter, order, page.into())
        .await?;
    Ok(List {
        meta: page.meta(found.total),
        data: found.items.into_iter().map(show).collect(),
    })
}

/// Reads the filters of a list; nothing where no number can meet them.
fn read_filter(query: &Query) -> Result<Option<PhoneNumberFilter>, ApiError> {
    let name_of = |field| read_name(query, field).transpose();
    let connection = query.filter("connection_id").map(str::parse);
    let billing_group = query.filter("billing_group_id").map(|text| match text {
        "null" => Ok(None),
        id => id.parse().map(Some),
    });
    let emergency = query.filter("emergency_address_id");
    let never = matches!(connection, Some(Err(_)))
        || matches!(billing_group, Some(Err(_)))
        // Nothing here was bought or ported, and nothing has an emergency address.
        || query.filter("source").is_some()
        || emergency.is_some_and(|text| text != "null")
        || !read_status(query)?;
    let filter = PhoneNumberFilter {
        phone_number: query.filter("phone_number").map(read_digits).transpose()?,
        tag: query.filter("tag").map(str::to_owned),
        without_tags: query.filter("without_tags") == Some("true"),
        connection: connection.and_then(Result::ok),
        connection_name: name_of("voice.connection_name")
            .or_else(|| name_of("connection_name"))
            .transpose()?,
        countries: query
            .filter("country_iso_alpha2")
            .map(|text| text.split(',').filter_map(Country::from_alpha2).collect()),
        kind: query.filter_word("number_type")?,
        customer_reference: query.filter("customer_reference").map(str::to_owned),
        billing_group: billing_group.and_then(Result::ok),
        usage_payment_method: query.filter_word("voice.usage_payment_method")?,
    };
    Ok((!never).then_some(filter))
}

/// Tells whether active numbers are among those asked for.
fn read_status(query: &Query) -> Result<bool, ApiError> {
    let asked = query.filter_words("status")?;
    Ok(asked.is_none_or(|asked| asked.contains(&PhoneNumberStatus::Active)))
}

fn read_digits(text: &str) -> Result<String, ApiError> {
    if text.chars().filter(char::is_ascii_digit).count() < MIN_SEARCHED {
        return Err(too_short("filter[phone_number]", "digits"));
    }
    Ok(text.to_owned())
}

fn read_name(query: &Query, field: &str) -> Result<Option<NameMatch>, ApiError> {
    if let Some(text) = query.filter(field) {
        return Ok(Some(NameMatch::Equals(text.to_owned())));
    }
    type Matched = fn(String) -> NameMatch;
    let operators: [(&str, Matched); 3] = [
        ("contains", NameMatch::Contains),
        ("starts_with", NameMatch::StartsWith),
        ("ends_with", NameMatch::EndsWith),
    ];
    for (operator, matched) in operators {
        if let Some(text) = query.filter_by(field, operator) {
            if text.chars().count() < MIN_SEARCHED {
                return Err(too_short(
                    &format!("filter[{field}][{operator}]"),
                    "characters",
                ));
            }
            return Ok(Some(matched(text.to_owned())));
        }
    }
    Ok(None)
}

fn too_short(parameter: &str, of_what: &str) -> ApiError {
    ApiError::InvalidQuery {
        place: Place::Parameter(parameter.to_owned().into()),
        detail: format!("{parameter} needs at least {MIN_SEARCHED} {of_what}."),
    }
}

pub(crate) async fn retrieve(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<PhoneNumberId>,
) -> Result<Data<Detailed>, ApiError> {
    let found = api.store().phone_number(caller.account, id).await?;
    Ok(Data {
        data: Detailed::new(found.ok_or(ApiError::NotFound)?),
    })
}

pub(crate) async fn retrieve_voice(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<PhoneNumberId>,
) -> Result<Data<WithVoiceSettings>, ApiError> {
    let found = api.store().phone_number(caller.account, id).await?;
    Ok(Data {
        data: WithVoiceSettings::new(found.ok_or(ApiError::NotFound)?),
    })
}

pub(crate) async fn update(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<PhoneNumberId>,
    JsonObject(body): JsonObject,
) -> Result<Data<Detailed>, ApiError> {
    let changed = api
        .store()
        .update_phone_number(caller.account, id, api.now(), move |number| {
            fields::read(&body, |fields| read_change(fields, number))
        })
        .await?;
    Ok(Data {
        data: Detailed::new(changed.ok_or(ApiError::NotFound)?),
    })
}

pub(crate) async fn update_voice(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<PhoneNumberId>,
    JsonObject(body): JsonObject,
) -> Result<Data<WithVoiceSettings>, ApiError> {
    let changed = api
        .store()
        .update_phone_number(caller.account, id, api.now(), move |number| {
            fields::read(&body, |fields| read_voice_change(fields, number))
        })
        .await?;
    Ok(Data {
        data: WithVoiceSettings::new(changed.ok_or(ApiError::NotFound)?),
    })
}

pub(crate) async fn delete(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<PhoneNumberId>,
    _: IgnoredBody,
) -> Result<Data<Deleted>, ApiError> {
    let deleted = api.store().delete_phone_number(caller.account, id).await?;
    Ok(Data {
        data: Deleted::new(deleted.ok_or(ApiError::NotFound)?),
    })
}
