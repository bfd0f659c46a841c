// What the page of a service shows, from the series and the configurations. All pure.

import { edgeKey, gaps, perSecond, red, shares, tail, windowsOf, type Red } from '../series';
import type { Config, ConfigCluster, ConfigEndpoint, Series, SeriesAnswer } from '../types';

/** Group is one of what a service is looked at by: all, a route, a caller or an endpoint. */
export interface Group extends Red {
  name: string;
  series: Series;
  /** caller is set if the group is an edge. */
  caller?: string;
}

export const ways = ['all', 'route', 'caller', 'endpoint'] as const;
export type Way = typeof ways[number];

/** groups are the parts of a service's requests in the last so many seconds, the largest first. */
export function groups(s: SeriesAnswer, service: string, by: Way, seconds: number): Group[] {
  const n = windowsOf(s, seconds), from = s.windows - n;
  const group = (name: string, series: Series): Group => ({ name, series, ...red(series, s.window_ns, from, s.windows) });
  switch (by) {
    case 'all': return s.services.filter((x) => x.service === service).map((x) => group('all requests', x));
    case 'route': return largest(s.routes.filter((x) => x.service === service).map((x) => group(`${x.method ?? ''} ${x.route ?? ''}`.trim() || 'no route', x)));
    case 'caller': return largest(s.edges.filter((x) => x.service === service).map((x) => ({ ...group(x.caller || 'clients', x), caller: x.caller ?? '' })));
    case 'endpoint': return largest(together(s.endpoints.filter((x) => x.service === service)).map((x) => group(x.endpoint ?? '', x)));
  }
}

const largest = (all: Group[]) => all.sort((a, b) => b.requests - a.requests || a.name.localeCompare(b.name));

/** together adds what several proxies counted for the same endpoint. Their percentiles are weighted by requests. */
function together(all: Series[]): Series[] {
  const found = new Map<string, Series>();
  for (const s of all) {
    const key = s.endpoint ?? '';
    const before = found.get(key);
    found.set(key, before ? merge(before, s) : s);
  }
  return [...found.values()];
}

function merge(a: Series, b: Series): Series {
  const each = (f: (i: number) => number) => a.requests.map((_, i) => f(i));
  const plus = (x: number[], y: number[]) => each((i) => (x[i] ?? 0) + (y[i] ?? 0));
  const mean = (x: number[], y: number[]) => each((i) => {
    const p = x[i] ? a.requests[i] ?? 0 : 0, q = y[i] ? b.requests[i] ?? 0 : 0;
    return p + q > 0 ? ((x[i] ?? 0) * p + (y[i] ?? 0) * q) / (p + q) : 0;
  });
  return {
    ...a, requests: plus(a.requests, b.requests), failed: plus(a.failed, b.failed), slow: plus(a.slow, b.slow),
    p50_ns: mean(a.p50_ns, b.p50_ns), p90_ns: mean(a.p90_ns, b.p90_ns), p99_ns: mean(a.p99_ns, b.p99_ns),
  };
}

const colors = ['--c1', '--c2', '--c3', '--c4', '--c5', '--c6'];

/** drawn is how many groups the charts have lines for: more could not be told apart. */
export const drawn = colors.length;

export interface ChartLine { name: string; values: (number | null)[]; color: string; fill?: boolean }

export interface Charts { rate: ChartLine[]; errors: ChartLine[]; duration: ChartLine[] }

/** charts are the lines of rate, errors and duration: of all requests with percentiles, or of each group. */
export function charts(s: SeriesAnswer, of: Group[], by: Way, n: number): Charts {
  const cut = <T>(values: T[]) => tail(values, n);
  if (by === 'all') {
    const x = of[0]?.series;
    if (!x) return { rate: [], errors: [], duration: [] };
    return {
      rate: [{ name: 'requests', values: cut(perSecond(x.requests, s.window_ns)), color: '--c1', fill: true }],
      errors: [{ name: 'failed', values: cut(shares(x.failed, x.requests)), color: '--bad-mark', fill: true }],
      duration: [
        { name: 'p50', values: cut(gaps(x.p50_ns)), color: '--c2' },
        { name: 'p90', values: cut(gaps(x.p90_ns)), color: '--c3' },
        { name: 'p99', values: cut(gaps(x.p99_ns)), color: '--c1' },
      ],
    };
  }
  const lines = (values: (x: Series) => (number | null)[]) => of.slice(0, drawn).map((g, i): ChartLine => ({ name: g.name, values: cut(values(g.series)), color: colors[i]! }));
  return {
    rate: lines((x) => perSecond(x.requests, s.window_ns)),
    errors: lines((x) => shares(x.failed, x.requests)),
    duration: lines((x) => gaps(x.p99_ns)),
  };
}

/** callers and callees are the edges of a service. */
export const callers = (s: SeriesAnswer, service: string) => s.edges.filter((e) => e.service === service);
export const callees = (s: SeriesAnswer, service: string) => s.edges.filter((e) => e.caller === service);

/** Held is the configuration of a proxy, with where it was asked. */
export interface Held { address: string; self: boolean; config: Config }

export interface EndpointRow extends ConfigEndpoint {
  /** proxy is the service whose proxy calls the endpoint, and at its admin address. */
  proxy: string;
  at: string;
  self: boolean;
  cluster: string;
}

/** endpoints are those of a service as each proxy that calls it knows them: what is wrong comes first. */
export function endpoints(all: Held[], service: string): EndpointRow[] {
  const rows: EndpointRow[] = [];
  for (const h of all) {
    for (const c of h.config.clusters) {
      if (serves(c) !== service) continue;
      for (const e of c.endpoints) rows.push({ ...e, proxy: h.config.service, at: h.address, self: h.self, cluster: c.name });
    }
  }
  return rows.sort((a, b) => Number(isWell(a)) - Number(isWell(b)) || a.proxy.localeCompare(b.proxy) || a.address.localeCompare(b.address, 'en', { numeric: true }));
}

const serves = (c: ConfigCluster) => c.service || c.name;

export const isWell = (e: ConfigEndpoint) => e.health === 'healthy' && !e.ejected && !e.ejected_until && !e.draining;

export const sameEdge = (a: { caller?: string; service: string }, b: { caller?: string; service: string }) => edgeKey(a) === edgeKey(b);
