import './comparison.css';
import { useMemo } from 'preact/hooks';
import { Badge, Time } from '../components/parts';
import { ErrorBox, Loading, Missing } from '../components/states';
import { duration, plural } from '../format';
import { usePoll } from '../poll';
import { href, setQuery } from '../router';
import type { PageProps } from '../routes';
import { align, different, type Difference, failedIn, largest, own, type Pair } from './compare';
import { request, status, type Trace } from './hop';
import { loadTrace } from './load';
import { build, type Node, type Tree } from './tree';

/** Comparison puts two traces side by side, call by call. */
export default function Comparison({ params, query }: PageProps) {
  const a = usePoll(`trace ${params.a}`, 0, (signal) => loadTrace(params.a!, signal));
  const b = usePoll(`trace ${params.b}`, 0, (signal) => loadTrace(params.b!, signal));
  return (
    <div class="compare">
      <div class="head">
        <h1>Compare</h1>
        <div class="end"><a class="button" href={href(['compare', params.b!, params.a!], query)}>Swap A and B</a></div>
      </div>
      {a.error && <ErrorBox error={a.error} />}
      {b.error && <ErrorBox error={b.error} />}
      {a.data && b.data ? <Both a={a.data} b={b.data} all={query.get('rows') !== 'differ'} /> : !a.error && !b.error && <Loading />}
    </div>
  );
}

function Both({ a, b, all }: { a: Trace; b: Trace; all: boolean }) {
  const [treeA, treeB] = useMemo(() => [build(a.trace_id, a.hops), build(b.trace_id, b.hops)], [a, b]);
  const pairs = useMemo(() => align(treeA, treeB), [treeA, treeB]);
  const says = largest(a, b, treeA, treeB, pairs);
  const shown = all ? pairs : pairs.filter(different);
  const until = Math.max(treeA.until, treeB.until);
  const differing = pairs.filter(different).length;
  return (
    <>
      <section class="verdict said" aria-label="The largest difference">
        <h2 class="title">{says[0]}</h2>
        {says.slice(1).map((s) => <p key={s}>{s}</p>)}
      </section>
      <div class="sides"><Side letter="A" trace={a} tree={treeA} /><Side letter="B" trace={b} tree={treeB} /></div>
      <div class="wf-bar">
        <h2>Call by call</h2>
        <label class="check"><input type="checkbox" checked={!all} onChange={(e) => setQuery({ rows: e.currentTarget.checked ? 'differ' : undefined })} /> Only the {differing} of {pairs.length} that differ</label>
      </div>
      {shown.length === 0 ? <p class="empty">No call differs.</p> : (
        <div class="pairs" role="table" aria-label="Calls of both traces">
          <div role="row" class="pair pairs-head"><span role="columnheader">Call</span><span role="columnheader">A</span><span role="columnheader">B</span><span role="columnheader">What differs</span></div>
          {shown.map((p) => <Line key={p.id} pair={p} until={until} a={a.trace_id} b={b.trace_id} />)}
        </div>
      )}
      <Missing of={a} />
      <Missing of={b} />
    </>
  );
}

function Side({ letter, trace, tree }: { letter: string; trace: Trace; tree: Tree }) {
  const root = tree.roots[0];
  return (
    <section class="panel" aria-label={`Trace ${letter}`}>
      <h2><b class="letter">{letter}</b> <a href={href(['trace', trace.trace_id])}>{root ? `${root.hop.service} ${request(root.hop)}` : trace.trace_id}</a></h2>
      {root && <p><Badge tone={trace.failed ? 'bad' : trace.slow ? 'slow' : 'good'}>{status(root.hop)} in {duration(root.duration)}</Badge> <span class="faint"><Time at={root.hop.start} ms /> UTC, {plural(tree.hops, 'hop')}</span></p>}
      <p class="faint"><code>{trace.trace_id}</code></p>
    </section>
  );
}

function Line({ pair: p, until, a, b }: { pair: Pair; until: number; a: string; b: string }) {
  return (
    <div role="row" class={`pair ${p.differs.length > 0 ? 'differs' : ''}`}>
      <span role="cell" class="name" style={{ paddingLeft: `${0.75 + Math.min(p.level - 1, 10) * 0.85}rem` }}><b>{p.name}</b> <span class="faint">{p.request}</span></span>
      <Half letter="A" node={p.a} trace={a} until={until} />
      <Half letter="B" node={p.b} trace={b} until={until} />
      <span role="cell" class="what">{p.differs.map((d) => <Badge key={d.kind} tone={tones[d.kind]}>{d.text}</Badge>)}</span>
    </div>
  );
}

const tones: Record<Difference['kind'], 'bad' | 'slow' | 'accent' | 'plain'> = { only: 'accent', unseen: 'plain', status: 'bad', flags: 'bad', endpoint: 'plain', retries: 'slow', duration: 'slow' };

function Half({ letter, node: n, trace, until }: { letter: string; node?: Node; trace: string; until: number }) {
  if (!n) return <span role="cell" class="half none"><span class="faint"><b class="only">{letter}</b> not there</span></span>;
  const x = (at: number) => Math.min(Math.max(at / Math.max(until, 1), 0), 1) * 1000;
  return (
    <span role="cell" class="half">
      <span class="nums"><b class="only">{letter}</b> <a href={href(['trace', trace, n.id])} class={failedIn(n) ? 'bad' : ''}>{status(n.hop)} in {duration(n.duration)}</a> <span class="faint">{own(n) > 0 && `${duration(own(n))} own`}</span></span>
      <svg viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true"><rect class="all" x="0" y="4.5" width="1000" height="1" /><rect class={failedIn(n) ? 'took bad' : 'took'} x={x(n.start)} y="1" width={Math.max(x(n.start + n.duration) - x(n.start), 2)} height="8" /></svg>
    </span>
  );
}
