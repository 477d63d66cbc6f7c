// The whole life of a credential, a token and a connection with the official Node SDK.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import Telnyx from 'telnyx';
import { scenario, summary } from '../harness/lab.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const unique = () => randomBytes(6).toString('hex');

/** Collects what the SDK's auto-paging yields. */
async function all(pages) {
  const items = [];
  for await (const item of pages) {
    items.push(item);
  }
  return items;
}

/** Returns the error a promise is rejected with, after checking class, status and the first error's code. */
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

scenario('a credential: create, retrieve, update, list, delete', async (lab) => {
  const { api, account } = lab.tenant;
  const connection = await lab.tenant.connection();
  const tag = `tag ${unique()} + & %`;

  const { data: made } = await api.telephonyCredentials.create({ connection_id: connection.id, name: 'Front desk', tag });
  assert.match(made.id, UUID);
  assert.equal(made.record_type, 'credential');
  assert.equal(made.name, 'Front desk');
  assert.equal(made.resource_id, `connection:${connection.id}`);
  assert.equal(made.expired, false);
  assert.equal(made.expires_at, null);
  assert.equal(made.user_id, account.user_id);
  assert.match(made.sip_username, /^gencred[A-Za-z0-9]{42}$/);
  assert.match(made.sip_password, /^[0-9a-f]{32}$/);
  assert.match(made.created_at, TIME);
  assert.match(made.updated_at, TIME);
  assert.ok(!('tag' in made), 'a tag is never returned');

  assert.deepEqual((await api.telephonyCredentials.retrieve(made.id)).data, made);
  assert.deepEqual(await all(api.telephonyCredentials.list({ filter: { tag } })), [made]);
  assert.deepEqual(await all(api.telephonyCredentials.list({ filter: { sip_username: made.sip_username } })), [made]);

  const expires_at = '2099-01-02T03:04:05+02:00';
  const { data: changed } = await api.telephonyCredentials.update(made.id, { name: 'Back office', expires_at });
  assert.equal(changed.name, 'Back office');
  assert.equal(changed.expires_at, '2099-01-02T01:04:05.000Z', 'offsets are converted to UTC');
  assert.equal(changed.sip_username, made.sip_username);
  assert.equal(changed.sip_password, made.sip_password);
  assert.equal(changed.created_at, made.created_at);
  assert.deepEqual((await api.telephonyCredentials.update(made.id, {})).data.name, 'Back office', 'an empty update changes nothing');

  const { data: deleted } = await api.telephonyCredentials.delete(made.id);
  assert.equal(deleted.id, made.id);
  await fails(api.telephonyCredentials.retrieve(made.id), Telnyx.NotFoundError, 404, '10005');
  await fails(api.telephonyCredentials.delete(made.id), Telnyx.NotFoundError, 404, '10005');
  await fails(api.telephonyCredentials.createToken(made.id), Telnyx.NotFoundError, 404, '10005');
});

scenario('a token is bare text, a JWT of the documented shape, and logs in', async (lab) => {
  const user = await lab.tenant.user();
  const token = await lab.tenant.token(user.credential);
  assert.equal(typeof token, 'string');
  const [header, payload] = token.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
  assert.deepEqual(header, { alg: 'HS512', typ: 'JWT' });
  assert.deepEqual(Object.keys(payload), ['aud', 'exp', 'iat', 'iss', 'jti', 'nbf', 'sub', 'tel_token', 'typ']);
  assert.equal(payload.aud, 'telnyx_telephony');
  assert.equal(payload.iss, 'telnyx_telephony');
  assert.equal(payload.exp - payload.iat, 86_400);
  assert.equal(payload.nbf, payload.iat - 1);
  assert.match(payload.jti, UUID);
  assert.equal(payload.sub, user.credential.id);
  assert.equal(payload.typ, 'access');
  assert.ok(!token.split('.')[1].match(/[-_]/), 'the browser SDK reads the payload with atob');
  assert.ok(!Buffer.from(payload.tel_token, 'base64').includes(user.credential.sip_password), 'no secret inside');
  const phone = await lab.phone();
  await phone.login({ host: summary.websocket_url, login_token: token });
  assert.ok(!(await phone.events()).some(({ type, code }) => type === 'warning' && code === 34001));
});

