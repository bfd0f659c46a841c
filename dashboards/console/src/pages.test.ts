import { describe, expect, it } from 'vitest';
import { left, unused, urgency } from './config/view';
import { counted, filtered, marks, toneOf } from './events/view';
import { found, pieces } from './help/view';
import type { Config, ProxyEvent, Word } from './types';

const event = (more: Partial<ProxyEvent>): ProxyEvent => ({ time: '2026-11-30T10:00:00Z', last: '', count: 1, kind: 'reload', service: 'web', cluster: '', endpoint: '', text: '', proxy: 'a:1', instance: 'web-1', ...more });

describe('events', () => {
  const all = [event({}), event({ time: '2026-11-30T10:30:00Z', kind: 'endpoint_ejected', text: '10.0.3.7:443 was ejected' }), event({ service: 'pay', time: '2026-11-30T10:15:00Z' })];
  it('are filtered, the latest first', () => {
    expect(filtered(all, { kind: '', service: '', text: '' }).map((e) => e.time.slice(14, 16))).toEqual(['30', '15', '00']);
    expect(filtered(all, { kind: 'reload', service: 'web', text: '' })).toHaveLength(1);
    expect(filtered(all, { kind: '', service: '', text: ' 10.0.3.7 ' })).toHaveLength(1);
  });
  it('are counted', () => expect(counted(all, 'kind')).toEqual([{ value: 'reload', count: 2 }, { value: 'endpoint_ejected', count: 1 }]));
  it('stand on a line, the worst of a place is seen', () => {
    const from = Date.parse('2026-11-30T10:00:00Z');
    const found = marks([...all, event({ time: '2026-11-30T10:30:01Z' }), event({ time: '2026-11-30T09:00:00Z' })], from, from + 3600e3, 60);
    expect(found.map((m) => [Math.round(m.at * 60 - 0.5), m.tone, m.count])).toEqual([[0, 'accent', 1], [15, 'accent', 1], [30, 'bad', 2]]);
  });
  it('have a tone', () => expect(['panic', 'discovery_back', 'start'].map(toneOf)).toEqual(['bad', 'good', 'plain']));
});

describe('the configuration', () => {
  it('counts unused routes among those whose hits are known', () => {
    const route = (hits?: number) => ({ name: '', match: '', cluster: '', hits });
    const c = { listeners: [{ name: 'a', address: '', protocol: 'http', routes: [route(0), route(3), route()] }] } as unknown as Config;
    expect(unused(c)).toEqual({ unused: 1, of: 2 });
  });
  it.each([[900, '900 days left', 'good'], [5.5, '5 days left', 'slow'], [1.2, '1 day left', 'bad'], [0.5, '12 hours left', 'bad'], [-2.5, 'expired 2 days ago', 'bad']])('says how long a certificate of %s days is valid', (days, text, tone) => {
    expect(left(days)).toBe(text);
    expect(urgency({ days_left: days })).toBe(tone);
  });
});

describe('help', () => {
  const words: Word[] = [
    { kind: 'error_type', name: 'connection_refused', title: 'nobody listens', text: '', remedy: '' },
    { kind: 'flag', name: 'URX', title: 'retries used up', text: 'as after UF', remedy: '' },
    { kind: 'flag', name: 'UF', title: 'the connection failed', text: 'Nothing listens.', remedy: 'The address.' },
    { kind: 'new', name: 'x', title: '', text: '', remedy: '' },
  ];
  it('has the kinds in their order', () => expect(found(words, '').map((g) => g.kind)).toEqual(['flag', 'error_type', 'new']));
  it('finds a flag by its name first', () => expect(found(words, 'uf')[0]!.words.map((w) => w.name)).toEqual(['UF', 'URX']));
  it('finds all words of a search', () => expect(found(words, 'listens address').flatMap((g) => g.words)).toHaveLength(1));
  it('splits code from text', () => expect(pieces('see [the list](x.md): `/clusters` has it')).toEqual([{ text: 'see the list: ', code: false }, { text: '/clusters', code: true }, { text: ' has it', code: false }]));
});
