/**
 * How well is an instrument's signature removed? Renders one detector with and without each effect, removes what there
 * is, and compares: what differs is what a step left. Truth is the simulator's; the calibrations are those of
 * `vesper calibrations`, which has seen frames alone.
 *
 *     vesper simulate calibrations --camera LSSTCam --detectors 94 --biases 6 --darks 3 --dark-seconds 120 \
 *       --flat-levels 5000,15000,30000,45000,60000,80000 --out frames/
 *     vesper calibrations frames/ --out calibrations/
 *     node bench/isrQuality.ts --calibrations calibrations/ [--camera LSSTCam] [--detector 94] [--json] [--keep]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readElectronics } from '../engine/image/electronics.ts';
import { findCalibrations } from '../engine/cli/isrCalibrations.ts';
import { readCalibrationPlane } from '../engine/image/calibrationPlane.ts';
import type { MaskedImage } from '../engine/image/maskedImage.ts';
import { createPlaneMemory } from '../engine/image/planeMemory.ts';
import { isrConfig, type IsrConfig } from '../engine/stages/isr/config.ts';
import { removeInstrumentSignature, type IsrCalibrations } from '../engine/stages/isr/isr.ts';
import { detectorOf, loadCamera } from '../schemas/camera.ts';
import { asDayObs, exposureOf } from '../schemas/ids.ts';
import { isBand } from '../schemas/units.ts';
import { renderExposure, type RenderedExposure } from '../simulator/exposure.ts';
import { parseEffects } from '../simulator/model.ts';
import { planExposure } from '../simulator/surveySchedule.ts';
import {
  countCosmicRays, measureAmpBorders, measureLinearity, measureRepulsion, measureTalk, measureVariance, rayFigures,
} from './isrMeasures.ts';

const { values } = parseArgs({ options: {
  calibrations: { type: 'string' }, camera: { type: 'string', default: 'LSSTCam' },
  detector: { type: 'string', default: '94' },
  /** Exposures, each of 20 rays, in which cosmic rays are looked for. */
  exposures: { type: 'string', default: '3' }, band: { type: 'string', default: 'r' },
  seed: { type: 'string', default: '1' },
  json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
} });
if (values.calibrations === undefined) throw new Error('--calibrations DIR is required: see the head of this file');
const camera = loadCamera(values.camera), detector = detectorOf(camera, Number(values.detector));
const seed = Number(values.seed);
if (!isBand(values.band)) throw new Error(`"${values.band}" is not a band`);
const plan = planExposure({
  dayObs: asDayObs(20261001), camera, seed, band: values.band, raDeg: 9.45, decDeg: -44.02, cameraAngleDeg: 0,
  exposureSeconds: 30, startMjdTai: null,
});
const { width, height } = detector, n = width * height;
const memory = createPlaneMemory(n * 4 * 8 + n * 10 * 3), calibrations = readAll(values.calibrations);
const indices = memory.int32(n), planes = [1, 2, 3].map(() => memory.maskedImage(width, height));

function readAll(directory: string): IsrCalibrations {
  const paths = findCalibrations(directory, { instrument: camera.name, band: plan.band, detector });
  const read = (path: string | null) => (path === null ? null : readCalibrationPlane(path, detector, memory.float32(n)));
  return {
    bias: read(paths.bias), flat: read(paths.flat), dark: read(paths.dark), fringe: read(paths.fringe),
    electronics: paths.electronics === null ? null : readElectronics(paths.electronics, detector),
  };
}

/** The exposure with those effects, its signature removed by those steps, in one of the images. */
function reduced(effects: string, steps: Partial<IsrConfig>, out: MaskedImage, visit = plan): RenderedExposure {
  const exposure = renderExposure(seed, camera, detector, visit, {
    sky: 'survey', effects: parseEffects(effects), compression: 'none',
  });
  const raw = exposure.amps.map((pixels, k) => {
    const { name, rawWidth, rawHeight } = detector.amps[k];
    return { name, width: rawWidth, height: rawHeight, pixels: shared(pixels, k) };
  });
  removeInstrumentSignature(raw, detector, calibrations, { ...isrConfig, ...steps }, out, { indices }, {
    darkSeconds: plan.exposureSeconds,
  });
  return exposure;
}

