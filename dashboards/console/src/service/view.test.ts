import { describe, expect, it } from 'vitest';
import type { Config, ConfigEndpoint, Series, SeriesAnswer } from '../types';
import { callees, callers, charts, drawn, endpoints, groups, isWell } from './view';

const one = (more: Partial<Series>): Series => ({ service: 'bank', requests: [0, 10], failed: [0, 1], slow: [0, 0], p50_ns: [0, 2e6], p90_ns: [0, 3e6], p99_ns: [0, 4e6], ...more });
const mesh: SeriesAnswer = {
  since: '', until: '2026-11-30T10:00:00Z', window_ns: 10e9, windows: 2, services: [one({}), one({ service: 'web' })], peers: [], notes: [],
  edges: [one({ caller: 'web' }), one({ caller: '', requests: [0, 30] }), one({ service: 'x', caller: 'bank' })],
  routes: [one({ method: 'GET', route: '/a' }), one({ method: 'POST', route: '', requests: [50, 0] })],
  endpoints: [one({ endpoint: '1:1', proxy: 'p' }), one({ endpoint: '1:1', proxy: 'q', requests: [4, 30], p50_ns: [1e6, 6e6] }), one({ endpoint: '1:2', proxy: 'p' })],
};

describe('the parts of a service', () => {
  it('are its routes, those with most requests first', () => expect(groups(mesh, 'bank', 'route', 20).map((g) => g.name)).toEqual(['POST', 'GET /a']));
  it('are its callers', () => expect(groups(mesh, 'bank', 'caller', 20).map((g) => [g.name, g.caller])).toEqual([['clients', ''], ['web', 'web']]));
  it('are its endpoints, what several proxies counted put together', () => {
    const [a, b] = groups(mesh, 'bank', 'endpoint', 20);
    expect([a!.name, a!.requests, b!.name]).toEqual(['1:1', 44, '1:2']);
    expect(a!.series.p50_ns).toEqual([1e6, 5e6]);
  });
  it('is the whole', () => expect(groups(mesh, 'bank', 'all', 10)).toMatchObject([{ requests: 10, failing: 0.1, perSecond: 1 }]));
  it('knows its neighbours', () => {
    expect(callers(mesh, 'bank').map((e) => e.caller)).toEqual(['web', '']);
    expect(callees(mesh, 'bank').map((e) => e.service)).toEqual(['x']);
  });
});

describe('the charts', () => {
  it('have percentiles of the whole, and gaps where nothing was', () => {
    const c = charts(mesh, groups(mesh, 'bank', 'all', 20), 'all', 2);
    expect(c.rate[0]!.values).toEqual([0, 1]);
    expect(c.errors[0]!.values).toEqual([null, 0.1]);
    expect(c.duration.map((l) => [l.name, l.values[0]])).toEqual([['p50', null], ['p90', null], ['p99', null]]);
  });
  it('have a line for each of the first parts', () => {
    const many = { ...mesh, routes: Array.from({ length: 9 }, (_, i) => one({ method: 'GET', route: `/${i}` })) };
    const c = charts(many, groups(many, 'bank', 'route', 20), 'route', 1);
    expect(c.rate).toHaveLength(drawn);
    expect(c.duration[0]!.values).toEqual([4e6]);
    expect(new Set(c.rate.map((l) => l.color)).size).toBe(drawn);
  });
  it('have nothing for nothing', () => expect(charts(mesh, [], 'all', 2).rate).toEqual([]));
});

describe('endpoints', () => {
  const e = (address: string, more: Partial<ConfigEndpoint> = {}): ConfigEndpoint => ({ address, health: 'healthy', ...more });
  const config = (service: string, cluster: string, of: string, all: ConfigEndpoint[]): Config => ({ service, instance: service, version: '', config: {}, listeners: [], certificates: [], clusters: [{ name: cluster, service: of, endpoints: all }] });
  it('of a service are those of each proxy that calls it, what is wrong first', () => {
    const held = [
      { address: 'p:1', self: true, config: config('pay', 'bank-v2', 'bank', [e('1:10'), e('1:9'), e('1:11', { ejected_until: '2026-11-30T10:00:00Z' })]) },
      { address: 'q:1', self: false, config: config('other', 'mail', 'mail', [e('2:1')]) },
      { address: 'r:1', self: false, config: config('audit', 'bank', '', [e('1:9', { health: 'unhealthy' })]) },
    ];
    expect(endpoints(held, 'bank').map((r) => [r.proxy, r.address, r.self])).toEqual([['audit', '1:9', false], ['pay', '1:11', true], ['pay', '1:9', true], ['pay', '1:10', true]]);
  });
  it('are well if nothing speaks against it', () => expect([e('a'), e('a', { draining: true }), e('a', { health: 'degraded' }), e('a', { ejected: true })].map(isWell)).toEqual([true, false, false, false]));
});
