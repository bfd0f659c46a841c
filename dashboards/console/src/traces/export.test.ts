import { describe, expect, test } from 'vitest';
import type { TraceCulprit } from '../types';
import { fileName, page } from './export';
import type { Hop, Trace } from './hop';
import { escape, html } from './html';
import { shop, trace } from './sample';
import { build } from './tree';

const saved = new Date(Date.UTC(2026, 10, 30, 12));
const pageOf = (t: Trace) => page(t, build(t.trace_id, t.hops), saved);
const parse = (text: string) => new DOMParser().parseFromString(text, 'text/html');
const culprit = { service: 'bank', edge: 'checkout -> bank', caller: 'checkout', part: 'application', kind: 'connect_refused', flags: 'UF', reason: 'connection refused', evidence: ['nobody listens'], span_id: 'cb.a', unseen: true } as TraceCulprit;

const hostile = [
  '<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "' onmouseover='alert(1)", '</style><script>alert(1)</script>', '</title><script>alert(1)</script>',
  '<!-- ', ']]>', '&lt;script&gt;', 'javascript:alert(1)', '<svg/onload=alert(1)>', '\u0000<b>', '\u202egnp.exe', '\ud800', '</pre><iframe src="//evil.test">', '${7*7}{{7*7}}', '<meta http-equiv=refresh content="0;url=//evil.test">',
];

/** filled has the text in everything that a record has texts for, and in the rest of the trace. */
function filled(text: string): Trace {
  const put = (v: unknown, key = ''): unknown => {
    if (Array.isArray(v)) return v.map((x) => put(x, key));
    if (v && typeof v === 'object') return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, put(x, k)]));
    return typeof v === 'string' && !/^(start|direction|kind|span_id|parent_id|trace_id)$/.test(key) ? text : v;
  };
  const hops = put(shop().map((h) => ({ ...h, grpc_status_name: 'x', listener: 'x', flags: 'x', details: 'x', failure: { origin: 'x', reason: 'x', hop: 'x', caller: 'x' }, peer: 'x', query: 'x' }))) as Hop[];
  for (const h of hops) for (const a of h.attempts!) a.evidence = a.reason = a.flags = text;
  return trace(hops, {
    culprit: { ...put(culprit) as TraceCulprit, span_id: 'cb.a' }, slowest: put(culprit) as TraceCulprit, breaks: [text], notes: [text],
    peers: [{ address: text, service: '', instance: text, error: text }],
  });
}

describe('the file', () => {
  test('says who is at fault, and has each hop', () => {
    const doc = parse(pageOf(trace(shop(), { culprit })));
    expect(doc.querySelector('.verdict.bad strong')!.textContent).toBe('checkout → bank: connection refused (UF)');
    expect(doc.querySelectorAll('tbody tr')).toHaveLength(6);
    expect(doc.querySelector('tr.fault')!.textContent).toContain('checkout → bank');
    expect(doc.querySelectorAll('details')).toHaveLength(6);
    expect(doc.body.textContent).toContain('Seen from outside only: no hop of bank is there.');
  });
  test('stands alone: no script, nothing that is loaded, no link', () => {
    const text = pageOf(trace(shop(), { culprit }));
    const doc = parse(text);
    expect(doc.querySelectorAll('script, link, img, iframe, a, form, object, embed, base')).toHaveLength(0);
    expect(text).not.toMatch(/url\(|@import|src=|href=|https?:\/\/(?!web\b)/);
    expect(doc.querySelector('meta[http-equiv]')!.getAttribute('content')).toContain("default-src 'none'");
  });
  test('has no hops', () => expect(parse(pageOf(trace([]))).querySelector('.verdict')!.textContent).toContain('No hop of this trace is known'));
  test('its name is safe', () => {
    expect(fileName(trace([]), 'html')).toBe('trace-4bf92f3577b34da6a3ce929d0e0e4736.html');
    expect(fileName(trace([], { trace_id: '../../<x>' }), 'json')).toBe('trace-x.json');
  });
});

describe('hostile texts', () => {
  // A page of the same shape, with harmless texts: no hostile text may add or change an element.
  const shape = (text: string) => [...parse(pageOf(filled(text))).querySelectorAll('*')].map((e) => `${e.localName} ${[...e.attributes].map((a) => a.name).join(' ')}`);
  const harmless = shape('harmless');
  test.each(hostile)('%j stays a text', (text) => {
    expect(shape(text)).toEqual(harmless);
    expect(harmless.join()).not.toMatch(/script|onerror|iframe/);
  });
  test('a text is shown as it is', () => {
    const shown = parse(pageOf(filled('<b>&amp;"\'</b>'))).querySelector('.verdict strong')!.textContent;
    expect(shown).toContain('<b>&amp;"\'</b>');
  });
  test('what is no character of a document is replaced', () => {
    expect(escape('a\u0000b\u202ec\ud800d')).toBe('a\ufffdb\ufffdc\ufffdd');
    expect(escape('😀\tü\n')).toBe('😀\tü\n');
  });
  test('html escapes in lists, too, and leaves out what is absent', () => {
    expect(html`<p title="${'"'}">${['<', html`<b>${'>'}</b>`, undefined, false, 0]}</p>`.text).toBe('<p title="&quot;">&lt;<b>&gt;</b>0</p>');
  });
});
