/** What the classifier of detections learns from: pairs of the simulator, drawn from a seed. */
import {
  differenceForTraining, WEAKNESSES, type TrainingImage, type TrainingResult, type Weakness,
} from '../batch/reliability/trainingPair.ts';
import type { TrueChange } from '../batch/reliability/samples.ts';
import { renderPair, type PairSettings, type RenderedPair } from '../../simulator/pairs.ts';
import { randomStream, uniform, uniformBetween } from '../../simulator/random.ts';
import type { Wcs } from '../image/wcs.ts';

export type TrainingScene = Readonly<{ settings: PairSettings; weaknesses: ReadonlySet<Weakness> }>;

/** Side of a pair, pixels: large enough for kernel stars, small enough for a tenth of a second a step. */
export const SIDE = 1024;

/**
 * Draws a pair's settings. Those `unseen` lie where no training pair does: seeing beyond the range on either side,
 * crowding twice as dense as the densest, templates turned and blunter.
 */
export function drawScene(seed: number, index: number, isUnseen: boolean): TrainingScene {
  const random = randomStream(seed, isUnseen ? 'unseen scene' : 'training scene', index);
  const between = (low: number, high: number) => uniformBetween(random, low, high);
  const chance = (share: number): boolean => uniform(random) < share;
  const pick = (low: number, high: number, unseenLow: number, unseenHigh: number): number =>
    (isUnseen ? between(unseenLow, unseenHigh) : between(low, high));
  const scienceFwhm = chance(0.5) ? pick(3.2, 5.2, 2.9, 3.2) : pick(4, 6, 6, 6.6), density = pick(0.5, 2, 2, 3);
  const isHarsh = chance(0.6), weaknesses = new Set<Weakness>();
  if (chance(0.7)) for (const weakness of WEAKNESSES) if (chance(0.35)) weaknesses.add(weakness);
  const settings: PairSettings = {
    seed: seed * 100_000 + (isUnseen ? 50_000 : 0) + index, side: SIDE, scienceFwhm,
    templateFwhm: scienceFwhm * (chance(0.7) ? pick(0.72, 0.98, 0.68, 0.72) : pick(1.02, 1.25, 1.25, 1.3)),
    ellipticity: between(0, 0.06), sky: 10 ** between(2.3, 3.5), readNoise: between(4, 9),
    fullWell: between(80_000, 130_000),
    templateVisits: Math.round(between(4, 16)), transparency: between(0.75, 1.05),
    rotationDeg: chance(0.6) ? between(-0.1, 0.1) : pick(-15, 15, 16, 30),
    stars: 480 * density, galaxies: 240 * density, transients: 150, variables: 2.5 * density,
    movers: chance(0.5) ? 2 : 0,
    snrMin: 4.5, snrMax: 120,
    astrometricError: isHarsh ? between(0.02, 0.2) : 0, starShift: isHarsh ? between(0, 0.2) : 0,
    cosmicRays: isHarsh ? Math.round(between(10, 150)) : 0,
    // A coadd rejects nearly all.
    templateCosmicRays: chance(0.15) ? Math.round(between(1, 5)) : 0,
    hotPixels: chance(0.4) ? Math.round(between(2, 40)) : 0, hotColumns: chance(0.3) ? Math.round(between(1, 3)) : 0,
    ghosts: chance(0.15) ? Math.round(between(1, 2)) : 0,
  };
  return { settings, weaknesses };
}

/** @throws StageError, PairRefused when the pair cannot be subtracted. */
export function runScene({ settings, weaknesses }: TrainingScene): TrainingResult & { changes: readonly TrueChange[] } {
  const pair = renderPair(settings), { templateVisits, readNoise, side } = settings;
  const science: TrainingImage = { ...pair.science, wcs: scienceWcs(side), gain: 1, readNoise };
  const template: TrainingImage = {
    ...pair.template, wcs: templateWcs(pair, side), gain: templateVisits,
    readNoise: readNoise * Math.sqrt(templateVisits),
  };
  return { ...differenceForTraining(science, template, side, weaknesses), changes: pair.changes };
}

const DEGREES_PER_PIXEL = 0.2 / 3600;

function scienceWcs(side: number): Wcs {
  const s = DEGREES_PER_PIXEL, middle = (side - 1) / 2;
  return { crval: [150, 2], crpix: [middle, middle], cd: [-s, 0, 0, s], sip: null };
}

/** The same tangent point, seen through the template's shift and rotation. */
function templateWcs({ turn: { cos, sin, dx, dy } }: RenderedPair, side: number): Wcs {
  const s = DEGREES_PER_PIXEL, middle = (side - 1) / 2;
  return { crval: [150, 2], crpix: [middle + dx, middle + dy], cd: [-s * cos, -s * sin, -s * sin, s * cos], sip: null };
}
