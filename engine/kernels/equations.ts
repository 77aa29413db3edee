/** Normal equations of places, each with unknowns of its own, put together to those of what varies over all places. */
import { kernelsOf, layOutWork, type PlaneView } from './kernels.ts';
import { addEquationsTwin } from './twins/equations.ts';

/** Equations at one place: [vectors²] row-major, the lower triangle is read; [vectors]. Read only. */
export type StampSystem = Readonly<{ local: Float64Array; localRight: Float64Array }>;

/** How the unknowns enter them: local vector v is weighed by Σ_s factors[v][s] × unknown firsts[v] + s. */
export type StampEntries = Readonly<{ firsts: Int32Array; factors: readonly Float64Array[] }>;

/**
 * Adds the equations of places, or with `sign` −1 takes them off again.
 *
 * @param matrix [n²] row-major; its lower triangle is added to, what is above it is of no use. `right`: [n].
 * @param entriesOf How the unknowns enter at a place; every place has as many vectors and factors.
 * @param beside A view on the memory whose kernels may help.
 */
export function addEquations<System extends StampSystem>(
  matrix: Float64Array, right: Float64Array, systems: readonly System[], entriesOf: (system: System) => StampEntries,
  sign: 1 | -1, beside: PlaneView,
): void {
  if (systems.length === 0) return;
  const { firsts, factors } = entriesOf(systems[0]), count = right.length, vectors = firsts.length;
  const starts = factors.map((_, v) => factors.slice(0, v).reduce((sum, { length }) => sum + length, 0));
  const factorCount = starts[vectors - 1] + factors[vectors - 1].length, kernels = kernelsOf(beside);
  const work = kernels && layOutWork(kernels, {
    matrix: 8 * count * count, right: 8 * count, local: 8 * vectors * vectors, localRight: 8 * vectors,
    entries: 12 * vectors, factors: 8 * factorCount,
  });
  if (kernels === null || work === null) {
    for (const system of systems) addEquationsTwin(matrix, right, { ...system, ...entriesOf(system) }, sign);
    return;
  }
  const doubles = (offset: number, length: number) => new Float64Array(kernels.memory.buffer, offset, length);
  const all = doubles(work.matrix, count * count), allRight = doubles(work.right, count);
  const local = doubles(work.local, vectors * vectors), localRight = doubles(work.localRight, vectors);
  const placed = doubles(work.factors, factorCount);
  const entries = new Int32Array(kernels.memory.buffer, work.entries, 3 * vectors);
  all.set(matrix);
  allRight.set(right);
  for (let v = 0; v < vectors; v++) entries.set([firsts[v], factors[v].length, 8 * starts[v]], 3 * v);
  for (const system of systems) {
    local.set(system.local);
    localRight.set(system.localRight);
    entriesOf(system).factors.forEach((factor, v) => { placed.set(factor, starts[v]); });
    kernels.compiled.addEquations(
      work.matrix, work.right, count, work.local, work.localRight, vectors, work.entries, work.factors, sign,
    );
  }
  matrix.set(all);
  right.set(allRight);
}
