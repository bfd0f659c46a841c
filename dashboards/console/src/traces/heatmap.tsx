import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { count, duration, seconds, time } from '../format';
import { useStore } from '../store';
import { theme } from '../theme';
import type { TraceSummary } from '../types';
import { durationText } from './filters';
import { bin, type Brush, brushOf, cornersOf, type Cursor, durations, fromCorners, type Heat, moved, type Range, rangeOf, times } from './heat';

const rows = 24, height = 170, left = 58, bottom = 20, top = 6;

export interface HeatMapProps {
  traces: TraceSummary[];
  range: Range | undefined;
  select: (r: Range | undefined) => void;
  selected: number;
}

/** HeatMap draws how long traces took over time. A rectangle of it can be selected with the mouse, with the keys, or by typing. */
export function HeatMap({ traces, range, select, selected }: HeatMapProps) {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [drag, setDrag] = useState<Cursor>();
  const cursor = useRef<Cursor | undefined>(undefined);
  const scheme = useStore(theme);
  const dark = useDark();

  useLayoutEffect(() => {
    const watch = new ResizeObserver(([e]) => setWidth(Math.floor(e!.contentRect.width)));
    watch.observe(box.current!);
    setWidth(box.current!.clientWidth);
    return () => watch.disconnect();
  }, []);

  const columns = Math.max(Math.floor((width - left) / 9), 10);
  const heat = useMemo(() => bin(traces, columns, rows), [traces, columns]);
  const brush = drag ? fromCorners(drag) : range && brushOf(heat, range);
  const plot: Plot = { width: Math.max(width - left, 1), height: height - top - bottom };

  useEffect(() => {
    if (canvas.current && width > 0) draw(canvas.current, heat, width);
  }, [heat, width, scheme, dark]);
  useEffect(() => { if (!range) cursor.current = undefined; }, [range]);

  const cell = (e: PointerEvent): [number, number] => {
    const r = canvas.current!.getBoundingClientRect();
    const x = Math.floor((e.clientX - r.left - left) / plot.width * heat.columns);
    const y = Math.floor((top + plot.height - (e.clientY - r.top)) / plot.height * rows);
    return [Math.min(Math.max(x, 0), heat.columns - 1), Math.min(Math.max(y, 0), rows - 1)];
  };
  const down = (e: PointerEvent) => {
    if (e.button !== 0) return;
    (e.currentTarget as HTMLElement).setPointerCapture(e.pointerId);
    const at = cell(e);
    setDrag({ anchor: at, head: at });
  };
  const move = (e: PointerEvent) => { if (drag) setDrag({ ...drag, head: cell(e) }); };
  const up = () => {
    if (!drag) return;
    const b = fromCorners(drag);
    setDrag(undefined);
    const empty = b.left === b.right && b.bottom === b.top && heat.all[b.left * rows + b.bottom] === 0;
    cursor.current = empty ? undefined : drag;
    select(empty ? undefined : rangeOf(heat, b));
  };
  const key = (e: KeyboardEvent) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === 'Escape' && range) {
      select(undefined);
      return;
    }
    const next = moved(heat, cursor.current ?? (brush && cornersOf(brush)), e.key, e.shiftKey);
    if (!next) return;
    e.preventDefault();
    cursor.current = next;
    select(rangeOf(heat, fromCorners(next)));
  };
  const words = range ? `Selected: ${rangeWords(range, heat)}, ${count(selected)} of ${count(traces.length)} traces` : '';
  return (
    <section class="heat" aria-label="Durations over time">
      <div class="map" ref={box} tabIndex={0} role="group" aria-describedby="heat-help"
        aria-label={`Durations over time: ${count(traces.length)} traces, ${count(traces.filter((t) => t.failed).length)} of them failed, from ${duration(heat.low)} to ${duration(heat.high)}, ${time(heat.from)} to ${time(heat.to)}`}
        onPointerDown={down} onPointerMove={move} onPointerUp={up} onPointerCancel={() => setDrag(undefined)} onKeyDown={key}>
        <canvas ref={canvas} aria-hidden="true" />
        {brush && <div class="brush" style={place(brush, heat, plot)} />}
        <div class="axis" aria-hidden="true">
          {durations(heat).map((d) => <span key={d} class="y" style={{ top: `${top + plot.height * (1 - Math.log(d / heat.low) / Math.log(heat.high / heat.low))}px` }}>{duration(d)}</span>)}
          {times(heat, Math.max(Math.floor(width / 90), 2)).map((at) => <span key={at} class={plot.width * (heat.to - at) / (heat.to - heat.from) < 26 ? 'x last' : 'x'} style={{ left: `${left + plot.width * (at - heat.from) / (heat.to - heat.from)}px` }}>{time(at)}</span>)}
        </div>
      </div>
      <div class="under">
        <span class="key"><i class="ok" />went well</span> <span class="key"><i class="bad" />some failed</span>
        <p id="heat-help" class="faint">Drag to select, or use shift and the arrow keys<span class="sr">. Arrows move the selection, with shift they grow it, Escape ends it</span>.</p>
        <p aria-live="polite" class="selection">{words}</p>
        {range && <button type="button" class="quiet" onClick={() => select(undefined)}>Clear selection</button>}
        <RangeForm heat={heat} range={range} select={select} />
      </div>
    </section>
  );
}

interface Plot { width: number; height: number }

