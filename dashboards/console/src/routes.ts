import type { ComponentType } from 'preact';

/** PageProps is what each page gets: the parameters of its pattern, and the query. */
export interface PageProps {
  params: Record<string, string>;
  query: URLSearchParams;
}

export interface Route {
  pattern: string;
  /** title is the name of the page, for the window and for screen readers. */
  title: (params: Record<string, string>) => string;
  load: () => Promise<{ default: ComponentType<PageProps> }>;
  /** nav is its name in the navigation, and key what opens it after g. */
  nav?: string;
  key?: string;
}

/** routes has each page of the console, one a line. The navigation has their order. */
export const routes: Route[] = [
  { pattern: '/now', nav: 'Now', key: 'n', title: () => 'Now', load: () => import('./now/page') },
  { pattern: '/map', nav: 'Map', key: 'm', title: () => 'Map', load: () => import('./map/page') },
  { pattern: '/service/:name', title: (p) => p.name ?? '', load: () => import('./service/page') },
  { pattern: '/edge/:caller/:name', title: (p) => `${p.caller === '~' ? 'clients' : p.caller} → ${p.name}`, load: () => import('./edge/page') },
  { pattern: '/traces', nav: 'Traces', key: 't', title: () => 'Traces', load: () => import('./traces/page') },
  { pattern: '/trace/:id', title: ({ id }) => `Trace ${id!.slice(0, 8)}`, load: () => import('./traces/trace') },
  { pattern: '/trace/:id/:span', title: () => 'Hop', load: () => import('./traces/hoppage') },
  { pattern: '/compare/:a/:b', title: () => 'Compare', load: () => import('./traces/comparison') },
  { pattern: '/live', nav: 'Live', key: 'l', title: () => 'Live', load: () => import('./live/page') },
  { pattern: '/events', nav: 'Events', key: 'e', title: () => 'Events', load: () => import('./events/page') },
  { pattern: '/config', nav: 'Configuration', key: 'c', title: () => 'Configuration', load: () => import('./config/page') },
  { pattern: '/explain', nav: 'Explain', key: 'x', title: () => 'Explain a request', load: () => import('./explain/page') },
  { pattern: '/help', nav: 'Help', key: 'h', title: () => 'Help', load: () => import('./help/page') },
];

/** start is what opens without a place. */
export const start = '#' + routes[0]!.pattern;
