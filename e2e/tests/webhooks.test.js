// An application's side of webhooks: the official verifiers accept what the server sends, and nothing else.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import Telnyx from 'telnyx';
import { scenario } from '../harness/lab.js';
import { until } from '../harness/until.js';

const E2E = join(dirname(fileURLToPath(import.meta.url)), '..');

const LIFE = ['call.initiated', 'call.answered', 'call.bridged', 'call.hangup'];

/** An endpoint that takes everything and keeps it as it came. */
class Endpoint {
  requests = [];
  #server;

  static async open(t) {
    const endpoint = new Endpoint();
    endpoint.#server = createServer(async (request, response) => {
      const body = await text(request);
      endpoint.requests.push({ body, headers: request.headers });
      response.writeHead(200).end();
    });
    endpoint.#server.listen(0, '127.0.0.1');
    await once(endpoint.#server, 'listening');
    t.after(() => endpoint.#server.close());
    return endpoint;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}/hooks`;
  }

  /** Waits until so many requests have come. */
  async took(count) {
    await until(`${count} webhooks`, () => this.requests.length >= count, { detail: () => this.requests.map(({ body }) => body) });
    assert.equal(this.requests.length, count);
    return this.requests;
  }
}

async function publicKey(tenant) {
  const { data } = await tenant.api.get('/public_key');
  return data.public;
}

/** Verifies as a Python backend does. */
async function verifyInPython(request, public_key) {
  const child = spawn(join(E2E, '.venv', 'bin', 'python'), [join(E2E, 'python', 'verify_webhook.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify({ ...request, public_key }));
  const [printed] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  return JSON.parse(printed);
}

/** What a forger, or a man in the middle, might send instead. */
function forgeries({ body, headers }) {
  const old = String(Number(headers['telnyx-timestamp']) - 301);
  return {
    'a changed body': { body: body.replace('call.', 'cell.'), headers },
    'a body with a space more': { body: `${body} `, headers },
    'a moved timestamp': { body, headers: { ...headers, 'telnyx-timestamp': String(Number(headers['telnyx-timestamp']) + 1) } },
    'an old timestamp': { body, headers: { ...headers, 'telnyx-timestamp': old } },
    'no signature': { body, headers: { ...headers, 'telnyx-signature-ed25519': undefined } },
    'another signature': { body, headers: { ...headers, 'telnyx-signature-ed25519': Buffer.alloc(64, 1).toString('base64') } },
  };
}

scenario('the official Node and Python verifiers accept the webhooks of a call, in order', async (lab, t) => {
  const endpoint = await Endpoint.open(t);
  const connection = { webhook_event_url: endpoint.url, webhook_api_version: '2', tags: ['e2e'] };
  const { alice, bob, aliceUser, bobUser } = await lab.pair({ caller: { connection } });
  const { outgoing, incoming } = await lab.talk(alice, bob, bobUser.address);
  await incoming.hangup();
  await outgoing.ended();

  const requests = await endpoint.took(4);
  const key = await publicKey(lab.tenant);
  const client = new Telnyx({ apiKey: 'unused', publicKey: key });
  const events = [];
  for (const request of requests) {
    const { data, meta } = await client.webhooks.unwrap(request.body, { headers: request.headers });
    events.push(data);
    assert.equal(meta.delivered_to, endpoint.url);
    assert.equal(data.payload.connection_id, aliceUser.connection.id);
    assert.deepEqual(data.payload.tags, ['e2e']);
    const seen = await verifyInPython(request, key);
    assert.deepEqual(seen, { id: data.id, event_type: data.event_type, call_leg_id: data.payload.call_leg_id });
  }
  assert.deepEqual(events.map(({ event_type }) => event_type), LIFE);
  const [initiated, , , hangup] = events.map(({ payload }) => payload);
  assert.equal(initiated.direction, 'outgoing');
  assert.equal(initiated.to, bobUser.address);
  assert.match(initiated.offered_codecs, /opus/);
  assert.equal(hangup.hangup_cause, 'normal_clearing');
  assert.equal(hangup.hangup_source, 'callee');
  assert.ok(Number(hangup.call_quality_stats.inbound.packet_count) > 0, 'they talked');
  assert.ok(Number(hangup.call_quality_stats.inbound.mos) > 1);

  const listed = await lab.tenant.api.callEvents.list({ filter: { leg_id: initiated.call_leg_id } });
  assert.deepEqual(listed.data.map(({ name }) => name), LIFE);
  const filter = { webhook: { contains: initiated.call_leg_id } };
  const deliveries = await until('four deliveries in the log', async () => {
    const { data } = await lab.tenant.api.webhookDeliveries.list({ filter });
    return data.length === 4 && data;
  });
  assert.ok(deliveries.every(({ status }) => status === 'delivered'));
  assert.deepEqual(deliveries.map(({ webhook }) => webhook.id).reverse(), events.map(({ id }) => id));
});

scenario('the official verifiers refuse what is not as we signed it', async (lab, t) => {
  const endpoint = await Endpoint.open(t);
  const alice = await lab.login(await lab.tenant.user({ connection: { webhook_event_url: endpoint.url } }), 'Alice');
  const outgoing = await alice.call('gencredNobodyHasThisName');
  await outgoing.ended();
  const [request] = await endpoint.took(2);
  const keys = await Promise.all(lab.tenants.map(publicKey));
  const client = new Telnyx({ apiKey: 'unused', publicKey: keys[0] });
  await client.webhooks.unwrap(request.body, { headers: request.headers });
  for (const [what, forged] of Object.entries(forgeries(request))) {
    await assert.rejects(client.webhooks.unwrap(forged.body, { headers: forged.headers }), { name: 'TelnyxWebhookVerificationError' }, what);
    const seen = await verifyInPython(forged, keys[0]);
    assert.ok(seen.refused, `${what}: ${JSON.stringify(seen)}`);
  }
  const stranger = new Telnyx({ apiKey: 'unused', publicKey: keys[1] });
  await assert.rejects(stranger.webhooks.unwrap(request.body, { headers: request.headers }), 'the key of another tenant');
});

scenario('a delivery is sent again with the same event id', async (lab, t) => {
  const endpoint = await Endpoint.open(t);
  const alice = await lab.login(await lab.tenant.user({ connection: { webhook_event_url: endpoint.url } }), 'Alice');
  const outgoing = await alice.call('gencredNobodyHasThisName');
  await outgoing.ended();
  await endpoint.took(2);
  const first = JSON.parse(endpoint.requests[0].body).data;
  const delivery = await until('the delivery in the log', async () => {
    const { data } = await lab.tenant.api.webhookDeliveries.list({ filter: { webhook: { contains: first.id } } });
    return data[0];
  });
  await lab.tenant.api.post(`/webhook_deliveries/${delivery.id}/actions/resend`);
  const again = JSON.parse((await endpoint.took(3))[2].body);
  assert.equal(again.data.id, first.id);
  assert.equal(again.meta.delivered_to, endpoint.url);
  const { data } = await until('both attempts in the log', async () => {
    const shown = await lab.tenant.api.webhookDeliveries.retrieve(delivery.id);
    return shown.data.attempts.length === 2 && shown;
  });
  assert.equal(data.status, 'delivered');
});
