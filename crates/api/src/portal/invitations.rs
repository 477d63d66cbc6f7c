//! `/portal/invitations`: asking people in. No e-mail is sent: the link is shown once, to whoever
//! invites.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use ringtrip_model::{
    Invitation, InvitationId, NewInvitation, NewUser, PlainToken, Timestamp, UserId,
};
use ringtrip_store::Trail;
use serde::Serialize;

use super::access::{Channel, Person, actor, host};
use super::refusal::PortalRefusal;
use super::sessions::{Arrival, begin};
use super::sign_up::{Newcomer, both, hash};
use super::users::read_role;
use super::{Portal, SignUp};
use crate::error::ApiError;
use crate::fields::{Fields, Sent, check};
use crate::json::{IgnoredBody, JsonObject};
use crate::page::PageRequest;
use crate::query::Query;
use crate::respond::{Created, Data, List, Text};
use crate::v2::{PathId, to_the_end};
use crate::{Api, Peer};

/// Rows on a page unless asked otherwise.
const DEFAULT_PAGE_SIZE: u32 = 20;

/// An invitation that can be accepted.
#[derive(Debug, Serialize)]
pub(crate) struct OpenInvitation {
    record_type: &'static str,
    id: Text<InvitationId>,
    email: String,
    role: &'static str,
    invited_by: Option<Text<UserId>>,
    created_at: Text<Timestamp>,
    expires_at: Text<Timestamp>,
    /// The link to accept it with; shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl From<Invitation> for OpenInvitation {
    fn from(invitation: Invitation) -> Self {
        Self {
            record_type: "invitation",
            id: Text(invitation.id),
            email: invitation.email,
            role: invitation.role.name(),
            invited_by: invitation.invited_by.map(Text),
            created_at: Text(invitation.created_at),
            expires_at: Text(invitation.expires_at),
            url: None,
        }
    }
}

impl Portal {
    /// Returns the link that accepts an invitation.
    fn invitation_url(&self, token: &PlainToken, channel: Channel, host: Option<&str>) -> String {
        let base = match (&self.config.public_url, host) {
            (Some(base), _) => base.trim_end_matches('/').to_owned(),
            (None, Some(host)) => format!("{}://{host}", channel.scheme()),
            (None, None) => String::new(),
        };
        invitation_url(&base, token)
    }
}

/// Returns the link that accepts an invitation at a server that is reached at `base`. The token stands
/// behind `#`, which no browser sends.
pub fn invitation_url(base: &str, token: &PlainToken) -> String {
    format!("{base}/invitation#{}", token.expose())
}

pub(crate) async fn create(
    person: Person,
    State(api): State<Api>,
    headers: HeaderMap,
    uri: Uri,
    JsonObject(body): JsonObject,
) -> Result<Created<OpenInvitation>, ApiError> {
    if api.portal().config.sign_up == SignUp::Closed {
        return Err(ApiError::Portal(PortalRefusal::SignUpClosed));
    }
    let mut faults = Vec::new();
    let mut fields = Fields::new(&body, &mut faults);
    let role = read_role(&mut fields);
    let email = match fields.get::<String>("email") {
        Sent::Value(email) => email,
        Sent::Absent | Sent::Null | Sent::Refused => String::new(),
    };
    // Nobody is invited to a role that could not be read: the fault has been noted above.
    let role = role.unwrap_or(ringtrip_model::Role::ReadOnly);
    let (account, by, now) = (person.user.account, Some(person.user.id), api.now());
    let checked = api.with_generator(|rng| NewInvitation::new(account, &email, role, by, now, rng));
    let (new, token) = check(faults, checked)?;
    person.require(role.to_manage())?;
    let url = api
        .portal()
        .invitation_url(&token, person.channel, host(&headers, &uri));
    let invitation =
        to_the_end(async move { Ok(api.store().insert_invitation(new).await?) }).await?;
    Ok(Created(OpenInvitation {
        url: Some(url),
        ..invitation.into()
    }))
}

pub(crate) async fn list(
    person: Person,
    State(api): State<Api>,
    query: Query,
) -> Result<List<OpenInvitation>, ApiError> {
    let page = PageRequest::read(&query, DEFAULT_PAGE_SIZE)?;
    let found = api
        .store()
        .list_invitations(person.user.account, page.into(), api.now())
        .await?;
    Ok(List {
        meta: page.meta(found.total),
        data: found.items.into_iter().map(Into::into).collect(),
    })
}

pub(crate) async fn delete(
    person: Person,
    State(api): State<Api>,
    PathId(id): PathId<InvitationId>,
    _: IgnoredBody,
) -> Result<Data<OpenInvitation>, ApiError> {
    let (account, manager) = (person.user.account, person.user.role);
    let deleted =
        to_the_end(async move { Ok(api.store().delete_invitation(account, id, manager).await?) });
    Ok(Data {
        data: deleted.await?.ok_or(ApiError::NotFound)?.into(),
    })
}

pub(crate) async fn accept(
    State(api): State<Api>,
    channel: Channel,
    peer: Peer,
    headers: HeaderMap,
    body: JsonObject,
) -> Result<Response, ApiError> {
    let dead_link = || ApiError::Portal(PortalRefusal::DeadLink);
    let mut faults = Vec::new();
    let newcomer = Newcomer::read(&body, &mut faults);
    let token = newcomer.token.as_ref().ok_or_else(dead_link)?.hashed();
    let now = api.now();
    // Before a password is hashed for whoever asks.
    let found = api.store().invitation_by_token(token, now).await?;
    let invitation = found.ok_or_else(dead_link)?;
    // The operator invites whenever they like.
    if api.portal().config.sign_up == SignUp::Closed && invitation.invited_by.is_some() {
        return Err(ApiError::Portal(PortalRefusal::SignUpClosed));
    }
    let checked = api.with_generator(|rng| {
        let (account, role) = (invitation.account, invitation.role);
        NewUser::new(account, &invitation.email, &newcomer.name, role, now, rng)
    });
    let (user, password) = check(faults, both(checked, newcomer.password))?;
    Trail::identify_current(user.user().account, || actor(user.user()));
    let hashed = hash(&api, password).await?;
    let store = api.store().clone();
    let joined =
        to_the_end(async move { Ok(store.accept_invitation(token, user, hashed, now).await?) });
    let user = joined.await?.ok_or_else(dead_link)?;
    let arrival = Arrival::new(channel, peer, &headers);
    begin(api, user.id, arrival, StatusCode::CREATED).await
}
