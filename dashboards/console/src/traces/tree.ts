// Puts the hops of a trace together: who called whom, when, and what the request waited
// for. It is what telemetry/diagnose does for the verdict, so that both say the same.

import { type Attempt, failed, type Hop, host, inbound, mirror, nanos } from './hop';

/** Node is a hop, or one of its attempts. A hop's children are its attempts; an attempt's are the hops that it led to. */
export interface Node {
  /** id is unique in the tree: the span, if it has one. */
  id: string;
  hop: Hop;
  /** attempt is undefined if the node is the hop itself; number counts attempts from 1. */
  attempt?: Attempt;
  number: number;
  children: Node[];
  parent?: Node;
  /** inferred: the hop did not name its parent, which was found by service and time. joined: it even began a trace of its own. */
  inferred: boolean;
  joined: boolean;
  /** start is the time since the start of the trace, duration how long the node took, in ns. */
  start: number;
  duration: number;
  /** moved is by how much another clock was corrected, so that the callee lies within its call. */
  moved: number;
  /** own has the times, from and to, that the request waited for the node itself and not for what it called: its part of the critical path. */
  own: [number, number][];
  /** raw is the start in ns since the earliest hop, by the clock of its own proxy. */
  raw: number;
}

export interface Tree {
  roots: Node[];
  /** all has each node by its id. */
  all: Map<string, Node>;
  hops: number;
  /** until is when the last node ends, since the start of the trace. */
  until: number;
  /** unplaced are hops whose time could not be read: they stand at the start. */
  unplaced: number;
}

// A callee may lie so far outside of its call before its clock counts as wrong.
const tolerance = 1_000_000;

export const end = (n: Node) => n.start + n.duration;
export const service = (n: Node) => n.hop.service;
export const nodeFailed = (n: Node) => failed(n.attempt ?? n.hop);

/** copied tells whether a node is the copy of a request that its parent is about. */
export const copied = (n: Node) => !n.attempt && mirror(n.hop);

/** build makes the trees of a trace: one, unless hops are missing. Hops of other traces are put below the request that they were made for. */
export function build(id: string, hops: Hop[]): Tree {
  const tree: Tree = { roots: [], all: new Map(), hops: 0, until: 0, unplaced: 0 };
  const nodes = collect(tree, hops);
  link(nodes);
  join(id, nodes);
  inferCallers(nodes);
  inferRest(nodes);
  const own = nodes.filter((n) => !n.parent);
  // The trace that was asked for comes first, whatever other proxies' clocks say.
  tree.roots = [...own.filter((n) => n.hop.trace_id === id), ...own.filter((n) => n.hop.trace_id !== id)];
  for (const n of nodes) {
    n.children.sort(byStart);
    for (const a of n.children) a.children.sort(byStart);
  }
  const zero = tree.roots[0]?.raw ?? 0;
  for (const root of tree.roots) {
    place(root, zero);
    walk(root, (n) => { tree.until = Math.max(tree.until, end(n)); });
  }
  const first = tree.roots[0];
  if (first) criticalPath(first);
  return tree;
}

function collect(tree: Tree, hops: Hop[]): Node[] {
  const times = hops.map((h) => nanos(h.start));
  const known = times.filter((t) => t !== undefined);
  const first = known.reduce((a, b) => b < a ? b : a, known[0] ?? 0n);
  const bySpan = new Map<string, Node>();
  const nodes: Node[] = [];
  for (const [i, h] of hops.entries()) {
    const before = h.span_id ? bySpan.get(h.span_id) : undefined;
    if (before) { // the fuller record of the two
      if ((h.attempts?.length ?? 0) > (before.hop.attempts?.length ?? 0)) before.hop = h;
      continue;
    }
    const n = node(h.span_id || `hop${i}`, h, Number((times[i] ?? first) - first));
    if (times[i] === undefined) tree.unplaced++;
    if (h.span_id) bySpan.set(h.span_id, n);
    nodes.push(n);
  }
  for (const n of nodes) {
    n.id = unique(tree, n.id);
    tree.all.set(n.id, n);
  }
  for (const n of nodes) {
    for (const [i, a] of (n.hop.attempts ?? []).entries()) {
      const child = node(unique(tree, a.span_id || `${n.id}.${i + 1}`), n.hop, n.raw + a.start_ns);
      child.attempt = a;
      child.number = i + 1;
      child.parent = n;
      n.children.push(child);
      tree.all.set(child.id, child);
    }
  }
  tree.hops = nodes.length;
  return nodes.sort(byStart);
}

