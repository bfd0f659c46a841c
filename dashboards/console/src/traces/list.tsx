import './list.css';
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Badge, Time } from '../components/parts';
import { count, duration } from '../format';
import { memo } from '../memo';
import { arrow } from '../now/view';
import { href } from '../router';
import { useStore } from '../store';
import type { TraceSummary } from '../types';
import { choose, chosen } from './chosen';
import { reveal, step, visible } from './virtual';

export interface ListProps {
  /** label says what the list is, for screen readers. */
  label: string;
  traces: TraceSummary[];
  empty: ComponentChildren;
  /** reading is told whether somebody is in the list: it is scrolled, or has the focus. */
  reading?: (is: boolean) => void;
}

/**
 * useHeld keeps a list as it is while somebody reads in it: rows that move away under the
 * eyes are of no use. newer is how many have come meanwhile, and show shows them.
 */
export function useHeld(latest: TraceSummary[], hold: boolean): { traces: TraceSummary[]; newer: number; show: () => void } {
  const held = useRef(latest);
  const [, again] = useState(0);
  if (!hold) held.current = latest;
  const newest = held.current[0];
  const at = newest ? latest.findIndex((t) => t.trace_id === newest.trace_id) : 0;
  return {
    traces: held.current, newer: held.current === latest ? 0 : at < 0 ? latest.length : at,
    show: () => {
      held.current = latest;
      document.querySelector('.tlist-body')?.scrollTo(0, 0);
      again((n) => n + 1);
    },
  };
}

/** List shows traces, the latest first. It draws only the rows that are seen: any number of traces will do. */
export function List({ label, traces, empty, reading }: ListProps) {
  const box = useRef<HTMLDivElement>(null);
  const picked = useStore(chosen);
  const [scroll, setScroll] = useState(0);
  const [size, setSize] = useState({ row: 40, view: 600 });
  const [focus, setFocus] = useState(0);
  const wanted = useRef(-1);
  const current = useRef(0); // focus, at once: keys may come faster than rows are drawn
  const inside = useRef({ scrolled: false, focused: false });
  const tell = (change: Partial<typeof inside.current>) => {
    Object.assign(inside.current, change);
    reading?.(inside.current.scrolled || inside.current.focused);
  };

  useLayoutEffect(() => {
    const measure = () => {
      if (box.current) setSize({ row: parseFloat(getComputedStyle(box.current).getPropertyValue('--row')) || 40, view: box.current.clientHeight });
    };
    measure();
    const watch = new ResizeObserver(measure);
    if (box.current) watch.observe(box.current);
    return () => watch.disconnect();
  }, [traces.length === 0]);

  useLayoutEffect(() => {
    if (wanted.current !== focus) return; // the row that was asked for is not drawn yet
    wanted.current = -1;
    box.current?.querySelector<HTMLElement>(`[data-row="${focus}"] a`)?.focus({ preventScroll: true });
  });

  if (traces.length === 0) return <p class="empty">{empty}</p>;
  const letter = (t: TraceSummary) => 'AB'[picked.findIndex((c) => c.id === t.trace_id)];
  const { from, to } = visible(traces.length, size.row, scroll, size.view);
  const at = Math.min(focus, traces.length - 1);

  const onScroll = (e: Event) => {
    const top = (e.currentTarget as HTMLElement).scrollTop;
    setScroll(top);
    tell({ scrolled: top > size.row });
  };
  const onKey = (e: KeyboardEvent) => {
    if (e.ctrlKey || e.metaKey || e.altKey || !(e.target instanceof HTMLElement)) return;
    const row = Math.min(current.current, traces.length - 1);
    if (e.key === 'c') {
      const t = traces[row];
      if (t) choose({ id: t.trace_id, label: labelOf(t) });
      return;
    }
    const next = step(row, e.key, traces.length, Math.max(Math.floor(size.view / size.row) - 1, 1));
    if (next === undefined) return;
    e.preventDefault();
    wanted.current = next;
    current.current = next;
    setFocus(next);
    if (box.current) {
      box.current.scrollTop = reveal(next, size.row, box.current.scrollTop, size.view);
      setScroll(box.current.scrollTop);
    }
  };
  return (
    <div class="tlist" role="table" aria-label={label} aria-rowcount={traces.length + 1}>
      <div role="rowgroup" class="tlist-head">
        <div role="row" class="tlist-row" aria-rowindex={1}>
          <span role="columnheader" class="pick"><span class="sr">Compare</span></span>
          <span role="columnheader">Time</span>
          <span role="columnheader" class="num">Took</span>
          <span role="columnheader">Status</span>
          <span role="columnheader">Request</span>
          <span role="columnheader" class="why">Who is at fault</span>
          <span role="columnheader" class="num hops">Hops</span>
        </div>
      </div>
      <div role="rowgroup" class="tlist-body" ref={box} onScroll={onScroll} onKeyDown={onKey}
        onFocusIn={() => tell({ focused: true })} onFocusOut={(e) => { if (e.relatedTarget || wanted.current < 0) tell({ focused: e.relatedTarget instanceof Node && !!box.current?.contains(e.relatedTarget) }); }}>
        <div role="presentation" class="tlist-all" style={{ height: `${traces.length * size.row}px` }}>
          {traces.slice(from, to).map((t, i) => (
            <Row key={t.trace_id} trace={t} letter={letter(t)} index={from + i} top={(from + i) * size.row} reachable={from + i === at} focused={() => { current.current = from + i; setFocus(from + i); }} />
          ))}
        </div>
      </div>
    </div>
  );
}

