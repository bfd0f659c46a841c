import './events.css';
import { get } from '../api';
import { Badge, Choice, Search, Sparkline, Time } from '../components/parts';
import { Missing, State } from '../components/states';
import { Table } from '../components/table';
import { Updated } from '../components/updated';
import { count, plural, seconds, time } from '../format';
import { trouble } from '../map/graph';
import { useSeries } from '../mesh';
import { usePoll } from '../poll';
import { href, setQuery } from '../router';
import type { PageProps } from '../routes';
import { lasting } from '../series';
import type { EventsAnswer, ProxyEvent, SeriesAnswer } from '../types';
import { counted, filtered, kindInWords, marks, toneOf } from './view';

const spans = ['10m', '30m', '1h'];

/** Events is what happened to the proxies of the mesh, above the failures of the same time. */
export default function Events({ query }: PageProps) {
  const since = spans.includes(query.get('since') ?? '') ? query.get('since')! : '1h';
  const filter = { kind: query.get('kind') ?? '', service: query.get('service') ?? '', text: query.get('text') ?? '' };
  const events = usePoll(`events ${since}`, 5000, (signal) => get<EventsAnswer>('/v1/mesh/events', { since }, signal));
  const series = useSeries();
  return (
    <>
      <div class="head">
        <h1>Events</h1>
        <div class="end"><Updated of={events} /><Choice label="Time" name="since" value={since} options={spans} /></div>
      </div>
      <State of={events}>{(e) => {
        const shown = filtered(e.events, filter);
        return (
          <>
            <Line events={shown} series={series.data} span={seconds(since)!} />
            <div class="filters">
              <Pick label="Kind" name="kind" value={filter.kind} all={counted(e.events, 'kind')} word={kindInWords} />
              <Pick label="Service" name="service" value={filter.service} all={counted(e.events, 'service')} word={(s) => s} />
              <Search label="Filter by text" value={filter.text} set={(text) => setQuery({ text })} />
              <span class="faint" role="status">{shown.length === e.events.length ? plural(shown.length, 'event') : `${count(shown.length)} of ${plural(e.events.length, 'event')}`}</span>
            </div>
            <List events={shown} />
            <Missing of={e} />
          </>
        );
      }}</State>
    </>
  );
}

function Pick({ label, name, value, all, word }: { label: string; name: string; value: string; all: { value: string; count: number }[]; word: (s: string) => string }) {
  const known = all.some((a) => a.value === value);
  return (
    <select aria-label={label} value={value} onChange={(e) => setQuery({ [name]: e.currentTarget.value })}>
      <option value="">{label}: all</option>
      {value && !known && <option value={value}>{word(value)} (0)</option>}
      {all.map((a) => <option key={a.value} value={a.value}>{word(a.value)} ({a.count})</option>)}
    </select>
  );
}

function Line({ events, series, span }: { events: ProxyEvent[]; series?: SeriesAnswer; span: number }) {
  const to = series ? Date.parse(series.until) : Date.now();
  const from = to - span * 1000;
  const all = marks(events, from, to, 120);
  const failures = series ? lasting(trouble(series), series.window_ns, span) : [];
  const sum = failures.reduce((a, b) => a + b, 0);
  return (
    <figure class="line panel">
      <svg class="marks" viewBox="0 0 1000 16" preserveAspectRatio="none" role="img" aria-label={`${plural(events.length, 'event')} over time`}>
        {all.map((m) => <rect key={m.at} class={m.tone} x={m.at * 1000 - 2.5} width="5" y={m.tone === 'bad' ? 0 : 5} height={m.tone === 'bad' ? 16 : 11} rx="1"><title>{`${time(from + m.at * (to - from))}: ${m.kinds.map(kindInWords).join(', ')}${m.count > 1 ? ` (${m.count})` : ''}`}</title></rect>)}
      </svg>
      {sum > 0 && <Sparkline values={failures} label={`Failures over the same time: ${count(sum)}`} />}
      <figcaption><span>{time(from)}</span><span class="faint">events{sum > 0 && ', and below them failures'}</span><span>{time(to)} UTC</span></figcaption>
    </figure>
  );
}

function List({ events }: { events: ProxyEvent[] }) {
  return (
    <Table label="Events, the latest first" rows={events} id={(e) => `${e.proxy} ${e.time} ${e.kind} ${e.cluster} ${e.endpoint} ${e.text}`} most={100} empty="Nothing happened that fits."
      columns={[
        { name: 'Time', sort: (e) => e.time, cell: (e) => <><Time at={e.time} />{e.count > 1 && <span class="faint"> to <Time at={e.last} />, {count(e.count)} times</span>}</> },
        { name: 'Service', sort: (e) => e.service, cell: (e) => <><a href={href(['service', e.service])}>{e.service}</a>{e.instance && e.instance !== e.service && <span class="faint"> {e.instance}</span>}</> },
        { name: 'Kind', sort: (e) => e.kind, cell: (e) => <Badge tone={toneOf(e.kind)}>{kindInWords(e.kind)}</Badge> },
        { name: 'What happened', class: 'wide', cell: (e) => e.text },
      ]} />
  );
}
