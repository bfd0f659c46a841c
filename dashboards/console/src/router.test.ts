import { describe, expect, it } from 'vitest';
import { href, match, parse } from './router';

describe('the router', () => {
  it('reads a place', () => {
    const p = parse('#/edge/web/check%20out?since=1h&route=%2Fbuy');
    expect(p.path).toEqual(['edge', 'web', 'check out']);
    expect(p.query.get('since')).toBe('1h');
    expect(p.query.get('route')).toBe('/buy');
  });
  it('has no place in an empty address', () => expect(parse('').path).toEqual([]));
  it('keeps what is no valid encoding', () => expect(parse('#/service/100%').path).toEqual(['service', '100%']));
  it.each([['a/b'], ['a?b=c'], ['ü#%'], ['..']])('writes and reads %s again', (name) => {
    expect(parse(href(['service', name])).path).toEqual(['service', name]);
  });
  it('leaves out empty queries', () => expect(href(['traces'], { service: 'web', route: '', flag: undefined })).toBe('#/traces?service=web'));
  it('matches patterns', () => {
    expect(match('/edge/:caller/:service', ['edge', 'a', 'b'])).toEqual({ caller: 'a', service: 'b' });
    expect(match('/edge/:caller/:service', ['edge', 'a'])).toBeUndefined();
    expect(match('/now', ['now'])).toEqual({});
  });
});
