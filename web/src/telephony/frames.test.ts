import { describe, expect, it } from 'vitest';
import { FrameNames, MAX_DETAIL, decodeFrame, frameEntry } from './frames';
import { Log } from './log';

describe('frames', () => {
  it('calls a response by the request it answers', () => {
    const names = new FrameNames();
    expect(frameEntry('sent', '{"id":"1","method":"login","params":{}}', names).title).toBe('login');
    expect(frameEntry('received', '{"id":"1","result":{}}', names).title).toBe('result of login');
    expect(frameEntry('received', '{"id":"1","error":{"code":-32001}}', names)).toMatchObject({
      title: 'error to login',
      failed: true,
    });
    expect(frameEntry('received', '{"id":"9","result":{}}', names).title).toBe('result');
  });

  it('takes anything a socket can carry', () => {
    const names = new FrameNames();
    for (const data of ['', '#SPU 12', '[1]', 'null', '{"method":7}', '{"id":{}}', '\u0000']) {
      expect(frameEntry('received', data, names).title.length).toBeGreaterThan(0);
    }
    expect(decodeFrame('[]')).toBeNull();
  });

  it('cuts a huge frame', () => {
    const entry = frameEntry(
      'sent',
      JSON.stringify({ method: 'x', params: { sdp: 'y'.repeat(100_000) } }),
      new FrameNames(),
    );
    expect(entry.detail.length).toBeLessThan(MAX_DETAIL + 20);
  });

  it('forgets old requests', () => {
    const names = new FrameNames();
    for (let i = 0; i < 1000; i += 1) names.name({ id: i, method: `m${i}` });
    expect(names.name({ id: 0, result: {} })).toBe('result');
    expect(names.name({ id: 999, result: {} })).toBe('result of m999');
  });
});

describe('log', () => {
  it('keeps the newest entries and counts what it let go', () => {
    const log = new Log(3);
    for (const title of ['a', 'b', 'c', 'd', 'e']) log.add({ kind: 'event', title, failed: false, detail: '' });
    expect(log.getSnapshot().entries.map((entry) => entry.title)).toEqual(['e', 'd', 'c']);
    expect(log.getSnapshot().dropped).toBe(2);
    log.clear();
    expect(log.getSnapshot()).toEqual({ entries: [], dropped: 0 });
  });

  it('tells its listeners until they leave', () => {
    const log = new Log(3);
    let told = 0;
    const leave = log.subscribe(() => (told += 1));
    log.add({ kind: 'event', title: 'a', failed: false, detail: '' });
    leave();
    log.add({ kind: 'event', title: 'b', failed: false, detail: '' });
    expect(told).toBe(1);
  });
});
