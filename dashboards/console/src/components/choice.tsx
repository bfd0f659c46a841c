import type { ComponentChildren } from 'preact';
import { usePeers } from '../mesh';
import { setQuery } from '../router';
import type { Member } from '../types';
import { Empty, ErrorBox, Loading } from './states';

/** OfProxy heads a page about one proxy of the mesh, which the query chooses: without a word, the one that serves the page. */
export function OfProxy({ title, query, children }: { title: string; query: URLSearchParams; children: (member: Member) => ComponentChildren }) {
  const peers = usePeers();
  const all = peers.data?.peers ?? [];
  const wanted = query.get('proxy') ?? '';
  const chosen = all.find((m) => m.address === wanted) ?? (wanted ? undefined : all.find((m) => m.self) ?? all[0]);
  return (
    <>
      <div class="head">
        <h1>{title}</h1>
        <select aria-label="Proxy" value={chosen?.address ?? wanted} onChange={(e) => setQuery({ proxy: e.currentTarget.value }, false)}>
          {wanted && !chosen && <option value={wanted}>{wanted}</option>}
          {[...all].sort((a, b) => a.service.localeCompare(b.service) || a.instance.localeCompare(b.instance)).map((m) => (
            <option key={m.address} value={m.address}>{[m.service || m.address, m.instance !== m.service && m.instance, m.self && 'this proxy', m.error && 'does not answer'].filter(Boolean).join(', ')}</option>
          ))}
        </select>
      </div>
      {peers.error && !peers.data && <ErrorBox error={peers.error} />}
      {chosen ? children(chosen) : peers.data ? <Empty>The mesh has no proxy at {wanted}.</Empty> : !peers.error && <Loading />}
    </>
  );
}