function node(id: string, hop: Hop, raw: number): Node {
  return { id, hop, number: 0, children: [], inferred: false, joined: false, start: 0, duration: 0, moved: 0, own: [], raw };
}

function unique(tree: Tree, id: string): string {
  let name = id;
  for (let i = 2; tree.all.has(name); i++) name = `${id}~${i}`;
  return name;
}

const byStart = (a: Node, b: Node) => a.raw - b.raw || (a.id < b.id ? -1 : 1);

/** ended is the end by the clock of the node's own proxy. */
const ended = (n: Node) => n.attempt && n.attempt.end_ns > 0 ? n.raw - n.attempt.start_ns + n.attempt.end_ns : n.raw - (n.attempt?.start_ns ?? 0) + n.hop.end_ns;

/** link gives each hop the parent that it names. */
function link(nodes: Node[]): void {
  const spans = new Map<string, Node>();
  for (const n of nodes) {
    if (n.hop.span_id) spans.set(n.hop.span_id, n);
    for (const a of n.children) if (a.attempt?.span_id) spans.set(a.attempt.span_id, a);
  }
  for (const n of nodes) {
    const parent = n.hop.parent_id ? spans.get(n.hop.parent_id) : undefined;
    if (parent) adopt(parent, n, false);
  }
}

/** adopt makes child a child of parent, unless that closes a circle, which only broken records can. */
function adopt(parent: Node, child: Node, inferred: boolean): boolean {
  for (let n: Node | undefined = parent; n; n = n.parent) if (n === child) return false;
  child.parent = parent;
  child.inferred = inferred;
  parent.children.push(child);
  return true;
}

/** answering has the requests of each service, the earliest first. */
function answering(nodes: Node[]): Map<string, Node[]> {
  const all = new Map<string, Node[]>();
  for (const n of nodes) {
    if (!inbound(n.hop)) continue;
    const same = all.get(service(n));
    if (same) same.push(n);
    else all.set(service(n), [n]);
  }
  return all;
}

/** join puts calls that began a trace of their own below the only request that their service was answering. */
function join(id: string, nodes: Node[]): void {
  const requests = answering(nodes);
  for (const call of nodes) {
    if (call.parent || call.hop.parent_id || inbound(call.hop) || call.hop.trace_id === id) continue;
    const serving = (requests.get(service(call)) ?? []).filter((n) => n.hop.kind === 'request'
      && n.raw <= call.raw && ended(n) >= ended(call) && n.hop.trace_id !== call.hop.trace_id);
    if (serving.length === 1) call.joined = adopt(running(serving[0]!, call), call, true);
  }
}

/** inferCallers finds the request for a call whose parent is a span of the application's own tracer. One proxy recorded both, by one clock. */
function inferCallers(nodes: Node[]): void {
  const requests = answering(nodes);
  for (const n of nodes) {
    if (n.parent || !n.hop.parent_id || inbound(n.hop)) continue;
    const candidates = requests.get(service(n)) ?? [];
    let best: Node | undefined;
    for (const c of candidates) {
      if (c.raw > n.raw) break;
      if (ended(c) >= n.raw && (!best || ended(c) >= ended(n) || ended(best) < ended(n))) best = c;
    }
    if (!best && candidates.length === 1) best = candidates[0];
    if (best) adopt(running(best, n), n, true);
  }
}

/** running is the attempt of a hop that was running when child began, or the hop. */
function running(n: Node, child: Node): Node {
  let at = n;
  for (const a of n.children) if (a.attempt && a.raw <= child.raw) at = a;
  return at;
}

