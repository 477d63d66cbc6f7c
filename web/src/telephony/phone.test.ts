// @vitest-environment jsdom

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeCall, FakeSdk } from '../testing/fakeSdk';
import { Phone } from './phone';
import { rememberedSignIn } from './remembered';

const DIAL = { destination: 'bob', callerName: 'Alice', callerNumber: '', video: false };
const LOST = { kind: 'closed', code: 1006, reason: '', last: true } as const;

async function signedIn() {
  const sdk = new FakeSdk();
  const phone = new Phone(sdk.createClient, () => sdk.tap);
  await phone.signIn({
    host: 'ws://127.0.0.1:8080',
    credentials: { kind: 'token', token: 'eyJ0' },
    identity: 'Alice',
    video: false,
  });
  sdk.client.listener.ready();
  return { sdk, phone, now: () => phone.getSnapshot() };
}

async function inCall() {
  const line = await signedIn();
  line.phone.dial(DIAL);
  const call = line.sdk.client.placed[0]?.call;
  if (call === undefined) throw new Error('no call was placed');
  call.to('active');
  return { ...line, call };
}

describe('signing in', () => {
  it('goes from connecting to registered, and keeps the token for a reload', async () => {
    const sdk = new FakeSdk();
    const phone = new Phone(sdk.createClient, () => sdk.tap);
    const done = phone.signIn({
      host: 'ws://h',
      credentials: { kind: 'token', token: 'eyJ0' },
      identity: null,
      video: false,
    });
    await done;
    expect(phone.getSnapshot().connection).toEqual({ state: 'connecting', unanswered: false });
    expect(rememberedSignIn()).toBeNull();
    sdk.client.listener.ready();
    expect(phone.getSnapshot().connection).toEqual({ state: 'registered' });
    expect(rememberedSignIn()).toEqual({ kind: 'token', token: 'eyJ0', host: 'ws://h' });
  });

  it('never keeps a password', async () => {
    const sdk = new FakeSdk();
    const phone = new Phone(sdk.createClient, () => sdk.tap);
    await phone.signIn({
      host: 'ws://h',
      credentials: { kind: 'password', username: 'alice', password: 'sesame' },
      identity: 'alice',
      video: false,
    });
    sdk.client.listener.ready();
    expect(rememberedSignIn()).toEqual({ kind: 'password', username: 'alice', host: 'ws://h' });
    expect(
      Object.keys(sessionStorage)
        .map((key) => sessionStorage.getItem(key))
        .join(),
    ).not.toContain('sesame');
  });

  it('stops the SDK when the server refuses, and repeats what the server said', async () => {
    const sdk = new FakeSdk();
    const phone = new Phone(sdk.createClient, () => sdk.tap);
    await phone.signIn({
      host: 'ws://h',
      credentials: { kind: 'token', token: 'x' },
      identity: null,
      video: false,
    });
    sdk.socket({ kind: 'sent', data: '{"id":"7","method":"login","params":{"login_token":"x"}}' });
    sdk.socket({ kind: 'received', data: '{"id":"7","error":{"code":-32001,"message":"Login Incorrect"}}' });
    sdk.client.listener.error({ code: 46001, name: 'LOGIN_FAILED', message: '', fatal: true, callId: null });
    expect(phone.getSnapshot().connection).toMatchObject({
      state: 'failed',
      failure: { title: 'Sign-in refused', detail: 'Login Incorrect (-32001)' },
    });
    expect(sdk.client.disconnected).toBe(true);
    // What the stopped client still says changes nothing.
    sdk.client.listener.ready();
    expect(phone.getSnapshot().connection.state).toBe('failed');
  });

  it('says when the server does not take the connection', async () => {
    const sdk = new FakeSdk();
    const phone = new Phone(sdk.createClient, () => sdk.tap);
    await phone.signIn({ host: 'ws://h', credentials: { kind: 'token', token: 'x' }, identity: null, video: false });
    sdk.socket(LOST);
    expect(phone.getSnapshot().connection).toEqual({ state: 'connecting', unanswered: true });
  });

  it('fails when the SDK cannot be made', async () => {
    const phone = new Phone(
      () => Promise.reject(new Error('Invalid init options')),
      () => new FakeSdk().tap,
    );
    await phone.signIn({ host: 'ws://h', credentials: { kind: 'token', token: 'x' }, identity: null, video: false });
    expect(phone.getSnapshot().connection).toMatchObject({
      state: 'failed',
      failure: { detail: 'Invalid init options' },
    });
  });

  it('shows a lost connection, keeps the call, and finds back', async () => {
    const { sdk, now, call } = await inCall();
    sdk.socket({ ...LOST, last: false });
    expect(now().connection.state).toBe('registered');
    sdk.socket(LOST);
    expect(now().connection.state).toBe('reconnecting');
    expect(now().calls).toHaveLength(1);
    sdk.client.listener.ready();
    expect(now().connection.state).toBe('registered');
    expect(call.state).toBe('active');
  });

  it('does not hang up when the server sends it away: another window may hold the call now', async () => {
    const { sdk, now } = await inCall();
    sdk.client.listener.message('telnyx_rtc.punt', {});
    expect(now().connection).toMatchObject({ state: 'failed', failure: { title: 'Signed out by the server' } });
    expect(now().calls).toHaveLength(0);
    expect(sdk.client.disconnected).toBe(false);
    expect(rememberedSignIn()).toBeNull();
  });

  it('forgets everything on signing out', async () => {
    const { sdk, phone, now } = await inCall();
    await phone.signOut();
    expect(now()).toMatchObject({ connection: { state: 'signed-out' }, identity: null, calls: [] });
    expect(sdk.client.disconnected).toBe(true);
    expect(rememberedSignIn()).toBeNull();
  });
});

