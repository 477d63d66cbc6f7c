// A TCP relay in front of the signalling port that a test can cut: what a lost network looks like to both ends.

import { connect, createServer } from 'node:net';

/** A relay from a free loopback port to `host:port`. */
export class Proxy {
  #server;
  #pairs = new Set();
  #open = true;

  /** How many connections were ever accepted and relayed. */
  accepted = 0;

  /** Starts a relay to the authority of `url` (`ws://host:port`). */
  static async to(url) {
    const { hostname, port } = new URL(url);
    const proxy = new Proxy();
    proxy.#server = createServer((near) => proxy.#relay(near, hostname, Number(port)));
    await new Promise((resolve, reject) => {
      proxy.#server.once('error', reject);
      proxy.#server.listen(0, '127.0.0.1', resolve);
    });
    proxy.url = `ws://127.0.0.1:${proxy.#server.address().port}`;
    return proxy;
  }

  #relay(near, host, port) {
    near.on('error', () => near.destroy());
    if (!this.#open) {
      near.resetAndDestroy();
      return;
    }
    this.accepted += 1;
    const far = connect(port, host);
    const pair = { near, far };
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    far.on('error', end).on('close', end);
    near.on('close', end);
    near.pipe(far).pipe(near);
  }

  /** Resets every connection and refuses new ones until {@link mend}. */
  cut() {
    this.#open = false;
    for (const { near, far } of this.#pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }

  /** Lets connections through again. */
  mend() {
    this.#open = true;
  }

  /** Stops the relay. */
  async stop() {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
