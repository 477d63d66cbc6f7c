//! `/v2/audit_events`: who did what in the account. The fields that Telnyx has are named as there; who
//! and from where are ours.

use axum::extract::State;
use ringtrip_model::{AccountId, Actor, AuditEvent, AuditEventId, Role, Timestamp, UserId};
use ringtrip_store::AuditEventFilter;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Place};
use crate::operation::Operation;
use crate::page::PageRequest;
use crate::query::Query;
use crate::respond::{List, Text};

/// Rows on a page unless asked otherwise.
const DEFAULT_PAGE_SIZE: u32 = 20;

/// An entry as it is shown.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuditEvent")]
pub(crate) struct Event {
    id: Text<AuditEventId>,
    #[schemars(extend("const" = "audit_event"))]
    record_type: &'static str,
    organization_id: Text<AccountId>,
    /// The person; nothing where it was a key or the operator.
    user_id: Option<Text<UserId>>,
    /// `account_owner`, `organization_member`, or `account_manager` for the operator. Who holds a key acts
    /// with all the powers of an owner.
    #[schemars(extend("enum" = ["account_owner", "organization_member", "account_manager"]))]
    change_made_by: &'static str,
    change_type: String,
    resource_type: String,
    resource_id: Option<String>,
    alternate_resource_id: Option<String>,
    /// Values are not kept, so that no secret is.
    changes: Option<Vec<String>>,
    actor: EventActor,
    source_address: Option<String>,
    #[schemars(extend("enum" = ["success", "refused"]))]
    result: &'static str,
    created_at: Text<Timestamp>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuditEventActor")]
struct EventActor {
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["api_key", "user", "operator"]))]
    kind: &'static str,
    id: Option<String>,
    /// A key's label or a person's address at that time.
    name: Option<String>,
}

impl From<AuditEvent> for Event {
    fn from(event: AuditEvent) -> Self {
        let kind = event.actor.kind();
        let (user, change_made_by, id, name) = match event.actor {
            Actor::ApiKey { id, name } => (None, "account_owner", Some(id.to_string()), Some(name)),
            Actor::User { id, email, role } => {
                let by = match role {
                    Role::Owner => "account_owner",
                    Role::Admin | Role::Developer | Role::ReadOnly => "organization_member",
                };
                (Some(id), by, Some(id.to_string()), Some(email))
            }
            Actor::Operator => (None, "account_manager", None, None),
        };
        Self {
            id: Text(event.id),
            record_type: "audit_event",
            organization_id: Text(event.account),
            user_id: user.map(Text),
            change_made_by,
            change_type: event.action,
            resource_type: event.resource_type,
            resource_id: event.resource_id,
            alternate_resource_id: None,
            changes: None,
            actor: EventActor {
                kind,
                id,
                name: name.map(|name| name.to_string()),
            },
            source_address: event.source.map(|source| source.to_string()),
            result: if event.succeeded {
                "success"
            } else {
                "refused"
            },
            created_at: Text(event.occurred_at),
        }
    }
}

pub(crate) mod operations {
    use serde_json::json;

    use super::{DEFAULT_PAGE_SIZE, Operation, Timestamp};

    pub(crate) fn list() -> Operation {
        let order = json!({"type": "string", "enum": ["asc", "desc", "created_at", "-created_at"]});
        Operation::new("List audit events")
            .description(
                "Who did what in the account: every change, every access token that was made, and of the \
                 reading of secrets one entry an hour for each reader and resource.",
            )
            .paged(DEFAULT_PAGE_SIZE)
            .query("sort", order, "By time; the newest first unless asked otherwise.")
            .filter::<Timestamp>("created_after", "Those of this instant and later.")
            .filter::<Timestamp>("created_before", "Those before this instant.")
            .filter::<String>("change_type", "Those of this action, such as create.")
            .filter::<String>("resource_type", "Those about this sort of thing.")
            .filter::<String>("resource_id", "Those about this thing.")
            .filter::<String>("actor_type", "Those of an api_key, a user or the operator.")
            .filter::<String>("actor_id", "Those of this key or person.")
            .filter::<String>("user_id", "Those of this person.")
    }
}

pub(crate) async fn list(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<List<Event>, ApiError> {
    let page = PageRequest::read(&query, DEFAULT_PAGE_SIZE)?;
    let text = |field| query.filter(field).map(str::to_owned);
    let time = |field| {
        let expected = "an ISO 8601 date with a time, such as 2026-11-21T09:30:00Z";
        query.filter_parsed(field, expected, |text| text.parse().ok())
    };
    let filter = AuditEventFilter {
        from: time("created_after")?,
        before: time("created_before")?,
        actor_type: text("actor_type"),
        actor_id: text("actor_id").or_else(|| text("user_id")),
        action: text("change_type"),
        resource_type: text("resource_type"),
        resource_id: text("resource_id"),
    };
    let oldest_first = match query.get("sort") {
        None | Some("desc" | "-created_at") => false,
        Some("asc" | "created_at") => true,
        Some(_) => {
            return Err(ApiError::InvalidQuery {
                place: Place::Pointer("/sort".into()),
                detail: "sort must be asc or desc.".to_owned(),
            });
        }
    };
    let found = api
        .store()
        .list_audit_events(caller.account, filter, oldest_first, page.into())
        .await?;
    Ok(List {
        meta: page.meta(found.total),
        data: found.items.into_iter().map(Into::into).collect(),
    })
}
