import { describe, expect, test } from 'vitest';
import type { TraceSummary } from '../types';
import { bin, brushOf, type Cursor, cornersOf, durations, fromCorners, moved, parseRange, rangeOf, rangeText, times, within } from './heat';

const zero = Date.UTC(2026, 10, 30, 10, 0, 0);
const t = (s: number, ms: number, more: Partial<TraceSummary> = {}) =>
  ({ start: new Date(zero + s * 1000).toISOString(), duration_ns: ms * 1e6, failed: false, slow: false, ...more }) as TraceSummary;

describe('bin', () => {
  const traces = [t(0, 1), t(0, 1.5), t(50, 10, { failed: true }), t(99, 99, { slow: true }), t(100, 100)];
  const h = bin(traces, 10, 4);
  test('each trace is in one cell', () => {
    expect(h.all.reduce((a, b) => a + b)).toBe(5);
    expect([h.from, h.to, h.low, h.high]).toEqual([zero, zero + 100_000, 1e6, 1e8]);
    expect(h.all[0]).toBe(2); // first column, shortest
    expect(h.all[5 * 4 + 2]).toBe(1); // half of the time, half of the decades
    expect(h.failed[5 * 4 + 2]).toBe(1);
    expect(h.all[9 * 4 + 3]).toBe(2); // the ends are within
    expect(h.slow[9 * 4 + 3]).toBe(1);
    expect(h.most).toBe(2);
  });
  test('no traces, one trace, and nonsense', () => {
    expect(bin([], 5, 5).most).toBe(0);
    const one = bin([t(0, 5)], 5, 5);
    expect(one.to - one.from).toBe(1000);
    expect(one.high).toBeGreaterThan(one.low);
    expect(bin([t(0, 0)], 5, 5).most).toBe(1);
    expect(bin([{ ...t(0, 1), start: 'never' }], 5, 5).most).toBe(0);
  });
  test('10,000 traces', () => {
    const many = Array.from({ length: 10_000 }, (_, i) => t(i, 1 + i % 1000));
    expect(bin(many, 100, 30).all.reduce((a, b) => a + b)).toBe(10_000);
  });
  test('a brush selects what its cells show, and is found again', () => {
    for (let x = 0; x < 10; x++) {
      for (let y = 0; y < 4; y++) {
        const brush = { left: x, right: x, bottom: y, top: y };
        const range = rangeOf(h, brush);
        expect(brushOf(h, range)).toEqual(brush);
        expect(traces.filter((tr) => within(tr, range)).length).toBe(h.all[x * 4 + y]! - (x === 9 && y === 3 ? 1 : 0));
      }
    }
  });
});

describe('brush', () => {
  const h = bin([t(0, 1), t(100, 100)], 10, 4);
  test('at the ends of the scale of durations has no end', () => {
    expect(rangeOf(h, { left: 0, right: 9, bottom: 0, top: 3 })).toMatchObject({ low: 0, high: Number.MAX_SAFE_INTEGER });
  });
  test('outside of the map is not there', () => {
    expect(brushOf(h, { from: 0, to: 1, low: 0, high: 1 })).toBeUndefined();
    expect(brushOf(h, { from: zero, to: zero + 1e6, low: 1e10, high: 1e12 })).toBeUndefined();
  });
  test('moves by the arrows, and grows with shift to either side', () => {
    let c = moved(h, undefined, 'ArrowLeft', false);
    expect(fromCorners(c!)).toEqual({ left: 9, right: 9, bottom: 0, top: 3 });
    c = moved(h, c, 'ArrowLeft', true);
    expect(fromCorners(c!)).toEqual({ left: 8, right: 9, bottom: 0, top: 3 });
    c = moved(h, c, 'ArrowDown', true);
    c = moved(h, c, 'ArrowRight', false); // it is at the edge
    expect(fromCorners(c!)).toEqual({ left: 8, right: 9, bottom: 0, top: 2 });
    c = moved(h, c, 'ArrowUp', false);
    expect(fromCorners(c!)).toEqual({ left: 8, right: 9, bottom: 1, top: 3 });
    expect(moved(h, c, 'Tab', false)).toBeUndefined();
    for (const key of ['ArrowLeft', 'ArrowUp', 'ArrowRight', 'ArrowDown']) {
      let at: Cursor = cornersOf({ left: 3, right: 4, bottom: 1, top: 1 });
      for (let i = 0; i < 30; i++) at = moved(h, at, key, i % 2 === 0)!;
      const b = fromCorners(at);
      expect(b.left >= 0 && b.right <= 9 && b.bottom >= 0 && b.top <= 3).toBe(true);
    }
  });
  test('is written into the address', () => {
    const range = rangeOf(h, { left: 2, right: 3, bottom: 1, top: 3 });
    expect(parseRange(rangeText(range))).toEqual(range);
    for (const bad of [null, '', '1_2_3', 'a_b_c_d', '5_4_0_', '1_2_9_3', '-1_2_0_']) expect(parseRange(bad)).toBeUndefined();
  });
});

test('the lines of the scales', () => {
  expect(durations(bin([t(0, 1), t(1, 100)], 5, 5))).toEqual([1e6, 2e6, 5e6, 1e7, 2e7, 5e7, 1e8]);
  expect(durations(bin([t(0, 0.1), t(1, 1000)], 5, 5))).toEqual([1e5, 1e6, 1e7, 1e8, 1e9]);
  expect(times(bin([t(0, 1), t(100, 1)], 5, 5), 6).map((at) => (at - zero) / 1000)).toEqual([0, 30, 60, 90]);
});
