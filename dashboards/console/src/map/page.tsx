import './map.css';
import { useMemo, useState } from 'preact/hooks';
import { Badge, Choice, Search, Sparkline } from '../components/parts';
import { Empty, Loading, Missing, State } from '../components/states';
import { Table } from '../components/table';
import { Updated } from '../components/updated';
import { count, duration, percent, rate, seconds, time } from '../format';
import { useSeries } from '../mesh';
import { edgeHref, href } from '../router';
import type { PageProps } from '../routes';
import { edgeKey, starts, windowsOf } from '../series';
import type { SeriesAnswer } from '../types';
import { Drawing } from './drawing';
import { graph, outside, trouble, type Graph } from './graph';
import { usePlaces } from './places';

const spans = ['1m', '5m', '15m', '1h'];

/** Map shows who calls whom, how much of it fails, and who is at fault, at any time of the last hour. */
export default function Map({ query }: PageProps) {
  const series = useSeries();
  const span = spans.includes(query.get('span') ?? '') ? query.get('span')! : '5m';
  const narrow = matchMedia('(max-width: 40rem)').matches;
  const as = query.get('as') ?? (narrow ? 'table' : 'map');
  const [search, setSearch] = useState('');
  return (
    <div class="mappage">
      <div class="head">
        <h1>Map</h1>
        <Search label="Filter services" value={search} set={setSearch} />
        <div class="end">
          <Updated of={series} />
          <Choice label="Show as" name="as" value={as} options={[['map', 'Map'], ['table', 'Table']]} />
          <Choice label="Time" name="span" value={span} options={spans} />
        </div>
      </div>
      <State of={series}>{(s) => s.windows === 0 || s.edges.length === 0 && s.services.length === 0
        ? <Empty>No service has been seen yet. Send a request through the mesh, and it appears here within {duration(2 * s.window_ns)}.</Empty>
        : <Mesh series={s} span={span} as={as} search={search.trim().toLowerCase()} />}</State>
    </div>
  );
}

function Mesh({ series, span, as, search }: { series: SeriesAnswer; span: string; as: string; search: string }) {
  // The end of what is shown, in windows before the newest: so that it stays now as time goes on.
  const [back, setBack] = useState(0);
  const n = windowsOf(series, seconds(span)!);
  const end = Math.max(n, series.windows - back);
  const g = useMemo(() => graph(series, end - n, end), [series, end, n]);
  return (
    <>
      <Slider series={series} end={end} n={n} set={(e) => setBack(series.windows - e)} />
      {as === 'map' && <><Drawn graph={g} search={search} /><Legend /></>}
      {as === 'table' && <Tables graph={g} search={search} />}
      <Missing of={series} />
    </>
  );
}

function Drawn({ graph, search }: { graph: Graph; search: string }) {
  const { placed, failed } = usePlaces(graph);
  if (failed) return <><p class="faint">This browser can not draw the map.</p><Tables graph={graph} search={search} /></>;
  return placed ? <Drawing graph={placed.graph} places={placed.places} search={search} /> : <div class="drawing map"><Loading /></div>;
}

function Slider({ series, end, n, set }: { series: SeriesAnswer; end: number; n: number; set: (end: number) => void }) {
  const at = starts(series), width = series.window_ns / 1e9;
  const failures = useMemo(() => trouble(series), [series]);
  const from = time(at[end - n]! * 1000), to = time((at[end - 1]! + width) * 1000);
  const now = end === series.windows;
  return (
    <div class="slider">
      <div class="track">
        <Sparkline values={failures} label={`Failures over the last hour: ${count(failures.reduce((a, b) => a + b, 0))}`} />
        {n < series.windows && <input type="range" aria-label="Time that is shown" min={n} max={series.windows} value={end} aria-valuetext={`${from} to ${to} UTC${now ? ', now' : ''}`} onInput={(e) => set(Number(e.currentTarget.value))} />}
      </div>
      <p><b>{from}</b> to <b>{to}</b> <span class="faint">UTC</span> {now ? <Badge tone="good">now</Badge> : <button type="button" class="quiet" onClick={() => set(series.windows)}>Back to now</button>}</p>
    </div>
  );
}

function Legend() {
  return (
    <ul class="legend" aria-label="Legend">
      <li><i class="k fault" />at fault</li>
      <li><i class="k failing" />relays failures</li>
      <li><i class="k late" />slow</li>
      <li><i class="k bare" />not behind a proxy</li>
      <li class="faint">Numbers: requests a second, part that failed, p99. Drag to move, Ctrl and wheel to scale.</li>
    </ul>
  );
}

function Tables({ graph: g, search }: { graph: Graph; search: string }) {
  const has = (name: string) => !search || name.toLowerCase().includes(search);
  const numbers = <R extends Graph['nodes'][number] | Graph['edges'][number]>() => [
    { name: 'Requests', number: true, sort: (r: R) => r.perSecond, cell: (r: R) => rate(r.perSecond) },
    { name: 'Failed', number: true, sort: (r: R) => r.failing, cell: (r: R) => <span class={r.failed > 0 ? 'bad' : 'faint'}>{percent(r.failing)}</span> },
    { name: 'At fault', number: true, sort: (r: R) => r.blamed, cell: (r: R) => r.blamed > 0 ? <b class="bad">{count(r.blamed)}</b> : <span class="faint">0</span> },
    { name: 'p99', number: true, sort: (r: R) => r.p99, cell: (r: R) => <span class={r.slow > 0 ? 'slow' : ''}>{duration(r.p99)}</span> },
  ];
  return (
    <>
      <section>
        <h2>Edges</h2>
        <Table label="Edges: who calls whom" rows={g.edges.filter((e) => has(e.caller) || has(e.service))} id={edgeKey} by="At fault" down empty="No edge fits." rowClass={(r) => r.blamed > 0 ? 'fault' : undefined}
          columns={[{ name: 'Edge', sort: (e) => `${e.caller} ${e.service}`, cell: (e) => <a href={edgeHref(e.caller, e.service)}>{e.caller || 'clients'} → {e.service}</a> }, ...numbers<Graph['edges'][number]>()]} />
      </section>
      <section>
        <h2>Services</h2>
        <Table label="Services" rows={g.nodes.filter((n) => n.name !== outside && has(n.name))} id={(n) => n.name} by="At fault" down empty="No service fits." rowClass={(r) => r.blamed > 0 ? 'fault' : undefined}
          columns={[{ name: 'Service', sort: (n) => n.name, cell: (n) => <><a href={href(['service', n.name])}>{n.name}</a>{!n.proxied && <> <Badge>no proxy</Badge></>}</> }, ...numbers<Graph['nodes'][number]>()]} />
      </section>
    </>
  );
}
