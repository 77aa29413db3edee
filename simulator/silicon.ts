/** What silicon does to light and charge before readout: dark current, hot pixels, fringes, repulsion of charge. */
import type { Detector } from '../schemas/camera.ts';
import type { Band } from '../schemas/units.ts';
import { detectorConfig } from './config.ts';
import { poisson, randomStream, uniform, uniformBetween } from './random.ts';

/** A pixel whose dark current is far above the others'. */
export type HotPixel = Readonly<{ x: number; y: number; electronsPerSecond: number }>;

/** The same for the life of the detector; their currents are even in the logarithm. */
export function hotPixelsOf(seed: number, { id, width, height }: Detector): HotPixel[] {
  const random = randomStream(seed, 'hot pixels', id);
  const { hotPixelsPerMillion, hotElectronsPerSecondMin: low, hotElectronsPerSecondMax: high } = detectorConfig;
  const count = poisson(random, (hotPixelsPerMillion * width * height) / 1e6);
  return Array.from({ length: count }, () => ({
    x: Math.floor(uniform(random) * width), y: Math.floor(uniform(random) * height),
    electronsPerSecond: low * (high / low) ** uniform(random),
  }));
}

/** Adds the expected charge of a dark exposure. @param electrons [height × width] row-major. Added to. */
export function addDark(
  electrons: Float32Array, detector: Detector, seconds: number, hotPixels: readonly HotPixel[], hasDarkCurrent: boolean,
): void {
  if (hasDarkCurrent) {
    const charge = detectorConfig.darkElectronsPerSecond * seconds;
    for (let i = 0; i < electrons.length; i++) electrons[i] += charge;
  }
  for (const { x, y, electronsPerSecond } of hotPixels) {
    electrons[y * detector.width + x] += electronsPerSecond * seconds;
  }
}

/**
 * Fringes of one detector in the light of night-sky lines, relative to the sky: contours of the silicon's thickness.
 *
 * @returns A function of the pixel; mean about 0. Null in bands that have none.
 */
export function fringesOf(
  seed: number, { id, width, height }: Detector, band: Band,
): ((x: number, y: number) => number) | null {
  const amplitude = detectorConfig.fringeAmplitude[band];
  if (amplitude === 0) return null;
  const random = randomStream(seed, 'fringes', id);
  const turn = uniformBetween(random, 0, 2 * Math.PI), periods = detectorConfig.fringePeriods * 2 * Math.PI;
  const a = periods * Math.cos(turn) / width, b = periods * Math.sin(turn) / height;
  const bend = uniformBetween(random, 0.2, 0.6) * periods, phase = uniformBetween(random, 0, 2 * Math.PI);
  const middleX = uniformBetween(random, 0.2, 0.8) * width, middleY = uniformBetween(random, 0.2, 0.8) * height;
  return (x, y) => {
    const dx = (x - middleX) / width, dy = (y - middleY) / height;
    return amplitude * Math.sin(phase + a * x + b * y + bend * (dx * dx + 0.7 * dy * dy + 0.4 * dx * dy));
  };
}

/**
 * Lets charge already collected repel what arrives: between neighbours, k (Q₁ − Q₂) (Q₁ + Q₂)/2 electrons pass over.
 * Charge is conserved; bright stars widen, and the variance of a flat falls below its mean by 8 k Q.
 *
 * @param electrons [height × width] row-major, charge collected. Changed in place.
 */
export function repel(electrons: Float32Array, width: number, height: number): void {
  const half = detectorConfig.brighterFatterPerElectron / 2;
  const above = new Float64Array(width); // What passed over the boundary to the row before, positive upwards in y.
  for (let y = 0; y < height; y++) {
    const start = y * width, next = start + width, isLast = y + 1 === height;
    let left = 0; // What came over the boundary to the left.
    for (let x = 0, i = start; x < width; x++, i++) {
      const q = electrons[i], q2 = q * q;
      const right = x + 1 < width ? half * (q2 - electrons[i + 1] * electrons[i + 1]) : 0;
      const up = isLast ? 0 : half * (q2 - electrons[next + x] * electrons[next + x]);
      electrons[i] = q + left - right + above[x] - up;
      left = right;
      above[x] = up;
    }
  }
}
