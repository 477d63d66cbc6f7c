/** Puts names to numbers. */

import type { DevCredential } from '../../portal/dev';

/** Returns what to call the far side: the page's own name for it, the caller's name, or the number itself. */
export function peerLabel(number: string, name: string, known: readonly DevCredential[]): string {
  const user = number.replace(/^sips?:/i, '').replace(/@.*$/, '');
  const credential = known.find(({ sipUsername }) => sipUsername === user);
  return credential?.label ?? (name.trim() !== '' ? name : number !== '' ? number : 'Unknown caller');
}

/** Shortens a long user name for a narrow place; the whole one belongs in a `title`. */
export function shortNumber(number: string): string {
  return number.length > 28 ? `${number.slice(0, 14)}…${number.slice(-8)}` : number;
}

/** First letter for a round badge. */
export function initial(label: string): string {
  const letter = /\p{L}|\p{N}/u.exec(label)?.[0];
  return letter === undefined ? '?' : letter.toUpperCase();
}
