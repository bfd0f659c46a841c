import { Graph as Dagre, layout as run } from '@dagrejs/dagre';
import { edgeKey } from '../series';
import { shorten } from './names';

/** Shape is what places depend on. */
export interface Shape { nodes: { name: string }[]; edges: { caller: string; service: string }[] }

export interface Point { x: number; y: number }

/** Box is where a node is drawn: its middle, and its size. */
export interface Box extends Point { width: number; height: number }

export interface Line {
  path: string;
  /** label is where the numbers of the edge go. */
  label: Point;
}

export interface Layout {
  boxes: Map<string, Box>;
  lines: Map<string, Line>;
  width: number;
  height: number;
  /** labelled is true if there is room for the numbers of each edge. */
  labelled: boolean;
}

/** mostLabelled is up to how many edges there is room for numbers between the services. */
export const mostLabelled = 60;

const letter = 7.6, height = 48;
export const labelWidth = 142;

/** layout places callers left of those that they call. Equal shapes give equal places. */
export function layout(g: Shape): Layout {
  const labelled = g.edges.length <= mostLabelled;
  const d = new Dagre({ multigraph: false });
  d.setGraph({ rankdir: 'LR', nodesep: labelled ? 22 : 14, ranksep: labelled ? 44 : 90, edgesep: labelled ? 14 : 6, marginx: 16, marginy: 16, ranker: 'tight-tree' });
  d.setDefaultEdgeLabel(() => ({}));
  for (const n of g.nodes) d.setNode(id(n.name), n.name ? { width: Math.max(148, Math.min(240, shorten(n.name).length * letter + 28)), height } : { width: 68, height: 32 });
  for (const e of g.edges) if (e.caller !== e.service) d.setEdge(id(e.caller), id(e.service), labelled ? { width: labelWidth, height: 20, labelpos: 'c' } : { width: 0, height: 0 });
  run(d);
  const boxes = new Map<string, Box>();
  for (const n of g.nodes) {
    const { x, y, width, height } = d.node(id(n.name)) as Box;
    boxes.set(n.name, { x, y, width, height });
  }
  const lines = new Map<string, Line>();
  for (const e of g.edges) {
    if (e.caller === e.service) {
      lines.set(edgeKey(e), loop(boxes.get(e.service)!));
      continue;
    }
    const { points, x, y } = d.edge(id(e.caller), id(e.service)) as { points: Point[]; x?: number; y?: number };
    const middle = points[Math.floor(points.length / 2)]!;
    lines.set(edgeKey(e), { path: curve(points), label: labelled && x !== undefined && y !== undefined ? { x, y } : middle });
  }
  const size = d.graph() as { width?: number; height?: number };
  return { boxes, lines, width: size.width ?? 0, height: size.height ?? 0, labelled };
}

/** curve is a smooth path through points: it touches the first and the last, and bends at those between. */
export function curve(points: Point[]): string {
  const [first, ...rest] = points;
  if (!first) return '';
  const at = (p: Point) => `${round(p.x)} ${round(p.y)}`;
  let path = `M${at(first)}`;
  rest.forEach((p, i) => {
    const next = rest[i + 1];
    path += next ? `Q${at(p)} ${at({ x: (p.x + next.x) / 2, y: (p.y + next.y) / 2 })}` : `L${at(p)}`;
  });
  return path;
}

/** id is never empty: dagre takes an empty name for none. */
const id = (name: string) => '.' + name;

function loop(b: Box): Line {
  const top = b.y - b.height / 2;
  return { path: `M${round(b.x - 20)} ${round(top)}C${round(b.x - 20)} ${round(top - 28)} ${round(b.x + 20)} ${round(top - 28)} ${round(b.x + 20)} ${round(top)}`, label: { x: b.x, y: top - 22 } };
}

const round = (n: number) => Math.round(n * 10) / 10;
