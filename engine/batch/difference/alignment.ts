/** How the template lies on the science image: by their WCSs, or by their stars. */
import { pixelScaleArcsec, pixelToSky, skyToPixel, type Wcs } from '../../image/wcs.ts';
import { matchStarLists, type MatchConfig, type StarMatch } from '../../image/starMatch.ts';
import type { Star } from '../../image/starDetection.ts';
import { frameWcs } from '../series/registration.ts';
import { pairConfig } from './config.ts';
import { PairRefused, type PairImage } from './inputs.ts';

export type Alignment = Readonly<{
  method: 'wcs' | 'stars';
  /** What brings one image onto the other. */
  scienceWcs: Wcs; templateWcs: Wcs;
  /** Where the science pixels are on the sky; null where no header tells. */
  skyWcs: Wcs | null;
  pairCount: number | null; rmsPx: number | null;
}>;

/** Stands for a WCS that is not known: pixels as arcseconds around the origin of the sky. */
const PIXEL_WCS: Wcs = { crval: [0, 0], crpix: [0, 0], cd: [1 / 3600, 0, 0, 1 / 3600], sip: null };

/** @throws PairRefused: NO_WCS, SCALES_DIFFER, NO_OVERLAP. */
export function alignByWcs(science: PairImage, template: PairImage): Alignment {
  const scienceWcs = requireWcs(science), templateWcs = requireWcs(template);
  const [own, other] = [scienceWcs, templateWcs].map(pixelScaleArcsec);
  const ratio = Math.max(own / other, other / own);
  if (!(ratio <= pairConfig.scaleRatioMax)) {
    throw new PairRefused('SCALES_DIFFER',
      `the pixels of ${science.path} are ${own.toPrecision(4)} arcsec wide, those of ${template.path} ` +
      `${other.toPrecision(4)}; a ratio of ${ratio.toPrecision(3)} is above ${pairConfig.scaleRatioMax}`);
  }
  const share = overlapFraction(science, scienceWcs, template, templateWcs);
  const required = pairConfig.difference.warp.coverageFractionMin;
  if (share < required) {
    throw new PairRefused('NO_OVERLAP', `${template.path} covers ${(100 * share).toFixed(1)} % of ${science.path}, ` +
      `${100 * required} % required`);
  }
  return { method: 'wcs', scienceWcs, templateWcs, skyWcs: scienceWcs, pairCount: null, rmsPx: null };
}

function requireWcs({ wcs, path, projection }: PairImage): Wcs {
  if (wcs !== null) return wcs;
  const what = projection === null ? 'has no WCS' : `has no TAN or TAN-SIP WCS (CTYPE1 is ${projection})`;
  throw new PairRefused('NO_WCS', `${path}: ${what}; --register aligns the images by their stars`);
}

/** Share of a grid of science pixels that lie on the template. */
function overlapFraction(science: PairImage, scienceWcs: Wcs, template: PairImage, templateWcs: Wcs): number {
  const side = 64, { width, height } = science.planes;
  let count = 0;
  for (let n = 0; n < side * side; n++) {
    const sky = pixelToSky(scienceWcs, ((n % side) + 0.5) * width / side, (Math.floor(n / side) + 0.5) * height / side);
    const { x, y } = skyToPixel(templateWcs, sky.raDeg, sky.decDeg);
    if (x >= 0 && y >= 0 && x <= template.planes.width - 1 && y <= template.planes.height - 1) count++;
  }
  return count / (side * side);
}

export type StarList = Readonly<{ list: readonly Star[]; fwhmPx: number }>;

/**
 * Brings the stars of both images together: any shift up to half a side, small rotations first, then any.
 *
 * @throws PairRefused NOT_REGISTERED.
 */
export function alignByStars(
  science: PairImage, scienceStars: StarList, template: PairImage, templateStars: StarList,
): Alignment {
  const own = ranked(scienceStars), other = ranked(templateStars), config = pairConfig.registration;
  const side = Math.max(science.planes.width, science.planes.height, template.planes.width, template.planes.height);
  const small: MatchConfig = {
    shiftMaxPx: config.shiftFractionMax * side, rotationMaxDeg: config.rotationMaxDeg, voterCount: config.voterCount,
    binPx: config.binPx,
    finalRadiusPx: Math.max(1, config.finalRadiusFwhm * Math.max(scienceStars.fwhmPx, templateStars.fwhmPx)),
    // While the brightest alone vote; of all stars a share is asked for below.
    pairCountMin: config.pairCountMin,
  };
  const any = {
    ...small, rotationMaxDeg: 180, voterCount: config.anyRotationVoterCount, binPx: config.anyRotationBinPx,
  };
  const shared = Math.ceil(config.pairFractionMin * Math.min(own.length, other.length));
  const required = Math.max(config.pairCountMin, shared);
  const isEnough = (found: StarMatch | null): found is StarMatch => found !== null && found.pairs.length >= required;
  const upright = matchStarLists(other, own, small);
  const match = isEnough(upright) ? upright : matchStarLists(other, own, any);
  if (!isEnough(match)) {
    throw new PairRefused('NOT_REGISTERED',
      `no shift and rotation brings ${required} of the ${other.length} stars of ${template.path} onto the ` +
      `${own.length} of ${science.path}`);
  }
  return {
    method: 'stars', scienceWcs: PIXEL_WCS, templateWcs: frameWcs(PIXEL_WCS, match.transform),
    skyWcs: science.wcs, pairCount: match.pairs.length, rmsPx: match.rmsPx,
  };
}

function ranked({ list, fwhmPx }: StarList) {
  return list.filter((star) => !star.isSaturated && !star.isBlemished).slice(0, pairConfig.registration.starCountMax)
    // A centroid is good to FWHM / (2.35 SNR) × √2 under a matched window.
    .map((star) => ({ x: star.x, y: star.y, errorPx: (0.6 * fwhmPx) / star.snr }));
}
