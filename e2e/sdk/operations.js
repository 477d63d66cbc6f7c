// The operations that every SDK is asked to run, in the order of the table in docs/compatibility.md.

/** What each operation asks for: a request, or a sentence that must hold. */
const resources = {
  'Telephony credentials': {
    'telephony_credentials.create': 'POST /v2/telephony_credentials',
    'telephony_credentials.list': 'GET /v2/telephony_credentials',
    'telephony_credentials.retrieve': 'GET /v2/telephony_credentials/{id}',
    'telephony_credentials.update': 'PATCH /v2/telephony_credentials/{id}',
    'telephony_credentials.delete': 'DELETE /v2/telephony_credentials/{id}',
    'telephony_credentials.create_token': 'POST /v2/telephony_credentials/{id}/token',
    'telephony_credentials.activate': 'POST /v2/telephony_credentials/{id}/actions/activate',
    'telephony_credentials.deactivate': 'POST /v2/telephony_credentials/{id}/actions/deactivate',
    'telephony_credentials.list_tags': 'GET /v2/telephony_credentials/tags',
  },
  'Credential connections': {
    'credential_connections.create': 'POST /v2/credential_connections',
    'credential_connections.list': 'GET /v2/credential_connections',
    'credential_connections.retrieve': 'GET /v2/credential_connections/{id}',
    'credential_connections.update': 'PATCH /v2/credential_connections/{id}',
    'credential_connections.delete': 'DELETE /v2/credential_connections/{id}',
    'credential_connections.check_registration_status': 'POST /v2/credential_connections/{id}/actions/check_registration_status',
  },
  Connections: {
    'connections.list': 'GET /v2/connections',
    'connections.retrieve': 'GET /v2/connections/{id}',
    'connections.list_active_calls': 'GET /v2/connections/{id}/active_calls',
  },
  'Outbound voice profiles': {
    'outbound_voice_profiles.create': 'POST /v2/outbound_voice_profiles',
    'outbound_voice_profiles.list': 'GET /v2/outbound_voice_profiles',
    'outbound_voice_profiles.retrieve': 'GET /v2/outbound_voice_profiles/{id}',
    'outbound_voice_profiles.update': 'PATCH /v2/outbound_voice_profiles/{id}',
    'outbound_voice_profiles.delete': 'DELETE /v2/outbound_voice_profiles/{id}',
  },
  'Phone numbers': {
    'phone_numbers.create': 'POST /v2/phone_numbers',
    'phone_numbers.list': 'GET /v2/phone_numbers',
    'phone_numbers.retrieve': 'GET /v2/phone_numbers/{id}',
    'phone_numbers.update': 'PATCH /v2/phone_numbers/{id}',
    'phone_numbers.delete': 'DELETE /v2/phone_numbers/{id}',
    'phone_numbers.voice.list': 'GET /v2/phone_numbers/voice',
    'phone_numbers.voice.retrieve': 'GET /v2/phone_numbers/{id}/voice',
    'phone_numbers.voice.update': 'PATCH /v2/phone_numbers/{id}/voice',
  },
  'Mobile push credentials': {
    'mobile_push_credentials.create': 'POST /v2/mobile_push_credentials',
    'mobile_push_credentials.list': 'GET /v2/mobile_push_credentials',
    'mobile_push_credentials.retrieve': 'GET /v2/mobile_push_credentials/{id}',
    'mobile_push_credentials.delete': 'DELETE /v2/mobile_push_credentials/{id}',
  },
  'What happened': {
    'detail_records.list': 'GET /v2/detail_records',
    'call_events.list': 'GET /v2/call_events',
    'voice_sdk_call_reports.list': 'GET /v2/voice_sdk_call_reports',
    'voice_sdk_call_reports.retrieve': 'GET /v2/voice_sdk_call_reports/{call_id}',
    'webhook_deliveries.list': 'GET /v2/webhook_deliveries',
    'webhook_deliveries.retrieve': 'GET /v2/webhook_deliveries/{id}',
    'sip_registration_status.retrieve': 'GET /v2/sip_registration_status',
  },
  'The account': {
    'whoami.retrieve': 'GET /v2/whoami',
    'balance.retrieve': 'GET /v2/balance',
    'account.retrieve': 'GET /v2/account',
    'api_keys.create': 'POST /v2/api_keys',
    'api_keys.list': 'GET /v2/api_keys',
    'api_keys.update': 'PATCH /v2/api_keys/{id}',
    'api_keys.delete': 'DELETE /v2/api_keys/{id}',
  },
  Trunks: {
    'trunks.create': 'POST /v2/trunks',
    'trunks.list': 'GET /v2/trunks',
    'trunks.retrieve': 'GET /v2/trunks/{id}',
    'trunks.update': 'PATCH /v2/trunks/{id}',
    'trunks.delete': 'DELETE /v2/trunks/{id}',
  },
  'Whatever the resource': {
    'any.environment': 'the key and the base URL come from the environment alone',
    'any.base_url': 'the base URL may end in a slash',
    'any.auto_paging': "the SDK's own paging reads every page once, and ends",
    'any.unauthorized': 'a key that does not exist is a 401 with code 10009',
    'any.not_found': 'an id that does not exist is a 404 with code 10005',
    'any.unprocessable': 'a value that is refused is a 422 with its code and a pointer to it',
  },
};

/** Every operation: `{ id, group, what }`. */
export const OPERATIONS = Object.entries(resources).flatMap(([group, operations]) =>
  Object.entries(operations).map(([id, what]) => ({ id, group, what })),
);
