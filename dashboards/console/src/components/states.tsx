import type { ComponentChildren } from 'preact';
import type { ApiError } from '../api';
import { refresh, type Polled } from '../poll';
import type { Answer } from '../types';
import { plural } from '../format';

export function Loading() {
  return <p class="loading" role="status">Loading…</p>;
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

export function ErrorBox({ error }: { error: ApiError }) {
  return (
    <div class="error" role="alert">
      <strong>{sentence(error.message)}</strong>
      {error.hint && <p>{sentence(error.hint)}</p>}
      {error.status !== 404 && <button type="button" onClick={refresh}>Try again</button>}
    </div>
  );
}

/** State shows that nothing is there yet, or why; and children with the data once it is. An old answer stays below an error. */
export function State<T>({ of, children }: { of: Polled<T>; children: (data: T) => ComponentChildren }) {
  return (
    <>
      {of.error && <ErrorBox error={of.error} />}
      {of.data !== undefined ? children(of.data) : !of.error && <Loading />}
    </>
  );
}

/** Missing says which proxies did not answer, and the notes of an answer. */
export function Missing({ of }: { of: Partial<Answer> }) {
  const silent = (of.peers ?? []).filter((p) => p.error);
  const notes = of.notes ?? [];
  if (silent.length === 0 && notes.length === 0) return null;
  return (
    <aside class="missing" aria-label="What is missing">
      {silent.length > 0 && (
        <details>
          <summary>{plural(silent.length, 'proxy', 'proxies')} of {of.peers!.length} did not answer</summary>
          <ul>{silent.map((p) => <li key={p.address}><b>{p.service || p.address}</b> {p.service && p.address}: {p.error}</li>)}</ul>
        </details>
      )}
      {notes.map((n) => <p key={n}>{sentence(n)}</p>)}
    </aside>
  );
}

/** sentence begins with a capital letter, and ends with a full stop. */
export function sentence(text: string): string {
  if (!text) return text;
  return text[0]!.toUpperCase() + text.slice(1) + (/[.!?:]$/.test(text) ? '' : '.');
}
