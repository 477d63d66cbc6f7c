// Hold: done wholly by the server, silence both ways.

import assert from 'node:assert/strict';
import { hearEachOther, scenario } from '../harness/lab.js';

scenario('hold brings silence both ways, unhold brings the sound back', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
  await alice.drive('hold', outgoing.id);
  await outgoing.is('held');
  await Promise.all([outgoing.hearsNothing(), incoming.hearsNothing()]);
  await incoming.is('active');
  const { answer } = await alice.exchange('telnyx_rtc.modify');
  assert.equal(answer.result.holdState, 'held');
  assert.equal(answer.result.callID, outgoing.id);
  assert.equal(answer.result.action, 'hold');

  await alice.drive('unhold', outgoing.id);
  await outgoing.is('active');
  await hearEachOther(outgoing, incoming);
});

scenario('when both sides hold, sound returns only after both took the call back', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
  await alice.drive('hold', outgoing.id);
  await outgoing.is('held');
  await bob.drive('hold', incoming.id);
  await incoming.is('held');
  await Promise.all([outgoing.hearsNothing(), incoming.hearsNothing()]);
  await alice.drive('unhold', outgoing.id);
  await outgoing.is('active');
  await Promise.all([outgoing.hearsNothing(), incoming.hearsNothing()]);
  await bob.drive('unhold', incoming.id);
  await incoming.is('active');
  await hearEachOther(outgoing, incoming);
});

scenario('a held call can be hung up from the other side', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
  await alice.drive('hold', outgoing.id);
  await outgoing.is('held');
  await incoming.hangup();
  await outgoing.endedWith('NORMAL_CLEARING', 16);
});
