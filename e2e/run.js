// Runs the end-to-end tests: starts one server, one Chromium and one page server, then the tests against them.
// Arguments name test files.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launchSharedBrowser } from './harness/browser.js';
import { servePages } from './harness/pages.js';
import { OUTPUT, Server } from './harness/server.js';

const E2E = dirname(fileURLToPath(import.meta.url));

async function run(command, args, env) {
  const child = spawn(command, args, { cwd: E2E, stdio: 'inherit', env: { ...process.env, ...env } });
  const [code, signal] = await once(child, 'exit');
  return code ?? `signal ${signal}`;
}

async function main(args) {
  const chosen = args.filter((arg) => !arg.startsWith('-'));
  const options = args.filter((arg) => arg.startsWith('-'));
  const files = chosen.length ? chosen : (await readdir(join(E2E, 'tests'))).filter((name) => name.endsWith('.test.js')).sort().map((name) => `tests/${name}`);
  await access(join(E2E, '.venv', 'bin', 'python')).catch(() => {
    throw new Error('there is no e2e/.venv: run "make e2e", which makes it');
  });

  await rm(OUTPUT, { recursive: true, force: true });
  const server = await Server.start();
  const pages = await servePages();
  const browser = await launchSharedBrowser();
  console.log(`e2e: server ${server.pid} at ${server.summary.portal_url}, its log in ${server.logPath}`);
  const failures = [];
  try {
    const setting = JSON.stringify({ summary: server.summary, browser: browser.wsEndpoint(), pages: pages.origin });
    const env = { RINGTRIP_E2E: setting };
    const node = await run(process.execPath, ['--test', '--test-concurrency=1', '--test-reporter=spec', ...options, ...files], env);
    if (node !== 0) {
      failures.push(`the tests (${node})`);
    }
  } finally {
    await browser.close();
    await pages.stop();
    const survived = server.alive;
    const end = await server.stop();
    if (!survived) {
      failures.push(`the server, which ended by itself (code ${end.code}, signal ${end.signal}); see ${server.logPath}`);
    } else if (end.code !== 0) {
      failures.push(`the server's end on SIGTERM (code ${end.code}, signal ${end.signal}); see ${server.logPath}`);
    }
  }
  for (const failure of failures) {
    console.error(`e2e: failed: ${failure}`);
  }
  process.exitCode = failures.length ? 1 : 0;
}

await main(process.argv.slice(2));