/** inferRest puts hops without a known parent below the first root, if they lie within it. */
function inferRest(nodes: Node[]): void {
  let first: Node | undefined;
  for (const n of nodes) {
    if (n.parent) continue;
    if (!first) first = n;
    else if (n.hop.parent_id && ended(n) <= ended(first)) adopt(running(first, n), n, true);
  }
}

/** place gives a root and all below it their place in time, callers first. Traces may be deep: nothing here recurses. */
function place(root: Node, zero: number): void {
  root.start = root.raw - zero;
  for (const todo = [root]; todo.length > 0;) {
    const n = todo.pop()!;
    n.duration = Math.max(n.hop.end_ns, 0);
    if (n.hop.end_ns === 0 && n.parent) n.duration = Math.max(end(n.parent) - n.start, 0); // it has not ended
    const shift = n.moved = n.start - (n.raw - zero);
    const called = (by: Node, c: Node) => {
      c.start = placeOf(by, c, c.raw - zero, shift);
      todo.push(c);
    };
    for (const c of n.children) {
      if (!c.attempt) {
        called(n, c);
        continue;
      }
      c.start = n.start + Math.max(c.attempt.start_ns, 0);
      c.duration = c.attempt.end_ns > 0 ? Math.max(c.attempt.end_ns - c.attempt.start_ns, 0) : Math.max(end(n) - c.start, 0);
      for (const g of c.children) called(c, g);
    }
  }
}

/**
 * placeOf is the start of what n called. A proxy records a service and its calls by one
 * clock. Another proxy's clock is believed if its hop then lies within the call; if not,
 * the hop is put in the middle of the call.
 */
function placeOf(n: Node, callee: Node, raw: number, shift: number): number {
  const length = Math.max(callee.hop.end_ns, 0);
  if (!inbound(callee.hop) && service(callee) === service(n)) return raw + shift;
  for (const start of [raw, raw + shift]) {
    const outlives = length > n.duration && start <= end(n);
    if (start >= n.start - tolerance && (outlives || start + length <= end(n) + tolerance)) return start;
  }
  return n.start + Math.max(n.duration - length, 0) / 2;
}

/** criticalPath walks back from the end of a root along what it waited for, and notes each node's own time on the way. */
function criticalPath(root: Node): void {
  for (const todo: [Node, number][] = [[root, end(root)]]; todo.length > 0;) {
    const [n, until] = todo.pop()!;
    let at = until;
    for (const c of n.children.filter((c) => !copied(c)).sort((a, b) => end(b) - end(a))) {
      const begin = Math.max(c.start, n.start), stop = Math.min(end(c), at);
      if (stop <= begin) continue;
      if (at > stop) n.own.unshift([stop, at]);
      todo.push([c, stop]);
      at = begin;
    }
    if (at > n.start) n.own.unshift([n.start, at]);
  }
}

/** exclusive is a node's own time on the critical path. */
export const exclusive = (n: Node) => n.own.reduce((sum, [from, to]) => sum + to - from, 0);

/** walk visits n and all below it, callers first. */
export function walk(root: Node, visit: (n: Node) => void): void {
  for (const todo = [root]; todo.length > 0;) {
    const n = todo.pop()!;
    visit(n);
    for (let i = n.children.length - 1; i >= 0; i--) todo.push(n.children[i]!);
  }
}

/** pair is the hop at the other end of an attempt's connection: what the callee's own proxy recorded. */
export function pair(n: Node): Node | undefined {
  if (!n.attempt || inbound(n.hop)) return undefined;
  return n.children.find((c) => !c.attempt && !c.inferred && inbound(c.hop));
}

/** callee names what a call of the hop went to. */
export function callee(n: Node): string {
  const h = n.hop;
  const hopNode = n.attempt ? n.parent ?? n : n;
  for (const a of n.attempt ? [n] : hopNode.children) {
    const other = pair(a);
    if (other) return service(other);
  }
  if (h.failure && h.failure.origin !== 'relayed' && h.failure.caller === h.service && h.failure.hop) return h.failure.hop;
  return host(h) || h.cluster || h.attempts?.[0]?.endpoint || h.service;
}
