// The verdict of a trace in sentences, and what is missing in it.

import { duration, plural } from '../format';
import { arrow, partInWords } from '../now/view';
import type { TraceCulprit } from '../types';
import { slow, status, type Trace } from './hop';
import type { Tree } from './tree';

export interface Verdict {
  tone: 'bad' | 'slow' | 'good' | 'plain';
  /** sentence says who is at fault. */
  sentence: string;
  /** more are further sentences: the part at fault, where the time went. */
  more: string[];
  evidence: string[];
  /** inferred and unproven are why the verdict may be wrong. */
  doubts: string[];
  flags: string[];
  /** span is where to look. */
  span: string;
}

export function verdict(t: Trace, tree: Tree): Verdict {
  const root = tree.roots[0];
  const { culprit, inner, slowest } = t;
  if (!root) return { tone: 'plain', sentence: 'No hop of this trace is known', more: [], evidence: [], doubts: [], flags: [], span: '' };
  const outcome = `${status(root.hop)} in ${duration(root.duration)}`;
  const late = slow(root.hop);
  if (culprit) {
    const v = of(culprit, culprit.unproven ? 'slow' : 'bad', `${culprit.unproven ? 'The trace ends at ' : ''}${arrow(culprit.edge)}: ${culprit.reason}`);
    const part = partInWords(culprit.part);
    if (part && (culprit.caller || culprit.part !== 'application')) v.more.push(`At fault: ${culprit.service}, ${part}`);
    if (late && slowest && slowest.span_id !== culprit.span_id) v.more.push(`It was slow, too. Most of the time: ${arrow(slowest.edge)}, ${slowest.reason}`);
    return v;
  }
  if (slowest && late) {
    const v = of(slowest, 'slow', `Slow: most of the time went to ${arrow(slowest.edge)}, ${slowest.reason}`);
    v.more.push(inner ? `Something inside failed, too, but not the request: ${arrow(inner.edge)}, ${inner.reason}` : 'Nothing failed');
    return v;
  }
  if (inner) {
    const v = of(inner, 'slow', `${arrow(inner.edge)}: ${inner.reason}`);
    v.more.push(root.hop.status >= 400 ? `The request ended with ${outcome}` : `It did not fail the request, which ended with ${outcome}`);
    return v;
  }
  const good: Verdict = { tone: 'good', sentence: `Nothing failed: ${outcome}`, more: [], evidence: [], doubts: [], flags: [], span: slowest?.span_id ?? '' };
  if (slowest) good.more.push(`Most of the time went to ${arrow(slowest.edge)}: ${slowest.reason}`);
  return good;
}

function of(c: TraceCulprit, tone: Verdict['tone'], sentence: string): Verdict {
  const doubts: string[] = [];
  if (c.unproven) doubts.push('Unproven: the trace ends there, and what it called is not in it');
  if (c.inferred) doubts.push('Inferred: found by times, without ids that were passed on');
  if (c.unseen) doubts.push(`Seen from outside only: no hop of ${c.service} is there`);
  return { tone, sentence, more: [], evidence: c.evidence, doubts, flags: c.flags.split(',').filter(Boolean), span: c.span_id };
}

/** missing says what of the trace is not there. */
export function missing(t: Trace, tree: Tree): string[] {
  const all = t.breaks.map((b) => `Cut at ${b}`);
  const apart = tree.roots.length - 1;
  if (apart > 0) all.push(`${plural(apart, 'part')} of the trace ${apart === 1 ? 'stands' : 'stand'} apart: what called ${apart === 1 ? 'it' : 'them'} is not among the hops`);
  if (tree.unplaced > 0) all.push(`The time of ${plural(tree.unplaced, 'hop')} could not be read`);
  const clocks = [...new Set([...tree.all.values()].filter((n) => !n.attempt && n.parent && Math.abs(n.moved - (n.parent.attempt ? n.parent.parent! : n.parent).moved) > 1000).map((n) => n.hop.service))];
  if (clocks.length > 0) all.push(`The clocks disagree: hops of ${clocks.slice(0, 5).join(', ')} were moved so that they lie within their calls`);
  return all;
}