describe('a call', () => {
  it('rings over there only when the server says so', async () => {
    const { sdk, phone, now } = await signedIn();
    phone.dial(DIAL);
    const call = sdk.client.placed[0]?.call;
    expect(now().calls[0]?.phase).toBe('starting');
    call?.to('requesting');
    call?.to('trying');
    expect(now().calls[0]?.phase).toBe('calling');
    sdk.client.listener.message('telnyx_rtc.ringing', { callID: 'someone else’s' });
    expect(now().calls[0]?.phase).toBe('calling');
    sdk.client.listener.message('telnyx_rtc.ringing', { callID: call?.id });
    expect(now().calls[0]?.phase).toBe('ringing');
    call?.to('active');
    expect(now().calls[0]).toMatchObject({ phase: 'active', peerNumber: 'bob', direction: 'outbound' });
    expect(now().calls[0]?.activeSince).not.toBeNull();
  });

  it('is not placed while the line is down', async () => {
    const { sdk, phone } = await signedIn();
    sdk.socket(LOST);
    phone.dial(DIAL);
    expect(sdk.client.placed).toHaveLength(0);
  });

  it('says why it failed, and how the SIP side puts it', async () => {
    const { sdk, phone, now } = await signedIn();
    phone.dial(DIAL);
    const call = sdk.client.placed[0]?.call;
    if (call === undefined) throw new Error('no call');
    call.sipCode = 404;
    call.sipReason = 'Not Found';
    call.end('UNALLOCATED_NUMBER', 1);
    expect(now().calls).toEqual([]);
    expect(now().ended).toMatchObject({
      talkedMs: null,
      sip: 'SIP 404 Not Found',
      explanation: { name: 'UNALLOCATED_NUMBER', code: 1, title: 'Nobody has that number', failed: true },
    });
    phone.dismiss();
    expect(now().ended).toBeNull();
  });

  it('names the microphone, not a busy callee, when the microphone was the reason', async () => {
    const { sdk, phone, now } = await signedIn();
    phone.dial(DIAL);
    const call = sdk.client.placed[0]?.call;
    sdk.client.listener.error({
      code: 42001,
      name: 'MEDIA_MICROPHONE_PERMISSION_DENIED',
      message: '',
      fatal: true,
      callId: call?.id ?? null,
    });
    call?.end('USER_BUSY', 17);
    expect(now().ended?.explanation).toMatchObject({ code: 42001, title: 'No microphone allowed', failed: true });
    expect(now().notice).toBeNull();
  });

  it('does not blame anybody for our own cancel', async () => {
    const { sdk, phone, now } = await signedIn();
    phone.dial(DIAL);
    phone.hangUp(sdk.client.placed[0]?.call.id ?? '');
    expect(now().ended?.explanation).toMatchObject({ name: 'ORIGINATOR_CANCEL', code: 487, failed: false });
  });

  it('comes in, is answered once, and can be declined', async () => {
    const { sdk, phone, now } = await signedIn();
    const first = sdk.client.ring('in-1', 'Bob', 'gencredbob');
    expect(now().calls[0]).toMatchObject({ phase: 'incoming', peerName: 'Bob', peerNumber: 'gencredbob' });
    phone.answer('in-1', true);
    phone.answer('in-1', true);
    expect(first.answered).toBe(1);
    expect(first.options.video).toBe(true);
    expect(now().calls[0]?.phase).toBe('connecting');
    first.to('active');
    first.end('NORMAL_CLEARING', 16);
    sdk.client.ring('in-2', 'Bob', 'gencredbob');
    expect(now().ended).toBeNull();
    phone.hangUp('in-2');
    expect(now().ended?.explanation).toMatchObject({ name: 'USER_BUSY', sentence: 'You declined the call.' });
  });

  it('tells that another device answered', async () => {
    const { sdk, now } = await signedIn();
    sdk.client.ring('in-1', 'Bob', 'gencredbob').end('LOSE_RACE', 502);
    expect(now().ended?.explanation).toMatchObject({ title: 'Answered elsewhere', failed: false });
  });

  it('holds the first when a second is answered, and switches back', async () => {
    const { sdk, phone, now, call } = await inCall();
    const second = sdk.client.ring('in-1', 'Carol', 'c');
    phone.answer('in-1', false);
    second.to('active');
    expect(call.state).toBe('held');
    await vi.waitFor(() => {
      expect(now().calls[0]?.holdPending).toBe(false);
    });
    await phone.toggleHold(call.id);
    expect(second.state).toBe('held');
    expect(call.state).toBe('active');
    expect(now().calls.map(({ phase }) => phase)).toEqual(['active', 'held']);
  });

  it('shows a hold that the server has not confirmed as pending, and asks once', async () => {
    const { phone, now, call } = await inCall();
    call.holdAnswers = 'never';
    void phone.toggleHold(call.id);
    void phone.toggleHold(call.id);
    expect(now().calls[0]).toMatchObject({ phase: 'active', holdPending: true });
  });

  it('mutes, and sends digits', async () => {
    const { phone, now, call } = await inCall();
    phone.toggleMute(call.id);
    expect(now().calls[0]?.muted).toBe(true);
    phone.sendDigit(call.id, '5');
    phone.sendDigit(call.id, '#');
    expect(call.digits).toEqual(['5', '#']);
  });

  it('is the same call after a re-attach, and its clock goes on', async () => {
    const { sdk, now, call } = await inCall();
    const since = now().calls[0]?.activeSince;
    call.to('recovering');
    expect(now().calls[0]?.phase).toBe('recovering');
    const again = new FakeCall(call.id, 'inbound', { remoteCallerName: 'Bob' }, sdk.client.listener);
    again.recoveredCallId = call.id;
    again.to('recovering');
    again.to('active');
    expect(now().calls).toHaveLength(1);
    expect(now().calls[0]).toMatchObject({ phase: 'active', activeSince: since });
    again.end('NORMAL_CLEARING', 16);
    expect(now().calls).toEqual([]);
  });

  it('is taken back after a reload, with the clock of before', async () => {
    const before = await inCall();
    const since = before.now().calls[0]?.activeSince;
    const { sdk, now } = await signedIn();
    const again = new FakeCall(before.call.id, 'inbound', { remoteCallerName: 'Bob' }, sdk.client.listener);
    again.recoveredCallId = before.call.id;
    again.to('recovering');
    expect(now().calls[0]?.phase).toBe('recovering');
    again.to('active');
    expect(now().calls[0]).toMatchObject({ phase: 'active', activeSince: since });
  });

  it('does not come back from the dead', async () => {
    const { now, call } = await inCall();
    call.end('NORMAL_CLEARING', 16);
    call.to('hangup');
    call.to('destroy');
    expect(now().calls).toEqual([]);
  });

  it('tells of a problem that ends nothing', async () => {
    const { sdk, phone, now } = await inCall();
    sdk.client.listener.error({ code: 44001, name: 'HOLD_FAILED', message: '', fatal: false, callId: 'out-1' });
    expect(now().notice?.title).toBe('Hold did not work');
    expect(now().calls).toHaveLength(1);
    phone.dismiss();
    expect(now().notice).toBeNull();
  });
});

