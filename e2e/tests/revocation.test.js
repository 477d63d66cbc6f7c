// A credential that is taken away is dead at once: its calls, its sockets, its tokens.

import assert from 'node:assert/strict';
import { scenario, summary } from '../harness/lab.js';
import { until } from '../harness/until.js';

async function punted(phone) {
  await phone.receives('telnyx_rtc.punt');
  await until(`${phone.name}'s sockets to close`, () => phone.wire.sockets.every(({ open }) => !open));
  assert.equal((await phone.facts()).autoReconnect, false, 'the SDK gave up reconnecting');
}

scenario('a credential deleted in a call: the call ends on both sides, the phone is punted and stays away', async (lab) => {
  const { alice, bob, aliceUser, bobUser } = await lab.pair();
  const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
  const { data } = await lab.tenant.api.telephonyCredentials.delete(aliceUser.credential.id);
  assert.equal(data.id, aliceUser.credential.id);

  // The DELETE was answered: whoever asks now is too late.
  const late = await lab.phone('late');
  await late.connect({ host: summary.websocket_url, login_token: aliceUser.token });
  await late.event('error', ({ code }) => code === 46001);

  const end = await incoming.ended();
  assert.ok(end.cause, 'Bob is told why');
  await outgoing.ended();
  await punted(alice);
  assert.equal(alice.wire.sockets.length, 1, 'Alice never came back');

  const again = await bob.call(aliceUser.address);
  await again.endedWith('UNALLOCATED_NUMBER', 1);
});

scenario('a credential deleted while it rings: the caller hears of it', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const outgoing = await alice.call(bobUser.address);
  await bob.rings();
  await lab.tenant.api.telephonyCredentials.delete(bobUser.credential.id);
  await outgoing.ended();
  await punted(bob);
});

scenario('a credential that expires in a call ends it', async (lab) => {
  const callee = { credential: { expires_at: new Date(Date.now() + 12_000).toISOString() } };
  const { alice, bob, bobUser } = await lab.pair({ callee });
  const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
  await Promise.all([outgoing.ended(), incoming.ended()]);
  await punted(bob);
});

scenario('deleting a connection takes its credentials with it', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const { outgoing } = await lab.talk(alice, bob, bobUser.address);
  await lab.tenant.api.credentialConnections.delete(bobUser.connection.id);
  await outgoing.ended();
  await punted(bob);
});

scenario('a connection switched off ends its calls and refuses logins', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const { outgoing } = await lab.talk(alice, bob, bobUser.address);
  await lab.tenant.api.credentialConnections.update(bobUser.connection.id, { active: false });
  await outgoing.ended();
  await punted(bob);
  const late = await lab.phone('late');
  await late.connect({ host: summary.websocket_url, login_token: bobUser.token });
  await late.event('error', ({ code }) => code === 46001);
});
