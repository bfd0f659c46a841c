import './now.css';
import { Badge, Bar, Choice, Copy, Sparkline, Time } from '../components/parts';
import { Updated } from '../components/updated';
import { Missing, sentence, State } from '../components/states';
import { Table } from '../components/table';
import { count, duration, percent, plural, rate, ratio, seconds } from '../format';
import { useSeries, useWhy } from '../mesh';
import { edgeHref, href } from '../router';
import type { PageProps } from '../routes';
import type { Cause, Change, SeriesAnswer, Why } from '../types';
import { arrow, ends, failures, headline, lasting, order, partInWords, services, totals, where, what } from './view';

const spans = ['5m', '10m', '30m', '1h'];
const words: Record<string, string> = { '5m': '5 minutes', '10m': '10 minutes', '30m': '30 minutes', '1h': 'hour' };

/** Now says who is at fault for what fails, and what changed; or that nothing fails. */
export default function Now({ query }: PageProps) {
  const since = spans.includes(query.get('since') ?? '') ? query.get('since')! : '10m';
  const why = useWhy(since, 5000);
  const series = useSeries();
  return (
    <div class="now">
      <div class="head">
        <h1>Now</h1>
        <div class="end"><Updated of={why} /><Choice label="Time" name="since" value={since} options={spans} /></div>
      </div>
      <State of={why}>{(w) => <Report why={w} series={series.data} since={since} />}</State>
    </div>
  );
}

function Report({ why, series, since }: { why: Why; series?: SeriesAnswer; since: string }) {
  const h = headline(why, words[since]!);
  const span = seconds(since)!;
  const top = why.causes[0];
  return (
    <>
      <p class="sr" role="status">{h.short}</p>
      <section class={`verdict ${h.tone}`} aria-label="Verdict">
        <h2 class="title">{h.title}</h2>
        <p class="lead">{h.lead}</p>
        {h.numbers && <p class="numbers">{sentence(h.numbers)}{top && why.failed > 0 && <> <Since cause={top} until={why.until} /></>}</p>}
      </section>
      {series && <Totals series={series} span={span} />}
      {why.causes.length > 0 && (
        <section aria-label="Who is at fault">
          <h2>Who is at fault</h2>
          <ol class="causes">
            {why.causes.map((c, i) => <Culprit key={`${c.culprit.edge} ${c.culprit.service} ${c.culprit.kind} ${c.culprit.part}`} cause={c} n={i + 1} why={why} series={series} span={span} />)}
          </ol>
        </section>
      )}
      <Beside why={why} />
      {series && <Services series={series} span={span} />}
      <Missing of={why} />
    </>
  );
}

function Since({ cause, until }: { cause: Cause; until: string }) {
  const l = lasting(cause, until);
  return <span class="nowrap">Since <Time at={cause.first} />{cause.first_is_late ? ' or before' : ''} UTC, <b class={l.on ? 'bad' : ''}>{l.text}</b>.</span>;
}

function Culprit({ cause: c, n, why, series, span }: { cause: Cause; n: number; why: Why; series?: SeriesAnswer; span: number }) {
  const edge = ends(c.culprit);
  const values = failures(c, series, span);
  const part = partInWords(c.culprit.part);
  const l = lasting(c, why.until);
  return (
    <li class="cause panel">
      <div class="who">
        <h3>
          <span class="rank" aria-hidden="true">{n}</span>
          <a href={href(['service', c.culprit.service])}>{c.culprit.service}</a>
          {part && <span class="faint">, {part}</span>}
        </h3>
        <p class="what">{edge ? <a href={edgeHref(edge.caller, edge.service)}>{arrow(c.culprit.edge)}</a> : arrow(c.culprit.edge)}: {c.reason}
          {c.other_reasons > 0 && <span class="faint"> (and {plural(c.other_reasons, 'other reason')} of the same kind)</span>}</p>
        <p class="tags">
          {l.on ? <Badge tone="bad">goes on</Badge> : <Badge>{l.text}</Badge>}
          {c.culprit.kind && <a class="badge" href={href(['help'], { q: c.culprit.kind })} title="What this kind of failure is">{c.culprit.kind}</a>}
          {c.culprit.instance && <Badge title="instance">{c.culprit.instance}</Badge>}
          {c.inferred && <Badge tone="slow" title="Found by times, without ids that were passed on">inferred from the time</Badge>}
        </p>
      </div>
      <div class="share">
        <p><b>{percent(c.share)}</b> <span class="faint">{plural(c.requests, 'request')}</span></p>
        <Bar share={c.share} />
        {values?.some((v) => v > 0) && <Sparkline values={values} label={`Failures of ${c.culprit.service} over time: ${count(values.reduce((a, b) => a + b, 0))} in all, at most ${count(Math.max(...values))} at once`} />}
        <p class="faint small">since <Time at={c.first} />{c.first_is_late && ' or before'}</p>
      </div>
      <dl class="facts">
        {c.common.length > 0 && <Fact name="In common">{c.common.map((x) => <p key={x.text} class="common">{sentence(x.text)}</p>)}</Fact>}
        {c.changed.length > 0 && <Fact name="Changed before"><Changes of={c.changed} /></Fact>}
        {c.then.length > 0 && <Fact name="Came of it"><Changes of={c.then} /></Fact>}
        {c.suffering.length > 0 && (
          <Fact name="Who suffers">
            {c.suffering.map((s) => <p key={`${s.service} ${s.method} ${s.route}`}><a href={href(['service', s.service])}>{s.service}</a> <code>{`${s.method} ${s.route}`.trim()}</code> <span class="faint">{count(s.failed)} of {count(s.requests)}, {percent(ratio(s.failed, s.requests))}</span></p>)}
          </Fact>
        )}
        {c.relays.length > 0 && <Fact name="Through"><p>{c.relays.map((r, i) => <>{i > 0 && ', '}<a href={href(['service', r])}>{r}</a></>)} <span class="faint">only relayed it</span></p></Fact>}
        {c.trace_id && (
          <Fact name="Example">
            <p><a class="button primary" href={href(['trace', c.trace_id])}>Show a failed request</a> <Copy text={c.next || `hopscope trace ${c.trace_id}`}>Copy as a command</Copy></p>
          </Fact>
        )}
      </dl>
    </li>
  );
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return <div><dt>{name}</dt><dd>{children}</dd></div>;
}

