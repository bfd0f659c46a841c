import './trace.css';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { get } from '../api';
import { Badge, Copy, Time } from '../components/parts';
import { Missing, sentence, State } from '../components/states';
import { dateTime, duration, plural } from '../format';
import { useShortcut } from '../keys';
import { go, href } from '../router';
import type { PageProps } from '../routes';
import type { TracesAnswer } from '../types';
import { candidate, choose, chosen } from './chosen';
import { curl } from './curl';
import { Legend, Waterfall } from './drawing';
import { fileName, page } from './export';
import { type Fact, short } from './facts';
import { request, status, type Trace } from './hop';
import { save, useTrace, useWords } from './load';
import { build, type Tree } from './tree';
import { missing, type Verdict, verdict } from './verdict';
import { closedAtFirst, parents, type Row, rowOf, rows } from './waterfall';

/** TracePage shows a trace: who is at fault, and what each hop did. */
export default function TracePage({ params, query }: PageProps) {
  const id = params.id!;
  const found = useTrace(id);
  return (
    <div class="trace">
      <State of={found}>{(trace) => <Shown key={trace.trace_id} trace={trace} span={query.get('span') ?? ''} />}</State>
    </div>
  );
}

function Shown({ trace, span }: { trace: Trace; span: string }) {
  const tree = useMemo(() => build(trace.trace_id, trace.hops), [trace]);
  const v = useMemo(() => verdict(trace, tree), [trace, tree]);
  const gaps = useMemo(() => missing(trace, tree), [trace, tree]);
  const words = useWords();
  const [closed, setClosed] = useState(() => closedAtFirst(tree, [v.span, span]));
  const [selected, select] = useState(() => rowOf(tree, span) ?? rowOf(tree, v.span) ?? tree.roots[0]?.id ?? '');
  const all = useMemo(() => rows(tree, trace, new Set()), [tree, trace]);
  const row = all.find((r) => r.id === selected);
  const root = tree.roots[0];
  const show = (id: string) => {
    const n = tree.all.get(id);
    if (!n) return;
    const up = new Set(parents(n));
    setClosed(new Set([...closed].filter((c) => !up.has(c))));
    select(id);
  };
  if (!root) return <Unknown trace={trace} />;
  return (
    <>
      <div class="head">
        <h1>{request(root.hop) || 'A trace'} <Badge tone={trace.failed ? 'bad' : trace.slow ? 'slow' : 'good'}>{status(root.hop)} in {duration(root.duration)}</Badge></h1>
        <div class="end"><Actions trace={trace} tree={tree} /></div>
      </div>
      <p class="about faint">
        <span>Trace <code>{trace.trace_id}</code> <Copy text={trace.trace_id}>Copy</Copy></span>
        <span title={dateTime(root.hop.start)}><Time at={root.hop.start} ms /> UTC</span>
        <span>{plural(tree.hops, 'hop')} of {plural(new Set(trace.hops.map((h) => h.service)).size, 'service')}</span>
        <span>entered at {root.hop.service}</span>
      </p>
      <Said verdict={v} words={(f) => words(f, 'flag')?.title} show={() => { const at = rowOf(tree, v.span); if (at) show(at); }} />
      {gaps.length > 0 && <aside class="missing" aria-label="What of the trace is missing">{gaps.map((g) => <p key={g}>{sentence(g)}</p>)}</aside>}
      <section aria-label="Waterfall">
        <div class="wf-bar">
          <h2>Waterfall</h2>
          <Fold all={all} tree={tree} keep={v.span} closed={closed} setClosed={setClosed} />
        </div>
        <div class="split">
          <div class="main">
            <Waterfall trace={trace} tree={tree} closed={closed} setClosed={setClosed} selected={selected} select={select} />
            <Legend />
          </div>
          {row && <Aside row={row} trace={trace} facts={short(row, words)} />}
        </div>
      </section>
      <Missing of={trace} />
    </>
  );
}

function Unknown({ trace }: { trace: Trace }) {
  return (
    <>
      <h1>Trace {trace.trace_id}</h1>
      <p class="empty">No proxy knows a hop of this trace. Its hops were neither failed nor slow and had to make room, or it passed other proxies.</p>
      <Missing of={trace} />
    </>
  );
}