describe('a browser without a network', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('is noticed after three seconds, and forgotten when the call ends', async () => {
    const { sdk, phone, now } = await signedIn();
    phone.dial(DIAL);
    const call = sdk.client.placed[0]?.call;
    if (call === undefined) throw new Error('no call');
    call.peer = { instance: { iceGatheringState: 'gathering', localDescription: null } as RTCPeerConnection };
    vi.advanceTimersByTime(2_500);
    expect(now().calls[0]?.noCandidates).toBe(false);
    vi.advanceTimersByTime(1_000);
    expect(now().calls[0]?.noCandidates).toBe(true);
    phone.hangUp(call.id);
    expect(now().calls).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('the logs', () => {
  it('keep no secret', async () => {
    const { sdk, phone } = await signedIn();
    sdk.socket({ kind: 'opened', url: 'ws://h/?voice_sdk_id=VSDKsecret' });
    sdk.socket({ kind: 'sent', data: '{"id":"1","method":"login","params":{"passwd":"sesame"}}' });
    const text = JSON.stringify([phone.frames.getSnapshot(), phone.events.getSnapshot()]);
    expect(text).not.toContain('sesame');
    expect(text).not.toContain('VSDKsecret');
    expect(phone.frames.getSnapshot().entries[0]?.title).toBe('login');
  });

  it('stop growing', async () => {
    const { sdk, phone } = await signedIn();
    for (let i = 0; i < 1000; i += 1) sdk.socket({ kind: 'received', data: `{"id":${i},"method":"telnyx_rtc.ping"}` });
    expect(phone.frames.getSnapshot().entries).toHaveLength(300);
    expect(phone.frames.getSnapshot().dropped).toBe(700);
  });
});
