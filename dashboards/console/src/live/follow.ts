// Follows a stream, and opens it again when it ends.

import { ApiError } from '../api';

export type State = { kind: 'connecting' } | { kind: 'live' } | { kind: 'waiting'; until: number; why: string } | { kind: 'refused'; error: ApiError };

export interface Follow<T> {
  open: (signal: AbortSignal) => AsyncIterable<T>;
  line: (line: T) => void;
  state: (s: State) => void;
  signal: AbortSignal;
  /** now and wait are the clock; wait ends early if the signal aborts. */
  now?: () => number;
  wait?: (ms: number, signal: AbortSignal) => Promise<void>;
  random?: () => number;
}

/** silence is how long a stream may say nothing: the proxy sends a line every 10 s. */
export const silence = 30_000;
const first = 500, longest = 15_000;

/** follow reads streams until the signal aborts, or the proxy refuses for good. The time between two doubles until one has brought a line. */
export async function follow<T>({ open, line, state, signal, now = Date.now, wait = pause, random = Math.random }: Follow<T>): Promise<void> {
  let delay = first;
  while (!signal.aborted) {
    state({ kind: 'connecting' });
    let why = 'The proxy ended the stream';
    const one = new AbortController();
    const end = () => one.abort();
    signal.addEventListener('abort', end);
    let watch = setTimeout(end, silence);
    let live = false;
    try {
      for await (const l of open(one.signal)) {
        clearTimeout(watch);
        watch = setTimeout(end, silence);
        if (signal.aborted) return;
        if (!live) state({ kind: 'live' });
        live = true;
        delay = first;
        line(l);
      }
    } catch (e) {
      if (signal.aborted) return;
      why = one.signal.aborted ? 'The stream fell silent' : e instanceof Error ? e.message : String(e);
      if (e instanceof ApiError && [400, 401, 403, 404].includes(e.status)) {
        state({ kind: 'refused', error: e });
        return;
      }
    } finally {
      clearTimeout(watch);
      signal.removeEventListener('abort', end);
      one.abort();
    }
    if (signal.aborted) return;
    const ms = Math.round(delay * (0.75 + random() / 2));
    state({ kind: 'waiting', until: now() + ms, why });
    await wait(ms, signal);
    delay = Math.min(delay * 2, longest);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, { once: true });
    function end() {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      done();
    }
  });
}
