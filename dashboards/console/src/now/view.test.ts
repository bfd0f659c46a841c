import { describe, expect, it } from 'vitest';
import type { Cause, Culprit, Series, SeriesAnswer, Why } from '../types';
import { blame, ends, failures, headline, lasting, order, services, totals, where } from './view';

const culprit = (more: Partial<Culprit> = {}): Culprit => ({ service: 'bank', instance: '', part: 'application', kind: 'connect_refused', edge: 'payments -> bank', caller: 'payments', ...more });
const cause = (more: Partial<Cause> = {}): Cause => ({
  culprit: culprit(), reason: 'connection refused by 10.0.3.7:443', other_reasons: 0, requests: 83, share: 1, first: '2026-11-30T10:31:05Z', last: '2026-11-30T10:39:00Z',
  first_is_late: false, inferred: false, suffering: [], relays: [], common: [], changed: [], then: [], trace_id: '', next: '', ...more,
});
const why = (more: Partial<Why> = {}): Why => ({
  since: '2026-11-30T10:30:00Z', until: '2026-11-30T10:40:00Z', requests: 900, failed: 83, recovered: 0, exact: true, verdict: '', causes: [cause()], recovered_causes: [],
  not_at_fault: [], lost_context: [], services: [], notes: [], peers: [], ...more,
});
const plain = (text: string) => text.replaceAll('\u00a0', ' ');

describe('the headline', () => {
  it('says who is at fault for everything', () => {
    const h = headline(why(), '10 minutes');
    expect(h).toMatchObject({ tone: 'bad', title: 'bank is at fault for all 83 failed requests', short: 'bank is at fault', lead: 'payments → bank: connection refused by 10.0.3.7:443' });
    expect(plain(h.numbers)).toBe('83 of 900 requests failed (9.2 %) in the last 10 minutes');
  });
  it('says for which part', () => expect(plain(headline(why({ causes: [cause({ share: 0.8 })] }), 'hour').title)).toBe('bank is at fault for 80 % of 83 failed requests'));
  it('says when the numbers are estimated', () => expect(headline(why({ exact: false }), 'hour').numbers).toMatch(/^About 83 of/));
  it('says that nothing fails, with the number of requests', () => {
    expect(headline(why({ failed: 0, causes: [] }), 'hour')).toMatchObject({ tone: 'good', title: 'Nothing fails', lead: 'Every request went well.', numbers: '900 requests in the last hour' });
  });
  it('says that some recovered', () => expect(headline(why({ failed: 0, causes: [], recovered: 2 }), 'hour').lead).toBe('2 requests had a failure inside, and recovered.'));
  it('says that there was nothing', () => expect(headline(why({ requests: 0, failed: 0, causes: [] }), 'hour').title).toBe('No requests'));
  it('says that failures have no cause that is known', () => expect(headline(why({ causes: [] }), 'hour').title).toBe('83 requests failed'));
  it.each([['network', 'The network on the way to bank is'], ['proxy', 'The proxy of bank is'], ['application', 'bank is'], ['', 'bank is']])('blames the %s', (part, text) => expect(blame(culprit({ part }))).toBe(text));
});

describe('a cause', () => {
  it('goes on if it was seen in the last 10 s', () => {
    expect(lasting(cause({ last: '2026-11-30T10:39:51Z' }), why().until).on).toBe(true);
    expect(plain(lasting(cause(), why().until).text)).toBe('last 1m ago');
  });
  it('has the ends of its edge', () => {
    expect(ends(culprit())).toEqual({ caller: 'payments', service: 'bank' });
    expect(ends(culprit({ edge: 'bank' }))).toBeUndefined();
  });
  it('orders changes around the first failure', () => {
    const change = (before_ns: number) => ({ time: '', last: '', count: 1, kind: '', service: '', cluster: '', endpoint: '', text: '', services: [], before_ns });
    expect([3e9, -2.1e9, 1e8].map((n) => plain(order(change(n))))).toEqual(['3 s before', '2 s after', 'at the same time']);
  });
  it('names three of many services', () => {
    expect(where(['a', 'b', 'c', 'd'])).toBe('a, b, c and d');
    expect(where(['a', 'b', 'c', 'd', 'e'])).toBe('a, b, c and 2 more');
  });
});

const one = (more: Partial<Series>): Series => ({ service: 'x', requests: [10, 10, 20], failed: [0, 0, 2], slow: [0, 1, 0], p50_ns: [1e6, 1e6, 4e6], p90_ns: [1, 1, 1], p99_ns: [5e6, 0, 8e6], ...more });
const series = (more: Partial<SeriesAnswer> = {}): SeriesAnswer => ({
  since: '', until: '2026-11-30T10:40:00Z', window_ns: 30e9, windows: 3, services: [], edges: [], routes: [], endpoints: [], peers: [], notes: [], ...more,
});

describe('over time', () => {
  it('has the failures for which the edge was at fault', () => {
    const s = series({ edges: [one({ caller: 'payments', service: 'bank', blamed: [0, 1, 2] })] });
    expect(failures(cause(), s, 60)).toEqual([1, 2]);
    expect(failures(cause({ culprit: culprit({ edge: 'a -> b' }) }), s, 60)).toBeUndefined();
  });
  it('puts services at fault first', () => {
    const rows = services(series({ services: [one({ service: 'a' }), one({ service: 'b', failed: [0, 0, 1], blamed: [0, 0, 1] }), one({ service: 'c', failed: [0, 0, 0], proxied: false })] }), 30);
    expect(rows.map((r) => [r.service, r.failed, r.blamed, r.proxied])).toEqual([['b', 1, 1, true], ['a', 2, 0, true], ['c', 0, 0, false]]);
  });
  it('sums what comes from outside', () => {
    const t = totals(series({ edges: [one({ caller: '', service: 'web' }), one({ caller: 'web', service: 'x' })] }), 90)!;
    expect(t).toMatchObject({ requests: 40, failing: 0.05, slow: 1, trend: [10, 10, 20] });
    expect(t.entries).toEqual([{ service: 'web', p50: 2.5e6, p99: 7e6, worst: 8e6 }]);
    expect(totals(series({ edges: [one({ caller: 'web' })] }), 90)).toBeUndefined();
  });
  it('has the durations of the service where those from outside are not known apart', () => {
    const t = totals(series({ services: [one({ service: 'web' })], edges: [one({ caller: '', service: 'web', p50_ns: [0, 0, 0], p99_ns: [0, 0, 0] })] }), 90)!;
    expect(t.entries[0]).toEqual({ service: 'web', p50: 2.5e6, p99: 7e6, worst: 8e6 });
  });
});
