// Plays schemathesis against a real server: requests made from /openapi.json, sensible ones and nonsense, by
// themselves and in sequences. No answer may be a 5xx, or one that the document does not tell of.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OUTPUT, Server } from '../harness/server.js';

const HERE = dirname(fileURLToPath(import.meta.url));
const PROGRAM = join(HERE, '.venv', 'bin', 'schemathesis');

/** The same requests in every run; a failure says which. */
const SEED = process.env.RINGTRIP_SCHEMATHESIS_SEED ?? '20261121';

/** Fewer would show little. */
const LEAST_REQUESTS = 5_000;

const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
];

/** Counts the operations of the document. */
async function countOperations(server) {
  const response = await fetch(new URL('/openapi.json', server.summary.portal_url));
  const { paths } = await response.json();
  return Object.values(paths).reduce((count, methods) => count + Object.keys(methods).length, 0);
}

/** Runs schemathesis and returns its exit code; what it prints goes to the terminal. */
async function play(server, report) {
  // Few operations are tried more often, so that the requests are enough, and many not for too long.
  const examples = Math.max(60, Math.ceil((1.3 * LEAST_REQUESTS) / (await countOperations(server))));
  const key = server.summary.accounts[0].api_key;
  const args = [
    'run', new URL('/openapi.json', server.summary.portal_url).href,
    '--header', `Authorization: Bearer ${key}`,
    '--checks', CHECKS.join(','),
    '--phases', 'examples,coverage,fuzzing,stateful',
    '--max-examples', process.env.RINGTRIP_SCHEMATHESIS_EXAMPLES ?? String(examples),
    '--seed', SEED,
    '--generation-database', 'none',
    '--suppress-health-check', 'all',
    '--request-timeout', '20',
    '--max-failures', '20',
    '--warnings', 'off',
    '--no-color',
    '--report', 'json',
    '--report-json-path', report,
  ];
  // It leaves notes of its own where it runs.
  const child = spawn(PROGRAM, args, { cwd: OUTPUT, stdio: 'inherit' });
  const [code, signal] = await once(child, 'exit');
  return code ?? signal;
}

/** Reads from the report how many requests were made and judged. */
async function countRequests(report) {
  const { test_cases: cases } = JSON.parse(await readFile(report, 'utf8'));
  return cases.generated - cases.errored - cases.without_checks;
}

async function main() {
  await access(PROGRAM).catch(() => {
    throw new Error(`there is no ${PROGRAM}: run "make test-schemathesis", which installs it`);
  });
  const report = join(OUTPUT, 'schemathesis.json');
  await mkdir(OUTPUT, { recursive: true });
  await rm(report, { force: true });
  const server = await Server.start('schemathesis');
  console.log(`schemathesis: server ${server.pid} at ${server.summary.portal_url}, its log in ${server.logPath}`);
  const failures = [];
  try {
    const code = await play(server, report);
    if (code !== 0) {
      failures.push(`schemathesis found faults (${code}); see ${report}`);
    }
    const requests = await countRequests(report);
    console.log(`schemathesis: ${requests} requests, seed ${SEED}`);
    if (requests < LEAST_REQUESTS) {
      failures.push(`only ${requests} requests were made, not ${LEAST_REQUESTS}`);
    }
  } finally {
    const survived = server.alive;
    const end = await server.stop();
    if (!survived || end.code !== 0) {
      failures.push(`the server ended with code ${end.code}, signal ${end.signal}; see ${server.logPath}`);
    }
  }
  for (const failure of failures) {
    console.error(`schemathesis: failed: ${failure}`);
  }
  process.exitCode = failures.length ? 1 : 0;
}

await main();
