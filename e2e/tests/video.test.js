// Video: only when both connections list VP8.

import assert from 'node:assert/strict';
import { hearEachOther, scenario } from '../harness/lab.js';
import { until } from '../harness/until.js';

const WITH_VP8 = { connection: { inbound: { codecs: ['OPUS', 'VP8'] } } };
const VIDEO = { video: true };

const reddish = ({ red, green, blue }) => red > 150 && green < 100 && blue < 100;
const bluish = ({ red, green, blue }) => blue > 150 && green < 100 && red < 100;

const sees = (call, what, test) =>
  until(`${call.phone.name} to see ${what}`, async () => {
    const colour = await call.colour();
    return colour && test(colour);
  }, { detail: () => call.colour() });

async function videoCall(lab, setting) {
  const { alice, bob, bobUser } = await lab.pair({ callerOptions: VIDEO, calleeOptions: VIDEO, ...setting });
  const outgoing = await alice.call(bobUser.address, { video: true });
  const incoming = await bob.rings();
  await incoming.answer();
  await outgoing.is('active');
  await hearEachOther(outgoing, incoming);
  return { alice, bob, outgoing, incoming };
}

scenario('when both connections list VP8, each side sees and hears the other', async (lab) => {
  const { alice, bob, outgoing, incoming } = await videoCall(lab, { caller: WITH_VP8, callee: WITH_VP8 });
  await Promise.all([sees(outgoing, "Bob's blue", bluish), sees(incoming, "Alice's red", reddish)]);
  for (const [phone, call] of [[alice, outgoing], [bob, incoming]]) {
    assert.equal((await phone.drive('inbound', call.id, 'video')).codec, 'video/VP8');
  }
});

for (const [which, setting] of [
  ['neither connection lists', {}],
  ["only the caller's connection lists", { caller: WITH_VP8 }],
  ["only the callee's connection lists", { callee: WITH_VP8 }],
]) {
  scenario(`when ${which} VP8, a video call becomes an audio call`, async (lab) => {
    const { alice, bob, outgoing, incoming } = await videoCall(lab, setting);
    for (const [phone, call] of [[alice, outgoing], [bob, incoming]]) {
      assert.equal(await call.colour(), null, `${phone.name} sees nothing`);
      assert.equal((await phone.drive('inbound', call.id, 'video'))?.frames ?? 0, 0);
    }
  });
}
