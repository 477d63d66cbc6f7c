// A thin driver around the stock SDK: it keeps what the SDK tells, in order, and passes commands on.

import { TelnyxRTC } from '/telnyx-webrtc.mjs';

/** Everything the SDK told, oldest first. */
const events = [];

/** The newest call object of each call id; a re-attach replaces the object and keeps the id. */
const calls = new Map();

let client;

function record(type, facts = {}) {
  events.push({ type, ...facts });
}

function describeCall(call) {
  return {
    id: call.id,
    state: call.state,
    direction: call.direction,
    cause: call.cause,
    causeCode: call.causeCode,
    sipCode: call.sipCode,
    sipReason: call.sipReason,
    recovered: call.recoveredCallId,
    remoteName: call.options.remoteCallerName,
    remoteNumber: call.options.remoteCallerNumber,
    customHeaders: call.options.customHeaders ?? [],
    clientState: call.options.clientState,
    ids: { ...call.telnyxIDs },
  };
}

/** Keeps what can be copied out of the page. */
function plain(value) {
  return JSON.parse(
    JSON.stringify(value, (key, inner) => (key === 'call' || inner instanceof EventTarget ? undefined : inner)) ?? 'null',
  );
}

function onNotification(notification) {
  const { call, type } = notification;
  if (call) {
    calls.set(call.id, call);
    record(`notification.${type}`, { call: describeCall(call) });
  } else {
    record(`notification.${type}`, { notification: plain(notification) });
  }
}

function call(id) {
  const found = calls.get(id);
  if (!found) {
    throw new Error(`this page knows no call ${id}`);
  }
  return found;
}

globalThis.driver = {
  events,

  connect(options) {
    client = new TelnyxRTC(options);
    client.on('telnyx.ready', () => record('ready'));
    client.on('telnyx.error', ({ error }) =>
      record('error', { code: error.code, name: error.name, message: error.message, fatal: error.fatal }),
    );
    client.on('telnyx.warning', ({ warning }) => record('warning', { code: warning?.code, name: warning?.name }));
    client.on('telnyx.socket.open', () => record('socket.open'));
    client.on('telnyx.socket.close', () => record('socket.close'));
    client.on('telnyx.socket.error', () => record('socket.error'));
    client.on('telnyx.notification', onNotification);
    client.connect();
  },

  disconnect: () => client.disconnect(),
  login: (creds) => client.login({ creds }),
  isRegistered: () => client.getIsRegistered(),
  facts: () => ({ connected: client.connected, autoReconnect: client.hasAutoReconnect(), sessid: client.sessionid }),

  newCall(options) {
    const made = client.newCall(options);
    calls.set(made.id, made);
    return made.id;
  },

  calls: () => [...calls.values()].map(describeCall),
  describe: (id) => describeCall(call(id)),
  answer: (id, params) => call(id).answer(params),
  hangup: (id) => call(id).hangup(),
  hold: (id) => call(id).hold(),
  unhold: (id) => call(id).unhold(),
  dtmf: (id, digits) => call(id).dtmf(digits),
  remoteStream: (id) => call(id).remoteStream,
  restartIce: (id) => call(id).peer.restartIce(),
  closeSocket: () => client.socketDisconnect(),

  /** Returns the name of the audio codec that arrives, such as `opus`. */
  async codec(id) {
    const report = await call(id).peer.instance.getStats();
    for (const stat of report.values()) {
      if (stat.type === 'inbound-rtp' && stat.kind === 'audio' && stat.codecId) {
        return report.get(stat.codecId).mimeType.replace('audio/', '');
      }
    }
    return null;
  },

  /** Returns what the statistics say about arriving media of a kind, or null. */
  async inbound(id, kind) {
    const report = await call(id).peer.instance.getStats();
    for (const stat of report.values()) {
      if (stat.type === 'inbound-rtp' && stat.kind === kind) {
        return { packets: stat.packetsReceived, frames: stat.framesDecoded, codec: report.get(stat.codecId)?.mimeType };
      }
    }
    return null;
  },
};
