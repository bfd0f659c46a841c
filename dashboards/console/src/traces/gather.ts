// The traces that a page has seen. A proxy answers with the latest ones; those of earlier
// answers stay, so that a page that is left open shows more than one answer has.

import type { TraceSummary } from '../types';

export const mostKept = 10_000;

/** gather adds an answer to what is known, the latest first. What began before since, in ms since the epoch, is left out. */
export function gather(known: TraceSummary[], fresh: TraceSummary[], since = 0, most = mostKept): TraceSummary[] {
  const ids = new Set(fresh.map((t) => t.trace_id)); // an answer knows more of a trace than one before it
  const begun = since > 0 ? new Date(since).toISOString() : '';
  const old = known.filter((t) => !ids.has(t.trace_id) && t.start >= begun);
  if (old.length === 0) return fresh.slice(0, most);
  // Times of one form compare as texts, to the nanosecond.
  return [...fresh, ...old].sort((a, b) => a.start < b.start ? 1 : a.start > b.start ? -1 : 0).slice(0, most);
}
