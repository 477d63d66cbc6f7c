// A lost socket is not a hang-up: the call goes on, and its phone finds back to it.

import assert from 'node:assert/strict';
import { hearEachOther, scenario, summary } from '../harness/lab.js';
import { until } from '../harness/until.js';

/** Waits until a phone answered an attach for a call and the server accepted it. */
async function attached(phone, call) {
  const { answer } = await phone.exchange('telnyx_rtc.attach', ({ params }) => params.dialogParams.callID === call.id);
  assert.equal(answer.result?.callID, call.id, JSON.stringify(answer));
  await call.is('active');
}

/** Returns the newest login a phone sent. */
const lastLogin = (phone) => phone.wire.sent('login').at(-1);

const socketGone = (phone) => until(`${phone.name} to notice the loss`, async () => (await phone.events()).some(({ type }) => type === 'socket.close'));

for (const side of ['caller', 'callee']) {
  scenario(`the ${side}'s network drops: sound flows meanwhile, and the call is re-attached`, async (lab) => {
    const proxy = await lab.proxy();
    const through = { host: proxy.url };
    const { alice, bob, bobUser } = await lab.pair(side === 'caller' ? { callerOptions: through } : { calleeOptions: through });
    const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
    const [phone, call] = side === 'caller' ? [alice, outgoing] : [bob, incoming];
    const { sessid } = await phone.facts();

    proxy.cut();
    await socketGone(phone);
    await hearEachOther(outgoing, incoming);

    proxy.mend();
    await attached(phone, call);
    assert.equal(lastLogin(phone).params.reconnection, true);
    assert.equal(lastLogin(phone).params.sessid, sessid);
    assert.equal((await phone.facts()).sessid, sessid, 'the session is the same');
    const ready = phone.wire.received('telnyx_rtc.clientReady').at(-1);
    assert.deepEqual(ready.params.reattached_sessions, [call.id]);
    await hearEachOther(outgoing, incoming);

    await outgoing.hangup();
    await incoming.endedWith('NORMAL_CLEARING', 16);
  });
}

scenario('a socket closed with a clean close code is no hang-up either', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
  await alice.drive('closeSocket');
  await attached(alice, outgoing);
  assert.equal(alice.wire.sockets.length, 2);
  await hearEachOther(outgoing, incoming);
  await incoming.is('active');
});

scenario('a held call is still held after its phone comes back', async (lab) => {
  const proxy = await lab.proxy();
  const { alice, bob, bobUser } = await lab.pair({ callerOptions: { host: proxy.url } });
  const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
  await alice.drive('hold', outgoing.id);
  await outgoing.is('held');
  proxy.cut();
  await socketGone(alice);
  proxy.mend();
  const { answer } = await alice.exchange('telnyx_rtc.attach');
  assert.ok(answer.result, JSON.stringify(answer));
  await outgoing.is('held');
  await Promise.all([outgoing.hearsNothing(), incoming.hearsNothing()]);
  await alice.drive('unhold', outgoing.id);
  await outgoing.is('active');
  await hearEachOther(outgoing, incoming);
});

for (const side of ['caller', 'callee']) {
  scenario(`the ${side} reloads the page and is back in the call with sound`, async (lab) => {
    const staying = { hangupOnBeforeUnload: false };
    const { alice, bob, bobUser } = await lab.pair({ callerOptions: staying, calleeOptions: staying });
    const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
    const [phone, call] = side === 'caller' ? [alice, outgoing] : [bob, incoming];
    await phone.reload();
    await attached(phone, call);
    await hearEachOther(outgoing, incoming);
    await (side === 'caller' ? incoming : outgoing).is('active');
    await call.hangup();
    await (side === 'caller' ? incoming : outgoing).endedWith('NORMAL_CLEARING', 16);
  });
}

scenario('a page that leaves without the wish to stay hangs up', async (lab) => {
  const { alice, bob, bobUser } = await lab.pair();
  const { incoming } = await lab.talk(alice, bob, bobUser.address);
  await alice.page.goto('about:blank', { waitUntil: 'commit' });
  await incoming.endedWith('NORMAL_CLEARING', 16);
});

scenario('the other side hangs up while the socket is away: the returning phone is told how the call ended', async (lab) => {
  const proxy = await lab.proxy();
  const { alice, bob, bobUser } = await lab.pair({ callerOptions: { host: proxy.url } });
  const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
  proxy.cut();
  await socketGone(alice);
  await incoming.hangup();
  await incoming.ended();
  proxy.mend();
  await outgoing.endedWith('NORMAL_CLEARING', 16);
  await alice.receives('telnyx_rtc.bye', ({ params }) => params.callID === outgoing.id);
  assert.ok(!(await alice.events()).some(({ type }) => type === 'error'), 'a bye, not a lost session');
});

scenario('a caller whose socket goes before the answer ends the call', async (lab) => {
  const proxy = await lab.proxy();
  const { alice, bob, bobUser } = await lab.pair({ callerOptions: { host: proxy.url } });
  await alice.call(bobUser.address);
  const incoming = await bob.rings();
  proxy.cut();
  await incoming.ended();
});

scenario('after a loss without a call the phone is reachable again under the same session', async (lab) => {
  const proxy = await lab.proxy();
  const { alice, bob, bobUser } = await lab.pair({ calleeOptions: { host: proxy.url } });
  const { sessid } = await bob.facts();
  proxy.cut();
  await socketGone(bob);
  proxy.mend();
  await until('Bob to be registered again', async () => (await bob.events()).filter(({ type }) => type === 'ready').length === 2);
  assert.equal((await bob.facts()).sessid, sessid);
  await lab.talk(alice, bob, bobUser.address);
});

scenario('a duplicated tab takes its session over and the older one is punted', async (lab) => {
  const user = await lab.tenant.user();
  const old = await lab.login(user, 'the old tab');
  // A browser copies the storage of a tab, the session id of the SDK with it, into its duplicate.
  const kept = await old.page.evaluate(() => ({ ...sessionStorage }));
  const tab = await lab.phone('the new tab');
  await tab.page.evaluate((items) => Object.entries(items).forEach(([key, value]) => sessionStorage.setItem(key, value)), kept);
  await tab.login({ host: summary.websocket_url, login_token: user.token });
  assert.equal((await tab.facts()).sessid, (await old.facts()).sessid);
  await old.receives('telnyx_rtc.punt');
  await until('the old tab to give up', async () => !(await old.facts()).autoReconnect);

  const alice = await lab.login(await lab.tenant.user(), 'Alice');
  await lab.talk(alice, tab, user.address);
  assert.equal(old.wire.sockets.length, 1, 'the old tab stays away');
});

scenario("somebody else's session id is no key to the session", async (lab) => {
  const [user, other] = await Promise.all([lab.tenant.user(), lab.tenant.user()]);
  const old = await lab.login(user, 'the owner');
  const kept = await old.page.evaluate(() => ({ ...sessionStorage }));
  const thief = await lab.phone('the thief');
  await thief.page.evaluate((items) => Object.entries(items).forEach(([key, value]) => sessionStorage.setItem(key, value)), kept);
  await thief.login({ host: summary.websocket_url, login_token: other.token });
  assert.notEqual((await thief.facts()).sessid, (await old.facts()).sessid);

  const alice = await lab.login(await lab.tenant.user(), 'Alice');
  await lab.talk(alice, old, user.address);
});
