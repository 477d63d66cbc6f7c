import { describe, expect, it } from 'vitest';
import type { Phase } from './call';
import { clock, newFacts, phaseOf, phaseWords } from './call';

describe('phaseOf', () => {
  it.each([
    ['new', 'outbound', {}, 'starting'],
    ['requesting', 'outbound', {}, 'calling'],
    ['trying', 'outbound', {}, 'calling'],
    ['trying', 'outbound', { ringing: true }, 'ringing'],
    ['early', 'outbound', { ringing: true }, 'early'],
    ['ringing', 'inbound', {}, 'incoming'],
    ['ringing', 'inbound', { answerPressed: true }, 'connecting'],
    ['answering', 'inbound', { answerPressed: true }, 'connecting'],
    ['active', 'inbound', { answerPressed: true }, 'active'],
    ['held', 'outbound', {}, 'held'],
    ['recovering', 'outbound', {}, 'recovering'],
    ['answering', 'inbound', { recovered: true }, 'connecting'],
    ['new', 'inbound', { recovered: true }, 'recovering'],
    ['active', 'outbound', { endPressed: true }, 'ending'],
    ['hangup', 'outbound', {}, 'ending'],
  ] as const)('%s, %s, %j is %s', (state, direction, facts, phase) => {
    expect(phaseOf(state, direction, { ...newFacts(), ...facts })).toBe(phase);
  });

  it('every phase has words', () => {
    const phases: Phase[] = [
      'starting',
      'calling',
      'ringing',
      'early',
      'incoming',
      'connecting',
      'active',
      'held',
      'recovering',
      'ending',
    ];
    expect(new Set(phases.map(phaseWords)).size).toBe(phases.length);
  });
});

describe('clock', () => {
  it.each([
    [-5, '0:00'],
    [0, '0:00'],
    [59_999, '0:59'],
    [60_000, '1:00'],
    [754_000, '12:34'],
    [3_723_000, '1:02:03'],
  ])('%i ms is %s', (milliseconds, text) => {
    expect(clock(milliseconds)).toBe(text);
  });
});
