/** The ISR in one go, row by row as amps are read: with and without kernels, and beside the same steps one by one. */
import { beforeAll, expect, test } from 'vitest';
import type { Detector } from '../../schemas/camera.ts';
import { allocateMaskedImage, type MaskedImage } from '../../engine/image/maskedImage.ts';
import type { RawAmp } from '../../engine/image/rawExposure.ts';
import { addScaled } from '../../engine/kernels/arithmetic.ts';
import { isrConfig } from '../../engine/stages/isr/config.ts';
import { assembleFrame, removeInstrumentSignature } from '../../engine/stages/isr/isr.ts';
import { bandsOf, isContinuous, readoutRows } from '../../engine/stages/isr/rowOrder.ts';
import { testArena, type TestArena } from '../kernels/memory.ts';
import { firstDifference } from '../kernels/planes.ts';
import { skyRandom } from '../support/skyRandom.ts';
import { readOut, twoAmpDetector } from '../support/skyRaw.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(4 * 1024 ** 2); });

const WIDTH = 136, HALF = 70, PIXELS = WIDTH * 2 * HALF;
const steps = { isCosmicRayRejected: false, isInterpolated: false, varianceMeshPx: 32, crosstalkQuietFraction: 0 };

/** Two amps below, read upwards, and two above, read downwards: the fronts meet in the middle. */
function fourAmps(): Detector {
  const below = twoAmpDetector(WIDTH, HALF), upright = below.amps.map((amp) => ({ ...amp, flipY: false }));
  const above = upright.map((amp) => ({
    ...amp, name: `${amp.name}2`, flipY: true, detectorBox: { ...amp.detectorBox, y0: HALF, y1: 2 * HALF },
  }));
  return { ...below, height: 2 * HALF, amps: [...upright, ...above] };
}

function frameOf(detector: Detector) {
  const random = skyRandom(11), plane = (of: (i: number) => number) => Float32Array.from({ length: PIXELS }, (_, i) => of(i));
  const electrons = plane((i) => random.poissonLike(900 + (i % 97 === 0 ? 60_000 * (i % 5) : 0)));
  const flat = plane((i) => (i === 4000 ? 0 : 1 + 0.1 * random.normal() ** 3)), bias = plane((i) => (i === 9001 ? NaN : random.normal()));
  const amps = detector.amps.map(({ name }, k) => ({
    name, crosstalk: detector.amps.map((_, other) => (other === k ? 0 : 2e-4 / (1 + other))), polynomial: [-4e-8, 0] as const,
    table: null, serialCti: 1e-6, parallelCti: 1e-6,
  }));
  return {
    raw: readOut({ seed: 3, detector, electrons }), calibrations: {
      bias, flat, dark: plane((i) => (i === 700 ? 50 : 0.2)),
      fringe: plane((i) => 0.02 * Math.sin((i % WIDTH) / 6 + Math.floor(i / WIDTH) / 11)), electronics: { amps, repulsion: { x: 6e-8, y: 9e-8 } },
    },
  };
}

test.each([true, false])('row by row, kernels give the bits of their twins, repelled charge put back: %s', (isRepelled) => {
  const detector = fourAmps(), { raw, calibrations } = frameOf(detector), config = { ...isrConfig, varianceMeshPx: 32 };
  const electronics = { ...calibrations.electronics, repulsion: isRepelled ? calibrations.electronics.repulsion : null };
  const remove = (amps: readonly RawAmp[], at: (plane: Float32Array) => Float32Array, out: MaskedImage, indices: Int32Array) =>
    removeInstrumentSignature(amps, detector, {
      bias: at(calibrations.bias), flat: at(calibrations.flat), dark: at(calibrations.dark), electronics,
      fringe: at(calibrations.fringe),
    }, config, out, { indices }, { darkSeconds: 30 }).report;
  arena.reset();
  const plain = allocateMaskedImage(WIDTH, 2 * HALF), shared: MaskedImage = {
    ...plain, image: arena.floats(plain.image), variance: arena.floats(plain.variance), mask: arena.words(plain.mask),
  };
  const sharedRaw = raw.map((amp) => ({ ...amp, pixels: arena.words(amp.pixels) }));
  const report = remove(sharedRaw, (plane) => arena.floats(plane), shared, arena.ints(new Int32Array(PIXELS)));
  expect(report).toEqual(remove(raw, (plane) => plane, plain, new Int32Array(PIXELS)));
  expect(firstDifference(shared.image, plain.image)).toBe(-1);
  expect(firstDifference(shared.mask, plain.mask)).toBe(-1);
  expect(firstDifference(shared.variance, plain.variance)).toBe(-1);
  expect(report.figures.defectCount).toBeGreaterThan(3);
  expect(report.figures.fringeSkyElectrons).not.toBe(0);
});

test('row by row gives the electrons of the same steps one by one', () => {
  const detector = fourAmps(), { raw, calibrations } = frameOf(detector), config = { ...isrConfig, ...steps };
  const rowByRow = allocateMaskedImage(WIDTH, 2 * HALF), oneByOne = allocateMaskedImage(WIDTH, 2 * HALF);
  const exposure = { darkSeconds: 30 }, indices = new Int32Array(PIXELS);
  const { report } = removeInstrumentSignature(raw, detector, calibrations, config, rowByRow, { indices }, exposure);
  const { defectCount } = assembleFrame(raw, detector, calibrations, config, oneByOne, exposure);
  addScaled(oneByOne.image, calibrations.fringe, -report.figures.fringeSkyElectrons);
  expect(firstDifference(rowByRow.image, oneByOne.image)).toBe(-1);
  expect(report.figures.defectCount).toBe(defectCount);
});

test('a row is in one run of each distance, when it and all rows so far away are read', () => {
  const rows = readoutRows(fourAmps());
  if (rows === null) throw new Error('no order');
  expect(isContinuous(rows)).toBe(true);
  expect(isContinuous(Int32Array.of(0, 1, 2, 0, 1, 2))).toBe(false);
  const seen = [0, 1, 2, 3].map(() => new Int32Array(rows.length));
  for (const { end, own, runs } of bandsOf(rows, 3, 3)) {
    [own, ...runs].forEach((ofDistance, k) => {
      for (const [y0, y1] of ofDistance) {
        for (let y = y0; y < y1; y++) {
          seen[k][y]++;
          for (let near = Math.max(0, y - k); near <= Math.min(rows.length - 1, y + k); near++) expect(rows[near]).toBeLessThan(end);
        }
      }
    });
  }
  for (const counts of seen) expect([...counts]).toEqual(Array.from(counts, () => 1));
});
