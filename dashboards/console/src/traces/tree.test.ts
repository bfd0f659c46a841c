import { describe, expect, test } from 'vitest';
import { failed, nanos } from './hop';
import { anAttempt, call, ms, request, shop, traceID } from './sample';
import { build, callee, end, exclusive, type Node, pair } from './tree';

const shape = (n: Node): unknown => [n.id, ...n.children.map(shape)];
const get = (hops: Parameters<typeof build>[1], id: string) => build(traceID, hops).all.get(id)!;

describe('build', () => {
  test('puts callees below the attempt that called them', () => {
    expect(build(traceID, shop()).roots.map(shape)).toEqual([['w', ['w.a', ['wc', ['wc.a', ['c', ['c.a', ['cb', ['cb.a']], ['co', ['co.a', ['o', ['o.a']]]]]]]]]]]);
  });
  test('the order in which hops come does not matter, nor that they repeat', () => {
    const hops = shop();
    const fuller = { ...hops[5]!, attempts: [] };
    const tree = build(traceID, [fuller, ...hops].reverse());
    expect(tree.roots.map(shape)).toEqual(build(traceID, hops).roots.map(shape));
    expect(tree.hops).toBe(6);
  });
  test('has no hops', () => expect(build(traceID, [])).toMatchObject({ roots: [], until: 0 }));
  test('a circle of parents, which only broken records have, ends', () => {
    const tree = build(traceID, [request('a', 'a', 'b', 0, 5), request('b', 'b', 'a', 1, 3)]);
    expect(tree.roots).toHaveLength(1);
    expect(tree.hops).toBe(2);
  });
  test('spans that repeat between attempts get ids of their own', () => {
    const h = request('a', 'a', '', 0, 5, { attempts: [anAttempt('x', 0, 1), anAttempt('x', 1, 5), anAttempt('', 2, 5)] });
    expect([...build(traceID, [h]).all.keys()]).toEqual(['a', 'x', 'x~2', 'a.3']);
  });
  test('a trace may be deep', () => {
    const hops = Array.from({ length: 5000 }, (_, i) => request(`s${i}`, `${i}`, i ? `${i - 1}.a` : '', 0, 10));
    const tree = build(traceID, hops);
    expect(tree.roots).toHaveLength(1);
    expect(tree.all.size).toBe(10_000);
  });
});

describe('what is inferred', () => {
  test('a call whose parent is a span of the application is put below the request that ran', () => {
    const n = get([request('web', 'w', '', 0, 10), call('web', 'x', 'wx', 'unknown', 2, 3)], 'wx');
    expect(n).toMatchObject({ inferred: true, joined: false, parent: { id: 'w.a' } });
  });
  test('a hop without a known parent is put below the first root, if it lies within it', () => {
    const hops = [request('web', 'w', '', 0, 10), request('far', 'f', 'unknown', 2, 3), request('late', 'l', 'unknown', 8, 30)];
    expect(build(traceID, hops).roots.map((r) => r.id)).toEqual(['w', 'l']);
    expect(get(hops, 'f').inferred).toBe(true);
  });
  test('a call that began a trace of its own is joined to the only request that its service answered', () => {
    const stray = call('web', 'x', 's', '', 2, 3, { trace_id: 'ffffffffffffffffffffffffffffffff' });
    expect(get([request('web', 'w', '', 0, 10), stray], 's')).toMatchObject({ joined: true, inferred: true, parent: { id: 'w.a' } });
    const two = build(traceID, [request('web', 'w', '', 0, 10), request('web', 'v', '', 1, 10), stray]);
    expect(two.all.get('s')!.parent).toBeUndefined();
    expect(two.roots.at(-1)!.id).toBe('s');
  });
});

