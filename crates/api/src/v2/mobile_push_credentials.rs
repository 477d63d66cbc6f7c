//! `/v2/mobile_push_credentials`: what Apple's and Google's push services want to see before they wake a
//! telephone. Kept and checked; nothing is pushed yet.

use axum::extract::State;
use axum::http::StatusCode;
use ringtrip_model::{
    AccountId, FieldErrorKind, FieldErrors, Generator, MAX_LABEL_CHARS, MAX_PUSH_MATERIAL_BYTES,
    MobilePushCredential, MobilePushCredentialId, NewMobilePushCredential, PushMaterial,
    PushPlatform, Secret, Timestamp,
};
use ringtrip_store::MobilePushCredentialFilter;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::PathId;
use crate::Api;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::fields::{self, Fields, Limit, Sent};
use crate::json::{IgnoredBody, JsonObject};
use crate::once::{Made, Once};
use crate::operation::Operation;
use crate::page::PageRequest;
use crate::query::Query;
use crate::respond::{Data, List, NoContent, Text, Word};

/// Rows on a page unless asked otherwise.
const DEFAULT_PAGE_SIZE: u32 = 20;

/// A push credential as it is shown, its secrets in clear. What the other platform has is empty.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PushCredential")]
pub(crate) struct Credential {
    id: Text<MobilePushCredentialId>,
    #[schemars(extend("const" = "push_credential"))]
    record_type: &'static str,
    alias: String,
    #[serde(rename = "type")]
    platform: Word<PushPlatform>,
    certificate: String,
    private_key: String,
    project_account_json_file: Map<String, Value>,
    created_at: Text<Timestamp>,
    updated_at: Text<Timestamp>,
}

impl Credential {
    fn new(credential: MobilePushCredential) -> Self {
        let platform = Word(credential.material.platform());
        let (certificate, private_key, project_account_json_file) = match credential.material {
            PushMaterial::Ios {
                certificate,
                private_key,
            } => (
                certificate.expose().clone(),
                private_key.expose().clone(),
                Map::new(),
            ),
            PushMaterial::Android {
                project_account_json_file,
            } => (
                String::new(),
                String::new(),
                serde_json::from_str(project_account_json_file.expose())
                    .expect("it was an object when it was taken in"),
            ),
        };
        Self {
            id: Text(credential.id),
            record_type: "push_credential",
            alias: credential.alias,
            platform,
            certificate,
            private_key,
            project_account_json_file,
            created_at: Text(credential.created_at),
            updated_at: Text(credential.updated_at),
        }
    }
}

/// Reads a new push credential.
fn read_new(
    fields: &mut Fields<'_>,
    account: AccountId,
    now: Timestamp,
    rng: &mut Generator,
) -> Result<NewMobilePushCredential, FieldErrors> {
    for key in ["certificate", "private_key"] {
        fields.limit(key, Limit::Chars(0, MAX_PUSH_MATERIAL_BYTES));
    }
    fields.limit("alias", Limit::Chars(1, MAX_LABEL_CHARS));
    let alias = text(fields.get("alias"));
    let certificate = Secret::new(text(fields.get("certificate")));
    let private_key = Secret::new(text(fields.get("private_key")));
    let file = fields.get::<Map<String, Value>>("project_account_json_file");
    match fields.get("type") {
        Sent::Value(PushPlatform::Ios) => {
            NewMobilePushCredential::ios(account, alias, certificate, private_key, now, rng)
        }
        Sent::Value(PushPlatform::Android) => {
            let file = match &file {
                Sent::Value(file) => Some(file),
                Sent::Absent | Sent::Null | Sent::Refused => None,
            };
            NewMobilePushCredential::android(account, alias, file, now, rng)
        }
        sent @ (Sent::Absent | Sent::Null | Sent::Refused) => {
            if sent != Sent::Refused {
                fields.missing("type");
            }
            // What is wrong whichever platform it is for.
            let read =
                NewMobilePushCredential::ios(account, alias, certificate, private_key, now, rng);
            let mut faults = read.err().map_or(Vec::new(), |faults| faults.0);
            faults
                .retain(|fault| fault.kind != FieldErrorKind::Missing || fault.pointer == "/alias");
            Err(FieldErrors(faults))
        }
    }
}

/// Takes a text; what is no text is missing, if it has not been refused already.
fn text(sent: Sent<String>) -> String {
    match sent {
        Sent::Value(text) => text,
        Sent::Absent | Sent::Null | Sent::Refused => String::new(),
    }
}

pub(crate) mod operations {
    use super::{DEFAULT_PAGE_SIZE, Operation, PushPlatform, StatusCode, read_new};

    pub(crate) fn create() -> Operation {
        Operation::new("Create a mobile push credential")
            .description(
                "For ios: certificate and private_key, in PEM. For android: project_account_json_file, a \
                 service account file. A connection uses it once its ios_push_credential_id or \
                 android_push_credential_id names it.",
            )
            .body(|fields, sample| read_new(fields, sample.account, sample.now, &mut sample.rng))
    }

    pub(crate) fn list() -> Operation {
        Operation::new("List mobile push credentials")
            .paged(DEFAULT_PAGE_SIZE)
            .filter::<String>("alias", "The one with this alias.")
            .filter::<PushPlatform>("type", "Those of this platform.")
    }

    pub(crate) fn retrieve() -> Operation {
        Operation::new("Retrieve a mobile push credential")
    }

    pub(crate) fn delete() -> Operation {
        Operation::new("Delete a mobile push credential")
            .description("One that a connection uses stays.")
            .may_fail(StatusCode::UNPROCESSABLE_ENTITY)
    }
}

pub(crate) async fn create(
    caller: Caller,
    once: Once,
    State(api): State<Api>,
    JsonObject(body): JsonObject,
) -> Result<Made<Data<Credential>>, ApiError> {
    let now = api.now();
    let show = |made| Data {
        data: Credential::new(made),
    };
    once.create(&api, caller.account, &body, show, async |store| {
        let new = fields::read(&body, |fields| {
            api.with_generator(|rng| read_new(fields, caller.account, now, rng))
        })?;
        Ok(store.insert_mobile_push_credential(new).await?)
    })
    .await
}

pub(crate) async fn list(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<List<Credential>, ApiError> {
    let page = PageRequest::read(&query, DEFAULT_PAGE_SIZE)?;
    let filter = MobilePushCredentialFilter {
        alias: query.filter("alias").map(str::to_owned),
        platform: query.filter_word("type")?,
    };
    let found = api
        .store()
        .list_mobile_push_credentials(caller.account, filter, page.into())
        .await?;
    Ok(List {
        meta: page.meta(found.total),
        data: found.items.into_iter().map(Credential::new).collect(),
    })
}

pub(crate) async fn retrieve(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<MobilePushCredentialId>,
) -> Result<Data<Credential>, ApiError> {
    let found = api
        .store()
        .mobile_push_credential(caller.account, id)
        .await?;
    Ok(Data {
        data: Credential::new(found.ok_or(ApiError::NotFound)?),
    })
}

pub(crate) async fn delete(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<MobilePushCredentialId>,
    _: IgnoredBody,
) -> Result<NoContent, ApiError> {
    let deleted = api
        .store()
        .delete_mobile_push_credential(caller.account, id)
        .await?;
    deleted.map(|_| NoContent).ok_or(ApiError::NotFound)
}
