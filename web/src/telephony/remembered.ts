/**
 * What a tab remembers over a reload, in its own sessionStorage.
 *
 * The access token is kept while signed in, so that a reload in a call finds back to it; it lives for a day at most.
 * A password is never kept: the person types it again, and the call waits for a minute.
 */

import type { Credentials } from './sdk';

const SIGN_IN = 'ringtrip.phone.signIn';
const ANSWERED = 'ringtrip.phone.answered.';

/** A sign-in as far as it is kept. */
export type RememberedSignIn =
  { kind: 'token'; token: string; host: string } | { kind: 'password'; username: string; host: string };

/** Keeps a sign-in, without its password. */
export function rememberSignIn(credentials: Credentials, host: string): void {
  const kept: RememberedSignIn =
    credentials.kind === 'token'
      ? { kind: 'token', token: credentials.token, host }
      : { kind: 'password', username: credentials.username, host };
  store(SIGN_IN, JSON.stringify(kept));
}

/** Forgets the sign-in. */
export function forgetSignIn(): void {
  try {
    sessionStorage.removeItem(SIGN_IN);
  } catch {
    // No storage, nothing kept.
  }
}

/** Returns the sign-in that was kept, or null. */
export function rememberedSignIn(): RememberedSignIn | null {
  const text = load(SIGN_IN);
  if (text === null) return null;
  try {
    const value = JSON.parse(text) as Partial<Record<'kind' | 'token' | 'username' | 'host', unknown>> | null;
    if (typeof value?.host !== 'string') return null;
    if (value.kind === 'token' && typeof value.token === 'string') {
      return { kind: 'token', token: value.token, host: value.host };
    }
    if (value.kind === 'password' && typeof value.username === 'string') {
      return { kind: 'password', username: value.username, host: value.host };
    }
    return null;
  } catch {
    return null;
  }
}

/** Keeps when a call was answered, so that its clock goes on after a reload. */
export function rememberAnswered(callId: string, at: number): void {
  store(ANSWERED + callId, String(at));
}

/** Returns when a call was answered, or null. */
export function rememberedAnswered(callId: string): number | null {
  const at = Number(load(ANSWERED + callId) ?? Number.NaN);
  return Number.isFinite(at) ? at : null;
}

/** Forgets a call that ended. */
export function forgetAnswered(callId: string): void {
  try {
    sessionStorage.removeItem(ANSWERED + callId);
  } catch {
    // No storage, nothing kept.
  }
}

function store(key: string, value: string): void {
  try {
    sessionStorage.setItem(key, value);
  } catch {
    // Storage may be full or forbidden; then a reload starts afresh.
  }
}

function load(key: string): string | null {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}
