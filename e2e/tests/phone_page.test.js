// The Phone page that `ringtrip dev` serves: sign in, call, answer, hold, digits, hang up, and why calls fail.

import assert from 'node:assert/strict';
import { request } from 'node:http';
import { join } from 'node:path';
import { scenario, summary } from '../harness/lab.js';
import { PhonePage } from '../harness/phone_page.js';
import { OUTPUT } from '../harness/server.js';
import { until } from '../harness/until.js';

const [ALICE, BOB] = summary.accounts[0].credentials;

const at = (query) => new URL(query, summary.portal_url).href;

/** Opens a phone that is signed in as one of the ready credentials. */
async function signedIn(lab, name, query = '') {
  const page = await PhonePage.open(name, await lab.bareContext(), at(`/?as=${name.toLowerCase()}${query}`));
  await page.line('registered');
  return page;
}

async function talking(lab, query) {
  const [alice, bob] = await Promise.all([signedIn(lab, 'Alice', query), signedIn(lab, 'Bob', query)]);
  await alice.at('destination-bob').click();
  await alice.at('btn-call').click();
  await bob.call('incoming');
  await alice.call('ringing');
  await bob.at('btn-answer-call').click();
  await Promise.all([alice.call('active'), bob.call('active')]);
  await Promise.all([alice.hears(bob), bob.hears(alice)]);
  return { alice, bob };
}

async function hangUp(alice, bob) {
  await alice.at('btn-end-call').click();
  await bob.ended('NORMAL_CLEARING', 16);
  await alice.call('idle');
}

scenario('Alice calls Bob by one click, they talk, hold, press keys and hang up', async (lab) => {
  const { alice, bob } = await talking(lab);
  await alice.picture(join(OUTPUT, 'phone-in-call.png'));

  await alice.at('dialpad-key-5').click();
  await alice.at('dialpad-key-#').click();
  await alice.page.keyboard.press('7');
  await until('the keys to be shown', async () => (await alice.at('sent-digits').textContent()).includes('5#7'));

  await alice.at('btn-hold-call').click();
  await alice.call('held');
  await Promise.all([alice.hearsNothing(), bob.hearsNothing()]);
  await alice.at('btn-hold-call').click();
  await alice.call('active');
  await Promise.all([alice.hears(bob), bob.hears(alice)]);

  await alice.at('btn-toggle-mute').click();
  await bob.hearsNothing();
  await alice.hears(bob);
  await alice.at('btn-toggle-mute').click();
  await bob.hears(alice);

  await hangUp(alice, bob);
  const host = new URL(summary.portal_url).host;
  for (const phone of [alice, bob]) {
    assert.deepEqual(phone.complaints, []);
    const foreign = phone.urls.filter((url) => !/^(data|blob):/.test(url) && new URL(url).host !== host);
    assert.deepEqual(foreign, [], 'the page talks to its own server alone');
  }
});

scenario('the second phone opens in a window of its own from the first', async (lab) => {
  const context = await lab.bareContext();
  const alice = await PhonePage.open('Alice', context, at('/'));
  await alice.at('btn-as-alice').click();
  await alice.line('registered');
  const start = await PhonePage.open('start', context, at('/'));
  const [window] = await Promise.all([context.waitForEvent('page'), start.at('link-as-bob').click()]);
  const bob = new PhonePage('Bob', context, window);
  await bob.line('registered');
  assert.equal(await window.evaluate(() => window.opener), null);
  await alice.line('registered');
});

scenario('the page says who rejected, cancelled or cannot be reached, and why', async (lab) => {
  const [alice, bob] = await Promise.all([signedIn(lab, 'Alice'), signedIn(lab, 'Bob')]);
  await alice.dial(BOB.sip_username);
  await bob.call('incoming');
  await bob.at('btn-reject-call').click();
  await alice.ended('USER_BUSY', 17);
  await alice.picture(join(OUTPUT, 'phone-call-failed.png'));

  await alice.dial(BOB.sip_username);
  await bob.call('incoming');
  await bob.picture(join(OUTPUT, 'phone-incoming.png'));
  await alice.at('btn-hangup').click();
  await bob.ended('ORIGINATOR_CANCEL', 487);

  await alice.dial('gencredNobodyHasThisName');
  await alice.ended('UNALLOCATED_NUMBER', 1);
});

