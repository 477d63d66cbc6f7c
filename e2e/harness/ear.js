// What "hears" means: a tone clearly present and the others clearly absent, several looks in a row.

import { until } from './until.js';

/** Tones far from each other's overtones, in hertz; each phone of a test sings its own. */
export const TONES = [440, 1030, 1720, 2470];

/** A tone at this loudness is there: the phones sing at about -16 dB. */
const PRESENT_DB = -50;

/** Below this there is silence. */
const SILENT_DB = -85;

/** How far below the heard tone any other must stay. */
const APART_DB = 20;

/** How many looks in a row; each sees the last 85 ms. */
const LOOKS = 8;

/**
 * Waits until a stream carries one tone and no other.
 *
 * @param {() => Promise<number[] | null>} levels the loudness of each of {@link TONES}
 * @param {number} tone the expected one
 */
export async function hearsOnly(who, levels, tone) {
  const at = TONES.indexOf(tone);
  let last;
  await until(
    `${who} to hear ${tone} Hz and no other tone`,
    async () => {
      last = await levels();
      return last && last[at] > PRESENT_DB && last.every((level, i) => i === at || level < last[at] - APART_DB);
    },
    { times: LOOKS, detail: () => ({ tones: TONES, levels: last }) },
  );
}

/** Waits until a stream carries none of the tones. */
export async function hearsNothing(who, levels) {
  let last;
  await until(
    `${who} to hear silence`,
    async () => {
      last = await levels();
      return last && last.every((level) => level < SILENT_DB);
    },
    { times: LOOKS, detail: () => ({ tones: TONES, levels: last }) },
  );
}
