import { expect, test } from 'vitest';
import { reveal, step, visible } from './virtual';

test.each([
  [10_000, 40, 0, 600, { from: 0, to: 27 }], [10_000, 40, 40_000, 600, { from: 988, to: 1027 }], [10_000, 40, 399_400, 600, { from: 9973, to: 10_000 }],
  [0, 40, 0, 600, { from: 0, to: 0 }], [3, 40, 5000, 600, { from: 2, to: 3 }], [5, 40, -50, 600, { from: 0, to: 5 }],
])('of %d rows of %d at %d in %d', (rows, height, scroll, view, want) => expect(visible(rows, height, scroll, view)).toEqual(want));

test('a row is scrolled to only if it is not seen whole', () => {
  expect(reveal(5, 40, 100, 400)).toBe(100);
  expect(reveal(1, 40, 100, 400)).toBe(40);
  expect(reveal(20, 40, 100, 400)).toBe(440);
});

test.each([['ArrowDown', 6], ['ArrowUp', 4], ['PageDown', 9], ['PageUp', 0], ['Home', 0], ['End', 9], ['x', undefined]])('%s leads to %s', (key, want) => expect(step(5, key, 10, 8)).toBe(want));
test('of no rows none', () => expect(step(0, 'End', 0, 8)).toBeUndefined());
