// @vitest-environment jsdom

/** The unmodified SDK, behind our adapter, against a server inside the page. */

import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeServer } from '../testing/fakeServer';
import { Phone } from './phone';
import type { Credentials } from './sdk';
import { createSdkClient, socketTap } from './sdk';

const HOST = 'ws://127.0.0.1:8080';
const TOKEN = { kind: 'token', token: 'eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiJhbGljZSJ9.c2ln' } as const;
const server = new FakeServer();

// The SDK takes hold of `WebSocket` once, when it is loaded.
beforeAll(() => {
  server.install();
  vi.stubGlobal('console', { ...console, info: () => undefined, warn: () => undefined, error: () => undefined });
});
beforeEach(() => {
  server.received.length = 0;
  server.urls.length = 0;
  server.login = () => ({ result: { message: 'logged in', sessid: '5e551d00-0000-4000-8000-000000000001' } });
});

/** Waits for something that a busy machine may take long to do. */
function eventually(check: () => void): Promise<void> {
  return vi.waitFor(check, { timeout: 15_000 });
}

async function signIn(credentials: Credentials = TOKEN) {
  const phone = new Phone(createSdkClient, socketTap);
  await phone.signIn({ host: HOST, credentials, identity: 'Alice', video: false });
  return phone;
}

async function registered() {
  const phone = await signIn();
  await eventually(() => {
    expect(phone.getSnapshot().connection.state).toBe('registered');
  });
  return phone;
}

describe('the stock SDK', () => {
  it('registers with a token at our host, and nowhere else', async () => {
    const phone = await registered();
    expect(server.urls.every((url) => url.startsWith(HOST))).toBe(true);
    expect(server.requests('login')[0]?.params).toMatchObject({ login_token: TOKEN.token });
    expect(phone.frames.getSnapshot().entries.map(({ title }) => title)).toEqual(
      expect.arrayContaining([
        'login',
        'result of login',
        'telnyx_rtc.clientReady',
        'result of telnyx_rtc.gatewayState',
      ]),
    );
    await phone.signOut();
  });

  it('registers with user name and password', async () => {
    const phone = await signIn({ kind: 'password', username: 'alice', password: 'sesame' });
    await eventually(() => {
      expect(phone.getSnapshot().connection.state).toBe('registered');
    });
    expect(server.requests('login')[0]?.params).toMatchObject({ login: 'alice', passwd: 'sesame' });
    expect(JSON.stringify(phone.frames.getSnapshot())).not.toContain('sesame');
    await phone.signOut();
  });

  it('is stopped after a refusal, and the server’s words are shown', async () => {
    server.login = () => ({ error: { code: -32001, message: 'Login Incorrect' } });
    const phone = await signIn();
    await eventually(() => {
      expect(phone.getSnapshot().connection).toMatchObject({
        state: 'failed',
        failure: { title: 'Sign-in refused', detail: 'Login Incorrect (-32001)' },
      });
    });
    expect(server.requests('login')).toHaveLength(1);
  });

  it('rings, and a cancel is told as the caller’s', async () => {
    const phone = await registered();
    server.request('telnyx_rtc.invite', {
      callID: 'c0ffee00-0000-4000-8000-000000000001',
      sdp: 'v=0\r\n',
      caller_id_name: 'Bob',
      caller_id_number: 'gencredbob',
      telnyx_session_id: 'c0ffee00-0000-4000-8000-000000000002',
      telnyx_leg_id: 'c0ffee00-0000-4000-8000-000000000003',
    });
    expect(phone.getSnapshot().calls[0]).toMatchObject({
      phase: 'incoming',
      direction: 'inbound',
      peerName: 'Bob',
      peerNumber: 'gencredbob',
    });
    server.request('telnyx_rtc.bye', {
      callID: 'c0ffee00-0000-4000-8000-000000000001',
      cause: 'ORIGINATOR_CANCEL',
      causeCode: 487,
      sipCode: 487,
      sipReason: 'Request Terminated',
    });
    expect(phone.getSnapshot().calls).toEqual([]);
    expect(phone.getSnapshot().ended).toMatchObject({
      sip: 'SIP 487 Request Terminated',
      explanation: { name: 'ORIGINATOR_CANCEL', code: 487, title: 'Caller hung up', failed: false },
    });
    await phone.signOut();
  });

  it('declines with the SDK’s own bye', async () => {
    const phone = await registered();
    server.request('telnyx_rtc.invite', { callID: 'c0ffee00-0000-4000-8000-000000000009', sdp: 'v=0\r\n' });
    phone.hangUp('c0ffee00-0000-4000-8000-000000000009');
    await eventually(() => {
      expect(phone.getSnapshot().ended?.explanation).toMatchObject({
        name: 'USER_BUSY',
        sentence: 'You declined the call.',
      });
    });
    expect(server.requests('telnyx_rtc.bye')[0]?.params).toMatchObject({ cause: 'USER_BUSY', causeCode: 17 });
    await phone.signOut();
  });

  it('stays away after a punt', async () => {
    const phone = await registered();
    const sockets = server.urls.length;
    server.request('telnyx_rtc.punt', {});
    expect(phone.getSnapshot().connection).toMatchObject({ state: 'failed' });
    await eventually(() => {
      expect(phone.events.getSnapshot().entries[0]?.title).toContain('Signed out by the server');
    });
    expect(server.urls).toHaveLength(sockets);
  });

  it('shows a cut as a lost connection, and registers again', async () => {
    const phone = await registered();
    phone.cutSocket();
    await eventually(() => {
      expect(phone.getSnapshot().connection.state).toBe('reconnecting');
    });
    await eventually(() => {
      expect(phone.getSnapshot().connection.state).toBe('registered');
    });
    expect(server.requests('login')[1]?.params).toMatchObject({ reconnection: true });
    await phone.signOut();
  });
});
