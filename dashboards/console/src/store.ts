import { useEffect, useState } from 'preact/hooks';

/** Store holds a value that several components show. */
export interface Store<T> {
  get(): T;
  set(value: T): void;
  /** subscribe calls f after each change, until the function that it returns is called. */
  subscribe(f: () => void): () => void;
}

export function store<T>(value: T): Store<T> {
  const all = new Set<() => void>();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const f of [...all]) f();
    },
    subscribe(f) {
      all.add(f);
      return () => { all.delete(f); };
    },
  };
}

/** useStore returns the value of a store, and renders the component anew when it changes. */
export function useStore<T>(s: Store<T>): T {
  const [value, set] = useState(s.get);
  useEffect(() => {
    const show = () => set(() => s.get());
    show(); // it may have changed since the component was rendered
    return s.subscribe(show);
  }, [s]);
  return value;
}

/** remembered is a store whose text stays in the browser. */
export function remembered(key: string, fallback: string): Store<string> {
  const name = `hopscope.${key}`;
  let first = fallback;
  try { first = localStorage.getItem(name) ?? fallback; } catch { /* the browser keeps nothing */ }
  const s = store(first);
  s.subscribe(() => {
    try { localStorage.setItem(name, s.get()); } catch { /* the browser keeps nothing */ }
  });
  return s;
}