describe('time', () => {
  test('is read to the nanosecond', () => {
    expect(nanos('2026-11-30T07:06:19.815977434Z')! - nanos('2026-11-30T07:06:19.815977433Z')!).toBe(1n);
    expect(nanos('2026-11-30T08:06:19.5+01:00')).toBe(nanos('2026-11-30T07:06:19.500Z'));
    expect(nanos('tomorrow')).toBeUndefined();
    expect(nanos('2026-13-45T99:00:00Z')).toBeUndefined();
  });
  test('a hop whose time is nonsense stands at the start, and is counted', () => {
    const tree = build(traceID, [request('web', 'w', '', 0, 10), request('x', 'x', 'w.a', 0, 1, { start: 'never' })]);
    expect(tree.unplaced).toBe(1);
    expect(tree.all.get('x')!.start).toBe(0);
  });
  test('a clock that is an hour off is put right: the callee lies in the middle of its call, and its own calls move with it', () => {
    const hour = 3_600_000;
    const hops = [request('web', 'w', '', 0, 10), call('web', 'b', 'wb', 'w.a', 1, 8), request('b', 'b', 'wb.a', hour, 4), call('b', 'c', 'bc', 'b.a', hour + 1, 2)];
    const tree = build(traceID, hops);
    expect(tree.roots.map((r) => r.id)).toEqual(['w']);
    expect(tree.all.get('b')!.start).toBe(3 * ms);
    expect(tree.all.get('bc')!.start).toBe(4 * ms);
    expect(tree.all.get('b')!.moved).toBe(3 * ms - hour * ms);
    expect(tree.until).toBe(10 * ms);
  });
  test('the trace that was asked for begins at 0, though the clock of a joined one is behind', () => {
    const stray = request('other', 's', '', -500, 3, { trace_id: 'ffffffffffffffffffffffffffffffff' });
    const tree = build(traceID, [stray, request('web', 'w', '', 0, 10)]);
    expect(tree.roots[0]).toMatchObject({ id: 'w', start: 0 });
  });
  test('what has not ended lasts as long as its caller', () => {
    const n = get([request('web', 'w', '', 0, 10), call('web', 'b', 'wb', 'w.a', 1, 9), request('b', 'b', 'wb.a', 2, 0, { attempts: [] })], 'b');
    expect(end(n)).toBe(10 * ms);
  });
});

describe('the critical path', () => {
  test('has the own time of each node, and all of it is the time of the root', () => {
    const tree = build(traceID, shop());
    const own = new Map([...tree.all].map(([id, n]) => [id, exclusive(n) / ms]));
    expect([...own.values()].reduce((a, b) => a + b)).toBeCloseTo(10);
    expect(own.get('o.a')).toBeCloseTo(4);
    expect(own.get('cb.a')).toBeCloseTo(1);
    expect(tree.all.get('o.a')!.own).toEqual([[3.5 * ms, 7.5 * ms]]);
  });
  test('leaves out what ran beside the call that ended last', () => {
    const hops = [request('web', 'w', '', 0, 10), call('web', 'a', 'wa', 'w.a', 1, 8), call('web', 'b', 'wb', 'w.a', 1, 5)];
    expect(get(hops, 'wb.a').own).toEqual([]);
    expect(get(hops, 'w.a').own).toEqual([[0, ms], [9 * ms, 10 * ms]]);
  });
});

test('both ends of a connection', () => {
  const tree = build(traceID, shop());
  expect(pair(tree.all.get('wc.a')!)?.id).toBe('c');
  expect(pair(tree.all.get('cb.a')!)).toBeUndefined();
  expect(callee(tree.all.get('wc')!)).toBe('checkout');
  expect(callee(tree.all.get('cb')!)).toBe('bank');
  expect(callee(get([call('a', 'shop.example:8443', 's', '', 0, 1)], 's'))).toBe('shop.example');
  expect(callee(get([call('a', '[::1]:80', 's', '', 0, 1)], 's'))).toBe('[::1]');
});

test.each([
  [{ status: 500 }, true], [{ status: 404 }, false], [{ status: 200, grpc_status: 14 }, true], [{ status: 200, grpc_status: 5 }, false],
  [{ status: 0, flags: 'DC' }, false], [{ status: 0, flags: 'UT' }, true], [{ status: 429, flags: 'RL' }, false],
  [{ status: 200, flags: 'UR', failure: { origin: 'downstream' } }, false], [{ status: 400, failure: { origin: 'proxy' } }, true],
])('failed %j: %s', (more, want) => expect(failed(request('a', 'a', '', 0, 1, more))).toBe(want));
