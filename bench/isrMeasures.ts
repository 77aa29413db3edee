/** What the ISR's quality is told by: images after the ISR beside truth, or beside the same without an effect. */
import { maskBits } from '../engine/image/maskPlanes.ts';
import type { MaskedImage } from '../engine/image/maskedImage.ts';
import { measureAmpSteps } from '../engine/stages/isr/ampOffset.ts';
import type { Amp, Detector } from '../schemas/camera.ts';
import type { RenderedExposure } from '../simulator/exposure.ts';
import type { DrawnSource } from '../simulator/scene.ts';

type Figures = Record<string, number | null>;

const SPOILT = maskBits('SAT', 'SUSPECT', 'BAD', 'NO_DATA', 'EDGE', 'CROSSTALK');

function medianOf(values: readonly number[] | Float64Array): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[sorted.length >> 1] ?? NaN;
}

/** Sky: every 997th good pixel's median. */
function skyOf({ image, mask }: MaskedImage): number {
  const values: number[] = [];
  for (let i = 0; i < image.length; i += 997) if (mask[i] === 0) values.push(image[i]);
  return medianOf(values);
}

/** Noise (one image less the same without it) over what the variance plane says, squared and averaged. */
export function measureVariance(noisy: MaskedImage, quiet: MaskedImage): Figures {
  const sky = skyOf(quiet);
  let all = 0, count = 0, bright = 0, brightCount = 0;
  for (let i = 0; i < noisy.image.length; i++) {
    if (((noisy.mask[i] | quiet.mask[i]) & SPOILT) !== 0) continue;
    const chi2 = (noisy.image[i] - quiet.image[i]) ** 2 / noisy.variance[i];
    // Beyond 6 sigma of what is normal there is none by chance in a detector; a mask that differs would be.
    if (!(chi2 < 36)) continue;
    if (quiet.image[i] > 3 * sky) { bright += chi2; brightCount++; } else { all += chi2; count++; }
  }
  return { varianceRatio: all / count, varianceRatioBright: brightCount > 0 ? bright / brightCount : null };
}

/** Steps between amps that the light itself does not have, relative to the sky. */
export function measureAmpBorders(image: MaskedImage, light: MaskedImage, { amps }: Detector): Figures {
  const difference = {
    ...image, image: image.image.map((value, i) => value - light.image[i]), mask: image.mask.slice(),
  };
  const steps = measureAmpSteps(difference, amps, 6, maskBits('EDGE'));
  const sky = skyOf(light);
  return {
    skyElectrons: sky,
    ampStepOfSky: steps.length === 0 ? null : Math.max(...steps.map(({ step }) => Math.abs(step))) / sky,
    ampStepSigmaOfSky: steps.length === 0 ? null : medianOf(steps.map(({ sigma }) => sigma)) / sky,
  };
}

/**
 * Part of a bright signal that is left in, or wrongly taken off, an amp that is read with it: least-squares slope of
 * what crosstalk changed against the source's light, over the pairs of one coefficient, which have the same cause.
 * Slopes that rounding leaves uncertain by more than a quarter of the limit do not count.
 */
export function measureTalk(image: MaskedImage, without: MaskedImage, { amps }: Detector): Figures {
  const sky = skyOf(without), byPart = new Map<number, { product: number; square: number; noise: number }>();
  for (const [source, from] of amps.entries()) {
    for (const [victim, to] of amps.entries()) {
      const part = source === victim ? 0 : to.crosstalk?.[source] ?? 0;
      if (part === 0) continue;
      const { product, square } = talkOf(image, without, from, to, sky), known = byPart.get(part);
      // Rounding of the converter, twice: gain / √6.
      const noise = (square * to.gainElectronsPerAdu ** 2) / 6;
      byPart.set(part, {
        product: product + (known?.product ?? 0), square: square + (known?.square ?? 0),
        noise: noise + (known?.noise ?? 0),
      });
    }
  }
  const slopes = [...byPart].map(([part, { product, square, noise }]) =>
    ({ part, slope: Math.abs(product / square), error: Math.sqrt(noise) / square }))
    .filter(({ error }) => error < 5e-7);
  if (slopes.length === 0) return { crosstalkLeft: null };
  return {
    crosstalkLeft: Math.max(...slopes.map(({ slope }) => slope)), crosstalkCoefficients: slopes.length,
    crosstalkBefore: Math.max(...slopes.map(({ part }) => part)),
    crosstalkErrorMax: Math.max(...slopes.map(({ error }) => error)),
  };
}

