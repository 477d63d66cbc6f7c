/** A call as the page shows it, and the words for its states. */

import type { Direction } from '../causes';
import type { SdkCall } from './sdk';

/** Where a call is. The SDK has no word for "it rings over there", so the page adds it. */
export type Phase =
  | 'starting'
  | 'calling'
  | 'ringing'
  | 'early'
  | 'incoming'
  | 'connecting'
  | 'active'
  | 'held'
  | 'recovering'
  | 'ending';

/** One call, immutable: a new object for every change. */
export interface CallView {
  readonly id: string;
  readonly direction: Direction;
  readonly phase: Phase;
  /** The far side as the SDK knows it. */
  readonly peerName: string;
  readonly peerNumber: string;
  readonly muted: boolean;
  readonly localStream: MediaStream | null;
  readonly remoteStream: MediaStream | null;
  /** When it was answered, in milliseconds since 1970; null before. */
  readonly activeSince: number | null;
  /** The browser has found no network to call over. */
  readonly noCandidates: boolean;
  /** A hold or its end was asked for and not yet confirmed. */
  readonly holdPending: boolean;
}

/** What the page itself has seen of a call, beside the SDK's state. */
export interface CallFacts {
  ringing: boolean;
  answerPressed: boolean;
  endPressed: boolean;
  recovered: boolean;
  activeSince: number | null;
  noCandidates: boolean;
  holdPending: boolean;
}

/** Facts of a call that has just begun. */
export function newFacts(): CallFacts {
  return {
    ringing: false,
    answerPressed: false,
    endPressed: false,
    recovered: false,
    activeSince: null,
    noCandidates: false,
    holdPending: false,
  };
}

/** Whether a call in this SDK state only comes to its end. */
export function isOver(state: string): boolean {
  return state === 'hangup' || state === 'destroy' || state === 'purge';
}

/** Finds the phase of a call. */
export function phaseOf(state: string, direction: Direction, facts: CallFacts): Phase {
  if (facts.endPressed) return 'ending';
  switch (state) {
    case 'active':
      return 'active';
    case 'held':
      return 'held';
    case 'recovering':
      return 'recovering';
    case 'hangup':
    case 'destroy':
    case 'purge':
      return 'ending';
    case 'early':
      return 'early';
    case 'answering':
      return 'connecting';
    default:
      if (facts.recovered) return 'recovering';
      if (direction === 'inbound') return facts.answerPressed ? 'connecting' : 'incoming';
      if (facts.ringing) return 'ringing';
      return state === 'new' ? 'starting' : 'calling';
  }
}

/** Makes the picture of a call. */
export function viewOf(call: SdkCall, facts: CallFacts): CallView {
  const direction: Direction = call.direction === 'inbound' ? 'inbound' : 'outbound';
  const { destinationNumber = '', remoteCallerName = '', remoteCallerNumber = '' } = call.options;
  return {
    id: call.id,
    direction,
    phase: phaseOf(call.state, direction, facts),
    // For a call we place, the SDK's name for the far end is the filler "Outbound Call".
    peerName: direction === 'inbound' ? remoteCallerName : '',
    peerNumber: direction === 'inbound' ? remoteCallerNumber : destinationNumber || remoteCallerNumber,
    muted: call.isAudioMuted,
    localStream: call.localStream ?? null,
    remoteStream: call.remoteStream ?? null,
    activeSince: facts.activeSince,
    noCandidates: facts.noCandidates,
    holdPending: facts.holdPending,
  };
}

/** Says a phase in words. */
export function phaseWords(phase: Phase): string {
  switch (phase) {
    case 'starting':
      return 'Starting…';
    case 'calling':
      return 'Calling…';
    case 'ringing':
      return 'Ringing…';
    case 'early':
      return 'Ringing, with sound from the other side';
    case 'incoming':
      return 'Incoming call';
    case 'connecting':
      return 'Connecting…';
    case 'active':
      return 'In call';
    case 'held':
      return 'On hold';
    case 'recovering':
      return 'Restoring the call…';
    case 'ending':
      return 'Ending…';
  }
}

/** Whether the two sides can talk, or could before a hold or a lost connection. */
export function isAnswered(call: CallView): boolean {
  return call.phase === 'active' || call.phase === 'held' || call.phase === 'recovering';
}

/** Says a duration as a clock: `0:07`, `12:34`, `1:02:03`. */
export function clock(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const two = (value: number) => String(value).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
