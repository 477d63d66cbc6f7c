// Keys pressed in a call.

import assert from 'node:assert/strict';
import { scenario } from '../harness/lab.js';
import { until } from '../harness/until.js';

/** Waits until a phone was told a number of keys, and returns them in order. */
async function keys(phone, count) {
  const told = async () =>
    (await phone.events()).filter(({ type, notification }) => type === 'notification.event' && notification.dtmf !== undefined).map(({ notification }) => notification);
  return until(`${phone.name} to be told ${count} keys`, async () => {
    const found = await told();
    return found.map(({ dtmf }) => dtmf).join('').length >= count && found;
  }, { detail: () => phone.story() });
}

scenario('each key reaches the far side once, in order, in both directions', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
  const all = [...'0123456789*#ABCD'];
  for (const key of all) {
    await alice.drive('dtmf', outgoing.id, key);
  }
  const told = await keys(bob, all.length);
  assert.equal(told.map(({ dtmf }) => dtmf).join(''), all.join(''));
  assert.ok(told.every(({ callID }) => callID === incoming.id), "each names Bob's own call");

  await bob.drive('dtmf', incoming.id, '7');
  const [seven] = await keys(alice, 1);
  assert.equal(seven.dtmf, '7');
  assert.equal(seven.callID, outgoing.id);

  const { answer } = await alice.exchange('telnyx_rtc.info');
  assert.equal(answer.result.message, 'SENT');
  assert.equal((await keys(bob, all.length)).map(({ dtmf }) => dtmf).join('').length, all.length, 'none came twice');
  await outgoing.hears(bob);
});
