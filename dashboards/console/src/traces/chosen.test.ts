import { beforeEach, expect, test } from 'vitest';
import type { TraceSummary } from '../types';
import { candidate, choose, chosen } from './chosen';

beforeEach(() => chosen.set([]));
const c = (id: string) => ({ id, label: id });
const ids = () => chosen.get().map((x) => x.id);

test('two are chosen at most; a third takes the place of the second', () => {
  choose(c('a')); choose(c('b')); choose(c('c'));
  expect(ids()).toEqual(['a', 'c']);
  choose(c('a'));
  expect(ids()).toEqual(['c']);
});

test('a trace is compared with the latest of its kind that went well', () => {
  const t = (trace_id: string, path: string, more = {}) => ({ trace_id, service: 'web', method: 'GET', path, failed: false, slow: false, ...more }) as TraceSummary;
  const of = { id: 'x', service: 'web', method: 'GET', path: '/item/7' };
  const traces = [t('x', '/item/7'), t('a', '/item/7', { failed: true }), t('b', '/item/8'), t('c', '/item/7'), t('d', '/item/7')];
  expect(candidate(of, traces)).toBe('c');
  expect(candidate(of, traces.slice(0, 3))).toBe('b');
  expect(candidate(of, [t('e', '/other')])).toBeUndefined();
  expect(candidate({ ...of, service: 'other' }, traces)).toBeUndefined();
});
