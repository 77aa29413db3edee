/**
 * Synthetic sources (fakes): added to a copy of a visit image whose alerts have left, and looked for among what is then
 * measured, so that the share found is known as a function of brightness.
 */
import type { DiaSource } from '../../../schemas/diaRows.ts';
import type { FakeSource } from '../../../schemas/events.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage, VisitImage } from '../../image/maskedImage.ts';
import { effectiveAreaPx, evaluatePsf, type PsfModel } from '../../image/psf.ts';
import { createPsfPatches } from '../../kernels/patches.ts';
import { injectConfig as config } from './config.ts';

/** How many, how bright, and the seed of their places: with visit and detector it decides everything. */
export type FakeOrder = Readonly<{ seed: number; count: number; snrMin: number; snrMax: number }>;

/** The order of one detector of a visit: its seed is derived, so that the same night has the same sources again. */
export function orderFakes(seed: number, visit: number, detector: number, count: number): FakeOrder {
  const { snrMin, snrMax } = config;
  return { seed: (seed * 1_000_003 + (visit % 1_000_000) * 263 + detector) >>> 0, count, snrMin, snrMax };
}

/** One as it was put in; nJy, negative for a fading one. */
export type InjectedSource = Readonly<{ x: number; y: number; fluxNJy: number; isHosted: boolean }>;

/** One as it came out. */
export type RecoveredSource = FakeSource;

const INJECTED = maskBits('INJECTED'), DETECTED = maskBits('DETECTED');
const UNMEASURABLE = maskBits('NO_DATA', 'SAT', 'SAT_TEMPLATE', 'BAD', 'CR', 'EDGE');

/**
 * Adds point sources with the visit's PSF and their own photons' noise, evenly in the logarithm of the SNR that they
 * would have on the visit image; fading ones are taken from it. These leave its noise as it is: what shines in the
 * template alone sends the visit no photons.
 *
 * @param visitImage Changed in place: image, variance, and INJECTED in the mask.
 * @param nJyPerElectron The visit's flux scale.
 */
export function injectSources(
  visitImage: VisitImage, psf: PsfModel, nJyPerElectron: number, order: FakeOrder,
): InjectedSource[] {
  const { width, height, variance } = visitImage, random = randomOf(order.seed);
  const patches = createPsfPatches(psf, (psf.size - 1) / 2), stamp = new Float32Array(psf.size * psf.size);
  const injected: InjectedSource[] = [];
  for (let n = 0; n < order.count; n++) {
    const isHosted = random() < config.hostedShare, sign = random() < config.negativeShare ? -1 : 1;
    const place = placeFor(visitImage, isHosted, injected, random);
    const snr = order.snrMin * (order.snrMax / order.snrMin) ** random();
    if (place === null) continue;
    evaluatePsf(psf, place.x, place.y, stamp);
    const local = variance[Math.round(place.y) * width + Math.round(place.x)];
    const fluxNJy = sign * snr * Math.sqrt(Math.max(local, 0) * effectiveAreaPx(stamp));
    if (!(Math.abs(fluxNJy) > 0)) continue;
    addSource(visitImage, patches.at(place.x, place.y), patches.half, place, fluxNJy, nJyPerElectron, random);
    injected.push({ ...place, fluxNJy, isHosted });
  }
  return injected.filter(({ x, y }) => x < width && y < height);
}

type Place = Readonly<{ x: number; y: number }>;

function placeFor(
  { width, height, mask }: MaskedImage, isHosted: boolean, others: readonly Place[], random: () => number,
): Place | null {
  const { marginPx: margin, separationPx, triesMax, hostScatterPx } = config;
  for (let i = 0; i < triesMax; i++) {
    let x = margin + random() * (width - 1 - 2 * margin), y = margin + random() * (height - 1 - 2 * margin);
    if (isHosted) {
      if ((mask[Math.round(y) * width + Math.round(x)] & DETECTED) === 0) continue;
      x += hostScatterPx * (2 * random() - 1);
      y += hostScatterPx * (2 * random() - 1);
    }
    if (others.every((other) => Math.hypot(other.x - x, other.y - y) >= separationPx)) return { x, y };
  }
  return null;
}

function addSource(
  { width, height, image, variance, mask }: MaskedImage, patch: Float64Array, half: number, { x, y }: Place,
  fluxNJy: number, nJyPerElectron: number, random: () => number,
): void {
  const cx = Math.round(x), cy = Math.round(y);
  for (let v = -half, k = 0; v <= half; v++) {
    for (let u = -half; u <= half; u++, k++) {
      const px = cx + u, py = cy + v, j = py * width + px;
      if (px < 0 || py < 0 || px >= width || py >= height) continue;
      // n electrons have a variance of n: in nJy², their nJy times the nJy of one.
      const light = fluxNJy * patch[k], added = Math.max(light, 0) * nJyPerElectron;
      image[j] += light + Math.sqrt(added) * normalOf(random);
      variance[j] += added;
      if (u * u + v * v <= 9) mask[j] |= INJECTED;
    }
  }
}

/**
 * Finds each again: the nearest diaSource of its sign within reach.
 *
 * @param difference Read only. Where its variance is not finite the SNR is 0.
 * @param noiseScale Measured over stated noise of the difference, as detection found it.
 */
export function recoverSources(
  injected: readonly InjectedSource[], { mask, variance, width }: MaskedImage, psf: PsfModel, noiseScale: number,
  rows: readonly Pick<DiaSource, 'x' | 'y' | 'psfFlux' | 'psfFluxErr' | 'reliability' | 'isNegative'>[],
): RecoveredSource[] {
  const stamp = new Float32Array(psf.size * psf.size);
  return injected.map((source) => {
    let nearest: number = config.matchRadiusPx, found: RecoveredSource['found'] = null;
    for (const { x, y, psfFlux, psfFluxErr, reliability, isNegative } of rows) {
      const distance = Math.hypot(x - source.x, y - source.y);
      if ((isNegative === true) !== (source.fluxNJy < 0) || distance > nearest) continue;
      nearest = distance;
      found = { psfFlux, psfFluxErr, reliability };
    }
    const at = Math.round(source.y) * width + Math.round(source.x);
    evaluatePsf(psf, source.x, source.y, stamp);
    const noise = noiseScale * Math.sqrt(variance[at] * effectiveAreaPx(stamp));
    const snr = noise > 0 && noise < Infinity ? Math.abs(source.fluxNJy) / noise : 0;
    return { ...source, snr, isMasked: (mask[at] & UNMEASURABLE) !== 0, found };
  });
}

/** Mulberry32: a seeded uniform number in [0, 1). */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A normal number by Box and Muller. */
function normalOf(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
