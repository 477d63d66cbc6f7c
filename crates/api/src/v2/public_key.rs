//! `/v2/public_key`: the key that the signatures of an account's webhooks are verified with.

use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Api;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::operation::Operation;
use crate::respond::Data;

/// The public half of an account's key pair.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PublicKey {
    #[schemars(extend("const" = "public_key"))]
    record_type: &'static str,
    /// 32 bytes in base64: what the SDKs want as `TELNYX_PUBLIC_KEY`.
    #[schemars(regex(pattern = "^[A-Za-z0-9+/]{43}=$"))]
    public: String,
}

pub(crate) mod operations {
    use super::Operation;

    pub(crate) fn retrieve() -> Operation {
        Operation::new("Retrieve the public key that verifies webhooks").description(
            "Ed25519. A webhook's signature is over the header telnyx-timestamp, a vertical bar and the body.",
        )
    }
}

pub(crate) async fn retrieve(
    caller: Caller,
    State(api): State<Api>,
) -> Result<Data<PublicKey>, ApiError> {
    let key = api.store().webhook_key(caller.account).await?;
    Ok(Data {
        data: PublicKey {
            record_type: "public_key",
            public: key.public(),
        },
    })
}
