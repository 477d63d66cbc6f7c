// Runs every operation with the official CLI, whose path is the argument. How a driver reports: see ../README.md.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';

const TELNYX = process.argv[2];
const FACTS = JSON.parse(process.env.RINGTRIP_SDK_FACTS);
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const NUMERIC = /^\d{18,19}$/;
const UNKNOWN = '00000000-0000-4000-8000-000000000000';

/** How long one command may take. */
const COMMAND_MS = 30_000;

const tag = randomBytes(6).toString('hex');
const ids = (list) => list.map(({ id }) => id);

/** What earlier operations made and later ones use. */
const made = {};

/** Runs a command and returns the JSON values that it printed, one a line. */
function telnyx(resource, command, flags = {}, env = {}) {
  const args = ['--format', 'jsonl', '--format-error', 'jsonl', resource, command];
  for (const [name, value] of Object.entries(flags)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      args.push(`--${name}=${typeof one === 'object' ? JSON.stringify(one) : one}`);
    }
  }
  return new Promise((resolve, reject) => {
    execFile(TELNYX, args, { env: { ...process.env, ...env }, timeout: COMMAND_MS }, (error, stdout, stderr) => {
      if (error) {
        reject(Object.assign(new Error(`${args.join(' ')}: ${stderr}${stdout}`), { exit: error.code, stdout, stderr }));
      } else {
        resolve(stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line)));
      }
    });
  });
}

/** Runs a command that prints one answer, and returns its data. */
const one = async (...args) => (await telnyx(...args))[0].data;

/** Returns the first error of a command, after checking its status and code. */
async function fails(promise, status, code) {
  const error = await promise.then(
    () => assert.fail('expected an error'),
    (reason) => reason,
  );
  assert.equal(error.exit, 1, String(error));
  assert.ok(error.stderr.includes(`: ${status} `), error.stderr);
  const [first] = JSON.parse(error.stdout).errors;
  assert.equal(first.code, code);
  return first;
}

function report(operation, result, detail) {
  console.log(JSON.stringify({ operation, result, detail }));
}

/** Runs one operation. `command` is what a person types. */
async function operation(id, command, body) {
  try {
    await body();
    report(id, 'passed', command);
  } catch (error) {
    console.error(error);
    report(id, 'failed', `${command}: ${error}`);
  }
}

const absent = (...operations) => operations.forEach((id) => report(id, 'absent', 'the CLI has no command for it'));

async function account() {
  absent('whoami.retrieve', 'account.retrieve', 'api_keys.create', 'api_keys.list', 'api_keys.update', 'api_keys.delete');
  await operation('balance.retrieve', 'balance retrieve', async () => {
    const data = await one('balance', 'retrieve');
    assert.equal(data.record_type, 'balance');
    assert.match(data.balance, /^-?\d+\.\d\d$/);
  });
}

async function profiles() {
  const resource = 'outbound-voice-profiles';
  const name = `cli ${tag}`;
  await operation('outbound_voice_profiles.create', `${resource} create`, async () => {
    made.profile = await one(resource, 'create', {
      name,
      'whitelisted-destination': ['US', 'DE'],
      'concurrent-call-limit': 7,
      'call-recording.call-recording-type': 'all',
    });
    assert.match(made.profile.id, NUMERIC);
    assert.deepEqual(made.profile.whitelisted_destinations, ['US', 'DE']);
    assert.equal(made.profile.concurrent_call_limit, 7);
    assert.equal(made.profile.call_recording.call_recording_type, 'all');
  });
  await operation('outbound_voice_profiles.retrieve', `${resource} retrieve`, async () => {
    assert.deepEqual(await one(resource, 'retrieve', { id: made.profile.id }), made.profile);
  });
  await operation('outbound_voice_profiles.list', `${resource} list`, async () => {
    assert.deepEqual(ids(await telnyx(resource, 'list', { 'filter.name': { contains: name }, sort: '-name' })), [made.profile.id]);
  });
  await operation('outbound_voice_profiles.update', `${resource} update`, async () => {
    const changed = await one(resource, 'update', { id: made.profile.id, name: `${name} changed`, enabled: false });
    assert.deepEqual([changed.name, changed.enabled], [`${name} changed`, false]);
  });
}

