import { useMemo } from 'preact/hooks';
import { Chart } from '../components/chart';
import { Table } from '../components/table';
import { count, duration, percent, rate } from '../format';
import { starts, tail, windowsOf, type Red } from '../series';
import { edgeHref } from '../router';
import type { SeriesAnswer } from '../types';
import { charts, drawn, groups, type Group, type Way } from './view';

/** RedCharts draws rate, errors and duration of a service over time, and has the sums in a table. */
export function RedCharts({ series: s, service, by, seconds }: { series: SeriesAnswer; service: string; by: Way; seconds: number }) {
  const n = windowsOf(s, seconds);
  const of = useMemo(() => groups(s, service, by, seconds), [s, service, by, seconds]);
  const lines = useMemo(() => charts(s, of, by, n), [s, of, by, n]);
  const times = useMemo(() => tail(starts(s), n), [s, n]);
  const what = { all: '', route: ' by route', caller: ' by caller', endpoint: ' by endpoint' }[by];
  if (of.length === 0) return <p class="empty">Nothing has been counted{what} in this time.</p>;
  return (
    <>
      <div class="grid charts">
        <Chart title={`Rate${what}`} unit="rate" times={times} lines={lines.rate} />
        <Chart title={`Errors${what}`} unit="share" times={times} lines={lines.errors} />
        {lines.duration.some((l) => l.values.some((v) => v !== null)) && <Chart title={by === 'all' ? 'Duration' : `Duration${what}, p99`} unit="ns" times={times} lines={lines.duration} />}
      </div>
      {of.length > drawn && <p class="faint">The {drawn} with most requests are drawn; the table has all {of.length}.</p>}
      <Groups of={of} by={by} service={service} />
    </>
  );
}

const names: Record<Way, string> = { all: 'Requests', route: 'Route', caller: 'Caller', endpoint: 'Endpoint' };

function Groups({ of, by, service }: { of: Group[]; by: Way; service: string }) {
  const columns = [{
    name: names[by], sort: (g: Group) => g.name,
    cell: (g: Group) => by === 'caller' ? <a href={edgeHref(g.caller ?? '', service)}>{g.name}</a> : by === 'all' ? g.name : <code>{g.name}</code>,
  }, ...redColumns<Group>().filter((c) => by !== 'endpoint' || !/p\d|Slow/.test(c.name))]; // of endpoints only requests are counted over time
  return <Table label={`Rate, errors and duration${by === 'all' ? '' : ` by ${by}`}`} rows={of} id={(g) => g.name} columns={columns} most={30} />;
}

/** redColumns are the numbers that services, edges and routes have alike. */
export function redColumns<R extends Red>() {
  return [
    { name: 'Rate', number: true, sort: (r: R) => r.perSecond, cell: (r: R) => rate(r.perSecond) },
    { name: 'Failed', number: true, sort: (r: R) => r.failing, cell: (r: R) => r.failed > 0 ? <span class="bad">{percent(r.failing)}, {count(r.failed)}</span> : <span class="faint">0</span> },
    { name: 'Slow', number: true, sort: (r: R) => r.slow, cell: (r: R) => r.slow > 0 ? <span class="slow">{count(r.slow)}</span> : <span class="faint">0</span> },
    { name: 'p50', number: true, sort: (r: R) => r.p50, cell: (r: R) => duration(r.p50) },
    { name: 'p90', number: true, sort: (r: R) => r.p90, cell: (r: R) => duration(r.p90) },
    { name: 'p99', number: true, sort: (r: R) => r.p99, cell: (r: R) => duration(r.p99) },
    { name: 'Worst p99', number: true, sort: (r: R) => r.worst, cell: (r: R) => duration(r.worst), help: 'The highest p99 of a window' },
  ];
}
