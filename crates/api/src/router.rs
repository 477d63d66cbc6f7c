//! Every route of the API, in one table.

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, patch, post};
use schemars::SchemaGenerator;

use crate::error::ApiError;
use crate::front::Front;
use crate::operation::Operation;
use crate::v2::{
    account, api_keys, audit_events, balance, call_events, connections, credential_connections,
    detail_records, mobile_push_credentials, outbound_voice_profiles, phone_numbers, public_key,
    sip_registration_status, telephony_credentials, trunks, voice_sdk_call_reports,
    webhook_deliveries, whoami,
};
use crate::{Api, audit, call_report, openapi, portal};

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Holders of an API key, for what their account owns.
    Key,
    /// Whoever knows the id that a session of ours was given for its call reports.
    CallReportId,
    /// Everyone.
    Open,
}

/// A line of the route table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path; a part in braces stands for one segment.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
}

macro_rules! routes {
    ($($register:ident $path:literal $access:ident => $module:ident::$handler:ident;)+) => {
        /// Every route there is, in the order of the resources.
        pub const ROUTES: &[Route] = &[
            $(Route { method: method_name(stringify!($register)), path: $path, access: Access::$access },)+
        ];

        fn routes() -> Router<Api> {
            let mut router = Router::new();
            $(router = router.route($path, MethodRouter::from($register($module::$handler)));)+
            router
        }

        /// Describes every route, in the order of the table: the module and the name of its handler, and the
        /// operation that the module's `operations` declares under the same name.
        pub(crate) fn operations(
            schemas: &mut SchemaGenerator,
        ) -> Vec<(Route, &'static str, &'static str, Operation)> {
            vec![$((
                Route { method: method_name(stringify!($register)), path: $path, access: Access::$access },
                stringify!($module),
                stringify!($handler),
                $module::operations::$handler().of($module::$handler, schemas),
            ),)+]
        }
    };
}

