//! `/v2/balance`: the figures that the operator configured. ringtrip does not bill, so they never move;
//! tools ask for them to see whether a key works.

use axum::extract::State;
use ringtrip_model::Money;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Api;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::operation::Operation;
use crate::respond::{Data, Text};

/// What an account has and owes.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UserBalance")]
pub(crate) struct Balance {
    #[schemars(extend("const" = "balance"))]
    record_type: &'static str,
    pending: Text<Money>,
    balance: Text<Money>,
    credit_limit: Text<Money>,
    available_credit: Text<Money>,
    currency: String,
}

pub(crate) mod operations {
    use super::Operation;

    pub(crate) fn retrieve() -> Operation {
        Operation::new("Retrieve the balance")
            .description("The figures that the operator configured; ringtrip does not bill.")
    }
}

pub(crate) async fn retrieve(_: Caller, State(api): State<Api>) -> Result<Data<Balance>, ApiError> {
    let billing = api.billing();
    Ok(Data {
        data: Balance {
            record_type: "balance",
            pending: Text(Money::ZERO),
            balance: Text(billing.balance),
            credit_limit: Text(billing.credit_limit),
            available_credit: Text(billing.balance + billing.credit_limit),
            currency: billing.currency.clone(),
        },
    })
}
