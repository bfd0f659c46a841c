import type { ComponentType } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, session } from './api';
import { ErrorBox, Loading } from './components/states';
import { Header } from './header';
import { match, usePlace } from './router';
import { type PageProps, type Route, routes, start } from './routes';
import { SignIn } from './signin';
import { useStore } from './store';

/** App is the header and the page of the place. A page is kept while only its query changes. */
export function App() {
  const place = usePlace();
  const who = useStore(session);
  if (place.path.length === 0) location.replace(start);
  const found = find(place.path);
  const main = useRef<HTMLElement>(null);
  const wanted = !!who && who.token_wanted && !who.signed_in;
  const name = wanted ? 'Sign in' : found ? found.route.title(found.params) : place.path.length ? 'No such page' : '';
  const moved = useRef(false);
  useEffect(() => {
    document.title = name ? `${name} · hopscope` : 'hopscope';
    if (moved.current && !wanted) { // a screen reader reads on from the new page
      scrollTo(0, 0);
      main.current?.focus({ preventScroll: true });
    }
    moved.current = place.path.length > 0; // the address without a place leads to the start page at once
  }, [place.path.join('/'), wanted]);
  // Nothing is asked before it is known who we are, but the page is fetched meanwhile.
  if (!who) found?.route.load().catch(() => { /* Page says so */ });
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); main.current?.focus(); }}>Skip to the page</a>
      <Header route={found?.route} />
      <main id="main" tabIndex={-1} ref={main} aria-label={name}>
        {!who ? <Loading /> : wanted ? <SignIn /> : !found ? place.path.length > 0 && <ErrorBox error={new ApiError('There is no such page', 404, `#/${place.path.join('/')} is no address of the console.`)} />
          : <Page key={place.path.join('/')} route={found.route} params={found.params} query={place.query} />}
      </main>
    </>
  );
}

function find(path: string[]): { route: Route; params: Record<string, string> } | undefined {
  for (const route of routes) {
    const params = match(route.pattern, path);
    if (params) return { route, params };
  }
  return undefined;
}

const loaded = new Map<Route, ComponentType<PageProps>>();

function Page({ route, params, query }: { route: Route } & PageProps) {
  const [, again] = useState(0);
  const [error, fail] = useState<ApiError>();
  const Found = loaded.get(route);
  useEffect(() => {
    if (Found) return;
    let gone = false;
    route.load().then(
      (m) => { loaded.set(route, m.default); if (!gone) again((n) => n + 1); },
      () => { if (!gone) fail(new ApiError('A part of the console could not be loaded', 0, 'Reload the page: hopscope may have been upgraded.')); },
    );
    return () => { gone = true; };
  }, [route]);
  if (error) return <ErrorBox error={error} />;
  return Found ? <Found params={params} query={query} /> : <Loading />;
}