routes! {
    get    "/v2/whoami"                                  Key => whoami::retrieve;

    get    "/v2/account"                                 Key => account::retrieve;
    patch  "/v2/account"                                 Key => account::update;

    post   "/v2/api_keys"                                Key => api_keys::create;
    get    "/v2/api_keys"                                Key => api_keys::list;
    get    "/v2/api_keys/{id}"                           Key => api_keys::retrieve;
    patch  "/v2/api_keys/{id}"                           Key => api_keys::update;
    delete "/v2/api_keys/{id}"                           Key => api_keys::delete;

    get    "/v2/audit_events"                            Key => audit_events::list;

    post   "/v2/telephony_credentials"                   Key => telephony_credentials::create;
    get    "/v2/telephony_credentials"                   Key => telephony_credentials::list;
    get    "/v2/telephony_credentials/{id}"              Key => telephony_credentials::retrieve;
    patch  "/v2/telephony_credentials/{id}"              Key => telephony_credentials::update;
    delete "/v2/telephony_credentials/{id}"              Key => telephony_credentials::delete;
    post   "/v2/telephony_credentials/{id}/token"        Key => telephony_credentials::create_token;
    post   "/v2/telephony_credentials/{id}/actions/activate"
                                                         Key => telephony_credentials::activate;
    post   "/v2/telephony_credentials/{id}/actions/deactivate"
                                                         Key => telephony_credentials::deactivate;
    get    "/v2/telephony_credentials/tags"              Key => telephony_credentials::list_tags;
    get    "/v2/sip_registration_status"                 Key => sip_registration_status::retrieve;

    post   "/v2/credential_connections"                  Key => credential_connections::create;
    get    "/v2/credential_connections"                  Key => credential_connections::list;
    get    "/v2/credential_connections/{id}"             Key => credential_connections::retrieve;
    patch  "/v2/credential_connections/{id}"             Key => credential_connections::update;
    delete "/v2/credential_connections/{id}"             Key => credential_connections::delete;
    post   "/v2/credential_connections/{id}/actions/check_registration_status"
                                                         Key => credential_connections::check_registration_status;

    get    "/v2/connections"                             Key => connections::list;
    get    "/v2/connections/{id}"                        Key => connections::retrieve;
    get    "/v2/connections/{id}/active_calls"           Key => connections::list_active_calls;

    post   "/v2/outbound_voice_profiles"                 Key => outbound_voice_profiles::create;
    get    "/v2/outbound_voice_profiles"                 Key => outbound_voice_profiles::list;
    get    "/v2/outbound_voice_profiles/{id}"            Key => outbound_voice_profiles::retrieve;
    patch  "/v2/outbound_voice_profiles/{id}"            Key => outbound_voice_profiles::update;
    delete "/v2/outbound_voice_profiles/{id}"            Key => outbound_voice_profiles::delete;

    post   "/v2/trunks"                                  Key => trunks::create;
    get    "/v2/trunks"                                  Key => trunks::list;
    get    "/v2/trunks/{id}"                             Key => trunks::retrieve;
    patch  "/v2/trunks/{id}"                             Key => trunks::update;
    delete "/v2/trunks/{id}"                             Key => trunks::delete;

    post   "/v2/phone_numbers"                           Key => phone_numbers::create;
    get    "/v2/phone_numbers"                           Key => phone_numbers::list;
    get    "/v2/phone_numbers/voice"                     Key => phone_numbers::list_voice;
    get    "/v2/phone_numbers/{id}"                      Key => phone_numbers::retrieve;
    patch  "/v2/phone_numbers/{id}"                      Key => phone_numbers::update;
    delete "/v2/phone_numbers/{id}"                      Key => phone_numbers::delete;
    get    "/v2/phone_numbers/{id}/voice"                Key => phone_numbers::retrieve_voice;
    patch  "/v2/phone_numbers/{id}/voice"                Key => phone_numbers::update_voice;

    post   "/v2/mobile_push_credentials"                 Key => mobile_push_credentials::create;
    get    "/v2/mobile_push_credentials"                 Key => mobile_push_credentials::list;
    get    "/v2/mobile_push_credentials/{id}"            Key => mobile_push_credentials::retrieve;
    delete "/v2/mobile_push_credentials/{id}"            Key => mobile_push_credentials::delete;

    get    "/v2/detail_records"                          Key => detail_records::list;

    get    "/v2/voice_sdk_call_reports"                  Key => voice_sdk_call_reports::list;
    get    "/v2/voice_sdk_call_reports/{id}"             Key => voice_sdk_call_reports::retrieve;

    get    "/v2/balance"                                 Key => balance::retrieve;

    get    "/v2/call_events"                             Key => call_events::list;

    get    "/v2/webhook_deliveries"                      Key => webhook_deliveries::list;
    get    "/v2/webhook_deliveries/{id}"                 Key => webhook_deliveries::retrieve;
    post   "/v2/webhook_deliveries/{id}/actions/resend"  Key => webhook_deliveries::resend;

    get    "/v2/public_key"                              Key => public_key::retrieve;

    post   "/call_report"                                CallReportId => call_report::create;

    get    "/openapi.json"                               Open => openapi::retrieve;
}

/// Builds the router of the whole API. It answers every path and every method, so mount it as a
/// fallback.
pub fn router(api: Api) -> Router {
    let routes = routes()
        .merge(portal::routes())
        .route_layer(from_fn_with_state(api.clone(), audit::around))
        .fallback(unknown_route)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .with_state(api.clone());
    Router::new().fallback_service(Front::new(api, routes))
}

async fn unknown_route(request: Request) -> ApiError {
    let path = request.uri().path();
    let first = path.split('/').nth(1).unwrap_or_default();
    let belongs_under_v2 = ROUTES.iter().any(|route| {
        let mut segments = route.path.split('/').skip(1);
        segments.next() == Some("v2") && segments.next() == Some(first)
    });
    let hint = belongs_under_v2.then(|| {
        format!("Every path of this API begins with /v2: /v2/{first} exists, /{first} does not.")
    });
    ApiError::UnknownRoute { hint }
}

pub(crate) const fn method_name(register: &str) -> &'static str {
    match register.as_bytes() {
        b"get" => "GET",
        b"post" => "POST",
        b"patch" => "PATCH",
        b"delete" => "DELETE",
        _ => panic!("a method that the table does not know"),
    }
}
