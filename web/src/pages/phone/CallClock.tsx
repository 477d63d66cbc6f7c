import { useEffect, useState } from 'react';
import { clock } from '../../telephony/call';

/** Counts how long the two sides have been talking. */
export function CallClock({ since }: { since: number }) {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      setNow(Date.now());
    }, 500);
    return () => {
      clearInterval(timer);
    };
  }, []);
  return (
    <span role="timer" aria-label="Duration" data-testid="call-timer">
      {clock(now - since)}
    </span>
  );
}
