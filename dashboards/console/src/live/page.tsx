import './live.css';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { lines } from '../api';
import { ErrorBox } from '../components/states';
import { Search, Sparkline, useNow } from '../components/parts';
import { count as number, duration, plural, rate } from '../format';
import { useShortcut } from '../keys';
import { paused } from '../poll';
import { setQuery } from '../router';
import type { PageProps } from '../routes';
import { useStore } from '../store';
import { CompareBar, List, useHeld } from '../traces/list';
import { add, count, empty, type Feed, type Line, matches, mostAside, mostShown, rateOf, resume, type Second } from './feed';
import { follow, type State } from './follow';

const rates = ['20', '100', '500', '1000'];
const usual = '100';
// Lines are shown together, so often, in ms: the page stays calm, however many come.
const beat = 250;

/** Live shows requests as they pass. */
export default function Live({ query }: PageProps) {
  const failed = query.get('failed') === '1';
  const service = query.get('service') ?? '';
  const most = rates.includes(query.get('rate') ?? '') ? query.get('rate')! : usual;
  const text = query.get('text') ?? '';
  const stopped = useStore(paused);
  const { feed, seconds, state, notes } = useTail({ failed, service, most }, stopped);
  const now = useNow(1000);
  const [reading, setReading] = useState(false);
  const { traces, newer, show } = useHeld(feed.shown, reading && feed.shown.length > 0);
  const shown = useMemo(() => traces.filter((t) => matches(t, text)), [traces, text]);
  const speed = rateOf(seconds, now);
  useShortcut('f', 'only failed requests, or all', () => setQuery({ failed: failed ? undefined : '1' }));
  return (
    <div class="live">
      <div class="head">
        <h1>Live</h1>
        <Status state={state} stopped={stopped} now={now} />
        <div class="end">
          <button type="button" class={stopped ? 'primary' : ''} aria-pressed={stopped} onClick={() => paused.set(!stopped)}>{stopped ? `Go on${feed.aside.length > 0 ? ` (${number(feed.aside.length)} more)` : ''}` : 'Pause'}</button>
          <button type="button" class="quiet" onClick={feed.clear}>Clear</button>
        </div>
      </div>
      <form class="controls" role="search" aria-label="Filter" onSubmit={(e) => e.preventDefault()}>
        <Search label="Text: path, service, status, reason" value={text} set={(t) => setQuery({ text: t })} />
        <ServiceField value={service} seen={feed.services} />
        <label class="check"><input type="checkbox" checked={failed} onChange={(e) => setQuery({ failed: e.currentTarget.checked ? '1' : undefined })} /> Failed only</label>
        <label class="check">at most <select aria-label="Requests a second at most" value={most} onChange={(e) => setQuery({ rate: e.currentTarget.value === usual ? undefined : e.currentTarget.value })}>{rates.map((r) => <option key={r} value={r}>{number(Number(r))}</option>)}</select> a second</label>
      </form>
      {state.kind === 'refused' && <ErrorBox error={state.error} />}
      <Numbers feed={feed} speed={speed} seconds={seconds} now={now} most={most} />
      <Spoken feed={feed} stopped={stopped} />
      {newer > 0 && <p class="tsummary"><button type="button" onClick={show}>Show {plural(newer, 'newer one')}</button> <span class="faint">The list stands still while you read in it.</span></p>}
      <List reading={setReading} label="Requests as they pass, the latest first" traces={shown}
        empty={feed.passed === 0 ? (failed ? 'No request has failed since this page was opened.' : 'No request has passed since this page was opened. One is shown about a second after it ended.') : `None of the ${plural(feed.shown.length, 'request')} that are kept fits “${text}”.`} />
      {feed.shown.length >= mostShown && <p class="faint">The latest {number(mostShown)} are kept.</p>}
      {notes.length > 0 && <aside class="missing" aria-label="What is missing of proxies">{notes.map((n) => <p key={n}>{n}</p>)}</aside>}
      <CompareBar />
    </div>
  );
}

type Note = { note: string; proxy: string };
interface Shown extends Feed { services: string[]; clear: () => void }

