import './drawing.css';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Ref } from 'preact';
import { count, duration } from '../format';
import { memo } from '../memo';
import { go, href } from '../router';
import type { Trace } from './hop';
import { end, type Tree } from './tree';
import { around, isTry, ownTime, ownTimes, parts, partText, type Part, type Row, rows, step, sureText, ticks } from './waterfall';

export interface WaterfallProps {
  trace: Trace;
  tree: Tree;
  closed: ReadonlySet<string>;
  setClosed: (closed: Set<string>) => void;
  selected: string;
  select: (id: string) => void;
}

/** Waterfall draws a trace as a tree over time. The keys are those of a treegrid: arrows move, open and close, Enter opens the hop's page. */
export function Waterfall({ trace, tree, closed, setClosed, selected, select }: WaterfallProps) {
  const box = useRef<HTMLDivElement>(null);
  const all = useMemo(() => rows(tree, trace, closed), [tree, trace, closed]);
  const [width, setWidth] = useState(900);
  const focusNext = useRef('');
  const [part, setPart] = useState({ from: 0, to: step });
  const at = Math.max(all.findIndex((r) => r.id === selected), 0);

  useLayoutEffect(() => {
    const watch = new ResizeObserver(([e]) => setWidth(e!.contentRect.width));
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (focusNext.current !== selected) return; // the row that was asked for is not drawn yet
    focusNext.current = '';
    box.current?.querySelector<HTMLElement>('[role="row"][tabindex="0"]')?.focus();
  });

  // Of a large trace only rows around the chosen one are drawn, and more as one comes to them.
  const { from, to } = around(part, at, all.length);
  const foot = useRef<HTMLButtonElement>(null);
  useEffect(() => { if (from !== part.from) setPart({ from, to }); }, [from, to]);
  useEffect(() => {
    if (!foot.current) return;
    const watch = new IntersectionObserver((e) => { if (e.some((x) => x.isIntersecting)) setPart({ from, to: to + step }); }, { rootMargin: '600px' });
    watch.observe(foot.current);
    return () => watch.disconnect();
  }, [from, to, all.length]);

  const toggle = (r: Row) => {
    const next = new Set(closed);
    if (r.open) next.add(r.id);
    else next.delete(r.id);
    setClosed(next);
  };
  const move = (i: number) => {
    const r = all[Math.min(Math.max(i, 0), all.length - 1)];
    if (!r) return;
    focusNext.current = r.id;
    select(r.id);
  };
  const above = (i: number) => {
    let j = i;
    while (j > 0 && all[j]!.level >= all[i]!.level) j--;
    return j;
  };
  const key = (e: KeyboardEvent) => {
    const r = all[at];
    if (!r || e.ctrlKey || e.metaKey || e.altKey) return;
    switch (e.key) {
      case 'ArrowDown': move(at + 1); break;
      case 'ArrowUp': move(at - 1); break;
      case 'Home': move(0); break;
      case 'End': move(all.length - 1); break;
      case 'PageDown': move(at + 10); break;
      case 'PageUp': move(at - 10); break;
      case 'ArrowRight':
        if (r.children > 0 && !r.open) toggle(r);
        else if (r.open) move(at + 1);
        break;
      case 'ArrowLeft':
        if (r.open) toggle(r);
        else move(above(at));
        break;
      case ' ': if (r.children > 0) toggle(r); break;
      case 'Enter': go(href(['trace', trace.trace_id, r.id])); break;
      default: return;
    }
    e.preventDefault();
    e.stopPropagation();
  };
  const until = tree.until;
  const narrow = width < 720;
  const scale = useMemo(() => ticks(until, narrow ? 4 : 6), [until, narrow]);
  return (
    <div class={`wf ${narrow ? 'narrow' : ''}`} role="treegrid" aria-label="Waterfall" aria-rowcount={all.length + 1} ref={box} onKeyDown={key}>
      <div role="row" class="wf-row wf-head" aria-rowindex={1}>
        <span role="columnheader">Hop</span><span role="columnheader" class="req">Request</span><span role="columnheader">Status</span><span role="columnheader" class="num">Took</span>
        <span role="columnheader" class="bars"><span class="sr">Time</span>
          <span class="scale" aria-hidden="true">{scale.map((t) => <span key={t} class={t / until > 0.93 ? 'tick last' : 'tick'} style={{ left: `${t / Math.max(until, 1) * 100}%` }}>{duration(t)}</span>)}</span></span>
      </div>
      {from > 0 && <More text={`Show earlier rows: ${count(from)}`} show={() => setPart({ from: Math.max(from - step, 0), to })} />}
      {all.slice(from, to).map((r, i) => <Line key={r.id} row={r} index={from + i} until={until} scale={scale} current={from + i === at} chosen={r.id === selected} select={() => select(r.id)} toggle={() => toggle(r)} />)}
      {to < all.length && <More at={foot} text={`Show more rows: ${count(all.length - to)}`} show={() => setPart({ from, to: to + step })} />}
    </div>
  );
}

