import { describe, expect, it } from 'vitest';
import { add, fold, gaps, lasting, perSecond, red, shares, starts, tail, windowsOf } from './series';

const s = { service: 'web', requests: [0, 60, 30], failed: [0, 6, 0], slow: [0, 0, 3], p50_ns: [0, 1e6, 4e6], p90_ns: [0, 2e6, 8e6], p99_ns: [0, 3e6, 9e6], blamed: [0, 1, 0] };

describe('series', () => {
  it('sums all windows', () => {
    expect(red(s, 15e9)).toMatchObject({ requests: 90, failed: 6, slow: 3, blamed: 1, perSecond: 2, p50: 2e6, p99: 5e6, worst: 9e6 });
  });
  it('sums some windows', () => expect(red(s, 15e9, 2, 3)).toMatchObject({ requests: 30, failing: 0, perSecond: 2, p50: 4e6 }));
  it('has no percentile of nothing', () => expect(red(s, 15e9, 0, 1)).toMatchObject({ requests: 0, failing: 0, p50: undefined, worst: undefined }));
  it('counts windows of a time', () => {
    const a = { window_ns: 30e9, windows: 120 };
    expect([10, 30, 31, 600, 86400].map((n) => windowsOf(a, n))).toEqual([1, 1, 2, 20, 120]);
  });
  it('dates windows', () => expect(starts({ since: '', until: '1970-01-01T00:02:00Z', window_ns: 30e9, windows: 3 })).toEqual([30, 60, 90]));
  it('turns counts into rates, shares and gaps', () => {
    expect(perSecond([30, 0], 15e9)).toEqual([2, 0]);
    expect(shares([0, 1], [0, 4])).toEqual([null, 0.25]);
    expect(gaps([0, 5])).toEqual([null, 5]);
  });
  it('adds, folds and cuts', () => {
    expect(add([[1, 2], [3, 4, 5]], 2)).toEqual([4, 6]);
    expect(fold([1, 2, 3, 4, 5], 3)).toEqual([1, 5, 9]);
    expect(fold([1, 2], 3)).toEqual([1, 2]);
    expect(tail([1, 2, 3], 2)).toEqual([2, 3]);
    expect(lasting([1, 2, 3], 30e9, 60)).toEqual([2, 3]);
    expect(lasting([1], 30e9, 90)).toEqual([0, 0, 1]);
  });
});