/** useTail reads the stream while the page is there. Another question begins anew. */
function useTail(q: { failed: boolean; service: string; most: string }, stopped: boolean): { feed: Shown; seconds: Second[]; state: State; notes: string[] } {
  const [feed, setFeed] = useState(empty);
  const [seconds, setSeconds] = useState<Second[]>([]);
  const [state, setState] = useState<State>({ kind: 'connecting' });
  const [notes, setNotes] = useState<string[]>([]);
  const services = useRef(new Set<string>());
  const halted = useRef(stopped);
  halted.current = stopped;

  useEffect(() => { if (!stopped) setFeed(resume); }, [stopped]);
  useEffect(() => {
    const abort = new AbortController();
    let waiting: (Line | Note)[] = [];
    setFeed(empty);
    setSeconds([]);
    setNotes([]);
    void follow<Line | Note>({
      open: (signal) => lines('/v1/mesh/tail', { failed: q.failed, service: q.service, rate: q.most }, signal),
      line: (l) => { waiting.push(l); if (waiting.length > 4 * mostAside) waiting = waiting.slice(-mostAside); },
      state: setState,
      signal: abort.signal,
    });
    const timer = setInterval(() => {
      const now = Date.now();
      const come = waiting.filter((l): l is Line => !('note' in l));
      const told = waiting.filter((l): l is Note => 'note' in l).map((n) => [n.proxy, n.note].filter(Boolean).join(': '));
      waiting = [];
      for (const l of come) if ('service' in l && services.current.size < 500) services.current.add(l.service);
      setFeed((f) => add(f, come, halted.current));
      if (come.length > 0) setSeconds((s) => count(s, now, come));
      if (told.length > 0) setNotes((n) => [...new Set([...told.reverse(), ...n])].slice(0, 5));
    }, beat);
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }, [q.failed, q.service, q.most]);

  return { feed: { ...feed, services: [...services.current].sort(), clear: () => setFeed((f) => ({ ...f, shown: [], aside: [], forgotten: 0 })) }, seconds, state, notes };
}

function Status({ state, stopped, now }: { state: State; stopped: boolean; now: number }) {
  const [tone, text] = stopped && state.kind === 'live' ? ['slow', 'Paused'] : ({
    connecting: ['plain', 'Connecting…'], live: ['good', 'Live'], refused: ['bad', 'Refused'],
    waiting: ['bad', state.kind === 'waiting' ? `${state.why}; again in ${duration(Math.max(Math.ceil((state.until - now) / 1000), 1) * 1e9)}` : ''],
  } as Record<State['kind'], [string, string]>)[state.kind];
  return <span class={`badge ${tone}`} role="status"><i class="dot" aria-hidden="true" />{text}</span>;
}

function Numbers({ feed, speed, seconds, now, most }: { feed: Feed; speed: { passed: number; failed: number }; seconds: Second[]; now: number; most: string }) {
  const at = Math.floor(now / 1000);
  const series = (of: 'passed' | 'failed') => Array.from({ length: 60 }, (_, i) => seconds.find((s) => s.at === at - 60 + i)?.[of] ?? 0);
  return (
    <dl class="totals">
      <div><dt>Shown here</dt><dd>{rate(speed.passed)}<Sparkline values={series('passed')} tone="plain" label={`Requests a second in the last minute, now ${rate(speed.passed)}`} /></dd></div>
      <div><dt>Failed</dt><dd class={speed.failed > 0 ? 'bad' : ''}>{rate(speed.failed)}<Sparkline values={series('failed')} label={`Failed requests a second in the last minute, now ${rate(speed.failed)}`} /></dd></div>
      <div><dt>Since it was opened</dt><dd>{number(feed.passed)}</dd><dd class="more">{number(feed.failed)} failed</dd></div>
      <div><dt>Left out</dt><dd class={feed.missed + feed.forgotten > 0 ? 'slow' : ''}>{number(feed.missed + feed.forgotten)}</dd><dd class="more">{feed.forgotten > 0 ? `${number(feed.forgotten)} found no room in the pause` : `beyond ${number(Number(most))} a second`}</dd></div>
    </dl>
  );
}

/** Spoken tells a screen reader what passed, every 10 s, and not each request. */
function Spoken({ feed, stopped }: { feed: Feed; stopped: boolean }) {
  const [text, say] = useState('');
  const current = useRef(feed);
  current.current = feed;
  useEffect(() => {
    if (stopped) {
      say('Paused');
      return;
    }
    let before = current.current;
    const timer = setInterval(() => {
      const f = current.current;
      if (f.passed !== before.passed) say(`${plural(f.passed - before.passed, 'request')} in 10 seconds, ${number(f.failed - before.failed)} failed`);
      before = f;
    }, 10_000);
    return () => clearInterval(timer);
  }, [stopped]);
  return <p class="sr" aria-live="polite">{text}</p>;
}

function ServiceField({ value, seen }: { value: string; seen: string[] }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const take = (t: string) => setQuery({ service: t.trim() });
  return (
    <>
      <input type="text" aria-label="Service" placeholder="Service" list="live-services" value={text} autocomplete="off" spellcheck={false}
        onInput={(e) => { const t = e.currentTarget.value; setText(t); if (t === '' || seen.includes(t)) take(t); }}
        onChange={(e) => take(e.currentTarget.value)}
        onKeyDown={(e) => { if (e.key === 'Enter') take(text); }} />
      <datalist id="live-services">{seen.map((s) => <option key={s} value={s} />)}</datalist>
    </>
  );
}
