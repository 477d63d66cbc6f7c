/**
 * Notices a browser that finds no network to call over.
 *
 * Chromium leaves loopback out when it gathers candidates. Where it is the only interface, no candidate ever comes and
 * gathering never ends: the SDK waits for the first one and sends nothing, for ever.
 */

/** How long a browser may gather without finding anything, in milliseconds. */
export const PATIENCE_MS = 3_000;

const LOOK_EVERY_MS = 250;

/** The part of a peer connection that is looked at. */
export type GatheringPeer = Pick<RTCPeerConnection, 'iceGatheringState' | 'localDescription'>;

/**
 * Watches a peer connection that is about to gather, and calls `onNone` once if it has found nothing after
 * {@link PATIENCE_MS}. Ends by itself at the first candidate. Returns the way to stop.
 *
 * `peer` is asked anew each time: the SDK makes the connection only after the microphone was allowed, and the clock
 * starts with the gathering.
 */
export function watchCandidates(peer: () => GatheringPeer | null | undefined, onNone: () => void): () => void {
  let waitedMs = 0;
  const timer = setInterval(() => {
    const instance = peer();
    if (instance === null || instance === undefined || instance.iceGatheringState === 'new') return;
    if (/^a=candidate:/m.test(instance.localDescription?.sdp ?? '')) {
      clearInterval(timer);
      return;
    }
    waitedMs += LOOK_EVERY_MS;
    if (waitedMs >= PATIENCE_MS) {
      clearInterval(timer);
      onNone();
    }
  }, LOOK_EVERY_MS);
  return () => {
    clearInterval(timer);
  };
}
