// Runs every operation with the official Node SDK. How a driver reports: see ../README.md.

import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import Telnyx from 'telnyx';
import { VERSION } from 'telnyx/version';

const FACTS = JSON.parse(process.env.RINGTRIP_SDK_FACTS);
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const NUMERIC = /^\d{18,19}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Both settings come from the environment: this is all that a program of a customer's changes. */
const api = new Telnyx();

const unique = () => randomBytes(6).toString('hex');
const number = () => `+1312${randomInt(2_000_000, 10_000_000)}`;
const ids = (list) => list.map(({ id }) => id);

/** Collects what the SDK's auto-paging yields. */
async function all(pages) {
  const items = [];
  for await (const item of pages) {
    items.push(item);
    assert.ok(items.length <= 10_000, 'the paging does not end');
  }
  return items;
}

/** Returns the first error of a rejection, after checking its class, status and code. */
async function fails(promise, kind, status, code) {
  const error = await promise.then(
    () => assert.fail(`expected ${kind.name}`),
    (reason) => reason,
  );
  assert.ok(error instanceof kind, `expected ${kind.name}, got ${error}`);
  assert.equal(error.status, status);
  const [first] = error.error.errors;
  assert.equal(first.code, code, JSON.stringify(error.error));
  assert.ok(first.title && first.detail, 'an error has a title and a detail');
  return first;
}

function report(operation, result, detail) {
  console.log(JSON.stringify({ operation, result, detail }));
}

/** Runs one operation. `method` is the SDK's own name for it. */
async function operation(id, method, body, result = 'passed') {
  try {
    await body();
    report(id, result, method);
  } catch (error) {
    console.error(error);
    report(id, 'failed', `${method}: ${error}`);
  }
}

/** Runs an operation that the SDK has no method for, by its generic request methods. */
const generic = (id, method, body) => operation(id, method, body, 'generic');

const made = {};

async function profiles() {
  const name = `node ${unique()}`;
  await operation('outbound_voice_profiles.create', 'outboundVoiceProfiles.create', async () => {
    const { data } = await api.outboundVoiceProfiles.create({
      name,
      whitelisted_destinations: ['US', 'DE'],
      concurrent_call_limit: 7,
      daily_spend_limit: '12.50',
      daily_spend_limit_enabled: true,
      max_destination_rate: 0.25,
      tags: ['a', 'b'],
      call_recording: { call_recording_type: 'all', call_recording_channels: 'dual', call_recording_format: 'mp3' },
    });
    made.profile = data;
    assert.match(data.id, NUMERIC);
    assert.equal(data.record_type, 'outbound_voice_profile');
    assert.equal(data.name, name);
    assert.deepEqual(data.whitelisted_destinations, ['US', 'DE']);
    assert.equal(data.concurrent_call_limit, 7);
    assert.equal(data.daily_spend_limit, '12.50');
    assert.equal(data.daily_spend_limit_enabled, true);
    assert.equal(data.max_destination_rate, 0.25);
    assert.deepEqual(data.tags, ['a', 'b']);
    assert.equal(data.call_recording.call_recording_type, 'all');
    assert.equal(data.call_recording.call_recording_channels, 'dual');
    assert.equal(data.call_recording.call_recording_format, 'mp3');
    assert.deepEqual([data.traffic_type, data.service_plan, data.usage_payment_method], ['conversational', 'global', 'rate-deck']);
    assert.equal(data.enabled, true);
    assert.equal(data.connections_count, 0);
    assert.match(data.created_at, TIME);
  });
  await operation('outbound_voice_profiles.retrieve', 'outboundVoiceProfiles.retrieve', async () => {
    assert.deepEqual((await api.outboundVoiceProfiles.retrieve(made.profile.id)).data, made.profile);
  });
  await operation('outbound_voice_profiles.list', 'outboundVoiceProfiles.list', async () => {
    const twin = (await api.outboundVoiceProfiles.create({ name: `${name} twin` })).data;
    const found = await all(
      api.outboundVoiceProfiles.list({ filter: { name: { contains: name.toUpperCase() } }, sort: 'name', 'page[size]': 1 }),
    );
    assert.deepEqual(ids(found), [made.profile.id, twin.id]);
    await api.outboundVoiceProfiles.delete(twin.id);
  });
  await operation('outbound_voice_profiles.update', 'outboundVoiceProfiles.update', async () => {
    const { data } = await api.outboundVoiceProfiles.update(made.profile.id, {
      name: `${name} changed`,
      enabled: false,
      call_recording: { call_recording_format: 'wav' },
    });
    assert.equal(data.name, `${name} changed`);
    assert.equal(data.enabled, false);
    assert.equal(data.call_recording.call_recording_format, 'wav');
    assert.equal(data.call_recording.call_recording_channels, 'dual', 'nested objects are merged');
    assert.deepEqual(data.whitelisted_destinations, ['US', 'DE'], 'what is absent stays');
  });
}

