// @vitest-environment jsdom

import { MantineProvider } from '@mantine/core';
import { act, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { StrictMode } from 'react';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Phone } from '../../telephony/phone';
import { FakeSdk } from '../../testing/fakeSdk';
import { theme } from '../../theme';
import { PhonePage } from './PhonePage';

const DEV = {
  accounts: [
    {
      email: 'one@example.test',
      credentials: [
        { id: 'a', sip_username: 'gencreda', token: 'eyJa', label: 'Alice' },
        { id: 'b', sip_username: 'gencredb', token: 'eyJb', label: 'Bob' },
      ],
    },
    { email: 'two@example.test', credentials: [{ id: 'c', sip_username: 'gencredc', token: 'eyJc', label: 'Carol' }] },
  ],
};

function open(search = '', dev: object | null = DEV) {
  window.history.replaceState(null, '', `/${search}`);
  vi.stubGlobal('fetch', () =>
    Promise.resolve(dev === null ? new Response(null, { status: 404 }) : Response.json(dev)),
  );
  const sdk = new FakeSdk();
  const phone = new Phone(sdk.createClient, () => sdk.tap);
  render(
    <StrictMode>
      <MantineProvider theme={theme} env="test">
        <PhonePage phone={phone} />
      </MantineProvider>
    </StrictMode>,
  );
  return { sdk, phone, user: userEvent.setup({ delay: null }) };
}

async function openAs(slug: string) {
  const opened = open(`?as=${slug}`);
  await waitFor(() => {
    expect(opened.sdk.clients).toHaveLength(1);
  });
  act(() => {
    opened.sdk.client.listener.ready();
  });
  return opened;
}

