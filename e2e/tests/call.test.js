// The main job: one user calls another, they talk, and either may hang up.

import assert from 'node:assert/strict';
import { hearEachOther, scenario, summary } from '../harness/lab.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

scenario('a call rings, is answered, and each side hears the other and not itself', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const outgoing = await alice.call(bobUser.address);
  const incoming = await bob.rings();
  await alice.receives('telnyx_rtc.ringing', ({ params }) => params.callID === outgoing.id);
  assert.notEqual(incoming.id, outgoing.id, 'each leg has a call id of its own');
  await incoming.answer();
  await outgoing.is('active');
  await hearEachOther(outgoing, incoming);
  assert.equal(await outgoing.codec(), 'opus');
  assert.deepEqual([...alice.pageErrors, ...bob.pageErrors], []);
});

scenario('the caller hangs up and both sides see NORMAL_CLEARING', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
  await outgoing.hangup();
  await incoming.endedWith('NORMAL_CLEARING', 16);
  await outgoing.endedWith('NORMAL_CLEARING', 16);
  const { answer } = await alice.exchange('telnyx_rtc.bye');
  assert.equal(answer.result.message, 'CALL ENDED');
  assert.equal(answer.result.callID, outgoing.id);
});

scenario('the callee hangs up and both sides see NORMAL_CLEARING', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
  await incoming.hangup();
  await outgoing.endedWith('NORMAL_CLEARING', 16);
  await incoming.endedWith('NORMAL_CLEARING', 16);
});

scenario('two users call each other again and again over the same sockets', async (lab) => {
  const { alice, bob, aliceUser, bobUser } = await lab.pair();
  for (const [from, to, address] of [
    [alice, bob, bobUser.address],
    [bob, alice, aliceUser.address],
    [alice, bob, `sip:${bobUser.address}@localhost`],
    [alice, bob, `sip:${bobUser.address}@sip.telnyx.com`],
    [bob, alice, `${aliceUser.address}@${new URL(summary.websocket_url).hostname}`],
  ]) {
    const outgoing = await from.call(address);
    const incoming = await to.rings();
    await incoming.answer();
    await outgoing.is('active');
    await hearEachOther(outgoing, incoming);
    await outgoing.hangup();
    await incoming.endedWith('NORMAL_CLEARING', 16);
    await outgoing.ended();
  }
  assert.equal(alice.wire.sockets.length, 1, 'Alice keeps her one socket');
  assert.equal(bob.wire.sockets.length, 1, 'Bob keeps his one socket');
});

scenario('caller id, custom headers and client state reach the callee, and both sides learn the ids', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const clientState = Buffer.from('order 17').toString('base64');
  const outgoing = await alice.call(bobUser.address, {
    callerName: 'Alice Ångström',
    callerNumber: '+15550100',
    clientState,
    customHeaders: [{ name: 'X-Order', value: '17' }],
  });
  const incoming = await bob.rings();
  const seen = await incoming.describe();
  assert.equal(seen.remoteName, 'Alice Ångström');
  assert.equal(seen.remoteNumber, '+15550100');
  assert.equal(seen.clientState, clientState);
  assert.deepEqual(seen.customHeaders, [{ name: 'X-Order', value: '17' }]);
  await incoming.answer({ customHeaders: [{ name: 'X-Desk', value: '4' }] });
  await outgoing.is('active');
  const { params } = await alice.receives('telnyx_rtc.answer');
  assert.deepEqual(params.dialogParams.custom_headers, [{ name: 'X-Desk', value: '4' }]);
  const [{ ids: mine }, { ids: theirs }] = await Promise.all([outgoing.describe(), incoming.describe()]);
  assert.match(mine.telnyxSessionId, UUID);
  assert.equal(mine.telnyxSessionId, theirs.telnyxSessionId, 'one call, one session id');
  assert.match(mine.telnyxLegId, UUID);
  assert.match(theirs.telnyxLegId, UUID);
  assert.notEqual(mine.telnyxLegId, theirs.telnyxLegId);
});

scenario('the result of an invite goes out before any other message about that call', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const { outgoing } = await lab.talk(alice, bob, bobUser.address);
  const { request, answer } = await alice.exchange('telnyx_rtc.invite');
  const about = alice.wire.frames.filter(({ sent, json }) => !sent && (json.id === request.id || json.params?.callID === outgoing.id));
  assert.equal(about[0].json, answer);
  assert.equal(answer.result.message, 'CALL CREATED');
  assert.equal(answer.result.callID, outgoing.id);
  const described = [...alice.wire.received('telnyx_rtc.media'), ...alice.wire.received('telnyx_rtc.answer')].filter(({ params }) => params.sdp);
  assert.equal(described.length, 1, 'the description comes once');
  for (const { sent, json } of [...alice.wire.frames, ...bob.wire.frames]) {
    if (!sent) {
      assert.ok(json.voice_sdk_id, `a frame without voice_sdk_id: ${JSON.stringify(json)}`);
    }
  }
});
