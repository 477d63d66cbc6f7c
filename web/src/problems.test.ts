// @vitest-environment jsdom

import { describe, expect, it } from 'vitest';
import { SDK_ERRORS } from '@telnyx/webrtc';
import { KNOWN_PROBLEMS, explainProblem } from './problems';

/** Nothing a person at the phone could do with it, and nothing they could see. */
const NOT_WORTH_WORDS = new Set([44004, 49001]);

describe('problems', () => {
  it('every error of the SDK has words of its own', () => {
    const codes = Object.keys(SDK_ERRORS).map(Number);
    expect(codes.length).toBeGreaterThan(15);
    expect(codes.filter((code) => !NOT_WORTH_WORDS.has(code) && !KNOWN_PROBLEMS.includes(code))).toEqual([]);
  });

  it('an unknown one keeps the SDK’s own message', () => {
    expect(explainProblem(12345, 'Out of cheese').sentence).toBe('Out of cheese (12345)');
  });
});
