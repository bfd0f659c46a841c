import { percent, plural } from '../format';
import { arrow, blame, lasting } from '../now/view';
import { href } from '../router';
import type { Cause, Why } from '../types';

/** Blame says what a service or an edge is at fault for. */
export function Blame({ why, fits, since }: { why: Why | undefined; fits: (c: Cause) => boolean; since: string }) {
  const found = why?.causes.filter(fits) ?? [];
  if (!why || found.length === 0) return null;
  return (
    <div class="blame">
      {found.map((c) => (
        <p key={c.culprit.kind + c.culprit.edge + c.culprit.part}>
          <b>{blame(c.culprit)} at fault</b> for {plural(c.requests, 'failed request')} ({percent(c.share)} of all, {lasting(c, why.until).text}): {c.reason} <span class="faint">at {arrow(c.culprit.edge || c.culprit.service)}</span>.{' '}
          {c.trace_id && <a href={href(['trace', c.trace_id])}>Show one</a>}{c.trace_id && ' · '}<a href={href(['now'], { since })}>Why</a>
        </p>
      ))}
    </div>
  );
}
