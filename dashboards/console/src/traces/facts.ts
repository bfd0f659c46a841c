// Everything that is recorded of a hop, in words.

import { bytes, dateTime, duration, time } from '../format';
import type { Word } from '../types';
import { type Attempt, flags, type Hop, inbound, method, mirror, type Tls } from './hop';
import { end, type Node, service } from './tree';
import { endsOf, ownTime, type Row, sureText } from './waterfall';

export interface Fact {
  name: string;
  text: string;
  /** code is text of the wire, such as a path or an id. */
  code?: boolean;
  /** why explains the text. */
  why?: string;
  /** span leads to another hop. */
  span?: string;
}

export interface Facts { title: string; facts: Fact[] }

/** Words finds the meaning of a flag, a kind or an error. */
export type Words = (name: string, kind?: string) => Word | undefined;

export function wordsOf(all: Word[]): Words {
  return (name, kind) => all.find((w) => w.name === name && (!kind || w.kind === kind)) ?? all.find((w) => w.name === name);
}

type Entry = [name: string, text: string | number | undefined | false, more?: Omit<Fact, 'name' | 'text'>];

function facts(title: string, ...entries: Entry[]): Facts {
  return { title, facts: entries.filter(([, text]) => text !== undefined && text !== '' && text !== false).map(([name, text, more]) => ({ name, text: String(text), ...more })) };
}

const code = { code: true };

/** ofHop is all of a hop but its attempts. */
export function ofHop(r: Row, words: Words): Facts[] {
  const n = r.node, h = n.hop;
  const parent = n.parent && (n.parent.attempt ? n.parent.parent ?? n.parent : n.parent);
  const all = [
    facts('Which hop',
      ['Service', h.service], ['What it is', what(h, r)],
      ['Listener', h.listener], ['Route', h.route], ['Template', h.template, code], ['Cluster', h.cluster], ['Variant', h.variant],
      ['Client', h.client, { ...code, why: h.client ? 'the client, after trusted proxies' : undefined }], ['Peer', h.peer, { ...code, why: 'the other end of the connection' }],
      ['Called by', parent && `${service(parent)}, ${parent.hop.direction === 'inbound' ? 'while it answered a request' : 'by its call'}`, { span: parent?.hop.span_id }],
      ['How sure that is', parent || r.sure === 'apart' ? sureText[r.sure] || 'Known: the ids were passed on.' : undefined]),
    facts('The request',
      ['Method', method(h), code], ['Scheme', h.scheme], ['Host', h.host, code], ['Path', h.path, code], ['Went on as', h.rewritten_path, code],
      ['Query', h.query, { ...code, why: 'credentials are left out' }], ['Protocol', h.version], ['User agent', h.user_agent, code], ['Request id', h.request_id, code], ['Content', `${bytes(h.bytes_in)} received`], ['Copied to', h.mirrored, { why: h.mirrored && 'clusters that mirror the route' }]),
    facts('How it ended',
      ['Status', h.status || 'none was sent'], ['gRPC', h.grpc && (h.grpc_status_name ? `${h.grpc_status_name} (${h.grpc_status})` : 'a call, without a status')], ['gRPC message', h.grpc_message],
      ...flags(h).map((f): Entry => ['Flag', f, { code: true, why: words(f, 'flag')?.title }]),
      ['Proxy error', h.proxy_error, { ...code, why: h.proxy_error && words(h.proxy_error, 'error_type')?.title }], ['Details', h.details, code],
      ['Injected', h.injected, { why: h.injected && 'a fault that the route injects as a test' }], ...failure(h, words), ...recovered(h),
      ['Proxy-Status from upstream', h.upstream_proxy_status, code], ['Content', `${bytes(h.bytes_out)} sent`]),
    facts('Time',
      ['Started', `${h.start} (${dateTime(h.start)})`], ['In the trace', `from ${duration(n.start)} to ${duration(end(n))}`],
      ['Took', h.end_ns > 0 ? duration(h.end_ns) : 'it has not ended'], ['Route chosen', h.routed_ns && `after ${duration(h.routed_ns)}`], ['First byte sent', h.first_byte_ns && `after ${duration(h.first_byte_ns)}`],
      ['Waited for it', ownTime(r) > 0 && `${duration(ownTime(r))} of the request’s time was its own`],
      ['Waited for its turn', h.queued_ns && duration(h.queued_ns)], ['Client read slowly', h.write_blocked_ns && duration(h.write_blocked_ns)], ['May take', h.timeout_ns ? `${duration(h.timeout_ns)}, all attempts together` : 'no limit of the route'],
      ['Slow from', h.slow_ns && duration(h.slow_ns)], ['Clock', Math.abs(n.moved) > 1e6 && `moved by ${duration(n.moved)}, so that it lies within its call`]),
    facts('Trace context',
      ['Trace', h.trace_id, code], ['Span', h.span_id, code], ['Parent', h.parent_id || 'none: it began the trace', { code: !!h.parent_id }],
      ['Sampled', h.sampled ? 'yes' : 'no'], ['Exported', h.sampled_by ? exported[h.sampled_by] ?? h.sampled_by : 'no'], ['Entry', h.entry && 'its request entered the mesh here'], ['tracestate', h.tracestate, code]),
  ];
  if (h.tls) all.push({ title: 'TLS of the client’s connection', facts: tls(h.tls, true) });
  return all.filter((f) => f.facts.length > 0);
}

