// What the start page says, from what hopscope why answers. All pure.

import { count, duration, list, percent, plural, ratio } from '../format';
import { add, edgeKey, fold, lasting as lastingOf, red, windowsOf } from '../series';
import type { Cause, Change, Culprit, Series, SeriesAnswer, Why } from '../types';

export interface Headline {
  tone: 'bad' | 'good' | 'plain';
  title: string;
  /** short is the title without numbers: a screen reader reads it out when it changes. */
  short: string;
  /** lead says what happened, and numbers how much of it there was. */
  lead: string;
  numbers: string;
}

export function headline(w: Why, span: string): Headline {
  const top = w.causes[0];
  const numbers = w.requests === 0 ? '' : w.failed === 0
    ? `${plural(w.requests, 'request')} in the last ${span}`
    : `${w.exact ? '' : 'About '}${count(w.failed)} of ${plural(w.requests, 'request')} failed (${percent(ratio(w.failed, w.requests))}) in the last ${span}`;
  if (w.requests === 0) return { tone: 'plain', title: 'No requests', short: 'No requests', lead: `Nothing has passed through the mesh in the last ${span}.`, numbers };
  if (w.failed === 0) return { tone: 'good', title: 'Nothing fails', short: 'Nothing fails', lead: w.recovered > 0 ? `${plural(w.recovered, 'request')} had a failure inside, and recovered.` : 'Every request went well.', numbers };
  if (!top) return { tone: 'bad', title: `${plural(w.failed, 'request')} failed`, short: 'Requests failed', lead: 'No proxy remembers enough of them to say who is at fault.', numbers };
  const short = `${blame(top.culprit)} at fault`;
  return { tone: 'bad', short, title: `${short}${portion(top.share, w.failed)}`, lead: what(top), numbers };
}

/** blame is the subject and verb of the sentence: "The network on the way to bank is". */
export function blame(c: Culprit): string {
  switch (c.part) {
    case 'proxy': return `The proxy of ${c.service} is`;
    case 'network': return `The network on the way to ${c.service} is`;
    case 'configuration': return `The configuration of ${c.service} is`;
    case 'certificate': return `The certificate of ${c.service} is`;
    case 'capacity': return `A limit of ${c.service} is`;
    case 'resolution': return `How addresses of ${c.service} are found is`;
    default: return `${c.service || 'Nobody that is known'} is`;
  }
}

const parts: Record<string, string> = {
  application: 'its application', proxy: 'its proxy', network: 'the network on the way to it', configuration: 'its configuration',
  certificate: 'its certificate', capacity: 'a limit of its own', resolution: 'how its addresses are found',
};

/** partInWords is what of the service is at fault, as the commands say it. */
export const partInWords = (part: string) => parts[part] ?? '';

function portion(share: number, failed: number): string {
  if (failed === 1) return ' for the one failed request';
  return share >= 1 ? ` for all ${count(failed)} failed requests` : ` for ${percent(share)} of ${count(failed)} failed requests`;
}

/** what says where it happened and what: "payments → bank: connection refused by 10.0.3.7:443". */
export const what = (c: Cause) => `${arrow(c.culprit.edge || c.culprit.service)}: ${c.reason}`;

/** arrow writes an edge for a page. */
export const arrow = (edge: string) => edge.replace(' -> ', ' → ');

/** ends are caller and callee of the culprit's edge; undefined if it happened within the service. */
export function ends(c: Culprit): { caller: string; service: string } | undefined {
  const [caller, service, more] = c.edge.split(' -> ');
  return caller && service && more === undefined ? { caller, service } : undefined;
}

/** lasting says whether a cause goes on: within 10 s of the end of the report it does. */
export function lasting(c: Cause, until: string): { on: boolean; text: string } {
  const ago = Date.parse(until) - Date.parse(c.last);
  return ago < 10_000 ? { on: true, text: 'goes on' } : { on: false, text: `last ${duration(Math.round(ago / 1000) * 1e9)} ago` };
}

/** order says when a change was, seen from the first failure. */
export function order(c: Change): string {
  const ns = Math.abs(c.before_ns);
  if (ns < 1e9) return 'at the same time';
  return `${duration(Math.round(ns / 1e9) * 1e9)} ${c.before_ns > 0 ? 'before' : 'after'}`;
}

/** where names the services that a change happened to: the first three of many. */
export const where = (names: string[]) => names.length <= 4 ? list(names) : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;

/** failures is how many requests a cause failed in each window, as its edge or its service counted; undefined if they are not counted. */
export function failures(c: Cause, s: SeriesAnswer | undefined, seconds: number): number[] | undefined {
  if (!s) return undefined;
  const edge = ends(c.culprit);
  const found = edge ? s.edges.find((e) => edgeKey(e) === edgeKey(edge)) : s.services.find((e) => e.service === c.culprit.service);
  if (!found) return undefined;
  const values = found.blamed && found.blamed.some((n) => n > 0) ? found.blamed : found.failed;
  return fold(lastingOf(values, s.window_ns, seconds), 60);
}

export interface ServiceRow {
  service: string;
  proxied: boolean;
  requests: number;
  perSecond: number;
  failed: number;
  failing: number;
  blamed: number;
  slow: number;
  p50?: number;
  p99?: number;
  trend: number[];
}

/** services has a row for each service of the series, those at fault first, then by failures. */
export function services(s: SeriesAnswer, seconds: number): ServiceRow[] {
  const n = windowsOf(s, seconds);
  return s.services.map((x) => {
    const r = red(x, s.window_ns, s.windows - n, s.windows);
    return { service: x.service, proxied: x.proxied !== false, ...r, trend: fold(lastingOf(x.failed, s.window_ns, seconds), 40) };
  }).sort((a, b) => b.blamed - a.blamed || b.failed - a.failed || b.requests - a.requests || a.service.localeCompare(b.service));
}

export interface Totals {
  requests: number;
  perSecond: number;
  failing: number;
  slow: number;
  /** entries are the services that take requests from outside, with how long those took. */
  entries: { service: string; p50?: number; p99?: number; worst?: number }[];
  trend: number[];
}

/** totals is what entered the mesh. Where no edge comes from outside, it is unknown. */
export function totals(s: SeriesAnswer, seconds: number): Totals | undefined {
  const n = windowsOf(s, seconds), from = s.windows - n;
  const outside = s.edges.filter((e) => !e.caller);
  if (outside.length === 0) return undefined;
  // How long requests from outside took is known apart only where nobody else calls the service.
  const numbers = (e: Series) => {
    const r = red(e, s.window_ns, from, s.windows), whole = s.services.find((x) => x.service === e.service);
    const { p50, p99, worst } = r.p99 === undefined && whole ? red(whole, s.window_ns, from, s.windows) : r;
    return { ...r, p50, p99, worst };
  };
  const all = outside.map((e) => ({ e, r: numbers(e) })).filter(({ r }) => r.requests > 0).sort((a, b) => b.r.requests - a.r.requests);
  const requests = all.reduce((t, { r }) => t + r.requests, 0);
  return {
    requests, perSecond: all.reduce((t, { r }) => t + r.perSecond, 0),
    failing: ratio(all.reduce((t, { r }) => t + r.failed, 0), requests), slow: all.reduce((t, { r }) => t + r.slow, 0),
    entries: all.slice(0, 3).map(({ e, r }) => ({ service: e.service, p50: r.p50, p99: r.p99, worst: r.worst })),
    trend: fold(lastingOf(add(outside.map((e) => e.requests), s.windows), s.window_ns, seconds), 60),
  };
}