async function connections() {
  const tag = unique();
  await operation('credential_connections.create', 'credentialConnections.create', async () => {
    const { data } = await api.credentialConnections.create({
      connection_name: `node ${tag}`,
      user_name: `n${tag}`,
      password: `p${tag}`,
      inbound: { codecs: ['OPUS', 'VP8'], timeout_2xx_secs: 30 },
      outbound: { localization: 'DE', outbound_voice_profile_id: made.profile?.id },
      webhook_event_url: 'https://example.com/hook',
      tags: ['a', 'b'],
      sip_uri_calling_preference: 'internal',
      noise_suppression: 'both',
    });
    made.connection = data;
    assert.match(data.id, NUMERIC);
    assert.equal(data.record_type, 'credential_connection');
    assert.equal(data.user_name, `n${tag}`);
    assert.equal(data.password, `p${tag}`, 'a password is readable');
    assert.equal(data.active, true);
    assert.equal(data.anchorsite_override, 'Latency');
    assert.equal(data.dtmf_type, 'RFC 2833');
    assert.equal(data.webhook_api_version, '1');
    assert.deepEqual(data.inbound.codecs, ['OPUS', 'VP8']);
    assert.equal(data.inbound.timeout_2xx_secs, 30);
    assert.equal(data.inbound.timeout_1xx_secs, 3);
    assert.equal(data.inbound.ani_number_format, 'E.164-national');
    assert.equal(data.inbound.sip_compact_headers_enabled, true);
    assert.equal(data.outbound.localization, 'DE');
    assert.equal(data.outbound.ani_override_type, 'always');
    assert.equal(data.outbound.outbound_voice_profile_id, made.profile?.id);
    assert.deepEqual(data.jitter_buffer, { enable_jitter_buffer: false, jitterbuffer_msec_min: 60, jitterbuffer_msec_max: 200 });
    assert.deepEqual(data.rtcp_settings, { port: 'rtp+1', capture_enabled: false, report_frequency_secs: 5 });
  });
  await operation('credential_connections.retrieve', 'credentialConnections.retrieve', async () => {
    assert.deepEqual((await api.credentialConnections.retrieve(made.connection.id)).data, made.connection);
  });
  await operation('credential_connections.list', 'credentialConnections.list', async () => {
    const more = [];
    for (const end of ['b', 'c']) {
      more.push((await api.credentialConnections.create({ connection_name: `node ${tag} ${end}`, user_name: `n${end}${tag}`, password: `p${tag}` })).data);
    }
    const found = await all(
      api.credentialConnections.list({ filter: { connection_name: { contains: tag.toUpperCase() } }, sort: 'connection_name', 'page[size]': 2 }),
    );
    assert.deepEqual(ids(found), [made.connection.id, ...ids(more)]);
    const own = await all(api.credentialConnections.list({ filter: { outbound_voice_profile_id: made.profile.id } }));
    assert.deepEqual(ids(own), [made.connection.id]);
    for (const { id } of more) {
      await api.credentialConnections.delete(id);
    }
  });
  await operation('credential_connections.update', 'credentialConnections.update', async () => {
    const { data } = await api.credentialConnections.update(made.connection.id, {
      inbound: { dnis_number_format: 'sip_username' },
      tags: ['c'],
      webhook_event_url: null,
    });
    assert.equal(data.inbound.dnis_number_format, 'sip_username');
    assert.deepEqual(data.inbound.codecs, ['OPUS', 'VP8'], 'nested objects are merged');
    assert.deepEqual(data.tags, ['c'], 'arrays are replaced');
    assert.equal(data.webhook_event_url, null);
    assert.equal(data.outbound.localization, 'DE');
  });
  await operation('credential_connections.check_registration_status', 'credentialConnections.actions.checkRegistrationStatus', async () => {
    const { data } = await api.credentialConnections.actions.checkRegistrationStatus(made.connection.id);
    assert.equal(data.record_type, 'registration_status');
    assert.equal(data.status, 'Not Registered');
    assert.equal(data.sip_username, made.connection.user_name);
    assert.equal(data.last_registration, null);
  });
  await operation('connections.retrieve', 'connections.retrieve', async () => {
    const { data } = await api.connections.retrieve(made.connection.id);
    assert.equal(data.id, made.connection.id);
    assert.equal(data.record_type, 'credential_connection');
    assert.equal(data.connection_name, made.connection.connection_name);
    assert.equal(data.outbound_voice_profile_id, made.profile.id, 'the profile is at the top level');
  });
  await operation('connections.list', 'connections.list', async () => {
    const found = await all(api.connections.list({ filter: { connection_name: { contains: tag } }, sort: 'connection_name' }));
    assert.deepEqual(ids(found), [made.connection.id]);
    const all_ = await all(api.connections.list({ 'page[size]': 2 }));
    assert.ok(ids(all_).includes(made.connection.id));
    assert.equal(new Set(ids(all_)).size, all_.length);
  });
  await operation('connections.list_active_calls', 'connections.listActiveCalls', async () => {
    const calls = await all(api.connections.listActiveCalls(FACTS.live.connection_id));
    assert.equal(calls.length, 1);
    const [call] = calls;
    assert.equal(call.record_type, 'call');
    assert.match(call.call_leg_id, UUID);
    assert.match(call.call_session_id, UUID);
    assert.ok(call.call_control_id);
    assert.ok(Number.isInteger(call.call_duration));
    assert.deepEqual(await all(api.connections.listActiveCalls(made.connection.id)), []);
  });
}

