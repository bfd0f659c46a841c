import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { memo } from '../memo';
import { duration, percent, plural, rate } from '../format';
import { edgeHref, href } from '../router';
import { edgeKey } from '../series';
import { near, outside, type Graph, type MapEdge, type MapNode } from './graph';
import type { Layout } from './layout';
import { shorten, toward } from './names';
import { first, fit, reveal, zoom, type View } from './view';

/** Drawing is the map. It is moved, scaled and walked through by pointer and keys. */
export function Drawing({ graph, places, search }: { graph: Graph; places: Layout; search: string }) {
  const svg = useRef<SVGSVGElement>(null);
  const moved = useRef<SVGGElement>(null);
  const view = useRef<View>({ x: 0, y: 0, scale: 1 });
  const [hover, setHover] = useState<string>();
  // Where there is no room for the numbers of all edges, they are there from nearby.
  const [nearby, setNearby] = useState(places.labelled);

  // The map is moved without being rendered anew.
  const show = (v: View) => {
    view.current = v;
    moved.current?.setAttribute('transform', `translate(${v.x.toFixed(1)} ${v.y.toFixed(1)}) scale(${v.scale.toFixed(4)})`);
    svg.current?.classList.toggle('far', v.scale < 0.55);
    setNearby(places.labelled || v.scale >= 0.95);
  };
  const screen = () => {
    const r = svg.current!.getBoundingClientRect();
    return { width: r.width, height: r.height };
  };
  useLayoutEffect(() => {
    const worst = graph.nodes.reduce((a, b) => b.blamed > a.blamed ? b : a, graph.nodes[0]!);
    const look = graph.culprit ? places.lines.get(edgeKey(graph.culprit))?.label : places.boxes.get(worst.blamed > 0 ? worst.name : outside) ?? places.boxes.get(worst.name);
    show(first(places, screen(), look));
  }, [places]);
  useEffect(() => movable(svg.current!, () => view.current, show), []);

  const middle = () => {
    const s = screen();
    return { x: s.width / 2, y: s.height / 2 };
  };
  const keys = (e: KeyboardEvent) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const name = (e.target as Element).closest('[data-service]')?.getAttribute('data-service');
    if (e.key.startsWith('Arrow')) {
      e.preventDefault();
      const next = name !== undefined && name !== null ? toward(places.boxes, name, e.key) : undefined;
      if (next !== undefined) svg.current!.querySelector<SVGAElement>(`[data-service="${CSS.escape(next)}"]`)?.focus();
      else if (name === undefined || name === null) show(pan(view.current, e.key));
    } else if (e.key === '+' || e.key === '=') show(zoom(view.current, 1.25, middle()));
    else if (e.key === '-') show(zoom(view.current, 0.8, middle()));
    else if (e.key === '0') show(fit(places, screen()));
  };
  // Tab goes from left to right, as requests do.
  const inOrder = useMemo(() => {
    const at = (n: MapNode) => places.boxes.get(n.name)!;
    return [...graph.nodes].sort((a, b) => at(a).x - at(b).x || at(a).y - at(b).y);
  }, [graph, places]);
  const close = useMemo(() => hover === undefined ? undefined : near(graph, hover), [hover, graph]);
  const lit = (name: string) => (!search || name.toLowerCase().includes(search)) && (!close || close.has(name));

  return (
    <div class="drawing">
      <svg ref={svg} class="map" tabindex={0} role="group" aria-label="Map of the mesh. Arrow keys move it, or from service to service; plus, minus and 0 scale it. The table has the same numbers." onKeyDown={keys}>
        <defs>
          <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse" orient="auto"><path class="head" d="M0 0L8 4L0 8Z" /></marker>
          <marker id="arrow-fault" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="10" markerHeight="10" markerUnits="userSpaceOnUse" orient="auto"><path class="head fault" d="M0 0L8 4L0 8Z" /></marker>
        </defs>
        <g ref={moved}>
          {graph.edges.map((e) => {
            const bright = close ? hover === e.caller || hover === e.service : lit(e.caller) || lit(e.service);
            return <Edge key={edgeKey(e)} edge={e} places={places} dim={!bright} named={nearby || close !== undefined && bright || e === graph.culprit} culprit={e === graph.culprit} />;
          })}
          {inOrder.map((n) => <Node key={n.name} node={n} places={places} dim={!lit(n.name)} over={setHover}
            focused={(name) => show(reveal(view.current, places.boxes.get(name)!, screen()))} />)}
        </g>
      </svg>
      <div class="zoom">
        <button type="button" aria-label="Larger" title="Larger (+)" onClick={() => show(zoom(view.current, 1.25, middle()))}>+</button>
        <button type="button" aria-label="Smaller" title="Smaller (-)" onClick={() => show(zoom(view.current, 0.8, middle()))}>−</button>
        <button type="button" title="Show all (0)" onClick={() => show(fit(places, screen()))}>Fit</button>
      </div>
    </div>
  );
}

const state = (x: MapNode | MapEdge) => x.blamed > 0 ? 'fault' : x.failed > 0 ? 'failing' : x.slow > 0 ? 'late' : x.requests === 0 ? 'idle' : '';

