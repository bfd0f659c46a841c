import './traces.css';
import { useMemo, useRef, useState } from 'preact/hooks';
import { get } from '../api';
import { Missing, State } from '../components/states';
import { Updated } from '../components/updated';
import { count, plural, seconds } from '../format';
import { usePoll } from '../poll';
import { setQuery } from '../router';
import type { PageProps } from '../routes';
import type { TracesAnswer, TraceSummary } from '../types';
import { FilterBar } from './filterbar';
import { type Filters, inWords, parseFilters, toQuery } from './filters';
import { gather } from './gather';
import { HeatMap } from './heatmap';
import { parseRange, type Range, rangeText, within } from './heat';
import { CompareBar, List, useHeld } from './list';

/** Traces lists recent traces, as the filters want them, and draws how long they took. */
export default function Traces({ query }: PageProps) {
  const filters = parseFilters(query);
  const ask = toQuery(filters);
  const key = JSON.stringify(ask);
  const known = useRef<{ key: string; traces: TraceSummary[] }>({ key, traces: [] });
  const found = usePoll(`traces ${key}`, 10_000, async (signal) => {
    const answer = await get<TracesAnswer>('/v1/mesh/traces', ask, signal);
    const span = seconds(filters.since);
    const before = known.current.key === key ? known.current.traces : [];
    known.current = { key, traces: gather(before, answer.traces, span ? Date.now() - span * 1000 : 0) };
    return { ...answer, traces: known.current.traces, full: answer.traces.length >= filters.limit && before.length === 0 };
  });
  const said = inWords(filters);
  return (
    <div class="traces">
      <div class="head">
        <h1>Traces</h1>
        <div class="end"><Updated of={found} /></div>
      </div>
      <Bar filters={filters} data={found.data} />
      <State of={found}>{(data) => <Found key={key} data={data} said={said} filters={filters} range={parseRange(query.get('brush'))} />}</State>
      <CompareBar />
    </div>
  );
}

/** Bar suggests what the list has. */
function Bar({ filters, data }: { filters: Filters; data?: TracesAnswer }) {
  const [services, edges] = useMemo(() => {
    const traces = data?.traces ?? [];
    const hops = traces.flatMap((t) => [t.service, t.culprit?.service ?? '', t.culprit?.caller ?? '']);
    const sorted = (all: string[]) => [...new Set(all)].filter(Boolean).sort();
    return [sorted(hops), sorted(traces.flatMap((t) => [t.culprit?.edge ?? '', t.culprit?.service ?? '']))];
  }, [data]);
  return <FilterBar filters={filters} services={services} edges={edges} />;
}

function Found({ data, said, filters, range }: { data: TracesAnswer & { full: boolean }; said: string; filters: Filters; range?: Range }) {
  const [reading, setReading] = useState(false);
  const { traces, newer, show } = useHeld(data.traces, reading || !!range);
  const shown = useMemo(() => range ? traces.filter((t) => within(t, range)) : traces, [traces, range?.from, range?.to, range?.low, range?.high]);
  const select = (r: Range | undefined) => setQuery({ brush: r && rangeText(r) });
  const failed = shown.filter((t) => t.failed).length;
  return (
    <>
      <p class="tsummary" role="status">
        <b>{plural(shown.length, 'trace')}</b>{range && ` of ${count(traces.length)}`}{said && ` ${said}`}{failed > 0 && filters.outcome !== 'failed' && <>, <span class="bad">{count(failed)} failed</span></>}
        {data.full && <span class="faint">. These are the latest {count(traces.length)}; there may be more.</span>}
        {newer > 0 && <button type="button" class="quiet newer" onClick={show}>Show {plural(newer, 'newer one')}</button>}
      </p>
      {traces.length > 0 && <HeatMap traces={traces} range={range} select={select} selected={shown.length} />}
      <List label="Traces, the latest first" traces={shown} reading={setReading} empty={range ? 'No trace is in the selection.' : said ? 'No recent trace fits these filters. Proxies keep the latest hops, and those that failed or were slow for longer.' : 'No trace is known yet. Send a request through a proxy of the mesh.'} />
      <Missing of={data} />
    </>
  );
}