function Changes({ of }: { of: Change[] }) {
  return <>{of.map((e) => <p key={e.time + e.text}><Time at={e.time} /> <span class="faint">{order(e)}, at {where(e.services)}:</span> {e.text}{e.count > e.services.length && ` (${e.count} times)`}</p>)}</>;
}

function Totals({ series, span }: { series: SeriesAnswer; span: number }) {
  const t = totals(series, span);
  if (!t || t.requests === 0) return null;
  return (
    <dl class="totals">
      <div><dt>Requests</dt><dd>{rate(t.perSecond)}</dd><dd class="more"><Sparkline values={t.trend} tone="plain" label={`${count(t.requests)} requests over time`} /></dd></div>
      <div><dt>Failed</dt><dd>{t.failing > 0 ? <a class="bad" href={href(['traces'], { failed: '1' })}>{percent(t.failing)}</a> : percent(0)}</dd></div>
      <div><dt>Slow</dt><dd>{t.slow > 0 ? <a class="slow" href={href(['traces'], { slow: '1' })}>{percent(ratio(t.slow, t.requests))}</a> : percent(0)}</dd></div>
      {t.entries.map((e) => (
        <div key={e.service}><dt>p99 at <a href={href(['service', e.service])}>{e.service}</a></dt><dd>{duration(e.p99)}</dd><dd class="more">p50 {duration(e.p50)}, p99 at worst {duration(e.worst)}</dd></div>
      ))}
    </dl>
  );
}

/** Beside is what is not about one cause. */
function Beside({ why }: { why: Why }) {
  const mended = why.recovered_causes[0];
  if (why.not_at_fault.length === 0 && why.lost_context.length === 0 && why.recovered === 0) return null;
  return (
    <div class="grid beside">
      {why.not_at_fault.length > 0 && (
        <section class="panel"><h2>Not at fault</h2>
          <p>{why.not_at_fault.map((s, i) => <>{i > 0 && ', '}<a href={href(['service', s])}>{s}</a></>)}</p>
          <p class="faint">They only relayed failures of others.</p></section>
      )}
      {why.recovered > 0 && (
        <section class="panel"><h2>Recovered</h2>
          <p>{plural(why.recovered, 'request')} had a failure inside, and went well: a retry or an application made it good.</p>
          {mended && <p class="faint">{count(mended.requests)} of them: <a href={mended.trace_id ? href(['trace', mended.trace_id]) : undefined}>{what(mended)}</a></p>}</section>
      )}
      {why.lost_context.length > 0 && (
        <section class="panel"><h2>Trace context is lost</h2>
          {why.lost_context.map((l) => <p key={l.service}><a href={href(['service', l.service])}>{l.service}</a>: {sentence(l.reason)}</p>)}
          <p class="faint">Traces break there, until it passes <code>traceparent</code> on.</p></section>
      )}
    </div>
  );
}

function Services({ series, span }: { series: SeriesAnswer; span: number }) {
  const rows = services(series, span);
  return (
    <section>
      <h2>Services</h2>
      <Table label="Services, those at fault first" rows={rows} id={(r) => r.service} most={50} rowClass={(r) => r.blamed > 0 ? 'fault' : undefined} empty="No service has been seen yet."
        columns={[
          { name: 'Service', sort: (r) => r.service, cell: (r) => <><a href={href(['service', r.service])}>{r.service}</a>{!r.proxied && <> <Badge title="No proxy of it was seen: what is known of it is what its callers saw">no proxy</Badge></>}</> },
          { name: 'Requests', number: true, sort: (r) => r.perSecond, cell: (r) => rate(r.perSecond) },
          { name: 'Failed', number: true, sort: (r) => r.failing, cell: (r) => <span class={r.failed > 0 ? 'bad' : 'faint'}>{percent(r.failing)}</span> },
          { name: 'At fault', number: true, sort: (r) => r.blamed, cell: (r) => r.blamed > 0 ? <b class="bad">{count(r.blamed)}</b> : <span class="faint">0</span>, help: 'Failures that this service itself made' },
          { name: 'Slow', number: true, sort: (r) => r.slow, cell: (r) => r.slow > 0 ? <span class="slow">{count(r.slow)}</span> : <span class="faint">0</span> },
          { name: 'p50', number: true, sort: (r) => r.p50, cell: (r) => duration(r.p50) },
          { name: 'p99', number: true, sort: (r) => r.p99, cell: (r) => duration(r.p99) },
          { name: 'Failures', cell: (r) => r.failed > 0 ? <Sparkline values={r.trend} label={`${count(r.failed)} failures over time`} /> : <span class="faint">none</span>, class: 'trend' },
        ]} />
    </section>
  );
}
