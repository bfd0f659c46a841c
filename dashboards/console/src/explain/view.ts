// What the page of explanations asks and shows. All pure.

import type { Explanation, ExplainedRoute } from '../types';

/** Asked is a request to be explained, as it stands in the address. */
export interface Asked { method: string; url: string; headers: string; listener: string; client: string }

export const askedOf = (query: URLSearchParams): Asked => ({
  method: query.get('method') ?? '', url: query.get('url') ?? '', headers: query.get('headers') ?? '', listener: query.get('listener') ?? '', client: query.get('client') ?? '',
});

/** body is the question for the proxy. Headers are one a line. */
export const body = (a: Asked) => ({
  method: a.method || undefined, url: a.url, listener: a.listener || undefined, client: a.client || undefined,
  headers: a.headers.split('\n').map((line) => line.trim()).filter(Boolean),
});

/** label names a route: its number and its name. */
export const label = (r: Pick<ExplainedRoute, 'number' | 'name' | 'catalog'>) => r.number === 0 ? 'no route' : `${r.number} (${r.name})${r.catalog ? ' of the catalog' : ''}`;

/** percent is a chance from 0 to 1 in words. */
export const percent = (chance: number) => `${Number((chance * 100).toPrecision(4))} %`;

/** verdict says in a sentence which route takes the request. */
export function verdict(e: Explanation): string {
  if (e.early) return 'It is answered before a route is looked for.';
  if (!e.route) return `No route of listener ${e.listener} takes it.`;
  return `Route ${label(e.route)} of listener ${e.listener} takes ${e.chance >= 1 ? 'it' : `${percent(e.chance)} of such requests`}.`;
}

export interface Line { text: string; mark: '+' | '-' | ' ' }

/** marked are the lines of a request as it goes out, and those that are gone, each with what became of it. */
export function marked(sent: string[] = [], changes: string[] = []): Line[] {
  const has = new Set(changes);
  return [
    ...sent.map((text): Line => ({ text, mark: has.has('+ ' + text) ? '+' : ' ' })),
    ...changes.filter((c) => c.startsWith('- ')).map((c): Line => ({ text: c.slice(2), mark: '-' })),
  ];
}
