// The services of the mesh and who calls whom, over some windows of the series. All pure.

import { edgeKey, red, sum, type Red } from '../series';
import type { Series, SeriesAnswer } from '../types';

/** outside is the name of who calls from outside the mesh. */
export const outside = '';

export interface MapNode extends Red {
  name: string;
  /** proxied is false if no proxy of the service was seen: what is known is what its callers saw. */
  proxied: boolean;
}

export interface MapEdge extends Red {
  caller: string;
  service: string;
}

export interface Graph {
  nodes: MapNode[];
  edges: MapEdge[];
  /** culprit is the edge that is at fault for most, of all in the windows; undefined if nothing is at fault. */
  culprit?: MapEdge;
}

/** graph has every service and edge of the hour, in the order of their names, with the numbers
    of the windows from a to b, b left out: so it keeps its shape while one looks back in time. */
export function graph(s: SeriesAnswer, a: number, b: number): Graph {
  const edges = s.edges.map((e): MapEdge => ({ caller: e.caller ?? '', service: e.service, ...red(e, s.window_ns, a, b) }));
  const nodes = new Map<string, MapNode>();
  for (const x of s.services) nodes.set(x.service, { name: x.service, proxied: x.proxied !== false, ...red(x, s.window_ns, a, b) });
  for (const e of s.edges) {
    for (const name of [e.caller ?? '', e.service]) {
      if (!nodes.has(name)) nodes.set(name, { name, proxied: name === outside, ...red(name === e.service ? e : empty, s.window_ns, a, b) });
    }
  }
  const byName = [...nodes.values()].sort((x, y) => order(x.name, y.name));
  edges.sort((x, y) => order(x.caller, y.caller) || order(x.service, y.service));
  let culprit: MapEdge | undefined;
  for (const e of edges) if (e.blamed > (culprit?.blamed ?? 0)) culprit = e;
  return { nodes: byName, edges, culprit };
}

const empty: Series = { service: '', requests: [], failed: [], slow: [], p50_ns: [], p90_ns: [], p99_ns: [] };

const order = (a: string, b: string) => a < b ? -1 : a > b ? 1 : 0;

/** shape is equal for graphs that are drawn in the same places. */
export const shape = (g: Graph) => g.nodes.map((n) => n.name).join('\u0001') + '\u0002' + g.edges.map(edgeKey).join('\u0001');

/** trouble is how many failures each window of the hour had, for the slider. */
export function trouble(s: SeriesAnswer): number[] {
  const blamed = s.edges.some((e) => sum(e.blamed ?? []) > 0);
  return Array.from({ length: s.windows }, (_, i) => s.edges.reduce((n, e) => n + ((blamed ? e.blamed : e.caller ? undefined : e.failed)?.[i] ?? 0), 0));
}

/** near are the services that are a service's callers and callees, and itself. */
export function near(g: Graph, name: string): Set<string> {
  const all = new Set([name]);
  for (const e of g.edges) {
    if (e.caller === name) all.add(e.service);
    if (e.service === name) all.add(e.caller);
  }
  return all;
}
