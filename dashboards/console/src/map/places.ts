import { useEffect, useRef, useState } from 'preact/hooks';
import { shape, type Graph } from './graph';
import type { Layout, Shape } from './layout';

/** Placed is a graph with the places of all that is in it. */
export interface Placed { graph: Graph; places: Layout }

/**
 * usePlaces has a worker place what is in a graph. Numbers alone need no new places. Until
 * others are there, the last graph that has its places stays; undefined before the first.
 */
export function usePlaces(graph: Graph): Placed | undefined {
  const key = shape(graph);
  const [known, set] = useState<{ key: string; places: Layout }>();
  const last = useRef<Placed | undefined>(undefined);
  useEffect(() => {
    if (known?.key === key) return;
    let gone = false;
    const done = (places: Layout) => { if (!gone) set({ key, places }); };
    const here = () => void import('./layout').then((m) => done(m.layout(graph)));
    let worker: Worker | undefined;
    try {
      worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
      worker.onmessage = (e: MessageEvent<{ places: Layout }>) => done(e.data.places);
      worker.onerror = here; // a policy of another proxy may forbid workers
      const asked: Shape = { nodes: graph.nodes.map(({ name }) => ({ name })), edges: graph.edges.map(({ caller, service }) => ({ caller, service })) };
      worker.postMessage({ key, graph: asked });
    } catch {
      here();
    }
    return () => {
      gone = true;
      worker?.terminate();
    };
  }, [key]);
  if (known?.key === key) last.current = { graph, places: known.places };
  return last.current;
}
