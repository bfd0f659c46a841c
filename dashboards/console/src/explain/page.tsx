import './explain.css';
import { useState } from 'preact/hooks';
import { get, peerPath } from '../api';
import { OfProxy } from '../components/choice';
import { Badge } from '../components/parts';
import { sentence, State } from '../components/states';
import { Table } from '../components/table';
import { usePoll } from '../poll';
import { setQuery } from '../router';
import type { PageProps } from '../routes';
import type { ExplainedEarlier, ExplainedTarget, Explanation, Member } from '../types';
import { type Asked, askedOf, body, label, marked, percent, verdict } from './view';

/** Explain is a form for a request, and what one proxy, chosen among those of the mesh, would do with it. */
export default function Explain({ query }: PageProps) {
  const asked = askedOf(query);
  return (
    <OfProxy title="Explain a request" query={query}>{(member) => (
      <>
        <p class="faint">What the proxy does with a request by the configuration in force. Nothing is sent.</p>
        <Form key={query.toString()} asked={asked} />
        {asked.url && <Answer asked={asked} of={member} />}
      </>
    )}</OfProxy>
  );
}

function Form({ asked }: { asked: Asked }) {
  const [a, set] = useState(asked);
  const change = (part: Partial<Asked>) => set({ ...a, ...part });
  const submit = (e: Event) => {
    e.preventDefault();
    setQuery({ ...a }, false);
  };
  return (
    <form class="explain" aria-label="Request to be explained" onSubmit={submit}>
      <label class="field narrow"><span>Method</span><input type="text" list="methods" value={a.method} placeholder="GET" autocomplete="off" onInput={(e) => change({ method: e.currentTarget.value.trim().toUpperCase() })} /></label>
      <datalist id="methods">{['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map((m) => <option key={m} value={m} />)}</datalist>
      <label class="field url"><span>URL or path</span><input type="text" required value={a.url} placeholder="https://shop.example.com/cart/7" autocomplete="off" spellcheck={false} onInput={(e) => change({ url: e.currentTarget.value.trim() })} /></label>
      <label class="field"><span>Listener</span><input type="text" value={a.listener} placeholder="any" autocomplete="off" onInput={(e) => change({ listener: e.currentTarget.value.trim() })} /></label>
      <label class="field"><span>Client</span><input type="text" value={a.client} placeholder="127.0.0.1" autocomplete="off" onInput={(e) => change({ client: e.currentTarget.value.trim() })} /></label>
      <label class="field lines"><span>Header fields, one a line</span><textarea rows={3} value={a.headers} placeholder="x-user-group: beta" spellcheck={false} onInput={(e) => change({ headers: e.currentTarget.value })} /></label>
      <button type="submit">Explain</button>
    </form>
  );
}

function Answer({ asked, of }: { asked: Asked; of: Member }) {
  const { headers, ...rest } = body(asked);
  const found = usePoll(`explain ${of.address} ${JSON.stringify(asked)}`, 0, (signal) => get<Explanation>(of.self ? '/v1/explain' : peerPath(of.address, '/v1/explain'), { ...rest, header: headers }, signal));
  return (
    <State of={found}>{(e) => (
      <div class="stack" aria-live="polite">
        <section>
          <h2>{verdict(e)}</h2>
          {e.route && <p>It asks for <code>{e.route.match}</code></p>}
          {(e.others ?? []).map((o) => <p key={label(o)}>{percent(o.chance)} goes to {label(o)}</p>)}
          {e.settings && e.settings.length > 0 && <dl class="says">{e.settings.map((s) => <div key={s.key}><dt>{s.key}</dt><dd><code>{s.value}</code></dd></div>)}</dl>}
        </section>
        {e.answer && (
          <section>
            <h2>The proxy itself answers {e.answer.status} {e.answer.grpc_status && `with grpc-status ${e.answer.grpc_status} `}{e.answer.flags && <Badge tone="bad">{e.answer.flags}</Badge>}</h2>
            {e.answer.why && <p>{sentence(e.answer.why)}</p>}
            {e.answer.headers && <pre class="panel">{e.answer.headers.join('\n')}</pre>}
          </section>
        )}
        {(e.targets ?? []).map((t) => <Target key={t.cluster + (t.variant ?? '')} t={t} />)}
        {e.earlier.length > 0 && <Earlier rows={e.earlier} none={!e.route} />}
        <Filters e={e} />
        <Limits e={e} />
        {e.notes && <section><h2>Notes</h2><ul>{e.notes.map((n) => <li key={n}>{sentence(n)}</li>)}</ul></section>}
      </div>
    )}</State>
  );
}

function Target({ t }: { t: ExplainedTarget }) {
  return (
    <section>
      <h2>Cluster {t.cluster} gets {t.chance >= 1 ? 'it' : `${percent(t.chance)} of such requests`}</h2>
      <p>Endpoints from {t.from}, by {t.balance}: {t.endpoints.length === 0 && <span class="faint">none are known</span>}
        {t.endpoints.slice(0, 20).map((x) => <span key={x.address}><code>{x.address}</code>{x.health !== 'healthy' && <> <Badge tone="slow" title={x.why}>{x.health}</Badge></>} </span>)}
        {t.endpoints.length > 20 && <span class="faint">and {t.endpoints.length - 20} more</span>}
      </p>
      {t.sent && <pre class="panel sent" tabIndex={0} aria-label={`The request as cluster ${t.cluster} gets it`}>{marked(t.sent, t.changes).map((l, i) => <span key={i} class={l.mark === '+' ? 'comes' : l.mark === '-' ? 'goes' : ''}>{l.mark} {l.text}{'\n'}</span>)}</pre>}
    </section>
  );
}

function Earlier({ rows, none }: { rows: ExplainedEarlier[]; none: boolean }) {
  return (
    <section>
      <h2>{none ? 'What each route misses' : 'What each route before it misses'}</h2>
      <Table label="Routes that do not take the request" rows={rows} id={(r) => label(r)} most={100} empty="There is none."
        columns={[
          { name: 'Route', sort: (r) => r.number, cell: (r) => label(r) },
          { name: 'Condition', sort: (r) => r.key, cell: (r) => r.key },
          { name: 'It wants', class: 'wide', cell: (r) => <code>{r.wants}{r.key === 'percent' && ' %'}</code> },
          { name: 'The request has', class: 'wide', cell: (r) => r.absent ? <span class="faint">nothing</span> : <code>{r.has}</code> },
        ]} />
    </section>
  );
}

function Filters({ e }: { e: Explanation }) {
  return (
    <section>
      <h2>Filters, in their order</h2>
      <Table label="Filters" rows={e.filters} id={(f) => `${f.of} ${f.name}`} empty="There is none."
        columns={[
          { name: 'Of the', cell: (f) => f.of },
          { name: 'Filter', cell: (f) => f.name },
          { name: 'Settings', class: 'wide', cell: (f) => <code>{f.settings}</code> },
        ]} />
    </section>
  );
}

function Limits({ e }: { e: Explanation }) {
  if (!e.timeouts && !e.retry) return null;
  return (
    <section>
      <h2>Timeouts and retries</h2>
      <dl class="says">
        {(e.timeouts ?? []).map((t) => <div key={t.key}><dt>{t.key}</dt><dd>{t.value}</dd></div>)}
        {e.retry && <div><dt>attempts</dt><dd>at most {e.retry.attempts}, on {e.retry.on.join(', ')}</dd></div>}
      </dl>
    </section>
  );
}
