// Hops for tests: what a small mesh records of one request.

import type { Attempt, Hop, Trace } from './hop';

export const ms = 1_000_000;
export const traceID = '4bf92f3577b34da6a3ce929d0e0e4736';

/** at is a time so many ms after the trace's start. */
export function at(offset: number): string {
  const whole = Math.floor(offset);
  return new Date(Date.UTC(2026, 10, 30, 10, 31, 5) + whole).toISOString().replace('Z', String(Math.round((offset - whole) * ms)).padStart(6, '0') + 'Z');
}

export function anAttempt(span: string, from: number, to: number, more: Partial<Attempt> = {}): Attempt {
  return { span_id: span, endpoint: '127.0.0.1:4000', reused: true, start_ns: from * ms, connected_ns: from * ms, sent_ns: from * ms, first_byte_ns: to * ms, end_ns: to * ms, status: 200, bytes_sent: 0, bytes_received: 10, ...more };
}

/** request and call are a hop in and a hop out, with one attempt that takes all of their time. */
export function request(service: string, span: string, parent: string, start: number, took: number, more: Partial<Hop> = {}): Hop {
  return {
    service, direction: 'inbound', kind: 'request', route: 'default', cluster: service, trace_id: traceID, span_id: span, parent_id: parent || undefined, sampled: true,
    start: at(start), end_ns: took * ms, method: 'GET', scheme: 'http', host: service, path: `/${service}`, status: 200, bytes_in: 0, bytes_out: 10,
    attempts: [anAttempt(`${span}.a`, 0, took)], ...more,
  };
}

export const call = (service: string, callee: string, span: string, parent: string, start: number, took: number, more: Partial<Hop> = {}): Hop =>
  request(service, span, parent, start, took, { direction: 'outbound', host: callee, path: `/${callee}`, cluster: callee, ...more });

/** shop is web, which calls checkout, which can't reach bank: 10 ms. */
export function shop(): Hop[] {
  return [
    request('web', 'w', '', 0, 10, { status: 502 }),
    call('web', 'checkout', 'wc', 'w.a', 1, 8, { status: 502 }),
    request('checkout', 'c', 'wc.a', 1.5, 7, { status: 502 }),
    call('checkout', 'bank', 'cb', 'c.a', 2, 1, {
      status: 503, flags: 'UF', failure: { origin: 'endpoint', hop: 'bank', caller: 'checkout', kind: 'connect_refused', reason: 'connection refused by 127.0.0.1:4001' },
      attempts: [anAttempt('cb.a', 0, 1, { status: 0, connected_ns: undefined, sent_ns: undefined, first_byte_ns: undefined, endpoint: '127.0.0.1:4001', flags: 'UF', proxy_error: 'connection_refused', reason: 'connection refused by 127.0.0.1:4001' })],
    }),
    call('checkout', 'orders', 'co', 'c.a', 3, 5),
    request('orders', 'o', 'co.a', 3.5, 4),
  ];
}

export function trace(hops: Hop[], more: Partial<Trace> = {}): Trace {
  return { trace_id: traceID, failed: false, slow: false, verdict: 'nothing failed', culprit: null, reason: '', evidence: [], inner: null, slowest: null, breaks: [], notes: [], peers: [], hops, ...more };
}
