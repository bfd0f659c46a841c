// Puts two traces beside each other: the same calls in the same row, and what differs.

import { duration } from '../format';
import { arrow } from '../now/view';
import { inbound, method, status, type Trace } from './hop';
import { callee, exclusive, type Node, nodeFailed, service, type Tree } from './tree';
import { nameOf } from './waterfall';

export interface Pair {
  id: string;
  level: number;
  a?: Node;
  b?: Node;
  name: string;
  request: string;
  differs: Difference[];
}

export interface Difference { kind: 'only' | 'unseen' | 'status' | 'flags' | 'endpoint' | 'retries' | 'duration'; text: string }

/** align pairs the hops of two trees by what was called, in the order of the calls. */
export function align(a: Tree, b: Tree): Pair[] {
  const all: Pair[] = [];
  const notable = notableDifference(a, b);
  const todo = merge(a.roots, b.roots).reverse().map((p): [Couple, Couple, number] => [p, {}, 1]);
  while (todo.length > 0) {
    const [couple, by, level] = todo.pop()!;
    all.push(pairOf(couple, by, level, notable));
    const below = merge(called(couple.a), called(couple.b));
    for (const p of below.reverse()) todo.push([p, couple, level + 1]);
  }
  return all;
}

interface Couple { a?: Node; b?: Node }

/** called are the hops that a hop led to, by whichever of its attempts. */
const called = (n: Node | undefined): Node[] => n ? n.children.flatMap((c) => c.attempt ? c.children : [c]) : [];

/** merge pairs siblings: first those with the same request, then those to the same service. Each list keeps its order. */
function merge(a: Node[], b: Node[]): Couple[] {
  const partner = new Map<Node, Node>();
  for (const key of [whole, loose]) {
    const waiting = new Map<string, Node[]>();
    const taken = new Set(partner.values());
    for (const n of b) {
      if (taken.has(n)) continue;
      const same = waiting.get(key(n));
      if (same) same.push(n);
      else waiting.set(key(n), [n]);
    }
    for (const n of a) {
      if (partner.has(n)) continue;
      const other = waiting.get(key(n))?.shift();
      if (other) partner.set(n, other);
    }
  }
  // What is in b only comes after what stands before it there.
  const taken = new Map([...partner].map(([x, y]) => [y, x]));
  const after = new Map<Node | undefined, Node[]>();
  let last: Node | undefined;
  for (const n of b) {
    if (taken.has(n)) last = taken.get(n);
    else after.set(last, [...after.get(last) ?? [], n]);
  }
  const alone = (at: Node | undefined): Couple[] => (after.get(at) ?? []).map((n) => ({ b: n }));
  return [...alone(undefined), ...a.flatMap((n): Couple[] => [{ a: n, b: partner.get(n) }, ...alone(n)])];
}

const loose = (n: Node) => `${n.hop.direction} ${service(n)} ${inbound(n.hop) ? '' : callee(n)}`;
const whole = (n: Node) => `${loose(n)} ${method(n.hop)} ${n.hop.template || n.hop.path || ''}`;

/** own is the time that the request waited for a hop itself, and not for what it called. */
export const own = (n: Node | undefined) => n ? [n, ...n.children.filter((c) => c.attempt)].reduce((sum, x) => sum + exclusive(x), 0) : 0;

/** unseen tells whether a hop is the other end of a call that both traces have: it was called in both, and only not recorded, or forgotten. */
const unseen = (n: Node, by: Couple) => !!by.a && !!by.b && inbound(n.hop) && !inbound((by.a ?? by.b).hop);

/** notableDifference is the difference of durations from which one is worth a word. */
const notableDifference = (a: Tree, b: Tree) => Math.max(1_000_000, 0.05 * Math.max(a.roots[0]?.duration ?? 0, b.roots[0]?.duration ?? 0));

const endpoints = (n: Node) => (n.hop.attempts ?? []).map((x) => x.endpoint).join(', ') || 'none';
const tries = (n: Node) => n.hop.attempts?.length ?? 0;

