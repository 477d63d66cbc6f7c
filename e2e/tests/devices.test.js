// Several devices of one user ring at once; the first answer wins.

import assert from 'node:assert/strict';
import { hearEachOther, scenario } from '../harness/lab.js';

async function twoDevices(lab) {
  const [aliceUser, bobUser] = await Promise.all([lab.tenant.user(), lab.tenant.user()]);
  const alice = await lab.login(aliceUser, 'Alice');
  const desk = await lab.login(bobUser, "Bob's desk");
  const mobile = await lab.login(bobUser, "Bob's mobile");
  const outgoing = await alice.call(bobUser.address);
  const [atDesk, onMobile] = await Promise.all([desk.rings(), mobile.rings()]);
  assert.notEqual(atDesk.id, onMobile.id, 'each device has a call id of its own');
  return { alice, outgoing, atDesk, onMobile };
}

scenario('two devices ring, the first answer wins, the other sees LOSE_RACE', async (lab) => {
  const { outgoing, atDesk, onMobile } = await twoDevices(lab);
  await onMobile.answer();
  await outgoing.is('active');
  await atDesk.endedWith('LOSE_RACE', 502);
  await hearEachOther(outgoing, onMobile);
});

scenario('two devices answer at the same moment: one talks, one loses, the caller has one call', async (lab) => {
  const { outgoing, atDesk, onMobile } = await twoDevices(lab);
  await Promise.all([atDesk, onMobile].map((call) => call.phone.drive('answer', call.id)));
  await outgoing.is('active');
  const won = await Promise.any(
    [atDesk, onMobile].map(async (call, i, both) => {
      await both[1 - i].endedWith('LOSE_RACE', 502);
      return call;
    }),
  );
  await hearEachOther(outgoing, won);
});

scenario('one device rejects: the other goes on ringing and may answer', async (lab) => {
  const { outgoing, atDesk, onMobile } = await twoDevices(lab);
  await atDesk.hangup();
  await atDesk.ended();
  await onMobile.answer();
  await outgoing.is('active');
  await hearEachOther(outgoing, onMobile);
});

scenario('the caller cancels: both devices stop ringing', async (lab) => {
  const { outgoing, atDesk, onMobile } = await twoDevices(lab);
  await outgoing.hangup();
  await Promise.all([atDesk, onMobile].map((call) => call.endedWith('ORIGINATOR_CANCEL', 487)));
});
