/**
 * The phone behind the page: one sign-in, its calls, and what happened to them.
 *
 * It is a store outside React (`subscribe`, `getSnapshot`) that turns the SDK's events into one immutable picture. It
 * knows neither the page nor the SDK's bundle: the client comes from the function it is made with.
 */

import type { Direction, Explanation } from '../causes';
import { explainCause, explainOwnHangup } from '../causes';
import { explainProblem } from '../problems';
import type { CallFacts, CallView } from './call';
import { isOver, newFacts, viewOf } from './call';
import { watchCandidates } from './candidates';
import { FrameNames, decodeFrame, frameEntry } from './frames';
import { Log } from './log';
import { redactUrl } from './redact';
import { forgetAnswered, forgetSignIn, rememberAnswered, rememberSignIn, rememberedAnswered } from './remembered';
import type { CreateClient, Credentials, Dial, SdkCall, SdkClient, SdkProblem } from './sdk';
import type { SocketEvent, SocketTap } from './socketTap';

/** Why nobody is signed in. */
export interface Failure {
  title: string;
  sentence: string;
  /** What the server said, as it said it. */
  detail: string | null;
}

/** The line to the server. */
export type Connection =
  | { state: 'signed-out' }
  /** `unanswered`: the server did not take the connection yet, and the SDK tries again. */
  | { state: 'connecting'; unanswered: boolean }
  | { state: 'registered' }
  | { state: 'reconnecting' }
  | { state: 'failed'; failure: Failure };

/** A call that is over. */
export interface EndedCall {
  id: string;
  direction: Direction;
  peerName: string;
  peerNumber: string;
  /** How long the two sides talked, in milliseconds; null when nobody answered. */
  talkedMs: number | null;
  sip: string | null;
  explanation: Explanation;
}

/** Everything the page draws. */
export interface PhoneState {
  readonly connection: Connection;
  /** Who is signed in: the name on the page's own list, the user name, or null with a bare token. */
  readonly identity: string | null;
  /** Live calls, oldest first. */
  readonly calls: readonly CallView[];
  /** The call that ended last, until another begins or it is dismissed. */
  readonly ended: EndedCall | null;
  /** The last thing that went wrong without ending anything. */
  readonly notice: { title: string; sentence: string } | null;
}

/** What a sign-in needs. */
export interface SignIn {
  host: string;
  credentials: Credentials;
  identity: string | null;
  video: boolean;
}

interface Tracked {
  call: SdkCall;
  facts: CallFacts;
  problem: SdkProblem | null;
  stopWatching: () => void;
}

/** Errors that end one call and say more about it than its cause does. */
const CALL_PROBLEMS = new Set([40001, 40002, 40003, 40004, 40005, 42001, 42002, 42003, 48501]);

/** Only host candidates: always so, because this page asks no ICE server. */
const ONLY_HOST_CANDIDATES = 33005;

/** Errors that the SDK repeats in other words or that need no words. */
const QUIET_PROBLEMS = new Set([44003, 44004, 44005, 45002]);

const LOG_CAPACITY = 300;

/** The phone. Make one per page. */
export class Phone {
  /** Signalling frames, secrets removed. */
  readonly frames = new Log(LOG_CAPACITY);
  /** What happened, in words. */
  readonly events = new Log(LOG_CAPACITY);

  readonly #createClient: CreateClient;
  readonly #tap: () => SocketTap;
  readonly #listeners = new Set<() => void>();
  readonly #calls = new Map<string, Tracked>();
  readonly #frameNames = new FrameNames();
  #leaveTap: (() => void) | null = null;
  #client: SdkClient | null = null;
  /** Grows with every sign-in, so that a late event of an earlier client is ignored. */
  #generation = 0;
  #everRegistered = false;
  #loginId: unknown = null;
  #loginError: string | null = null;
  #state: PhoneState = { connection: { state: 'signed-out' }, identity: null, calls: [], ended: null, notice: null };

