//! `/portal/users` and `/portal/profile`: the people of the account, and oneself.

use axum::extract::State;
use ringtrip_model::{FieldError, Role, Timestamp, User, UserId, check_user_name};
use serde::Serialize;

use super::access::Person;
use crate::Api;
use crate::error::ApiError;
use crate::fields::{Fields, Sent, check};
use crate::json::{IgnoredBody, JsonObject};
use crate::page::PageRequest;
use crate::query::Query;
use crate::respond::{Data, List, Text};
use crate::v2::{PathId, to_the_end};

/// Rows on a page unless asked otherwise.
const DEFAULT_PAGE_SIZE: u32 = 20;

/// A person of the account.
#[derive(Debug, Serialize)]
pub(crate) struct AccountUser {
    record_type: &'static str,
    id: Text<UserId>,
    email: String,
    name: String,
    role: &'static str,
    last_sign_in_at: Option<Text<Timestamp>>,
    created_at: Text<Timestamp>,
    updated_at: Text<Timestamp>,
}

impl From<User> for AccountUser {
    fn from(user: User) -> Self {
        Self {
            record_type: "user",
            id: Text(user.id),
            email: user.email,
            name: user.name,
            role: user.role.name(),
            last_sign_in_at: user.last_sign_in_at.map(Text),
            created_at: Text(user.created_at),
            updated_at: Text(user.updated_at),
        }
    }
}

/// Reads a role from a request. Without one there is a fault.
pub(crate) fn read_role(fields: &mut Fields<'_>) -> Option<Role> {
    let sent = fields.get::<Role>("role");
    match sent {
        Sent::Value(role) => Some(role),
        Sent::Absent | Sent::Null => {
            fields.missing("role");
            None
        }
        Sent::Refused => None,
    }
}

pub(crate) async fn list(
    person: Person,
    State(api): State<Api>,
    query: Query,
) -> Result<List<AccountUser>, ApiError> {
    let page = PageRequest::read(&query, DEFAULT_PAGE_SIZE)?;
    let found = api
        .store()
        .list_users(person.user.account, page.into())
        .await?;
    Ok(List {
        meta: page.meta(found.total),
        data: found.items.into_iter().map(Into::into).collect(),
    })
}

pub(crate) async fn update(
    person: Person,
    State(api): State<Api>,
    PathId(id): PathId<UserId>,
    JsonObject(body): JsonObject,
) -> Result<Data<AccountUser>, ApiError> {
    let mut faults = Vec::new();
    let role = read_role(&mut Fields::new(&body, &mut faults));
    let account = person.user.account;
    let (Some(role), true) = (role, faults.is_empty()) else {
        // Nothing can be wrong about who does not exist.
        let found = api.store().user(account, id).await?;
        return Err(found.map_or(ApiError::NotFound, |_| ApiError::Fields(faults)));
    };
    let (manager, now) = (person.user.role, api.now());
    let changed = to_the_end(async move {
        Ok(api
            .store()
            .change_role(account, id, role, manager, now)
            .await?)
    });
    Ok(Data {
        data: changed.await?.ok_or(ApiError::NotFound)?.into(),
    })
}

pub(crate) async fn delete(
    person: Person,
    State(api): State<Api>,
    PathId(id): PathId<UserId>,
    _: IgnoredBody,
) -> Result<Data<AccountUser>, ApiError> {
    let (account, manager) = (person.user.account, person.user.role);
    let deleted =
        to_the_end(async move { Ok(api.store().delete_user(account, id, manager).await?) });
    Ok(Data {
        data: deleted.await?.ok_or(ApiError::NotFound)?.into(),
    })
}

pub(crate) async fn update_own(
    person: Person,
    State(api): State<Api>,
    JsonObject(body): JsonObject,
) -> Result<Data<AccountUser>, ApiError> {
    let mut faults: Vec<FieldError> = Vec::new();
    let name = match Fields::new(&body, &mut faults).get::<String>("name") {
        Sent::Value(name) => name,
        Sent::Null => String::new(),
        Sent::Absent | Sent::Refused => person.user.name.clone(),
    };
    let name = check(faults, check_user_name(&name))?;
    let (account, id, now) = (person.user.account, person.user.id, api.now());
    let renamed =
        to_the_end(async move { Ok(api.store().rename_user(account, id, name, now).await?) });
    Ok(Data {
        data: renamed.await?.ok_or(ApiError::NotFound)?.into(),
    })
}
