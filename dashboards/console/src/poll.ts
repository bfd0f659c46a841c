import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from './api';
import { store, useStore } from './store';

/** paused stops every poll of the page. */
export const paused = store(false);

/** refreshes counts how often a person asked for fresh data. */
export const refreshes = store(0);
export const refresh = () => refreshes.set(refreshes.get() + 1);

export interface Polled<T> {
  /** data is the last good answer. It stays while a later one fails. */
  data?: T;
  /** error is why the last question had no answer. */
  error?: ApiError;
  loading: boolean;
  /** at is when the last good answer came, in ms since the epoch. */
  at?: number;
}

/**
 * usePoll loads at once, and again every so many ms while the page is seen and not paused;
 * 0 loads once. Another key aborts what is under way and loads anew; the old answer stays
 * until the new one is there.
 */
export function usePoll<T>(key: string, every: number, load: (signal: AbortSignal) => Promise<T>): Polled<T> {
  const [state, set] = useState<Polled<T>>({ loading: true });
  const stopped = useStore(paused);
  const asked = useStore(refreshes);
  const loader = useRef(load);
  loader.current = load;
  const last = useRef('');

  const run = useCallback(async (signal: AbortSignal) => {
    set((s) => ({ ...s, loading: true }));
    try {
      const data = await loader.current(signal);
      if (!signal.aborted) set({ data, loading: false, at: Date.now() });
    } catch (e) {
      if (signal.aborted) return;
      const error = e instanceof ApiError ? e : new ApiError(String(e instanceof Error ? e.message : e), 0);
      set((s) => ({ ...s, error, loading: false }));
    }
  }, []);

  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const next = async () => {
      if (!document.hidden) await run(abort.signal);
      if (every > 0 && !stopped && !abort.signal.aborted) timer = setTimeout(next, every);
    };
    const seen = () => {
      if (document.hidden || stopped || every === 0) return;
      clearTimeout(timer);
      void next();
    };
    // While the page is paused, only another question or a person's wish is asked, once.
    const question = `${asked} ${key}`;
    if (!stopped || last.current !== question) void next();
    last.current = question;
    document.addEventListener('visibilitychange', seen);
    return () => {
      abort.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', seen);
    };
  }, [key, every, stopped, asked, run]);

  return state;
}
