import { describe, expect, it } from 'vitest';
import { readAddress } from './address';

function at(search: string, protocol = 'http:') {
  return readAddress({ protocol, host: '127.0.0.1:8080', search });
}

describe('readAddress', () => {
  it('speaks to the server the page came from', () => {
    expect(at('')).toEqual({ as: null, host: 'ws://127.0.0.1:8080', ownHost: true, video: false });
    expect(at('', 'https:').host).toBe('wss://127.0.0.1:8080');
  });

  it('takes another host, with or without a scheme', () => {
    expect(at('?host=wss://phone.example')).toMatchObject({ host: 'wss://phone.example', ownHost: false });
    expect(at('?host=127.0.0.1:9999')).toMatchObject({ host: 'ws://127.0.0.1:9999', ownHost: false });
    expect(at('?host=ws://127.0.0.1:8080/')).toMatchObject({ ownHost: true });
    expect(at('?host=ws://')).toMatchObject({ ownHost: false });
  });

  it('reads who to be and whether video is on', () => {
    expect(at('?as=Bob&video=1')).toMatchObject({ as: 'bob', video: true });
  });
});
