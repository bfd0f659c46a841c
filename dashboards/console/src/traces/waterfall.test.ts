import { describe, expect, test } from 'vitest';
import type { TraceCulprit } from '../types';
import { anAttempt, call, ms, request, shop, traceID } from './sample';
import { build } from './tree';
import { around, closedAtFirst, endsOf, ownTime, parts, rowOf, rows, ticks } from './waterfall';

const culprit = { span_id: 'cb.a', flags: 'UF', reason: 'connection refused by 127.0.0.1:4001' } as TraceCulprit;
const none = { culprit: null, slowest: null };

describe('rows', () => {
  test('a hop with one attempt is one row, and the culprit is lit', () => {
    const all = rows(build(traceID, shop()), { culprit, slowest: null });
    expect(all.map((r) => [r.level, r.name, r.status, r.note?.text ?? ''])).toEqual([
      [1, 'web', '502', ''],
      [2, 'web → checkout', '502', ''],
      [3, 'checkout', '502', ''],
      [4, 'checkout → bank', '503', 'UF connection refused by 127.0.0.1:4001'],
      [4, 'checkout → orders', '200', ''],
      [5, 'orders', '200', ''],
    ]);
    expect(all[3]).toMatchObject({ place: 1, of: 2, alone: true, note: { culprit: true, tone: 'bad' } });
    expect(all[5]).toMatchObject({ lines: [false, false, false], alone: false });
  });
  test('several attempts have a row each, and what each led to is below it', () => {
    const retried = call('web', 'b', 'wb', 'w.a', 0, 9, { attempts: [anAttempt('t1', 0, 3, { status: 503 }), anAttempt('t2', 4, 9)] });
    const all = rows(build(traceID, [request('web', 'w', '', 0, 10), retried, request('b', 'b', 't2', 5, 3)]), none);
    expect(all.map((r) => [r.level, r.name])).toEqual([[1, 'web'], [2, 'web → b'], [3, 'try 1: 127.0.0.1:4000'], [3, 'try 2: 127.0.0.1:4000'], [4, 'b']]);
    expect(all[2]!.note).toEqual({ text: 'answered 503', tone: 'slow', culprit: false });
    expect(all.map((r) => r.alone)).toEqual([false, false, true, false, false]);
  });
  test('what is below a closed row is left out', () => {
    const all = rows(build(traceID, shop()), none, new Set(['c']));
    expect(all.map((r) => r.id)).toEqual(['w', 'wc', 'c']);
    expect(all[2]).toMatchObject({ open: false, children: 2 });
  });
  test('a failure that others relayed is noted where it was made', () => {
    expect(rows(build(traceID, shop()), none).filter((r) => r.note).map((r) => r.id)).toEqual(['cb']);
  });
  test('says what is inferred', () => {
    const all = rows(build(traceID, [request('web', 'w', '', 0, 10), call('web', 'x', 'wx', 'app', 1, 2), request('late', 'l', 'gone', 9, 30)]), none);
    expect(all.map((r) => r.sure)).toEqual(['known', 'inferred', 'apart']);
  });
});

test('a span of an only attempt is shown by the row of its hop', () => {
  const tree = build(traceID, shop());
  expect(rowOf(tree, 'cb.a')).toBe('cb');
  expect(rowOf(tree, 'cb')).toBe('cb');
  expect(rowOf(tree, 'nothing')).toBeUndefined();
});

