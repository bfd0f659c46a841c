// The record of a request through one proxy, as the admin API writes it, and what can be
// said of one alone. What is not known is absent. Texts come from the network.

import type { Answer, TraceCulprit } from '../types';

export interface Tls {
  version?: string;
  cipher?: string;
  sni?: string;
  alpn?: string;
  peer?: string;
  peer_subject?: string;
  peer_expires?: string;
  resumed: boolean;
  handshake_ns: number;
}

export interface Attempt {
  span_id?: string;
  endpoint: string;
  cluster?: string;
  reused: boolean;
  cold?: boolean;
  version?: string;
  scheme?: string;
  host?: string;
  path?: string;
  query?: string;
  start_ns: number;
  connected_ns?: number;
  sent_ns?: number;
  first_byte_ns?: number;
  end_ns: number;
  status: number;
  flags?: string;
  proxy_error?: string;
  details?: string;
  reason?: string;
  evidence?: string;
  bytes_sent: number;
  bytes_received: number;
  write_blocked_ns?: number;
  grpc_status?: number;
  grpc_status_name?: string;
  tls?: Tls;
}

export interface Failure {
  origin: string;
  hop?: string;
  part?: string;
  kind?: string;
  caller?: string;
  endpoint?: string;
  inferred?: boolean;
  reason?: string;
}

export interface Hop {
  service: string;
  direction: string;
  kind: string;
  listener?: string;
  route?: string;
  template?: string;
  cluster?: string;
  variant?: string;
  slow_ns?: number;
  trace_id?: string;
  span_id?: string;
  parent_id?: string;
  sampled: boolean;
  sampled_by?: string;
  entry?: boolean;
  start: string;
  timeout_ns?: number;
  routed_ns?: number;
  first_byte_ns?: number;
  end_ns: number;
  method?: string;
  method_original?: string;
  version?: string;
  scheme?: string;
  status: number;
  flags?: string;
  proxy_error?: string;
  details?: string;
  failure?: Failure;
  recovered?: Failure & { took_ns: number };
  bytes_in: number;
  bytes_out: number;
  write_blocked_ns?: number;
  queued_ns?: number;
  client?: string;
  peer?: string;
  host?: string;
  path?: string;
  query?: string;
  rewritten_path?: string;
  user_agent?: string;
  request_id?: string;
  tracestate?: string;
  upstream_proxy_status?: string;
  mirrored?: string;
  injected?: string;
  grpc?: boolean;
  grpc_status?: number;
  grpc_status_name?: string;
  grpc_message?: string;
  tls?: Tls;
  attempts?: Attempt[];
}

/** Trace is a trace with its verdict: what /v1/mesh/trace/ID answers. */
export interface Trace extends Answer {
  trace_id: string;
  failed: boolean;
  slow: boolean;
  verdict: string;
  culprit: TraceCulprit | null;
  reason: string;
  evidence: string[];
  inner: TraceCulprit | null;
  slowest: TraceCulprit | null;
  breaks: string[];
  hops: Hop[];
}

export const inbound = (h: Hop) => h.direction === 'inbound';
/** mirror: a copy of a request. Nobody waits for it, so nothing failed, or took long, because of it. */
export const mirror = (h: Hop) => h.direction === 'mirror';
export const method = (h: Hop) => h.method_original || h.method || '';
export const request = (h: Hop) => `${method(h)} ${h.path ?? ''}`.trim();

/** host is the name that was asked for, without its port. */
export function host(h: Hop): string {
  const name = h.host ?? '';
  const colon = name.lastIndexOf(':');
  return colon > name.lastIndexOf(']') ? name.slice(0, colon) : name;
}

/** status says in a word how a hop or an attempt ended: the name of the gRPC status if there is one. */
export function status(of: Hop | Attempt): string {
  return of.grpc_status_name || (of.status ? String(of.status) : '–');
}

// These flags are a client's own mistake or choice, or only a delay: with them, a hop has not failed.
const harmless = new Set(['NR', 'DC', 'DR', 'DPE', 'IH', 'DT', 'DI', 'FI', 'RL', 'UAEX']);
const grpcFailures = new Set([2, 4, 12, 13, 14, 15]);

export const flags = (of: Hop | Attempt): string[] => (of.flags ?? '').split(',').filter(Boolean);

/** failed tells whether a hop or an attempt counts as an error, as the proxies count. */
export function failed(of: Hop | Attempt): boolean {
  if (of.status >= 500) return true;
  const server = grpcFailures.has(of.grpc_status ?? -1) || flags(of).some((f) => !harmless.has(f));
  if ('endpoint' in of) return server || !!of.proxy_error;
  return server && of.failure?.origin !== 'downstream' || of.failure?.origin === 'proxy';
}

export const slow = (h: Hop) => h.kind === 'request' && !!h.slow_ns && h.end_ns >= h.slow_ns;

/** nanos reads a time of RFC 3339 to the nanosecond; undefined if it is none. */
export function nanos(time: string): bigint | undefined {
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)$/.exec(time);
  if (!parts) return undefined;
  const ms = Date.parse(parts[1]! + parts[3]!);
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1_000_000n + BigInt((parts[2] ?? '').padEnd(9, '0'));
}
