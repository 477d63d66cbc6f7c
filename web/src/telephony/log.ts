/** Bounded logs that a pane subscribes to: the newest entries, and how many older ones were let go. */

/** One line of a log. */
export interface LogEntry {
  /** Counts up from 1 in each log. */
  readonly id: number;
  readonly at: Date;
  /** Which way a frame went, or that it is an event of this page. */
  readonly kind: 'sent' | 'received' | 'event';
  /** The method of a frame, or the words of an event. */
  readonly title: string;
  /** Whether the entry tells of something that failed. */
  readonly failed: boolean;
  /** The frame itself, secrets removed; empty for events. */
  readonly detail: string;
}

/** What a pane shows. */
export interface LogSnapshot {
  /** Newest first. */
  readonly entries: readonly LogEntry[];
  readonly dropped: number;
}

/** Keeps the newest `capacity` entries. Shaped for `useSyncExternalStore`. */
export class Log {
  readonly #capacity: number;
  readonly #listeners = new Set<() => void>();
  #snapshot: LogSnapshot = { entries: [], dropped: 0 };
  #lastId = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Adds an entry, and drops the oldest one when the log is full. */
  add(entry: Omit<LogEntry, 'id' | 'at'>): void {
    this.#lastId += 1;
    const entries = [{ ...entry, id: this.#lastId, at: new Date() }, ...this.#snapshot.entries];
    const surplus = Math.max(0, entries.length - this.#capacity);
    this.#publish({
      entries: surplus > 0 ? entries.slice(0, this.#capacity) : entries,
      dropped: this.#snapshot.dropped + surplus,
    });
  }

  /** Forgets everything. */
  clear(): void {
    this.#publish({ entries: [], dropped: 0 });
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getSnapshot = (): LogSnapshot => this.#snapshot;

  #publish(snapshot: LogSnapshot): void {
    this.#snapshot = snapshot;
    for (const listener of this.#listeners) listener();
  }
}
