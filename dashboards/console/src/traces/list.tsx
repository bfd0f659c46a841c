import './list.css';
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Badge, Time } from '../components/parts';
import { count, duration } from '../format';
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
  /** away is told whether it is scrolled away from the latest. */
  away?: (is: boolean) => void;
}

/** List shows traces, the latest first. It draws only the rows that are seen: any number of traces will do. */
export function List({ label, traces, empty, away }: ListProps) {
  const box = useRef<HTMLDivElement>(null);
  const [scroll, setScroll] = useState(0);
  const [size, setSize] = useState({ row: 40, view: 600 });
  const [focus, setFocus] = useState(0);
  const wanted = useRef(false);

  useLayoutEffect(() => {
    const measure = () => {
      if (box.current) setSize({ row: parseFloat(getComputedStyle(box.current).getPropertyValue('--row')) || 40, view: box.current.clientHeight });
    };
    measure();
    const watch = new ResizeObserver(measure);
    if (box.current) watch.observe(box.current);
    return () => watch.disconnect();
  }, [traces.length === 0]);

  useEffect(() => {
    if (!wanted.current) return;
    wanted.current = false;
    box.current?.querySelector<HTMLElement>(`[data-row="${focus}"] a`)?.focus({ preventScroll: true });
  });

  if (traces.length === 0) return <p class="empty">{empty}</p>;
  const { from, to } = visible(traces.length, size.row, scroll, size.view);
  const at = Math.min(focus, traces.length - 1);

  const onScroll = (e: Event) => {
    const top = (e.currentTarget as HTMLElement).scrollTop;
    setScroll(top);
    away?.(top > size.row);
  };
  const onKey = (e: KeyboardEvent) => {
    if (e.ctrlKey || e.metaKey || e.altKey || !(e.target instanceof HTMLElement)) return;
    const row = Number(e.target.closest<HTMLElement>('[data-row]')?.dataset.row ?? at);
    if (e.key === 'c') {
      const t = traces[row];
      if (t) choose({ id: t.trace_id, label: labelOf(t) });
      return;
    }
    const next = step(row, e.key, traces.length, Math.max(Math.floor(size.view / size.row) - 1, 1));
    if (next === undefined) return;
    e.preventDefault();
    wanted.current = true;
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
      <div role="rowgroup" class="tlist-body" ref={box} onScroll={onScroll} onKeyDown={onKey}>
        <div role="presentation" class="tlist-all" style={{ height: `${traces.length * size.row}px` }}>
          {traces.slice(from, to).map((t, i) => (
            <Row key={t.trace_id} trace={t} index={from + i} top={(from + i) * size.row} reachable={from + i === at} focused={() => setFocus(from + i)} />
          ))}
        </div>
      </div>
    </div>
  );
}

export const labelOf = (t: TraceSummary) => `${t.start.slice(11, 19)} ${t.service} ${t.path}, ${duration(t.duration_ns)}`;

function Row({ trace: t, index, top, reachable, focused }: { trace: TraceSummary; index: number; top: number; reachable: boolean; focused: () => void }) {
  const picked = useStore(chosen);
  const letter = 'AB'[picked.findIndex((c) => c.id === t.trace_id)];
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
}

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
