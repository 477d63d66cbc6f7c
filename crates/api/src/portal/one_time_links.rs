//! `/portal/links`: what a link that works once is for, before it is used. The token comes in a body, so
//! that it stands in no log.

use axum::extract::State;
use ringtrip_model::{PlainToken, Timestamp};
use ringtrip_store::OneTimeLink;
use serde::Serialize;

use super::refusal::PortalRefusal;
use crate::Api;
use crate::error::ApiError;
use crate::fields::{Fields, Sent, check};
use crate::json::JsonObject;
use crate::respond::{Data, Text};

/// What a link is for.
#[derive(Debug, Serialize)]
pub(crate) struct Link {
    record_type: &'static str,
    purpose: &'static str,
    email: Option<String>,
    organization_name: Option<String>,
    role: Option<&'static str>,
    expires_at: Option<Text<Timestamp>>,
}

pub(crate) async fn look_up(
    State(api): State<Api>,
    JsonObject(body): JsonObject,
) -> Result<Data<Link>, ApiError> {
    let mut faults = Vec::new();
    let sent = Fields::new(&body, &mut faults).get::<String>("token");
    check(faults, Ok(()))?;
    let token = match sent {
        Sent::Value(text) => PlainToken::parse(&text),
        Sent::Absent | Sent::Null | Sent::Refused => None,
    };
    let dead_link = || ApiError::Portal(PortalRefusal::DeadLink);
    let (token, now) = (token.ok_or_else(dead_link)?.hashed(), api.now());
    let nothing = Link {
        record_type: "portal_link",
        purpose: "setup",
        email: None,
        organization_name: None,
        role: None,
        expires_at: None,
    };
    let data = match api.store().one_time_link(token, now).await? {
        Some(OneTimeLink::Setup) => nothing,
        Some(OneTimeLink::PasswordReset(user)) => Link {
            purpose: "password_reset",
            email: Some(user.email),
            ..nothing
        },
        None => {
            let found = api.store().invitation_by_token(token, now).await?;
            let invitation = found.ok_or_else(dead_link)?;
            let account = api.store().account(invitation.account).await?;
            Link {
                purpose: "invitation",
                email: Some(invitation.email),
                organization_name: account.map(|account| account.organization_name),
                role: Some(invitation.role.name()),
                expires_at: Some(Text(invitation.expires_at)),
                ..nothing
            }
        }
    };
    Ok(Data { data })
}
