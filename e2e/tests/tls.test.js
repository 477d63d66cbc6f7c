// HTTPS and WSS with a certificate of a private authority: the official SDKs trust the authority, and everything works.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Authority } from '../harness/authority.js';
import { launchBrowser } from '../harness/browser.js';
import { TONES } from '../harness/ear.js';
import { Installation } from '../harness/installation.js';
import { hearEachOther, Phone } from '../harness/phone.js';
import { until } from '../harness/until.js';

const E2E = join(dirname(fileURLToPath(import.meta.url)), '..');
const { pages } = JSON.parse(process.env.RINGTRIP_E2E);
const run = promisify(execFile);

let authority;
let server;
let browser;
let summary;
let serial;

const files = () => [server.path('cert.pem'), server.path('key.pem')];

before(async () => {
  authority = await Authority.create();
  server = await Installation.create(['tls_cert = "cert.pem"', 'tls_key = "key.pem"']);
  serial = await authority.issue(...files());
  await server.start('tls');
  summary = { api_base: `https://localhost:${server.port}/v2`, accounts: [server.account] };
  browser = await launchBrowser({ HOME: await authority.home() });
});

after(async () => {
  await browser?.close();
  const end = await server?.stop();
  await authority?.remove();
  assert.deepEqual(end, { code: 0, signal: null }, 'how the server ended');
});

/** Runs a backend of the customer's, which makes a user; `trust` is the environment that names the authority. */
async function makeUser(command, script, trust) {
  const env = { ...process.env, RINGTRIP_E2E: JSON.stringify({ summary }), ...trust };
  const { stdout } = await run(command, [join(E2E, script)], { env });
  return JSON.parse(stdout);
}

const nodeUser = (trust = { NODE_EXTRA_CA_CERTS: authority.certificate }) => makeUser(process.execPath, 'node/make_token.js', trust);
const pythonUser = (trust = { SSL_CERT_FILE: authority.certificate }) =>
  makeUser(join(E2E, '.venv', 'bin', 'python'), 'python/make_token.py', trust);

/** Returns the serial number of the certificate that a new connection is shown. */
async function shownSerial() {
  const socket = connect({ host: 'localhost', port: server.port, ca: await readFile(authority.certificate) });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
  });
}

async function login(user, name, tone) {
  const phone = await Phone.open(browser, pages, { name, tone });
  return phone.login({ host: `wss://localhost:${server.port}`, login_token: user.token });
}

test('the official SDKs refuse the certificate of an authority they do not know', { timeout: 90_000 }, async () => {
  await assert.rejects(nodeUser({ NODE_EXTRA_CA_CERTS: '' }), /Connection error|certificate/i);
  await assert.rejects(pythonUser({}), /certificate|Connection/i);
});

test('a call over WSS, with users that the official SDKs made over HTTPS, outlives a renewal of the certificate', { timeout: 120_000 }, async (t) => {
  const [aliceUser, bobUser] = [await nodeUser(), await pythonUser()];
  const [alice, bob] = [await login(aliceUser, 'Alice', TONES[0]), await login(bobUser, 'Bob', TONES[1])];
  t.after(() => Promise.all([alice.close(), bob.close()]));
  const outgoing = await alice.call(bobUser.address);
  const incoming = await bob.rings();
  await incoming.answer();
  await outgoing.is('active');
  await hearEachOther(outgoing, incoming);
  assert.equal(await shownSerial(), serial);

  const renewed = await authority.issue(...files());
  assert.notEqual(renewed, serial);
  server.signal('SIGHUP');
  await server.logged('tls.reloaded', true);
  assert.equal(await shownSerial(), renewed);
  await hearEachOther(outgoing, incoming);
  assert.deepEqual([alice, bob].map(({ wire }) => wire.sockets.map(({ open }) => open)), [[true], [true]], 'no socket was lost');

  await outgoing.hangup();
  await incoming.endedWith('NORMAL_CLEARING', 16);
  // The page sends the report of its call to the same port.
  await until("Alice's call report", () =>
    alice.requests.some(({ method, url, status }) => method === 'POST' && url === `https://localhost:${server.port}/call_report` && status === 200),
  );
  // Whoever comes now, comes over the new certificate.
  const late = await login(await nodeUser(), 'Late', TONES[2]);
  await late.close();
});
