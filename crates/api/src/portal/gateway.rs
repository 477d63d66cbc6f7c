//! `/portal/v2/…`: every resource of `/v2`, for a person who is signed in. The request is let through as
//! one of their account, under their name, if their role allows it; what their role may not see is
//! taken out of the answer.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE};
use axum::http::uri::{PathAndQuery, Uri};
use axum::http::{HeaderValue, Method};
use axum::response::Response;
use ringtrip_model::Permission;
use serde_json::Value;

use super::access::{Channel, Member, Person, check_origin};
use crate::error::ApiError;
use crate::{Api, audit};

/// What stands before the paths of `/v2`.
const PREFIX: &str = "/portal";
/// The largest answer that something is taken out of. The largest list is one of 250 push credentials, each
/// with a certificate and a key.
const MAX_ANSWER_BYTES: usize = 256 * 1024 * 1024;
/// Resources without secrets, whose lists may be larger still and are answered as they come.
const PLAIN: [&str; 2] = ["voice_sdk_call_reports", "webhook_deliveries"];

/// What becomes of the answer to a request that was let through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passage {
    hides_secrets: bool,
}

/// Returns what it takes to call a route of `/v2`.
fn needed(method: &Method, path: &str) -> Permission {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let resource = path.split('/').nth(2).unwrap_or_default();
    match (resource, reads) {
        ("api_keys", _) => Permission::ManageKeys,
        ("audit_events", _) => Permission::ReadAudit,
        ("account" | "trunks", false) => Permission::ManageAccount,
        (_, true) => Permission::ReadResources,
        (_, false) => Permission::WriteResources,
    }
}

/// Lets a request of `/portal/v2/…` through to `/v2/…`; nothing is changed about any other one.
pub(crate) async fn enter(
    api: &Api,
    request: Request,
) -> Result<(Request, Option<Passage>), ApiError> {
    let Some(path) = request.uri().path().strip_prefix(PREFIX) else {
        return Ok((request, None));
    };
    if !path.starts_with("/v2/") {
        return Ok((request, None));
    }
    let needed = needed(request.method(), path);
    let (mut parts, body) = request.into_parts();
    let channel = Channel::of(&parts).map_err(ApiError::Portal)?;
    check_origin(&parts, channel).map_err(ApiError::Portal)?;
    let person = Person::identify(&parts, channel, api).await?;
    if let Err(refusal) = person.require(needed) {
        let (account, actor) = (person.user.account, person.actor());
        audit::refused(api, account, actor, &parts);
        return Err(refusal);
    }
    parts.uri = without_prefix(&parts.uri);
    // The person is known; nothing else in the request says who asks.
    parts.headers.remove(AUTHORIZATION);
    parts.headers.remove(COOKIE);
    parts.extensions.insert(Member {
        account: person.user.account,
        actor: person.actor(),
    });
    let resource = parts.uri.path().split('/').nth(2).unwrap_or_default();
    let passage = Passage {
        hides_secrets: !person.user.role.may(Permission::ReadSecrets) && !PLAIN.contains(&resource),
    };
    Ok((Request::from_parts(parts, body), Some(passage)))
}

fn without_prefix(uri: &Uri) -> Uri {
    let whole = uri.path_and_query().map_or("", PathAndQuery::as_str);
    let rest = whole.strip_prefix(PREFIX).unwrap_or(whole);
    rest.parse()
        .expect("what is left of a path at one of its slashes is a path")
}

impl Passage {
    /// Takes out of an answer what the person may not see.
    pub(crate) async fn leave(self, response: Response) -> Result<Response, ApiError> {
        if !self.hides_secrets {
            return Ok(response);
        }
        let (mut parts, body) = response.into_parts();
        if parts.headers.get(CONTENT_TYPE) != Some(&HeaderValue::from_static("application/json")) {
            return Ok(Response::from_parts(parts, body));
        }
        let bytes = to_bytes(body, MAX_ANSWER_BYTES)
            .await
            .map_err(|_| ApiError::Panicked)?;
        let Ok(mut answer) = serde_json::from_slice::<Value>(&bytes) else {
            return Err(ApiError::Panicked);
        };
        hide_secrets(&mut answer);
        parts.headers.remove(CONTENT_LENGTH);
        Ok(Response::from_parts(parts, Body::from(answer.to_string())))
    }
}

/// Tells by its name whether a field is secret.
fn is_secret(key: &str) -> bool {
    key.ends_with("password")
        || key.ends_with("secret")
        || key.ends_with("private_key")
        || key.ends_with("token")
        || key == "project_account_json_file"
}

fn hide_secrets(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                if is_secret(key) {
                    *value = Value::Null;
                } else {
                    hide_secrets(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide_secrets),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_route_takes_follows_from_its_resource_and_method() {
        for (method, path, expected) in [
            (
                Method::GET,
                "/v2/telephony_credentials",
                Permission::ReadResources,
            ),
            (
                Method::POST,
                "/v2/telephony_credentials/x/token",
                Permission::WriteResources,
            ),
            (
                Method::DELETE,
                "/v2/something_new/x",
                Permission::WriteResources,
            ),
            (
                Method::PUT,
                "/v2/something_new/x",
                Permission::WriteResources,
            ),
            (Method::GET, "/v2/api_keys", Permission::ManageKeys),
            (Method::POST, "/v2/api_keys", Permission::ManageKeys),
            (Method::GET, "/v2/audit_events", Permission::ReadAudit),
            (Method::GET, "/v2/account", Permission::ReadResources),
            (Method::PATCH, "/v2/account", Permission::ManageAccount),
            (Method::GET, "/v2/trunks", Permission::ReadResources),
            (Method::POST, "/v2/trunks", Permission::ManageAccount),
        ] {
            assert_eq!(needed(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let mut answer = json!({"data": [
            {"sip_username": "x", "sip_password": "y", "nested": {"private_key": "z", "tags": ["password"]}},
            {"password": "y", "user_name": "w", "webhook_secret": "s"},
        ]});
        hide_secrets(&mut answer);
        assert_eq!(
            answer,
            json!({"data": [
                {"sip_username": "x", "sip_password": null, "nested": {"private_key": null, "tags": ["password"]}},
                {"password": null, "user_name": "w", "webhook_secret": null},
            ]})
        );
    }

    #[test]
    fn the_rest_of_the_address_stays() {
        for (uri, expected) in [
            ("/portal/v2/whoami", "/v2/whoami"),
            (
                "/portal/v2/x?filter[a]=%20b&page_size=1",
                "/v2/x?filter[a]=%20b&page_size=1",
            ),
        ] {
            assert_eq!(without_prefix(&uri.parse().unwrap()), expected);
        }
    }
}
