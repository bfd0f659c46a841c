import '../service/service.css';
import { useMemo } from 'preact/hooks';
import { Chart } from '../components/chart';
import { Badge, Choice } from '../components/parts';
import { Empty, Loading, Missing, State } from '../components/states';
import { Updated } from '../components/updated';
import { count, duration, percent, rate, seconds } from '../format';
import { usePeers, useSeries, useWhy } from '../mesh';
import { ends } from '../now/view';
import { href } from '../router';
import type { PageProps } from '../routes';
import { red, starts, tail, windowsOf } from '../series';
import { Blame } from '../service/blame';
import { useConfigs } from '../service/data';
import { Endpoints } from '../service/endpoints';
import { charts, endpoints, sameEdge } from '../service/view';
import type { Member, Series, SeriesAnswer } from '../types';

const spans = ['5m', '15m', '1h'];

/** Edge puts side by side what the caller saw of its calls, and what the callee saw of all that it got. */
export default function Edge({ params, query }: PageProps) {
  const caller = params.caller === '~' ? '' : params.caller!, name = params.name!;
  const edge = { caller, service: name };
  const since = spans.includes(query.get('since') ?? '') ? query.get('since')! : '15m';
  const series = useSeries();
  const why = useWhy(since);
  const peers = usePeers();
  const configs = useConfigs(peers.data?.peers, (m: Member) => m.service === caller);
  const shown = caller || 'clients';
  return (
    <>
      <div class="head">
        <h1>{caller ? <a href={href(['service', caller])}>{caller}</a> : 'clients'} → <a href={href(['service', name])}>{name}</a></h1>
        <div class="end"><Updated of={series} /><Choice label="Time" name="since" value={since} options={spans} /></div>
      </div>
      <Blame why={why.data} fits={(c) => { const e = ends(c.culprit); return !!e && sameEdge(e, edge); }} since={since} />
      <State of={series}>{(s) => {
        const from = s.edges.find((e) => sameEdge(e, edge)), to = s.services.find((x) => x.service === name);
        if (!from) return <Empty>No request from {shown} to {name} has been seen in the last hour. <a href={href(['map'])}>The map</a> has the edges that are known.</Empty>;
        return (
          <>
            <Between s={s} from={from} to={to} since={since} shown={shown} name={name} />
            <div class="sides">
              <Side title={caller ? `As ${caller} sees it` : 'As clients are answered'} help={`What proxies of ${shown === 'clients' ? name : shown} counted of the calls from ${shown} to ${name}`} s={s} of={from} since={since} />
              {to && to.proxied !== false
                ? <Side title={`As ${name} sees it`} help={`What the proxies of ${name} counted, of all its callers`} s={s} of={to} since={since} note="of all its callers" />
                : <section class="panel"><h2>As {name} sees it</h2><p><Badge>no proxy</Badge></p><p class="faint">No proxy of {name} was seen. With one in front of it, this page would show how much of the time and of the failures is its own, and how much is the way to it.</p></section>}
            </div>
          </>
        );
      }}</State>
      {caller && (
        <section>
          <h2>Endpoints of {name}, as {caller} knows them</h2>
          {configs.data ? <Endpoints rows={endpoints(configs.data.held, name)} configs={configs.data} label={`Endpoints of ${name} as ${caller} knows them`} /> : <Loading />}
        </section>
      )}
      <p><a href={href(['traces'], { service: name })}>Traces of {name}</a>{caller && <>, <a href={href(['traces'], { service: caller })}>of {caller}</a></>}</p>
      {series.data && <Missing of={series.data} />}
    </>
  );
}

/** Between says how much of the time is the way: what the callee does not see. */
function Between({ s, from, to, since, shown, name }: { s: SeriesAnswer; from: Series; to?: Series; since: string; shown: string; name: string }) {
  const n = windowsOf(s, seconds(since)!);
  const a = red(from, s.window_ns, s.windows - n, s.windows);
  const b = to && to.proxied !== false ? red(to, s.window_ns, s.windows - n, s.windows) : undefined;
  const way = a.p50 !== undefined && b?.p50 !== undefined && shown !== 'clients' ? a.p50 - b.p50 : undefined;
  if (way === undefined || way < a.p50! / 50) return null; // less than percentiles of a histogram can tell
  return <p class="faint">Half of the calls take {duration(a.p50)} for {shown}, and {duration(b!.p50)} within {name}: about {duration(way)} is the way between them, and the proxies.</p>;
}

function Side({ title, help, s, of, since, note }: { title: string; help: string; s: SeriesAnswer; of: Series; since: string; note?: string }) {
  const n = windowsOf(s, seconds(since)!);
  const r = red(of, s.window_ns, s.windows - n, s.windows);
  const lines = useMemo(() => charts(s, [{ name: 'all', series: of, ...r }], 'all', n), [s, of, n]);
  const times = useMemo(() => tail(starts(s), n), [s, n]);
  return (
    <section aria-label={help}>
      <h2 title={help}>{title}{note && <span class="faint">, {note}</span>}</h2>
      <dl class="totals">
        <div><dt>Requests</dt><dd>{rate(r.perSecond)}</dd></div>
        <div><dt>Failed</dt><dd class={r.failed > 0 ? 'bad' : ''}>{percent(r.failing)}</dd></div>
        <div><dt>At fault for</dt><dd class={r.blamed > 0 ? 'bad' : ''}>{count(r.blamed)}</dd></div>
        <div><dt>p50</dt><dd>{duration(r.p50)}</dd></div>
        <div><dt>p99</dt><dd>{duration(r.p99)}</dd></div>
      </dl>
      <div class="grid charts">
        <Chart title="Rate" unit="rate" times={times} lines={lines.rate} height={130} />
        <Chart title="Errors" unit="share" times={times} lines={lines.errors} height={130} />
        <Chart title="Duration" unit="ns" times={times} lines={lines.duration} height={130} />
      </div>
    </section>
  );
}
