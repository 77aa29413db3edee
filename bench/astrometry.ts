/**
 * Does the astrometric fit survive any pointing? Random fields of the whole sky, crowded and sparse, seen by random
 * detectors with a wrong pointing of up to 20″ and a wrong angle of up to 0.5°. Stars come from the simulator's sky and
 * its own projection; centroids get the noise of their brightness, some stars are missed, galaxies and noise are found
 * in their place, and the brightest saturate. Judged on stars that were withheld. Exit 1 when a field fails.
 *
 *     node bench/astrometry.ts [--fields 200] [--seed 1] [--camera LSSTCam] [--json]
 */
import { parseArgs } from 'node:util';
import { loadCamera, pixelScaleArcsec, scienceDetectors, type Camera, type Detector } from '../schemas/camera.ts';
import { BANDS } from '../schemas/units.ts';
import { nominalWcs, pixelToSky, separationArcsec } from '../engine/image/wcs.ts';
import type { ReferenceStar } from '../engine/image/references.ts';
import { fitWcs, type MeasuredStar } from '../engine/stages/calibrate/astrometry.ts';
import { calibrateConfig } from '../engine/stages/calibrate/config.ts';
import { detectorMap, imageRadius, skyOfVector } from '../simulator/projection.ts';
import { normal, randomStream, uniform, uniformBetween, type RandomStream } from '../simulator/random.ts';
import { starsOfCone } from '../simulator/scene.ts';

const { values } = parseArgs({ options: {
  fields: { type: 'string', default: '200' }, seed: { type: 'string', default: '1' },
  camera: { type: 'string', default: 'LSSTCam' }, json: { type: 'boolean', default: false },
} });

/** Stars measured at most, as the calibrate stage does. */
const MEASURED_MAX = calibrateConfig.measuredStarCountMax;
const FAILURE_ARCSEC = 0.1, BAND = 'r';

type Star = Readonly<{ x: number; y: number; raDeg: number; decDeg: number; mag: number }>;
type Outcome = Readonly<{
  field: number; detector: string; raDeg: number; decDeg: number; stars: number; references: number;
  /** Stars that were measured and have a reference. */
  common: number;
  offsetArcsec: number; turnDeg: number; withheldRmsMas: number | null; worstMas: number | null; order: number;
  standards: number; cpuMs: number; failure: string | null;
}>;

function tryField(camera: Camera, seed: number, field: number): Outcome {
  const random = randomStream(seed, 'astrometry', field), detectors = scienceDetectors(camera);
  const detector = detectors[Math.floor(uniform(random) * detectors.length)];
  const raDeg = uniformBetween(random, 0, 360), decDeg = Math.asin(uniformBetween(random, -1, 0.6)) * (180 / Math.PI);
  const cameraAngleDeg = uniformBetween(random, 0, 360), turnDeg = uniformBetween(random, -0.5, 0.5);
  const offsetArcsec = uniformBetween(random, 0, 20), towards = uniformBetween(random, 0, 2 * Math.PI);
  const actual = {
    raDeg: raDeg + (offsetArcsec / 3600) * Math.cos(towards) / Math.cos(decDeg * (Math.PI / 180)),
    decDeg: decDeg + (offsetArcsec / 3600) * Math.sin(towards), cameraAngleDeg: cameraAngleDeg + turnDeg,
  };
  // From shallow exposures with a handful of stars to deep ones.
  const faintMag = uniformBetween(random, 17.5, 23), saturatedMag = faintMag - uniformBetween(random, 5, 7);
  const stars = seenStars(camera, detector, actual, faintMag);
  const onDetector = stars.filter(({ x, y }) => x > 8 && y > 8 && x < detector.width - 9 && y < detector.height - 9);
  const { measured, anchors } = measure(onDetector, detector, faintMag, saturatedMag, random);
  const fitted = new Set(measured.map(({ truth }) => truth));
  // A third is withheld: measured all the same, but no reference to the fit.
  const isWithheld = new Map(stars.map((star) => [star, uniform(random) < 1 / 3]));
  const referenceFaintMag = Math.min(faintMag + 0.5, 21.5);
  const references = stars.filter((star) => star.mag < referenceFaintMag && isWithheld.get(star) === false)
    .map((star, i): ReferenceStar => {
      const mas = 5 / 3.6e6;
      return {
        refId: String(i), raDeg: star.raDeg + (mas * normal(random)) / Math.cos(star.decDeg * (Math.PI / 180)),
        decDeg: star.decDeg + mas * normal(random), raErrMas: 5, decErrMas: 5, mag: star.mag, magErr: 0.005,
        colourMag: null,
      };
    });
  const common = measured.filter(({ truth }) => (
    truth !== null && isWithheld.get(truth) === false && truth.mag < referenceFaintMag
  )).length;
  const nominal = nominalWcs(camera, detector, raDeg, decDeg, cameraAngleDeg), begun = process.cpuUsage();
  const about = {
    field, detector: detector.name, raDeg, decDeg, stars: measured.length, references: references.length, common,
    offsetArcsec, turnDeg,
  };
  try {
    const { width, height } = detector;
    const fit = fitWcs(measured, anchors, references, nominal, width, height, calibrateConfig.astrometry);
    const { user, system } = process.cpuUsage(begun);
    const errors = onDetector.filter((star) => isWithheld.get(star) === true && fitted.has(star)).map((star) => {
      const at = pixelToSky(fit.wcs, star.x, star.y);
      return separationArcsec(at.raDeg, at.decDeg, star.raDeg, star.decDeg) * 1000;
    });
    const rms = errors.length === 0 ? null : Math.sqrt(errors.reduce((sum, e) => sum + e * e, 0) / errors.length / 2);
    const worst = errors.length === 0 ? null : Math.max(...errors);
    return {
      ...about, withheldRmsMas: rms, worstMas: worst, order: fit.distortionOrder, standards: fit.pairs.length,
      cpuMs: (user + system) / 1000, failure: worst !== null && worst > 1000 * FAILURE_ARCSEC ? 'wrong place' : null,
    };
  } catch (error) {
    const { user, system } = process.cpuUsage(begun);
    return {
      ...about, withheldRmsMas: null, worstMas: null, order: 0, standards: 0, cpuMs: (user + system) / 1000,
      failure: error instanceof Error ? error.message : String(error),
    };
  }
}

