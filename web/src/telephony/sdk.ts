/**
 * The stock `@telnyx/webrtc` SDK behind the few words this page needs.
 *
 * It is the only file that imports the SDK. The bundle is loaded on first use, after the socket tap is in place.
 */

import type { INotification, TelnyxRTC } from '@telnyx/webrtc';
import type { SocketTap } from './socketTap';
import { installSocketTap } from './socketTap';

/** What proves who is calling. */
export type Credentials = { kind: 'token'; token: string } | { kind: 'password'; username: string; password: string };

/** A call of the SDK, as far as this page uses it. */
export interface SdkCall {
  readonly id: string;
  /** Lower case: `new`, `requesting`, `trying`, `recovering`, `ringing`, `answering`, `early`, `active`, `held`, `hangup`, `destroy`, `purge`. */
  readonly state: string;
  readonly direction: string;
  readonly recoveredCallId?: string;
  readonly cause: string | null;
  readonly causeCode: number | null;
  readonly sipCode: number | null;
  readonly sipReason: string | null;
  readonly isAudioMuted: boolean;
  readonly localStream: MediaStream | null | undefined;
  readonly remoteStream: MediaStream | null | undefined;
  readonly peer?: { readonly instance?: RTCPeerConnection | null } | null;
  readonly options: {
    destinationNumber?: string;
    remoteCallerName?: string;
    remoteCallerNumber?: string;
    video?: boolean | MediaTrackConstraints;
  };
  answer: () => Promise<void>;
  hangup: () => Promise<void>;
  hold: () => Promise<unknown>;
  unhold: () => Promise<unknown>;
  dtmf: (digit: string) => void;
  toggleAudioMute: () => void;
}

/** An error or a warning of the SDK. */
export interface SdkProblem {
  code: number;
  name: string;
  message: string;
  fatal: boolean;
  callId: string | null;
}

/** What the SDK tells. */
export interface SdkListener {
  ready: () => void;
  error: (problem: SdkProblem) => void;
  warning: (problem: SdkProblem) => void;
  /** A call changed its state. */
  call: (call: SdkCall) => void;
  /** The server asked for or told something, `telnyx_rtc.ringing` say. */
  message: (method: string, params: Record<string, unknown>) => void;
}

/** How a call is placed. */
export interface Dial {
  destination: string;
  callerName: string;
  callerNumber: string;
  video: boolean;
}

/** One log-in of the SDK. */
export interface SdkClient {
  connect: () => Promise<void>;
  /** Hangs up every call, then closes the socket; it does not come back. */
  disconnect: () => Promise<void>;
  newCall: (dial: Dial) => SdkCall;
  /** Decides whether calls that come in are answered with video. */
  setVideo: (video: boolean) => void;
}

/** Makes a client for one log-in; `host` begins with `ws://` or `wss://`. */
export type CreateClient = (options: {
  host: string;
  credentials: Credentials;
  video: boolean;
  listener: SdkListener;
}) => Promise<SdkClient>;

let tap: SocketTap | null = null;

/** The tap on the SDK's sockets; it is installed with the first call. */
export function socketTap(): SocketTap {
  tap ??= installSocketTap();
  return tap;
}

/** The client that speaks to a real server. */
export const createSdkClient: CreateClient = async ({ host, credentials, video, listener }) => {
  socketTap();
  const { TelnyxRTC } = await import('@telnyx/webrtc');
  const options = {
    ...(credentials.kind === 'token'
      ? { login_token: credentials.token }
      : { login: credentials.username, password: credentials.password }),
    // `host` is read by the SDK but absent from its public type. No ICE server is asked: the server offers its own
    // addresses, and this page contacts nobody else.
    host,
    iceServers: [],
    video,
    // A reload is no hang-up: the server keeps the call, and the next page takes it over.
    hangupOnBeforeUnload: false,
  };
  const client = new TelnyxRTC(options);
  listen(client, listener);
  return {
    connect: () => client.connect(),
    disconnect: () => client.disconnect(),
    newCall: (dial) =>
      client.newCall({
        destinationNumber: dial.destination,
        callerName: dial.callerName,
        callerNumber: dial.callerNumber,
        audio: true,
        video: dial.video,
      }),
    setVideo: (wanted) => {
      client.options.video = wanted;
    },
  };
};

function listen(client: TelnyxRTC, listener: SdkListener): void {
  client.on('telnyx.ready', () => {
    listener.ready();
  });
  client.on('telnyx.error', (event) => {
    const { code, name, message, fatal } = event.error;
    listener.error({ code, name, message, fatal, callId: event.callId ?? null });
  });
  client.on('telnyx.warning', (event) => {
    const { code, name, message } = event.warning;
    listener.warning({ code, name, message, fatal: false, callId: event.callId ?? null });
  });
  client.on('telnyx.notification', (notification: INotification) => {
    if (notification.type === 'callUpdate' && notification.call !== undefined) {
      listener.call(notification.call);
    }
  });
  client.on('telnyx.socket.message', (frame: { method?: unknown; params?: Record<string, unknown> }) => {
    if (typeof frame.method === 'string') listener.message(frame.method, frame.params ?? {});
  });
}
