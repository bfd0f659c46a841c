import { expect, test } from 'vitest';
import type { TraceCulprit } from '../types';
import type { Hop, Trace } from './hop';
import { call, request, shop, trace } from './sample';
import { build } from './tree';
import { missing, verdict } from './verdict';

const of = (hops: Hop[], more: Partial<Trace> = {}) => { const t = trace(hops, more); return verdict(t, build(t.trace_id, hops)); };
const gaps = (hops: Hop[], more: Partial<Trace> = {}) => { const t = trace(hops, more); return missing(t, build(t.trace_id, hops)); };
const bank = { service: 'bank', edge: 'payments -> bank', caller: 'payments', part: 'network', reason: 'connection refused', evidence: ['nobody listens'], flags: 'UF', span_id: 'cb.a' } as TraceCulprit;

test('a failure names who is at fault, and the part', () => {
  expect(of(shop(), { culprit: bank })).toMatchObject({
    tone: 'bad', sentence: 'payments → bank: connection refused', more: ['At fault: bank, the network on the way to it'], evidence: ['nobody listens'], flags: ['UF'], span: 'cb.a', doubts: [],
  });
});
test('what is not certain is said', () => {
  const v = of(shop(), { culprit: { ...bank, unproven: true, inferred: true, unseen: true } });
  expect(v.sentence).toBe('The trace ends at payments → bank: connection refused');
  expect(v.tone).toBe('slow');
  expect(v.doubts).toHaveLength(3);
});
test('a failure that did not fail the request', () => {
  expect(of([request('web', 'w', '', 0, 10)], { inner: bank }).more).toEqual(['It did not fail the request, which ended with 200 in 10\u00a0ms']);
  expect(of([request('web', 'w', '', 0, 10, { status: 404 })], { inner: bank }).more).toEqual(['The request ended with 404 in 10\u00a0ms']);
});
test('slow, and well', () => {
  const slowest = { ...bank, edge: 'orders', reason: '9\u00a0ms in the application' };
  expect(of([request('web', 'w', '', 0, 10, { slow_ns: 1 })], { slowest })).toMatchObject({ tone: 'slow', sentence: 'Slow: most of the time went to orders, 9\u00a0ms in the application' });
  expect(of([request('web', 'w', '', 0, 10)], { slowest })).toMatchObject({ tone: 'good', sentence: 'Nothing failed: 200 in 10\u00a0ms', more: ['Most of the time went to orders: 9\u00a0ms in the application'] });
});
test('slow, and a failure inside that is not why', () => {
  const slowest = { ...bank, edge: 'orders', reason: 'waited' };
  expect(of([request('web', 'w', '', 0, 10, { slow_ns: 1 })], { slowest, inner: bank })).toMatchObject({
    sentence: 'Slow: most of the time went to orders, waited', more: ['Something inside failed, too, but not the request: payments → bank, connection refused'],
  });
});
test('nothing is known', () => expect(of([])).toMatchObject({ tone: 'plain', sentence: 'No hop of this trace is known' }));

test('what is missing is said', () => {
  expect(gaps(shop())).toEqual([]);
  expect(gaps([request('web', 'w', '', 0, 10), request('late', 'l', 'gone', 9, 30)], { breaks: ['web: loses it'] }))
    .toEqual(['Cut at web: loses it', '1 part of the trace stands apart: what called it is not among the hops']);
  const off = [request('web', 'w', '', 0, 10), call('web', 'b', 'wb', 'w.a', 1, 8), request('b', 'b', 'wb.a', 5000, 4)];
  expect(gaps(off)).toEqual(['The clocks disagree: hops of b were moved so that they lie within their calls']);
});
