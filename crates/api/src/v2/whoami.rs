//! `/v2/whoami`: whose key this is. Undocumented at Telnyx, and what many tools probe a key with.

use axum::extract::State;
use ringtrip_model::{Account, AccountId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::Api;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::operation::Operation;
use crate::respond::{Data, Text};

/// A tenant, who is user and organization in one.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Whoami")]
pub(crate) struct User {
    #[schemars(extend("const" = "whoami"))]
    record_type: &'static str,
    user_id: Text<AccountId>,
    email: String,
    organization_id: Text<AccountId>,
    organization_name: String,
    created_at: Text<Timestamp>,
    updated_at: Text<Timestamp>,
}

pub(crate) mod operations {
    use super::Operation;

    pub(crate) fn retrieve() -> Operation {
        Operation::new("Tell whose key this is")
    }
}

pub(crate) async fn retrieve(
    caller: Caller,
    State(api): State<Api>,
) -> Result<Data<User>, ApiError> {
    let account: Account = api
        .store()
        .account(caller.account)
        .await?
        .ok_or(ApiError::NotFound)?;
    Ok(Data {
        data: User {
            record_type: "whoami",
            user_id: Text(account.id),
            email: account.email,
            organization_id: Text(account.id),
            organization_name: account.organization_name,
            created_at: Text(account.created_at),
            updated_at: Text(account.updated_at),
        },
    })
}
