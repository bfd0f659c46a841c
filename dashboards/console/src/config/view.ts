// What the page of the configuration shows. All pure.

import type { Config, ConfigCertificate, ConfigListener, ConfigRoute } from '../types';

export interface RouteRow extends ConfigRoute {
  listener: string;
  /** unused is true if the route is known to have matched no request since it is in force. */
  unused: boolean;
}

export const routesOf = (l: ConfigListener): RouteRow[] => (l.routes ?? []).map((r) => ({ ...r, listener: l.name, unused: r.hits === 0 }));

/** unused is how many routes matched nothing, of how many whose hits are counted. */
export function unused(c: Config): { unused: number; of: number } {
  const all = c.listeners.flatMap(routesOf).filter((r) => r.hits !== undefined);
  return { unused: all.filter((r) => r.unused).length, of: all.length };
}

/** urgency of a certificate: bad if it is over or ends within 3 days, slow within 21. */
export const urgency = (c: Pick<ConfigCertificate, 'days_left'>) => c.days_left < 3 ? 'bad' : c.days_left < 21 ? 'slow' : 'good';

/** left says how long a certificate is still valid. */
export function left(days: number): string {
  if (days < 0) return `expired ${whole(-days)} ago`;
  return `${whole(days)} left`;
}

function whole(days: number): string {
  if (days < 1) {
    const hours = Math.floor(days * 24);
    return hours === 1 ? '1 hour' : `${hours} hours`;
  }
  const n = Math.floor(days);
  return n === 1 ? '1 day' : `${n} days`;
}
