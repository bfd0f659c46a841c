// What the waterfall of a trace shows, row by row. It draws nothing.

import { type Attempt, inbound, request, slow, status, type Trace } from './hop';
import { callee, copied, end, exclusive, type Node, nodeFailed, pair, service, type Tree, walk } from './tree';
import { duration } from '../format';

/** Row is a hop with its only attempt, or one of several attempts. */
export interface Row {
  id: string;
  node: Node;
  /** attempt is the node of the only attempt of a hop. */
  attempt?: Node;
  level: number;
  /** place is which of how many siblings it is, from 1. */
  place: number;
  of: number;
  /** lines has, for each level above, whether more siblings follow there. */
  lines: boolean[];
  children: number;
  open: boolean;
  name: string;
  request: string;
  status: string;
  failed: boolean;
  note?: Note;
  /** sure says how the row came to its place: by ids that were passed on, or inferred. */
  sure: 'known' | 'inferred' | 'joined' | 'apart';
  /** ends compares what caller and callee recorded of a call. */
  ends?: Ends;
  /** alone: it is a call of which only the caller's end is there. */
  alone: boolean;
}

export interface Note { text: string; tone: 'bad' | 'slow'; culprit: boolean }

export interface Ends {
  caller: string;
  callee: string;
  callerTook: number;
  calleeTook: number;
  /** agree is false if the two tell different stories. */
  agree: boolean;
  text: string;
}

/** isTry tells whether a row is one of several attempts. */
export const isTry = (r: Row) => !!r.node.attempt;

/** takes is the attempt that a row shows, if it shows one. */
export const takes = (r: Row): Attempt | undefined => (r.node.attempt ? r.node : r.attempt)?.attempt;

/** rows lists what is seen of a tree, callers first. What is below a closed row is left out. */
export function rows(tree: Tree, trace: Pick<Trace, 'culprit' | 'slowest'>, closed: ReadonlySet<string> = new Set()): Row[] {
  const all: Row[] = [];
  const causes = failures(tree);
  const late = tree.roots[0] && slow(tree.roots[0].hop);
  const todo = tree.roots.map((n, i): [Node, number, number, number, boolean[]] => [n, 1, i + 1, tree.roots.length, []]).reverse();
  while (todo.length > 0) {
    const [n, level, place, of, lines] = todo.pop()!;
    const tries = n.attempt ? [] : n.children.filter((c) => c.attempt);
    const only = tries.length === 1 ? tries[0] : undefined;
    const below = n.children.flatMap((c) => c === only ? c.children : [c]);
    const open = below.length > 0 && !closed.has(n.id);
    const own = only ? [n, only] : [n];
    all.push({
      id: n.id, node: n, attempt: only, level, place, of, lines, children: below.length, open,
      name: nameOf(n), request: n.attempt ? '' : request(n.hop), status: status(n.attempt ?? n.hop), failed: own.some(nodeFailed),
      note: noteOf(own, trace, causes, late), sure: sureness(n, tree), ends: endsOf(only ?? n), alone: isAlone(n, tries),
    });
    if (!open) continue;
    const next = level === 1 ? [] : [...lines, place < of];
    for (let i = below.length - 1; i >= 0; i--) todo.push([below[i]!, level + 1, i + 1, below.length, next]);
  }
  return all;
}

export function nameOf(n: Node): string {
  if (n.attempt) return `try ${n.number}: ${n.attempt.endpoint}`;
  if (copied(n)) return `${service(n)} → ${n.hop.cluster ?? ''} (mirror)`;
  return inbound(n.hop) ? service(n) : `${service(n)} → ${callee(n)}`;
}

function sureness(n: Node, tree: Tree): Row['sure'] {
  if (n.joined) return 'joined';
  if (n.inferred) return 'inferred';
  return !n.parent && n !== tree.roots[0] ? 'apart' : 'known';
}

/** sureText says why a row stands where it does, if that is not known for certain. */
export const sureText: Record<Row['sure'], string> = {
  known: '',
  inferred: 'Inferred: put here by service and time, for it names a parent that no hop has.',
  joined: 'Inferred: put here by service and time, for the call began a trace of its own.',
  apart: 'Where it belongs is not known: what called it is not among the hops.',
};

function isAlone(n: Node, tries: Node[]): boolean {
  if (inbound(n.hop)) return false;
  return n.attempt ? !pair(n) : tries.length < 2 && !tries.some(pair);
}

/** failures are the failed nodes below which nothing failed: causes, not those that relayed them. */
function failures(tree: Tree): Set<Node> {
  const causes = new Set<Node>();
  const explained = new Set<Node>();
  const order: Node[] = [];
  for (const root of tree.roots) walk(root, (n) => order.push(n));
  for (const n of order.reverse()) { // callees first
    const below = n.children.some((c) => explained.has(c) && !copied(c));
    if (nodeFailed(n) && !below) causes.add(n);
    if (nodeFailed(n) || below) explained.add(n);
  }
  return causes;
}

function noteOf(own: Node[], trace: Pick<Trace, 'culprit' | 'slowest'>, causes: Set<Node>, late: boolean | undefined): Note | undefined {
  const { culprit, slowest } = trace;
  if (culprit && own.some((n) => spanOf(n) === culprit.span_id)) {
    return { text: `${culprit.flags} ${culprit.reason}`.trim(), tone: 'bad', culprit: true };
  }
  const cause = own.findLast((n) => causes.has(n));
  if (cause) return { text: reasonOf(cause), tone: 'slow', culprit: false };
  if (!culprit && late && slowest && own.some((n) => spanOf(n) === slowest.span_id)) return { text: slowest.reason, tone: 'slow', culprit: true };
  return undefined;
}

export const spanOf = (n: Node) => n.attempt ? n.attempt.span_id : n.hop.span_id;