function seenStars(
  camera: Camera, detector: Detector, pointing: Parameters<typeof detectorMap>[2], faintMag: number,
): Star[] {
  const map = detectorMap(camera, detector, pointing), { centre, radius } = imageRadius(map);
  const middle = skyOfVector(centre);
  return starsOfCone(1, middle.raDeg, middle.decDeg, radius * 1.1, 'survey').flatMap((star) => {
    const at = map.toPixel(star.place), mag = star.mags[BANDS.indexOf(BAND)];
    return at === null || mag > faintMag + 0.5 ? [] : [{ ...at, ...skyOfVector(star.place), mag }];
  });
}

/** What a detection finds of them, brightest first, and what it takes for stars besides. */
function measure(
  stars: readonly Star[], detector: Detector, faintMag: number, saturatedMag: number, random: RandomStream,
): { measured: (MeasuredStar & { truth: Star | null })[]; anchors: { x: number; y: number }[] } {
  const found = stars.filter(({ mag }) => mag < faintMag && uniform(random) > 0.1).map((star) => {
    const snr = 10 * 10 ** (0.4 * (faintMag - star.mag)), errorPx = Math.hypot(1.8 / snr, 0.01);
    return {
      truth: star as Star | null, snr, flux: 10 ** (0.4 * (25 - star.mag)) * (1 + 0.1 * normal(random)),
      x: star.x + errorPx * normal(random), y: star.y + errorPx * normal(random), xErr: 1.8 / snr, yErr: 1.8 / snr,
      isIsolated: true, isSaturated: star.mag < saturatedMag,
    };
  });
  const others = Math.ceil(found.length * uniformBetween(random, 0.05, 0.4));
  for (let k = 0; k < others; k++) {
    found.push({
      truth: null, snr: 20, flux: 10 ** (0.4 * (25 - faintMag + 3 * uniform(random) ** 2)),
      x: uniform(random) * detector.width,
      y: uniform(random) * detector.height, xErr: 0.1, yErr: 0.1, isIsolated: true, isSaturated: false,
    });
  }
  found.sort((a, b) => b.flux - a.flux);
  const measured = found.filter(({ isSaturated }) => !isSaturated).slice(0, MEASURED_MAX)
    .map((star) => ({ ...star, fluxErr: star.flux / star.snr }));
  return { measured, anchors: found };
}

const camera = loadCamera(values.camera), fieldCount = Number(values.fields), outcomes: Outcome[] = [];
for (let field = 0; field < fieldCount; field++) outcomes.push(tryField(camera, Number(values.seed), field));

/** A field with hardly more than the standards that the fit asks for may fail it: clipping takes one or two. */
const possible = outcomes.filter((o) => o.common >= calibrateConfig.astrometry.standardCountMin + 2);
const failures = possible.filter(({ failure }) => failure !== null);
const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? NaN;
const rms = possible.flatMap((o) => (o.withheldRmsMas === null ? [] : [o.withheldRmsMas]));
const summary = {
  camera: camera.name, pixelScaleArcsec: pixelScaleArcsec(camera), fields: outcomes.length, possible: possible.length,
  failed: failures.length, starsMin: Math.min(...possible.map(({ stars }) => stars)),
  referencesMin: Math.min(...possible.map(({ references }) => references)),
  referencesMax: Math.max(...possible.map(({ references }) => references)),
  withheldRmsMasMedian: median(rms), withheldRmsMasMax: Math.max(...rms),
  cpuMsMedian: median(possible.map(({ cpuMs }) => cpuMs)),
};
if (values.json) process.stdout.write(`${JSON.stringify({ ...summary, outcomes })}\n`);
else {
  for (const [name, value] of Object.entries(summary)) process.stdout.write(`  ${name} ${value}\n`);
  for (const failure of failures) process.stdout.write(`failed: ${JSON.stringify(failure)}\n`);
}
process.exitCode = failures.length === 0 ? 0 : 1;
