import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { setCheckpoint } from '../../engine/kernels/bands.ts';
import { prepareSignature, removeSignature, type SignatureAmp, type SignatureTask } from '../../engine/kernels/signature.ts';
import type { ReadPlane } from '../../engine/kernels/scaled.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, inArena, randomOf, scaledOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(2 * 1024 ** 2); });

const levelsOfCounts = fc.constantFrom(0, 30000.5, 60000, 65535, 70000, Infinity);

const recipes = fc.record({
  columns: fc.integer({ min: 1, max: 300 }), rows: fc.integer({ min: 1, max: 7 }), across: fc.integer({ min: 1, max: 3 }),
  down: fc.integer({ min: 1, max: 2 }), rawX0: fc.constantFrom(0, 3), seed: fc.integer(), planes: fc.integer({ min: 0, max: 7 }), scaled: fc.integer({ min: 0, max: 7 }),
  isFinished: fc.boolean(), isNonlinear: fc.boolean(), hasTable: fc.boolean(), hasCrosstalk: fc.boolean(),
  hasColumns: fc.boolean(), isQuiet: fc.boolean(), hasInverse: fc.boolean(), serialCti: fc.constantFrom(0, 2e-6), parallelCti: fc.constantFrom(0, 1e-6),
  suspectAdu: levelsOfCounts, saturationAdu: levelsOfCounts,
});
type Recipe = typeof recipes extends fc.Arbitrary<infer T> ? T : never;

/** A detector of amps in a grid, each with its own gain, levels and flips. */
function taskOf(recipe: Recipe): { task: SignatureTask; width: number; height: number } {
  const { columns, rows, across, down, rawX0, seed, planes, scaled } = recipe, random = randomOf(seed);
  const width = across * columns + 3, height = down * rows + 2, n = width * height, rawWidth = rawX0 + columns + 4;
  const plane = (bit: number, level: number, spread: number): ReadPlane | null => {
    const values = Float32Array.from({ length: n },
      () => (random() < 0.03 ? NaN : random() < 0.02 ? -level : level + spread * (random() - 0.5)));
    return (planes & bit) === 0 ? null : scaled & bit ? scaledOf(values, spread / 997, level - spread) : values;
  };
  const amps = Array.from({ length: across * down }, (_, k): SignatureAmp => ({
    pixels: Uint16Array.from({ length: rawWidth * (rows + 1) },
      () => (random() < (recipe.isQuiet ? 0.002 : 0.05) ? 65535 : random() < 0.001 ? 0
        : recipe.isQuiet ? 1500 + 400 * random() ** 9 : 60000 * random())),
    x0: 1 + (k % across) * columns, y0: 1 + Math.floor(k / across) * rows, flipX: random() < 0.5, flipY: random() < 0.5,
    gain: 1 + random(), levels: Float32Array.from({ length: rows }, () => 1000 * random()),
    columnLevels: recipe.hasColumns ? Float32Array.from({ length: columns }, () => random()) : null,
    polynomial: recipe.isNonlinear ? [1e-7 * random(), -1e-12 * random()] : [0, 0],
    table: recipe.hasTable ? { values: Float32Array.from({ length: 7 }, () => 50 * random()), perAdu: 6 / 50000 } : null,
    crosstalk: recipe.hasCrosstalk ? Array.from({ length: k + 1 }, (_e, index) => ({ index, part: 1e-3 * random() ** 8 })) : [],
    serialCti: random() < 0.7 ? recipe.serialCti : 0, parallelCti: random() < 0.7 ? recipe.parallelCti : 0,
    suspectAdu: recipe.suspectAdu,
    saturationAdu: recipe.saturationAdu, isDead: random() < 0.1,
  }));
  const task: SignatureTask = {
    amps, rawWidth, rawX0, rawY0: 1, columns, rows, bias: plane(1, 20, 30),
    dark: plane(2, 3, 4), flat: plane(4, 1, 1.2), darkSeconds: 30.1,
    isFinished: recipe.isFinished, quietAdu: recipe.isQuiet ? 0.05 : 0.02, limits: { biasMax: 33, darkMax: 4.5, responseMin: 0.5, responseMax: 1.5 },
    saturatedBit: 0x8002, suspectBit: 0x80, badBit: 1, missingBits: 0x101,
  };
  return { task, width, height };
}

function shared(task: SignatureTask): SignatureTask {
  const at = (plane: ReadPlane | null) => plane && inArena(arena, plane);
  return {
    ...task, bias: at(task.bias), dark: at(task.dark), flat: at(task.flat),
    amps: task.amps.map((amp) => ({ ...amp, pixels: arena.words(amp.pixels) })),
  };
}