describe('the Phone page', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it('offers the ready credentials; the second opens a window of its own', async () => {
    const { sdk, user } = open();
    const bob = await screen.findByTestId('link-as-bob');
    expect(bob).toHaveProperty('rel', 'noopener');
    expect(bob).toHaveProperty('target', '_blank');
    expect(bob.getAttribute('href')).toBe('/?as=bob');
    await user.click(screen.getByRole('button', { name: 'Call as Alice' }));
    expect(sdk.client.credentials).toEqual({ kind: 'token', token: 'eyJa' });
    expect(sdk.client.host).toBe(`ws://${window.location.host}`);
    expect(window.location.search).toBe('?as=alice');
    act(() => {
      sdk.client.listener.ready();
    });
    expect(screen.getByTestId('status-connection').textContent).toBe('Registered as Alice');
  });

  it('signs in at once with ?as=, and once only', async () => {
    const { sdk } = await openAs('bob');
    expect(sdk.clients).toHaveLength(1);
    expect(sdk.client.credentials).toEqual({ kind: 'token', token: 'eyJb' });
  });

  it('sends no ready token to a foreign host unasked', async () => {
    const { sdk } = open('?as=alice&host=wss://elsewhere.example');
    await screen.findByTestId('btn-as-alice');
    expect(sdk.clients).toHaveLength(0);
    expect(screen.getByText('wss://elsewhere.example')).toBeTruthy();
  });

  it('shows the form alone where there are no ready credentials', async () => {
    const { sdk, user } = open('', null);
    await waitFor(() => {
      expect(screen.queryByLabelText('Looking for ready credentials')).toBeNull();
    });
    expect(screen.queryByTestId('btn-as-alice')).toBeNull();
    expect(screen.getByTestId('btn-connect')).toHaveProperty('disabled', true);
    await user.type(screen.getByTestId('input-login-token'), ' eyJx ');
    await user.click(screen.getByTestId('btn-connect'));
    expect(sdk.client.credentials).toEqual({ kind: 'token', token: 'eyJx' });
  });

  it('signs in with user name and password from the keyboard alone', async () => {
    const { sdk, user } = open('', null);
    await user.click(screen.getByTestId('radio-credentials'));
    await user.type(screen.getByLabelText('SIP user name'), 'alice');
    await user.tab();
    await user.keyboard('sesame{Enter}');
    expect(sdk.client.credentials).toEqual({ kind: 'password', username: 'alice', password: 'sesame' });
  });

  it('says in words that signing in failed', async () => {
    const { sdk } = await openAs('alice');
    act(() => {
      sdk.client.listener.error({ code: 46001, name: 'LOGIN_FAILED', message: '', fatal: true, callId: null });
    });
    expect(screen.getByTestId('status-connection').textContent).toBe('Failed: sign-in refused');
    expect(within(screen.getByRole('alert')).getByText(/wrong or has expired/)).toBeTruthy();
    expect(screen.getByTestId('btn-connect')).toBeTruthy();
  });

  it('calls the other one in two clicks, and shows what happens', async () => {
    const { sdk, user } = await openAs('alice');
    expect(screen.getByTestId('btn-call')).toHaveProperty('disabled', true);
    await user.click(screen.getByTestId('destination-bob'));
    await user.click(screen.getByTestId('btn-call'));
    const placed = sdk.client.placed[0];
    expect(placed?.dial).toEqual({
      destination: 'gencredb',
      callerName: 'Alice',
      callerNumber: 'gencreda',
      video: false,
    });
    expect(screen.getByTestId('call-peer').textContent).toBe('Bob');
    expect(screen.getByTestId('btn-hangup').textContent).toBe('Cancel');
    act(() => {
      placed?.call.to('trying');
      sdk.client.listener.message('telnyx_rtc.ringing', { callID: placed?.call.id });
    });
    expect(screen.getByTestId('status-call').textContent).toBe('Ringing… Bob');
    act(() => {
      placed?.call.to('active');
    });
    expect(screen.getByTestId('status-call').dataset['phase']).toBe('active');
    expect(screen.getByTestId('call-timer').textContent).toBe('0:00');
    expect(screen.getByTestId('remote-audio')).toBeTruthy();
  });

  it('sends digits from its keys and from the keyboard, but not while a text field is typed into', async () => {
    const { sdk, user } = await openAs('alice');
    await user.type(screen.getByTestId('input-destination'), '12');
    await user.click(screen.getByTestId('dialpad-key-3'));
    expect(screen.getByTestId('input-destination')).toHaveProperty('value', '123');
    await user.keyboard('9');
    expect(screen.getByTestId('input-destination')).toHaveProperty('value', '123');
    await user.click(screen.getByTestId('btn-call'));
    const call = sdk.client.placed[0]?.call;
    expect(screen.getByTestId('dialpad-key-1')).toHaveProperty('disabled', true);
    act(() => {
      call?.to('active');
    });
    await user.click(screen.getByRole('button', { name: 'star' }));
    await user.keyboard('5#x');
    expect(call?.digits).toEqual(['*', '5', '#']);
    expect(screen.getByTestId('sent-digits').textContent).toBe('Sent: *5#');
  });

  it('mutes, holds and hangs up', async () => {
    const { sdk, user } = await openAs('alice');
    await user.type(screen.getByTestId('input-destination'), 'gencredb{Enter}');
    const call = sdk.client.placed[0]?.call;
    act(() => {
      call?.to('active');
    });
    await user.click(screen.getByTestId('btn-toggle-mute'));
    expect(screen.getByTestId('btn-toggle-mute').getAttribute('aria-pressed')).toBe('true');
    await user.click(screen.getByTestId('btn-hold-call'));
    expect(screen.getByTestId('btn-hold-call').textContent).toBe('Resume');
    expect(screen.getByTestId('status-call').textContent).toBe('On hold Bob, muted');
    await user.click(screen.getByTestId('btn-end-call'));
    expect(screen.getByTestId('call-cause-name').textContent).toBe('NORMAL_CLEARING');
    expect(screen.getByTestId('btn-call')).toBeTruthy();
  });

  it('rings with the caller’s name, and answers or declines', async () => {
    const { sdk, user } = await openAs('alice');
    act(() => {
      sdk.client.ring('in-1', 'Robert', 'gencredb');
    });
    expect(screen.getByRole('region', { name: 'Incoming call from Bob' })).toBeTruthy();
    await user.click(screen.getByTestId('btn-reject-call'));
    expect(screen.getByTestId('call-cause').textContent).toContain('You declined the call.');
    let call: ReturnType<typeof sdk.client.ring> | undefined;
    act(() => {
      call = sdk.client.ring('in-2', 'A Stranger', '+1555');
    });
    expect(screen.queryByTestId('call-cause')).toBeNull();
    expect(screen.getByTestId('call-peer').textContent).toBe('A Stranger');
    await user.click(screen.getByTestId('btn-answer-call'));
    expect(call?.answered).toBe(1);
    expect(screen.getByTestId('status-call').dataset['phase']).toBe('connecting');
  });

  it('says why a call failed: sentence, cause, code', async () => {
    const { sdk, user } = await openAs('alice');
    await user.type(screen.getByTestId('input-destination'), 'nobody{Enter}');
    act(() => {
      sdk.client.placed[0]?.call.end('UNALLOCATED_NUMBER', 1);
    });
    const cause = screen.getByTestId('call-cause');
    expect(cause.getAttribute('role')).toBe('alert');
    expect(cause.textContent).toContain('no user or number with this name');
    expect(screen.getByTestId('call-cause-name').textContent).toBe('UNALLOCATED_NUMBER');
    expect(screen.getByTestId('call-cause-code').textContent).toBe('1');
    await user.click(within(cause).getByRole('button', { name: 'Dismiss' }));
    expect(screen.queryByTestId('call-cause')).toBeNull();
  });

  it('says that the connection is lost, and lets nobody dial meanwhile', async () => {
    const { sdk, user } = await openAs('alice');
    await user.type(screen.getByTestId('input-destination'), 'x');
    act(() => {
      sdk.socket({ kind: 'closed', code: 1006, reason: '', last: true });
    });
    expect(screen.getByTestId('status-connection').textContent).toBe('Connection lost, reconnecting…');
    expect(screen.getByTestId('btn-call')).toHaveProperty('disabled', true);
  });

  it('takes a double click for one click', async () => {
    const { sdk, user } = await openAs('alice');
    await user.type(screen.getByTestId('input-destination'), 'gencredb');
    await user.dblClick(screen.getByTestId('btn-call'));
    expect(sdk.client.placed).toHaveLength(1);
    expect(screen.getByTestId('btn-hangup')).toBeTruthy();
    await user.click(screen.getByTestId('btn-hangup'));
    expect(sdk.client.placed).toHaveLength(1);
    expect(screen.getByTestId('call-cause-name').textContent).toBe('ORIGINATOR_CANCEL');
  });

  it('tells of a call in the title of the window', async () => {
    const { sdk, user } = await openAs('alice');
    act(() => {
      sdk.client.ring('in-1', 'Bob', 'gencredb');
    });
    expect(document.title).toBe('Incoming call Bob · Phone');
    await user.click(screen.getByTestId('btn-reject-call'));
    expect(document.title).toBe('Phone · ringtrip');
  });

  it('asks for the password again after a reload, and for nothing else', async () => {
    sessionStorage.setItem(
      'ringtrip.phone.signIn',
      JSON.stringify({ kind: 'password', username: 'alice', host: `ws://${window.location.host}` }),
    );
    const { sdk } = open('', null);
    expect(await screen.findByTestId('input-username')).toHaveProperty('value', 'alice');
    expect(screen.getByTestId('input-password')).toHaveProperty('value', '');
    expect(sdk.clients).toHaveLength(0);
  });

  it('remembers video in the address, and answers with it', async () => {
    const { sdk, user } = await openAs('alice');
    await user.click(screen.getByRole('switch', { name: 'Video' }));
    expect(new URLSearchParams(window.location.search).get('video')).toBe('1');
    expect(sdk.client.video).toBe(true);
  });

  it('signs in again after a reload with the token this tab kept', async () => {
    sessionStorage.setItem(
      'ringtrip.phone.signIn',
      JSON.stringify({ kind: 'token', token: 'eyJkept', host: `ws://${window.location.host}` }),
    );
    const { sdk } = open('', null);
    await waitFor(() => {
      expect(sdk.client.credentials).toEqual({ kind: 'token', token: 'eyJkept' });
    });
  });

  it('shows frames without their secrets', async () => {
    const { sdk } = await openAs('alice');
    act(() => {
      sdk.socket({ kind: 'sent', data: '{"id":"1","method":"login","params":{"login_token":"eyJsecret"}}' });
    });
    const feed = screen.getByTestId('wsMessages');
    expect(within(feed).getByTestId('wsMessages-webrtc-children-login').textContent).toContain('(hidden)');
    expect(feed.textContent).not.toContain('eyJsecret');
  });

  it('gives every control a name', async () => {
    const { sdk, user } = await openAs('alice');
    const check = () => {
      for (const control of document.querySelectorAll('button, a, input, summary, video')) {
        const name =
          control.getAttribute('aria-label') ??
          (control instanceof HTMLInputElement ? control.labels?.[0]?.textContent : control.textContent);
        expect(name?.trim(), control.outerHTML).toBeTruthy();
      }
    };
    check();
    await user.type(screen.getByTestId('input-destination'), 'gencredb{Enter}');
    act(() => {
      sdk.client.placed[0]?.call.to('active');
      sdk.client.ring('in-1', 'Carol', 'gencredc');
    });
    check();
  });
});
