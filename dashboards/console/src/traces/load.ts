import { get } from '../api';
import { refreshes, usePoll, type Polled } from '../poll';
import type { Word } from '../types';
import { wordsOf, type Words } from './facts';
import type { Trace } from './hop';

// The trace that was shown last: its hops have pages of their own, and need not ask again.
let last: { id: string; asked: number; trace: Trace } | undefined;
let known: Word[] | undefined;

export const loadTrace = (id: string, signal?: AbortSignal) => get<Trace>(`/v1/mesh/trace/${encodeURIComponent(id)}`, {}, signal);

/** useTrace loads a trace, once: a trace that has ended does not change. */
export function useTrace(id: string): Polled<Trace> {
  return usePoll(`trace ${id}`, 0, async (signal) => {
    if (last?.id === id && last.asked === refreshes.get()) return last.trace;
    const trace = await loadTrace(id, signal);
    last = { id, asked: refreshes.get(), trace };
    return trace;
  });
}

/** useWords explains flags and kinds, once they are loaded. */
export function useWords(): Words {
  const { data } = usePoll('words', 0, async (signal) => known ??= await get<Word[]>('/v1/words', {}, signal));
  return wordsOf(data ?? []);
}

/** save has the browser keep a text as a file. */
export function save(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
