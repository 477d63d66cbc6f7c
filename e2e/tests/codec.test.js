// One common codec on both legs, found from the connections' lists; nothing is transcoded.

import assert from 'node:assert/strict';
import { scenario } from '../harness/lab.js';

const only = (...codecs) => ({ connection: { inbound: { codecs } } });

for (const [name, listed] of [['PCMU', 'G711U'], ['PCMA', 'G711A'], ['G722', 'G722'], ['opus', 'OPUS']]) {
  scenario(`a callee whose connection lists ${listed} alone is reached with ${name} on both legs`, async (lab) => {
    const { alice, bob, bobUser } = await lab.pair({ callee: only(listed) });
    const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
    assert.deepEqual([await outgoing.codec(), await incoming.codec()], [name, name]);
  });
}

scenario("the caller's list counts as well", async (lab) => {
  const { alice, bob, bobUser } = await lab.pair({ caller: only('G711A', 'OPUS'), callee: only('G711U', 'G711A') });
  const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
  assert.deepEqual([await outgoing.codec(), await incoming.codec()], ['PCMA', 'PCMA']);
});

scenario('without a common codec the call is refused with INCOMPATIBLE_DESTINATION', async (lab) => {
  const { alice, bobUser } = await lab.pair({ caller: only('G711A'), callee: only('G711U') });
  const outgoing = await alice.call(bobUser.address);
  await outgoing.endedWith('INCOMPATIBLE_DESTINATION', 88);
});
