import type { Box } from './layout';

/** shorten keeps the beginning and the end of a long name: they tell it from others. */
export const shorten = (name: string, most = 28) => name.length <= most ? name : `${name.slice(0, most - 10)}…${name.slice(-9)}`;

/** toward finds the nearest box in a direction, for the arrow keys; undefined if there is none. */
export function toward(boxes: Map<string, Box>, from: string, key: string): string | undefined {
  const here = boxes.get(from);
  if (!here) return undefined;
  let best: string | undefined, least = Infinity;
  for (const [name, b] of boxes) {
    if (name === from) continue;
    const dx = b.x - here.x, dy = b.y - here.y;
    const along = { ArrowRight: dx, ArrowLeft: -dx, ArrowDown: dy, ArrowUp: -dy }[key];
    if (along === undefined || along <= 1) continue;
    const across = Math.abs(key === 'ArrowRight' || key === 'ArrowLeft' ? dy : dx);
    const distance = along + across * 2;
    if (distance < least) [best, least] = [name, distance];
  }
  return best;
}