async function credentials() {
  const tag = `tag ${unique()} + & %`;
  await operation('telephony_credentials.create', 'telephonyCredentials.create', async () => {
    const { data } = await api.telephonyCredentials.create({ connection_id: made.connection.id, name: 'Front desk', tag });
    made.credential = data;
    assert.match(data.id, UUID);
    assert.equal(data.record_type, 'credential');
    assert.equal(data.name, 'Front desk');
    assert.equal(data.resource_id, `connection:${made.connection.id}`);
    assert.equal(data.expired, false);
    assert.equal(data.expires_at, null);
    assert.equal(data.user_id, FACTS.user_id);
    assert.match(data.sip_username, /^gencred[A-Za-z0-9]{42}$/);
    assert.match(data.sip_password, /^[0-9a-f]{32}$/);
    assert.match(data.created_at, TIME);
    assert.match(data.updated_at, TIME);
    assert.ok(!('tag' in data), 'a tag is never returned');
  });
  await operation('telephony_credentials.retrieve', 'telephonyCredentials.retrieve', async () => {
    assert.deepEqual((await api.telephonyCredentials.retrieve(made.credential.id)).data, made.credential);
  });
  await operation('telephony_credentials.list', 'telephonyCredentials.list', async () => {
    const { id, sip_username } = made.credential;
    for (const filter of [
      { tag },
      { sip_username },
      { tag, name: 'Front desk', status: 'active' },
      { resource_id: `connection:${made.connection.id}` },
    ]) {
      assert.deepEqual(ids(await all(api.telephonyCredentials.list({ filter }))), [id], JSON.stringify(filter));
    }
    assert.deepEqual(await all(api.telephonyCredentials.list({ filter: { tag, status: 'expired' } })), []);
  });
  await operation('telephony_credentials.update', 'telephonyCredentials.update', async () => {
    const { id, sip_username, sip_password, created_at } = made.credential;
    const { data } = await api.telephonyCredentials.update(id, { name: 'Back office', expires_at: '2099-01-02T03:04:05+02:00' });
    assert.equal(data.name, 'Back office');
    assert.equal(data.expires_at, '2099-01-02T01:04:05.000Z', 'offsets are converted to UTC');
    assert.deepEqual([data.sip_username, data.sip_password, data.created_at], [sip_username, sip_password, created_at]);
    assert.equal((await api.telephonyCredentials.update(id, {})).data.name, 'Back office', 'an empty update changes nothing');
  });
  await operation('telephony_credentials.create_token', 'telephonyCredentials.createToken', async () => {
    const token = await api.telephonyCredentials.createToken(made.credential.id);
    const parts = token.split('.');
    assert.equal(parts.length, 3);
    const [header, claims] = parts.slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
    assert.deepEqual(header, { alg: 'HS512', typ: 'JWT' });
    assert.equal(claims.sub, made.credential.id);
    assert.equal(claims.exp - claims.iat, 86_400);
    assert.notEqual(token, await api.telephonyCredentials.createToken(made.credential.id), 'each token is its own');
  });
  await generic('telephony_credentials.deactivate', 'client.post', async () => {
    const { data } = await api.post(`/telephony_credentials/${made.credential.id}/actions/deactivate`);
    assert.equal(data.id, made.credential.id);
    await api.telephonyCredentials.createToken(made.credential.id).then(
      () => assert.fail('an inactive credential makes no token'),
      (error) => assert.ok(error instanceof Telnyx.APIError && error.status < 500, String(error)),
    );
  });
  await generic('telephony_credentials.activate', 'client.post', async () => {
    const { data } = await api.post(`/telephony_credentials/${made.credential.id}/actions/activate`);
    assert.equal(data.id, made.credential.id);
    assert.ok(await api.telephonyCredentials.createToken(made.credential.id));
  });
  await generic('telephony_credentials.list_tags', 'client.get', async () => {
    const { data, meta } = await api.get('/telephony_credentials/tags', { query: { 'page[size]': 250 } });
    assert.deepEqual(data.find((row) => row.tag === tag), { tag, amount: 1 });
    assert.equal(meta.page_number, 1);
  });
}

