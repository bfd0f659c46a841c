import { useEffect, useRef } from 'preact/hooks';
import { shortcuts } from '../keys';

/** Keys is a dialog of the shortcuts that work now. */
export function Keys({ close }: { close: () => void }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    box.current?.showModal();
    return () => { if (before instanceof HTMLElement) before.focus(); };
  }, []);
  return (
    <dialog ref={box} class="keys" aria-labelledby="keys-title" onClose={close} onClick={(e) => { if (e.target === box.current) close(); }}>
      <h2 id="keys-title">Keys</h2>
      <ShortcutList />
      <form method="dialog"><button type="submit">Close</button></form>
    </dialog>
  );
}

export function ShortcutList() {
  return (
    <dl class="shortcuts">
      {shortcuts().filter((s) => s.keys).map((s) => (
        <div key={s.keys}>
          <dt>{s.keys.split(' ').map((k) => <kbd key={k}>{k}</kbd>)}</dt>
          <dd>{s.text}</dd>
        </div>
      ))}
    </dl>
  );
}