function pairOf({ a, b }: Couple, by: Couple, level: number, notable: number): Pair {
  const n = (a ?? b)!;
  const pair: Pair = { id: `${a?.id ?? ''}|${b?.id ?? ''}`, level, a, b, name: nameOf(n), request: `${method(n.hop)} ${n.hop.template || n.hop.path || ''}`.trim(), differs: [] };
  const say = (kind: Difference['kind'], text: string) => pair.differs.push({ kind, text });
  if (!a || !b) {
    if (unseen(n, by)) say('unseen', `${a ? 'B' : 'A'} has the caller’s end only`);
    else say('only', `only in ${a ? 'A' : 'B'}`);
    return pair;
  }
  if (status(a.hop) !== status(b.hop)) say('status', `status ${status(a.hop)}, ${status(b.hop)}`);
  const flagsA = a.hop.flags ?? '', flagsB = b.hop.flags ?? '';
  if (flagsA !== flagsB) say('flags', `flags ${flagsA || 'none'}, ${flagsB || 'none'}`);
  if (tries(a) !== tries(b)) say('retries', `${tries(a)} and ${tries(b)} attempts`);
  else if (endpoints(a) !== endpoints(b)) say('endpoint', `endpoint ${endpoints(a)}, ${endpoints(b)}`);
  const more = b.duration - a.duration;
  if (Math.abs(more) >= notable) say('duration', `${duration(Math.abs(more))} ${more > 0 ? 'longer' : 'shorter'} in B`);
  return pair;
}

/** largest says in sentences what differs most between two traces. */
export function largest(a: Trace, b: Trace, treeA: Tree, treeB: Tree, pairs: Pair[]): string[] {
  const rootA = treeA.roots[0], rootB = treeB.roots[0];
  if (!rootA || !rootB) return [`No hop of ${rootA ? 'B' : rootB ? 'A' : 'either'} is known.`];
  const says: string[] = [];
  const fault = (t: Trace) => t.culprit ? `${arrow(t.culprit.edge)}: ${t.culprit.reason}` : '';
  if (!!a.culprit !== !!b.culprit) {
    says.push(`${a.culprit ? 'A' : 'B'} failed (${fault(a.culprit ? a : b)}), ${a.culprit ? 'B' : 'A'} did not.`);
  } else if (a.culprit && b.culprit) {
    const same = a.culprit.edge === b.culprit.edge && a.culprit.kind === b.culprit.kind;
    says.push(same ? `Both failed for the same reason: ${fault(a)}.` : `A failed at ${fault(a)}. B failed at ${fault(b)}.`);
  }
  const more = rootB.duration - rootA.duration;
  const by = places(pairs).sort((x, y) => (y.b - y.a - x.b + x.a) * Math.sign(more))[0];
  if (!by || Math.abs(more) < notableDifference(treeA, treeB)) {
    says.push(`Both took about as long: ${duration(rootA.duration)} and ${duration(rootB.duration)}.`);
  } else {
    const place = !by.inB ? `${duration(by.a)} in A, and not in B` : !by.inA ? `${duration(by.b)} in B, and not in A` : `${duration(by.a)} in A, ${duration(by.b)} in B`;
    says.push(`B took ${duration(Math.abs(more))} ${more > 0 ? 'longer' : 'less'} than A. Most of it is ${by.name}: ${place}.`);
  }
  if (pairs.filter((p) => p.a && p.b).length === 0) says.push('They are requests of different kinds: no call is in both.');
  return says;
}

interface Place { name: string; a: number; b: number; inA: boolean; inB: boolean }

/** places are where time can differ. A call of whose callee only one trace has a hop is one place with it: the other has its time at the caller's end. */
function places(pairs: Pair[]): Place[] {
  const all: Place[] = [];
  for (const p of pairs) {
    const last = all.at(-1);
    if (last && p.differs.some((d) => d.kind === 'unseen')) {
      last.a += own(p.a);
      last.b += own(p.b);
    } else {
      all.push({ name: p.name, a: own(p.a), b: own(p.b), inA: !!p.a, inB: !!p.b });
    }
  }
  return all;
}

export const different = (p: Pair) => p.differs.length > 0;
export const failedIn = (n: Node | undefined) => !!n && [n, ...n.children.filter((c) => c.attempt)].some(nodeFailed);
