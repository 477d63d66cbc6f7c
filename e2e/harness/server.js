// Starts the real binary on free ports, reads its one-line summary and stops it by its process id.

import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { access, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** The folder for logs and pictures; not checked in. */
export const OUTPUT = process.env.RINGTRIP_E2E_OUTPUT ?? join(ROOT, 'e2e', 'output');

/** The binary under test. */
export const BINARY = process.env.RINGTRIP_E2E_BINARY ?? join(ROOT, 'target', 'debug', 'ringtrip');
/** The environment of a server: this one's, without what is for the tests. The server would take it for its configuration. */
export const ENVIRONMENT = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('RINGTRIP_')));

/** How long a start may take: the first one writes a database and keys. */
const START_MS = 60_000;

/** How long a stop may take before it counts as a fault. */
const STOP_MS = 15_000;

/** A running `ringtrip dev` and what it printed about itself. */
export class Server {
  #child;
  #exited;
  #dataDir;

  /** Starts a server with an empty data folder. `name` names its log under `e2e/output/`. */
  static async start(name = 'server') {
    await access(BINARY).catch(() => {
      throw new Error(`there is no ${BINARY}: run "cargo build -p ringtrip-server" (or "make e2e") first`);
    });
    await mkdir(OUTPUT, { recursive: true });
    const server = new Server();
    server.#dataDir = await mkdtemp(join(tmpdir(), 'ringtrip-e2e-'));
    server.logPath = join(OUTPUT, `${name}.log`);
    const child = spawn(
      BINARY,
      [
        'dev',
        '--http', '127.0.0.1:0',
        '--sip', '127.0.0.1:0',
        '--media', '127.0.0.1:0',
        '--data-dir', server.#dataDir,
        '--output', 'json',
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    server.#child = child;
    server.#exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
    child.stderr.pipe(createWriteStream(server.logPath));
    try {
      server.summary = await readSummary(child, server.#exited, server.logPath);
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** Returns the process id. */
  get pid() {
    return this.#child.pid;
  }

  /** Returns whether the process still runs. */
  get alive() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Asks the server to end, waits for it, and removes its data folder. Returns how it ended. */
  async stop() {
    if (this.alive) {
      process.kill(this.#child.pid, 'SIGTERM');
    }
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    const end = await this.#exited;
    clearTimeout(kill);
    await rm(this.#dataDir, { recursive: true, force: true });
    return end;
  }
}

function readSummary(child, exited, logPath) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no summary from ${BINARY} in ${START_MS} ms; see ${logPath}`)), START_MS);
    exited.then(({ code, signal }) => {
      clearTimeout(timer);
      reject(new Error(`${BINARY} ended (code ${code}, signal ${signal}) before its summary; see ${logPath}`));
    });
    child.once('error', reject);
    createInterface({ input: child.stdout }).once('line', (line) => {
      clearTimeout(timer);
      try {
        resolve(JSON.parse(line));
      } catch {
        reject(new Error(`the first line on standard output is not JSON: ${line}`));
      }
    });
  });
}
