/** The steps that the fits of extended sources share. */
import { invertSymmetric } from './solve.ts';

/** Normal equations of a step: [n × n] row-major and [n], and χ² where they were made. */
export type NormalEquations = Readonly<{ matrix: Float64Array; right: Float64Array; chi2: number }>;

/** What a step would gain in χ² when nothing is left to gain: a tenth of an error. */
const GAIN_MIN = 1e-2;
/** Damping at the start, at which a fit is given up, and the least. */
const DAMPING = 1e-3, DAMPING_MAX = 1e6, DAMPING_MIN = 1e-9;

/**
 * Least squares by Levenberg's and Marquardt's steps: a step that gains nothing is tried again with more damping.
 *
 * It has converged when the model, were it linear, would gain less than a tenth of an error; slopes that are themselves
 * good to a part in a hundred gain nothing more.
 *
 * @param p           Where it starts, and ends; changed in place.
 * @param first       Equations at the start.
 * @param equationsAt Equations elsewhere; null where the model may not go, which counts as too long a step.
 * @param limited     Shortens a step's component, where steps must not be long.
 * @returns Equations at the end; null when it does not converge.
 */
export function fitDamped<Equations extends NormalEquations>(
  p: Float64Array, first: Equations, equationsAt: (p: Float64Array) => Equations | null, iterationCountMax: number,
  limited: (value: number, index: number) => number = (value) => value,
): Equations | null {
  let state = first, damping = DAMPING;
  for (let i = 0; i < iterationCountMax; i++) {
    const step = solveStep(state, damping);
    if (step === null) return null;
    const { right } = state;
    let promised = 0;
    for (let k = 0; k < step.length; k++) promised += step[k] * right[k];
    if (damping < 1 && promised < GAIN_MIN) return state;
    const next = p.map((value, k) => value + limited(step[k], k)), trial = equationsAt(next);
    if (trial === null || trial.chi2 > state.chi2) {
      damping *= 10;
      if (damping > DAMPING_MAX) return null;
      continue;
    }
    p.set(next);
    state = trial;
    damping = Math.max(damping / 10, DAMPING_MIN);
  }
  return null;
}

function solveStep({ matrix, right }: NormalEquations, damping: number): Float64Array | null {
  const count = right.length, m = matrix.slice();
  for (let a = 0; a < count; a++) m[a * count + a] *= 1 + damping;
  if (!invertSymmetric(m, count)) return null;
  const step = new Float64Array(count);
  for (let a = 0; a < count; a++) for (let b = 0; b < count; b++) step[a] += m[a * count + b] * right[b];
  return step;
}
