import 'uplot/dist/uPlot.min.css';
import './chart.css';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { duration, percent, rate, time } from '../format';
import { color, onTheme } from '../theme';

export interface Line {
  name: string;
  values: (number | null)[];
  /** color is a variable of the style sheet, such as --c1. */
  color: string;
  fill?: boolean;
}

export type Unit = 'rate' | 'share' | 'ns';

const write: Record<Unit, (n: number) => string> = { rate, share: percent, ns: duration };

export interface ChartProps {
  /** title says what is drawn. */
  title: string;
  unit: Unit;
  /** times are when each window began, in seconds since the epoch. */
  times: number[];
  lines: Line[];
  height?: number;
}

/** Chart draws lines over time with uPlot. Below it the same lines stand in a table, for who can't see it. */
export function Chart({ title, unit, times, lines, height = 170 }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const shown = lines.map((l) => `${l.name}\u0001${l.color}\u0001${l.fill ?? ''}`).join('\u0002');
  const data = (): uPlot.AlignedData => [times, ...lines.map((l) => l.values)];
  const latest = useRef(data);
  latest.current = data;

  useEffect(() => {
    const el = box.current!;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(unit, lines, el.clientWidth, height), latest.current(), el);
    };
    draw();
    const sized = new ResizeObserver(() => plot.current?.setSize({ width: el.clientWidth, height }));
    sized.observe(el);
    const stop = onTheme(draw);
    return () => {
      stop();
      sized.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shown, unit, height]);
  useEffect(() => { plot.current?.setData(data()); }, [times, lines]);

  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <div ref={box} role="img" aria-label={`${title}: ${lines.map((l) => `${l.name} ${summary(l.values, unit)}`).join('; ')}`} />
    </figure>
  );
}

function summary(values: (number | null)[], unit: Unit): string {
  const there = values.filter((v): v is number => v !== null);
  if (there.length === 0) return 'nothing';
  return `now ${write[unit](there[there.length - 1]!)}, at most ${write[unit](Math.max(...there))}`;
}

const latestOf = (values: (number | null)[]) => values.findLast((v) => v !== null) ?? NaN;

/** alone are the numbers between two gaps: no line is drawn through them. */
const alone = (values: (number | null)[]) => values.flatMap((v, i) => v !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null ? [i] : []);

function options(unit: Unit, lines: Line[], width: number, height: number): uPlot.Options {
  const faint = color('--faint'), grid = color('--line');
  const axis = { stroke: faint, grid: { stroke: grid, width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' };
  return {
    width, height, padding: [8, 22, 0, 0],
    tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), 'Etc/UTC'),
    cursor: { sync: { key: 'time' }, drag: { x: false, y: false }, points: { size: 6 } },
    legend: { live: true },
    scales: { y: { range: (_u, _min, max) => [0, unit === 'share' ? Math.min(1, Math.max(max * 1.1, 0.01)) : max > 0 ? max * 1.1 : 1] } },
    axes: [
      { ...axis, space: 70, size: 24, values: (_u, all, _i, _space, step) => all.map((v) => time(v * 1000).slice(0, step < 60 ? 8 : 5)) },
      { ...axis, size: 58, values: (_u, all) => all.map((v) => write[unit](v)) },
    ],
    series: [
      { label: 'UTC', value: (_u, v) => v === null || v === undefined ? 'latest' : time(v * 1000) },
      ...lines.map((l): uPlot.Series => ({
        label: l.name, stroke: color(l.color), width: 1.5, spanGaps: false,
        points: { show: true, size: 5, fill: color(l.color), filter: (u, i) => alone(u.data[i] as (number | null)[]) },
        fill: l.fill ? color(l.color) + '26' : undefined, // Without a pointer the legend has the latest numbers.
        value: (u, v, i, at) => write[unit](at === null ? latestOf(u.data[i] as (number | null)[]) : v ?? NaN),
      })),
    ],
  };
}
