/** Finds a frame's stars and its place on the reference. */
import { median } from '../../image/median.ts';
import { invertAffine, applyAffine, type Affine } from '../../image/affine.ts';
import { measureBackground, subtractBackground } from '../../image/background.ts';
import { threadPlaneMemory } from '../../image/planeMemory.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import { measureSeeing, type Star } from '../../image/starDetection.ts';
import { matchStarLists, type MatchConfig, type StarMatch } from '../../image/starMatch.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import type { Wcs } from '../../image/wcs.ts';
import { seriesConfig } from './config.ts';
import { FrameRejected } from './frame.ts';

export type FrameStars = Readonly<{
  fwhmPx: number; skyAdu: number; skySigmaAdu: number;
  /** Brightest first; neither saturated nor blemished. Flux of the best Gaussian of the frame's own seeing, ADU. */
  stars: readonly Readonly<{ x: number; y: number; flux: number; errorPx: number; snr: number }>[];
}>;

/**
 * Takes the sky off a copy in the thread's memory, and finds the stars.
 *
 * @throws FrameRejected when there are too few.
 */
export function findFrameStars(planes: MaskedImage): FrameStars {
  const n = planes.width * planes.height, memory = threadPlaneMemory(18 * n);
  const { width, height, image, mask } = memory.copyOf(planes);
  const sky = measureBackground(image, mask, width, height, maskBits('NO_DATA', 'SAT'), seriesConfig.background);
  if (sky === null) throw new FrameRejected('no part of it shows the sky');
  const skySigmaAdu = median(sky.sigma);
  if (!(skySigmaAdu > 0)) throw new FrameRejected('no light: its sky has no noise');
  subtractBackground(image, sky);
  const scratch = { smooth: memory.float32(n), work: memory.float32(n) };
  const seeing = measureSeeing(
    image, mask, sky, seriesConfig.guessFwhmPx, seriesConfig.seeingStarCountMin, seriesConfig.stars, scratch,
  );
  if (seeing === null) throw new FrameRejected(`fewer than ${seriesConfig.seeingStarCountMin} stars`);
  const { fwhmPx, stars } = seeing;
  const clean = stars.filter((star) => !star.isSaturated && !star.isBlemished)
    .slice(0, seriesConfig.registeredStarCountMax);
  return { fwhmPx, skyAdu: median(sky.level), skySigmaAdu, stars: clean.map((star) => ranked(star, fwhmPx)) };
}

/** A centroid is good to FWHM / (2.35 SNR) × √2 under a matched window. */
function ranked(star: Star, fwhmPx: number): FrameStars['stars'][number] {
  return { x: star.x, y: star.y, flux: star.flux, snr: star.snr, errorPx: (0.6 * fwhmPx) / star.snr };
}

export type Registration = Readonly<{
  /** From the frame's pixels to the reference's. */
  toReference: Affine;
  pairCount: number; rmsPx: number;
  /** Flux of a star on the frame over its flux on the reference, from the pairs: good to a few per cent. */
  fluxRatio: number;
}>;

/** @throws FrameRejected when no shift and small rotation, upright or upside down, brings the stars together. */
export function registerFrame(frame: FrameStars, reference: FrameStars, width: number, height: number): Registration {
  const { shiftFractionMax, finalRadiusFwhm, pairFractionMin, ...rest } = seriesConfig.registration;
  const config: MatchConfig = {
    ...rest, shiftMaxPx: shiftFractionMax * Math.max(width, height),
    finalRadiusPx: Math.max(1, finalRadiusFwhm * Math.max(frame.fwhmPx, reference.fwhmPx)),
  };
  const pairCountMin = Math.max(
    config.pairCountMin, Math.ceil(pairFractionMin * Math.min(frame.stars.length, reference.stars.length)),
  );
  const match = matchEitherWay(frame, reference, width, height, config, pairCountMin);
  if (match === null) {
    throw new FrameRejected(
      `cannot be registered: no shift brings ${pairCountMin} of its ${frame.stars.length} stars onto the reference's`
    );
  }
  const bright = match.pairs.slice(0, 100);
  const fluxRatio = median(bright.map(([i, j]) => frame.stars[i].flux / reference.stars[j].flux));
  if (!(fluxRatio > 0)) throw new FrameRejected('cannot be registered: its stars have no flux');
  return { toReference: match.transform, pairCount: match.pairs.length, rmsPx: match.rmsPx, fluxRatio };
}

/** As it is, or else upside down: a mount that passes the meridian turns its camera by half a circle. */
function matchEitherWay(
  frame: FrameStars, reference: FrameStars, width: number, height: number, config: MatchConfig, pairCountMin: number,
): StarMatch | null {
  const upright = matchStarLists(frame.stars, reference.stars, config);
  if (upright !== null && upright.pairs.length >= pairCountMin) return upright;
  const turned = frame.stars.map((star) => ({ ...star, x: width - 1 - star.x, y: height - 1 - star.y }));
  const match = matchStarLists(turned, reference.stars, config);
  if (match === null || match.pairs.length < pairCountMin) return null;
  const { a, b, c, d, e, f } = match.transform;
  const transform = {
    a: -a, b: -b, c: c + a * (width - 1) + b * (height - 1), d: -d, e: -e, f: f + d * (width - 1) + e * (height - 1),
  };
  return { ...match, transform };
}

/** WCS of a frame that is registered: the reference's sky at the same stars. Exact, both being linear. */
export function frameWcs(reference: Wcs, toReference: Affine): Wcs {
  const [a, b, c, d] = reference.cd, t = toReference;
  const origin = applyAffine(invertAffine(t), reference.crpix[0], reference.crpix[1]);
  return {
    crval: reference.crval, crpix: [origin.x, origin.y],
    cd: [a * t.a + b * t.d, a * t.b + b * t.e, c * t.a + d * t.d, c * t.b + d * t.e], sip: null,
  };
}
