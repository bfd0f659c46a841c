import './trace.css';
import { useMemo } from 'preact/hooks';
import { ApiError } from '../api';
import { Badge, Copy } from '../components/parts';
import { ErrorBox, State } from '../components/states';
import { duration } from '../format';
import { href } from '../router';
import type { PageProps } from '../routes';
import { curl } from './curl';
import { ofAttempt, ofHop } from './facts';
import type { Trace } from './hop';
import { useTrace, useWords } from './load';
import { FactList } from './trace';
import { build, callee, type Node } from './tree';
import { nameOf, rows } from './waterfall';

/** HopPage shows everything that is recorded of a hop, in words, and as it was recorded. */
export default function HopPage({ params }: PageProps) {
  const found = useTrace(params.id!);
  return <div class="hop"><State of={found}>{(trace) => <Shown trace={trace} span={params.span!} />}</State></div>;
}

function Shown({ trace, span }: { trace: Trace; span: string }) {
  const tree = useMemo(() => build(trace.trace_id, trace.hops), [trace]);
  const words = useWords();
  const found = tree.all.get(span);
  const n = found?.attempt ? found.parent! : found;
  const row = n && rows(tree, trace).find((r) => r.node === n);
  if (!n || !row) return <ErrorBox error={new ApiError('This trace has no such hop', 404, `No hop or attempt has the span ${span}.`)} />;
  const tries = n.children.filter((c) => c.attempt);
  const meanings = [...ofHop(row, words)];
  return (
    <>
      <div class="head">
        <h1>{nameOf(n)} <Badge tone={row.failed ? 'bad' : 'plain'}>{row.status} in {duration(n.duration)}</Badge></h1>
        <div class="end"><Copy text={curl(n.hop)}>Copy as curl</Copy><Copy text={JSON.stringify(n.hop, null, 2)}>Copy JSON</Copy></div>
      </div>
      <p class="ways">
        <a href={href(['trace', trace.trace_id], { span })}>← Back to the trace</a>
        <Ways n={n} id={trace.trace_id} />
      </p>
      {row.note && <p class={row.note.tone}>{row.note.text}</p>}
      <div class="columns">
        {meanings.map((f) => <section key={f.title} class="panel"><h2>{f.title}</h2><FactList facts={f.facts} trace={trace.trace_id} /></section>)}
        {tries.map((c) => {
          const f = ofAttempt(c, tries.length, words);
          return <section key={c.id} class="panel"><h2>{f.title}</h2><FactList facts={f.facts} trace={trace.trace_id} /></section>;
        })}
        {tries.length === 0 && <section class="panel"><h2>Attempts</h2><p class="empty">None: the proxy answered itself.</p></section>}
      </div>
      <section><h2>As it was recorded</h2><pre class="panel raw" tabIndex={0}>{JSON.stringify(n.hop, null, 2)}</pre></section>
    </>
  );
}

/** Ways lead to the caller, the callees and the other end of the connection. */
function Ways({ n, id }: { n: Node; id: string }) {
  const up = n.parent?.attempt ? n.parent.parent : n.parent;
  const down = n.children.flatMap((c) => c.attempt ? c.children : [c]);
  return (
    <>
      {up && <a href={href(['trace', id, up.id])}>↑ {nameOf(up)}</a>}
      {down.map((c) => <a key={c.id} href={href(['trace', id, c.id])}>↓ {c.hop.direction === 'inbound' ? c.hop.service : `${c.hop.service} → ${callee(c)}`}</a>)}
    </>
  );
}
