import { describe, expect, it } from 'vitest';
import type { Explanation } from '../types';
import { askedOf, body, marked, verdict } from './view';

describe('an explanation', () => {
  it('is asked for by what stands in the address', () => {
    const asked = askedOf(new URLSearchParams({ url: '/cart', headers: 'x-a: 1\n\n x-b: 2 ' }));
    expect(body(asked)).toEqual({ url: '/cart', method: undefined, listener: undefined, client: undefined, headers: ['x-a: 1', 'x-b: 2'] });
  });
  it('names the route', () => {
    const e = { listener: 'edge', chance: 0.9, route: { number: 2, name: 'cart', match: '', chance: 0.9 } } as Explanation;
    expect(verdict(e)).toBe('Route 2 (cart) of listener edge takes 90 % of such requests.');
    expect(verdict({ ...e, chance: 1 })).toBe('Route 2 (cart) of listener edge takes it.');
    expect(verdict({ ...e, route: null })).toBe('No route of listener edge takes it.');
    expect(verdict({ ...e, route: null, early: true })).toContain('before a route');
  });
  it('marks what changes', () => {
    expect(marked(['GET /7 HTTP/1.1', 'x-a: 1'], ['- GET /cart/7 HTTP/1.1', '+ GET /7 HTTP/1.1'])).toEqual([
      { text: 'GET /7 HTTP/1.1', mark: '+' }, { text: 'x-a: 1', mark: ' ' }, { text: 'GET /cart/7 HTTP/1.1', mark: '-' },
    ]);
  });
});
