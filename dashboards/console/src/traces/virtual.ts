// Which rows of a long list of equal height are drawn.

export interface Window { from: number; to: number }

/** visible are the rows, from and to, that a view of so much height shows at scroll, and some around them. */
export function visible(rows: number, height: number, scroll: number, view: number, around = 12): Window {
  const first = Math.floor(Math.max(scroll, 0) / height) - around;
  const last = Math.ceil((Math.max(scroll, 0) + view) / height) + around;
  const to = Math.min(last, rows);
  return { from: Math.max(Math.min(first, to - 1), 0), to };
}

/** reveal is where to scroll so that a row is seen whole; scroll if it is. */
export function reveal(row: number, height: number, scroll: number, view: number): number {
  const top = row * height;
  if (top < scroll) return top;
  return top + height > scroll + view ? top + height - view : scroll;
}

/** step is the row that a key leads to from one; undefined if it is another key. */
export function step(row: number, key: string, rows: number, page: number): number | undefined {
  const to = { ArrowDown: row + 1, ArrowUp: row - 1, PageDown: row + page, PageUp: row - page, Home: 0, End: rows - 1 }[key];
  return to === undefined || rows === 0 ? undefined : Math.min(Math.max(to, 0), rows - 1);
}