async function connections() {
  const resource = 'credential-connections';
  await operation('credential_connections.create', `${resource} create`, async () => {
    made.connection = await one(resource, 'create', {
      'connection-name': `cli ${tag}`,
      'user-name': `c${tag}`,
      password: `p${tag}`,
      'inbound.codecs': '["OPUS","VP8"]',
      'outbound.outbound-voice-profile-id': made.profile.id,
    });
    assert.match(made.connection.id, NUMERIC);
    assert.deepEqual(made.connection.inbound.codecs, ['OPUS', 'VP8']);
    assert.equal(made.connection.outbound.outbound_voice_profile_id, made.profile.id);
  });
  await operation('credential_connections.retrieve', `${resource} retrieve`, async () => {
    assert.deepEqual(await one(resource, 'retrieve', { id: made.connection.id }), made.connection);
  });
  await operation('credential_connections.list', `${resource} list`, async () => {
    const found = await telnyx(resource, 'list', { 'filter.connection-name': { contains: tag }, sort: 'connection_name' });
    assert.deepEqual(ids(found), [made.connection.id]);
  });
  await operation('credential_connections.update', `${resource} update`, async () => {
    const changed = await one(resource, 'update', { id: made.connection.id, 'inbound.dnis-number-format': 'sip_username', tag: ['x'] });
    assert.equal(changed.inbound.dnis_number_format, 'sip_username');
    assert.deepEqual(changed.inbound.codecs, ['OPUS', 'VP8']);
    assert.deepEqual(changed.tags, ['x']);
  });
  await operation('credential_connections.check_registration_status', `${resource}:actions check-registration-status`, async () => {
    const data = await one(`${resource}:actions`, 'check-registration-status', { id: made.connection.id });
    assert.equal(data.status, 'Not Registered');
  });
  await operation('connections.retrieve', 'connections retrieve', async () => {
    const data = await one('connections', 'retrieve', { id: made.connection.id });
    assert.deepEqual([data.record_type, data.outbound_voice_profile_id], ['credential_connection', made.profile.id]);
  });
  await operation('connections.list', 'connections list', async () => {
    assert.deepEqual(ids(await telnyx('connections', 'list', { 'filter.connection-name': { contains: tag } })), [made.connection.id]);
  });
  await operation('connections.list_active_calls', 'connections list-active-calls', async () => {
    const calls = await telnyx('connections', 'list-active-calls', { 'connection-id': FACTS.live.connection_id });
    assert.equal(calls.length, 1);
    assert.match(calls[0].call_leg_id, UUID);
  });
}

async function credentials() {
  const resource = 'telephony-credentials';
  const label = `tag ${tag} + & %`;
  await operation('telephony_credentials.create', `${resource} create`, async () => {
    made.credential = await one(resource, 'create', { 'connection-id': made.connection.id, name: 'Front desk', tag: label });
    assert.match(made.credential.id, UUID);
    assert.equal(made.credential.record_type, 'credential');
    assert.equal(made.credential.user_id, FACTS.user_id);
  });
  await operation('telephony_credentials.retrieve', `${resource} retrieve`, async () => {
    assert.deepEqual(await one(resource, 'retrieve', { id: made.credential.id }), made.credential);
  });
  await operation('telephony_credentials.list', `${resource} list`, async () => {
    for (const flags of [{ 'filter.tag': label }, { 'filter.sip-username': made.credential.sip_username }]) {
      assert.deepEqual(ids(await telnyx(resource, 'list', flags)), [made.credential.id]);
    }
  });
  await operation('telephony_credentials.update', `${resource} update`, async () => {
    assert.equal((await one(resource, 'update', { id: made.credential.id, name: 'Back office' })).name, 'Back office');
  });
  absent(...['create_token', 'activate', 'deactivate', 'list_tags'].map((verb) => `telephony_credentials.${verb}`));
}

