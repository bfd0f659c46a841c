// How numbers and times are written. A number is never shown with more digits than it means,
// and a unit stays on the line of its number.

/** duration writes nanoseconds: 4.2 ms, 1.45 s, 3m 05s, 2h 10m. */
export function duration(ns: number | undefined | null): string {
  if (ns === undefined || ns === null || !Number.isFinite(ns)) return '–';
  const sign = ns < 0 ? '-' : '';
  const n = Math.abs(ns);
  if (n === 0) return '0';
  if (n < 1e3) return `${sign}${Math.round(n)}\u00a0ns`;
  if (n < 999_500) return `${sign}${digits(n / 1e3)}\u00a0µs`;
  if (n < 999_500_000) return `${sign}${digits(n / 1e6)}\u00a0ms`;
  if (n < 59_950_000_000) return `${sign}${digits(n / 1e9)}\u00a0s`;
  return sign + clock(Math.round(n / 1e9));
}

/** clock writes seconds that are a minute and more: 3m 05s, 2h 10m, 3d 4h. */
function clock(seconds: number): string {
  const two = (n: number) => String(n).padStart(2, '0');
  const m = Math.floor(seconds / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
  if (d > 0) return h % 24 ? `${d}d ${h % 24}h` : `${d}d`;
  if (h > 0) return m % 60 ? `${h}h ${two(m % 60)}m` : `${h}h`;
  return seconds % 60 ? `${m}m ${two(seconds % 60)}s` : `${m}m`;
}

/** digits keeps three significant digits, and no zeros at the end: 1.45, 14.5, 145. */
function digits(n: number): string {
  const places = n < 9.995 ? 2 : n < 99.95 ? 1 : 0;
  return String(Number(n.toFixed(places)));
}

/** rate writes something a second: 0.03/s, 20/s, 4,200/s. */
export function rate(perSecond: number | undefined): string {
  if (perSecond === undefined || !Number.isFinite(perSecond)) return '–';
  if (perSecond === 0) return '0/s';
  if (perSecond < 0.005) return '<0.01/s';
  return (perSecond < 99.95 ? digits(perSecond) : count(perSecond)) + '/s';
}

/** count writes a whole number with separators: 12,345. */
export function count(n: number | undefined): string {
  if (n === undefined || !Number.isFinite(n)) return '–';
  return String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** short writes a number in little room: 1.2k, 34M. */
export function short(n: number): string {
  const unit = Math.abs(n) >= 999_500_000 ? 'G' : Math.abs(n) >= 999_500 ? 'M' : Math.abs(n) >= 999.5 ? 'k' : '';
  const by = { G: 1e9, M: 1e6, k: 1e3, '': 1 }[unit]!;
  return digits(n / by) + unit;
}

/**
 * percent writes a part of 1. Only all is 100 % and only none is 0 %: what is in between
 * never rounds to either.
 */
export function percent(part: number | undefined): string {
  if (part === undefined || !Number.isFinite(part)) return '–';
  const p = part * 100;
  if (p <= 0) return '0\u00a0%';
  if (p >= 100) return '100\u00a0%';
  if (p < 0.01) return '<0.01\u00a0%';
  if (p > 99.99) return '>99.99\u00a0%';
  if (p > 99) return `${Number(p.toFixed(2))}\u00a0%`;
  return `${Number(p.toFixed(p < 1 ? 2 : p < 10 ? 1 : 0))}\u00a0%`;
}

/** ratio is part of whole; 0 if there is nothing. */
export const ratio = (part: number, whole: number) => whole > 0 ? part / whole : 0;

/** bytes writes a size: 840 B, 1.2 kB. */
export function bytes(n: number | undefined): string {
  if (n === undefined) return '–';
  const unit = n >= 999.5e6 ? 'GB' : n >= 999.5e3 ? 'MB' : n >= 999.5 ? 'kB' : 'B';
  return `${digits(n / { GB: 1e9, MB: 1e6, kB: 1e3, B: 1 }[unit]!)}\u00a0${unit}`;
}

/** time writes the time of day in UTC, as the commands and logs do: 10:31:05. */
export function time(when: string | number | Date | undefined, withMs = false): string {
  const d = date(when);
  return d ? d.toISOString().slice(11, withMs ? 23 : 19) : '–';
}

/** dateTime writes a whole time in UTC: 2026-11-30 10:31:05 UTC. */
export function dateTime(when: string | number | Date | undefined): string {
  const d = date(when);
  return d ? `${d.toISOString().slice(0, 10)} ${d.toISOString().slice(11, 19)} UTC` : '–';
}

/** ago writes how long before now it was: 12 s ago. */
export function ago(when: string | number | Date | undefined, now: number): string {
  const d = date(when);
  if (!d) return '–';
  const ms = now - d.getTime();
  return ms < 1000 ? 'just now' : `${duration(Math.floor(ms / 1000) * 1e9)} ago`;
}

/** plural writes a count and its noun: 1 request, 2 requests. */
export const plural = (n: number, one: string, many = one + 's') => `${count(n)} ${n === 1 ? one : many}`;

/** list writes texts as a sentence does: a, b and c. */
export function list(all: string[]): string {
  return all.length < 2 ? all.join('') : `${all.slice(0, -1).join(', ')} and ${all[all.length - 1]}`;
}

/** seconds reads a duration such as 10m or 1h30m; undefined if it is none. */
export function seconds(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, n, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) sum += Number(n) * { ms: 0.001, s: 1, m: 60, h: 3600 }[unit as 's']!;
  return sum;
}

function date(when: string | number | Date | undefined): Date | undefined {
  if (when === undefined || when === '') return undefined;
  const d = new Date(when);
  return Number.isNaN(d.getTime()) || d.getTime() < 0 ? undefined : d; // Go's zero time is before 1970
}
