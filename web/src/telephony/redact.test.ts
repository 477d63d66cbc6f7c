import { describe, expect, it } from 'vitest';
import { redact, redactUrl } from './redact';

const TOKEN = 'eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl_-x';

describe('redact', () => {
  it('hides every secret of a login', () => {
    const frame = {
      method: 'login',
      params: { login_token: TOKEN, login: 'alice', passwd: 'sesame', userVariables: {} },
    };
    const text = JSON.stringify(redact(frame));
    expect(text).not.toContain(TOKEN);
    expect(text).not.toContain('sesame');
    expect(text).toContain('alice');
    expect(frame.params.passwd).toBe('sesame');
  });

  it('hides the reconnect token at the top of a frame and in the address', () => {
    expect(redact({ voice_sdk_id: 'VSDK1', id: 7 })).toEqual({ voice_sdk_id: '(hidden)', id: 7 });
    expect(redactUrl('ws://127.0.0.1:8080/?voice_sdk_id=VSDK1&a=b')).toBe(
      'ws://127.0.0.1:8080/?voice_sdk_id=(hidden)&a=b',
    );
  });

  it('hides TURN credentials deep inside a call', () => {
    const frame = { params: { dialogParams: { iceServers: [{ urls: 'turn:x', username: 'u', credential: 'hush' }] } } };
    expect(JSON.stringify(redact(frame))).not.toContain('hush');
  });

  it('hides the keys of media, and keeps the rest of the description', () => {
    const sdp =
      'v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:supersecret\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEYKEY\r\nm=audio 9\r\n';
    const out = redact({ sdp }) as { sdp: string };
    expect(out.sdp).not.toContain('supersecret');
    expect(out.sdp).not.toContain('KEYKEY');
    expect(out.sdp).toContain('a=ice-ufrag:abcd');
    expect(out.sdp).toContain('m=audio 9');
  });

  it('hides a token inside any other text', () => {
    expect(redact(`refused ${TOKEN}!`)).toBe('refused (hidden)!');
  });

  it('stops at a depth instead of overflowing', () => {
    let deep: unknown = 'bottom';
    for (let i = 0; i < 5000; i += 1) deep = [deep];
    expect(JSON.stringify(redact(deep))).toContain('(deeper)');
  });
});
