/** The phone as React sees it. */

import { useSyncExternalStore } from 'react';
import type { Log, LogSnapshot } from './log';
import type { Phone, PhoneState } from './phone';

/** Returns the phone's picture, and draws again when it changes. */
export function usePhoneState(phone: Phone): PhoneState {
  return useSyncExternalStore(phone.subscribe, phone.getSnapshot);
}

/** Returns a log's entries, and draws again when one is added. */
export function useLog(log: Log): LogSnapshot {
  return useSyncExternalStore(log.subscribe, log.getSnapshot);
}
