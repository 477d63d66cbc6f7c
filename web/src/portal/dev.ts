/** The ready credentials that `ringtrip dev` hands to its own pages: `GET /portal/dev`. */

/** One ready credential. */
export interface DevCredential {
  /** What the page calls it: `Alice`. */
  label: string;
  /** How the address bar names it: `alice`. */
  slug: string;
  sipUsername: string;
  token: string;
  /** Which tenant it belongs to; calls between tenants are refused unless the called connection allows them. */
  account: string;
}

/** Outcome of asking: a server that is not in `dev` mode has no such page. */
export type DevCredentials = { state: 'ready'; credentials: DevCredential[] } | { state: 'absent' };

/** Asks for the ready credentials. Anything but a good answer counts as absent: the manual form is always there. */
export async function loadDevCredentials(signal: AbortSignal): Promise<DevCredentials> {
  try {
    const response = await fetch('/portal/dev', { signal, headers: { accept: 'application/json' }, cache: 'no-store' });
    if (!response.ok) return { state: 'absent' };
    const credentials = parseDevCredentials(await response.json());
    return credentials.length > 0 ? { state: 'ready', credentials } : { state: 'absent' };
  } catch {
    return { state: 'absent' };
  }
}

/** Reads the answer leniently: what is malformed is left out. */
export function parseDevCredentials(body: unknown): DevCredential[] {
  const found: DevCredential[] = [];
  for (const account of list(field(body, 'accounts'))) {
    const email = text(field(account, 'email')) ?? text(field(account, 'user_id')) ?? 'account';
    for (const credential of list(field(account, 'credentials'))) {
      const sipUsername = text(field(credential, 'sip_username'));
      const token = text(field(credential, 'token'));
      if (sipUsername === null || token === null) continue;
      const label = text(field(credential, 'label')) ?? sipUsername;
      found.push({ label, slug: label.toLowerCase(), sipUsername, token, account: email });
    }
  }
  return found;
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