async function numbers() {
  const phone_number = number();
  await generic('phone_numbers.create', 'client.post', async () => {
    const { data } = await api.post('/phone_numbers', { body: { phone_number } });
    made.number = data;
    assert.match(data.id, NUMERIC);
    assert.equal(data.record_type, 'phone_number');
    assert.equal(data.phone_number, phone_number);
    assert.equal(data.country_iso_alpha2, 'US');
    assert.equal(data.status, 'active');
  });
  await operation('phone_numbers.retrieve', 'phoneNumbers.retrieve', async () => {
    assert.deepEqual((await api.phoneNumbers.retrieve(made.number.id)).data, made.number);
  });
  await operation('phone_numbers.update', 'phoneNumbers.update', async () => {
    const { id } = made.number;
    const { data } = await api.phoneNumbers.update(id, { connection_id: made.connection.id, tags: ['desk'], customer_reference: 'ref 1', external_pin: '1234' });
    assert.equal(data.connection_id, made.connection.id);
    assert.equal(data.connection_name, made.connection.connection_name);
    assert.deepEqual(data.tags, ['desk']);
    assert.equal(data.customer_reference, 'ref 1');
    assert.equal(data.external_pin, '1234');
    const off = (await api.phoneNumbers.update(id, { connection_id: '' })).data;
    assert.ok(!off.connection_id, 'an empty connection_id takes the number off its connection');
    await api.phoneNumbers.update(id, { connection_id: made.connection.id });
  });
  await operation('phone_numbers.list', 'phoneNumbers.list', async () => {
    const digits = phone_number.slice(1);
    for (const filter of [{ phone_number: digits }, { connection_id: made.connection.id }, { phone_number: digits, tag: 'desk', status: 'active' }]) {
      assert.deepEqual(ids(await all(api.phoneNumbers.list({ filter, sort: 'phone_number' }))), [made.number.id], JSON.stringify(filter));
    }
  });
  await operation('phone_numbers.voice.retrieve', 'phoneNumbers.voice.retrieve', async () => {
    const { data } = await api.phoneNumbers.voice.retrieve(made.number.id);
    assert.equal(data.record_type, 'voice_settings');
    assert.equal(data.id, made.number.id);
    assert.equal(data.phone_number, phone_number);
    assert.equal(data.connection_id, made.connection.id);
    assert.equal(data.tech_prefix_enabled, false);
  });
  await operation('phone_numbers.voice.update', 'phoneNumbers.voice.update', async () => {
    const forwards_to = number();
    const { data } = await api.phoneNumbers.voice.update(made.number.id, {
      call_forwarding: { call_forwarding_enabled: true, forwards_to, forwarding_type: 'on-failure' },
      inbound_call_screening: 'flag_calls',
    });
    assert.deepEqual(data.call_forwarding, { call_forwarding_enabled: true, forwards_to, forwarding_type: 'on-failure' });
    assert.equal(data.inbound_call_screening, 'flag_calls');
    const next = await api.phoneNumbers.voice.update(made.number.id, { call_forwarding: { call_forwarding_enabled: false } });
    assert.equal(next.data.call_forwarding.forwards_to, forwards_to, 'nested objects are merged');
  });
  await operation('phone_numbers.voice.list', 'phoneNumbers.voice.list', async () => {
    const found = await all(api.phoneNumbers.voice.list({ filter: { phone_number: phone_number.slice(1) } }));
    assert.deepEqual(ids(found), [made.number.id]);
  });
  await operation('phone_numbers.delete', 'phoneNumbers.delete', async () => {
    assert.equal((await api.phoneNumbers.delete(made.number.id)).data.id, made.number.id);
    await fails(api.phoneNumbers.retrieve(made.number.id), Telnyx.NotFoundError, 404, '10005');
  });
}

