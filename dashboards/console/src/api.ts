// The client of the admin API at the address that serves the page. Everything that leaves
// the page goes through request.

import { store } from './store';
import type { Session } from './types';

/** ApiError says why the proxy gave no answer. status is 0 if it could not be reached. */
export class ApiError extends Error {
  constructor(message: string, readonly status: number, readonly hint = '') {
    super(message);
    this.name = 'ApiError';
  }
}

/** session is who the proxy takes us for; undefined until it has said so. */
export const session = store<Session | undefined>(undefined);

export type Query = Record<string, string | number | boolean | string[] | undefined>;

/** get asks for a path such as /v1/mesh/why. Queries that are empty or undefined are left out. */
export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  const response = await request('GET', path, query, undefined, signal);
  return await response.json() as T;
}

/** post changes something, if the session may. */
export async function post<T>(path: string, query: Query = {}, body?: unknown): Promise<T> {
  const response = await request('POST', path, query, body);
  const text = await response.text();
  return (text ? JSON.parse(text) : {}) as T;
}

/**
 * lines yields the objects of an answer that has one a line, as they come, until the proxy
 * ends it or signal aborts it.
 */
export async function* lines<T>(path: string, query: Query, signal: AbortSignal): AsyncGenerator<T> {
  const response = await request('GET', path, query, undefined, signal);
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const whole = (rest + value).split('\n');
      rest = whole.pop() ?? '';
      for (const line of whole) if (line) yield JSON.parse(line) as T;
    }
    if (rest) yield JSON.parse(rest) as T;
  } finally {
    reader.cancel().catch(() => { /* it has ended */ });
  }
}

/** peerPath is a path below /v1/ of a member, by its admin address. */
export const peerPath = (address: string, path: string) => `/v1/peers/${encodeURIComponent(address)}${path}`;

export async function loadSession(): Promise<void> {
  try {
    session.set(await get<Session>('/v1/session'));
  } catch (e) {
    if (!(e instanceof ApiError)) throw e;
    if (e.status === 0) setTimeout(() => void loadSession(), 3000);
    // A proxy that knows no sessions answers whoever may read, by the header or the network.
    session.set({ signed_in: e.status !== 401, roles: e.status === 401 ? [] : ['read'], token_wanted: e.status === 401, csrf: '' });
  }
}

export async function signIn(token: string): Promise<void> {
  session.set(await post<Session>('/v1/session', {}, { token }));
}

export async function signOut(): Promise<void> {
  await request('DELETE', '/v1/session', {});
  await loadSession();
}

async function request(method: string, path: string, query: Query, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const csrf = session.get()?.csrf;
  if (method !== 'GET' && csrf) headers['Hopscope-CSRF'] = csrf;
  let response: Response;
  try {
    response = await fetch(address(path, query), {
      method, headers, signal, credentials: 'same-origin', body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (e) {
    if (signal?.aborted) throw e;
    throw new ApiError('The proxy does not answer', 0, 'Is hopscope still running? The page tries again.');
  }
  if (response.ok) return response;
  const failed = await problem(response);
  if (response.status === 401 && method !== 'POST') {
    const s = session.get();
    session.set({ signed_in: false, roles: [], token_wanted: true, csrf: s?.csrf ?? '' });
  }
  throw failed;
}

/** address resolves a path of the API from where the page lies, so that a prefix of another proxy does no harm. */
export function address(path: string, query: Query = {}): string {
  const url = new URL('..' + path, document.baseURI.replace(/#.*/, ''));
  for (const [key, value] of Object.entries(query)) {
    if (Array.isArray(value)) for (const one of value) url.searchParams.append(key, one);
    else if (value !== undefined && value !== '' && value !== false) url.searchParams.set(key, value === true ? '1' : String(value));
  }
  return url.href;
}

/** problem reads an error: problem+json, or the object of error and hint. */
async function problem(response: Response): Promise<ApiError> {
  let told: { title?: string; detail?: string; error?: string; hint?: string; endpoints?: string[] } = {};
  try { told = await response.json() as typeof told; } catch { /* no JSON: the status has to do */ }
  // A proxy that lists what there is does not know the path: it is older than the console.
  if (told.endpoints) return new ApiError('This version of hopscope can not answer that', response.status, told.error);
  const message = told.error ?? told.title ?? `The proxy answered ${response.status}`;
  return new ApiError(message, response.status, told.hint ?? told.detail ?? '');
}
