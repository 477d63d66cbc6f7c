/** What the address bar says: who to be, where the server is, whether video is on. */

/** The parts of the address that this page reads. */
export interface PhoneAddress {
  /** `?as=alice`: sign in with that ready credential at once. */
  as: string | null;
  /** The signalling server: `?host=`, else the page's own. */
  host: string;
  /** Whether {@link host} is the server this page came from. Ready tokens are never sent anywhere else unasked. */
  ownHost: boolean;
  /** `?video=1`. */
  video: boolean;
}

/** Reads an address. A host without a scheme gets the page's: the SDK would take it for `wss`. */
export function readAddress(location: Pick<Location, 'protocol' | 'host' | 'search'>): PhoneAddress {
  const query = new URLSearchParams(location.search);
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  const own = `${scheme}://${location.host}`;
  const wanted = query.get('host')?.trim() ?? '';
  const host = wanted === '' ? own : /^wss?:\/\//i.test(wanted) ? wanted : `${scheme}://${wanted}`;
  return {
    as: query.get('as')?.trim().toLowerCase() ?? null,
    host,
    ownHost: sameOrigin(host, own),
    video: query.get('video') === '1',
  };
}

/** Changes one part of the address bar without leaving the page. */
export function writeAddress(key: 'as' | 'video', value: string | null): void {
  const url = new URL(window.location.href);
  if (value === null) url.searchParams.delete(key);
  else url.searchParams.set(key, value);
  window.history.replaceState(null, '', url);
}

function sameOrigin(a: string, b: string): boolean {
  try {
    return new URL(a).origin === new URL(b).origin && new URL(a).host === new URL(b).host;
  } catch {
    return false;
  }
}
