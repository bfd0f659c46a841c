// The place in the console is what stands after # in the address: #/service/web?since=1h.

import { store, useStore } from './store';

/** Place is a parsed address. Path has the decoded segments. */
export interface Place {
  path: string[];
  query: URLSearchParams;
}

export function parse(hash: string): Place {
  const [path = '', query = ''] = split(hash.replace(/^#/, ''), '?');
  return { path: path.split('/').filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

/** href returns the address of a place. Segments may hold any text, queries that are empty are left out. */
export function href(path: string[], query: Record<string, string | undefined> | URLSearchParams = {}): string {
  const q = query instanceof URLSearchParams ? query : new URLSearchParams();
  if (!(query instanceof URLSearchParams)) {
    for (const [key, value] of Object.entries(query)) if (value) q.set(key, value);
  }
  const text = q.toString();
  return '#/' + path.map(encodeURIComponent).join('/') + (text ? '?' + text : '');
}

/** edgeHref is the page of an edge. Who calls from outside has no name: ~ stands for it. */
export const edgeHref = (caller: string, service: string) => href(['edge', caller || '~', service]);

/** match returns the parameters of a path that fits a pattern such as /service/:name, else undefined. */
export function match(pattern: string, path: string[]): Record<string, string> | undefined {
  const parts = pattern.split('/').filter(Boolean);
  if (parts.length !== path.length) return undefined;
  const params: Record<string, string> = {};
  for (const [i, part] of parts.entries()) {
    const segment = path[i]!;
    if (part.startsWith(':')) params[part.slice(1)] = segment;
    else if (part !== segment) return undefined;
  }
  return params;
}

const place = store<Place>(parse(location.hash));
addEventListener('hashchange', () => place.set(parse(location.hash)));

export const usePlace = () => useStore(place);

/** go opens a place. replace leaves no entry in the history: for a filter that changes as one types. */
export function go(to: string, replace = false): void {
  if (!replace) {
    location.hash = to;
    return;
  }
  history.replaceState(null, '', to);
  place.set(parse(to));
}

/** setQuery changes queries of the place that is open, and keeps the others. */
export function setQuery(change: Record<string, string | undefined>, replace = true): void {
  const { path, query } = place.get();
  const next = new URLSearchParams(query);
  for (const [key, value] of Object.entries(change)) {
    if (value) next.set(key, value);
    else next.delete(key);
  }
  go(href(path, next), replace);
}

function split(text: string, at: string): [string, string?] {
  const i = text.indexOf(at);
  return i < 0 ? [text] : [text.slice(0, i), text.slice(i + 1)];
}

function decode(text: string): string {
  try { return decodeURIComponent(text); } catch { return text; }
}
