import { describe, expect, it } from 'vitest';
import { edgeKey } from '../series';
import type { Series, SeriesAnswer } from '../types';
import { graph, near, outside, shape, trouble } from './graph';
import { curve, layout, mostLabelled } from './layout';
import { shorten, toward } from './names';
import { first, fit, reveal, zoom } from './view';

const one = (service: string, more: Partial<Series> = {}): Series => ({ service, requests: [10, 20], failed: [0, 5], slow: [0, 0], p50_ns: [1, 1], p90_ns: [1, 1], p99_ns: [1, 1], ...more });
const mesh = (services: Series[], edges: Series[]): SeriesAnswer => ({ since: '', until: '2026-11-30T10:00:00Z', window_ns: 30e9, windows: 2, services, edges, routes: [], endpoints: [], peers: [], notes: [] });
const shop = mesh([one('web'), one('bank', { proxied: false })], [one('web', { caller: '' }), one('bank', { caller: 'web', blamed: [0, 5] }), one('mail', { caller: 'web' })]);

describe('the graph', () => {
  const g = graph(shop, 1, 2);
  it('has each service, and those that only callers know', () => expect(g.nodes.map((n) => [n.name, n.proxied])).toEqual([['', true], ['bank', false], ['mail', false], ['web', true]]));
  it('has the numbers of the windows', () => {
    expect(g.edges.find((e) => e.service === 'bank')).toMatchObject({ requests: 20, failed: 5, blamed: 5, failing: 0.25 });
    expect(graph(shop, 0, 1).culprit).toBeUndefined();
  });
  it('names the edge that is at fault', () => expect(g.culprit).toMatchObject({ caller: 'web', service: 'bank' }));
  it('keeps its shape at another time', () => expect(shape(graph(shop, 0, 1))).toBe(shape(g)));
  it('does not depend on the order of the answer', () => expect(shape(graph(mesh([...shop.services].reverse(), [...shop.edges].reverse()), 0, 2))).toBe(shape(g)));
  it('counts failures once for the slider', () => {
    expect(trouble(shop)).toEqual([0, 5]);
    expect(trouble(mesh([], [one('web', { caller: '' }), one('bank', { caller: 'web' })]))).toEqual([0, 5]);
  });
  it('knows neighbours', () => expect([...near(g, 'bank')]).toEqual(['bank', 'web']));
});

describe('the layout', () => {
  const g = graph(shop, 0, 2);
  const l = layout(g);
  it('puts callers left of those that they call, and nothing over another', () => {
    expect(l.boxes.get('')!.x).toBeLessThan(l.boxes.get('web')!.x);
    expect(l.boxes.get('web')!.x).toBeLessThan(l.boxes.get('bank')!.x);
    expect(Math.abs(l.boxes.get('bank')!.y - l.boxes.get('mail')!.y)).toBeGreaterThanOrEqual(48);
  });
  it('is the same for the same shape', () => expect(layout(graph(shop, 1, 2))).toEqual(l));
  it('has a line for each edge, and for a service that calls itself', () => {
    const self = layout(graph(mesh([one('a')], [one('a', { caller: 'a' })]), 0, 2));
    expect(self.lines.get(edgeKey({ caller: 'a', service: 'a' }))!.path).toMatch(/^M.*C/);
    expect(l.lines.size).toBe(3);
  });
  it('places 200 services', () => {
    const edges = Array.from({ length: 199 }, (_, i) => one(`s${i + 1}`, { caller: i < 5 ? outside : `s${i % 5 + 1}` }));
    const big = layout(graph(mesh([], edges), 0, 2));
    expect(edges.length).toBeGreaterThan(mostLabelled);
    expect(big.labelled).toBe(false);
    const places = new Set([...big.boxes.values()].map((b) => `${b.x} ${b.y}`));
    expect(places.size).toBe(200);
  });
  it('draws curves', () => {
    expect(curve([{ x: 0, y: 0 }, { x: 10, y: 0 }, { x: 20, y: 10 }])).toBe('M0 0Q10 0 15 5L20 10');
    expect(curve([])).toBe('');
  });
  it('shortens long names', () => expect(shorten('a-very-long-name-of-a-service-eu-west-1')).toBe('a-very-long-name-o…u-west-1'.replace('u-west-1', 'eu-west-1')));
  it('finds the next service for an arrow key', () => {
    expect(toward(l.boxes, 'web', 'ArrowLeft')).toBe(outside);
    expect(toward(l.boxes, 'bank', 'ArrowLeft')).toBe('web');
    expect(toward(l.boxes, 'bank', 'ArrowRight')).toBeUndefined();
    expect(toward(l.boxes, 'bank', 'x')).toBeUndefined();
  });
});

describe('the view', () => {
  const screen = { width: 800, height: 400 };
  it('fits all in the middle', () => expect(fit({ width: 1600, height: 400 }, screen)).toEqual({ scale: 0.5, x: 0, y: 100 }));
  it('does not enlarge a small map much', () => expect(fit({ width: 80, height: 40 }, screen).scale).toBe(1.15));
  it('scales around a point', () => {
    const v = zoom({ x: 10, y: 20, scale: 1 }, 2, { x: 110, y: 120 });
    expect(v).toEqual({ scale: 2, x: -90, y: -80 });
    expect(zoom(v, 1000, { x: 0, y: 0 }).scale).toBe(2.5);
  });
  it('begins at what is at fault if all can not be read', () => {
    const v = first({ width: 8000, height: 8000 }, screen, { x: 4000, y: 4000 });
    expect(v.scale).toBe(0.7);
    expect(4000 * v.scale + v.x).toBeCloseTo(400);
    expect(first({ width: 8000, height: 8000 }, screen, { x: 0, y: 0 }).x).toBe(0);
  });
  it('moves a box into sight', () => {
    expect(reveal({ x: 0, y: 0, scale: 1 }, { x: 900, y: 100, width: 100, height: 40 }, screen)).toEqual({ x: -174, y: 0, scale: 1 });
    expect(reveal({ x: 0, y: 0, scale: 1 }, { x: 400, y: 100, width: 100, height: 40 }, screen)).toEqual({ x: 0, y: 0, scale: 1 });
  });
});