scenario('lists page by themselves, filter and tell honest totals', async (lab) => {
  const { api } = lab.tenant;
  const [one, two] = await Promise.all([lab.tenant.connection(), lab.tenant.connection()]);
  const tag = unique();
  const made = [];
  for (let i = 0; i < 7; i += 1) {
    made.push(await lab.tenant.credential(i < 5 ? one : two, { tag, name: `${tag} ${i % 2}` }));
  }
  const ids = (list) => list.map(({ id }) => id).sort();

  const page = await api.telephonyCredentials.list({ filter: { tag }, 'page[size]': 3 });
  assert.equal(page.data.length, 3);
  assert.deepEqual(
    [page.meta.page_number, page.meta.page_size, page.meta.total_pages, page.meta.total_results],
    [1, 3, 3, 7],
  );
  assert.deepEqual(ids(await all(api.telephonyCredentials.list({ filter: { tag }, 'page[size]': 3 }))), ids(made));
  assert.deepEqual(
    ids(await all(api.telephonyCredentials.list({ filter: { resource_id: `connection:${two.id}` } }))),
    ids(made.slice(5)),
  );
  assert.deepEqual(
    ids(await all(api.telephonyCredentials.list({ filter: { tag, name: `${tag} 1`, status: 'active' } }))),
    ids(made.filter((_, i) => i % 2)),
  );
  assert.deepEqual(await all(api.telephonyCredentials.list({ filter: { tag, status: 'expired' } })), []);
  const past = await api.telephonyCredentials.list({ filter: { tag }, 'page[size]': 3, 'page[number]': 9 });
  assert.deepEqual([past.data.length, past.meta.total_results], [0, 7]);

  const name = `e2e ${unique()}`;
  const connections = [];
  for (const end of ['a', 'b', 'c']) {
    connections.push(await lab.tenant.connection({ connection_name: `${name} ${end}` }));
  }
  const found = await all(
    api.credentialConnections.list({ filter: { connection_name: { contains: name.toUpperCase() } }, sort: 'connection_name', 'page[size]': 2 }),
  );
  assert.deepEqual(found.map(({ id }) => id), connections.map(({ id }) => id));
});

scenario('a connection: create with defaults, retrieve, merge an update, delete', async (lab) => {
  const { api } = lab.tenant;
  const tag = unique();
  const { data: made } = await api.credentialConnections.create({
    connection_name: `desk ${tag}`,
    user_name: `d${tag}`,
    password: `p${tag}`,
    inbound: { codecs: ['OPUS', 'VP8'], timeout_2xx_secs: 30 },
    outbound: { localization: 'DE' },
    webhook_event_url: 'https://example.com/hook',
    tags: ['a', 'b'],
    sip_uri_calling_preference: 'internal',
    noise_suppression: 'both',
  });
  assert.match(made.id, /^\d{18,19}$/);
  assert.equal(made.record_type, 'credential_connection');
  assert.equal(made.password, `p${tag}`, 'a password is readable');
  assert.equal(made.active, true);
  assert.equal(made.anchorsite_override, 'Latency');
  assert.equal(made.dtmf_type, 'RFC 2833');
  assert.equal(made.webhook_api_version, '1');
  assert.deepEqual(made.inbound.codecs, ['OPUS', 'VP8']);
  assert.equal(made.inbound.timeout_2xx_secs, 30);
  assert.equal(made.inbound.timeout_1xx_secs, 3);
  assert.equal(made.inbound.ani_number_format, 'E.164-national');
  assert.equal(made.inbound.sip_compact_headers_enabled, true);
  assert.equal(made.outbound.localization, 'DE');
  assert.equal(made.outbound.ani_override_type, 'always');
  assert.deepEqual(made.jitter_buffer, { enable_jitter_buffer: false, jitterbuffer_msec_min: 60, jitterbuffer_msec_max: 200 });
  assert.deepEqual(made.rtcp_settings, { port: 'rtp+1', capture_enabled: false, report_frequency_secs: 5 });
  assert.deepEqual((await api.credentialConnections.retrieve(made.id)).data, made);

  const { data: changed } = await api.credentialConnections.update(made.id, {
    inbound: { dnis_number_format: 'sip_username' },
    tags: ['c'],
    webhook_event_url: null,
  });
  assert.equal(changed.inbound.dnis_number_format, 'sip_username');
  assert.deepEqual(changed.inbound.codecs, ['OPUS', 'VP8'], 'nested objects are merged');
  assert.deepEqual(changed.tags, ['c'], 'arrays are replaced');
  assert.equal(changed.webhook_event_url, null);
  assert.equal(changed.outbound.localization, 'DE');

  const credential = await lab.tenant.credential(changed);
  const { data: deleted } = await api.credentialConnections.delete(made.id);
  assert.equal(deleted.id, made.id);
  await fails(api.credentialConnections.retrieve(made.id), Telnyx.NotFoundError, 404, '10005');
  await fails(api.telephonyCredentials.retrieve(credential.id), Telnyx.NotFoundError, 404, '10005');
});

