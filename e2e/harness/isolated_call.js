// A program of its own: runs one call on whatever network it finds itself in, and prints "heard" when both sides
// heard each other. `tests/namespace.test.js` starts it where there is no network beyond a pair of virtual cables.

import { launchBrowser } from './browser.js';
import { TONES } from './ear.js';
import { servePages } from './pages.js';
import { hearEachOther, Phone } from './phone.js';
import { Server } from './server.js';
import { Tenant } from './tenant.js';

const server = await Server.start('isolated-server');
const pages = await servePages();
const browser = await launchBrowser();
try {
  const { summary } = server;
  const tenant = new Tenant(summary.api_base, summary.accounts[0]);
  const [aliceUser, bobUser] = [await tenant.user(), await tenant.user()];
  const open = async (name, user, tone) => {
    const phone = await Phone.open(browser, pages.origin, { name, tone });
    return phone.login({ host: summary.websocket_url, login_token: user.token });
  };
  const [alice, bob] = [await open('Alice', aliceUser, TONES[0]), await open('Bob', bobUser, TONES[1])];
  const outgoing = await alice.call(bobUser.address);
  const incoming = await bob.rings();
  await incoming.answer();
  await outgoing.is('active');
  await hearEachOther(outgoing, incoming);
  await outgoing.hangup();
  await incoming.endedWith('NORMAL_CLEARING', 16);
  console.log('heard');
} finally {
  await browser.close();
  await pages.stop();
  await server.stop();
}
