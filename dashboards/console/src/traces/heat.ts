// The heat map of durations over time: which traces fall into which cell, and what a brush
// selects. It draws nothing.

import type { TraceSummary } from '../types';

/** Range is a time, in ms since the epoch, and a duration, in ns, each from and to. */
export interface Range { from: number; to: number; low: number; high: number }

export interface Heat extends Range {
  columns: number;
  rows: number;
  /** all, failed and slow have a number a cell, the lowest duration first, column by column. */
  all: Uint32Array;
  failed: Uint32Array;
  slow: Uint32Array;
  most: number;
}

/** Brush is a rectangle of cells, both ends included. Row 0 has the shortest durations. */
export interface Brush { left: number; right: number; bottom: number; top: number }

const startOf = (t: TraceSummary) => Date.parse(t.start);

/** bin counts traces in a grid whose durations are logarithmic. Its ends are those of the traces, rounded. */
export function bin(traces: TraceSummary[], columns: number, rows: number): Heat {
  let from = Infinity, to = -Infinity, low = Infinity, high = -Infinity;
  for (const t of traces) {
    const at = startOf(t);
    if (Number.isNaN(at)) continue;
    from = Math.min(from, at); to = Math.max(to, at);
    const d = Math.max(t.duration_ns, 1000);
    low = Math.min(low, d); high = Math.max(high, d);
  }
  if (from > to) from = to = low = high = 0;
  to = Math.max(to, from + 1000); // a second at least
  [low, high] = [roundDown(low), roundUp(high)];
  if (high <= low) high = low * 10;
  const size = columns * rows;
  const heat: Heat = { from, to, low, high, columns, rows, all: new Uint32Array(size), failed: new Uint32Array(size), slow: new Uint32Array(size), most: 0 };
  for (const t of traces) {
    const at = startOf(t);
    if (Number.isNaN(at)) continue;
    const cell = columnOf(heat, at) * rows + rowOf(heat, t.duration_ns);
    heat.most = Math.max(heat.most, ++heat.all[cell]!);
    if (t.failed) heat.failed[cell]!++;
    if (t.slow) heat.slow[cell]!++;
  }
  return heat;
}

const roundDown = (ns: number) => roundTo(ns, Math.floor);
const roundUp = (ns: number) => roundTo(ns, Math.ceil);

/** roundTo rounds to 1, 2 or 5 times a power of ten. */
function roundTo(ns: number, by: (n: number) => number): number {
  if (!(ns > 0)) return 1e6;
  const power = 10 ** Math.floor(Math.log10(ns) + 1e-9);
  const steps = [1, 2, 5, 10].map((s) => s * power);
  return by === Math.floor ? steps.findLast((s) => s <= ns * 1.000001)! : steps.find((s) => s >= ns * 0.999999)!;
}

const clamp = (n: number, most: number) => Math.min(Math.max(Math.floor(n), 0), most - 1);

export const columnOf = (h: Heat, at: number) => clamp((at - h.from) / (h.to - h.from) * h.columns, h.columns);
export const rowOf = (h: Heat, ns: number) => clamp(Math.log(Math.max(ns, 1) / h.low) / Math.log(h.high / h.low) * h.rows, h.rows);

const timeAt = (h: Heat, column: number) => h.from + (h.to - h.from) * column / h.columns;
const durationAt = (h: Heat, row: number) => h.low * (h.high / h.low) ** (row / h.rows);

/** rangeOf is what a brush selects. A brush at an end of the map has no end there. */
export function rangeOf(h: Heat, b: Brush): Range {
  return {
    from: Math.floor(timeAt(h, b.left)), to: Math.ceil(timeAt(h, b.right + 1)),
    low: b.bottom === 0 ? 0 : Math.round(durationAt(h, b.bottom)), high: b.top === h.rows - 1 ? Number.MAX_SAFE_INTEGER : Math.round(durationAt(h, b.top + 1)),
  };
}

