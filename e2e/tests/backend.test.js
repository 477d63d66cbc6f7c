// The job itself: a backend in Python makes tokens, two browsers log in with them and talk.

import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { scenario } from '../harness/lab.js';

const E2E = join(dirname(fileURLToPath(import.meta.url)), '..');

async function tokenFromPython() {
  const { stdout } = await promisify(execFile)(join(E2E, '.venv', 'bin', 'python'), [join(E2E, 'python', 'make_token.py')]);
  return JSON.parse(stdout);
}

scenario('two browsers talk with tokens that the official Python SDK created', async (lab) => {
  const [aliceUser, bobUser] = await Promise.all([tokenFromPython(), tokenFromPython()]);
  const [alice, bob] = await Promise.all([lab.login(aliceUser, 'Alice'), lab.login(bobUser, 'Bob')]);
  await lab.talk(alice, bob, bobUser.address);
});
