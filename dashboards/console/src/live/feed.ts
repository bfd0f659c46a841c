// The requests that pass, as a bounded list. While it is paused they are kept aside, and
// what finds no room there is counted.

import type { TraceSummary } from '../types';

/** Line is what the stream has a line of: a trace, how many were left out, or nothing, to show that it is alive. */
export type Line = TraceSummary | { missed: number } | Record<string, never>;

export const mostShown = 1000;
export const mostAside = 2000;

export interface Feed {
  /** shown has the latest first. */
  shown: TraceSummary[];
  /** aside came while it was paused, the latest last. */
  aside: TraceSummary[];
  /** passed and failed count all traces, missed those that the proxies left out, forgotten those that found no room aside. */
  passed: number;
  failed: number;
  missed: number;
  forgotten: number;
}

export const empty: Feed = { shown: [], aside: [], passed: 0, failed: 0, missed: 0, forgotten: 0 };

const isTrace = (l: Line): l is TraceSummary => typeof (l as TraceSummary).trace_id === 'string';

/** add takes lines that have come. */
export function add(f: Feed, lines: Line[], paused: boolean): Feed {
  const traces = lines.filter(isTrace);
  const missed = lines.reduce((sum, l) => sum + (isTrace(l) ? 0 : Number(l.missed) || 0), 0);
  if (traces.length === 0 && missed === 0) return f;
  const next: Feed = {
    ...f, passed: f.passed + traces.length, missed: f.missed + missed, failed: f.failed + traces.filter((t) => t.failed).length,
  };
  if (!paused) {
    next.shown = [...traces.reverse(), ...f.shown].slice(0, mostShown);
    return next;
  }
  const aside = [...f.aside, ...traces];
  next.forgotten += Math.max(aside.length - mostAside, 0);
  next.aside = aside.slice(-mostAside);
  return next;
}

/** resume shows what was kept aside. */
export function resume(f: Feed): Feed {
  if (f.aside.length === 0) return f;
  return { ...f, shown: [...[...f.aside].reverse(), ...f.shown].slice(0, mostShown), aside: [], forgotten: 0 };
}

/** matches tells whether a trace has a text in what is shown of it. Words may stand apart. */
export function matches(t: TraceSummary, text: string): boolean {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const all = [t.trace_id, t.service, t.method, t.host + t.path, t.status, t.culprit?.edge, t.culprit?.edge.replace(' -> ', ' → '), t.failure_reason, t.slow && 'slow', t.failed && 'failed'].join(' ').toLowerCase();
  return words.every((w) => all.includes(w));
}

/** Second counts what passed in a second. */
export interface Second { at: number; passed: number; failed: number }

/** count adds to the second now, and forgets those that are older than keep. */
export function count(seconds: Second[], now: number, lines: Line[], keep = 60): Second[] {
  const at = Math.floor(now / 1000);
  const traces = lines.filter(isTrace);
  const next = seconds.filter((s) => s.at > at - keep);
  const last = next.at(-1);
  const more = { at, passed: traces.length, failed: traces.filter((t) => t.failed).length };
  if (last?.at !== at) return [...next, more];
  return [...next.slice(0, -1), { at, passed: last.passed + more.passed, failed: last.failed + more.failed }];
}

/** rateOf is how many passed and failed a second in the last so many whole seconds. */
export function rateOf(seconds: Second[], now: number, over = 5): { passed: number; failed: number } {
  const at = Math.floor(now / 1000);
  const of = seconds.filter((s) => s.at < at && s.at >= at - over);
  return { passed: of.reduce((sum, s) => sum + s.passed, 0) / over, failed: of.reduce((sum, s) => sum + s.failed, 0) / over };
}