async function push() {
  const alias = `node ${unique()}`;
  await operation('mobile_push_credentials.create', 'mobilePushCredentials.create', async () => {
    const { data: ios } = await api.mobilePushCredentials.create({
      createMobilePushCredentialRequest: { type: 'ios', alias, certificate: FACTS.push.certificate, private_key: FACTS.push.private_key },
    });
    made.ios = ios;
    assert.match(ios.id, UUID);
    assert.equal(ios.type, 'ios');
    assert.equal(ios.alias, alias);
    assert.equal(ios.certificate, FACTS.push.certificate);
    const { data: android } = await api.mobilePushCredentials.create({
      createMobilePushCredentialRequest: { type: 'android', alias: `${alias} 2`, project_account_json_file: FACTS.push.project_account_json_file },
    });
    made.android = android;
    assert.equal(android.type, 'android');
    assert.equal(android.project_account_json_file.project_id, FACTS.push.project_account_json_file.project_id);
  });
  await operation('mobile_push_credentials.retrieve', 'mobilePushCredentials.retrieve', async () => {
    assert.deepEqual((await api.mobilePushCredentials.retrieve(made.ios.id)).data, made.ios);
  });
  await operation('mobile_push_credentials.list', 'mobilePushCredentials.list', async () => {
    assert.deepEqual(await all(api.mobilePushCredentials.list({ filter: { alias } })), [made.ios]);
    assert.deepEqual(await all(api.mobilePushCredentials.list({ filter: { alias, type: 'android' } })), []);
    const found = ids(await all(api.mobilePushCredentials.list({ 'page[size]': 1 })));
    assert.ok(found.includes(made.ios.id) && found.includes(made.android.id), 'both are in the whole list');
  });
  await operation('mobile_push_credentials.delete', 'mobilePushCredentials.delete', async () => {
    for (const { id } of [made.ios, made.android]) {
      await api.mobilePushCredentials.delete(id);
      await fails(api.mobilePushCredentials.retrieve(id), Telnyx.NotFoundError, 404, '10005');
    }
  });
}

