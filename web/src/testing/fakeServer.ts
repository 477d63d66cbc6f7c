/** A signalling server inside the page: a `WebSocket` class whose other end the test speaks for. */

/** One frame of the protocol. */
export interface ServerFrame {
  id?: unknown;
  method?: string;
  params?: Record<string, unknown>;
  result?: unknown;
}

/** What the server does with a request: a result, or an error. */
type Answer = { result: Record<string, unknown> } | { error: { code: number; message: string } };

/** The far end of every socket that was opened since {@link FakeServer.install}. */
export class FakeServer {
  readonly received: ServerFrame[] = [];
  readonly urls: string[] = [];
  /** Answers a log-in. */
  login: (params: Record<string, unknown>) => Answer = () => ({
    result: { message: 'logged in', sessid: '5e551d00-0000-4000-8000-000000000001' },
  });
  #sockets: FakeSocket[] = [];
  #lastId = 1000;

  /** Puts the fake in the place of the browser's `WebSocket`. */
  install(): void {
    const accept = (socket: FakeSocket) => {
      this.#sockets.push(socket);
      this.urls.push(socket.url);
    };
    const hear = (socket: FakeSocket, data: string) => {
      this.#hear(socket, data);
    };
    globalThis.WebSocket = class extends FakeSocket {
      constructor(url: string | URL) {
        super(String(url), accept, hear);
      }
    } as unknown as typeof WebSocket;
  }

  /** Sends a request of the server's own to the newest socket. */
  request(method: string, params: Record<string, unknown>): void {
    this.#lastId += 1;
    this.#sockets.at(-1)?.deliver({ jsonrpc: '2.0', id: this.#lastId, method, params, voice_sdk_id: 'VSDKtest' });
  }

  /** Requests of one method that have arrived. */
  requests(method: string): ServerFrame[] {
    return this.received.filter((frame) => frame.method === method);
  }

  #hear(socket: FakeSocket, data: string): void {
    const frame = JSON.parse(data) as ServerFrame;
    this.received.push(frame);
    if (frame.method === undefined) return;
    const answer = this.#answer(frame);
    socket.deliver({ jsonrpc: '2.0', id: frame.id, ...answer, voice_sdk_id: 'VSDKtest' });
    if (frame.method === 'login' && 'result' in answer) {
      this.request('telnyx_rtc.clientReady', { reattached_sessions: [] });
    }
  }

  #answer(frame: ServerFrame): Answer {
    const sessid = '5e551d00-0000-4000-8000-000000000001';
    switch (frame.method) {
      case 'login':
        return this.login(frame.params ?? {});
      case 'telnyx_rtc.gatewayState':
        return { result: { params: { state: 'REGED' }, sessid } };
      case undefined:
      default:
        return { result: { sessid } };
    }
  }
}

class FakeSocket extends EventTarget {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  readyState = 0;
  onopen: ((event: Event) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;

  constructor(
    readonly url: string,
    accept: (socket: FakeSocket) => void,
    private readonly hear: (socket: FakeSocket, data: string) => void,
  ) {
    super();
    accept(this);
    queueMicrotask(() => {
      this.readyState = 1;
      const event = new Event('open');
      this.dispatchEvent(event);
      this.onopen?.(event);
    });
  }

  send(data: string): void {
    queueMicrotask(() => {
      this.hear(this, data);
    });
  }

  deliver(frame: object): void {
    const event = new MessageEvent('message', { data: JSON.stringify(frame) });
    this.dispatchEvent(event);
    this.onmessage?.(event);
  }

  close(): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    queueMicrotask(() => {
      const event = new CloseEvent('close', { code: 1000 });
      this.dispatchEvent(event);
      this.onclose?.(event);
    });
  }
}
