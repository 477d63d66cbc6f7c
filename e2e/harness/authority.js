// A certificate authority of a test's own, made with openssl, and a Chromium that trusts it.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Issues certificates for `localhost`. */
export class Authority {
  #folder;

  /** Makes an authority with a folder of its own. */
  static async create() {
    const authority = new Authority();
    authority.#folder = await mkdtemp(join(tmpdir(), 'ringtrip-ca-'));
    authority.certificate = authority.#path('ca.pem');
    await run('openssl', [
      'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
      '-subj', '/CN=An authority of the tests',
      '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign',
      '-keyout', authority.#path('ca.key'), '-out', authority.certificate,
    ]);
    return authority;
  }

  #path(name) {
    return join(this.#folder, name);
  }

  /** Issues a certificate into two files, and returns its serial number. */
  async issue(certificate, key) {
    const request = this.#path('request.pem');
    const extensions = this.#path('extensions');
    await writeFile(extensions, 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n');
    await run('openssl', [
      'req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
      '-subj', '/CN=localhost', '-keyout', key, '-out', request,
    ]);
    await run('openssl', [
      'x509', '-req', '-in', request, '-CA', this.certificate, '-CAkey', this.#path('ca.key'), '-CAcreateserial',
      '-days', '1', '-extfile', extensions, '-out', certificate,
    ]);
    const { stdout } = await run('openssl', ['x509', '-in', certificate, '-noout', '-serial']);
    return stdout.trim().split('=')[1];
  }

  /** Makes a home folder in which Chromium finds this authority among those it trusts. */
  async home() {
    const home = this.#path('home');
    const store = join(home, '.pki', 'nssdb');
    await mkdir(store, { recursive: true });
    await run('certutil', ['-d', `sql:${store}`, '-N', '--empty-password']);
    await run('certutil', ['-d', `sql:${store}`, '-A', '-n', 'ringtrip tests', '-t', 'C,,', '-i', this.certificate]);
    return home;
  }

  /** Removes everything it made. */
  remove() {
    return rm(this.#folder, { recursive: true, force: true });
  }
}
