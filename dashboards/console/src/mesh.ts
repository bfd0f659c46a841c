// What several pages ask of the mesh.

import { get } from './api';
import { usePoll } from './poll';
import { store } from './store';
import type { PeersAnswer, SeriesAnswer, Why } from './types';

/** known are the names of services that were seen, for whoever types one. */
export const known = store<string[]>([]);

/** useSeries is the last hour in windows. */
export const useSeries = () => usePoll('series', 15_000, async (signal) => {
  const answer = await get<SeriesAnswer>('/v1/mesh/series', { since: '1h' }, signal);
  const names = answer.services.map((s) => s.service).sort();
  if (names.join('\n') !== known.get().join('\n')) known.set(names);
  return answer;
});

/** useWhy is who is at fault for what failed. */
export const useWhy = (since: string, every = 15_000) => usePoll(`why ${since}`, every, (signal) => get<Why>('/v1/mesh/why', { since }, signal));

export const usePeers = () => usePoll('peers', 30_000, (signal) => get<PeersAnswer>('/v1/mesh/peers', {}, signal));
