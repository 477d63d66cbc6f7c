// The official SDKs: how each is made ready, and how its driver is run.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OPERATIONS } from './operations.js';

const HERE = dirname(fileURLToPath(import.meta.url));

/** How long one driver may take. */
const DRIVER_MS = 120_000;

/** How long fetching or building may take, the first time. */
const PREPARE_MS = 180_000;

/** Says that an SDK's toolchain or packages are not here. It is no failure. */
export class NotRun extends Error {}

/** The SDKs, in the order of the table's columns. `prepare` returns the command line of the driver. */
export const SDKS = [
  { id: 'node', name: 'Node', source: '`telnyx` from npm', prepare: async () => [process.execPath, [join(HERE, 'node', 'driver.js')]] },
  {
    id: 'python',
    name: 'Python',
    source: '`telnyx` from PyPI',
    prepare: async () => [join(HERE, '..', '.venv', 'bin', 'python'), [join(HERE, 'python', 'driver.py')]],
  },
  { id: 'java', name: 'Java', source: '`com.telnyx.sdk:telnyx` from Maven Central', prepare: prepareJava },
  { id: 'go', name: 'Go', source: '`github.com/team-telnyx/telnyx-go/v4`', prepare: prepareGo },
  { id: 'cli', name: 'CLI', source: '`github.com/team-telnyx/telnyx-cli`', prepare: prepareCli },
  { id: 'ruby', name: 'Ruby', source: 'requests as the SDK sends them, replayed', prepare: recorded('ruby') },
  { id: 'php', name: 'PHP', source: 'requests as the SDK sends them, replayed', prepare: recorded('php') },
];

function recorded(language) {
  return async () => [process.execPath, [join(HERE, 'recorded', 'driver.js'), join(HERE, 'recorded', `${language}.json`)]];
}

/** Fetches the jars that pom.xml names and compiles the driver; what is there already is kept. */
async function prepareJava() {
  for (const tool of ['java', 'javac', 'mvn']) {
    await needs(tool);
  }
  const folder = join(HERE, 'java');
  const pom = await readFile(join(folder, 'pom.xml'), 'utf8');
  const version = /<artifactId>telnyx<\/artifactId>\s*<version>([^<]+)</.exec(pom)[1];
  const jars = await filled(join(folder, '.jars'), pom, (output) =>
    must('mvn', ['--batch-mode', '--quiet', `${DEPENDENCY_PLUGIN}:copy-dependencies`, `-DoutputDirectory=${output}`], { cwd: folder }),
  );
  const source = await readFile(join(folder, 'Driver.java'), 'utf8');
  const classes = await filled(join(folder, '.classes'), pom + source, (output) =>
    must('javac', ['-nowarn', '-d', output, '-cp', join(jars, '*'), 'Driver.java'], { cwd: folder }),
  );
  // Jersey sets the method PATCH by reflection, which Java forbids since 16 unless told otherwise.
  const options = ['--add-opens=java.base/java.net=ALL-UNNAMED', '-XX:TieredStopAtLevel=1', `-Dsdk.version=${version}`, '-cp', `${classes}:${join(jars, '*')}`];
  return ['java', [...options, 'Driver']];
}

const DEPENDENCY_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1';

/** Builds the driver with the module that go.mod names. */
async function prepareGo() {
  await needs('go');
  const folder = join(HERE, 'go');
  await fetched('go', ['mod', 'download'], { cwd: folder });
  const driver = join(folder, '.build', 'driver');
  await must('go', ['build', '-o', driver, '.'], { cwd: folder });
  return [driver, []];
}

/** The CLI that the driver is written for. */
const CLI = { module: 'github.com/team-telnyx/telnyx-cli', command: 'cmd/telnyx', version: 'v0.24.0' };

