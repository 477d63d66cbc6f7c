/**
 * Sees the SDK's WebSocket frames without touching the SDK.
 *
 * The SDK reports inbound requests only, and neither responses nor anything it sends. It takes hold of the global
 * `WebSocket` when its bundle is evaluated, so the tap is installed before the bundle is loaded.
 */

/** What happened on a socket. */
export type SocketEvent =
  | { kind: 'opened'; url: string }
  | { kind: 'sent' | 'received'; data: string }
  /** `last`: no other socket is open or opening. */
  | { kind: 'closed'; code: number; reason: string; last: boolean };

/** The sockets opened since the tap was installed. */
export interface SocketTap {
  /** Calls `listener` for every event; returns the way to stop. */
  subscribe: (listener: (event: SocketEvent) => void) => () => void;
  /** Closes every open socket, as a lost network would. Returns how many there were. */
  cut: () => number;
}

/** Replaces `target.WebSocket` by a subclass that tells what passes through it. */
export function installSocketTap(target: { WebSocket: typeof WebSocket } = globalThis): SocketTap {
  const listeners = new Set<(event: SocketEvent) => void>();
  const open = new Set<WebSocket>();
  const tell = (event: SocketEvent) => {
    for (const listener of listeners) listener(event);
  };

  class TappedWebSocket extends target.WebSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols);
      open.add(this);
      this.addEventListener('open', () => {
        tell({ kind: 'opened', url: this.url });
      });
      this.addEventListener('message', (event: MessageEvent<unknown>) => {
        if (typeof event.data === 'string') tell({ kind: 'received', data: event.data });
      });
      this.addEventListener('close', (event) => {
        open.delete(this);
        tell({ kind: 'closed', code: event.code, reason: event.reason, last: open.size === 0 });
      });
    }

    override send(data: string | ArrayBufferLike | Blob | ArrayBufferView<ArrayBuffer>): void {
      if (typeof data === 'string') tell({ kind: 'sent', data });
      super.send(data as string);
    }
  }
  target.WebSocket = TappedWebSocket;

  return {
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    cut: () => {
      const sockets = [...open];
      for (const socket of sockets) socket.close();
      return sockets.length;
    },
  };
}
