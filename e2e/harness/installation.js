// `ringtrip serve` as an operator sets it up: a configuration file, an account, a key.

import { execFile, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { BINARY, ENVIRONMENT, OUTPUT } from './server.js';
import { until } from './until.js';

/** How long an end may take before it counts as a fault. */
const STOP_MS = 15_000;

/** An address of this host that a browser's candidates reach. */
function mediaAddress() {
  const outside = Object.values(networkInterfaces()).flat().find(({ family, internal }) => family === 'IPv4' && !internal);
  return outside?.address ?? '127.0.0.1';
}

/** A folder with a configuration, and the server that runs with it. */
export class Installation {
  #child;
  #exited;

  /** Makes a folder whose configuration has these lines too; nothing runs yet. */
  static async create(lines = []) {
    const installation = new Installation();
    installation.folder = await mkdtemp(join(tmpdir(), 'ringtrip-serve-'));
    const text = [
      'http_addr = "127.0.0.1:0"',
      'admin_addr = "127.0.0.1:0"',
      `media_addr = "${mediaAddress()}:0"`,
      'media_threads = 1',
      'log_format = "json"',
      ...lines,
    ];
    await writeFile(installation.path('ringtrip.toml'), `${text.join('\n')}\n`);
    return installation;
  }

  /** Returns the path of a file in its folder. */
  path(name) {
    return join(this.folder, name);
  }

  async #command(...args) {
    const { stdout } = await promisify(execFile)(BINARY, [...args, '--config', 'ringtrip.toml'], { cwd: this.folder, env: ENVIRONMENT });
    return JSON.parse(stdout);
  }

  /** Makes an account and a key for it, starts the server, and waits until it answers. `name` names its log. */
  async start(name) {
    const email = 'ops@acme.example';
    const { user_id } = await this.#command('account', 'create', '--email', email, '--output', 'json');
    const { api_key } = await this.#command('api-key', 'create', '--account', email, '--output', 'json');
    this.account = { email, user_id, api_key };
    await mkdir(OUTPUT, { recursive: true });
    this.log = [];
    const child = spawn(BINARY, ['serve', '--config', 'ringtrip.toml'], { cwd: this.folder, env: ENVIRONMENT, stdio: ['ignore', 'inherit', 'pipe'] });
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
    child.stderr.pipe(createWriteStream(join(OUTPUT, `${name}.log`)));
    createInterface({ input: child.stderr }).on('line', (line) => this.log.push(JSON.parse(line)));
    const listening = await this.logged('http.addr');
    this.port = Number(listening['http.addr'].split(':').at(-1));
    return this;
  }

  /** Waits for a line of the log that has a field, with a value if one is given; returns it. */
  logged(field, value) {
    const fits = (line) => field in line && (value === undefined || line[field] === value);
    return until(`${field} in the log`, () => this.log.find(fits), { detail: () => this.log.slice(-5) });
  }

  /** Sends the server a signal. */
  signal(name) {
    process.kill(this.#child.pid, name);
  }

  /** Asks the server to end, waits for it, and removes the folder. Returns how it ended. */
  async stop() {
    if (this.#child && this.#child.exitCode === null && this.#child.signalCode === null) {
      this.signal('SIGTERM');
    }
    const kill = setTimeout(() => this.#child?.kill('SIGKILL'), STOP_MS);
    const end = await this.#exited;
    clearTimeout(kill);
    await rm(this.folder, { recursive: true, force: true });
    return end;
  }
}
