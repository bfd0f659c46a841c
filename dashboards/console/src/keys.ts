import { useEffect, useRef } from 'preact/hooks';

/** Shortcut is a key, or two in a row such as "g n", and what it does. */
export interface Shortcut {
  keys: string;
  text: string;
  run: () => void;
}

const active: Shortcut[] = [];

/** shortcuts lists those that work now. */
export const shortcuts = () => [...active];

/** useShortcut has a key work while the component is there. */
export function useShortcut(keys: string, text: string, run: () => void): void {
  const current = useRef(run);
  current.current = run;
  useEffect(() => {
    const shortcut = { keys, text, run: () => current.current() };
    active.push(shortcut);
    return () => { active.splice(active.indexOf(shortcut), 1); };
  }, [keys, text]);
}

/** listen takes the keys of the whole page. Whoever types into a field types. */
export function listenToKeys(): void {
  let first = '';
  let forget: ReturnType<typeof setTimeout> | undefined;
  addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented || typing(e.target) || document.querySelector('dialog[open]')) return;
    const keys = first ? `${first} ${e.key}` : e.key;
    clearTimeout(forget);
    first = '';
    const found = active.findLast((s) => s.keys === keys);
    if (found) {
      e.preventDefault();
      found.run();
    } else if (active.some((s) => s.keys.startsWith(keys + ' '))) {
      first = keys;
      forget = setTimeout(() => { first = ''; }, 1500);
    }
  });
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) && !/^(radio|checkbox|range|button)$/.test((target as HTMLInputElement).type);
}
