import { useState } from 'preact/hooks';
import { ApiError, post, session } from '../api';
import { Badge, Time } from '../components/parts';
import { sentence } from '../components/states';
import { Table, type Column } from '../components/table';
import { count, duration, percent, plural, ratio } from '../format';
import { refresh } from '../poll';
import { useStore } from '../store';
import type { Configs } from './data';
import { isWell, type EndpointRow } from './view';

/** Endpoints has the endpoints that proxies call, with their health, and what may be done about it. single is true if all are of one cluster of one proxy, which the page names. */
export function Endpoints({ rows, configs, label, single }: { rows: EndpointRow[]; configs: Configs; label: string; single?: boolean }) {
  const who = useStore(session);
  const [said, say] = useState<{ tone: string; text: string }>();
  const may = who?.roles.includes('control') ?? false;
  const own = rows.some((r) => r.self);
  const act = async (r: EndpointRow, action: string) => {
    try {
      await post(`/clusters/${encodeURIComponent(r.cluster)}/endpoints/${encodeURIComponent(r.address)}/${action}`);
      say({ tone: 'good', text: `${done[action]} ${r.address} of ${r.cluster} at this proxy (${r.proxy}).` });
      refresh();
    } catch (e) {
      say({ tone: 'bad', text: e instanceof ApiError ? `${sentence(e.message)} ${sentence(e.hint)}` : String(e) });
    }
  };
  const columns: Column<EndpointRow>[] = [
    { name: 'Endpoint', sort: (r) => r.address, cell: (r) => <code>{r.address}</code> },
    { name: 'Seen by', sort: (r) => r.proxy, cell: (r) => <>{r.proxy}{r.self && <> <Badge tone="accent" title="The proxy that serves this page">this proxy</Badge></>}<span class="faint"> {r.cluster !== r.proxy && r.cluster}</span></> },
    { name: 'Health', sort: (r) => (isWell(r) ? 1 : 0) + r.health, cell: (r) => <Health of={r} /> },
    { name: 'Weight', number: true, sort: (r) => r.weight, cell: (r) => r.weight ?? '–' },
    { name: 'Zone', sort: (r) => r.zone, cell: (r) => r.zone || <span class="faint">–</span> },
    { name: 'Active', number: true, sort: (r) => r.active, cell: (r) => count(r.active) },
    { name: 'Requests', number: true, sort: (r) => r.requests, cell: (r) => count(r.requests), help: 'Of the last hour' },
    { name: 'Failed', number: true, sort: (r) => r.failed, cell: (r) => r.failed === undefined ? '–' : <span class={r.failed > 0 ? 'bad' : 'faint'}>{percent(ratio(r.failed, r.requests ?? 0))}</span> },
    { name: 'Latency', number: true, sort: (r) => r.latency_ns, cell: (r) => duration(r.latency_ns || undefined), help: 'How long its responses take to begin: a mean that rises at once and falls slowly (peak EWMA)' },
  ];
  if (single) columns.splice(1, 1);
  if (may && own) columns.push({ name: 'Actions', cell: (r) => r.self ? <Actions of={r} act={act} /> : <span class="faint" title="Open the console of that proxy">at {r.at}</span> });
  return (
    <>
      {said && <p class={said.tone} role="status">{said.text}</p>}
      <Table label={label} columns={columns} rows={rows} id={(r) => `${r.at} ${r.cluster} ${r.address}`} empty={single ? 'It has no endpoints.' : 'No proxy that answered has endpoints of it.'} />
      {configs.of > configs.asked && <p class="faint">{configs.asked} of {configs.of} proxies were asked.</p>}
      {configs.failed.map((f) => <p key={f.address} class="faint">{f.service || f.address} did not say: {f.error}.</p>)}
      {own && !may && !single && <p class="faint">To eject, drain or restore endpoints, sign in with the control token.</p>}
      {!own && !single && rows.length > 0 && <p class="faint">Endpoints can be ejected, drained and restored in the console of the proxy that calls them: {plural(new Set(rows.map((r) => r.at)).size, 'proxy', 'proxies')} here, none of which serves this page.</p>}
    </>
  );
}

const done: Record<string, string> = { eject: 'Ejected', drain: 'Drained', restore: 'Restored' };

function Actions({ of: r, act }: { of: EndpointRow; act: (r: EndpointRow, action: string) => Promise<void> }) {
  const [asked, ask] = useState('');
  const [busy, setBusy] = useState(false);
  const run = async () => {
    setBusy(true);
    await act(r, asked);
    setBusy(false);
    ask('');
  };
  if (asked) {
    return (
      <span class="actions">
        <button type="button" class={asked === 'restore' ? 'primary' : 'danger'} disabled={busy} onClick={run} ref={(b) => b?.focus()}>{asked[0]!.toUpperCase() + asked.slice(1)} {r.address} at {r.proxy}</button>
        <button type="button" class="quiet" onClick={() => ask('')}>Cancel</button>
      </span>
    );
  }
  const out = r.ejected || !!r.ejected_until || r.draining;
  return (
    <span class="actions">
      {out ? <button type="button" onClick={() => ask('restore')}>Restore</button>
        : <><button type="button" onClick={() => ask('eject')} title="Send it nothing for some time">Eject</button><button type="button" onClick={() => ask('drain')} title="Send it nothing until it is restored">Drain</button></>}
    </span>
  );
}

function Health({ of: e }: { of: EndpointRow }) {
  const tone = isWell(e) ? 'good' : e.health === 'unhealthy' ? 'bad' : 'slow';
  return (
    <>
      <Badge tone={tone}>{e.draining ? 'draining' : e.ejected || e.ejected_until ? 'ejected' : e.health}</Badge>
      {e.ejected_until && <span class="faint"> until <Time at={e.ejected_until} /></span>}
      {e.reason && <span class="faint"> {e.reason}</span>}
    </>
  );
}
