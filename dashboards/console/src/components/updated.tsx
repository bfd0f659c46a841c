import { duration } from '../format';
import { paused, refresh, type Polled } from '../poll';
import { useStore } from '../store';
import { useNow } from './parts';

/** Updated says how old what is shown is, and asks anew on a click. */
export function Updated({ of }: { of: Polled<unknown> }) {
  const now = useNow(1000);
  const stopped = useStore(paused);
  const age = of.at ? Math.max(0, Math.floor((now - of.at) / 1000)) : undefined;
  return (
    <span class="updated">
      {stopped && <b>Paused. </b>}
      {age !== undefined && <span class={of.error ? 'bad' : 'faint'}>{age < 2 ? 'just now' : `${duration(age * 1e9)} ago`}</span>}
      <button type="button" class="quiet" onClick={refresh} title="Ask for fresh data (r)">Refresh</button>
    </span>
  );
}