test('compiled prepareSignature gives the bits of its twin', () => {
  fc.assert(fc.property(recipes, (recipe) => {
    arena.reset();
    const { task, width, height } = taskOf(recipe), n = width * height;
    const image = new Float32Array(n).fill(-77), mask = new Uint16Array(n).fill(77);
    const inverse = recipe.hasInverse ? new Float32Array(n).fill(-7) : null, out = arena.floats(image);
    const bits = arena.words(mask), portions = inverse && arena.floats(inverse);
    const expected = prepareSignature(task, { image, mask, inverse, width });
    const compiled = prepareSignature(shared(task), { image: out, mask: bits, inverse: portions, width });
    // A look ahead, then bands.
    for (const pass of [expected, compiled]) {
      pass.run(task.rows >> 1, (task.rows >> 1) + 1);
      for (let y = 0; y < task.rows; y += 3) pass.run(y, Math.min(y + 3, task.rows));
    }
    expect(compiled.counts()).toEqual(expected.counts());
    expect(firstDifference(out, image)).toBe(-1);
    expect(firstDifference(bits, mask)).toBe(-1);
    if (inverse !== null && portions !== null) expect(firstDifference(portions, inverse)).toBe(-1);
  }), { numRuns: 300 });
});

test('an amp read backwards lands mirrored, each row with its own level, the amp beside it without its crosstalk', () => {
  const amp: SignatureAmp = {
    pixels: Uint16Array.of(11, 12, 13, 24, 25, 60000), x0: 0, y0: 0, flipX: true, flipY: true, gain: 2,
    levels: Float32Array.of(10, 20), columnLevels: null, polynomial: [0, 0], table: null, crosstalk: [], serialCti: 0,
    parallelCti: 0, suspectAdu: 50000, saturationAdu: 55000, isDead: false,
  };
  const beside: SignatureAmp = {
    ...amp, x0: 3, flipX: false, flipY: false, gain: 1, suspectAdu: Infinity, crosstalk: [{ index: 0, part: 0.001953125 }],
    pixels: Uint16Array.of(10, 10, 10, 20, 20, 20 + 117), levels: Float32Array.of(10, 20),
  };
  const image = new Float32Array(12), mask = new Uint16Array(12);
  const counts = removeSignature({
    amps: [amp, beside], rawWidth: 3, rawX0: 0, rawY0: 0, columns: 3, rows: 2, bias: null, dark: null, flat: null,
    darkSeconds: 0, isFinished: true, quietAdu: 0.02, limits: { biasMax: 1, darkMax: 1, responseMin: 0, responseMax: 2 },
    saturatedBit: 2, suspectBit: 128, badBit: 1, missingBits: 257,
  }, { image, mask, inverse: null, width: 6 });
  const part = 0.001953125; // 1/512: exact in single precision, as are its products here.
  expect([...image]).toEqual([
    2 * 59980, 10, 8, -1 * part, -2 * part, -3 * part, 6, 4, 2, -4 * part, -5 * part, 117 - 59980 * part,
  ]);
  expect([...mask]).toEqual([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  expect(counts).toEqual({ marked: 0, hasMissing: false, amps: [
    { saturatedCount: 1, suspectCount: 0 },
    { saturatedCount: 0, suspectCount: 0 },
  ] });
});

test('whoever set a checkpoint is asked before each band of rows, and may end the pass', () => {
  const rows = 1100, columns = 20, rawWidth = columns + 4, n = rows * columns;
  arena.reset();
  const amp: SignatureAmp = {
    pixels: arena.words(new Uint16Array(rawWidth * rows).fill(1500)), x0: 0, y0: 0, flipX: false, flipY: false, gain: 1,
    levels: new Float32Array(rows).fill(1000), columnLevels: null, polynomial: [0, 0], table: null, crosstalk: [],
    serialCti: 0, parallelCti: 0, suspectAdu: Infinity, saturationAdu: Infinity, isDead: false,
  };
  const image = arena.floats(new Float32Array(n).fill(-7)), mask = arena.words(new Uint16Array(n));
  const pass = prepareSignature({
    amps: [amp], rawWidth, rawX0: 0, rawY0: 0, columns, rows, bias: null, dark: null, flat: null, darkSeconds: 0,
    isFinished: true, quietAdu: 0.02, limits: { biasMax: 1, darkMax: 1, responseMin: 0, responseMax: 2 },
    saturatedBit: 2, suspectBit: 128, badBit: 1, missingBits: 257,
  }, { image, mask, inverse: null, width: columns });
  let asked = 0;
  setCheckpoint(image, () => { if (++asked === 2) throw new Error('out of time'); });
  try {
    expect(() => { pass.run(0, rows); }).toThrow('out of time');
  } finally { setCheckpoint(image, null); }
  // The first band is done, the next untouched.
  expect([image[0], image[511 * columns], image[512 * columns]]).toEqual([500, 500, -7]);
});
