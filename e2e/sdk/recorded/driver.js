// Replays requests as an SDK that is not installed here puts them on the wire. How a driver reports: see ../README.md.
//
// The argument names a file of requests. Each is written to a socket byte for byte, because what matters is what an HTTP
// client of ours would tidy up: a Content-Type without a body, a Content-Length on a GET, a doubled slash in the path.

import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { OPERATIONS } from '../operations.js';

const FACTS = JSON.parse(process.env.RINGTRIP_SDK_FACTS);
const BASE = new URL(process.env.TELNYX_BASE_URL);

/** How long one answer may take. */
const ANSWER_MS = 30_000;

/** What `{{…}}` in a request stands for; `keep` adds to it. */
const words = {
  key: process.env.TELNYX_API_KEY,
  unknown_key: FACTS.unknown_key,
  unique: randomBytes(6).toString('hex'),
  number: `+1312${randomInt(2_000_000, 10_000_000)}`,
  user_id: FACTS.user_id,
  live_connection: FACTS.live.connection_id,
  ended_connection: FACTS.ended.connection_id,
  ended_call: FACTS.ended.call_id,
  ended_leg: FACTS.ended.leg_id,
  project: FACTS.push.project_account_json_file,
};
words.digits = words.number.slice(1);

/** Fills the words in, in texts at any depth. A text that is one word alone becomes its value, whatever its type. */
function fill(value) {
  if (typeof value === 'string') {
    const alone = /^\{\{(\w+)\}\}$/.exec(value);
    return alone ? word(alone[1]) : value.replaceAll(/\{\{(\w+)\}\}/g, (_, name) => word(name));
  }
  if (Array.isArray(value)) {
    return value.map(fill);
  }
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, fill(inner)]));
  }
  return value;
}

function word(name) {
  assert.ok(name in words, `nothing is known as ${name}: an earlier request failed`);
  return words[name];
}

/** Returns the value at a path such as `data.0.id`. */
const at = (value, path) => path.split('.').reduce((inner, name) => inner?.[name], value);

/**
 * Checks that what was answered holds what is expected: objects may have more, arrays may not, and `/…/` is a pattern.
 */
function holds(found, wanted, path = '') {
  if (typeof wanted === 'string' && /^\/.+\/$/.test(wanted)) {
    assert.match(String(found), new RegExp(`^(?:${wanted.slice(1, -1)})$`), path);
  } else if (Array.isArray(wanted)) {
    assert.ok(Array.isArray(found), `${path} is no array`);
    assert.equal(found.length, wanted.length, `length of ${path}`);
    wanted.forEach((inner, i) => holds(found[i], inner, `${path}.${i}`));
  } else if (wanted !== null && typeof wanted === 'object') {
    assert.ok(found !== null && typeof found === 'object', `${path || 'the body'} is no object`);
    for (const [name, inner] of Object.entries(wanted)) {
      holds(found[name], inner, path ? `${path}.${name}` : name);
    }
  } else {
    assert.equal(found, wanted, path);
  }
}

/** Sends bytes and returns the answer: `{ status, headers, text }`. */
function exchange(bytes) {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(BASE.port), BASE.hostname);
    const chunks = [];
    socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error(`no answer in ${ANSWER_MS} ms`)));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('end', () => {
      const answer = Buffer.concat(chunks);
      const split = answer.indexOf('\r\n\r\n');
      const [first, ...lines] = answer.subarray(0, split).toString('latin1').split('\r\n');
      const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
      resolve({ status: Number(first.split(' ')[1]), headers, text: body(answer.subarray(split + 4), headers) });
    });
    socket.write(bytes);
  });
}

function body(bytes, headers) {
  if (headers.get('transfer-encoding') !== 'chunked') {
    return bytes.toString();
  }
  const parts = [];
  for (let rest = bytes; ; ) {
    const line = rest.indexOf('\r\n');
    const size = Number.parseInt(rest.subarray(0, line).toString('latin1'), 16);
    if (!size) {
      return Buffer.concat(parts).toString();
    }
    parts.push(rest.subarray(line + 2, line + 2 + size));
    rest = rest.subarray(line + 4 + size);
  }
}

async function play({ method, target, headers = {}, body: content, expect, keep = {} }, always) {
  const text = content === undefined ? '' : JSON.stringify(fill(content));
  const all = { Host: BASE.host, Connection: 'close', ...fill({ ...always, ...headers }) };
  if (text) {
    all['Content-Length'] = Buffer.byteLength(text);
  }
  const head = [`${method} ${fill(target)} HTTP/1.1`, ...Object.entries(all).map(([name, value]) => `${name}: ${value}`)];
  const answer = await exchange(`${head.join('\r\n')}\r\n\r\n${text}`);
  const told = `${method} ${fill(target)}: ${answer.status} ${answer.text.slice(0, 500)}`;
  assert.equal(answer.status, expect.status, told);
  const type = (answer.headers.get('content-type') ?? '').split(';')[0];
  if (expect.text) {
    assert.equal(type, 'text/plain', told);
    holds(answer.text, expect.text, 'the body');
  } else if (answer.status === 204) {
    assert.equal(answer.text, '', told);
  } else {
    assert.equal(type, 'application/json', told);
    const json = JSON.parse(answer.text);
    holds(json, fill(expect.body));
    for (const [name, path] of Object.entries(keep)) {
      words[name] = at(json, path);
      assert.notEqual(words[name], undefined, `${path} in ${answer.text.slice(0, 500)}`);
    }
  }
}

const { sdk, headers, requests } = JSON.parse(await readFile(process.argv[2], 'utf8'));
console.log(JSON.stringify({ sdk }));

const results = new Map();
for (const request of requests) {
  try {
    await play(request, headers);
    if (!results.has(request.operation)) {
      results.set(request.operation, { result: 'replayed', detail: request.method });
    }
  } catch (error) {
    console.error(error);
    results.set(request.operation, { result: 'failed', detail: `${request.why ?? request.method}: ${error.message}` });
  }
}
for (const { id } of OPERATIONS.filter(({ id }) => !results.has(id))) {
  results.set(id, { result: 'skipped', detail: 'no request shows it' });
}
for (const [operation, { result, detail }] of results) {
  console.log(JSON.stringify({ operation, result, detail }));
}
