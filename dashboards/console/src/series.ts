// Sums and shares of counts over time, as /v1/mesh/series has them. All pure.

import { ratio } from './format';
import type { Series, SeriesAnswer } from './types';

/** Red is the rate, errors and duration of a series over some windows. */
export interface Red {
  requests: number;
  failed: number;
  slow: number;
  blamed: number;
  /** perSecond is the mean rate. */
  perSecond: number;
  /** failing is what part of the requests failed. */
  failing: number;
  /** p50, p90 and p99 are in ns; undefined if there was no request. Percentiles of several
      windows have no exact sum: these are means, weighted by requests. worst is the highest p99. */
  p50?: number;
  p90?: number;
  p99?: number;
  worst?: number;
}

/** red sums the windows from a to b, b left out. */
export function red(s: Series, window_ns: number, a = 0, b = s.requests.length): Red {
  a = Math.max(a, 0);
  const requests = sum(s.requests, a, b), failed = sum(s.failed, a, b);
  const seconds = (b - a) * window_ns / 1e9;
  return {
    requests, failed, slow: sum(s.slow, a, b), blamed: sum(s.blamed ?? [], a, b),
    perSecond: ratio(requests, seconds), failing: ratio(failed, requests),
    p50: mean(s.p50_ns, s.requests, a, b), p90: mean(s.p90_ns, s.requests, a, b), p99: mean(s.p99_ns, s.requests, a, b),
    worst: highest(s.p99_ns, a, b),
  };
}

export function sum(values: number[], a = 0, b = values.length): number {
  let n = 0;
  for (let i = a; i < Math.min(b, values.length); i++) n += values[i] ?? 0;
  return n;
}

/** mean of values that are above 0, weighted; undefined if there are none. */
function mean(values: number[], weights: number[], a: number, b: number): number | undefined {
  let n = 0, weight = 0;
  for (let i = a; i < Math.min(b, values.length); i++) {
    const w = weights[i] ?? 0, v = values[i] ?? 0;
    if (v > 0 && w > 0) {
      n += v * w;
      weight += w;
    }
  }
  return weight > 0 ? n / weight : undefined;
}

function highest(values: number[], a: number, b: number): number | undefined {
  let top = 0;
  for (let i = a; i < Math.min(b, values.length); i++) top = Math.max(top, values[i] ?? 0);
  return top > 0 ? top : undefined;
}

/** windowsOf returns how many windows the last so many seconds take, rounded up, at least one and at most all. */
export const windowsOf = (answer: Pick<SeriesAnswer, 'window_ns' | 'windows'>, seconds: number) =>
  Math.min(answer.windows, Math.max(1, Math.ceil(seconds * 1e9 / answer.window_ns)));

/** starts returns when each window began, in seconds since the epoch. */
export function starts(answer: Pick<SeriesAnswer, 'since' | 'until' | 'window_ns' | 'windows'>): number[] {
  const first = Date.parse(answer.until) / 1000 - answer.windows * answer.window_ns / 1e9;
  return Array.from({ length: answer.windows }, (_, i) => first + i * answer.window_ns / 1e9);
}

/** perSecond turns counts into rates. */
export const perSecond = (values: number[], window_ns: number) => values.map((v) => v * 1e9 / window_ns);

/** shares is part of whole in each window; null where there was nothing, so that a chart has a gap. */
export const shares = (part: number[], whole: number[]) => part.map((p, i) => whole[i] ? p / whole[i]! : null);

/** gaps has null for 0: a percentile of no requests is no number. */
export const gaps = (values: number[]) => values.map((v) => v > 0 ? v : null);

/** add sums several arrays window by window. */
export function add(all: number[][], length: number): number[] {
  const out = new Array<number>(length).fill(0);
  for (const values of all) values.forEach((v, i) => { if (i < length) out[i]! += v; });
  return out;
}

/** tail keeps the last n numbers. */
export const tail = <T>(values: T[], n: number): T[] => values.slice(-n);

/** lasting are the numbers of the last so many seconds, with 0 for windows before the first. */
export function lasting(values: number[], window_ns: number, seconds: number): number[] {
  const n = Math.ceil(seconds * 1e9 / window_ns), there = tail(values, n);
  return [...new Array<number>(n - there.length).fill(0), ...there];
}

/** fold sums neighbours until at most n numbers are left, for a drawing with little room. */
export function fold(values: number[], n: number): number[] {
  const by = Math.ceil(values.length / n);
  if (by <= 1) return values;
  const out: number[] = [];
  for (let end = values.length; end > 0; end -= by) out.unshift(sum(values, Math.max(0, end - by), end));
  return out;
}

export const edgeKey = (s: { caller?: string; service: string }) => `${s.caller ?? ''}\u0000${s.service}`;
