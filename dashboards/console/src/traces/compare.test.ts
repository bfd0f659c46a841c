import { describe, expect, test } from 'vitest';
import type { TraceCulprit } from '../types';
import { align, largest } from './compare';
import type { Hop } from './hop';
import { anAttempt, call, request, shop, trace, traceID } from './sample';
import { build } from './tree';

const pairs = (a: Hop[], b: Hop[]) => align(build(traceID, a), build(traceID, b));
const shape = (a: Hop[], b: Hop[]) => pairs(a, b).map((p) => [p.level, p.name, p.a?.id ?? '', p.b?.id ?? '']);
const says = (a: Hop[], b: Hop[], faultA?: TraceCulprit, faultB?: TraceCulprit) => {
  const [x, y] = [build(traceID, a), build(traceID, b)];
  return largest(trace(a, { culprit: faultA ?? null }), trace(b, { culprit: faultB ?? null }), x, y, align(x, y));
};

/** again is the same request with other spans, so many ms slower at orders. */
const again = (slower: number): Hop[] => [
  request('web', 'W', '', 0, 10 + slower),
  call('web', 'checkout', 'WC', 'W.a', 1, 8 + slower),
  request('checkout', 'C', 'WC.a', 1.5, 7 + slower),
  call('checkout', 'orders', 'CO', 'C.a', 3, 5 + slower),
  request('orders', 'O', 'CO.a', 3.5, 4 + slower),
];

describe('align', () => {
  test('the same calls stand in a row, and what only one has in its place', () => {
    expect(shape(shop(), again(0))).toEqual([
      [1, 'web', 'w', 'W'], [2, 'web → checkout', 'wc', 'WC'], [3, 'checkout', 'c', 'C'],
      [4, 'checkout → bank', 'cb', ''], [4, 'checkout → orders', 'co', 'CO'], [5, 'orders', 'o', 'O'],
    ]);
    expect(shape(again(0), shop()).map((r) => r[1])).toEqual(['web', 'web → checkout', 'checkout', 'checkout → bank', 'checkout → orders', 'orders']);
  });
  test('calls of the same kind are paired in their order, and the first choice is the same path', () => {
    const calls = (...paths: string[]) => [request('a', 'a', '', 0, 50), ...paths.map((path, i) => call('a', 'b', `${path}${i}`, 'a.a', 1 + i, 1, { path }))];
    expect(shape(calls('/1', '/2', '/2'), calls('/2', '/3', '/2')).slice(1).map((r) => r.slice(2))).toEqual([['/10', '/31'], ['/21', '/20'], ['/22', '/22']]);
  });
  test('a template makes paths the same', () => {
    const one = (path: string) => [request('a', 'a', '', 0, 5, { path, template: '/item/{id}' })];
    expect(pairs(one('/item/1'), one('/item/2'))[0]).toMatchObject({ request: 'GET /item/{id}', differs: [] });
  });
  test('has nothing to pair', () => expect(pairs([], [])).toEqual([]));
});

describe('what differs', () => {
  test('status, flags, attempts, endpoints, duration', () => {
    const by = Object.fromEntries(pairs(shop(), again(20)).map((p) => [p.name, p.differs.map((d) => d.text)]));
    expect(by['web']).toEqual(['status 502, 200', '20\u00a0ms longer in B']);
    expect(by['checkout → bank']).toEqual(['only in A']);
    const other = (more: Partial<Hop>) => pairs([request('a', 'a', '', 0, 5)], [request('a', 'a', '', 0, 5, more)])[0]!.differs.map((d) => d.text);
    expect(other({ attempts: [anAttempt('x', 0, 1), anAttempt('y', 1, 5)] })).toEqual(['1 and 2 attempts']);
    expect(other({ attempts: [anAttempt('x', 0, 5, { endpoint: '10.0.0.1:80' })] })).toEqual(['endpoint 127.0.0.1:4000, 10.0.0.1:80']);
    expect(other({ flags: 'UT' })).toEqual(['flags none, UT']);
    expect(other({})).toEqual([]);
  });
});

describe('the largest difference in a sentence', () => {
  const bank = { edge: 'checkout -> bank', kind: 'connect_refused', reason: 'connection refused' } as TraceCulprit;
  test('one failed', () => expect(says(shop(), again(0), bank)).toEqual(['A failed (checkout → bank: connection refused), B did not.', 'Both took about as long: 10\u00a0ms and 10\u00a0ms.']));
  test('both failed', () => {
    expect(says(shop(), shop(), bank, bank)[0]).toBe('Both failed for the same reason: checkout → bank: connection refused.');
    expect(says(shop(), shop(), bank, { ...bank, edge: 'x' })[0]).toBe('A failed at checkout → bank: connection refused. B failed at x: connection refused.');
  });
  test('one was slower', () => {
    expect(says(again(0), again(90))).toEqual(['B took 90\u00a0ms longer than A. Most of it is orders: 4\u00a0ms in A, 94\u00a0ms in B.']);
    expect(says(again(90), again(0))).toEqual(['B took 90\u00a0ms less than A. Most of it is orders: 94\u00a0ms in A, 4\u00a0ms in B.']);
  });
  test('a hop that is only not known in one is no difference in time', () => {
    const seen = again(90), forgotten = again(0).filter((h) => h.service !== 'orders');
    expect(pairs(forgotten, seen).at(-1)!.differs).toEqual([{ kind: 'unseen', text: 'A has the caller’s end only' }]);
    expect(says(forgotten, seen)).toEqual(['B took 90\u00a0ms longer than A. Most of it is checkout → orders: 5\u00a0ms in A, 95\u00a0ms in B.']);
  });
  test('they have nothing in common', () => expect(says(shop(), [request('other', 'x', '', 0, 10)])).toContain('They are requests of different kinds: no call is in both.'));
  test('nothing is known of one', () => expect(says(shop(), [])).toEqual(['No hop of B is known.']));
});