async function numbers() {
  // The CLI imports no numbers, so one comes by a plain request.
  absent('phone_numbers.create');
  const phone_number = `+1312${randomInt(2_000_000, 10_000_000)}`;
  const response = await fetch(`${process.env.TELNYX_BASE_URL}/phone_numbers`, {
    method: 'POST',
    headers: { authorization: `Bearer ${process.env.TELNYX_API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ phone_number }),
  });
  const id = (await response.json()).data?.id;
  await operation('phone_numbers.retrieve', 'phone-numbers retrieve', async () => {
    assert.equal((await one('phone-numbers', 'retrieve', { id })).phone_number, phone_number);
  });
  await operation('phone_numbers.update', 'phone-numbers update', async () => {
    const changed = await one('phone-numbers', 'update', { 'phone-number-id': id, 'connection-id': made.connection.id, tag: ['desk'] });
    assert.equal(changed.connection_id, made.connection.id);
    assert.deepEqual(changed.tags, ['desk']);
  });
  await operation('phone_numbers.list', 'phone-numbers list', async () => {
    const found = await telnyx('phone-numbers', 'list', { 'filter.connection-id': made.connection.id, 'filter.tag': 'desk' });
    assert.deepEqual(ids(found), [id]);
  });
  await operation('phone_numbers.voice.retrieve', 'phone-numbers:voice retrieve', async () => {
    assert.equal((await one('phone-numbers:voice', 'retrieve', { id })).record_type, 'voice_settings');
  });
  await operation('phone_numbers.voice.update', 'phone-numbers:voice update', async () => {
    const changed = await one('phone-numbers:voice', 'update', { id, 'inbound-call-screening': 'flag_calls' });
    assert.equal(changed.inbound_call_screening, 'flag_calls');
  });
  await operation('phone_numbers.voice.list', 'phone-numbers:voice list', async () => {
    assert.deepEqual(ids(await telnyx('phone-numbers:voice', 'list', { 'filter.phone-number': phone_number.slice(1) })), [id]);
  });
  await operation('phone_numbers.delete', 'phone-numbers delete', async () => {
    assert.equal((await one('phone-numbers', 'delete', { id })).id, id);
    await fails(telnyx('phone-numbers', 'retrieve', { id }), 404, '10005');
  });
}

async function push() {
  const resource = 'mobile-push-credentials';
  const alias = `cli ${tag}`;
  const { project_account_json_file } = FACTS.push;
  await operation('mobile_push_credentials.create', `${resource} create`, async () => {
    const request = { type: 'android', alias, project_account_json_file };
    made.push = await one(resource, 'create', { 'create-mobile-push-credential-request': request });
    assert.match(made.push.id, UUID);
  });
  await operation('mobile_push_credentials.retrieve', `${resource} retrieve`, async () => {
    assert.deepEqual(await one(resource, 'retrieve', { 'push-credential-id': made.push.id }), made.push);
  });
  await operation('mobile_push_credentials.list', `${resource} list`, async () => {
    assert.deepEqual(ids(await telnyx(resource, 'list', { 'filter.alias': alias })), [made.push.id]);
  });
  await operation('mobile_push_credentials.delete', `${resource} delete`, async () => {
    await telnyx(resource, 'delete', { 'push-credential-id': made.push.id });
    await fails(telnyx(resource, 'retrieve', { 'push-credential-id': made.push.id }), 404, '10005');
  });
}

async function history() {
  const { connection_id, call_id, leg_id } = FACTS.ended;
  await operation('detail_records.list', 'detail-records list', async () => {
    const records = await telnyx('detail-records', 'list', { 'filter.record-type': 'webrtc', 'filter.date-range': 'today' });
    assert.ok(records.some((record) => record.connection_id === connection_id));
  });
  await operation('call_events.list', 'call-events list', async () => {
    const events = await telnyx('call-events', 'list', { 'filter.leg-id': leg_id });
    assert.ok(events.some(({ name }) => name === 'call.hangup'));
  });
  await operation('voice_sdk_call_reports.list', 'voice-sdk-call-reports list', async () => {
    const reports = await telnyx('voice-sdk-call-reports', 'list', { sort: 'desc' });
    assert.ok(reports.some((one) => one.call_id === call_id));
  });
  await operation('voice_sdk_call_reports.retrieve', 'voice-sdk-call-reports retrieve', async () => {
    const printed = await telnyx('voice-sdk-call-reports', 'retrieve', { 'call-id': call_id });
    assert.equal(printed.flat()[0].call_id, call_id);
  });
  await operation('webhook_deliveries.list', 'webhook-deliveries list', async () => {
    const found = await telnyx('webhook-deliveries', 'list', { 'filter.event-type': 'call.hangup', 'filter.status': { eq: 'delivered' } });
    made.delivery = found.find(({ webhook }) => webhook.payload.connection_id === connection_id);
    assert.ok(made.delivery, 'the end of the call was delivered');
  });
  await operation('webhook_deliveries.retrieve', 'webhook-deliveries retrieve', async () => {
    assert.deepEqual(await one('webhook-deliveries', 'retrieve', { id: made.delivery.id }), made.delivery);
  });
  await operation('sip_registration_status.retrieve', 'sip-registration-status retrieve', async () => {
    const username = made.credential.sip_username;
    const [status] = await telnyx('sip-registration-status', 'retrieve', { 'credential-type': 'telephony_credential', username });
    assert.deepEqual([status.registered, status.credential_username], [false, username]);
  });
}

async function anything() {
  absent(...['create', 'list', 'retrieve', 'update', 'delete'].map((verb) => `trunks.${verb}`));
  await operation('any.environment', 'telnyx', async () => {
    assert.equal((await telnyx('telephony-credentials', 'list', { 'max-items': 1 })).length, 1);
  });
  await operation('any.base_url', 'TELNYX_BASE_URL', async () => {
    const slashed = { TELNYX_BASE_URL: `${process.env.TELNYX_BASE_URL}/` };
    const [answer] = await telnyx('telephony-credentials', 'retrieve', { id: made.credential.id }, slashed);
    assert.equal(answer.data.id, made.credential.id);
  });
  await operation('any.auto_paging', 'list --page-size', async () => {
    const wanted = [];
    for (let i = 0; i < 3; i += 1) {
      wanted.push((await one('telephony-credentials', 'create', { 'connection-id': made.connection.id, tag: `page ${tag}` })).id);
    }
    const found = await telnyx('telephony-credentials', 'list', { 'filter.tag': `page ${tag}`, 'page-size': 1 });
    assert.deepEqual(ids(found).sort(), wanted.sort());
  });
  await operation('any.unauthorized', 'exit code 1', async () => {
    await fails(telnyx('telephony-credentials', 'list', {}, { TELNYX_API_KEY: FACTS.unknown_key }), 401, '10009');
  });
  await operation('any.unprocessable', 'exit code 1', async () => {
    const error = await fails(telnyx('telephony-credentials', 'create', { 'connection-id': '1' }), 422, '10017');
    assert.equal(error.source.pointer, '/connection_id');
  });
  await operation('any.not_found', 'exit code 1', async () => {
    await fails(telnyx('telephony-credentials', 'retrieve', { id: UNKNOWN }), 404, '10005');
  });
}

async function removals() {
  for (const [resource, found] of [
    ['telephony-credentials', made.credential],
    ['credential-connections', made.connection],
    ['outbound-voice-profiles', made.profile],
  ]) {
    await operation(`${resource.replaceAll('-', '_')}.delete`, `${resource} delete`, async () => {
      assert.equal((await one(resource, 'delete', { id: found.id })).id, found.id);
      await fails(telnyx(resource, 'retrieve', { id: found.id }), 404, '10005');
    });
  }
}

const version = await new Promise((resolve, reject) => {
  execFile(TELNYX, ['--version'], (error, stdout) => (error ? reject(error) : resolve(stdout.trim().split(' ').at(-1))));
});
console.log(JSON.stringify({ sdk: `telnyx-cli ${version}` }));
for (const part of [account, profiles, connections, credentials, numbers, push, history, anything, removals]) {
  await part();
}