async function history() {
  await operation('detail_records.list', 'detailRecords.list', async () => {
    const records = await all(api.detailRecords.list({ filter: { record_type: 'webrtc', date_range: 'today' }, 'page[size]': 2 }));
    const record = records.find(({ connection_id }) => connection_id === FACTS.ended.connection_id);
    assert.ok(record, 'the ended call has a record');
    assert.equal(record.record_type, 'webrtc_detail_record');
    assert.equal(record.auth_username, FACTS.ended.sip_username);
    assert.equal(record.direction, 'outbound');
    assert.ok(record.started_at <= record.finished_at);
  });
  await operation('call_events.list', 'callEvents.list', async () => {
    const events = await all(api.callEvents.list({ filter: { leg_id: FACTS.ended.leg_id } }));
    assert.ok(events.length > 0, 'the ended call has events');
    for (const event of events) {
      assert.equal(event.record_type, 'call_event');
      assert.equal(event.call_leg_id, FACTS.ended.leg_id);
      assert.match(event.event_timestamp, /^\d{4}-/);
    }
    assert.ok(events.some(({ name }) => name === 'call.hangup'), events.map(({ name }) => name).join());
  });
  await operation('voice_sdk_call_reports.list', 'voiceSDKCallReports.list', async () => {
    const reports = await all(api.voiceSDKCallReports.list({ sort: 'desc', 'page[size]': 1 }));
    assert.ok(reports.some(({ call_id }) => call_id === FACTS.ended.call_id), 'the ended call has a report');
  });
  await operation('voice_sdk_call_reports.retrieve', 'voiceSDKCallReports.retrieve', async () => {
    const reports = await api.voiceSDKCallReports.retrieve(FACTS.ended.call_id);
    assert.ok(Array.isArray(reports) && reports.length > 0, 'a bare array');
    assert.equal(reports[0].call_id, FACTS.ended.call_id);
  });
  await operation('webhook_deliveries.list', 'webhookDeliveries.list', async () => {
    const deliveries = await all(api.webhookDeliveries.list({ filter: { event_type: 'call.hangup', status: { eq: 'delivered' } } }));
    made.delivery = deliveries.find(({ webhook }) => webhook.payload.connection_id === FACTS.ended.connection_id);
    assert.ok(made.delivery, 'the end of the call was delivered');
    assert.equal(made.delivery.record_type, 'webhook_delivery');
    assert.equal(made.delivery.webhook.event_type, 'call.hangup');
    assert.equal(made.delivery.attempts[0].http.request.url, FACTS.ended.webhook_url);
    assert.equal(made.delivery.attempts[0].http.response.status, 200);
  });
  await operation('webhook_deliveries.retrieve', 'webhookDeliveries.retrieve', async () => {
    assert.deepEqual((await api.webhookDeliveries.retrieve(made.delivery.id)).data, made.delivery);
  });
  await generic('sip_registration_status.retrieve', 'client.get', async () => {
    const query = { credential_type: 'telephony_credential', username: made.credential.sip_username };
    const status = await api.get('/sip_registration_status', { query });
    assert.equal(status.registered, false);
    assert.equal(status.credential_username, made.credential.sip_username);
    assert.equal(status.connection_id, made.connection.id);
  });
}