function More({ text, show, at }: { text: string; show: () => void; at?: Ref<HTMLButtonElement> }) {
  return <div role="row"><span role="gridcell"><button ref={at} type="button" class="more" onClick={show}>{text}</button></span></div>;
}

interface LineProps { row: Row; index: number; until: number; scale: number[]; current: boolean; chosen: boolean; select: () => void; toggle: () => void }

/** Line is drawn anew only if something of it changes: a large trace has thousands. */
const Line = memo(({ row: r, index, until, scale, current, chosen, select, toggle }: LineProps) => {
  const guides = r.lines.slice(-10);
  const critical = ownTime(r) > 0;
  return (
    <div role="row" class={`wf-row ${r.note?.culprit ? `culprit ${r.note.tone}` : ''} ${r.sure === 'known' ? '' : 'guess'} ${isTry(r) ? 'try' : ''}`} aria-level={r.level} aria-posinset={r.place} aria-setsize={r.of} aria-rowindex={index + 2}
      aria-expanded={r.children > 0 ? r.open : undefined} aria-selected={chosen} tabIndex={current ? 0 : -1} onClick={select}>
      <span role="gridcell" class="name">
        <span class="guides" aria-hidden="true">
          {guides.map((on, i) => <i key={i} class={on ? 'on' : ''} />)}
          {r.level > 1 && <i class={`elbow ${r.place < r.of ? 'on' : ''}`} />}
        </span>
        {r.children > 0
          ? <button type="button" class="twist" tabIndex={-1} aria-hidden="true" onClick={(e) => { e.stopPropagation(); toggle(); }}>{r.open ? '▾' : '▸'}</button>
          : <span class="twist" />}
        <span class="text" title={r.name}>{r.name}</span>
        {r.sure !== 'known' && <span class="tag" title={sureText[r.sure]}>{r.sure === 'apart' ? 'no caller' : 'inferred'}</span>}
        {r.ends && !r.ends.agree && <span class="tag differ" title={r.ends.text}>ends differ</span>}
        {!r.open && r.children > 0 && <span class="tag">{r.children} below</span>}
      </span>
      <span role="gridcell" class="req faint" title={r.request}>{r.request}</span>
      <span role="gridcell" class={r.failed ? 'status bad' : 'status'} title={r.status}>{r.status}</span>
      <span role="gridcell" class="num took">{duration(r.node.duration)}</span>
      <span role="gridcell" class="bars">
        <Bars row={r} until={until} scale={scale} />
        <span class="sr">{`from ${duration(r.node.start)}${critical ? `, ${duration(ownTime(r))} on the critical path` : ''}${r.alone ? ', only the caller’s end is there' : ''}`}</span>
      </span>
      {r.note && <span role="gridcell" class={`note ${r.note.tone}`} aria-colspan={5}><b aria-hidden="true">{r.note.culprit ? (r.note.tone === 'bad' ? '✗' : '◆') : '!'}</b> {r.note.text}</span>}
    </div>
  );
});

function Bars({ row: r, until, scale }: { row: Row; until: number; scale: number[] }) {
  const x = (at: number) => Math.min(Math.max(at / Math.max(until, 1), 0), 1) * 1000;
  const width = (from: number, to: number) => Math.max(x(to) - x(from), 1.5);
  return (
    <svg viewBox="0 0 1000 20" preserveAspectRatio="none" aria-hidden="true">
      {scale.map((t) => <line key={t} class="grid" x1={x(t)} x2={x(t)} y1="0" y2="20" />)}
      {parts(r).map((p, i) => <rect key={i} class={p.kind} x={x(p.from)} y="4" width={width(p.from, p.to)} height="9"><title>{`${duration(p.to - p.from)} ${partText[p.kind]}`}</title></rect>)}
      {r.sure !== 'known' && <rect class="dashed" x={x(r.node.start)} y="3" width={width(r.node.start, end(r.node))} height="11" />}
      {ownTimes(r).map(([from, to], i) => <rect key={`o${i}`} class="own" x={x(from)} y="16" width={width(from, to)} height="2.5" />)}
    </svg>
  );
}

/** Legend says what the colors of the bars are. */
export function Legend() {
  const kinds: Part['kind'][] = ['connect', 'wait', 'receive', 'proxy'];
  return (
    <ul class="wf-legend" aria-label="Legend">
      {kinds.map((k) => <li key={k}><i class={k} />{partText[k]}</li>)}
      <li><i class="own" />critical path: what the request waited for</li>
      <li><i class="dashed" />inferred</li>
    </ul>
  );
}
