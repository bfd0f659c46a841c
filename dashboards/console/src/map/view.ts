/** View is how the map is moved and scaled: a point p is drawn at p * scale + (x, y). */
export interface View { x: number; y: number; scale: number }

export interface Size { width: number; height: number }

const least = 0.08, most = 2.5;

/** fit shows all of the map in the middle, no larger than it is. */
export function fit(map: Size, screen: Size): View {
  const scale = clamp(Math.min(screen.width / map.width, screen.height / map.height, 1.15));
  return center({ x: map.width / 2, y: map.height / 2 }, scale, screen);
}

export const center = (p: { x: number; y: number }, scale: number, screen: Size): View =>
  ({ scale, x: screen.width / 2 - p.x * scale, y: screen.height / 2 - p.y * scale });

/** zoom scales by a factor, and leaves the point of the screen where it is. */
export function zoom(v: View, by: number, at: { x: number; y: number }): View {
  const scale = clamp(v.scale * by);
  const k = scale / v.scale;
  return { scale, x: at.x - (at.x - v.x) * k, y: at.y - (at.y - v.y) * k };
}

/** first is what is shown at first: all of it if that can be read, else around what is at fault
    or begins. No room is wasted beside the map. */
export function first(map: Size, screen: Size, look: { x: number; y: number } | undefined): View {
  const all = fit(map, screen);
  if (all.scale >= 0.5 || !look) return all;
  const v = center(look, 0.7, screen);
  const inside = (at: number, size: number, room: number) => size * v.scale <= room ? (room - size * v.scale) / 2 : Math.min(0, Math.max(room - size * v.scale, at));
  return { ...v, x: inside(v.x, map.width, screen.width), y: inside(v.y, map.height, screen.height) };
}

/** reveal moves a box into the screen if it is outside. */
export function reveal(v: View, b: { x: number; y: number; width: number; height: number }, screen: Size): View {
  const margin = 24, out = { ...v };
  const left = (b.x - b.width / 2) * v.scale + v.x, right = (b.x + b.width / 2) * v.scale + v.x;
  const top = (b.y - b.height / 2) * v.scale + v.y, bottom = (b.y + b.height / 2) * v.scale + v.y;
  if (left < margin) out.x += margin - left;
  else if (right > screen.width - margin) out.x -= right - screen.width + margin;
  if (top < margin) out.y += margin - top;
  else if (bottom > screen.height - margin) out.y -= bottom - screen.height + margin;
  return out;
}

const clamp = (n: number) => Math.max(least, Math.min(most, n));