async function account() {
  await generic('whoami.retrieve', 'client.get', async () => {
    const { data } = await api.get('/whoami');
    assert.equal(data.user_id, FACTS.user_id);
    assert.ok(data.organization_id && data.email);
  });
  await operation('balance.retrieve', 'balance.retrieve', async () => {
    const { data } = await api.balance.retrieve();
    assert.equal(data.record_type, 'balance');
    assert.match(data.currency, /^[A-Z]{3}$/);
    for (const name of ['balance', 'credit_limit', 'available_credit', 'pending']) {
      assert.match(data[name], /^-?\d+\.\d\d$/, name);
    }
  });
  await generic('account.retrieve', 'client.get', async () => {
    const { data } = await api.get('/account');
    assert.equal(data.id, FACTS.user_id);
  });
  const name = `node ${unique()}`;
  await generic('api_keys.create', 'client.post', async () => {
    const { data } = await api.post('/api_keys', { body: { name } });
    made.key = data;
    assert.match(data.api_key, /^KEY[0-9A-F]{32}_[A-Za-z0-9]{22}$/);
    assert.equal(data.name, name);
    const other = new Telnyx({ apiKey: data.api_key });
    assert.equal((await other.get('/whoami')).data.user_id, FACTS.user_id);
  });
  await generic('api_keys.list', 'client.get', async () => {
    const { data } = await api.get('/api_keys', { query: { 'page[size]': 250 } });
    const row = data.find(({ id }) => id === made.key.id);
    assert.equal(row.name, name);
    assert.ok(!row.api_key, 'a key is shown once');
  });
  await generic('api_keys.update', 'client.patch', async () => {
    const { data } = await api.patch(`/api_keys/${made.key.id}`, { body: { name: `${name} renamed` } });
    assert.equal(data.name, `${name} renamed`);
  });
  await generic('api_keys.delete', 'client.delete', async () => {
    await api.delete(`/api_keys/${made.key.id}`);
    await fails(new Telnyx({ apiKey: made.key.api_key }).balance.retrieve(), Telnyx.AuthenticationError, 401, '10009');
  });
}

async function trunks() {
  const name = `node ${unique()}`;
  await generic('trunks.create', 'client.post', async () => {
    const { data } = await api.post('/trunks', { body: { name, host: 'sip.carrier.example', transport: 'udp' } });
    made.trunk = data;
    assert.equal(data.record_type, 'trunk');
    assert.equal(data.name, name);
    assert.equal(data.host, 'sip.carrier.example');
  });
  await generic('trunks.retrieve', 'client.get', async () => {
    assert.equal((await api.get(`/trunks/${made.trunk.id}`)).data.name, name);
  });
  await generic('trunks.list', 'client.get', async () => {
    const { data, meta } = await api.get('/trunks', { query: { 'page[size]': 250 } });
    assert.ok(ids(data).includes(made.trunk.id));
    assert.equal(meta.page_number, 1);
  });
  await generic('trunks.update', 'client.patch', async () => {
    assert.equal((await api.patch(`/trunks/${made.trunk.id}`, { body: { priority: 7 } })).data.priority, 7);
  });
  await generic('trunks.delete', 'client.delete', async () => {
    assert.equal((await api.delete(`/trunks/${made.trunk.id}`)).data.id, made.trunk.id);
    await fails(api.get(`/trunks/${made.trunk.id}`), Telnyx.NotFoundError, 404, '10005');
  });
}

