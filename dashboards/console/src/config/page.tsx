import './config.css';
import { useState } from 'preact/hooks';
import { OfProxy } from '../components/choice';
import { Badge, Copy, Search, Time, useNow } from '../components/parts';
import { Empty, sentence, State } from '../components/states';
import { Table, type Column } from '../components/table';
import { Updated } from '../components/updated';
import { ago, count, dateTime, duration, plural } from '../format';
import { usePoll } from '../poll';
import { href } from '../router';
import type { PageProps } from '../routes';
import { configOf } from '../service/data';
import { Endpoints } from '../service/endpoints';
import { isWell, type EndpointRow } from '../service/view';
import type { Config as Answer, ConfigCluster, Member } from '../types';
import { left, routesOf, unused, urgency, type RouteRow } from './view';

/** Config is the configuration in force of one proxy, chosen among those of the mesh. */
export default function Config({ query }: PageProps) {
  return <OfProxy title="Configuration" query={query}>{(member) => <One key={member.address} member={member} />}</OfProxy>;
}

function One({ member }: { member: Member }) {
  const config = usePoll(`config ${member.address}`, 15_000, (signal) => configOf(member, signal));
  const [search, setSearch] = useState('');
  return (
    <State of={config}>{(c) => (
      <>
        <Summary c={c} member={member} />
        <div class="filterrow"><Search label="Filter routes, clusters, endpoints" value={search} set={setSearch} /><span class="end"><Updated of={config} /></span></div>
        <Listeners c={c} search={search.trim().toLowerCase()} />
        <Clusters c={c} member={member} search={search.trim().toLowerCase()} />
        <Certificates c={c} />
        {c.yaml && <section><details><summary><h2 class="inline">Configuration in force</h2> <span class="faint">as YAML, secrets left out</span></summary><p><Copy text={c.yaml} /></p><pre class="panel yaml" tabIndex={0} aria-label="Configuration in force">{c.yaml}</pre></details></section>}
      </>
    )}</State>
  );
}

function Summary({ c, member }: { c: Answer; member: Member }) {
  const now = useNow(10_000);
  const u = unused(c);
  return (
    <dl class="about">
      <div><dt>Service</dt><dd><a href={href(['service', c.service])}>{c.service}</a> <span class="faint">{c.instance}</span></dd></div>
      <div><dt>Admin address</dt><dd>{member.address}{member.self && <> <Badge tone="accent">this proxy</Badge></>}</dd></div>
      <div><dt>hopscope</dt><dd>{c.version || member.version}</dd></div>
      {(c.config.version !== undefined || c.config.hash) && <div><dt>Version in force</dt><dd>{c.config.version} {c.config.hash && <code class="faint">{c.config.hash.slice(0, 12)}</code>}</dd></div>}
      {c.config.source && <div><dt>Source</dt><dd class="wrap"><code>{c.config.source}</code></dd></div>}
      {c.config.loaded && <div><dt>In force since</dt><dd title={dateTime(c.config.loaded)}>{ago(c.config.loaded, now)}</dd></div>}
      {u.of > 0 && <div><dt>Unused routes</dt><dd>{u.unused > 0 ? <span class="slow">{u.unused} of {u.of}</span> : `none of ${u.of}`}</dd></div>}
    </dl>
  );
}

const source: Column<RouteRow> = { name: 'Source', cell: (r) => r.source ? <code class="faint">{r.source.file}:{r.source.line}</code> : <span class="faint">–</span> };

const failed: Column<RouteRow> = { name: 'Failed', number: true, sort: (r) => r.failed, cell: (r) => count(r.failed) };