export const labelOf = (t: TraceSummary) => `${t.start.slice(11, 19)} ${t.service} ${t.path}, ${duration(t.duration_ns)}`;

interface RowProps { trace: TraceSummary; letter?: string; index: number; top: number; reachable: boolean; focused: () => void }

const Row = memo(({ trace: t, letter, index, top, reachable, focused }: RowProps) => {
  const tone = t.failed ? 'bad' : t.slow ? 'slow' : '';
  return (
    <div role="row" class={`tlist-row ${tone} ${letter ? 'picked' : ''}`} aria-rowindex={index + 2} data-row={index} style={{ transform: `translateY(${top}px)` }}>
      <span role="cell" class="pick">
        <input type="checkbox" tabIndex={reachable ? 0 : -1} checked={!!letter} aria-label={`Compare ${labelOf(t)}`} title="Compare (c)" onChange={() => choose({ id: t.trace_id, label: labelOf(t) })} />
        {letter && <b class="letter">{letter}</b>}
      </span>
      <span role="cell" class="when"><Time at={t.start} ms /></span>
      <span role="cell" class="num took">{duration(t.duration_ns)}</span>
      <span role="cell" class={`status ${t.failed ? 'bad' : ''}`}>{t.grpc_status !== null && t.grpc_status !== undefined ? `gRPC ${t.grpc_status}` : t.status || '–'}</span>
      <span role="cell" class="what">
        <a href={href(['trace', t.trace_id])} tabIndex={reachable ? 0 : -1} onFocus={focused} title={`${t.method} ${t.host}${t.path}`}><b>{t.service}</b> {t.method} {t.path}</a>
      </span>
      <span role="cell" class="why">
        {t.culprit ? <span title={t.failure_reason}><b>{arrow(t.culprit.edge)}</b> {t.failure_reason}</span> : t.slow && <Badge tone="slow">slow</Badge>}
      </span>
      <span role="cell" class="num hops faint">{count(t.hops)}</span>
    </div>
  );
});

/** CompareBar says which traces are chosen, and leads to both. */
export function CompareBar() {
  const all = useStore(chosen);
  const [a, b] = all;
  if (!a) return null;
  return (
    <div class="comparing" role="region" aria-label="Compare">
      <ul>{all.map((c, i) => <li key={c.id}><b class="letter">{'AB'[i]}</b> <span class="name">{c.label}</span> <button type="button" class="icon" aria-label={`Do not compare ${c.label}`} onClick={() => choose(c)}>×</button></li>)}</ul>
      {b ? <a class="button primary" href={href(['compare', a.id, b.id])}>Compare A with B</a> : <span class="faint">Choose another one to compare with.</span>}
    </div>
  );
}
