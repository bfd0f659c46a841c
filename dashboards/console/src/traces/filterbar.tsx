import { useEffect, useRef, useState } from 'preact/hooks';
import { setQuery } from '../router';
import { durationText, type Filters, limits, type Outcome, toAddress } from './filters';
import { count } from '../format';

const outcomeNames: [Outcome, string][] = [['all', 'All'], ['failed', 'Failed'], ['slow', 'Slow'], ['either', 'Failed or slow']];
const spans = ['', '1m', '5m', '10m', '30m', '1h', '6h', '24h'];
const codes = ['UF', 'UT', 'UC', 'UR', 'UH', 'UO', 'NR', 'NC', 'URX', 'UPE', 'DF', 'DC', 'DR', 'DPE', 'RL', 'UAEX', 'OM', 'PANIC'];

/** FilterBar chooses traces. What is chosen stands in the address. */
export function FilterBar({ filters: f, services, edges }: { filters: Filters; services: string[]; edges: string[] }) {
  const [open, setOpen] = useState(false);
  const set = (change: Partial<Filters>) => setQuery(toAddress({ ...f, ...change }));
  const used = [f.service, f.route, f.status, f.flag, f.culprit, f.min, f.max, f.text, f.since].filter(Boolean).length;
  const clear = () => setQuery({ ...toAddress({ ...f, outcome: 'all', service: '', route: '', status: '', flag: '', culprit: '', min: '', max: '', text: '', since: '' }), brush: undefined });
  return (
    <form class="tfilters" role="search" aria-label="Filter traces" onSubmit={(e) => e.preventDefault()}>
      <div class="first">
        <fieldset class="choice">
          <legend class="sr">Outcome</legend>
          {outcomeNames.map(([value, name]) => (
            <label key={value} class={f.outcome === value ? 'on' : ''}><input type="radio" name="outcome" checked={f.outcome === value} onChange={() => set({ outcome: value })} />{name}</label>
          ))}
        </fieldset>
        <button type="button" class="more-filters" aria-expanded={open} aria-controls="filters" onClick={() => setOpen(!open)}>Filters{used > 0 && ` (${used})`}</button>
        {(used > 0 || f.outcome !== 'all') && <button type="button" class="quiet" onClick={clear}>Clear</button>}
      </div>
      <div id="filters" class={open ? 'fields open' : 'fields'}>
        <Field name="Text" value={f.text} set={(text) => set({ text })} placeholder="path, host, id, reason" wide soon />
        <Field name="Service" value={f.service} set={(service) => set({ service })} list={services} />
        <Field name="At fault" value={f.culprit} set={(culprit) => set({ culprit: culprit.replace(' → ', ' -> ') })} list={edges} placeholder="service or a -> b" />
        <Field name="Route" value={f.route} set={(route) => set({ route })} />
        <Field name="Status" value={f.status} set={(status) => set({ status })} placeholder="502 or 5xx" narrow />
        <Field name="Flag" value={f.flag} set={(flag) => set({ flag: flag.toUpperCase() })} list={codes} placeholder="UF" narrow />
        <Field name="Took at least" value={f.min} set={(min) => set({ min })} check={durationText} placeholder="100ms" narrow />
        <Field name="Took at most" value={f.max} set={(max) => set({ max })} check={durationText} placeholder="1s" narrow />
        <label class="field"><span>Began in the last</span>
          <select value={f.since} onChange={(e) => set({ since: e.currentTarget.value })}>
            {[...new Set([...spans, f.since])].map((s) => <option key={s} value={s}>{s || 'any time'}</option>)}
          </select>
        </label>
        <label class="field"><span>Ask for at most</span>
          <select value={f.limit} onChange={(e) => set({ limit: Number(e.currentTarget.value) })}>
            {limits.map((n) => <option key={n} value={n}>{count(n)}</option>)}
          </select>
        </label>
      </div>
    </form>
  );
}

interface FieldProps {
  name: string;
  value: string;
  set: (text: string) => void;
  list?: string[];
  placeholder?: string;
  wide?: boolean;
  narrow?: boolean;
  /** soon takes what is typed a moment later, without Enter. */
  soon?: boolean;
  /** check makes a value of what was typed; undefined if that is none. */
  check?: (text: string) => string | undefined;
}

function Field({ name, value, set, list, placeholder, wide, narrow, soon, check }: FieldProps) {
  const [text, setText] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => setText(value), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const id = `filter-${name.toLowerCase().replaceAll(' ', '-')}`;
  const good = check ? check(text) : text.trim();
  const take = (typed: string) => {
    clearTimeout(timer.current);
    const next = check ? check(typed) : typed.trim();
    if (next !== undefined && next !== value) set(next);
  };
  return (
    <label class={`field ${wide ? 'wide' : ''} ${narrow ? 'narrow' : ''}`}>
      <span>{name}{good === undefined && <b class="bad" role="alert"> no duration</b>}</span>
      <input type="text" value={text} placeholder={placeholder} autocomplete="off" spellcheck={false} list={list && list.length > 0 ? id : undefined} aria-invalid={good === undefined}
        onInput={(e) => {
          const typed = e.currentTarget.value;
          setText(typed);
          clearTimeout(timer.current);
          if (soon || list?.includes(typed) || typed === '') timer.current = setTimeout(() => take(typed), 300);
        }}
        onChange={(e) => take(e.currentTarget.value)}
        onKeyDown={(e) => {
          if (e.key === 'Enter') take(text);
          if (e.key === 'Escape' && text) { setText(''); take(''); }
        }} />
      {list && list.length > 0 && <datalist id={id}>{list.map((x) => <option key={x} value={x} />)}</datalist>}
    </label>
  );
}
