import { useEffect, useRef, useState } from 'preact/hooks';
import { session, signOut } from './api';
import { Keys } from './components/keys';
import { useShortcut } from './keys';
import { known } from './mesh';
import { paused, refresh } from './poll';
import { go, href, usePlace } from './router';
import { type Route, routes, start } from './routes';
import { useStore } from './store';
import { theme } from './theme';

const themes = ['auto', 'light', 'dark'];
const themeSign: Record<string, string> = { auto: '◐', light: '☀', dark: '☾' };

export function Header({ route }: { route?: Route }) {
  const place = usePlace();
  const [open, setOpen] = useState(false);
  const [help, setHelp] = useState(false);
  const who = useStore(session);
  const scheme = useStore(theme);
  const stopped = useStore(paused);
  useEffect(() => setOpen(false), [place]);
  useShortcut('?', 'show these keys', () => setHelp(true));
  useShortcut('p', 'pause, or go on', () => paused.set(!paused.get()));
  useShortcut('r', 'ask for fresh data', refresh);
  const shown = routes.filter((r) => r.nav);
  const next = themes[(themes.indexOf(scheme) + 1) % themes.length]!;
  return (
    <header class="top">
      <a class="brand" href={start}><img src="./icon.svg" alt="" width="22" height="22" />hopscope</a>
      <button class="menu" type="button" aria-expanded={open} aria-controls="nav" onClick={() => setOpen(!open)}>Menu</button>
      <nav id="nav" class={open ? 'open' : ''} aria-label="Pages" onKeyDown={(e) => { if (e.key === 'Escape') setOpen(false); }}>
        {shown.map((r) => <NavLink key={r.pattern} route={r} current={r === route} />)}
      </nav>
      <div class="tools">
        <Jump />
        <button type="button" class={stopped ? 'icon on' : 'icon'} aria-pressed={stopped} onClick={() => paused.set(!stopped)}
          title={stopped ? 'Paused: go on (p)' : 'Pause (p)'} aria-label="Pause">{stopped ? '▶' : '❚❚'}</button>
        <button type="button" class="icon" title={`Colors: ${scheme}; switch to ${next}`} aria-label={`Colors: ${scheme}. Switch to ${next}`}
          onClick={() => theme.set(next)}>{themeSign[scheme] ?? '◐'}</button>
        <button type="button" class="icon" title="Keys (?)" aria-label="Keyboard shortcuts" onClick={() => setHelp(true)}>?</button>
        {who?.token_wanted && who.signed_in && <button type="button" class="quiet" onClick={() => void signOut()}>Sign out</button>}
      </div>
      {help && <Keys close={() => setHelp(false)} />}
    </header>
  );
}

function NavLink({ route, current }: { route: Route; current: boolean }) {
  const to = '#' + route.pattern;
  useShortcut(route.key ? `g ${route.key}` : '', `open ${route.nav}`, () => go(to));
  return <a href={to} aria-current={current ? 'page' : undefined}>{route.nav}</a>;
}

/** Jump opens a trace by its id, or a service by its name. */
function Jump() {
  const field = useRef<HTMLInputElement>(null);
  const names = useStore(known);
  useShortcut('/', 'find a trace or a service', () => field.current?.focus());
  const submit = (e: Event) => {
    e.preventDefault();
    const text = field.current!.value.trim();
    if (!text) return;
    go(/^[0-9a-f]{16,32}$/i.test(text) ? href(['trace', text.toLowerCase()]) : href(['service', text]));
    field.current!.value = '';
    field.current!.blur();
  };
  return (
    <form class="jump" role="search" onSubmit={submit}>
      <datalist id="services">{names.map((n) => <option key={n} value={n} />)}</datalist>
      <input ref={field} type="search" list="services" aria-label="Trace id or service" placeholder="Trace id or service" autocomplete="off" spellcheck={false}
        onKeyDown={(e) => { if (e.key === 'Escape') field.current?.blur(); }} />
    </form>
  );
}
