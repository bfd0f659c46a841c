import './service.css';
import { Badge, Choice } from '../components/parts';
import { Empty, Loading, Missing, State } from '../components/states';
import { Table } from '../components/table';
import { Updated } from '../components/updated';
import { count, duration, percent, rate, ratio, seconds, time } from '../format';
import { usePeers, useSeries, useWhy } from '../mesh';
import { edgeHref, href } from '../router';
import type { PageProps } from '../routes';
import { red, windowsOf } from '../series';
import type { Member, Series, SeriesAnswer } from '../types';
import { Blame } from './blame';
import { type Configs, useConfigs } from './data';
import { Endpoints } from './endpoints';
import { RedCharts, redColumns } from './red';
import { callees, callers, endpoints, ways, type Way } from './view';

const spans = ['5m', '15m', '1h'];

/** Service is all that is known of a service: how it does over time, its endpoints, its configuration. */
export default function Service({ params, query }: PageProps) {
  const name = params.name!;
  const since = spans.includes(query.get('since') ?? '') ? query.get('since')! : '15m';
  const by = (ways as readonly string[]).includes(query.get('by') ?? '') ? query.get('by') as Way : 'all';
  const series = useSeries();
  const why = useWhy(since);
  const peers = usePeers();
  const s = series.data;
  const calling = new Set(s ? callers(s, name).map((e) => e.caller) : []);
  const configs = useConfigs(peers.data?.peers, (m: Member) => m.self || m.service === name || calling.has(m.service));
  const found = s?.services.find((x) => x.service === name);
  return (
    <>
      <div class="head">
        <h1>{name}</h1>
        {found?.proxied === false && <Badge title="What is known of it is what its callers saw">no proxy of it was seen</Badge>}
        <div class="end"><Updated of={series} /><Choice label="Time" name="since" value={since} options={spans} /></div>
      </div>
      <Blame why={why.data} fits={(c) => c.culprit.service === name} since={since} />
      <State of={series}>{(x) => found || calling.size > 0
        ? <Known series={x} name={name} own={found} since={since} by={by} />
        : <Empty>No request to {name} has been seen in the last hour. <a href={href(['map'])}>The map</a> has the services that are known.</Empty>}
      </State>
      <section>
        <h2>Endpoints</h2>
        {configs.data ? <Endpoints rows={endpoints(configs.data.held, name)} configs={configs.data} label={`Endpoints of ${name}`} /> : configs.error ? <p class="bad">{configs.error.message}</p> : <Loading />}
      </section>
      <InForce configs={configs.data} name={name} />
      {s && <Missing of={s} />}
    </>
  );
}

function Known({ series: s, name, own, since, by }: { series: SeriesAnswer; name: string; own?: Series; since: string; by: Way }) {
  const span = seconds(since)!, n = windowsOf(s, span);
  const r = own && red(own, s.window_ns, s.windows - n, s.windows);
  return (
    <>
      {r && (
        <dl class="totals">
          <div><dt>Requests</dt><dd>{rate(r.perSecond)}</dd></div>
          <div><dt>Failed</dt><dd>{r.failed > 0 ? <a class="bad" href={href(['traces'], { service: name, failed: '1' })}>{percent(r.failing)}</a> : percent(0)}</dd></div>
          <div><dt>At fault for</dt><dd class={r.blamed > 0 ? 'bad' : ''}>{count(r.blamed)}</dd></div>
          <div><dt>Slow</dt><dd>{r.slow > 0 ? <a class="slow" href={href(['traces'], { service: name, slow: '1' })}>{percent(ratio(r.slow, r.requests))}</a> : percent(0)}</dd></div>
          <div><dt>p50</dt><dd>{duration(r.p50)}</dd></div>
          <div><dt>p99</dt><dd>{duration(r.p99)}</dd></div>
        </dl>
      )}
      <section>
        <div class="head"><h2>Rate, errors, duration</h2><Choice label="By" name="by" value={by} options={[['all', 'All'], ['route', 'By route'], ['caller', 'By caller'], ['endpoint', 'By endpoint']]} /></div>
        <RedCharts series={s} service={name} by={by} seconds={span} />
      </section>
      <section class="grid">
        <Edges title={`Who calls ${name}`} of={callers(s, name)} s={s} n={n} side={(e) => e.caller || 'clients'} none="Nobody that was seen." />
        <Edges title={`Whom ${name} calls`} of={callees(s, name)} s={s} n={n} side={(e) => e.service} none="Nobody that was seen." />
      </section>
      <p class="after"><a href={href(['traces'], { service: name })}>Traces of {name}</a></p>
    </>
  );
}

function Edges({ title, of, s, n, side, none }: { title: string; of: Series[]; s: SeriesAnswer; n: number; side: (e: Series) => string; none: string }) {
  const rows = of.map((e) => ({ e, name: side(e), ...red(e, s.window_ns, s.windows - n, s.windows) }));
  return (
    <div>
      <h2>{title}</h2>
      <Table label={title} rows={rows} id={(r) => r.name} by="Failed" down most={20} empty={none} rowClass={(r) => r.blamed > 0 ? 'fault' : undefined}
        columns={[{ name: 'Edge', sort: (r) => r.name, cell: (r) => <a href={edgeHref(r.e.caller ?? '', r.e.service)}>{r.name}</a> }, ...redColumns<typeof rows[number]>().filter((c) => ['Rate', 'Failed', 'p99'].includes(c.name))]} />
    </div>
  );
}

/** InForce is the configuration of the service's own proxies. */
function InForce({ configs, name }: { configs?: Configs; name: string }) {
  const own = configs?.held.filter((h) => h.config.service === name) ?? [];
  if (own.length === 0) return null;
  return (
    <section>
      <h2>Configuration in force</h2>
      {own.map(({ address, config: c }) => (
        <div class="inforce" key={address}>
          <p><b>{c.instance || address}</b> <span class="faint">{[c.config.hash, c.config.source && `from ${c.config.source}`, c.config.loaded && `since ${time(c.config.loaded)} UTC`].filter(Boolean).join(', ')}</span> <a href={href(['config'], { proxy: address })}>All of it</a></p>
          <Table label={`Routes of ${c.instance || address}`} most={20} empty="It has no routes."
            rows={c.listeners.flatMap((l) => (l.routes ?? []).map((r) => ({ l, r })))} id={({ l, r }) => `${l.name} ${r.name} ${r.match}`}
            columns={[
              { name: 'Listener', sort: (x) => x.l.name, cell: (x) => x.l.name },
              { name: 'Route', sort: (x) => x.r.name, cell: (x) => x.r.name },
              { name: 'Match', cell: (x) => <code>{x.r.match}</code> },
              { name: 'Cluster', sort: (x) => x.r.cluster, cell: (x) => x.r.cluster },
              { name: 'Hits', number: true, sort: (x) => x.r.hits, cell: (x) => x.r.hits === 0 ? <Badge tone="slow">unused</Badge> : count(x.r.hits) },
            ]} />
        </div>
      ))}
    </section>
  );
}
