import { describe, expect, test } from 'vitest';
import { durationText, inWords, parseFilters, toAddress, toQuery } from './filters';

const all = 'failed=1&slow=1&service=web&route=api&status=5xx&flag=UF&culprit=payments+-%3E+bank&min=100ms&max=1s&text=a%26b&since=10m&limit=1000';
const round = (query: string) => {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(toAddress(parseFilters(new URLSearchParams(query))))) if (v) q.set(k, v);
  return q;
};

describe('filters in the address', () => {
  test('all of them come back', () => expect([...round(all)].sort()).toEqual([...new URLSearchParams(all)].sort()));
  test('what is usual is left out', () => expect([...round('limit=200&service=&status=')]).toEqual([]));
  test('what makes no sense is left out', () => expect([...round('limit=7&min=soon&since=%00&outcome=x')]).toEqual([]));
  test('a flag is in capitals', () => expect(parseFilters(new URLSearchParams('flag=uf')).flag).toBe('UF'));
  test.each([['', 'all'], ['failed=1', 'failed'], ['slow=1', 'slow'], ['failed=1&slow=1', 'either'], ['failed=0', 'all'], ['outcome=either', 'either']])(
    'outcome of %j is %s', (q, want) => expect(parseFilters(new URLSearchParams(q)).outcome).toBe(want));
});

test('what the API is asked', () => {
  expect(toQuery(parseFilters(new URLSearchParams(all)))).toEqual({
    failed: true, slow: true, service: 'web', route: 'api', status: '5xx', flag: 'UF', culprit: 'payments -> bank', min: '100ms', max: '1s', text: 'a&b', since: '10m', limit: 1000,
  });
});

test('filters in words', () => {
  expect(inWords(parseFilters(new URLSearchParams('')))).toBe('');
  expect(inWords(parseFilters(new URLSearchParams('failed=1&culprit=payments+-%3E+bank&min=1s')))).toBe('failed, for which payments → bank is at fault, of 1s and more');
});

test.each([['', ''], ['100', '100ms'], ['1.5', '1.5ms'], ['.5s', '0.5s'], [' 1 s ', '1s'], ['1m30s', '1m30s'], ['soon', undefined], ['-1s', undefined]])(
  'a typed duration %j is %j', (typed, want) => expect(durationText(typed)).toBe(want));
