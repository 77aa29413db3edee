/**
 * Motion of two bodies for every eccentricity: universal variables (Stumpff 1959; Danby 1988, Fundamentals of Celestial
 * Mechanics, §6.9). A state is [x, y, z, vx, vy, vz] about the Sun: au, au/d.
 */
import { GAUSS, SUN_GM } from './constants.ts';

/** A solution that has not settled after this many steps is none; Laguerre's method takes 3 to 6, at worst 20. */
const STEPS_MAX = 60;
/** Relative change of the universal variable at which it is known: rounding leaves some 1e-15. */
const TOLERANCE = 1e-14;

/**
 * Moves a state along its conic.
 *
 * @param from [≥ at + 6] the state at `at`. Read only.
 * @param days Any length and sign.
 * @param out  The moved state is written at `outAt`; may be `from` itself.
 * @throws Error when the state is not a number or lies in the Sun.
 */
export function advance(from: Float64Array, at: number, days: number, out: Float64Array, outAt: number): void {
  const x = from[at], y = from[at + 1], z = from[at + 2], vx = from[at + 3], vy = from[at + 4], vz = from[at + 5];
  const r0 = Math.sqrt(x * x + y * y + z * z);
  const sigma = (x * vx + y * vy + z * vz) / GAUSS;
  const alpha = 2 / r0 - (vx * vx + vy * vy + vz * vz) / SUN_GM;
  const span = GAUSS * withoutRevolutions(days, alpha);
  const chi = universalVariable(r0, sigma, alpha, span);
  const s = alpha * chi * chi;
  const c2 = stumpff2(s), c3 = stumpff3(s);
  const chi2 = chi * chi, u2 = chi2 * c2, u3 = chi2 * chi * c3;
  const f = 1 - u2 / r0, g = (span - u3) / GAUSS;
  const nx = f * x + g * vx, ny = f * y + g * vy, nz = f * z + g * vz;
  const r = Math.sqrt(nx * nx + ny * ny + nz * nz);
  const fDot = (GAUSS * chi * (s * c3 - 1)) / (r * r0), gDot = 1 - u2 / r;
  out[outAt] = nx;
  out[outAt + 1] = ny;
  out[outAt + 2] = nz;
  out[outAt + 3] = fDot * x + gDot * vx;
  out[outAt + 4] = fDot * y + gDot * vy;
  out[outAt + 5] = fDot * z + gDot * vz;
}

/** The time left when whole periods of an ellipse are taken off: within half a period of zero. */
function withoutRevolutions(days: number, alpha: number): number {
  if (alpha <= 0) return days;
  const period = (2 * Math.PI) / (GAUSS * alpha * Math.sqrt(alpha));
  return Math.abs(days) <= period / 2 ? days : days - period * Math.round(days / period);
}

/**
 * Solves Kepler's equation in the universal variable χ: span = r₀ χ + σ χ² c₂ + (1 − α r₀) χ³ c₃. By Laguerre's method
 * of order 5, which converges from any start (Conway 1986, Celest. Mech. 39, 199).
 */
function universalVariable(r0: number, sigma: number, alpha: number, span: number): number {
  let chi = span / r0;
  // On an unbound or nearly unbound orbit the first guess may overshoot by orders of magnitude, and cosh with it.
  const reach = 12 / Math.sqrt(Math.max(Math.abs(alpha), 1e-12));
  if (Math.abs(chi) > reach) chi = Math.sign(chi) * reach;
  for (let step = 0; step < STEPS_MAX; step++) {
    const s = alpha * chi * chi, c2 = stumpff2(s), c3 = stumpff3(s), chi2 = chi * chi;
    const value = r0 * chi + sigma * chi2 * c2 + (1 - alpha * r0) * chi2 * chi * c3 - span;
    const first = r0 + sigma * chi * (1 - s * c3) + (1 - alpha * r0) * chi2 * c2;
    const second = sigma * (1 - s * c2) + (1 - alpha * r0) * chi * (1 - s * c3);
    const root = Math.sqrt(Math.abs(16 * first * first - 20 * value * second));
    const change = (5 * value) / (first + Math.sign(first) * root);
    chi -= change;
    if (Math.abs(change) <= TOLERANCE * Math.max(Math.abs(chi), 1e-3)) return chi;
    if (!Number.isFinite(chi)) break;
  }
  if (Number.isFinite(chi)) return chi; // Two neighbouring numbers in turn: either is the answer.
  throw new Error(`Kepler's equation has no solution (r ${r0} au, 1/a ${alpha} /au, ${span / GAUSS} d)`);
}

/** c₂(s) = (1 − cos √s) / s, and its continuation to s ≤ 0. */
function stumpff2(s: number): number {
  if (s > 0.5) {
    const half = Math.sin(Math.sqrt(s) / 2);
    return (2 * half * half) / s;
  }
  if (s < -0.5) {
    const half = Math.sinh(Math.sqrt(-s) / 2);
    return (-2 * half * half) / s;
  }
  // Next term: s⁷ / 16! < 4e-16.
  return 1 / 2 - s * (1 / 24 - s * (1 / 720 - s * (1 / 40320 - s * (1 / 3628800
    - s * (1 / 479001600 - s / 87178291200)))));
}

/** c₃(s) = (√s − sin √s) / s^1.5, and its continuation to s ≤ 0. */
function stumpff3(s: number): number {
  if (s > 0.5) {
    const root = Math.sqrt(s);
    return (root - Math.sin(root)) / (s * root);
  }
  if (s < -0.5) {
    const root = Math.sqrt(-s);
    return (root - Math.sinh(root)) / (s * root);
  }
  // Next term: s⁷ / 17! < 2e-17.
  return 1 / 6 - s * (1 / 120 - s * (1 / 5040 - s * (1 / 362880 - s * (1 / 39916800
    - s * (1 / 6227020800 - s / 1307674368000)))));
}