/** Installs the CLI, or takes the one that RINGTRIP_E2E_TELNYX_CLI names. */
async function prepareCli() {
  let command = process.env.RINGTRIP_E2E_TELNYX_CLI;
  if (!command) {
    await needs('go');
    const bin = join(HERE, 'cli', '.build');
    command = join(bin, 'telnyx');
    const there = await access(command).then(() => true, () => false);
    if (!there) {
      const { module, version } = CLI;
      await fetched('go', ['mod', 'download', `${module}@${version}`]);
      await must('go', ['install', `${module}/${CLI.command}@${version}`], { env: { GOBIN: bin } });
    }
  }
  return [process.execPath, [join(HERE, 'cli', 'driver.js'), command]];
}

async function needs(tool) {
  const { code } = await run('sh', ['-c', `command -v ${tool}`]);
  if (code !== 0) {
    throw new NotRun(`there is no ${tool} on this machine`);
  }
}

/** Runs a command that only fetches. What cannot be had, or not in time, is not here; what is not what it should be is a failure. */
async function fetched(command, args, options) {
  const { code, output } = await run(command, args, options);
  if (code !== 0) {
    const Reason = output.includes('checksum mismatch') ? Error : NotRun;
    throw new Reason(`${command} ${args.join(' ')} ended with ${code}:\n${output}`);
  }
}

/** Runs a command that must succeed, within its time. */
async function must(command, args, options) {
  const { code, output } = await run(command, args, options);
  if (code !== 0) {
    throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${output}`);
  }
}

/** Fills a folder with `make` unless it was filled for the same text before. Returns the folder. */
async function filled(folder, text, make) {
  const stamp = join(folder, `.of-${createHash('sha256').update(text).digest('hex')}`);
  const done = await access(stamp).then(() => true, () => false);
  if (!done) {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    await make(folder);
    await writeFile(stamp, '');
  }
  return folder;
}

/** Runs a command to its end and returns its code and everything it printed. */
async function run(command, args, { cwd = HERE, env = {}, timeout = PREPARE_MS } = {}) {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'], timeout });
  const chunks = { stdout: [], stderr: [] };
  for (const name of ['stdout', 'stderr']) {
    child[name].on('data', (chunk) => chunks[name].push(chunk));
  }
  const [code, signal] = await once(child, 'close').catch((error) => [error.code]);
  const [stdout, stderr] = [chunks.stdout, chunks.stderr].map((list) => Buffer.concat(list).toString());
  return { code: code ?? `signal ${signal}`, stdout, stderr, output: stdout + stderr };
}

/**
 * Runs every operation with one SDK.
 *
 * Returns `{ version, results, stderr }`, where `results` maps each operation to `{ result, detail }`. An operation that the
 * driver did not report, reported twice or that does not exist is a fault of the driver, and thrown.
 */
export async function drive(sdk, settings) {
  const [command, args] = await sdk.prepare();
  const env = { TELNYX_BASE_URL: settings.base_url, TELNYX_API_KEY: settings.api_key, RINGTRIP_SDK_FACTS: JSON.stringify(settings.facts) };
  const { code, stdout, stderr } = await run(command, args, { env, timeout: DRIVER_MS });
  const lines = stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line));
  const known = new Set(OPERATIONS.map(({ id }) => id));
  const results = new Map();
  let version;
  for (const { sdk: name, operation, result, detail } of lines) {
    if (name) {
      version = name;
      continue;
    }
    if (!known.has(operation) || results.has(operation)) {
      throw new Error(`the ${sdk.name} driver reports ${operation}, which ${known.has(operation) ? 'it reported before' : 'no list has'}`);
    }
    results.set(operation, { result, detail });
  }
  const missing = [...known].filter((id) => !results.has(id));
  if (code !== 0 || missing.length || !version) {
    throw new Error(`the ${sdk.name} driver ended with ${code} and did not report ${missing.join(', ') || 'its version'}:\n${stderr.slice(-4000)}`);
  }
  return { version, results, stderr };
}
