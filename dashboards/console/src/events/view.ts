// What the page of events shows. All pure.

import type { Tone } from '../components/parts';
import type { ProxyEvent } from '../types';

const bad = new Set(['reload_rejected', 'endpoint_unhealthy', 'endpoint_ejected', 'discovery_failing', 'circuit_open', 'panic_routing', 'guard_tripped', 'certificate_rejected', 'certificate_expired', 'overload', 'connection_limit', 'shortage', 'panic']);
const good = new Set(['endpoint_healthy', 'endpoint_restored', 'discovery_back', 'certificate_replaced']);

/** toneOf is bad for what breaks something, good for what mends it. */
export const toneOf = (kind: string): Tone => bad.has(kind) ? 'bad' : good.has(kind) ? 'good' : kind === 'endpoint_degraded' || kind === 'drain' ? 'slow' : kind === 'reload' || kind === 'endpoints_changed' || kind === 'guard_reset' ? 'accent' : 'plain';

/** kindInWords is a kind as one says it: endpoint ejected. */
export const kindInWords = (kind: string) => kind.replaceAll('_', ' ');

export interface Filter { kind: string; service: string; text: string }

/** filtered are the events that fit, the latest first. */
export function filtered(all: ProxyEvent[], f: Filter): ProxyEvent[] {
  const text = f.text.trim().toLowerCase();
  return all.filter((e) => (!f.kind || e.kind === f.kind) && (!f.service || e.service === f.service)
    && (!text || `${e.text} ${e.cluster} ${e.endpoint} ${e.instance} ${e.service} ${e.kind}`.toLowerCase().includes(text)))
    .sort((a, b) => Date.parse(b.last || b.time) - Date.parse(a.last || a.time));
}

/** counted are the values of a key with how often each is there, the most frequent first. */
export function counted(all: ProxyEvent[], key: 'kind' | 'service'): { value: string; count: number }[] {
  const n = new Map<string, number>();
  for (const e of all) n.set(e[key], (n.get(e[key]) ?? 0) + 1);
  return [...n].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count || a.value.localeCompare(b.value));
}

export interface Mark { at: number; kinds: string[]; tone: Tone; count: number }

/** marks are the events on a line from 0 to 1, those of the same place put together. */
export function marks(all: ProxyEvent[], from: number, to: number, places: number): Mark[] {
  const found = new Map<number, Mark>();
  const weight: Tone[] = ['plain', 'accent', 'good', 'slow', 'bad'];
  for (const e of all) {
    const part = (Date.parse(e.time) - from) / (to - from);
    if (!(part >= 0 && part <= 1)) continue;
    const place = Math.min(places - 1, Math.floor(part * places));
    const m = found.get(place) ?? { at: (place + 0.5) / places, kinds: [], tone: 'plain' as Tone, count: 0 };
    const tone = toneOf(e.kind);
    if (weight.indexOf(tone) > weight.indexOf(m.tone)) m.tone = tone;
    if (!m.kinds.includes(e.kind)) m.kinds.push(e.kind);
    m.count++;
    found.set(place, m);
  }
  return [...found.values()].sort((a, b) => a.at - b.at);
}
