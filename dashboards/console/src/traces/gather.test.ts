import { expect, test } from 'vitest';
import type { TraceSummary } from '../types';
import { gather } from './gather';

const t = (id: string, s: number, more: Partial<TraceSummary> = {}) => ({ trace_id: id, start: new Date(s * 1000).toISOString(), ...more }) as TraceSummary;
const ids = (all: TraceSummary[]) => all.map((x) => x.trace_id).join('');

test('an answer is added to those before, the latest first', () => {
  const known = gather([], [t('b', 2), t('a', 1)]);
  expect(ids(gather(known, [t('d', 4), t('c', 3)]))).toBe('dcba');
  expect(ids(gather([t('c', 3), t('a', 1)], [t('d', 4), t('b', 2)]))).toBe('dcba');
});
test('the latest answer knows most of a trace', () => {
  expect(gather([t('a', 1, { failed: false })], [t('a', 1, { failed: true })])).toEqual([t('a', 1, { failed: true })]);
});
test('is bounded, and leaves out what is too old', () => {
  expect(ids(gather([t('b', 2), t('a', 1)], [t('c', 3)], 0, 2))).toBe('cb');
  expect(ids(gather([t('b', 2), t('a', 1)], [t('c', 3)], 2000))).toBe('cb');
});
