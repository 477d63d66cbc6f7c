// What the API owes whoever calls it, beyond the operations that tests/sdks.test.js has every SDK run.

import assert from 'node:assert/strict';
import Telnyx from 'telnyx';
import { scenario, summary } from '../harness/lab.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

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