function Listeners({ c, search }: { c: Answer; search: string }) {
  return (
    <section>
      <h2>Listeners and routes</h2>
      {c.listeners.length === 0 && <Empty>It has no listeners.</Empty>}
      {c.listeners.map((l) => {
        const rows = routesOf(l).filter((r) => !search || `${l.name} ${r.name} ${r.match} ${r.cluster}`.toLowerCase().includes(search));
        return (
          <div class="block" key={l.name + l.address}>
            <p><b>{l.name}</b> <code>{l.address}</code> {l.direction && <Badge>{l.direction}</Badge>} <Badge>{l.protocol}</Badge>{l.tls && <> <Badge tone="good">TLS</Badge></>} {l.connections !== undefined && <span class="faint">{plural(l.connections, 'connection')}</span>}</p>
            <Table label={`Routes of listener ${l.name}`} rows={rows} id={(r) => `${r.name} ${r.match}`} most={100} empty={search ? 'No route fits.' : 'It has no routes of its own.'}
              columns={[
                { name: 'Route', sort: (r) => r.name, cell: (r) => r.name },
                { name: 'Match', sort: (r) => r.match, cell: (r) => <code>{r.match}</code>, class: 'wide' },
                { name: 'Cluster', sort: (r) => r.cluster, cell: (r) => r.cluster || <span class="faint">–</span> },
                ...(rows.some((r) => r.source) ? [source] : []),
                { name: 'Hits', number: true, sort: (r) => r.hits, cell: (r) => r.unreachable ? <Badge tone="bad" title={sentence(r.unreachable)}>unreachable</Badge> : r.unused ? <Badge tone="slow" title="No request has matched it">unused</Badge> : count(r.hits) },
                ...(rows.some((r) => r.failed) ? [failed] : []),
                { name: 'Last hit', sort: (r) => r.last_hit, cell: (r) => <Time at={r.last_hit} /> },
              ]} />
          </div>
        );
      })}
    </section>
  );
}

function Clusters({ c, member, search }: { c: Answer; member: Member; search: string }) {
  const fits = (x: ConfigCluster) => !search || `${x.name} ${x.service} ${x.endpoints.map((e) => e.address).join(' ')}`.toLowerCase().includes(search);
  const shown = c.clusters.filter(fits);
  const rows = (x: ConfigCluster): EndpointRow[] => x.endpoints.map((e) => ({ ...e, proxy: c.service, at: member.address, self: member.self, cluster: x.name }));
  return (
    <section>
      <h2>Clusters and endpoints</h2>
      {shown.length === 0 && <Empty>{search ? 'No cluster fits.' : 'It has no clusters.'}</Empty>}
      {shown.slice(0, 50).map((x) => (
        <div class="block" key={x.name}>
          <p>
            <b>{x.name}</b> {x.service && x.service !== x.name && <>for <a href={href(['service', x.service])}>{x.service}</a></>} {x.policy && <Badge title="How an endpoint is chosen">{x.policy}</Badge>}
            {' '}{x.discovery ? <span class="faint">endpoints from {x.discovery.kind}{x.discovery.age_ns !== undefined && `, ${duration(x.discovery.age_ns)} old`}</span> : x.source && <span class="faint">from {x.source}</span>}
            {' '}{x.endpoints.some((e) => !isWell(e)) && <Badge tone="slow">{x.endpoints.filter((e) => !isWell(e)).length} of {x.endpoints.length} not in use</Badge>}
          </p>
          {x.discovery?.error && <p class="bad">{sentence(x.discovery.error)}</p>}
          <Endpoints rows={rows(x)} configs={{ held: [], asked: 1, of: 1, failed: [] }} label={`Endpoints of cluster ${x.name}`} single />
        </div>
      ))}
      {shown.length > 50 && <p class="faint">The first 50 of {shown.length} clusters are shown: filter by name for the others.</p>}
    </section>
  );
}

function Certificates({ c }: { c: Answer }) {
  return (
    <section>
      <h2>Certificates</h2>
      <Table label="Certificates, those that end first" rows={c.certificates} id={(x) => `${x.name} ${x.subject} ${x.not_after}`} by="Valid" empty="It uses no certificate."
        columns={[
          { name: 'Name', sort: (x) => x.name, cell: (x) => x.name },
          { name: 'Subject', sort: (x) => x.subject, cell: (x) => x.subject || <span class="faint">–</span> },
          { name: 'Names', class: 'wide', cell: (x) => (x.sans ?? []).join(', ') },
          { name: 'Valid', sort: (x) => x.days_left, cell: (x) => <><Badge tone={urgency(x)}>{left(x.days_left)}</Badge> <span class="faint">{dateTime(x.not_after)}</span></> },
          { name: 'Used by', cell: (x) => (x.used_by ?? []).join(', ') || <span class="faint">–</span> },
        ]} />
    </section>
  );
}