const exported: Record<string, string> = {
  parent: 'the caller had sampled the trace', ratio: 'chosen by the ratio', debug: 'the caller asked for it', failed: 'it failed', slow: 'it was slow',
  rate: 'chosen by the ratio, within the limit a second', route: 'chosen by the ratio of its route', mesh: 'its request failed or was slow where it entered the mesh',
};

const kinds: Record<string, string> = { request: 'request', tunnel: 'tunnel', connection: 'connection whose request could not be understood' };

function what(h: Hop, r: Row): string {
  const kind = kinds[h.kind] ?? h.kind;
  if (mirror(h)) return `a copy of a ${kind}, which nobody waits for`;
  return inbound(h) ? `a ${kind} to ${h.service}, as its proxy saw it` : `a ${kind === 'request' ? 'call' : kind} from ${r.name.replace(' → ', ' to ')}, as the caller’s proxy saw it`;
}

const origins: Record<string, string> = {
  proxy: 'this proxy made it', endpoint: 'the endpoint', relayed: 'another hop, which said so; this one relayed it', downstream: 'the client',
};

function failure(h: Hop, words: Words): Entry[] {
  const f = h.failure;
  if (!f) return [];
  const kind = f.kind ? words(f.kind, 'kind') : undefined;
  return [
    ['Failure made by', origins[f.origin] ?? f.origin], ['At fault', [f.hop, f.part && `its ${f.part}`, f.endpoint].filter(Boolean).join(', ')],
    ['Met by', f.caller], ['Kind', f.kind, { code: true, why: kind?.title }], ['Reason', f.reason], ['Inferred', f.inferred && 'yes: it was found by times, without ids that were passed on'],
  ];
}

function recovered(h: Hop): Entry[] {
  const r = h.recovered;
  if (!r) return [];
  return [['Recovered from', `${[r.caller && `${r.caller} → ${r.hop}` || r.hop, r.reason].filter(Boolean).join(': ')} (${[r.kind, r.part, r.endpoint, origins[r.origin] ?? r.origin, r.inferred && 'inferred'].filter(Boolean).join(', ')}), ${duration(r.took_ns)}`, { why: 'a failure that did not fail the request' }]];
}

