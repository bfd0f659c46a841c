import { afterEach, describe, expect, test, vi } from 'vitest';
import { ApiError, lines } from '../api';
import type { TraceSummary } from '../types';
import { add, count, empty, type Line, matches, mostAside, mostShown, rateOf, resume } from './feed';
import { follow, type State } from './follow';

const t = (id: number, more: Partial<TraceSummary> = {}) => ({ trace_id: String(id), service: 'web', method: 'GET', host: 'shop', path: '/buy', status: 200, failed: false, slow: false, failure_reason: '', culprit: null, ...more }) as TraceSummary;

describe('feed', () => {
  test('the latest comes first, and the list is bounded', () => {
    let f = add(empty, [t(1), t(2, { failed: true })], false);
    expect(f.shown.map((x) => x.trace_id)).toEqual(['2', '1']);
    f = add(f, Array.from({ length: mostShown + 5 }, (_, i) => t(10 + i)), false);
    expect(f.shown).toHaveLength(mostShown);
    expect(f).toMatchObject({ passed: mostShown + 7, failed: 1 });
  });
  test('what is missed is counted, and a keep-alive is nothing', () => {
    expect(add(empty, [{ missed: 3 }, {}, { missed: 4 }], false).missed).toBe(7);
    expect(add(empty, [{}], false)).toBe(empty);
  });
  test('while it is paused, what comes is kept aside, and no more than there is room for', () => {
    let f = add(empty, [t(1)], false);
    f = add(f, Array.from({ length: mostAside + 10 }, (_, i) => t(100 + i)), true);
    expect(f.shown).toHaveLength(1);
    expect(f.aside).toHaveLength(mostAside);
    expect(f.forgotten).toBe(10);
    f = resume(f);
    expect(f.shown[0]!.trace_id).toBe(String(100 + mostAside + 9));
    expect(f).toMatchObject({ aside: [], forgotten: 0 });
  });
  test.each([['', true], ['buy', true], ['WEB shop', true], ['bank', false], ['200', true]])('text %j: %s', (text, want) => expect(matches(t(1), text)).toBe(want));
  test('text finds the culprit', () => {
    const failed = t(1, { failed: true, failure_reason: 'refused', culprit: { edge: 'payments -> bank' } as TraceSummary['culprit'] });
    for (const text of ['payments -> bank', 'payments → bank', 'refused failed']) expect(matches(failed, text)).toBe(true);
  });
  test('the rate is of whole seconds', () => {
    let s = count([], 1000, [t(1), t(2, { failed: true })]);
    s = count(s, 1900, [t(3)]);
    s = count(s, 2500, [t(4)] as Line[]);
    expect(rateOf(s, 3000, 2)).toEqual({ passed: 2, failed: 0.5 });
    expect(rateOf(s, 2600, 2)).toEqual({ passed: 1.5, failed: 0.5 });
    expect(count(s, 100_000, [])).toHaveLength(1);
  });
});

describe('follow', () => {
  /** run follows streams, each a list of lines or an error, until there are none. */
  async function run(streams: (number[] | Error)[]) {
    const abort = new AbortController();
    const got: number[] = [], states: State[] = [], waits: number[] = [];
    await follow<number>({
      open: async function* () {
        const next = streams.shift();
        if (!next) { abort.abort(); return; }
        if (next instanceof Error) throw next;
        yield* next;
      },
      line: (l) => got.push(l), state: (s) => states.push(s), signal: abort.signal, now: () => 0, random: () => 0.5,
      wait: async (ms) => { waits.push(ms); },
    });
    return { got, states: states.map((s) => s.kind), waits };
  }
  test('opens the stream again when it ends', async () => {
    expect(await run([[1, 2], [3]])).toEqual({ got: [1, 2, 3], states: ['connecting', 'live', 'waiting', 'connecting', 'live', 'waiting', 'connecting'], waits: [500, 500] });
  });
  test('waits longer each time, and starts anew once a line has come', async () => {
    const down = () => new ApiError('The proxy does not answer', 0);
    expect((await run([...Array.from({ length: 7 }, down), [1], down()])).waits).toEqual([500, 1000, 2000, 4000, 8000, 15_000, 15_000, 500, 1000]);
  });
  test('gives up if it is refused', async () => {
    expect((await run([new ApiError('no', 403), [1]])).states).toEqual(['connecting', 'refused']);
  });
  test('a stream that falls silent is opened again', async () => {
    vi.useFakeTimers();
    try {
      const abort = new AbortController();
      let opened = 0;
      const states: State[] = [];
      const done = follow<number>({
        open: async function* (signal) {
          if (++opened === 2) { abort.abort(); return; }
          yield 1;
          await new Promise((_, fail) => signal.addEventListener('abort', () => fail(new Error('aborted'))));
        },
        line: () => {}, state: (s) => states.push(s), signal: abort.signal, wait: async () => {},
      });
      await vi.advanceTimersByTimeAsync(29_000);
      expect(opened).toBe(1);
      await vi.advanceTimersByTimeAsync(2000);
      await done;
      expect(opened).toBe(2);
      expect(states.find((s) => s.kind === 'waiting')).toMatchObject({ why: 'The stream fell silent' });
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('lines of a stream', () => {
  afterEach(() => { vi.unstubAllGlobals(); });
  const read = async (text: string, size: number) => {
    const bytes = new TextEncoder().encode(text);
    const body = new ReadableStream<Uint8Array>({
      start(c) {
        for (let i = 0; i < bytes.length; i += size) c.enqueue(bytes.slice(i, i + size));
        c.close();
      },
    });
    vi.stubGlobal('fetch', async () => new Response(body));
    const all: unknown[] = [];
    for await (const l of lines('/v1/mesh/tail', {}, new AbortController().signal)) all.push(l);
    return all;
  };
  const text = '{"a":1}\n{}\n\n{"b":"ü €😀\\n"}\n{"c":3}';
  const want = [{ a: 1 }, {}, { b: 'ü €😀\n' }, { c: 3 }];
  test.each([1, 2, 3, 5, 7, 1000])('come in pieces of %d bytes', async (size) => expect(await read(text, size)).toEqual(want));
  test('a line that is no JSON ends the stream', async () => { await expect(read('{"a":1}\nnonsense\n', 4)).rejects.toThrow(); });
});