/** brushOf is where a range lies on the map; undefined if it is all outside. */
export function brushOf(h: Heat, r: Range): Brush | undefined {
  if (r.to <= h.from && r.from < h.from || r.from > h.to || r.high <= h.low && r.low < h.low || r.low > h.high) return undefined;
  return {
    left: columnOf(h, r.from), right: columnOf(h, Math.max(r.to - 1, r.from)),
    bottom: rowOf(h, Math.max(r.low, h.low)), top: rowOf(h, Math.max(Math.min(r.high, h.high) * 0.999999, r.low)),
  };
}

/** within tells whether a trace is selected. */
export function within(t: TraceSummary, r: Range): boolean {
  const at = startOf(t);
  return at >= r.from && at < r.to && t.duration_ns >= r.low && t.duration_ns < r.high;
}

/** Cursor has two corners of a brush, as column and row: where it began, and the one that moves. */
export interface Cursor { anchor: [number, number]; head: [number, number] }

/** moved is a cursor after an arrow key: with shift its head moves, else all of it. The first key chooses the last column. undefined if it is another key. */
export function moved(h: Heat, c: Cursor | undefined, key: string, extend: boolean): Cursor | undefined {
  const step = ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] } as Record<string, [number, number]>)[key];
  if (!step) return undefined;
  if (!c) return { anchor: [h.columns - 1, 0], head: [h.columns - 1, h.rows - 1] };
  const { left, right, bottom, top } = fromCorners(c);
  const [x, y] = step;
  const into = (n: number, most: number) => Math.min(Math.max(n, 0), most);
  if (extend) return { anchor: c.anchor, head: [into(c.head[0] + x, h.columns - 1), into(c.head[1] + y, h.rows - 1)] };
  const dx = into(left + x, h.columns - 1 - right + left) - left;
  const dy = into(bottom + y, h.rows - 1 - top + bottom) - bottom;
  const by = ([cx, cy]: [number, number]): [number, number] => [cx + dx, cy + dy];
  return { anchor: by(c.anchor), head: by(c.head) };
}

/** fromCorners is the brush of a cursor, and cornersOf the cursor of a brush. */
export const fromCorners = ({ anchor: [x1, y1], head: [x2, y2] }: Cursor): Brush =>
  ({ left: Math.min(x1, x2), right: Math.max(x1, x2), bottom: Math.min(y1, y2), top: Math.max(y1, y2) });
export const cornersOf = (b: Brush): Cursor => ({ anchor: [b.left, b.bottom], head: [b.right, b.top] });

/** durations are the lines of the scale: 1, 10, 100 ms, and those between if there are few. */
export function durations(h: Heat): number[] {
  const all: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(h.low)); power <= h.high; power *= 10) {
    for (const s of h.high / h.low > 500 ? [1] : [1, 2, 5]) {
      const at = s * power;
      if (at >= h.low * 0.999 && at <= h.high * 1.001) all.push(at);
    }
  }
  return all;
}

/** times are the lines of the time axis, round, in ms since the epoch. */
export function times(h: Heat, most: number): number[] {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400, 604_800].map((s) => s * 1000);
  const step = steps.find((s) => (h.to - h.from) / s <= most) ?? steps.at(-1)!;
  const all: number[] = [];
  for (let at = Math.ceil(h.from / step) * step; at <= h.to && all.length < most + 1; at += step) all.push(at);
  return all;
}

/** rangeText and parseRange write a range into the address, and read it. */
export const rangeText = (r: Range) => [r.from, r.to, r.low, r.high === Number.MAX_SAFE_INTEGER ? '' : r.high].join('_');

export function parseRange(text: string | null): Range | undefined {
  const parts = (text ?? '').split('_');
  if (parts.length !== 4) return undefined;
  const [from, to, low] = parts.map(Number) as [number, number, number];
  const high = parts[3] === '' ? Number.MAX_SAFE_INTEGER : Number(parts[3]);
  return [from, to, low, high].every((n) => Number.isFinite(n) && n >= 0) && from < to && low < high ? { from, to, low, high } : undefined;
}