/** Said is the verdict, in a sentence, and what speaks for it. */
function Said({ verdict: v, words, show }: { verdict: Verdict; words: (flag: string) => string | undefined; show: () => void }) {
  return (
    <section class={`verdict ${v.tone === 'plain' ? '' : v.tone} said`} aria-label="Verdict">
      <h2 class="title">{v.sentence}</h2>
      {v.more.map((m) => <p key={m}>{sentence(m)}</p>)}
      {v.flags.length > 0 && <p>{v.flags.map((f) => <span key={f} class="flag"><Badge tone="bad">{f}</Badge> {words(f)}</span>)}</p>}
      {v.evidence.length > 0 && <ul>{v.evidence.map((e) => <li key={e}>{sentence(e)}</li>)}</ul>}
      {v.doubts.map((d) => <p key={d} class="doubt">{sentence(d)}</p>)}
      {v.span && v.tone !== 'good' && <button type="button" onClick={show}>Show it in the waterfall</button>}
    </section>
  );
}

function Fold({ all, tree, keep, closed, setClosed }: { all: Row[]; tree: Tree; keep: string; closed: ReadonlySet<string>; setClosed: (c: Set<string>) => void }) {
  const fold = () => {
    const n = tree.all.get(keep);
    const open = new Set(n ? parents(n) : []);
    setClosed(new Set(all.filter((r) => r.children > 0 && r.level > 1 && !open.has(r.id)).map((r) => r.id)));
  };
  return (
    <span class="fold">
      <button type="button" class="quiet" onClick={() => setClosed(new Set())} disabled={closed.size === 0}>Open all</button>
      <button type="button" class="quiet" onClick={fold}>Close all but the verdict’s</button>
    </span>
  );
}

function Actions({ trace, tree }: { trace: Trace; tree: Tree }) {
  const [said, say] = useState('');
  const root = tree.roots[0]!;
  const h = root.hop;
  const me = { id: trace.trace_id, label: `${h.start.slice(11, 19)} ${h.service} ${h.path ?? ''}, ${duration(root.duration)}` };
  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => say(''), 5000);
    return () => clearTimeout(timer);
  }, [said]);
  const other = () => {
    if (!chosen.get().some((c) => c.id === me.id)) choose(me);
    go(href(['traces'], { service: h.service }));
  };
  const good = async () => {
    try {
      const { traces } = await get<TracesAnswer>('/v1/mesh/traces', { service: h.service, limit: 1000 });
      const id = candidate({ id: trace.trace_id, service: h.service, method: h.method ?? '', path: h.path ?? '' }, traces);
      if (id) go(href(['compare', trace.trace_id, id]));
      else say('No recent trace of this kind went well.');
    } catch (e) {
      say(String(e instanceof Error ? e.message : e));
    }
  };
  useShortcut('c', 'compare this trace with one that went well', () => void good());
  return (
    <>
      <span class="faint" role="status">{said}</span>
      <button type="button" onClick={() => void good()}>Compare with a good one</button>
      <button type="button" onClick={other}>Compare with …</button>
      <Copy text={curl(h)}>Copy as curl</Copy>
      <button type="button" class="quiet" onClick={() => save(fileName(trace, 'json'), 'application/json', JSON.stringify(trace, null, 2))}>JSON</button>
      <button type="button" class="quiet" title="One file for the incident channel: it needs no script and no network" onClick={() => save(fileName(trace, 'html'), 'text/html', page(trace, tree, new Date()))}>HTML file</button>
    </>
  );
}

function Aside({ row, trace, facts }: { row: Row; trace: Trace; facts: Fact[] }) {
  return (
    <aside class="aside panel" aria-label="The chosen hop">
      <h3>{row.name}</h3>
      <FactList facts={facts} trace={trace.trace_id} />
      <a class="button" href={href(['trace', trace.trace_id, row.id])}>Everything recorded</a>
    </aside>
  );
}

export function FactList({ facts, trace }: { facts: Fact[]; trace: string }) {
  return (
    <dl class="facts">
      {facts.map((f, i) => (
        <div key={`${f.name}${i}`}>
          <dt>{f.name}</dt>
          <dd>{f.span ? <a href={href(['trace', trace, f.span])}>{f.text}</a> : f.code ? <code>{f.text}</code> : f.text}{f.why && <span class="faint"> {f.why}</span>}</dd>
        </div>
      ))}
    </dl>
  );
}
