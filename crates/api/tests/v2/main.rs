//! The REST API as its clients see it: one file for each resource, and one for each rule that holds for all.

#![recursion_limit = "256"]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod account;
mod api_keys;
mod audit_events;
mod bad_input;
mod balance;
mod browser;
mod call_events;
mod call_report;
mod connections;
mod contract;
mod credential_connections;
mod cross_origin;
mod detail_records;
mod document;
mod envelope;
mod fuzz;
mod idempotency;
mod mobile_push_credentials;
mod nonsense;
mod objects;
mod outbound_voice_profiles;
mod phone_numbers;
mod portal;
mod portal_nonsense;
mod portal_roles;
mod rate_limits;
mod route_table;
mod sdk_habits;
mod sip_registration_status;
mod support;
mod telephony_credentials;
mod trunks;
mod voice_sdk_call_reports;
mod webhook_deliveries;
mod whoami;
