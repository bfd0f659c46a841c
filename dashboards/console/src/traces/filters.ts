// The filters of the list of traces. They live in the address, so that a list can be
// bookmarked and sent to others.

import type { Query } from '../api';
import { seconds } from '../format';

export const outcomes = ['all', 'failed', 'slow', 'either'] as const;
export type Outcome = typeof outcomes[number];

export interface Filters {
  outcome: Outcome;
  service: string;
  route: string;
  status: string;
  flag: string;
  culprit: string;
  min: string;
  max: string;
  text: string;
  since: string;
  limit: number;
}

export const limits = [200, 500, 1000];
const texts = ['service', 'route', 'status', 'flag', 'culprit', 'min', 'max', 'text', 'since'] as const;

/** parseFilters reads filters from the query of the address. What makes no sense counts as absent. */
export function parseFilters(q: URLSearchParams): Filters {
  const text = (name: string) => (q.get(name) ?? '').trim();
  const time = (name: string) => seconds(text(name)) === undefined ? '' : text(name);
  const outcome = outcomes.find((o) => o === text('outcome'))
    ?? (q.get('failed') === '1' ? (q.get('slow') === '1' ? 'either' : 'failed') : q.get('slow') === '1' ? 'slow' : 'all');
  const limit = Number(text('limit'));
  return {
    outcome, service: text('service'), route: text('route'), status: text('status'), flag: text('flag').toUpperCase(), culprit: text('culprit'),
    min: time('min'), max: time('max'), text: text('text'), since: time('since'), limit: limits.includes(limit) ? limit : limits[0]!,
  };
}

/** toAddress is the query of the address for filters; what is usual is left out. */
export function toAddress(f: Filters): Record<string, string | undefined> {
  const q: Record<string, string | undefined> = {
    failed: f.outcome === 'failed' || f.outcome === 'either' ? '1' : undefined,
    slow: f.outcome === 'slow' || f.outcome === 'either' ? '1' : undefined,
    limit: f.limit === limits[0] ? undefined : String(f.limit),
    outcome: undefined,
  };
  for (const name of texts) q[name] = f[name] || undefined;
  return q;
}

/** toQuery is what the API is asked. */
export function toQuery(f: Filters): Query {
  const q: Query = { failed: f.outcome === 'failed' || f.outcome === 'either', slow: f.outcome === 'slow' || f.outcome === 'either', limit: f.limit };
  for (const name of texts) q[name] = f[name];
  return q;
}

/** inWords says which traces the filters select. */
export function inWords(f: Filters): string {
  const all: string[] = [];
  if (f.outcome !== 'all') all.push({ failed: 'failed', slow: 'slow', either: 'failed or slow' }[f.outcome]);
  if (f.service) all.push(`through ${f.service}`);
  if (f.route) all.push(`on route ${f.route}`);
  if (f.status) all.push(`with status ${f.status}`);
  if (f.flag) all.push(`with flag ${f.flag}`);
  if (f.culprit) all.push(`for which ${f.culprit.replace(' -> ', ' → ')} is at fault`);
  if (f.min) all.push(`of ${f.min} and more`);
  if (f.max) all.push(`of ${f.max} and less`);
  if (f.text) all.push(`with “${f.text}”`);
  if (f.since) all.push(`of the last ${f.since}`);
  return all.join(', ');
}

/** durationText makes a duration of what a person typed: 100 is 100ms. undefined if it is none. */
export function durationText(typed: string): string | undefined {
  const text = typed.trim().replaceAll(' ', '').replace(/^\.(?=\d)/, '0.');
  if (!text) return '';
  if (/^\d+(\.\d+)?$/.test(text)) return text + 'ms';
  return seconds(text) === undefined ? undefined : text;
}