/** Readouts in the kernels' memory, each at its own place. */
const rawPlanes: Uint16Array[] = [];
function shared(pixels: Uint16Array, k: number): Uint16Array {
  if (rawPlanes[k] === undefined) {
    const plane = memory.float32(Math.ceil(pixels.length / 2));
    rawPlanes[k] = new Uint16Array(plane.buffer, plane.byteOffset, pixels.length);
  }
  rawPlanes[k].set(pixels);
  return rawPlanes[k];
}

const quiet = 'realistic,-shotNoise,-readNoise,-cosmicRays,-biasDrift,-streaks', [first, second, third] = planes;
const plain: Partial<IsrConfig> = { isInterpolated: false, isCosmicRayRejected: false };
const figures: Record<string, number | null> = {};

const rays = { rays: 0, found: 0, pixels: 0, foundPixels: 0, stars: 0, cores: 0, falsePixels: 0 };
for (let k = 0; k < Number(values.exposures); k++) {
  // Another exposure of the same field: other rays, noise and seeing.
  const visit = { ...plan, exposure: exposureOf(asDayObs(20261001), 1 + k) };
  const real = reduced('realistic', { isInterpolated: false }, first, visit);
  figures[`seeing${k + 1}Arcsec`] = real.conditions.seeingArcsec;
  countCosmicRays(first, real, rays);
}
Object.assign(figures, rayFigures(rays));
reduced(quiet, plain, second);
reduced(`${quiet},shotNoise,readNoise`, plain, first);
Object.assign(figures, measureVariance(first, second));
// Nothing to remove but the level and the gain: the light itself.
const bare = 'skyBackground,clouds,differentialRefraction,aureoles';
reduced(bare, {
  ...plain, isBiasSubtracted: false, isFlatDivided: false, isDarkSubtracted: false, isCrosstalkRemoved: false,
  isLinearized: false, isChargeTransferCorrected: false, isBrighterFatterCorrected: false, isFringeSubtracted: false,
}, first);
Object.assign(figures, measureAmpBorders(second, first, detector));
reduced(`${quiet},-crosstalk`, { ...plain, isCrosstalkRemoved: false }, first);
Object.assign(figures, measureTalk(second, first, detector));
reduced(`${quiet},-nonlinearity`, { ...plain, isLinearized: false }, first);
Object.assign(figures, measureLinearity(second, first));
const without = reduced(`${quiet},-brighterFatter`, { ...plain, isBrighterFatterCorrected: false }, first);
reduced(quiet, { ...plain, isBrighterFatterCorrected: false }, third);
Object.assign(figures, measureRepulsion({ corrected: second, uncorrected: third, none: first }, without.sources));

/** What the project asks of each figure. */
const LIMITS: Readonly<Record<string, (value: number) => boolean>> = {
  varianceRatio: (value) => Math.abs(value - 1) <= 0.01, ampStepOfSky: (value) => value <= 1e-3,
  crosstalkLeft: (value) => value <= 2e-6, linearityLeft: (value) => value <= 1e-3,
  repulsionLeft: (value) => value <= 0.1, cosmicRaysFound: (value) => value >= 0.95,
  starCoresFlagged: (value) => value === 0,
};
const failed = Object.entries(LIMITS)
  .filter(([name, isGood]) => figures[name] !== null && !isGood(figures[name] ?? NaN)).map(([name]) => name);
const result = {
  bench: 'isrQuality', camera: camera.name, detector: detector.id, band: plan.band, seed, figures, failed,
};
if (values.keep) {
  const folder = join(import.meta.dirname, 'results');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'isrQuality.json'), `${JSON.stringify(result, null, 2)}\n`);
}
if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
else {
  for (const [name, value] of Object.entries(figures)) {
    process.stdout.write(`  ${name.padEnd(26)} ${value === null ? '-' : Number(value.toPrecision(4))}`
      + `${failed.includes(name) ? '  beyond its limit' : ''}\n`);
  }
}
process.exitCode = failed.length > 0 ? 1 : 0;
