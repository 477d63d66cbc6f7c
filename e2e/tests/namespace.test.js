// A laptop without internet: server and browser in a network namespace with loopback and a pair of virtual cables,
// an address on them, and no route anywhere.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), '..', 'harness', 'isolated_call.js');

/** Builds the network inside a fresh namespace, shows it, then becomes the command that follows. */
const NETWORK = `
set -e
ip link set lo up
ip link add cable0 type veth peer name cable1
ip address add 10.77.0.1/24 dev cable0
ip address add 10.77.0.2/24 dev cable1
ip link set cable0 up
ip link set cable1 up
exec "$@"
`;

/** The namespace ends with the last process in it; nothing is left to clean up. */
const isolated = (...command) => ['unshare', ['--net', '--', 'sh', '-c', NETWORK, 'sh', ...command]];

async function obstacle() {
  try {
    await run(...isolated('true'));
    return undefined;
  } catch (error) {
    return `network namespaces are not allowed here: ${(error.stderr || error.message).trim()}`;
  }
}

const reason = await obstacle();

test('a call works without any route beyond the machine', { skip: reason ?? false, timeout: 120_000 }, async () => {
  const { stdout: routes } = await run(...isolated('ip', 'route', 'show', 'default'));
  assert.equal(routes, '', 'no default route');
  const { stdout } = await run(...isolated(process.execPath, PROGRAM));
  assert.match(stdout, /^heard$/m);
});
