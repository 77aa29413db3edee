/** Brightness of asteroids: the H, G system and the H, G12 system. Angles in degrees. */
import { RADIANS } from './constants.ts';

/** Slope parameter where none is known (MPC). */
export const DEFAULT_G = 0.15;

/**
 * Apparent V magnitude by the H, G system (Bowell et al. 1989, Asteroids II, p. 549).
 */
export function magnitudeHG(h: number, g: number, helioRangeAu: number, topoRangeAu: number, phaseDeg: number): number {
  const tangent = Math.tan((phaseDeg * RADIANS) / 2);
  const phase = (1 - g) * Math.exp(-3.33 * tangent ** 0.63) + g * Math.exp(-1.87 * tangent ** 1.22);
  return h + 5 * Math.log10(helioRangeAu * topoRangeAu) - 2.5 * Math.log10(phase);
}

/** Nodes of a basis function: degrees, values, slopes a radian (Muinonen et al. 2010, Icarus 209, 542, table A.). */
type Nodes = Readonly<{ degrees: readonly number[]; values: readonly number[]; slopes: readonly number[] }>;
const WIDE = [7.5, 30, 60, 90, 120, 150];
const PHI1: Nodes = {
  degrees: WIDE, values: [0.75, 0.33486016, 0.1341056, 5.1104756e-2, 2.1465687e-2, 3.6396989e-3],
  slopes: [-1.9098593, -0.55463432, -0.24404599, -9.4980438e-2, -2.1411424e-2, -9.1328612e-2],
};
const PHI2: Nodes = {
  degrees: WIDE, values: [0.925, 0.62884169, 0.31755495, 0.12716367, 2.2373903e-2, 1.6505689e-4],
  slopes: [-0.5729578, -0.76705367, -0.45665789, -0.28071809, -0.11173257, -8.6573138e-8],
};
const PHI3: Nodes = {
  degrees: [0, 0.3, 1, 2, 4, 8, 12, 20, 30],
  values: [1, 0.83381185, 0.57735424, 0.42144772, 0.2317423, 0.10348178, 6.1733473e-2, 1.6107006e-2, 0],
  slopes: [-0.10630097, -41.180439, -10.366915, -7.5784615, -3.696095, -0.78605652, -0.46527012, -0.20459545, 0],
};

/** Values of Φ₁, Φ₂, Φ₃ at a phase angle: linear below 7.5°, splines above, zero beyond their last node. */
export function basisFunctions(phaseDeg: number): readonly [number, number, number] {
  const angle = phaseDeg * RADIANS;
  const first = phaseDeg < 7.5 ? 1 - (6 * angle) / Math.PI : spline(PHI1, phaseDeg);
  const second = phaseDeg < 7.5 ? 1 - (9 * angle) / (5 * Math.PI) : spline(PHI2, phaseDeg);
  return [first, second, spline(PHI3, phaseDeg)];
}

function spline({ degrees, values, slopes }: Nodes, phaseDeg: number): number {
  if (phaseDeg > degrees[degrees.length - 1]) return 0;
  let k = 0;
  while (k < degrees.length - 2 && phaseDeg > degrees[k + 1]) k++;
  const width = (degrees[k + 1] - degrees[k]) * RADIANS, s = (phaseDeg - degrees[k]) / (degrees[k + 1] - degrees[k]);
  const a = slopes[k] * width - (values[k + 1] - values[k]), b = values[k + 1] - values[k] - slopes[k + 1] * width;
  return (1 - s) * values[k] + s * values[k + 1] + s * (1 - s) * (a * (1 - s) + b * s);
}

/** Fading of an asteroid of slope G12 at a phase angle, magnitudes (Muinonen et al. 2010, eq. 27 and 28). */
export function phaseMagnitudeG12(g12: number, phaseDeg: number): number {
  const [g1, g2] = g12 < 0.2 ? [0.7527 * g12 + 0.06164, -0.9612 * g12 + 0.627]
    : [0.9529 * g12 + 0.02162, -0.6125 * g12 + 0.5572];
  const [phi1, phi2, phi3] = basisFunctions(phaseDeg);
  return -2.5 * Math.log10(g1 * phi1 + g2 * phi2 + (1 - g1 - g2) * phi3);
}
