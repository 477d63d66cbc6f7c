//! `/v2/account`: the account that a key belongs to.

use axum::extract::State;
use ringtrip_model::{Account, AccountId, FieldErrors, MAX_LABEL_CHARS, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::to_the_end;
use crate::Api;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::fields::{self, Fields, Limit, Sent};
use crate::json::JsonObject;
use crate::operation::Operation;
use crate::respond::{Data, Text};

/// An account as it is shown.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Account")]
pub(crate) struct OwnAccount {
    #[schemars(extend("const" = "account"))]
    record_type: &'static str,
    id: Text<AccountId>,
    email: String,
    organization_name: String,
    created_at: Text<Timestamp>,
    updated_at: Text<Timestamp>,
}

impl From<Account> for OwnAccount {
    fn from(account: Account) -> Self {
        Self {
            record_type: "account",
            id: Text(account.id),
            email: account.email,
            organization_name: account.organization_name,
            created_at: Text(account.created_at),
            updated_at: Text(account.updated_at),
        }
    }
}

/// Reads what an account is to be called, if that is to change.
fn read_patch(fields: &mut Fields<'_>) -> Result<Option<String>, FieldErrors> {
    fields.limit("organization_name", Limit::Chars(1, MAX_LABEL_CHARS));
    match fields.get::<String>("organization_name") {
        Sent::Value(name) => Account::check_organization_name(&name).map(Some),
        Sent::Null => Account::check_organization_name("").map(Some),
        Sent::Absent | Sent::Refused => Ok(None),
    }
}

pub(crate) mod operations {
    use super::{Operation, read_patch};

    pub(crate) fn retrieve() -> Operation {
        Operation::new("Retrieve the account")
    }

    pub(crate) fn update() -> Operation {
        Operation::new("Update the account")
            .description("What is not sent stays as it is.")
            .body(|fields, _| read_patch(fields))
    }
}

pub(crate) async fn retrieve(
    caller: Caller,
    State(api): State<Api>,
) -> Result<Data<OwnAccount>, ApiError> {
    let found = api.store().account(caller.account).await?;
    Ok(Data {
        data: found.ok_or(ApiError::NotFound)?.into(),
    })
}

pub(crate) async fn update(
    caller: Caller,
    State(api): State<Api>,
    JsonObject(body): JsonObject,
) -> Result<Data<OwnAccount>, ApiError> {
    let now = api.now();
    let name = fields::read(&body, read_patch)?;
    let account = to_the_end(async move {
        let store = api.store();
        Ok(match name {
            Some(name) => store.update_account(caller.account, name, now).await?,
            None => store.account(caller.account).await?,
        })
    });
    Ok(Data {
        data: account.await?.ok_or(ApiError::NotFound)?.into(),
    })
}