const Node = memo(function Node({ node: n, places, dim, over, focused }: { node: MapNode; places: Layout; dim: boolean; over: (name?: string) => void; focused: (name: string) => void }) {
  const b = places.boxes.get(n.name)!;
  const watch = { onMouseEnter: () => over(n.name), onMouseLeave: () => over(undefined) };
  if (n.name === outside) {
    return (
      <g class={`node outside ${dim ? 'dim' : ''}`} transform={`translate(${b.x} ${b.y})`} {...watch}>
        <rect x={-b.width / 2} y={-b.height / 2} width={b.width} height={b.height} rx={b.height / 2} />
        <text class="name" y="4.5">clients</text>
      </g>
    );
  }
  return (
    <a href={href(['service', n.name])} data-service={n.name} class={`node ${state(n)} ${n.proxied ? '' : 'bare'} ${dim ? 'dim' : ''}`} {...watch} onFocus={() => focused(n.name)}
      aria-label={`${shorten(n.name)} ${numbers(n)}${n.proxied ? '' : ', not behind a proxy'}${atFault(n)}`}>
      <g transform={`translate(${b.x} ${b.y})`}>
        {shorten(n.name) !== n.name && <title>{n.name}</title>}
        <rect x={-b.width / 2} y={-b.height / 2} width={b.width} height={b.height} rx="7" />
        <text class="name" y="-4">{shorten(n.name)}</text>{' '}
        <Numbers of={n} y={14} />
      </g>
    </a>
  );
});

const Edge = memo(function Edge({ edge: e, places, dim, named, culprit }: { edge: MapEdge; places: Layout; dim: boolean; named: boolean; culprit: boolean }) {
  const line = places.lines.get(edgeKey(e))!;
  const fault = e.blamed > 0;
  const width = e.requests === 0 ? 1 : Math.min(4, 1.2 + Math.log10(1 + e.perSecond) * 0.7) + (fault ? 1.6 : 0);
  return (
    <a href={edgeHref(e.caller, e.service)} tabindex={-1} class={`edge ${state(e)} ${culprit ? 'culprit' : ''} ${dim ? 'dim' : ''}`} aria-hidden="true">
      <title>{`${e.caller || 'clients'} → ${e.service}: ${spoken(e)}`}</title>
      <path class="hit" d={line.path} />
      {culprit && <path class="glow" d={line.path} />}
      <path class="line" d={line.path} stroke-width={width.toFixed(2)} marker-end={fault ? 'url(#arrow-fault)' : 'url(#arrow)'} />
      {named && <g class="label" transform={`translate(${line.label.x} ${line.label.y})`}><rect x="-66" y="-9" width="132" height="18" rx="4" /><Numbers of={e} y={4} /></g>}
    </a>
  );
});

/** Numbers are the rate, failures and p99. */
function Numbers({ of: x, y }: { of: MapNode | MapEdge; y: number }) {
  if (x.requests === 0) return <text class="numbers" y={y}>no requests</text>;
  return <text class="numbers" y={y}>{rate(x.perSecond)} <tspan class={x.failed > 0 ? 'bad' : ''}>{percent(x.failing)}</tspan> <tspan class={x.slow > 0 ? 'slow' : ''}>{duration(x.p99)}</tspan></text>;
}

const atFault = (x: MapNode | MapEdge) => x.blamed > 0 ? `, at fault for ${plural(x.blamed, 'failure')}` : '';
const numbers = (x: MapNode | MapEdge) => x.requests === 0 ? 'no requests' : `${rate(x.perSecond)} ${percent(x.failing)} ${duration(x.p99)}`;
const spoken = (x: MapNode | MapEdge) => x.requests === 0 ? 'no requests' : `${rate(x.perSecond)}, ${percent(x.failing)} failed${atFault(x)}, p99 ${duration(x.p99)}`;

function pan(v: View, key: string): View {
  const step = 60;
  return { ...v, x: v.x + ({ ArrowLeft: step, ArrowRight: -step }[key] ?? 0), y: v.y + ({ ArrowUp: step, ArrowDown: -step }[key] ?? 0) };
}

/** movable drags with a pointer, scales with two, or with the wheel and Ctrl. */
function movable(svg: SVGSVGElement, view: () => View, show: (v: View) => void): () => void {
  const stop = new AbortController();
  const signal = stop.signal;
  const down = new Map<number, { x: number; y: number }>();
  let dragged = false;
  const local = (e: { clientX: number; clientY: number }) => {
    const r = svg.getBoundingClientRect();
    return { x: e.clientX - r.left, y: e.clientY - r.top };
  };
  svg.addEventListener('pointerdown', (e) => {
    if (e.button !== 0) return;
    down.set(e.pointerId, local(e));
    if (down.size === 1) dragged = false;
  }, { signal });
  svg.addEventListener('pointermove', (e) => {
    const before = down.get(e.pointerId);
    if (!before) return;
    const now = local(e);
    if (!dragged && Math.hypot(now.x - before.x, now.y - before.y) < 4) return;
    if (!dragged) svg.setPointerCapture(e.pointerId); // not before: it would take the click from a link
    dragged = true;
    const v = view();
    const other = [...down].find(([id]) => id !== e.pointerId)?.[1];
    down.set(e.pointerId, now);
    if (other) show(zoom(v, Math.hypot(now.x - other.x, now.y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y)), other));
    else show({ ...v, x: v.x + now.x - before.x, y: v.y + now.y - before.y });
  }, { signal });
  const up = (e: PointerEvent) => { down.delete(e.pointerId); };
  svg.addEventListener('pointerup', up, { signal });
  svg.addEventListener('pointercancel', up, { signal });
  svg.addEventListener('dragstart', (e) => e.preventDefault(), { signal });
  svg.addEventListener('click', (e) => { if (dragged) { e.preventDefault(); dragged = false; } }, { signal, capture: true });
  svg.addEventListener('wheel', (e) => {
    if (!e.ctrlKey && !e.metaKey) return;
    e.preventDefault();
    show(zoom(view(), Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.0025)), local(e)));
  }, { signal, passive: false });
  return () => stop.abort();
}
