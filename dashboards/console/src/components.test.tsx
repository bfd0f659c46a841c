import { render } from 'preact';
import { act } from 'preact/test-utils';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError } from './api';
import { sortRows, Table } from './components/table';
import { Missing, sentence, State } from './components/states';
import { listenToKeys, shortcuts, useShortcut } from './keys';
import { paused, refresh, usePoll, type Polled } from './poll';

let root: HTMLElement;
beforeEach(() => {
  root = document.createElement('div');
  document.body.append(root);
});
afterEach(() => {
  render(null, root);
  root.remove();
  vi.useRealTimers();
  paused.set(false);
});
const show = (of: preact.ComponentChild) => act(() => render(of, root));

describe('a table', () => {
  const rows = [{ n: 'b', v: 2 }, { n: 'a10', v: undefined }, { n: 'a9', v: 3 }];
  const table = <Table label="Things" rows={rows} id={(r) => r.n} by="Value" down most={2} columns={[
    { name: 'Name', sort: (r) => r.n, cell: (r) => r.n },
    { name: 'Value', number: true, sort: (r) => r.v, cell: (r) => r.v },
  ]} />;
  const names = () => [...root.querySelectorAll('tbody tr')].map((r) => r.firstChild!.textContent);
  const click = (text: string) => act(() => [...root.querySelectorAll('button')].find((b) => b.textContent!.startsWith(text))!.click());

  it('is ordered by its headings, which say so', async () => {
    await show(table);
    expect(names()).toEqual(['a9', 'b']);
    expect(root.querySelector('[aria-sort]')!.getAttribute('aria-sort')).toBe('descending');
    await click('Name');
    expect(names()).toEqual(['a9', 'a10']);
    await click('Name');
    expect(names()).toEqual(['b', 'a10']);
  });
  it('shows more when asked', async () => {
    await show(table);
    await click('Show more');
    expect(names()).toHaveLength(3);
  });
  it('orders what has no value last', () => {
    expect(sortRows(rows, (r) => r.v, false).map((r) => r.n)).toEqual(['b', 'a9', 'a10']);
    expect(sortRows(rows, (r) => r.v, true).map((r) => r.n)).toEqual(['a9', 'b', 'a10']);
  });
});

describe('what is missing', () => {
  it('is named', async () => {
    await show(<Missing of={{ peers: [{ address: 'a:1', service: 'web', instance: '', error: 'nobody listens' }, { address: 'b:1', service: 'pay', instance: '', error: '' }], notes: ['numbers are estimated'] }} />);
    expect(root.textContent).toContain('1 proxy of 2 did not answer');
    expect(root.textContent).toContain('Numbers are estimated.');
  });
  it('is nothing if all is there', async () => {
    await show(<Missing of={{ peers: [], notes: [] }} />);
    expect(root.textContent).toBe('');
  });
  it('keeps an old answer below an error', async () => {
    await show(<State of={{ data: 'old', loading: false, error: new ApiError('it is away', 0) }}>{(d) => <i>{d}</i>}</State>);
    expect(root.textContent).toContain('It is away.');
    expect(root.querySelector('i')!.textContent).toBe('old');
  });
  it('is said in sentences', () => expect(['it broke', 'why?', ''].map(sentence)).toEqual(['It broke.', 'Why?', '']));
});

describe('polling', () => {
  let now: Polled<number>;
  let asked: { key: string; signal: AbortSignal }[];
  let answer: () => Promise<number>;
  function Probe({ name }: { name: string }) {
    now = usePoll(name, 1000, (signal) => {
      asked.push({ key: name, signal });
      return answer();
    });
    return null;
  }
  beforeEach(() => {
    vi.useFakeTimers();
    asked = [];
    answer = async () => asked.length;
  });
  const pass = (ms: number) => act(async () => { await vi.advanceTimersByTimeAsync(ms); });

  it('asks at once and again', async () => {
    await show(<Probe name="a" />);
    await pass(0);
    expect(now).toMatchObject({ data: 1, loading: false });
    await pass(1000);
    expect(now.data).toBe(2);
  });
  it('keeps the last answer while a later one fails', async () => {
    await show(<Probe name="a" />);
    await pass(0);
    answer = async () => { throw new ApiError('away', 0); };
    await pass(1000);
    expect(now).toMatchObject({ data: 1, error: { message: 'away' } });
    answer = async () => 7;
    await pass(1000);
    expect(now.data).toBe(7);
    expect(now.error).toBeUndefined();
  });
  it('aborts what is under way when the question is another', async () => {
    answer = () => new Promise(() => {});
    await show(<Probe name="a" />);
    await pass(0);
    await show(<Probe name="b" />);
    await pass(0);
    expect(asked.map((x) => [x.key, x.signal.aborted])).toEqual([['a', true], ['b', false]]);
  });
  it('stops while it is paused, but answers a wish', async () => {
    await show(<Probe name="a" />);
    await pass(0);
    await act(() => paused.set(true));
    await pass(5000);
    expect(asked).toHaveLength(1);
    await act(() => refresh());
    await pass(0);
    expect(asked).toHaveLength(2);
    await act(() => paused.set(false));
    await pass(0);
    expect(asked).toHaveLength(3);
  });
  it('ends with its component', async () => {
    await show(<Probe name="a" />);
    await pass(0);
    await show(null);
    await pass(5000);
    expect(asked).toHaveLength(1);
    expect(asked[0]!.signal.aborted).toBe(true);
  });
});

describe('keys', () => {
  const pressed: string[] = [];
  function Probe() {
    useShortcut('x', 'do x', () => pressed.push('x'));
    useShortcut('g x', 'go to x', () => pressed.push('g x'));
    return <input />;
  }
  const press = (key: string, target: EventTarget = document.body) => target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
  listenToKeys();

  it('work alone and in a row, but not in a field', async () => {
    await show(<Probe />);
    press('x');
    press('g');
    press('x');
    press('x', root.querySelector('input')!);
    expect(pressed).toEqual(['x', 'g x']);
    expect(shortcuts().map((s) => s.text)).toEqual(['do x', 'go to x']);
    await show(null);
    press('x');
    expect(pressed).toHaveLength(2);
    expect(shortcuts()).toEqual([]);
  });
});
