import { get, peerPath } from '../api';
import { usePoll } from '../poll';
import type { Config, Member } from '../types';
import type { Held } from './view';

/** configOf asks a member for its configuration: itself if it serves the page, else through that one. */
export const configOf = (m: Pick<Member, 'address' | 'self'>, signal?: AbortSignal) => get<Config>(m.self ? '/v1/config' : peerPath(m.address, '/v1/config'), {}, signal);

/** mostAsked is how many proxies are asked for their configuration for one page. */
export const mostAsked = 12;

export interface Configs { held: Held[]; asked: number; of: number; failed: { address: string; service: string; error: string }[] }

/** useConfigs has the configurations of the members that fit, at most mostAsked: the one that serves the page first. */
export function useConfigs(peers: Member[] | undefined, fits: (m: Member) => boolean) {
  const found = (peers ?? []).filter((m) => !m.error && fits(m)).sort((a, b) => Number(b.self) - Number(a.self));
  const some = found.slice(0, mostAsked);
  return usePoll(`configs ${some.map((m) => m.address).join(' ')}`, 15_000, async (signal): Promise<Configs | undefined> => {
    if (!peers) return undefined;
    const answers = await Promise.allSettled(some.map((m) => configOf(m, signal)));
    const all: Configs = { held: [], asked: some.length, of: found.length, failed: [] };
    answers.forEach((a, i) => {
      const m = some[i]!;
      if (a.status === 'fulfilled') all.held.push({ address: m.address, self: m.self, config: a.value });
      else all.failed.push({ address: m.address, service: m.service, error: String((a.reason as Error).message) });
    });
    return all;
  });
}