function talkOf(
  image: MaskedImage, without: MaskedImage, from: Amp, to: Amp, sky: number,
): { product: number; square: number } {
  const a = from.detectorBox, b = to.detectorBox, { width } = image;
  let product = 0, square = 0;
  for (let y = 0; y < a.y1 - a.y0; y++) {
    for (let x = 0; x < a.x1 - a.x0; x++) {
      const i = (from.flipY ? a.y1 - 1 - y : a.y0 + y) * width + (from.flipX ? a.x1 - 1 - x : a.x0 + x);
      const light = without.image[i] - sky;
      if (!(light > 2000) || (without.mask[i] & SPOILT) !== 0) continue;
      const j = (to.flipY ? b.y1 - 1 - y : b.y0 + y) * width + (to.flipX ? b.x1 - 1 - x : b.x0 + x);
      if (((image.mask[j] | without.mask[j]) & SPOILT) !== 0) continue;
      product += light * (image.image[j] - without.image[j]);
      square += light * light;
    }
  }
  return { product, square };
}

/** Largest relative change of a signal that nonlinearity leaves, in bins of half an octave with 100 pixels at least. */
export function measureLinearity(image: MaskedImage, without: MaskedImage): Figures {
  const bins = new Map<number, { sum: number; light: number; count: number }>();
  for (let i = 0; i < image.image.length; i++) {
    if (((image.mask[i] | without.mask[i]) & SPOILT) !== 0 || !(without.image[i] > 200)) continue;
    const key = Math.floor(2 * Math.log2(without.image[i])), bin = bins.get(key) ?? { sum: 0, light: 0, count: 0 };
    bin.sum += image.image[i] - without.image[i];
    bin.light += without.image[i];
    bin.count++;
    bins.set(key, bin);
  }
  const departures = [...bins.values()].filter(({ count }) => count >= 100)
    .map(({ sum, light }) => Math.abs(sum / light));
  return { linearityLeft: Math.max(...departures), linearityBins: departures.length };
}

/** Part of the growth of stars' size with their flux that is left. */
export function measureRepulsion(
  { corrected, uncorrected, none }: Readonly<Record<'corrected' | 'uncorrected' | 'none', MaskedImage>>,
  sources: readonly DrawnSource[],
): Figures {
  const sky = skyOf(none), stars = sources.filter(({ kind }) => kind === 'star');
  let before = 0, after = 0, weight = 0, count = 0;
  for (const { x, y } of stars) {
    const truth = momentsOf(none, x, y, sky);
    if (truth === null || truth.peak < 10_000) continue;
    const wide = momentsOf(uncorrected, x, y, sky), mended = momentsOf(corrected, x, y, sky);
    if (wide === null || mended === null) continue;
    before += truth.peak * (wide.size - truth.size) / truth.size;
    after += truth.peak * (mended.size - truth.size) / truth.size;
    weight += truth.peak * truth.peak;
    count++;
  }
  return {
    repulsionLeft: count > 0 ? Math.abs(after / before) : null, repulsionStars: count,
    repulsionSlopePer100ke: count > 0 ? (1e5 * before) / weight : null,
  };
}

