/** A stand-in for the SDK: the test decides what the server does. */

import type { CreateClient, Credentials, Dial, SdkCall, SdkClient, SdkListener } from '../telephony/sdk';
import type { SocketEvent, SocketTap } from '../telephony/socketTap';

/** A call whose state the test moves. */
export class FakeCall implements SdkCall {
  state = 'new';
  cause: string | null = null;
  causeCode: number | null = null;
  sipCode: number | null = null;
  sipReason: string | null = null;
  isAudioMuted = false;
  localStream: MediaStream | null = null;
  remoteStream: MediaStream | null = null;
  recoveredCallId?: string;
  peer: { instance: RTCPeerConnection } | null = null;
  readonly digits: string[] = [];
  answered = 0;
  holdAnswers: 'at once' | 'never' = 'at once';

  constructor(
    readonly id: string,
    readonly direction: string,
    readonly options: SdkCall['options'],
    private readonly listener: SdkListener,
  ) {}

  /** Goes to a state as the SDK would, and tells. */
  to(state: string): void {
    this.state = state;
    this.listener.call(this);
  }

  /** Ends with a cause, as on `telnyx_rtc.bye`. */
  end(cause: string, causeCode: number): void {
    this.cause = cause;
    this.causeCode = causeCode;
    this.to('hangup');
    this.to('destroy');
  }

  answer = (): Promise<void> => {
    this.answered += 1;
    return Promise.resolve();
  };

  hangup = (): Promise<void> => {
    const answered = this.state === 'active' || this.state === 'held';
    this.end(answered ? 'NORMAL_CLEARING' : 'USER_BUSY', answered ? 16 : 17);
    return Promise.resolve();
  };

  hold = (): Promise<unknown> => this.#held('held');
  unhold = (): Promise<unknown> => this.#held('active');

  dtmf = (digit: string): void => {
    this.digits.push(digit);
  };

  toggleAudioMute = (): void => {
    this.isAudioMuted = !this.isAudioMuted;
  };

  #held(state: string): Promise<unknown> {
    if (this.holdAnswers === 'never') return new Promise(() => undefined);
    this.to(state);
    return Promise.resolve(true);
  }
}

/** One log-in. */
export class FakeClient implements SdkClient {
  connected = false;
  disconnected = false;
  video: boolean;
  readonly placed: { dial: Dial; call: FakeCall }[] = [];

  constructor(
    readonly host: string,
    readonly credentials: Credentials,
    video: boolean,
    readonly listener: SdkListener,
  ) {
    this.video = video;
  }

  connect = (): Promise<void> => {
    this.connected = true;
    return Promise.resolve();
  };

  disconnect = (): Promise<void> => {
    this.disconnected = true;
    return Promise.resolve();
  };

  newCall = (dial: Dial): SdkCall => {
    const call = new FakeCall(
      `out-${this.placed.length + 1}`,
      'outbound',
      { destinationNumber: dial.destination },
      this.listener,
    );
    this.placed.push({ dial, call });
    call.to('new');
    return call;
  };

  setVideo = (video: boolean): void => {
    this.video = video;
  };

  /** A call comes in and rings. */
  ring(id: string, name: string, number: string): FakeCall {
    const call = new FakeCall(id, 'inbound', { remoteCallerName: name, remoteCallerNumber: number }, this.listener);
    call.to('ringing');
    return call;
  }
}

/** The SDK's factory and the socket tap, in the hands of a test. */
export class FakeSdk {
  readonly clients: FakeClient[] = [];
  cuts = 0;
  readonly #listeners = new Set<(event: SocketEvent) => void>();

  readonly createClient: CreateClient = ({ host, credentials, video, listener }) => {
    const client = new FakeClient(host, credentials, video, listener);
    this.clients.push(client);
    return Promise.resolve(client);
  };

  readonly tap: SocketTap = {
    subscribe: (listener) => {
      this.#listeners.add(listener);
      return () => this.#listeners.delete(listener);
    },
    cut: () => {
      this.cuts += 1;
      return 1;
    },
  };

  /** The newest log-in. */
  get client(): FakeClient {
    const client = this.clients.at(-1);
    if (client === undefined) throw new Error('nobody has signed in');
    return client;
  }

  /** Lets something happen on the socket. */
  socket(event: SocketEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
