import { expect, test } from 'vitest';
import type { Word } from '../types';
import { ofAttempt, ofHop, short, wordsOf } from './facts';
import type { Attempt, Hop, Tls } from './hop';
import { anAttempt, request, shop, traceID } from './sample';
import { build } from './tree';
import { rows } from './waterfall';

const words = wordsOf([{ kind: 'flag', name: 'UF', title: 'no connection', text: '', remedy: '' }, { kind: 'kind', name: 'connect_refused', title: 'refused', text: '', remedy: '' }] as Word[]);
const rowOf = (hops: Hop[], id: string) => rows(build(traceID, hops), { culprit: null, slowest: null }).find((r) => r.id === id)!;
const text = (r: ReturnType<typeof rowOf>) => JSON.stringify([ofHop(r, words), r.node.children.filter((c) => c.attempt).map((c, _, all) => ofAttempt(c, all.length, words))]);

test('nothing that is recorded is left out', () => {
  const tls: Tls = { version: 'TLSv', cipher: 'CIPHER', sni: 'SNI', alpn: 'ALPN', peer: 'TLSPEER', peer_subject: 'SUBJECT', peer_expires: '2031-02-03T00:00:00Z', resumed: true, handshake_ns: 71_000_000 };
  const attempt: Attempt = anAttempt('ASPAN', 1, 9, {
    endpoint: 'ENDPOINT', cluster: 'ACLUSTER', version: 'AVERSION', scheme: 'ascheme', host: 'AHOST', path: '/APATH', query: 'AQUERY', status: 503, flags: 'UF,UX', proxy_error: 'APROXYERROR', details: 'ADETAILS',
    reason: 'AREASON', evidence: 'AEVIDENCE', write_blocked_ns: 72_000_000, grpc_status: 14, grpc_status_name: 'AGRPC', cold: true, reused: false, tls: { ...tls, cipher: 'ACIPHER' }, bytes_sent: 701, bytes_received: 702,
  });
  const h: Hop = request('SERVICE', 'SPAN', 'PARENT', 0, 10, {
    listener: 'LISTENER', route: 'ROUTE', template: 'TEMPLATE', cluster: 'CLUSTER', slow_ns: 73_000_000, sampled_by: 'rate', entry: true, timeout_ns: 74_000_000, routed_ns: 75_000_000, first_byte_ns: 76_000_000,
    method_original: 'METHOD', version: 'VERSION', scheme: 'SCHEME', status: 599, flags: 'FLAG', proxy_error: 'PROXYERROR', details: 'DETAILS', bytes_in: 703, bytes_out: 704, write_blocked_ns: 77_000_000, queued_ns: 76_000_000,
    failure: { origin: 'relayed', hop: 'FHOP', part: 'FPART', kind: 'FKIND', caller: 'FCALLER', endpoint: 'FENDPOINT', inferred: true, reason: 'FREASON' },
    recovered: { origin: 'endpoint', hop: 'RHOP', part: 'RPART', kind: 'RKIND', caller: 'RCALLER', endpoint: 'RENDPOINT', inferred: true, reason: 'RREASON', took_ns: 78_000_000 },
    client: 'CLIENT', peer: 'PEER', host: 'HOST', path: '/PATH', query: 'QUERY', rewritten_path: '/REWRITTEN', user_agent: 'AGENT', request_id: 'REQUESTID', tracestate: 'STATE', upstream_proxy_status: 'UPSTREAM', mirrored: 'MIRRORED', injected: 'INJECTED',
    grpc: true, grpc_status: 13, grpc_status_name: 'GRPC', grpc_message: 'MESSAGE', tls, attempts: [attempt],
  });
  const all = text(rowOf([h], 'SPAN')).replaceAll('\u00a0', ' ');
  const wanted = 'MIRRORED INJECTED SERVICE LISTENER ROUTE TEMPLATE CLUSTER METHOD VERSION SCHEME 599 FLAG PROXYERROR DETAILS FHOP FPART FKIND FCALLER FENDPOINT FREASON RHOP RPART RKIND RCALLER RENDPOINT RREASON CLIENT PEER HOST /PATH QUERY /REWRITTEN AGENT REQUESTID STATE UPSTREAM GRPC MESSAGE SPAN PARENT'
    + ' TLSv CIPHER SNI ALPN TLSPEER SUBJECT 2031-02-03 ENDPOINT ACLUSTER AVERSION ascheme AHOST /APATH AQUERY 503 UF UX APROXYERROR ADETAILS AREASON AEVIDENCE AGRPC ASPAN ACIPHER ' + traceID;
  for (const w of [...wanted.split(' '), ...['71', '72', '73', '74', '75', '76', '77', '78'].map((n) => `${n} ms`), ...['701', '702', '703', '704'].map((n) => `${n} B`)]) expect(all, w).toContain(w);
});

test('flags and kinds come with their meaning', () => {
  const r = rowOf(shop(), 'cb');
  expect(text(r)).toContain('"why":"no connection"');
  expect(text(r)).toContain('"why":"refused"');
  expect(short(r, words).find((f) => f.name === 'Flag')).toMatchObject({ text: 'UF', why: 'no connection' });
});

test('says what did not happen', () => {
  const all = text(rowOf(shop(), 'cb'));
  for (const w of ['none came', 'never', 'reused, from the pool']) expect(all).toContain(w);
  expect(short(rowOf(shop(), 'cb'), words).map((f) => f.name)).toContain('Other end');
});