/** Weighted second moment of a star (Gaussian weight of 2.2 px sigma) and its peak; null beside anything masked. */
function momentsOf({ image, mask, width, height }: MaskedImage, x: number, y: number, sky: number) {
  const cx = Math.round(x), cy = Math.round(y), half = 7;
  if (cx < half || cy < half || cx >= width - half || cy >= height - half) return null;
  let sum = 0, second = 0, peak = 0;
  for (let v = cy - half; v <= cy + half; v++) {
    for (let u = cx - half; u <= cx + half; u++) {
      const i = v * width + u;
      if ((mask[i] & SPOILT) !== 0 || !Number.isFinite(image[i])) return null;
      const r2 = (u - x) ** 2 + (v - y) ** 2, light = image[i] - sky, w = Math.exp(-r2 / (2 * 2.2 ** 2));
      peak = Math.max(peak, light);
      sum += w * light;
      second += w * light * r2;
    }
  }
  return { size: Math.sqrt(second / sum), peak };
}

export type RayCounts = {
  rays: number; found: number; pixels: number; foundPixels: number; stars: number; cores: number; falsePixels: number;
};

/** Adds rays of which a pixel is marked, stars whose core is marked without a ray there, and marks far from any ray. */
export function countCosmicRays(
  { mask, width, height }: MaskedImage, { artifacts, sources }: RenderedExposure, counts: RayCounts,
): void {
  const rayBit = maskBits('CR'), isRay = new Uint8Array(mask.length);
  const spoilt = maskBits('SAT', 'BAD', 'SUSPECT', 'NO_DATA');
  for (const ray of artifacts.cosmicRays) {
    const track = trackOf(ray, width, height).filter((i) => { isRay[i] = 1; return (mask[i] & spoilt) === 0; });
    // A ray on what is masked already is found as far as anybody needs.
    if (track.length === 0) continue;
    const marked = track.filter((i) => (mask[i] & rayBit) !== 0).length;
    counts.rays++;
    counts.found += marked > 0 ? 1 : 0;
    counts.pixels += track.length;
    counts.foundPixels += marked;
  }
  const isNear = (i: number, flags: (j: number) => boolean, reach: number): boolean => {
    for (let v = -reach; v <= reach; v++) {
      for (let u = -reach; u <= reach; u++) if (flags(i + v * width + u)) return true;
    }
    return false;
  };
  for (const { kind, x, y, mag } of sources) {
    const u = Math.round(x), v = Math.round(y), i = v * width + u;
    if (kind !== 'star' || mag > 23 || u < 4 || v < 4 || u >= width - 4 || v >= height - 4) continue;
    counts.stars++;
    if (isNear(i, (j) => (mask[j] & rayBit) !== 0, 1) && !isNear(i, (j) => isRay[j] === 1, 2)) counts.cores++;
  }
  for (let i = 0; i < mask.length; i++) {
    if ((mask[i] & rayBit) !== 0 && !isNear(i, (j) => isRay[j] === 1, 2)) counts.falsePixels++;
  }
}

export function rayFigures({ rays, found, pixels, foundPixels, stars, cores, falsePixels }: RayCounts): Figures {
  return {
    cosmicRays: rays, cosmicRaysFound: rays > 0 ? found / rays : null,
    cosmicRayPixelsFound: pixels > 0 ? foundPixels / pixels : null, stars, starCoresFlagged: cores,
    cosmicRayFalsePixels: falsePixels,
  };
}

/** Pixels of a track, each once, as the simulator lays its charge down; none of the outermost four. */
function trackOf(
  { x, y, lengthPx, angle }: RenderedExposure['artifacts']['cosmicRays'][number], width: number, height: number,
): number[] {
  const track = new Set<number>(), stepCount = Math.max(1, Math.ceil(lengthPx * 2));
  for (let s = 0; s < stepCount; s++) {
    const u = Math.floor(x + (Math.cos(angle) * lengthPx * s) / stepCount);
    const v = Math.floor(y + (Math.sin(angle) * lengthPx * s) / stepCount);
    if (u >= 4 && v >= 4 && u < width - 4 && v < height - 4) track.add(v * width + u);
  }
  return [...track];
}
