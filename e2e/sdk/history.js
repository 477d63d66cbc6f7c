// What the SDKs find when they ask what happened: a call that ended, its report and its webhooks, and a call that is up.

import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import { until } from '../harness/until.js';

/** Takes every webhook and answers 200. */
async function receiveWebhooks(t) {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => response.end());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${server.address().port}/hook`;
}

/** A certificate as a push service would give one out, signed by itself. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBlzCCAT2gAwIBAgIUGGmvMZgEgy+LgrUXwo23v/krfOIwCgYIKoZIzj0EAwIw
IDEeMBwGA1UEAwwVcHVzaC5yaW5ndHJpcC5leGFtcGxlMCAXDTI2MTEyNjIzMTg1
NloYDzIxMjYxMTAyMjMxODU2WjAgMR4wHAYDVQQDDBVwdXNoLnJpbmd0cmlwLmV4
YW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAR1Qs9HvCXl+SJknVS3YyvY
vNgGvnu/23kVDxR1wbSkq2WSk0sUdoTkxbQyaK9xnC1qruA6XJjIctKNVxv4VfWD
o1MwUTAdBgNVHQ4EFgQUfb+RXHwBlw6IQHHQ/utamWIR4MswHwYDVR0jBBgwFoAU
fb+RXHwBlw6IQHHQ/utamWIR4MswDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQD
AgNIADBFAiAWJXXAXytiYYJJOWmsgUX1MzQy15O+DRn8BoAvq1huPAIhALwhBvNZ
mVOLzAAmmYOGmNpLAwMS7v7QKYWKJCxHm7sk
-----END CERTIFICATE-----
`;

/** Returns what the push credentials of the drivers are made of. */
function pushFacts() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048, privateKeyEncoding: { type: 'pkcs8', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } });
  return {
    certificate: CERTIFICATE,
    private_key: privateKey,
    project_account_json_file: {
      type: 'service_account',
      project_id: 'ringtrip-e2e',
      private_key_id: '0123456789abcdef',
      private_key: privateKey,
      client_email: 'push@ringtrip-e2e.iam.gserviceaccount.com',
      client_id: '1234567890',
      token_uri: 'https://oauth2.googleapis.com/token',
    },
  };
}

/** Has two phones call twice: the first call ends, the second stays up until the test ends. */
export async function makeHistory(lab, t) {
  const webhook_url = await receiveWebhooks(t);
  const connection = { webhook_event_url: webhook_url, webhook_api_version: '2' };
  const { alice, bob, aliceUser, bobUser } = await lab.pair({ caller: { connection } });
  const first = await lab.talk(alice, bob, bobUser.address);
  const { ids } = await first.outgoing.describe();
  await first.outgoing.hangup();
  await Promise.all([first.outgoing.ended(), first.incoming.ended()]);
  await until("Alice's call report to arrive", () => alice.requests.some(({ method, url, status }) => method === 'POST' && url.endsWith('/call_report') && status === 200));

  const { api } = lab.tenant;
  await until('the end of the call to be delivered', async () => {
    const { data } = await api.webhookDeliveries.list({ filter: { event_type: 'call.hangup', status: { eq: 'delivered' } } });
    return data.some(({ webhook }) => webhook.payload.connection_id === aliceUser.connection.id);
  });
  await until('the record of the call', async () => {
    const { data } = await api.detailRecords.list({ filter: { record_type: 'webrtc', connection_id: aliceUser.connection.id } });
    return data.length > 0;
  });

  await lab.talk(alice, bob, bobUser.address);
  const connection_id = aliceUser.connection.id;
  return {
    push: pushFacts(),
    ended: { connection_id, sip_username: aliceUser.address, call_id: first.outgoing.id, leg_id: ids.telnyxLegId, session_id: ids.telnyxSessionId, webhook_url },
    live: { connection_id },
  };
}
