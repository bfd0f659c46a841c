import { store } from '../store';
import type { TraceSummary } from '../types';

/** Chosen is a trace that a person wants to compare. label says which it is. */
export interface Chosen { id: string; label: string }

/** chosen are the traces to compare, at most two, in the order in which they were chosen. */
export const chosen = store<Chosen[]>([]);

/** choose adds a trace, or takes it away. A third takes the place of the second. */
export function choose(c: Chosen): void {
  const all = chosen.get();
  if (all.some((x) => x.id === c.id)) chosen.set(all.filter((x) => x.id !== c.id));
  else chosen.set([...all.slice(0, 1), c]);
}

/** candidate picks the trace to compare another with: the latest that went well, of the same kind, and not itself. */
export function candidate(of: { id: string; service: string; method: string; path: string }, traces: TraceSummary[]): string | undefined {
  const good = traces.filter((t) => t.trace_id !== of.id && !t.failed && !t.slow && t.service === of.service);
  const same = good.find((t) => t.method === of.method && t.path === of.path);
  return (same ?? good.find((t) => shape(t.path) === shape(of.path)))?.trace_id;
}

/** shape leaves out of a path what looks like an id. */
const shape = (path: string) => path.replace(/\/[^/]*\d[^/]*/g, '/*');
