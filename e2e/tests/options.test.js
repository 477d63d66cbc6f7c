// SDK options that change what is on the wire.

import assert from 'node:assert/strict';
import { hearEachOther, scenario, summary } from '../harness/lab.js';
import { until } from '../harness/until.js';

for (const [who, setting] of [
  ['the caller trickles', { callerOptions: { trickleIce: true } }],
  ['the callee trickles', { calleeOptions: { trickleIce: true } }],
  ['both trickle', { callerOptions: { trickleIce: true }, calleeOptions: { trickleIce: true } }],
]) {
  scenario(`${who} ICE candidates, and both hear each other`, async (lab) => {
    const { alice, bob, bobUser } = await lab.pair(setting);
    await lab.talk(alice, bob, bobUser.address);
    const [phone, method] = setting.callerOptions ? [alice, 'telnyx_rtc.invite'] : [bob, 'telnyx_rtc.answer'];
    assert.equal(phone.wire.sent(method)[0].params.trickle, true);
    const { answer } = await phone.exchange('telnyx_rtc.endOfCandidates');
    assert.ok(answer.result);
    for (const request of phone.wire.sent('telnyx_rtc.candidate')) {
      assert.ok(phone.wire.answerTo(request)?.result, 'each candidate is acknowledged');
    }
    assert.deepEqual([...alice.pageErrors, ...bob.pageErrors], []);
  });
}

scenario('candidates hidden behind mDNS names do not matter', async (lab) => {
  const [aliceUser, bobUser] = await Promise.all([lab.tenant.user(), lab.tenant.user()]);
  const alice = await lab.login(aliceUser, 'Alice', {}, { hideAddresses: true });
  const bob = await lab.login(bobUser, 'Bob', {}, { hideAddresses: true });
  await lab.talk(alice, bob, bobUser.address);
});

scenario('debug: true works: its frames without a method are answered', async (lab) => {
  const debug = { debug: true, debugOutput: 'socket' };
  const { alice, bob, bobUser } = await lab.pair({ callerOptions: debug, calleeOptions: debug });
  const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
  for (const phone of [alice, bob]) {
    const started = await until(`${phone.name}'s debug report`, () => phone.wire.frames.find(({ sent, json }) => sent && json.type === 'debug_report_start'));
    assert.ok(phone.wire.answerTo(started.json)?.result, 'the start is answered with a result');
    const data = await until(`${phone.name}'s debug data`, () => phone.wire.frames.find(({ sent, json }) => sent && json.type === 'debug_report_data'));
    await until('the answer to debug data', () => phone.wire.answerTo(data.json)?.result);
  }
  await outgoing.hangup();
  await incoming.ended();
});

scenario('call reports of both sides arrive after a call', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
  await outgoing.hangup();
  await incoming.ended();
  const { host } = new URL(summary.websocket_url);
  for (const phone of [alice, bob]) {
    const report = await until(
      `${phone.name}'s call report`,
      () => phone.requests.find(({ method, url }) => method === 'POST' && url === `http://${host}/call_report`),
      { detail: () => phone.requests },
    );
    assert.ok(report.status >= 200 && report.status < 300, `status ${report.status}`);
  }
});

scenario('logging out after a call waits for nothing and ends cleanly', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const { incoming } = await lab.talk(alice, bob, bobUser.address);
  await alice.drive('disconnect');
  await incoming.endedWith('NORMAL_CLEARING', 16);
  await until("Alice's socket to close", () => alice.wire.sockets.every(({ open }) => !open));
});

scenario('an ICE restart by the page keeps the call and its sound', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
  await alice.drive('restartIce', outgoing.id);
  const { answer } = await alice.exchange('telnyx_rtc.modify', ({ params }) => params.action === 'updateMedia');
  assert.equal(answer.result?.action, 'updateMedia', JSON.stringify(answer));
  assert.match(answer.result.sdp, /^v=0/);
  await hearEachOther(outgoing, incoming);
  assert.equal(alice.wire.sockets.length, 1, 'the socket was not recycled');
});
