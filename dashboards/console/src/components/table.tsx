import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';

export interface Column<R> {
  /** name is the heading. */
  name: string;
  cell: (row: R) => ComponentChildren;
  /** sort is what rows are ordered by; without it the column can't be sorted. */
  sort?: (row: R) => number | string | undefined;
  /** number aligns to the right, in figures of equal width. */
  number?: boolean;
  /** class is of the cells. */
  class?: string;
  /** help is a longer heading, shown on hovering. */
  help?: string;
}

export interface TableProps<R> {
  /** label says what the table is, for screen readers. */
  label: string;
  columns: Column<R>[];
  rows: R[];
  id: (row: R) => string;
  /** by is the column that orders at first, and down whether the largest come first. */
  by?: string;
  down?: boolean;
  rowClass?: (row: R) => string | undefined;
  /** empty is shown if there are no rows. */
  empty?: ComponentChildren;
  /** most is how many rows are shown before one asks for the others. */
  most?: number;
}

/** Table can be sorted by its headings, and scrolls sideways in itself. */
export function Table<R>({ label, columns, rows, id, by, down, rowClass, empty, most = 200 }: TableProps<R>) {
  const [order, setOrder] = useState({ by, down: down ?? false });
  const [limit, setLimit] = useState(most);
  if (rows.length === 0 && empty !== undefined) return <p class="empty">{empty}</p>;
  const sorted = sortRows(rows, columns.find((c) => c.name === order.by)?.sort, order.down);
  const turn = (c: Column<R>) => setOrder({ by: c.name, down: order.by === c.name ? !order.down : !!c.number });
  return (
    <div class="scroll" role="region" aria-label={label} tabIndex={0}>
      <table>
        <caption class="sr">{label}</caption>
        <thead>
          <tr>
            {columns.map((c) => (
              <th key={c.name} scope="col" class={c.number ? 'num' : undefined} title={c.help}
                aria-sort={order.by === c.name ? (order.down ? 'descending' : 'ascending') : undefined}>
                {c.sort ? <button type="button" onClick={() => turn(c)}>{c.name}<span aria-hidden="true" class="dir">{order.by === c.name ? (order.down ? '▾' : '▴') : ''}</span></button> : c.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.slice(0, limit).map((r) => (
            <tr key={id(r)} class={rowClass?.(r)}>
              {columns.map((c) => <td key={c.name} class={[c.number ? 'num' : '', c.class ?? ''].join(' ').trim() || undefined}>{c.cell(r)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
      {sorted.length > limit && <button type="button" class="more" onClick={() => setLimit(limit * 5)}>Show more: {limit} of {sorted.length} are shown</button>}
    </div>
  );
}

/** sortRows orders rows, and keeps the order of equal ones. What has no value comes last either way. */
export function sortRows<R>(rows: R[], value: Column<R>['sort'], down: boolean): R[] {
  if (!value) return rows;
  return [...rows].sort((a, b) => {
    const x = value(a), y = value(b);
    if (x === undefined || y === undefined) return x === y ? 0 : x === undefined ? 1 : -1;
    const c = typeof x === 'string' || typeof y === 'string' ? String(x).localeCompare(String(y), 'en', { numeric: true }) : x - y;
    return down ? -c : c;
  });
}
