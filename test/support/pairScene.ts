/** Seeded pairs of exposures of one sky for tests of the differencing stages: Gaussian PSFs, known fluxes, normal noise. */
import { allocateMaskedImage, type MaskedImage } from '../../engine/image/maskedImage.ts';
import type { PsfModel } from '../../engine/image/psf.ts';
import type { Wcs } from '../../engine/image/wcs.ts';

export type PairSource = Readonly<{ x: number; y: number; flux: number }>;

/** Mulberry32: a seeded uniform number in [0, 1). */
export function pairRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A normal number by Box and Muller. */
export function pairNormal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Sources spread at random, keeping 25 px from the border and 12 px from one another. */
export function pairStars(seed: number, side: number, count: number, fluxMin: number, fluxMax: number): PairSource[] {
  const random = pairRandom(seed), stars: PairSource[] = [];
  for (let tries = 0; stars.length < count && tries < 100 * count; tries++) {
    const x = 25 + random() * (side - 50), y = 25 + random() * (side - 50);
    if (stars.some((star) => Math.hypot(star.x - x, star.y - y) < 12)) continue;
    stars.push({ x, y, flux: fluxMin * (fluxMax / fluxMin) ** random() });
  }
  return stars;
}

/** Adds point sources sampled from a Gaussian of unit volume: flux / (2πσ²) × exp(−r²/2σ²) at pixel centres. */
export function pairRender(planes: MaskedImage, sources: readonly PairSource[], sigma: number): void {
  const { width, height, image } = planes, reach = Math.ceil(6 * sigma);
  for (const { x, y, flux } of sources) {
    const x0 = Math.max(0, Math.round(x) - reach), x1 = Math.min(width - 1, Math.round(x) + reach);
    for (let v = Math.max(0, Math.round(y) - reach); v <= Math.min(height - 1, Math.round(y) + reach); v++) {
      for (let u = x0; u <= x1; u++) {
        const r2 = (u - x) ** 2 + (v - y) ** 2;
        image[v * width + u] += (flux / (2 * Math.PI * sigma * sigma)) * Math.exp(-r2 / (2 * sigma * sigma));
      }
    }
  }
}

/** An image of sources with normal noise of one variance everywhere, which the variance plane tells exactly. */
export function pairImage(
  side: number, sources: readonly PairSource[], sigma: number, noiseSigma: number, seed: number,
): MaskedImage {
  const planes = allocateMaskedImage(side, side), random = pairRandom(seed);
  pairRender(planes, sources, sigma);
  planes.variance.fill(noiseSigma * noiseSigma);
  if (noiseSigma > 0) for (let j = 0; j < planes.image.length; j++) planes.image[j] += noiseSigma * pairNormal(random);
  return planes;
}

/** A Gaussian PSF, the same everywhere on an image of `side`. */
export function pairPsf(side: number, sigma: number, size = 31): PsfModel {
  const half = (size - 1) / 2, coefficients = new Float32Array(size * size);
  for (let v = -half; v <= half; v++) {
    for (let u = -half; u <= half; u++) {
      coefficients[(v + half) * size + u + half] = Math.exp(-(u * u + v * v) / (2 * sigma * sigma));
    }
  }
  const sum = coefficients.reduce((total, value) => total + value, 0);
  return { size, width: side, height: side, order: 0, coefficients: coefficients.map((value) => value / sum) };
}

/** 0.2″ pixels, north up; the reference point may be moved, as between two exposures. */
export function pairWcs(side: number, shiftX = 0, shiftY = 0, rotationDeg = 0): Wcs {
  const s = 0.2 / 3600, c = Math.cos((rotationDeg * Math.PI) / 180), n = Math.sin((rotationDeg * Math.PI) / 180);
  return {
    crval: [150, 2], crpix: [(side - 1) / 2 + shiftX, (side - 1) / 2 + shiftY],
    cd: [-s * c, -s * n, -s * n, s * c], sip: null,
  };
}