function place(b: Brush, h: Heat, p: Plot) {
  const x = p.width / h.columns, y = p.height / h.rows;
  return { left: `${left + b.left * x}px`, width: `${(b.right - b.left + 1) * x}px`, top: `${top + (h.rows - 1 - b.top) * y}px`, height: `${(b.top - b.bottom + 1) * y}px` };
}

const rangeWords = (r: Range, h: Heat) => `${time(Math.max(r.from, h.from), true)} to ${time(Math.min(r.to, h.to), true)}, ${duration(Math.max(r.low, h.low))} to ${duration(Math.min(r.high, h.high))}`;

/** RangeForm selects by typing. */
function RangeForm({ heat, range, select }: { heat: Heat; range?: Range; select: (r: Range | undefined) => void }) {
  const form = useRef<HTMLFormElement>(null);
  const [wrong, setWrong] = useState('');
  const whole = rangeOf(heat, { left: 0, right: heat.columns - 1, bottom: 0, top: heat.rows - 1 });
  const shown = range ?? whole;
  const submit = (e: Event) => {
    e.preventDefault();
    const text = (name: string) => (form.current!.elements.namedItem(name) as HTMLInputElement).value.trim();
    const at = (name: string, otherwise: number) => text(name) ? timeOn(heat, text(name)) : otherwise;
    const ns = (name: string, otherwise: number) => {
      const d = durationText(text(name).replaceAll('\u00a0', ''));
      return d === '' ? otherwise : d === undefined ? Number.NaN : seconds(d)! * 1e9;
    };
    const r: Range = { from: at('from', whole.from), to: at('to', whole.to), low: ns('low', 0), high: ns('high', Number.MAX_SAFE_INTEGER) };
    const good = [r.from, r.to, r.low, r.high].every(Number.isFinite) && r.from < r.to && r.low < r.high;
    setWrong(good ? '' : 'Times are as 10:31:05, durations as 20ms, and the first is the smaller one.');
    if (good) select(r);
  };
  return (
    <details class="range">
      <summary>Type a selection</summary>
      <form ref={form} onSubmit={submit}>
        <label class="field narrow"><span>From, UTC</span><input type="text" name="from" key={`f${shown.from}`} defaultValue={time(shown.from, true)} /></label>
        <label class="field narrow"><span>To</span><input type="text" name="to" key={`t${shown.to}`} defaultValue={time(shown.to, true)} /></label>
        <label class="field narrow"><span>At least</span><input type="text" name="low" key={`l${shown.low}`} defaultValue={shown.low ? typed(shown.low) : ''} placeholder="20ms" /></label>
        <label class="field narrow"><span>Less than</span><input type="text" name="high" key={`h${shown.high}`} defaultValue={shown.high === Number.MAX_SAFE_INTEGER ? '' : typed(shown.high)} placeholder="1s" /></label>
        <button type="submit">Select</button>
        {wrong && <p class="bad" role="alert">{wrong}</p>}
      </form>
    </details>
  );
}

/** timeOn is a time of day on the day that the map shows; the later one if it shows two. */
function timeOn(h: Heat, text: string): number {
  const [first, last] = [h.from, h.to].map((day) => Date.parse(`${new Date(day).toISOString().slice(0, 11)}${text}Z`)) as [number, number];
  return last > h.to + 60_000 ? first : last;
}

const typed = (ns: number) => `${Number((ns / 1e6).toPrecision(4))}ms`;

function useDark(): boolean {
  const [query] = useState(() => matchMedia('(prefers-color-scheme: dark)'));
  const [dark, set] = useState(query.matches);
  useEffect(() => {
    const change = () => set(query.matches);
    query.addEventListener('change', change);
    return () => query.removeEventListener('change', change);
  }, [query]);
  return dark;
}

function draw(canvas: HTMLCanvasElement, h: Heat, width: number): void {
  const scale = devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const c = canvas.getContext('2d');
  if (!c) return;
  const css = getComputedStyle(canvas);
  const color = (name: string) => css.getPropertyValue(name).trim();
  c.scale(scale, scale);
  const w = width - left, tall = height - top - bottom;
  c.strokeStyle = color('--line');
  c.lineWidth = 1;
  for (const d of durations(h)) {
    const y = Math.round(top + tall * (1 - Math.log(d / h.low) / Math.log(h.high / h.low))) + 0.5;
    c.beginPath(); c.moveTo(left, y); c.lineTo(width, y); c.stroke();
  }
  const cw = w / h.columns, ch = tall / h.rows;
  for (let x = 0; x < h.columns; x++) {
    for (let y = 0; y < h.rows; y++) {
      const n = h.all[x * h.rows + y]!;
      if (n === 0) continue;
      const failed = h.failed[x * h.rows + y]!;
      // One trace among thousands has to be seen: color begins at a third.
      c.globalAlpha = 0.35 + 0.65 * Math.log(n + 1) / Math.log(h.most + 1);
      c.fillStyle = failed > 0 ? color('--bad-mark') : color('--mark');
      const px = left + x * cw, py = top + (h.rows - 1 - y) * ch;
      c.fillRect(px + 0.5, py + 0.5, Math.max(cw - 1, 1), Math.max(ch - 1, 1));
      if (failed > 0 && failed < n) { // a corner for those that went well
        c.fillStyle = color('--mark');
        c.beginPath(); c.moveTo(px + 0.5, py + ch - 0.5); c.lineTo(px + cw - 0.5, py + ch - 0.5); c.lineTo(px + 0.5, py + 0.5); c.fill();
      }
    }
  }
  c.globalAlpha = 1;
}

