/** Ringing, made by the browser itself: there is no sound file to load. */

import { useEffect } from 'react';

/** Who is being told. */
export type Ringing = 'incoming' | 'outgoing';

interface Cadence {
  frequencies: readonly [number, number];
  /** Lengths of sound and silence, in seconds. */
  on: number;
  off: number;
  gain: number;
}

const CADENCES: Record<Ringing, Cadence> = {
  incoming: { frequencies: [523, 659], on: 1, off: 1.5, gain: 0.08 },
  outgoing: { frequencies: [440, 480], on: 2, off: 4, gain: 0.03 },
};

/** Rings while `ringing` is not null. Silent where the browser lets no page make a sound before it was touched. */
export function useRinging(ringing: Ringing | null): void {
  useEffect(() => (ringing === null ? undefined : startRinging(CADENCES[ringing])), [ringing]);
}

function startRinging({ frequencies, on, off, gain }: Cadence): (() => void) | undefined {
  if (typeof AudioContext === 'undefined') return undefined;
  const context = new AudioContext();
  const volume = context.createGain();
  volume.gain.value = 0;
  volume.connect(context.destination);
  for (const frequency of frequencies) {
    const oscillator = context.createOscillator();
    oscillator.frequency.value = frequency;
    oscillator.connect(volume);
    oscillator.start();
  }
  const burst = () => {
    const at = context.currentTime;
    volume.gain.setTargetAtTime(gain, at, 0.02);
    volume.gain.setTargetAtTime(0, at + on, 0.05);
  };
  burst();
  const timer = setInterval(burst, (on + off) * 1000);
  return () => {
    clearInterval(timer);
    void context.close();
  };
}
