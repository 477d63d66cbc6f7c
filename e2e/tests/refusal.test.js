// Calls that do not come to an answer, and the cause each side is given.

import assert from 'node:assert/strict';
import { scenario, summary } from '../harness/lab.js';

scenario('the callee rejects: USER_BUSY at the caller', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const outgoing = await alice.call(bobUser.address);
  const incoming = await bob.rings();
  await incoming.hangup();
  const end = await outgoing.endedWith('USER_BUSY', 17);
  assert.equal(end.sipCode, 486);
});

scenario('the caller cancels while it rings: ORIGINATOR_CANCEL at the callee', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const outgoing = await alice.call(bobUser.address);
  const incoming = await bob.rings();
  await outgoing.hangup();
  const end = await incoming.endedWith('ORIGINATOR_CANCEL', 487);
  assert.equal(end.sipCode, 487);
  await outgoing.ended();
});

scenario('nobody answers in the time the connection gives: NO_ANSWER at the caller', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair({ callee: { connection: { inbound: { timeout_2xx_secs: 1 } } } });
  const outgoing = await alice.call(bobUser.address);
  const incoming = await bob.rings();
  await outgoing.endedWith('NO_ANSWER', 19);
  await incoming.ended();
});

scenario('a user name nobody has: UNALLOCATED_NUMBER', async (lab) => {
  const alice = await lab.login(await lab.tenant.user(), 'Alice');
  const outgoing = await alice.call('gencredNobodyHasThisName');
  const end = await outgoing.endedWith('UNALLOCATED_NUMBER', 1);
  assert.equal(end.sipCode, 404);
  const { answer } = await alice.exchange('telnyx_rtc.invite');
  assert.equal(answer.result.message, 'CALL CREATED', 'a refusal is a result and then a bye');
});

scenario('a user who is not connected: SUBSCRIBER_ABSENT', async (lab) => {
  const [aliceUser, bobUser] = await Promise.all([lab.tenant.user(), lab.tenant.user()]);
  const alice = await lab.login(aliceUser, 'Alice');
  const outgoing = await alice.call(bobUser.address);
  await outgoing.endedWith('SUBSCRIBER_ABSENT', 20);
});

scenario('a user who logged out is not connected any more', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  await bob.drive('disconnect');
  const outgoing = await alice.call(bobUser.address);
  await outgoing.endedWith('SUBSCRIBER_ABSENT', 20);
});

scenario('a screen share to "<user>-screen" is refused like any unknown destination', async (lab) => {
  const { alice, bobUser } = await lab.pair();
  const outgoing = await alice.call(`${bobUser.address}-screen`);
  await outgoing.endedWith('UNALLOCATED_NUMBER', 1);
});

for (const [what, destination, cause, code] of [
  ['an address in a foreign domain', 'sip:somebody@example.com', 'BEARERCAPABILITY_NOTAUTH', 57],
  ['a telephone number without a trunk', '+15550100', 'NO_ROUTE_DESTINATION', 3],
  ['something that is no address', 'sip:@', 'INVALID_NUMBER_FORMAT', 28],
]) {
  scenario(`${what}: ${cause}`, async (lab) => {
    const alice = await lab.login(await lab.tenant.user(), 'Alice');
    const outgoing = await alice.call(destination);
    await outgoing.endedWith(cause, code);
  });
}

scenario('a credential that was deleted cannot be called', async (lab) => {
  const [aliceUser, bobUser] = await Promise.all([lab.tenant.user(), lab.tenant.user()]);
  const alice = await lab.login(aliceUser, 'Alice');
  await lab.tenant.api.telephonyCredentials.delete(bobUser.credential.id);
  const outgoing = await alice.call(bobUser.address);
  await outgoing.endedWith('UNALLOCATED_NUMBER', 1);
});

scenario('a call between tenants is refused with CALL_REJECTED', async (lab) => {
  const [aliceUser, malloryUser] = await Promise.all(lab.tenants.map((tenant) => tenant.user()));
  const [alice, mallory] = await Promise.all([lab.login(aliceUser, 'Alice'), lab.login(malloryUser, 'Mallory')]);
  const outgoing = await mallory.call(aliceUser.address);
  await outgoing.endedWith('CALL_REJECTED', 21);
  assert.deepEqual(alice.wire.received('telnyx_rtc.invite'), [], 'Alice never hears of it');
});

scenario('a call between tenants goes through when the called connection is unrestricted', async (lab) => {
  const [us, them] = lab.tenants;
  const [aliceUser, malloryUser] = await Promise.all([
    us.user({ connection: { sip_uri_calling_preference: 'unrestricted' } }),
    them.user(),
  ]);
  const [alice, mallory] = await Promise.all([lab.login(aliceUser, 'Alice'), lab.login(malloryUser, 'Mallory')]);
  await lab.talk(mallory, alice, `sip:${aliceUser.address}@${new URL(summary.websocket_url).hostname}`);
});

scenario('"internal" lets the own account in and another account out', async (lab) => {
  const [us, them] = lab.tenants;
  const [bobUser, aliceUser, malloryUser] = await Promise.all([
    us.user({ connection: { sip_uri_calling_preference: 'internal' } }),
    us.user(),
    them.user(),
  ]);
  const bob = await lab.login(bobUser, 'Bob');
  const alice = await lab.login(aliceUser, 'Alice');
  const mallory = await lab.login(malloryUser, 'Mallory');
  await lab.talk(alice, bob, bobUser.address);
  const outgoing = await mallory.call(bobUser.address);
  await outgoing.endedWith('CALL_REJECTED', 21);
});