async function anything() {
  await operation('any.environment', 'new Telnyx()', async () => {
    assert.equal((await api.telephonyCredentials.list()).meta.page_number, 1);
  });
  await operation('any.base_url', 'new Telnyx({ baseURL })', async () => {
    const base = process.env.TELNYX_BASE_URL;
    for (const baseURL of [`${base}/`, base.replace(/\/v2$/, '//v2')]) {
      const slashed = new Telnyx({ baseURL });
      assert.equal((await slashed.telephonyCredentials.retrieve(made.credential.id)).data.id, made.credential.id);
    }
  });
  await operation('any.auto_paging', 'for await', async () => {
    const tag = unique();
    const wanted = [];
    for (let i = 0; i < 7; i += 1) {
      wanted.push((await api.telephonyCredentials.create({ connection_id: made.connection.id, tag })).data.id);
    }
    const page = await api.telephonyCredentials.list({ filter: { tag }, 'page[size]': 3 });
    assert.deepEqual([page.meta.page_number, page.meta.page_size, page.meta.total_pages, page.meta.total_results], [1, 3, 3, 7]);
    assert.equal(page.data.length, 3);
    assert.deepEqual(ids(await all(page)).sort(), wanted.sort());
    const past = await api.telephonyCredentials.list({ filter: { tag }, 'page[size]': 3, 'page[number]': 9 });
    assert.deepEqual([past.data.length, past.meta.total_results], [0, 7]);
  });
  await operation('any.unauthorized', 'AuthenticationError', async () => {
    const stranger = new Telnyx({ apiKey: FACTS.unknown_key });
    await fails(stranger.telephonyCredentials.list(), Telnyx.AuthenticationError, 401, '10009');
  });
  await operation('any.unprocessable', 'UnprocessableEntityError', async () => {
    const missing = await fails(api.telephonyCredentials.create({}), Telnyx.UnprocessableEntityError, 422, '10004');
    assert.equal(missing.source.pointer, '/connection_id');
    const unknown = await fails(api.telephonyCredentials.create({ connection_id: '1' }), Telnyx.UnprocessableEntityError, 422, '10017');
    assert.equal(unknown.source.pointer, '/connection_id');
    const past = { connection_id: made.connection.id, expires_at: '2001-01-01T00:00:00Z' };
    const late = await fails(api.telephonyCredentials.create(past), Telnyx.UnprocessableEntityError, 422, '10015');
    assert.equal(late.source.pointer, '/expires_at');
    const twin = { connection_name: 'twin', user_name: made.connection.user_name.toUpperCase(), password: 'password1' };
    const taken = await fails(api.credentialConnections.create(twin), Telnyx.UnprocessableEntityError, 422, '10012');
    assert.equal(taken.source.pointer, '/user_name');
  });
  await operation('any.not_found', 'NotFoundError', async () => {
    await fails(api.telephonyCredentials.retrieve('00000000-0000-4000-8000-000000000000'), Telnyx.NotFoundError, 404, '10005');
    await fails(api.get('/no_such_thing'), Telnyx.NotFoundError, 404, '10005');
  });
}

async function removals() {
  await operation('telephony_credentials.delete', 'telephonyCredentials.delete', async () => {
    const { id } = made.credential;
    assert.equal((await api.telephonyCredentials.delete(id)).data.id, id);
    await fails(api.telephonyCredentials.retrieve(id), Telnyx.NotFoundError, 404, '10005');
    await fails(api.telephonyCredentials.delete(id), Telnyx.NotFoundError, 404, '10005');
    await fails(api.telephonyCredentials.createToken(id), Telnyx.NotFoundError, 404, '10005');
  });
  await operation('credential_connections.delete', 'credentialConnections.delete', async () => {
    const { data: credential } = await api.telephonyCredentials.create({ connection_id: made.connection.id });
    assert.equal((await api.credentialConnections.delete(made.connection.id)).data.id, made.connection.id);
    await fails(api.credentialConnections.retrieve(made.connection.id), Telnyx.NotFoundError, 404, '10005');
    await fails(api.telephonyCredentials.retrieve(credential.id), Telnyx.NotFoundError, 404, '10005');
  });
  await operation('outbound_voice_profiles.delete', 'outboundVoiceProfiles.delete', async () => {
    assert.equal((await api.outboundVoiceProfiles.delete(made.profile.id)).data.id, made.profile.id);
    await fails(api.outboundVoiceProfiles.retrieve(made.profile.id), Telnyx.NotFoundError, 404, '10005');
  });
}

console.log(JSON.stringify({ sdk: `telnyx ${VERSION}` }));
for (const part of [account, profiles, connections, credentials, numbers, push, history, trunks, anything, removals]) {
  await part();
}
