/** Turns raw frames into log entries: decoded, named, free of secrets, and no longer than a person would read. */

import type { LogEntry } from './log';
import { redact } from './redact';

/** Longest text kept of one frame, in characters. */
export const MAX_DETAIL = 16_384;

/** The parts of a JSON-RPC frame that this page looks at. */
export interface Frame {
  id?: unknown;
  method?: unknown;
  params?: Record<string, unknown>;
  result?: unknown;
  error?: { code?: unknown; message?: unknown };
}

/** Decodes a frame; anything that is no JSON object is null. */
export function decodeFrame(data: string): Frame | null {
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** Remembers which request an id belongs to, so that a response can be called by its method. */
export class FrameNames {
  static readonly #CAPACITY = 256;
  readonly #methods = new Map<string, string>();

  /** Names a frame: its method, or `result of …` and `error to …` for a response. */
  name(frame: Frame): string {
    const id = typeof frame.id === 'string' || typeof frame.id === 'number' ? String(frame.id) : null;
    if (typeof frame.method === 'string') {
      if (id !== null) this.#remember(id, frame.method);
      return frame.method;
    }
    const request = id === null ? undefined : this.#methods.get(id);
    if (frame.error !== undefined) return request === undefined ? 'error' : `error to ${request}`;
    if (frame.result !== undefined) return request === undefined ? 'result' : `result of ${request}`;
    return 'message';
  }

  #remember(id: string, method: string): void {
    this.#methods.delete(id);
    this.#methods.set(id, method);
    if (this.#methods.size > FrameNames.#CAPACITY) {
      const [oldest] = this.#methods.keys();
      if (oldest !== undefined) this.#methods.delete(oldest);
    }
  }
}

/** Makes the log entry of a frame. */
export function frameEntry(kind: 'sent' | 'received', data: string, names: FrameNames): Omit<LogEntry, 'id' | 'at'> {
  const frame = decodeFrame(data);
  if (frame === null) {
    const start = data.slice(0, 200);
    return { kind, title: 'plain text', failed: false, detail: String(redact(start)) };
  }
  const detail = JSON.stringify(redact(frame), null, 2);
  return {
    kind,
    title: names.name(frame),
    failed: frame.error !== undefined,
    detail: detail.length > MAX_DETAIL ? `${detail.slice(0, MAX_DETAIL)}\n… (cut)` : detail,
  };
}