describe('both ends', () => {
  const ends = (answered: number, got: number, took: number) => endsOf(build(traceID, [
    call('a', 'b', 'ab', '', 0, 5, { attempts: [anAttempt('t', 0, 5, { status: got })] }),
    request('b', 'b', 't', 1, took, { status: answered }),
  ]).all.get('t')!)!;
  test('agree', () => expect(ends(200, 200, 3)).toMatchObject({ agree: true, text: 'both ends saw 200; 2\u00a0ms on the way and waiting for the connection' }));
  test('disagree', () => expect(ends(200, 503, 3)).toMatchObject({ agree: false, text: 'b answered 200, but a got 503' }));
  test('of a gRPC call agree, though one has no gRPC status', () => {
    const grpc = (more: object) => endsOf(build(traceID, [
      call('a', 'b', 'ab', '', 0, 5, { attempts: [anAttempt('t', 0, 5, more)] }), request('b', 'b', 't', 1, 3, { grpc_status: 14, grpc_status_name: 'UNAVAILABLE' }),
    ]).all.get('t')!)!.agree;
    expect([grpc({}), grpc({ grpc_status: 14, grpc_status_name: 'UNAVAILABLE' }), grpc({ grpc_status: 0, grpc_status_name: 'OK' })]).toEqual([true, true, false]);
  });
  test('the callee was too late', () => expect(ends(200, 0, 30).text).toBe('b answered 200 after 30\u00a0ms, when a had given up'));
  test('the answer was lost', () => expect(ends(200, 0, 3).text).toBe('b answered 200 after 3\u00a0ms, but the answer did not reach a'));
  test('the callee sent none', () => expect(ends(0, 503, 3)).toMatchObject({ agree: false, text: 'a got 503, but the proxy of b sent no answer' }));
});

test('a bar is split by what the time was spent with', () => {
  const h = request('a', 'a', '', 0, 10, { attempts: [anAttempt('t', 1, 9, { connected_ns: 3 * ms, sent_ns: 3 * ms, first_byte_ns: 7 * ms })] });
  const split = (x: typeof h) => parts(rows(build(traceID, [x]), none)[0]!).map((p) => [p.kind, p.from / ms, p.to / ms]);
  expect(split(h)).toEqual([['proxy', 0, 1], ['connect', 1, 3], ['wait', 3, 7], ['receive', 7, 9], ['proxy', 9, 10]]);
  expect(split({ ...h, attempts: [anAttempt('t', 0, 10, { status: 0, connected_ns: undefined, sent_ns: undefined, first_byte_ns: undefined })] })).toEqual([['connect', 0, 10]]);
  expect(split({ ...h, attempts: [] })).toEqual([['proxy', 0, 10]]);
});

test('the own times of all rows are the time of the request', () => {
  const all = rows(build(traceID, shop()), none);
  expect(all.reduce((sum, r) => sum + ownTime(r), 0)).toBeCloseTo(10 * ms);
});

test.each([
  [10, [0, 2, 4, 6, 8, 10]], [9.2, [0, 2, 4, 6, 8]], [1.51, [0, 0.5, 1, 1.5]], [0, [0]], [Number.NaN, [0]], [7e9, [0, 2e9, 4e9, 6e9]],
])('ticks of %d', (until, want) => expect(ticks(until)).toEqual(want));

test('of a large trace only what matters is open', () => {
  const hops = [request('r', 'r', '', 0, 100)];
  for (let i = 0; i < 200; i++) hops.push(call('r', `s${i}`, `c${i}`, 'r.a', 1, 50), request(`s${i}`, `s${i}`, `c${i}.a`, 2, 40), call(`s${i}`, 'x', `x${i}`, `s${i}.a`, 3, 9));
  const tree = build(traceID, hops);
  const closed = closedAtFirst(tree, ['x7.a']);
  const seen = rows(tree, none, closed).map((r) => r.id);
  expect(seen).toContain('x7');
  expect(seen).not.toContain('x8');
  expect(closedAtFirst(build(traceID, shop()), []).size).toBe(0);
});

test.each([
  [{ from: 0, to: 200 }, 0, 50, { from: 0, to: 50 }], [{ from: 0, to: 200 }, 199, 4000, { from: 0, to: 200 }], [{ from: 0, to: 200 }, 205, 4000, { from: 0, to: 206 }],
  [{ from: 0, to: 200 }, 3999, 4000, { from: 3899, to: 4000 }], [{ from: 3899, to: 4000 }, 3890, 4000, { from: 3890, to: 4000 }], [{ from: 3899, to: 4000 }, 0, 4000, { from: 0, to: 100 }],
  [{ from: 3000, to: 3200 }, 10, 20, { from: 0, to: 20 }], [{ from: 0, to: 200 }, 0, 0, { from: 0, to: 0 }],
])('of rows %j with %d chosen, of %d', (before, at, rows, want) => {
  const got = around(before, at, rows);
  expect(got).toEqual(want);
  expect(around(got, at, rows)).toEqual(want); // it comes to rest
});
