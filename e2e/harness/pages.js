// Serves the test pages and the stock SDK's own bundle to the browser.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const E2E = join(dirname(fileURLToPath(import.meta.url)), '..');

const FILES = new Map([
  ['/sdk.html', ['pages/sdk.html', 'text/html; charset=utf-8']],
  ['/sdk.js', ['pages/sdk.js', 'text/javascript; charset=utf-8']],
  ['/telnyx-webrtc.mjs', ['node_modules/@telnyx/webrtc/lib/bundle.mjs', 'text/javascript; charset=utf-8']],
]);

/** Starts the page server on a free loopback port. Returns its origin and a function that stops it. */
export async function servePages() {
  const server = createServer(async (request, response) => {
    const file = FILES.get(new URL(request.url, 'http://localhost').pathname);
    if (!file) {
      response.writeHead(404).end();
      return;
    }
    const [path, type] = file;
    const body = await readFile(join(E2E, path));
    response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(resolve);
      }),
  };
}
