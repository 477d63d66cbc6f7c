/** Takes secrets out of signalling frames before anybody sees them in the log. */

const HIDDEN = '(hidden)';

/** Keys whose values are secrets: the log-in, the reconnect token, TURN passwords. */
const SECRET_KEYS =
  /^(login_token|passwd|password|credential|token|voice_sdk_id|api_key|sip_password|push_device_token)$/i;

/** Three base64url parts: an access token, wherever it stands. */
const TOKEN = /eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*/g;

/** Keys that unlock media: the ICE password and SDES keys in a session description. */
const MEDIA_KEYS = /^(a=ice-pwd:|a=crypto:\d+ \S+ inline:)[^\r\n]*/gm;

function redactText(text: string): string {
  return text.replace(TOKEN, HIDDEN).replace(MEDIA_KEYS, `$1${HIDDEN}`);
}

/** Returns a copy of a decoded frame without its secrets. Nesting below `depth` levels is cut off. */
export function redact(value: unknown, depth = 24): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth === 0) return '(deeper)';
  if (Array.isArray(value)) return value.map((item) => redact(item, depth - 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      SECRET_KEYS.test(key) && inner !== null && inner !== '' ? HIDDEN : redact(inner, depth - 1),
    ]),
  );
}

/** Returns an address without the reconnect token in its query. */
export function redactUrl(url: string): string {
  return redactText(url.replace(/([?&](?:voice_sdk_id|token|login_token)=)[^&#]*/gi, `$1${HIDDEN}`));
}
