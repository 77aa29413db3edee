import { expect, test } from 'vitest';
import { drawStar, drawGalaxy } from '../../simulator/drawing.ts';
import { moffat, psfPeak } from '../../simulator/optics.ts';
import { normal, poisson, randomStream } from '../../simulator/random.ts';
import { encodeTruth, isMaskedPlace, optimalSnr } from '../../simulator/truth.ts';
import { asDetectorId, asVisit } from '../../schemas/ids.ts';

const SIZE = 41, MIDDLE = 20;

/** A star of unit flux, drawn without a floor that matters. */
function unitStar(fwhmPx: number, x: number, y: number, size = SIZE): Float32Array {
  const plane = new Float32Array(size * size);
  drawStar(plane, size, size, x, y, 1, moffat(fwhmPx, 0.03, -0.02), 1e-9);
  return plane;
}

test('a star holds its flux, wherever in the pixel it lies', () => {
  for (const offset of [0, 0.25, 0.5]) {
    const size = 401, plane = unitStar(4.2, 200 + offset, 200 - offset, size);
    const sum = plane.reduce((total, value) => total + value, 0);
    // A Moffat of β = 3.5 has (1 + r²/α²)^−2.5 of its flux beyond r; the floor of 1e-9 is met at r = 33 α^(…) ≈ 600
    // px > 200: beyond 200 px lie (200/4.5)^−5 = 6e-9. Float32 sums of 160,000 pixels are good to 1e-5.
    expect(Math.abs(sum - 1)).toBeLessThan(2e-4);
  }
});

test('a galaxy holds its flux, and a vanishing one is a star', () => {
  const size = 401, psf = moffat(4.2, 0.03, -0.02);
  const wide = new Float32Array(size * size), point = new Float32Array(size * size);
  drawGalaxy(wide, size, size, 200, 200, 1, { radiusPx: 6, axisRatio: 0.5, angle: 0.6 }, psf, 1e-9);
  drawGalaxy(point, size, size, 200, 200, 1, { radiusPx: 1e-3, axisRatio: 1, angle: 0 }, psf, 1e-9);
  const star = unitStar(4.2, 200, 200, size);
  expect(Math.abs(wide.reduce((sum, value) => sum + value, 0) - 1)).toBeLessThan(1e-3);
  // The trapezoid in log t with step ln 2 has a ripple of 2 |Γ(3.5 + 9.06 i)| / Γ(3.5) = 8e-4 of the local value
  // inside the nodes' range, and loses the wings beyond: 0.2 % of the peak bounds both.
  let worst = 0;
  for (let i = 0; i < star.length; i++) worst = Math.max(worst, Math.abs(star[i] - point[i]));
  expect(worst / psfPeak(psf)).toBeLessThan(2e-3);
});

test('the truth SNR is what the best linear estimate reaches in simulated stamps', () => {
  const flux = 3000, sky = 900, readNoise = 5.5, visits = 16, trials = 3000;
  const x = MIDDLE + 0.3, y = MIDDLE - 0.4, shape = moffat(4.2, 0.03, -0.02);
  const psf = unitStar(4.2, x, y);
  const expected = psf.map((p) => sky + flux * p);
  const response = new Float32Array(SIZE * SIZE).fill(1);
  const snr = optimalSnr(expected, response, SIZE, SIZE, x, y, flux, shape, readNoise, visits);

  const random = randomStream(11, 'truth trials');
  let sum = 0, square = 0;
  for (let trial = 0; trial < trials; trial++) {
    let signal = 0, norm = 0;
    for (let i = 0; i < psf.length; i++) {
      const science = poisson(random, expected[i]) + readNoise * normal(random);
      const template = sky + Math.sqrt((sky + readNoise ** 2) / visits) * normal(random);
      const variance = expected[i] + readNoise ** 2 + (sky + readNoise ** 2) / visits;
      signal += (psf[i] * (science - template)) / variance;
      norm += (psf[i] * psf[i]) / variance;
    }
    sum += signal / norm;
    square += (signal / norm) ** 2;
  }
  const mean = sum / trials, sigma = Math.sqrt(square / trials - mean * mean);
  // Mean to 5 σ/√n. The scatter of n trials is known to 1/√(2n) = 1.3 %; five of them, and 0.2 % for the wings
  // outside the stamp.
  expect(Math.abs(mean - flux)).toBeLessThan((5 * sigma) / Math.sqrt(trials));
  expect(Math.abs((flux / sigma) / snr - 1)).toBeLessThan(5 / Math.sqrt(2 * trials) + 0.002);
});

test('a fading source has the SNR of its change, whatever its sign', () => {
  const shape = moffat(4.2, 0, 0), response = new Float32Array(SIZE * SIZE).fill(1);
  const flat = new Float32Array(SIZE * SIZE).fill(900);
  const snrOf = (flux: number): number => optimalSnr(flat, response, SIZE, SIZE, 20, 20, flux, shape, 5, 1e9);
  expect(snrOf(-1000)).toBeCloseTo(snrOf(1000), 9);
  // White noise: SNR = F √(Σp²)/σ, and Σp² of a Moffat is (β − 1)²/((2β − 1) π α²), by the integral of (1 + q)^−2β.
  const closed = (1000 * Math.sqrt(2.5 ** 2 / (6 * Math.PI * shape.alphaPx ** 2))) / Math.sqrt(925);
  expect(Math.abs(snrOf(1000) / closed - 1)).toBeLessThan(1e-3);
});

test('edges, saturated neighbours and bad columns are masked, and nothing else', () => {
  const size = 200, saturated = new Uint8Array(size * size);
  saturated[100 * size + 100] = 1;
  const masked = (x: number, y: number): boolean => isMaskedPlace(saturated, [150], size, size, x, y);
  expect([masked(10, 60), masked(60, 185), masked(105, 108), masked(147, 60)]).toEqual([true, true, true, true]);
  expect([masked(60, 60), masked(115, 100), masked(157, 60)]).toEqual([false, false, false]);
});

test('truth is written with ids as whole decimal numbers and the columns of products.ts', () => {
  const csv = encodeTruth([{
    id: 9007199254740993n, kind: 'flare', raDeg: 9.5, decDeg: -44, x: 1.25, y: 2.5, scienceFluxNJy: 300,
    templateFluxNJy: 100,
    visit: asVisit(2026091500001), detector: asDetectorId(3), fluxNJy: 200, snr: 9.5, masked: true,
  }]);
  expect(csv).toBe('visit,detector,sourceId,kind,ra,dec,x,y,fluxNJy,snr,masked,scienceFluxNJy,templateFluxNJy\n'
    + '2026091500001,3,9007199254740993,flare,9.50000000,-44.00000000,1.250,2.500,200.000,9.500,1,300.000,100.000\n');
});
