import { describe, expect, it } from 'vitest';
import { KNOWN_CAUSES, explainCause, explainOwnHangup } from './causes';

/** Every cause the server may send, with its code: the table of the signalling protocol. */
const ON_THE_WIRE: [string, number][] = [
  ['UNALLOCATED_NUMBER', 1],
  ['NO_ROUTE_DESTINATION', 3],
  ['NORMAL_CLEARING', 16],
  ['USER_BUSY', 17],
  ['NO_USER_RESPONSE', 18],
  ['NO_ANSWER', 19],
  ['SUBSCRIBER_ABSENT', 20],
  ['CALL_REJECTED', 21],
  ['DESTINATION_OUT_OF_ORDER', 27],
  ['INVALID_NUMBER_FORMAT', 28],
  ['NORMAL_TEMPORARY_FAILURE', 41],
  ['SWITCH_CONGESTION', 42],
  ['BEARERCAPABILITY_NOTAUTH', 57],
  ['INCOMPATIBLE_DESTINATION', 88],
  ['RECOVERY_ON_TIMER_EXPIRE', 102],
  ['ORIGINATOR_CANCEL', 487],
  ['LOSE_RACE', 502],
  ['USER_NOT_REGISTERED', 606],
];

describe('causes', () => {
  it.each(ON_THE_WIRE)('%s (%i) has words of its own', (name, code) => {
    for (const direction of ['inbound', 'outbound'] as const) {
      const told = explainCause(name, null, direction);
      expect(told.name).toBe(name);
      expect(told.code).toBe(code);
      expect(told.title.length).toBeGreaterThan(3);
      expect(told.sentence).toMatch(/^[A-Z].*\.$/);
      expect(told.sentence).not.toContain('no words for');
    }
  });

  it('knows no cause that the table lacks', () => {
    expect([...KNOWN_CAUSES].sort()).toEqual(ON_THE_WIRE.map(([name]) => name).sort());
  });

  it('speaks to the side that reads it', () => {
    expect(explainCause('ORIGINATOR_CANCEL', 487, 'inbound').sentence).toContain('caller hung up');
    expect(explainCause('USER_BUSY', 17, 'outbound').sentence).toContain('busy or declined');
  });

  it('keeps the server’s code where it gives one', () => {
    expect(explainCause('USER_BUSY', 99, 'outbound').code).toBe(99);
  });

  it('does not call an ordinary end a failure', () => {
    expect(explainCause('NORMAL_CLEARING', 16, 'outbound').failed).toBe(false);
    expect(explainCause('LOSE_RACE', 502, 'inbound').failed).toBe(false);
    expect(explainCause('NO_ANSWER', 19, 'outbound').failed).toBe(true);
  });

  it('is honest about a cause it does not know', () => {
    const told = explainCause('MOON_ECLIPSE', 777, 'outbound');
    expect(told).toMatchObject({ name: 'MOON_ECLIPSE', code: 777, failed: true });
    expect(explainCause(null, null, 'inbound')).toMatchObject({ name: 'UNKNOWN', code: null });
    expect(explainCause('toString', null, 'inbound').failed).toBe(true);
  });

  it('does not blame the other side for our own hang-up', () => {
    expect(explainOwnHangup('outbound', false)).toMatchObject({ name: 'ORIGINATOR_CANCEL', code: 487, failed: false });
    expect(explainOwnHangup('outbound', false).sentence).toContain('You cancelled');
    expect(explainOwnHangup('inbound', false)).toMatchObject({ name: 'USER_BUSY', code: 17, failed: false });
    expect(explainOwnHangup('inbound', false).sentence).toContain('You declined');
    expect(explainOwnHangup('inbound', true)).toMatchObject({
      name: 'NORMAL_CLEARING',
      code: 16,
      sentence: 'You hung up.',
    });
  });
});
