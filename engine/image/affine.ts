/** Affine transforms of the plane and their weighted least-squares fit. */

/** x' = a x + b y + c, y' = d x + e y + f. */
export type Affine = Readonly<{ a: number; b: number; c: number; d: number; e: number; f: number }>;

export type Point = Readonly<{ x: number; y: number }>;
/** Two places of one star, and the weight of the pair (inverse variance of the difference). */
export type Pair = Readonly<{ from: Point; to: Point; weight: number }>;

export function applyAffine(t: Affine, x: number, y: number): { x: number; y: number } {
  return { x: t.a * x + t.b * y + t.c, y: t.d * x + t.e * y + t.f };
}

/** @throws Error when the transform is singular, which no fit to spread points gives. */
export function invertAffine(t: Affine): Affine {
  const determinant = t.a * t.e - t.b * t.d;
  if (!(Math.abs(determinant) > 1e-300)) throw new Error('affine transform is singular');
  const a = t.e / determinant, b = -t.b / determinant, d = -t.d / determinant, e = t.a / determinant;
  return { a, b, c: -(a * t.c + b * t.f), d, e, f: -(d * t.c + e * t.f) };
}

/**
 * Weighted least squares of the six coefficients. Points are centred first, so that the normal equations are well
 * conditioned.
 *
 * @returns null for fewer than 3 pairs or points on a line.
 */
export function fitAffine(pairs: readonly Pair[]): Affine | null {
  if (pairs.length < 3) return null;
  const m = centred(pairs);
  const determinant = m.xx * m.yy - m.xy * m.xy;
  if (!(determinant > 1e-9 * (m.xx + m.yy) ** 2)) return null;
  const a = (m.ux * m.yy - m.uy * m.xy) / determinant, b = (m.uy * m.xx - m.ux * m.xy) / determinant;
  const d = (m.vx * m.yy - m.vy * m.xy) / determinant, e = (m.vy * m.xx - m.vx * m.xy) / determinant;
  return { a, b, c: m.u - a * m.x - b * m.y, d, e, f: m.v - d * m.x - e * m.y };
}

/** The same with shift, rotation and scale only (no mirror): for few or poorly spread pairs. Null for fewer than 2. */
export function fitSimilarity(pairs: readonly Pair[]): Affine | null {
  if (pairs.length < 2) return null;
  const m = centred(pairs);
  const norm = m.xx + m.yy;
  if (!(norm > 0)) return null;
  const a = (m.ux + m.vy) / norm, d = (m.vx - m.uy) / norm;
  return { a, b: -d, c: m.u - a * m.x + d * m.y, d, e: a, f: m.v - d * m.x - a * m.y };
}

/** Weighted means and central second moments of pairs (x, y) → (u, v). */
function centred(pairs: readonly Pair[]) {
  let w = 0, x = 0, y = 0, u = 0, v = 0;
  for (const { from, to, weight } of pairs) {
    w += weight; x += weight * from.x; y += weight * from.y; u += weight * to.x; v += weight * to.y;
  }
  x /= w; y /= w; u /= w; v /= w;
  let xx = 0, xy = 0, yy = 0, ux = 0, uy = 0, vx = 0, vy = 0;
  for (const { from, to, weight } of pairs) {
    const dx = from.x - x, dy = from.y - y, du = weight * (to.x - u), dv = weight * (to.y - v);
    xx += weight * dx * dx; xy += weight * dx * dy; yy += weight * dy * dy;
    ux += du * dx; uy += du * dy; vx += dv * dx; vy += dv * dy;
  }
  return { x, y, u, v, xx, xy, yy, ux, uy, vx, vy };
}
