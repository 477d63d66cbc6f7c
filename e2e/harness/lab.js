// What every test has at hand: the server, the browser, the tenants, and phones that are put away afterwards.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { connectBrowser } from './browser.js';
import { TONES } from './ear.js';
import { hearEachOther, openContext, Phone, Wire } from './phone.js';
import { Proxy } from './proxy.js';
import { OUTPUT } from './server.js';
import { Tenant } from './tenant.js';

/** How long one test may take. */
const TEST_MS = 90_000;

const COLOURS = ['rgb(220, 30, 30)', 'rgb(30, 30, 220)', 'rgb(30, 200, 30)', 'rgb(200, 200, 30)'];

const setting = JSON.parse(process.env.RINGTRIP_E2E ?? 'null');
if (!setting) {
  throw new Error('start the tests with "node run.js [tests/name.test.js …]": it starts the server and the browser they need');
}

/** The server's summary. */
export const { summary } = setting;

let browserPromise;
const browser = () => (browserPromise ??= connectBrowser(setting.browser));

after(async () => {
  await (await browserPromise)?.close();
});

/** One test's things. */
class Lab {
  #test;
  #phones = [];
  #contexts = 0;

  /** The two tenants of `dev`. */
  tenants = summary.accounts.map((account) => new Tenant(summary.api_base, account));

  constructor(t) {
    this.#test = t;
  }

  /** Returns the first tenant. */
  get tenant() {
    return this.tenants[0];
  }

  /** Opens a phone that is not connected yet. */
  async phone(name = `phone ${this.#contexts + 1}`, traits = {}) {
    const at = this.#contexts++;
    const phone = await Phone.open(await browser(), setting.pages, { name, tone: TONES[at], colour: COLOURS[at], ...traits });
    this.#phones.push(phone);
    this.#test.after(() => phone.close());
    return phone;
  }

  /** Opens a phone and logs a user in with a token. `options` are the SDK's own. */
  async login(user, name, options = {}, traits = {}) {
    const phone = await this.phone(name, traits);
    return phone.login({ host: summary.websocket_url, login_token: user.token, ...options });
  }

  /** Makes two users and logs both in. The functions may change what is made and how. */
  async pair({ caller = {}, callee = {}, callerOptions, calleeOptions } = {}) {
    const [aliceUser, bobUser] = await Promise.all([this.tenant.user(caller), this.tenant.user(callee)]);
    const [alice, bob] = await Promise.all([
      this.login(aliceUser, 'Alice', callerOptions),
      this.login(bobUser, 'Bob', calleeOptions),
    ]);
    return { alice, bob, aliceUser, bobUser };
  }

  /** Brings two phones into an answered call in which they hear each other. */
  async talk(alice, bob, destination, options) {
    const outgoing = await alice.call(destination, options);
    const incoming = await bob.rings();
    await incoming.answer();
    await outgoing.is('active');
    await hearEachOther(outgoing, incoming);
    return { outgoing, incoming };
  }

  /** Opens a bare browser page with a microphone, for pages that are not the SDK page. */
  async bareContext(traits = {}) {
    const at = this.#contexts++;
    const context = await openContext(await browser(), { tone: TONES[at], colour: COLOURS[at], ...traits });
    this.#test.after(() => context.close());
    context.tone = traits.tone ?? TONES[at];
    return context;
  }

  /** Starts a relay in front of the signalling port. */
  async proxy() {
    const proxy = await Proxy.to(summary.websocket_url);
    this.#test.after(() => proxy.stop());
    return proxy;
  }

  /** Keeps what the phones saw, for the person who looks into a failure. */
  async diagnose(name) {
    await mkdir(OUTPUT, { recursive: true });
    const file = join(OUTPUT, `${name.replaceAll(/[^a-z0-9]+/gi, '-')}.json`);
    const phones = await Promise.all(this.#phones.map((phone) => phone.diagnosis()));
    await writeFile(file, JSON.stringify(phones, null, 1));
    return file;
  }
}

/**
 * Declares a test with a {@link Lab} of its own.
 *
 * @param {string} name a sentence that is true when the test passes
 * @param {(lab: Lab, t: import('node:test').TestContext) => Promise<void>} body
 */
export function scenario(name, body, { timeout = TEST_MS } = {}) {
  test(name, { timeout }, async (t) => {
    const lab = new Lab(t);
    try {
      await body(lab, t);
    } catch (error) {
      const file = await lab.diagnose(name).catch((failure) => String(failure));
      t.diagnostic(`what the phones saw: ${file}`);
      throw error;
    }
  });
}

export { hearEachOther, Wire };
