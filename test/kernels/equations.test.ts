import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { addEquations } from '../../engine/kernels/equations.ts';
import { testArena, type TestArena } from './memory.ts';
import { randomOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(1024 ** 2); });

test('compiled sums of equations are the twin\'s: those of all products of factors and local equations', () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 8 });
  fc.assert(fc.property(fc.integer(), lengths, fc.constantFrom(1 as const, -1 as const), (seed, counts, sign) => {
    const random = randomOf(seed), vectors = counts.length, total = counts.reduce((a, b) => a + b);
    const values = (length: number) => Float64Array.from({ length }, () => random() - 0.5);
    const firsts = Int32Array.from(counts, (_, v) => counts.slice(0, v).reduce((a, b) => a + b, 0));
    const systems = Array.from({ length: 4 }, () => ({
      local: values(vectors * vectors), localRight: values(vectors), factors: counts.map(values),
    }));
    const solved = (beside: Float32Array) => {
      const matrix = new Float64Array(total * total), right = new Float64Array(total).fill(0.25);
      addEquations(matrix, right, systems, ({ factors }) => ({ firsts, factors }), sign, beside);
      return { matrix, right };
    };
    arena.reset();
    const expected = solved(new Float32Array(1));
    expect(solved(arena.floats(new Float32Array(1)))).toEqual(expected);
    for (let v = 0; v < vectors; v++) {
      const sum = systems.reduce(
        (all, { factors, local }) => all + factors[v][0] * factors[0][0] * local[v * vectors], 0);
      expect(Math.abs(expected.matrix[firsts[v] * total] - sign * sum)).toBeLessThan(1e-15);
    }
  }), { numRuns: 100 });
});