/** ofAttempt is all of an attempt. */
export function ofAttempt(n: Node, of: number, words: Words): Facts {
  const a = n.attempt!;
  const ends = endsOf(n);
  const after = (t: number | undefined) => t ? `${duration(Math.max(t - a.start_ns, 0))} after its start` : undefined;
  const f = facts(of > 1 ? `Attempt ${n.number} of ${of}` : 'The attempt',
    ['Endpoint', a.endpoint, code], ['Cluster', a.cluster], ['Connection', connection(a)], ['First to it', a.cold && 'the first request of this proxy since the endpoint came up'],
    ['Protocol', a.version], ['Asked for', asked(a), code], ['Span', a.span_id, code],
    ['Started', `${duration(a.start_ns)} after the hop`], ['Connected', a.connected_ns ? after(a.connected_ns) : 'never'], ['Head sent', a.sent_ns ? after(a.sent_ns) : 'never'],
    ['First byte', a.first_byte_ns ? after(a.first_byte_ns) : 'none came'], ['Took', a.end_ns > 0 ? duration(a.end_ns - a.start_ns) : 'it has not ended'],
    ['Status', a.status || 'none came'], ['gRPC', a.grpc_status_name && `${a.grpc_status_name} (${a.grpc_status})`],
    ...flags(a).map((x): Entry => ['Flag', x, { code: true, why: words(x, 'flag')?.title }]),
    ['Proxy error', a.proxy_error, { ...code, why: a.proxy_error && words(a.proxy_error, 'error_type')?.title }], ['Details', a.details, code], ['Reason', a.reason], ['Evidence', a.evidence],
    ['Both ends', ends?.text], ['Content', `${bytes(a.bytes_sent)} sent, ${bytes(a.bytes_received)} received`], ['Endpoint read slowly', a.write_blocked_ns && duration(a.write_blocked_ns)]);
  if (a.tls) f.facts.push(...tls(a.tls, !a.reused));
  return f;
}

const connection = (a: Attempt) => a.reused ? 'reused, from the pool' : a.connected_ns ? `new, made in ${duration(a.connected_ns - a.start_ns)}` : 'no connection was made';
const asked = (a: Attempt) => a.host || a.path ? `${a.scheme ? a.scheme + '://' : ''}${a.host ?? ''}${a.path ?? ''}${a.query ? '?' + a.query : ''}` : '';

function tls(t: Tls, fresh: boolean): Fact[] {
  return facts('',
    ['TLS', [t.version, t.cipher].filter(Boolean).join(', ') || 'yes'], ['Server name', t.sni, code], ['ALPN', t.alpn, code], ['Peer certificate', t.peer, code], ['Its subject', t.peer_subject, code],
    ['It expires', t.peer_expires && dateTime(t.peer_expires)], ['Session', t.resumed ? 'resumed' : 'new'], ['Handshake', t.handshake_ns > 0 && `${duration(t.handshake_ns)}${fresh ? '' : ', before this trace'}`]).facts;
}

/** short are the facts of a row that matter most, for beside the waterfall. */
export function short(r: Row, words: Words): Fact[] {
  const h = r.node.hop, n = r.node.attempt ? r.node : r.attempt, a = n?.attempt;
  const of = a ?? h;
  return facts('',
    ['When', `${time(h.start, true)} UTC, ${duration(r.node.start)} after the start`],
    ['Took', `${duration(r.node.duration)}${ownTime(r) > 0 ? `, of it ${duration(ownTime(r))} its own on the critical path` : ', not on the critical path'}`],
    ['Request', !r.node.attempt && `${method(h)} ${h.host ?? ''}${h.path ?? ''}`.trim(), code],
    ['Endpoint', a?.endpoint, code], ['Connection', a && connection(a)],
    ['Attempts', !r.node.attempt && (h.attempts?.length ?? 0) !== 1 && String(h.attempts?.length ?? 0)],
    ...flags(of).map((f): Entry => ['Flag', f, { code: true, why: words(f, 'flag')?.title }]),
    ['Reason', a?.reason || h.failure?.reason], ['Evidence', a?.evidence],
    ['Both ends', r.ends && (r.ends.agree ? r.ends.text : `They differ: ${r.ends.text}`)],
    ['Other end', r.alone && 'Only the caller’s end is there: no hop of the callee is known.'],
    ['Place', sureText[r.sure]],
    ['Route', !r.node.attempt && [h.route, h.template && h.template !== h.route && h.template].filter(Boolean).join(', ')],
    ['Content', r.node.attempt ? a && `${bytes(a.bytes_sent)} sent, ${bytes(a.bytes_received)} received` : `${bytes(h.bytes_in)} in, ${bytes(h.bytes_out)} out`]).facts;
}
