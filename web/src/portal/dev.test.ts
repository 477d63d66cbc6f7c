import { afterEach, describe, expect, it, vi } from 'vitest';
import { loadDevCredentials, parseDevCredentials } from './dev';

const BODY = {
  accounts: [
    {
      email: 'dev@ringtrip.local',
      connection_id: '1',
      credentials: [
        { id: 'a', sip_username: 'gencreda', token: 'eyJa', label: 'Alice' },
        { id: 'b', sip_username: 'gencredb', token: 'eyJb', label: 'Bob' },
      ],
    },
    { user_id: 'u2', credentials: [{ id: 'c', sip_username: 'gencredc', token: 'eyJc' }] },
  ],
  websocket_url: 'ws://127.0.0.1:8080',
};

describe('the ready credentials', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it('are read with their labels and accounts', () => {
    expect(parseDevCredentials(BODY)).toEqual([
      { label: 'Alice', slug: 'alice', sipUsername: 'gencreda', token: 'eyJa', account: 'dev@ringtrip.local' },
      { label: 'Bob', slug: 'bob', sipUsername: 'gencredb', token: 'eyJb', account: 'dev@ringtrip.local' },
      { label: 'gencredc', slug: 'gencredc', sipUsername: 'gencredc', token: 'eyJc', account: 'u2' },
    ]);
  });

  it.each([null, [], 'x', {}, { accounts: 7 }, { accounts: [null, { credentials: [null, 3, { token: 1 }] }] }])(
    'are none in %j',
    (body) => {
      expect(parseDevCredentials(body)).toEqual([]);
    },
  );

  it('are absent where the server is not in dev mode, sends no JSON, or is away', async () => {
    const { signal } = new AbortController();
    for (const answer of [
      () => Promise.resolve(new Response('not found', { status: 404 })),
      () => Promise.resolve(new Response('<html>', { status: 200 })),
      () => Promise.reject(new TypeError('Failed to fetch')),
    ]) {
      vi.stubGlobal('fetch', answer);
      expect(await loadDevCredentials(signal)).toEqual({ state: 'absent' });
    }
    vi.stubGlobal('fetch', () => Promise.resolve(Response.json(BODY)));
    expect(await loadDevCredentials(signal)).toMatchObject({ state: 'ready' });
  });
});