scenario('the page is reloaded in a call and is back in it', async (lab) => {
  const { alice, bob } = await talking(lab);
  await alice.page.reload();
  await alice.line('registered');
  await alice.call('active');
  await Promise.all([alice.hears(bob), bob.hears(alice)]);
  await hangUp(alice, bob);
});

scenario('the connection is cut in a call and comes back', async (lab) => {
  const { alice, bob } = await talking(lab);
  await alice.at('btn-disconnect-socket').click();
  await alice.line('reconnecting');
  await alice.line('registered');
  await alice.call('active');
  await Promise.all([alice.hears(bob), bob.hears(alice)]);
  await hangUp(alice, bob);
});

scenario('signing in by hand works with a token and with user name and password', async (lab) => {
  const user = await lab.tenant.user();
  const phone = await PhonePage.open('Carol', await lab.bareContext(), at('/'));
  await phone.at('radio-token').check();
  await phone.at('input-login-token').fill(user.token);
  await phone.at('btn-connect').click();
  await phone.line('registered');
  await phone.at('btn-disconnect').click();
  await phone.line('signed-out');

  await phone.at('radio-credentials').check();
  await phone.at('input-username').fill(user.credential.sip_username);
  await phone.at('input-password').fill(user.credential.sip_password);
  await phone.at('btn-connect').click();
  await phone.line('registered');
  const seen = await phone.page.content();
  assert.ok(!seen.includes(user.credential.sip_password), 'the log shows no password');
  assert.ok(!seen.includes(user.token), 'the log shows no token');
});

scenario('a wrong token is told in words and is not tried again', async (lab) => {
  const phone = await PhonePage.open('Carol', await lab.bareContext(), at('/'));
  await phone.at('radio-token').check();
  await phone.at('input-login-token').fill('this is not a token');
  await phone.at('btn-connect').click();
  await phone.line('failed');
  await phone.at('login-failure').waitFor();
});

scenario('a ready credential calls the other by the address its phone shows', async (lab) => {
  const bob = await signedIn(lab, 'Bob');
  const alice = await lab.phone('Alice');
  await alice.login({ host: summary.websocket_url, login_token: ALICE.token });
  const outgoing = await alice.call(BOB.sip_username, { callerName: 'The stock SDK' });
  await bob.call('incoming');
  assert.match(await bob.at('call-peer').textContent(), /The stock SDK|Alice/);
  await bob.at('btn-answer-call').click();
  await outgoing.is('active');
  await Promise.all([outgoing.hears(bob), bob.hears(alice)]);
  await bob.at('btn-end-call').click();
  await outgoing.endedWith('NORMAL_CLEARING', 16);
});

/** Asks for the ready credentials with headers of the test's choice; resolves with status and headers. */
function askForCredentials(headers) {
  return new Promise((resolve, reject) => {
    request(at('/portal/dev'), { headers }, (response) => {
      response.resume();
      resolve({ status: response.statusCode, headers: response.headers });
    })
      .on('error', reject)
      .end();
  });
}

scenario('the ready credentials go to the page itself and to nobody else', async () => {
  const own = await askForCredentials({ 'sec-fetch-site': 'same-origin' });
  assert.equal(own.status, 200);
  assert.equal(own.headers['access-control-allow-origin'], undefined);
  const foreign = await askForCredentials({ origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' });
  assert.ok(foreign.status >= 400, `a page of another origin got ${foreign.status}`);
  const rebound = await askForCredentials({ host: 'evil.example', 'sec-fetch-site': 'same-origin' });
  assert.ok(rebound.status >= 400, `a name that was rebound to loopback got ${rebound.status}`);
});