/** reasonOf says in words why a node failed. */
export function reasonOf(n: Node): string {
  const of = n.attempt ?? n.hop;
  const told = n.attempt?.reason || n.hop.failure?.reason || (of.proxy_error ?? '').replaceAll('_', ' ') || `answered ${status(of)}`;
  return `${of.flags ?? ''} ${told}`.trim();
}

/** endsOf compares both ends of an attempt's connection. */
export function endsOf(n: Node): Ends | undefined {
  const other = pair(n);
  if (!other) return undefined;
  const a = n.attempt!, h = other.hop;
  const caller = status(a), called = status(h);
  const ends = { caller, callee: called, callerTook: n.duration, calleeTook: other.duration, agree: true, text: '' };
  const both = a.status > 0 && h.status > 0;
  const differ = a.status !== h.status || a.grpc_status !== undefined && h.grpc_status !== undefined && a.grpc_status !== h.grpc_status;
  if (both && differ) return { ...ends, agree: false, text: `${h.service} answered ${called}, but ${n.hop.service} got ${caller}` };
  if (both) {
    const way = Math.max(n.duration - other.duration, 0);
    return { ...ends, text: `both ends saw ${called}; ${duration(way)} on the way and waiting for the connection` };
  }
  if (h.status > 0) {
    const late = end(other) > end(n);
    return { ...ends, agree: false, text: `${h.service} answered ${called} after ${duration(other.duration)}, ${late ? `when ${n.hop.service} had given up` : `but the answer did not reach ${n.hop.service}`}` };
  }
  return { ...ends, agree: a.status === 0, text: a.status === 0 ? 'neither end saw an answer' : `${n.hop.service} got ${caller}, but the proxy of ${h.service} sent no answer` };
}

/** parents has the ids of the rows above a node, so that they can be opened. */
export function parents(n: Node): string[] {
  const all: string[] = [];
  for (let p = n.parent; p; p = p.parent) all.push(p.id);
  return all;
}

/** rowOf is the id of the row that shows a span: that of a hop, if it is of its only attempt. */
export function rowOf(tree: Tree, span: string): string | undefined {
  const n = tree.all.get(span);
  if (!n) return undefined;
  const hop = n.attempt ? n.parent! : n;
  return n.attempt && hop.children.filter((c) => c.attempt).length === 1 ? hop.id : n.id;
}

/** Part is a part of the time of an attempt's row, in ns since the trace's start. */
export interface Part { kind: 'proxy' | 'connect' | 'wait' | 'receive'; from: number; to: number }

export const partText: Record<Part['kind'], string> = {
  proxy: 'in the proxy, or between tries', connect: 'getting a connection', wait: 'sending, and waiting for the answer', receive: 'taking the answer',
};

/** parts splits the bar of a row by what the time was spent with. */
export function parts(r: Row): Part[] {
  const n = r.node.attempt ? r.node : r.attempt;
  if (!n) return [{ kind: 'proxy', from: r.node.start, to: end(r.node) }];
  const a = n.attempt!;
  const zero = n.start - a.start_ns;
  const at = (t: number | undefined, otherwise: number) => t ? Math.min(Math.max(zero + t, n.start), end(n)) : otherwise;
  const connected = at(a.connected_ns, a.sent_ns || a.status ? n.start : end(n));
  const first = Math.max(at(a.first_byte_ns, end(n)), connected);
  const all: Part[] = [
    { kind: 'proxy', from: r.node.start, to: n.start },
    { kind: 'connect', from: n.start, to: connected },
    { kind: 'wait', from: connected, to: first },
    { kind: 'receive', from: first, to: end(n) },
    { kind: 'proxy', from: end(n), to: end(r.node) },
  ];
  return all.filter((p) => p.to > p.from);
}

/** ownTimes are the parts of the critical path that a row stands for. */
export const ownTimes = (r: Row): [number, number][] => [...r.node.own, ...r.attempt?.own ?? []];

/** ownTime is how much of the time of the request it is at fault for, in ns. */
export const ownTime = (r: Row) => exclusive(r.node) + (r.attempt ? exclusive(r.attempt) : 0);

/** ticks are round times from 0 to until, at most most of them. */
export function ticks(until: number, most = 6): number[] {
  if (!(until > 0)) return [0];
  const raw = until / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => until / s <= most) ?? 10 * power;
  return Array.from({ length: Math.floor(until / step + 1e-9) + 1 }, (_, i) => i * step);
}

/** step is how many rows are drawn at first, and more at a time. */
export const step = 200;

/** around is the part of so many rows that is drawn: the one before, or rows around the chosen one if that is far from it. */
export function around(before: { from: number; to: number }, at: number, rows: number): { from: number; to: number } {
  const near = at >= before.from - 20 && at < before.to + 20;
  const from = near ? Math.min(before.from, at) : Math.max(at - step / 2, 0);
  const to = near ? Math.max(before.to, at + 1) : at + step / 2;
  return { from: Math.max(Math.min(from, rows - 1), 0), to: Math.min(to, rows) };
}

/** closedAtFirst are the rows that are closed when a large trace is opened: those that are not on the way to what matters. */
export function closedAtFirst(tree: Tree, spans: string[], most = 300): Set<string> {
  const closed = new Set<string>();
  if (tree.all.size <= most) return closed;
  const open = new Set<string>();
  for (const span of spans) {
    const n = tree.all.get(span);
    if (n) for (const id of parents(n)) open.add(id);
  }
  for (const root of tree.roots) {
    walk(root, (n) => {
      let depth = 0;
      for (let p = n.parent; p && depth < 5; p = p.parent) depth++;
      if (n.children.length > 0 && depth > 3 && !open.has(n.id)) closed.add(n.id);
    });
  }
  return closed;
}