scenario('errors arrive as the classes the SDK documents', async (lab) => {
  const { api } = lab.tenant;
  const keyless = new Telnyx({ apiKey: 'KEY00000000000000000000000000000000_0000000000000000000000', baseURL: summary.api_base });
  await fails(keyless.telephonyCredentials.list(), Telnyx.AuthenticationError, 401, '10009');

  const missing = await fails(api.telephonyCredentials.create({}), Telnyx.UnprocessableEntityError, 422, '10004');
  assert.equal(missing.source.pointer, '/connection_id');
  const unknown = await fails(api.telephonyCredentials.create({ connection_id: '1' }), Telnyx.UnprocessableEntityError, 422, '10017');
  assert.equal(unknown.source.pointer, '/connection_id');

  const connection = await lab.tenant.connection();
  const past = api.telephonyCredentials.create({ connection_id: connection.id, expires_at: '2001-01-01T00:00:00Z' });
  assert.equal((await fails(past, Telnyx.UnprocessableEntityError, 422, '10015')).source.pointer, '/expires_at');

  const twin = lab.tenant.connection({ user_name: connection.user_name.toUpperCase() });
  assert.equal((await fails(twin, Telnyx.UnprocessableEntityError, 422, '10012')).source.pointer, '/user_name');

  await fails(api.get('/no_such_thing'), Telnyx.NotFoundError, 404, '10005');
});

scenario("another tenant's things look as if they did not exist", async (lab) => {
  const [us, them] = lab.tenants;
  const { credential, connection } = await us.user();
  const { telephonyCredentials, credentialConnections } = them.api;
  await fails(telephonyCredentials.retrieve(credential.id), Telnyx.NotFoundError, 404, '10005');
  await fails(telephonyCredentials.update(credential.id, { name: 'x' }), Telnyx.NotFoundError, 404, '10005');
  await fails(telephonyCredentials.createToken(credential.id), Telnyx.NotFoundError, 404, '10005');
  await fails(telephonyCredentials.delete(credential.id), Telnyx.NotFoundError, 404, '10005');
  await fails(credentialConnections.retrieve(connection.id), Telnyx.NotFoundError, 404, '10005');
  await fails(telephonyCredentials.create({ connection_id: connection.id }), Telnyx.UnprocessableEntityError, 422, '10017');
  const list = await all(telephonyCredentials.list({ filter: { sip_username: credential.sip_username } }));
  assert.deepEqual(list, []);
  assert.equal((await us.api.telephonyCredentials.retrieve(credential.id)).data.id, credential.id);
});

scenario('the base URL works with a trailing slash and doubled slashes', async (lab) => {
  const { credential, tenant } = await lab.tenant.user();
  for (const baseURL of [`${summary.api_base}/`, summary.api_base.replace(/\/v2$/, '//v2')]) {
    const api = new Telnyx({ apiKey: tenant.account.api_key, baseURL });
    assert.equal((await api.telephonyCredentials.retrieve(credential.id)).data.id, credential.id);
  }
});

scenario('a page of another origin may call the API: the preflight allows every header the SDK sends', async () => {
  const wanted = ['authorization', 'content-type', 'x-stainless-lang', 'x-stainless-retry-count'];
  const response = await fetch(`${summary.api_base}/telephony_credentials`, {
    method: 'OPTIONS',
    headers: {
      origin: 'https://dashboard.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': wanted.join(','),
    },
  });
  assert.ok(response.ok, `status ${response.status}`);
  // A bare "*" would not cover Authorization.
  const allowed = response.headers.get('access-control-allow-headers').toLowerCase().split(/\s*,\s*/);
  assert.deepEqual(wanted.filter((name) => !allowed.includes(name)), []);
  assert.equal(response.headers.get('access-control-allow-credentials'), null);
});
