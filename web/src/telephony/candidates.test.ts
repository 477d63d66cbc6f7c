import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { GatheringPeer } from './candidates';
import { PATIENCE_MS, watchCandidates } from './candidates';

function peer(state: RTCIceGatheringState, sdp: string): GatheringPeer {
  return { iceGatheringState: state, localDescription: { type: 'offer', sdp } as RTCSessionDescription };
}

describe('watchCandidates', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('tells once when gathering finds nothing', () => {
    const none = vi.fn();
    watchCandidates(() => peer('gathering', 'v=0\r\nm=audio 9\r\n'), none);
    vi.advanceTimersByTime(PATIENCE_MS - 500);
    expect(none).not.toHaveBeenCalled();
    vi.advanceTimersByTime(10_000);
    expect(none).toHaveBeenCalledTimes(1);
  });

  it('also tells when gathering ended with nothing', () => {
    const none = vi.fn();
    watchCandidates(() => peer('complete', 'v=0\r\n'), none);
    vi.advanceTimersByTime(PATIENCE_MS);
    expect(none).toHaveBeenCalledTimes(1);
  });

  it('is silent once there is a candidate', () => {
    const none = vi.fn();
    let sdp = 'v=0\r\n';
    watchCandidates(() => peer('gathering', sdp), none);
    vi.advanceTimersByTime(PATIENCE_MS - 500);
    sdp += 'a=candidate:1 1 udp 2113937151 192.0.2.1 50000 typ host\r\n';
    vi.advanceTimersByTime(60_000);
    expect(none).not.toHaveBeenCalled();
  });

  it('does not count the time a person needs to allow the microphone', () => {
    const none = vi.fn();
    let instance: GatheringPeer | null = null;
    watchCandidates(() => instance, none);
    vi.advanceTimersByTime(60_000);
    instance = peer('new', '');
    vi.advanceTimersByTime(60_000);
    expect(none).not.toHaveBeenCalled();
    instance = peer('gathering', '');
    vi.advanceTimersByTime(PATIENCE_MS);
    expect(none).toHaveBeenCalledTimes(1);
  });

  it('stops when told', () => {
    const none = vi.fn();
    const stop = watchCandidates(() => peer('gathering', ''), none);
    stop();
    vi.advanceTimersByTime(60_000);
    expect(none).not.toHaveBeenCalled();
  });
});