  constructor(createClient: CreateClient, tap: () => SocketTap) {
    this.#createClient = createClient;
    this.#tap = tap;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getSnapshot = (): PhoneState => this.#state;

  /** Connects and signs in; a sign-in before this one is ended first. */
  async signIn({ host, credentials, identity, video }: SignIn): Promise<void> {
    await this.#leave();
    const generation = this.#generation;
    const current = () => generation === this.#generation;
    this.#leaveTap = this.#tap().subscribe((event) => {
      this.#onSocket(event);
    });
    this.#everRegistered = false;
    this.#loginError = null;
    this.#set({ connection: { state: 'connecting', unanswered: false }, identity, ended: null, notice: null });
    this.#event(`Connecting to ${redactUrl(host)}`);
    try {
      const client = await this.#createClient({
        host,
        credentials,
        video,
        listener: {
          ready: () => {
            if (current()) this.#onReady(credentials, host);
          },
          error: (problem) => {
            if (current()) this.#onError(problem);
          },
          warning: (problem) => {
            if (current() && problem.code !== ONLY_HOST_CANDIDATES)
              this.#event(`${problem.message} (${problem.code} ${problem.name})`);
          },
          call: (call) => {
            if (current()) this.#onCall(call);
          },
          message: (method, params) => {
            if (current()) this.#onMessage(method, params);
          },
        },
      });
      if (!current()) {
        await client.disconnect();
        return;
      }
      this.#client = client;
      await client.connect();
    } catch (error) {
      if (current())
        this.#fail({ ...explainProblem(45001, ''), detail: error instanceof Error ? error.message : null });
    }
  }

  /** Hangs up every call and closes the line. */
  async signOut(): Promise<void> {
    forgetSignIn();
    this.#event('Signed out');
    await this.#leave();
  }

  /** Places a call. */
  dial(dial: Dial): void {
    if (this.#client === null || this.#state.connection.state !== 'registered') return;
    this.#set({ ended: null, notice: null });
    this.#event(`Calling ${dial.destination}`);
    try {
      this.#track(this.#client.newCall(dial));
    } catch (error) {
      this.#set({
        notice: {
          title: 'The call did not start',
          sentence: error instanceof Error ? error.message : 'The SDK gave no reason.',
        },
      });
    }
    this.#publishCalls();
  }

  /** Decides whether calls that come in are answered with video. */
  setVideo(video: boolean): void {
    this.#client?.setVideo(video);
  }

  /** Answers a call that rings; whoever is being talked to is put on hold. */
  answer(id: string, video: boolean): void {
    const tracked = this.#calls.get(id);
    if (tracked === undefined || tracked.facts.answerPressed) return;
    for (const other of this.#calls.values()) {
      if (other !== tracked && other.call.state === 'active') void this.#changeHold(other, true);
    }
    tracked.facts.answerPressed = true;
    tracked.call.options.video = video;
    this.#watch(tracked);
    this.#event('Answering');
    void tracked.call.answer();
    this.#publishCalls();
  }

  /** Ends a call, whatever state it is in: hangs up, cancels, or declines. */
  hangUp(id: string): void {
    const tracked = this.#calls.get(id);
    if (tracked === undefined || tracked.facts.endPressed) return;
    tracked.facts.endPressed = true;
    this.#event('Hanging up');
    this.#publishCalls();
    void tracked.call.hangup();
  }

  /** Holds a call, or takes it back. Taking one back holds the one being talked to. */
  async toggleHold(id: string): Promise<void> {
    const tracked = this.#calls.get(id);
    if (tracked === undefined || tracked.facts.holdPending) return;
    const hold = tracked.call.state !== 'held';
    if (!hold) {
      for (const other of this.#calls.values()) {
        if (other !== tracked && other.call.state === 'active') await this.#changeHold(other, true);
      }
    }
    await this.#changeHold(tracked, hold);
  }

  /** Mutes or unmutes the microphone for one call. */
  toggleMute(id: string): void {
    const tracked = this.#calls.get(id);
    if (tracked === undefined) return;
    tracked.call.toggleAudioMute();
    this.#event(tracked.call.isAudioMuted ? 'Microphone muted' : 'Microphone on');
    this.#publishCalls();
  }

  /** Sends one digit: `0`–`9`, `*`, `#`. */
  sendDigit(id: string, digit: string): void {
    const tracked = this.#calls.get(id);
    if (tracked === undefined) return;
    tracked.call.dtmf(digit);
    this.#event(`Sent digit ${digit}`);
  }

  /** Closes the socket as a lost network would, to see what happens. */
  cutSocket(): void {
    if (this.#tap().cut() > 0) this.#event('Cut the connection on purpose');
  }

  /** Takes the last ended call and the last notice off the page. */
  dismiss(): void {
    this.#set({ ended: null, notice: null });
  }

  async #changeHold(tracked: Tracked, hold: boolean): Promise<void> {
    tracked.facts.holdPending = true;
    this.#publishCalls();
    try {
      await (hold ? tracked.call.hold() : tracked.call.unhold());
    } finally {
      tracked.facts.holdPending = false;
      this.#publishCalls();
    }
  }

  async #leave(): Promise<void> {
    const client = this.#letGo();
    const leaveTap = this.#leaveTap;
    this.#leaveTap = null;
    await client?.disconnect().catch(() => undefined);
    leaveTap?.();
  }

  /** Forgets the client and its calls without a word to the server, and returns the client. */
  #letGo(): SdkClient | null {
    this.#generation += 1;
    const client = this.#client;
    this.#client = null;
    for (const tracked of this.#calls.values()) tracked.stopWatching();
    this.#calls.clear();
    this.#set({ connection: { state: 'signed-out' }, identity: null, calls: [], notice: null });
    return client;
  }

  /** Ends a sign-in that failed, and stops the SDK: it would repeat a refused one for minutes. */
  #fail(failure: Failure): void {
    const { identity } = this.#state;
    void this.#leave();
    this.#tellFailure(failure, identity);
  }

  #tellFailure(failure: Failure, identity: string | null): void {
    forgetSignIn();
    this.#event(`${failure.title}: ${failure.sentence}`, true);
    this.#set({ connection: { state: 'failed', failure }, identity });
  }

  #onReady(credentials: Credentials, host: string): void {
    rememberSignIn(credentials, host);
    this.#event(this.#everRegistered ? 'Registered again' : 'Registered');
    this.#everRegistered = true;
    this.#set({ connection: { state: 'registered' }, notice: null });
  }

  #onSocketClosed(): void {
    if (this.#state.connection.state === 'registered') {
      this.#event('Connection lost; trying again', true);
      this.#set({ connection: { state: 'reconnecting' } });
    } else if (this.#state.connection.state === 'connecting') {
      this.#set({ connection: { state: 'connecting', unanswered: true } });
    }
  }

  #onError(problem: SdkProblem): void {
    const told = explainProblem(problem.code, problem.message);
    this.#event(`${told.title} (${problem.code} ${problem.name})`, true);
    if (problem.code === 46001 || problem.code === 46002 || problem.code === 45001 || problem.code === 45003) {
      this.#fail({ ...told, detail: this.#loginError });
      return;
    }
    const tracked = problem.callId === null ? undefined : this.#calls.get(problem.callId);
    if (tracked !== undefined && CALL_PROBLEMS.has(problem.code)) {
      tracked.problem = problem;
    } else if (!QUIET_PROBLEMS.has(problem.code)) {
      this.#set({ notice: told });
    }
  }

  #onMessage(method: string, params: Record<string, unknown>): void {
    if (method === 'telnyx_rtc.punt') {
      // The SDK drops its calls, closes and stays away by itself. Disconnecting it here would hang up calls that another
      // window may have just taken over.
      const { identity } = this.#state;
      this.#letGo();
      this.#tellFailure(
        {
          title: 'Signed out by the server',
          sentence: 'This credential was deleted or disabled, or the same session was taken over by another window.',
          detail: null,
        },
        identity,
      );
    } else if (method === 'telnyx_rtc.ringing' && typeof params['callID'] === 'string') {
      const tracked = this.#calls.get(params['callID']);
      if (tracked === undefined) return;
      tracked.facts.ringing = true;
      this.#event('It rings at the other side');
      this.#publishCalls();
    } else if (method === 'telnyx_rtc.info' && typeof params['dtmf'] === 'string') {
      this.#event(`The other side sent digit ${params['dtmf'].slice(0, 32)}`);
    }
  }

  #onCall(call: SdkCall): void {
    if (call.state === 'new' && call.direction !== 'inbound' && !this.#calls.has(call.id)) {
      // The SDK tells of the call while `newCall` still runs; `dial` tracks it when that returns.
      if (call.recoveredCallId === undefined) return;
    }
    if (!this.#calls.has(call.id) && isOver(call.state)) return;
    const tracked = this.#track(call);
    if ((call.state === 'active' || call.state === 'held') && tracked.facts.activeSince === null) {
      tracked.facts.activeSince = rememberedAnswered(call.id) ?? Date.now();
      rememberAnswered(call.id, tracked.facts.activeSince);
      tracked.facts.noCandidates = false;
      tracked.stopWatching();
    }
    if (call.state === 'destroy') this.#end(tracked);
    this.#publishCalls();
  }

  /** Returns the record of a call. A re-attached call is a new object of the SDK with the old id, and takes over. */
  #track(call: SdkCall): Tracked {
    const known = this.#calls.get(call.id);
    if (known !== undefined) {
      if (call.recoveredCallId === call.id) known.call = call;
      return known;
    }
    const facts = newFacts();
    facts.recovered = call.recoveredCallId !== undefined && call.recoveredCallId !== '';
    const tracked: Tracked = { call, facts, problem: null, stopWatching: () => undefined };
    this.#calls.set(call.id, tracked);
    if (facts.recovered) this.#event('Taking the call back');
    else if (call.direction === 'inbound') this.#event('A call comes in');
    if (facts.recovered || call.direction !== 'inbound') this.#watch(tracked);
    if (this.#state.ended !== null) this.#set({ ended: null });
    return tracked;
  }

  #watch(tracked: Tracked): void {
    tracked.stopWatching();
    tracked.stopWatching = watchCandidates(
      () => tracked.call.peer?.instance,
      () => {
        tracked.facts.noCandidates = true;
        this.#event('The browser found no network to call over', true);
        this.#publishCalls();
      },
    );
  }

  #end(tracked: Tracked): void {
    const { call, facts, problem } = tracked;
    tracked.stopWatching();
    this.#calls.delete(call.id);
    forgetAnswered(call.id);
    const view = viewOf(call, facts);
    const ended: EndedCall = {
      id: call.id,
      direction: view.direction,
      peerName: view.peerName,
      peerNumber: view.peerNumber,
      talkedMs: facts.activeSince === null ? null : Date.now() - facts.activeSince,
      sip: call.sipCode === null ? null : `SIP ${call.sipCode}${call.sipReason === null ? '' : ` ${call.sipReason}`}`,
      explanation: explain(call, facts, view.direction, problem),
    };
    this.#event(`Call ended: ${ended.explanation.title} (${ended.explanation.name})`, ended.explanation.failed);
    this.#set({ ended });
  }

  #onSocket(event: SocketEvent): void {
    switch (event.kind) {
      case 'opened':
        this.#event(`Connection opened to ${redactUrl(event.url)}`);
        break;
      case 'closed':
        this.#event(`Connection closed (${event.code}${event.reason === '' ? '' : ` ${event.reason}`})`);
        if (event.last) this.#onSocketClosed();
        break;
      case 'sent':
      case 'received':
        this.frames.add(frameEntry(event.kind, event.data, this.#frameNames));
        this.#noteLogin(event.kind, event.data);
        break;
    }
  }

  /** Keeps what the server said to a log-in: the SDK's own error has lost it. */
  #noteLogin(kind: 'sent' | 'received', data: string): void {
    if (this.#everRegistered) return;
    const frame = decodeFrame(data);
    if (kind === 'sent' && frame?.method === 'login') this.#loginId = frame.id;
    if (kind === 'received' && frame?.error !== undefined && frame.id === this.#loginId) {
      const { code, message } = frame.error;
      this.#loginError = `${typeof message === 'string' ? message.slice(0, 200) : 'error'}${typeof code === 'number' ? ` (${code})` : ''}`;
    }
  }

  #event(title: string, failed = false): void {
    this.events.add({ kind: 'event', title, failed, detail: '' });
  }

  #publishCalls(): void {
    this.#set({ calls: [...this.#calls.values()].map(({ call, facts }) => viewOf(call, facts)) });
  }

  #set(change: Partial<PhoneState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }
}

function explain(call: SdkCall, facts: CallFacts, direction: Direction, problem: SdkProblem | null): Explanation {
  const { cause: name, causeCode: code } = call;
  if (problem !== null) {
    return { name: problem.name, code: problem.code, failed: true, ...explainProblem(problem.code, problem.message) };
  }
  if (facts.endPressed) return explainOwnHangup(direction, facts.activeSince !== null);
  return explainCause(name, code, direction);
}
