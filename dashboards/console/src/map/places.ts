import { useEffect, useRef, useState } from 'preact/hooks';
import { shape, type Graph } from './graph';
import type { Layout, Shape } from './layout';

/** Placed is a graph with the places of all that is in it. */
export interface Placed { graph: Graph; places: Layout }

/**
 * usePlaces has a worker place what is in a graph. Numbers alone need no new places. Until
 * others are there, the last graph that has its places stays; undefined before the first.
 * failed is true if the browser runs no worker.
 */
export function usePlaces(graph: Graph): { placed?: Placed; failed: boolean } {
  const key = shape(graph);
  const [known, set] = useState<{ key: string; places: Layout }>();
  const [failed, fail] = useState(false);
  const last = useRef<Placed | undefined>(undefined);
  useEffect(() => {
    if (known?.key === key) return;
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    worker.onmessage = (e: MessageEvent<Layout>) => set({ key, places: e.data });
    worker.onerror = () => fail(true);
    const asked: Shape = { nodes: graph.nodes.map(({ name }) => ({ name })), edges: graph.edges.map(({ caller, service }) => ({ caller, service })) };
    worker.postMessage(asked);
    return () => worker.terminate();
  }, [key]);
  if (known?.key === key) last.current = { graph, places: known.places };
  return { placed: last.current, failed };
}
