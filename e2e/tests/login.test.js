// Who gets in, who does not, and what each is told.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { scenario, summary } from '../harness/lab.js';
import { until } from '../harness/until.js';

const host = summary.websocket_url;

/** SDK error LOGIN_FAILED. */
const LOGIN_FAILED = 46001;

/** The server's code for a refused login; -32000 would make the SDK log in again for ever. */
const LOGIN_INCORRECT = -32001;

async function refused(phone, options) {
  await phone.connect({ host, ...options });
  const error = await phone.event('error');
  assert.equal(error.code, LOGIN_FAILED);
  assert.equal(error.fatal, true);
  const { answer } = await phone.exchange('login');
  assert.equal(answer.error.code, LOGIN_INCORRECT);
  assert.equal(phone.wire.sent('login').length, 1, 'one login, no loop');
  assert.ok(!(await phone.events()).some(({ type }) => type === 'ready'));
}

scenario('a user logs in with a token', async (lab) => {
  const phone = await lab.login(await lab.tenant.user(), 'Alice');
  const { answer } = await phone.exchange('login');
  assert.equal(answer.result.message, 'logged in');
  assert.equal((await phone.facts()).sessid, answer.result.sessid);
  const { params } = await phone.receives('telnyx_rtc.clientReady');
  assert.deepEqual(params.reattached_sessions, []);
  assert.equal(await phone.drive('isRegistered'), true);
});

scenario('a user logs in with SIP user name and password', async (lab) => {
  const { credential } = await lab.tenant.user();
  const phone = await lab.phone('Alice');
  await phone.login({ host, login: credential.sip_username, password: credential.sip_password });
});

scenario("a user logs in with the connection's own user name and password, and can be called by it", async (lab) => {
  const { connection } = await lab.tenant.user();
  const bob = await lab.phone('Bob');
  await bob.login({ host, login: connection.user_name, password: connection.password });
  const alice = await lab.login(await lab.tenant.user(), 'Alice');
  await lab.talk(alice, bob, connection.user_name);
});

scenario('the ready credentials of the summary log in by token and by password', async (lab) => {
  const [first, second] = summary.accounts[0].credentials;
  const alice = await lab.phone('Alice');
  await alice.login({ host, login_token: first.token });
  const bob = await lab.phone('Bob');
  await bob.login({ host, login: second.sip_username, password: second.sip_password });
  await lab.talk(alice, bob, second.sip_username);
});

scenario('a wrong password is refused', async (lab) => {
  const { credential } = await lab.tenant.user();
  await refused(await lab.phone(), { login: credential.sip_username, password: '0'.repeat(32) });
});

scenario('an unknown user name is refused in the same words', async (lab) => {
  await refused(await lab.phone(), { login: 'gencredNobodyHasThisName', password: '0'.repeat(32) });
});

scenario('something that is no token is refused', async (lab) => {
  await refused(await lab.phone(), { login_token: 'this is not a token' });
});

scenario('a token with a changed subject is refused', async (lab) => {
  const [mine, other] = await Promise.all([lab.tenant.user(), lab.tenant.user()]);
  const [header, payload, signature] = mine.token.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url'));
  const forged = Buffer.from(JSON.stringify({ ...claims, sub: other.credential.id })).toString('base64url');
  await refused(await lab.phone(), { login_token: [header, forged, signature].join('.') });
});

scenario("a token signed with somebody else's key is refused", async (lab) => {
  const { token } = await lab.tenant.user();
  const signed = token.split('.').slice(0, 2).join('.');
  const signature = createHmac('sha512', 'a key of our own').update(signed).digest('base64url');
  await refused(await lab.phone(), { login_token: `${signed}.${signature}` });
});

scenario('a token without signature is refused', async (lab) => {
  const { token } = await lab.tenant.user();
  const header = Buffer.from(JSON.stringify({ alg: 'none', typ: 'JWT' })).toString('base64url');
  await refused(await lab.phone(), { login_token: `${header}.${token.split('.')[1]}.` });
});

scenario('an expired token is refused, as is the password of an expired credential', async (lab) => {
  const connection = await lab.tenant.connection();
  const expires_at = new Date(Date.now() + 2_500).toISOString();
  const credential = await lab.tenant.credential(connection, { expires_at });
  const token = await lab.tenant.token(credential);
  const { exp } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
  assert.ok(exp * 1000 <= Date.parse(expires_at), 'the token ends with its credential');
  await until('the credential to expire', async () => {
    const { data } = await lab.tenant.api.telephonyCredentials.retrieve(credential.id);
    return data.expired;
  });
  await refused(await lab.phone(), { login_token: token });
  await refused(await lab.phone(), { login: credential.sip_username, password: credential.sip_password });
});

scenario('the token of a deleted credential is refused', async (lab) => {
  const { credential, token } = await lab.tenant.user();
  await lab.tenant.api.telephonyCredentials.delete(credential.id);
  await refused(await lab.phone(), { login_token: token });
  await refused(await lab.phone(), { login: credential.sip_username, password: credential.sip_password });
});

scenario('after a refusal the same socket accepts a good token', async (lab) => {
  const user = await lab.tenant.user();
  const phone = await lab.phone();
  await refused(phone, { login_token: 'this is not a token' });
  await phone.drive('login', { login_token: user.token });
  await phone.event('ready');
  assert.equal(phone.wire.sockets.length, 1);
});

scenario('a token renewed on a live socket keeps session and call', async (lab) => {
  const { alice, bob, aliceUser, bobUser } = await lab.pair();
  const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
  const { sessid } = await alice.facts();
  await alice.drive('login', { login_token: await lab.tenant.token(aliceUser.credential) });
  const logins = await until('the answer to the second login', () => {
    const answers = alice.wire.sent('login').map((request) => alice.wire.answerTo(request));
    return answers.length === 2 && answers.every(Boolean) && answers;
  });
  assert.equal(logins[1].result.sessid, sessid);
  await outgoing.hears(bob);
  await outgoing.hangup();
  await incoming.endedWith('NORMAL_CLEARING', 16);
});
