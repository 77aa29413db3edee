import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { summarizeDiagnostics } from '../../../engine/batch/difference/diagnostics.ts';
import { differencePair, type PairDifference } from '../../../engine/batch/difference/differencePair.ts';
import { writePairProducts } from '../../../engine/batch/difference/products.ts';
import { StepClock } from '../../../engine/batch/difference/stepClock.ts';
import { numberCard, readFits, stringCard } from '../../../engine/image/fits.ts';
import { readTable } from '../../../engine/image/fitsTable.ts';
import { kernelShapes, STAMP_STATES } from '../../../engine/stages/difference/diagnostics.ts';
import type { MatchingKernel } from '../../../engine/stages/difference/kernelFit.ts';
import { pairStars, pairWcs } from '../../support/pairScene.ts';
import { counts, imageFile, scratchFolder } from './scene.ts';

const SIDE = 256, folder = scratchFolder(), stars = pairStars(9, SIDE, 60, 3000, 60_000);
/** Far enough from the border, and apart from others, to be stamps: one changes its flux, one touches a bad pixel. */
const inside = stars.filter(({ x, y }) => Math.min(x, y, SIDE - x, SIDE - y) > 50 &&
  !stars.some((other) => (other.x !== x || other.y !== y) && Math.hypot(other.x - x, other.y - y) < 20));
const bright = [...inside].sort((a, b) => b.flux - a.flux), [variable, blemished] = bright;

describe('the places of a pair', () => {
  let pair: PairDifference;
  beforeAll(() => {
    const risen = stars.map((star) => (star === variable ? { ...star, flux: 1.5 * star.flux } : star));
    const planes = counts(SIDE, SIDE, risen, 2, 1);
    planes.image[Math.round(blemished.y + 8) * SIDE + Math.round(blemished.x)] = NaN;
    pair = differencePair({
      science: imageFile(join(folder, 's.fits'), planes, pairWcs(SIDE), 2),
      template: imageFile(join(folder, 't.fits'), counts(SIDE, SIDE, stars, 1.7, 2), pairWcs(SIDE), 2), isRegistered: false,
    }, new StepClock(() => 0));
  });
  const at = ({ x, y }: { x: number; y: number }) =>
    pair.diagnostics.stamps.find((stamp) => Math.hypot(stamp.x - x, stamp.y - y) < 2);

  test('say which are used and why others are not, and add up to the figures', () => {
    expect(at(variable)?.state).toBe('rejected');
    expect(at(blemished)?.state).toBe('masked');
    const { states } = summarizeDiagnostics(pair.diagnostics).stamps, { figures } = pair.report;
    expect(states.used).toBe(figures['stampsUsed']);
    expect(states.rejected).toBe(figures['stampsRejected']);
    expect(states.masked).toBe(figures['stampsMasked']);
    expect(states.used + states.rejected + states.empty + states.spare + states.masked + states.crowded + states.surplus)
      .toBe(figures['stampCandidates']);
  });

  test('say how well they subtract: used ones to their noise, the variable star not', () => {
    const { stamps: { chi2, coreChi2, worst } } = summarizeDiagnostics(pair.diagnostics);
    // χ² a pixel of 961 scatters by √(2/961) = 4.6 %, of a core of 169 by 11 %: of some 50, the median by a sixth of it.
    expect(Math.abs((chi2?.median ?? NaN) - 1)).toBeLessThan(0.1);
    expect(Math.abs((coreChi2?.median ?? NaN) - 1)).toBeLessThan(0.15);
    expect(Math.hypot(worst[0].x - variable.x, worst[0].y - variable.y)).toBeLessThan(2);
    // A third of the flux of the star's science image is a source of many standard deviations.
    expect(at(variable)?.coreSnr).toBeGreaterThan(20);
  });

  test('lie in difference.fits with the kernel\'s shape', () => {
    const file = readFits(writePairProducts(join(folder, 'out'), pair).difference), table = readTable(file);
    const { stamps } = pair.diagnostics;
    const rows = table.rows(0, table.rowCount);
    const column = (name: string) => Array.from({ length: table.rowCount }, (_, row) => rows.numbers(name)(row));
    expect(column('X')).toEqual(stamps.map(({ x }) => x));
    expect(column('STATE').map((code) => STAMP_STATES[code])).toEqual(stamps.map(({ state }) => state));
    expect(column('CHI2')).toEqual(stamps.map(({ chi2 }) => chi2));
    const { header } = file.hdus.find(({ name }) => name === 'STAMPS') ?? file.hdus[0];
    expect(numberCard(header, 'PIXBASE')).toBe(0);
    expect(STAMP_STATES.map((_, i) => stringCard(header, `STATE${i}`))).toEqual([...STAMP_STATES]);
    const shapes = file.hdus.find(({ name }) => name === 'KERNELSHAPE') ?? file.hdus[0];
    expect(shapes.axes[1]).toBe(pair.diagnostics.kernel.length);
    // The blur from σ = 1.7 to 2 px: 4 − 2.89 = 1.11 px² along each axis; a kernel of 50 stars knows it to some percent.
    const { min, max } = summarizeDiagnostics(pair.diagnostics).kernelVariation.secondMomentPx2;
    expect(min).toBeLessThan(1.11 + 0.2);
    expect(max).toBeGreaterThan(1.11 - 0.2);
  });
});

test('the shape of a Gaussian kernel is its own: sum, widths, shift and change in closed form', () => {
  const size = 31, half = 15, gaussian = new Float32Array(size * size), tilt = new Float32Array(size * size);
  for (let v = -half, j = 0; v <= half; v++) {
    for (let u = -half; u <= half; u++, j++) {
      gaussian[j] = (0.9 / (2 * Math.PI * 1.5 * 2)) * Math.exp(-((u - 0.3) ** 2) / 4.5 - ((v + 0.2) ** 2) / 8);
    }
  }
  tilt.set(gaussian.map((value) => 0.1 * value));
  const kernel: MatchingKernel = {
    width: 101, height: 81, size, order: 1, kernels: [gaussian, tilt, new Float32Array(size * size)], sum: 0.9,
    backgroundOrder: 0, background: new Float64Array(1),
  };
  const shapes = kernelShapes(kernel, 3), middle = shapes[4];
  expect([middle.x, middle.y, shapes[8].x, shapes[8].y]).toEqual([50, 40, 100, 80]);
  // float32 pixels, and a Gaussian of σ ≥ 1.5 px sampled at pixels sums to its integral to 1e-9.
  for (const [value, expected] of [
    [middle.sum, 0.9], [middle.shiftX, 0.3], [middle.shiftY, -0.2], [middle.xx, 2.25], [middle.yy, 4], [middle.xy, 0],
    [middle.squareSum, 0.81 / (4 * Math.PI * 1.5 * 2)], [middle.change, 0],
  ]) expect(value).toBeCloseTo(expected, 5);
  expect(shapes.map(({ change }) => change).every((change, k) => (k % 3 === 1) === (change < 1e-6))).toBe(true);
});
