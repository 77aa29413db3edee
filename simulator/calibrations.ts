/** Bias, flat and reference catalogue, made as an observatory makes them: from frames and stars with their noise. */
import { pixelScaleArcsec, type Amp, type Camera, type Detector } from '../schemas/camera.ts';
import { BANDS, type Band } from '../schemas/units.ts';
import { calibrationConfig, skyConfig } from './config.ts';
import { addShotNoise, detectorResponse, readDetector } from './detector.ts';
import { encodeFits } from './fitsWriter.ts';
import { scaledPixels } from './scaledPixels.ts';
import { fieldRadiusMm } from './optics.ts';
import { DEMONSTRATION, type SimulationModel, type SkyModel } from './model.ts';
import {
  ARCSEC_PER_RADIAN, detectorMap, fromTangent, imageRadius, skyOfVector, tangentPlane, type UnitVector,
} from './projection.ts';
import { normal, randomStream } from './random.ts';
import { starsByCell, starsOfCone } from './scene.ts';
import type { Field, PlannedVisit } from './schedule.ts';
import { addDark, fringesOf, hotPixelsOf } from './silicon.ts';
import type { Star } from './sky.ts';
import { placeAt } from './surveySky.ts';
import { encodeTable, type Column } from './tableWriter.ts';

/** Mean of bias frames after subtraction of their overscan, assembled. [height × width] row-major, ADU. */
export function makeBias(
  seed: number, detector: Detector, { effects }: SimulationModel = DEMONSTRATION,
): Float32Array {
  const sum = new Float64Array(detector.width * detector.height);
  for (let frame = 0; frame < calibrationConfig.biasFrames; frame++) {
    addAssembled(sum, detector, readDetector(seed, detector, null, 'bias frame', frame, effects), () => 1);
  }
  return Float32Array.from(sum, (value) => value / calibrationConfig.biasFrames);
}

/**
 * Mean of flat frames, bias subtracted, in electrons, over its own mean. [height × width] row-major.
 *
 * @param bias From `makeBias`, ADU. Read only.
 */
export function makeFlat(
  seed: number, camera: Camera, detector: Detector, bias: Float32Array, model: SimulationModel = DEMONSTRATION,
): Float32Array {
  const { response } = detectorResponse(seed, camera, detector, model);
  const sum = new Float64Array(response.length);
  const electrons = new Float32Array(response.length);
  for (let frame = 0; frame < calibrationConfig.flatFrames; frame++) {
    for (let i = 0; i < electrons.length; i++) electrons[i] = calibrationConfig.flatElectrons * response[i];
    if (model.effects.shotNoise) addShotNoise(electrons, randomStream(seed, 'flat light', detector.id, frame));
    const amps = readDetector(seed, detector, electrons, 'flat frame', frame, model.effects);
    addAssembled(sum, detector, amps, (amp) => amp.gainElectronsPerAdu);
  }
  for (const amp of detector.amps) subtractBias(sum, bias, detector.width, amp, calibrationConfig.flatFrames);
  let total = 0;
  for (let i = 0; i < sum.length; i++) total += sum[i];
  const level = total / sum.length;
  return Float32Array.from(sum, (value) => value / level);
}

/** Mean of dark frames, bias subtracted. [height × width] row-major, electrons a second. */
export function makeDark(seed: number, detector: Detector, model: SimulationModel): Float32Array {
  const { darkFrames, darkSeconds } = calibrationConfig, { effects } = model;
  const bias = makeBias(seed, detector, model), hotPixels = effects.hotPixels ? hotPixelsOf(seed, detector) : [];
  const sum = new Float64Array(bias.length), electrons = new Float32Array(bias.length);
  for (let frame = 0; frame < darkFrames; frame++) {
    electrons.fill(0);
    addDark(electrons, detector, darkSeconds, hotPixels, effects.darkCurrent);
    if (effects.shotNoise) addShotNoise(electrons, randomStream(seed, 'dark charge', detector.id, frame));
    const amps = readDetector(seed, detector, electrons, 'dark frame', frame, effects);
    addAssembled(sum, detector, amps, (amp) => amp.gainElectronsPerAdu);
  }
  for (const amp of detector.amps) subtractBias(sum, bias, detector.width, amp, darkFrames);
  return Float32Array.from(sum, (value) => value / (darkFrames * darkSeconds));
}

/**
 * Fringes of a band's night sky relative to the sky, as the median of a season's sky frames has them: with what noise
 * their photons leave. [height × width] row-major; mean about 0.
 */
export function makeFringe(seed: number, detector: Detector, band: Band): Float32Array {
  const { width, height } = detector, fringe = new Float32Array(width * height);
  const fringes = fringesOf(seed, detector, band);
  const random = randomStream(seed, 'fringe frame', detector.id, BANDS.indexOf(band));
  // The median of n values scatters by 1.2533 times as much as their mean.
  const sigma = 1.2533 / Math.sqrt(calibrationConfig.fringeFrames * calibrationConfig.fringeSkyElectrons);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) fringe[i] = (fringes?.(x, y) ?? 0) + sigma * normal(random);
  }
  return fringe;
}

function subtractBias(sum: Float64Array, bias: Float32Array, width: number, amp: Amp, frames: number): void {
  const { x0, y0, x1, y1 } = amp.detectorBox;
  const scale = frames * amp.gainElectronsPerAdu;
  for (let y = y0; y < y1; y++) {
    for (let i = y * width + x0, end = y * width + x1; i < end; i++) sum[i] -= scale * bias[i];
  }
}

/** Adds a frame to a sum: overscan's mean row by row subtracted, amps put in their places, times a factor per amp. */
function addAssembled(
  sum: Float64Array, detector: Detector, amps: readonly Uint16Array[], factor: (amp: Amp) => number,
): void {
  detector.amps.forEach((amp, index) => {
    const raw = amps[index], scale = factor(amp);
    const { rawData: data, rawSerialOverscan: overscan, detectorBox: box } = amp;
    for (let y = data.y0; y < data.y1; y++) {
      const start = y * amp.rawWidth;
      let level = 0;
      for (let x = overscan.x0; x < overscan.x1; x++) level += raw[start + x];
      level /= overscan.x1 - overscan.x0;
      const row = amp.flipY ? box.y1 - 1 - (y - data.y0) : box.y0 + (y - data.y0);
      const step = amp.flipX ? -1 : 1;
      let out = row * detector.width + (amp.flipX ? box.x1 - 1 : box.x0);
      for (let x = data.x0; x < data.x1; x++, out += step) sum[out] += scale * (raw[start + x] - level);
    }
  });
}

const CALIBRATION_UNITS = { bias: 'adu', flat: 'relative', dark: 'electron/s', fringe: 'relative' } as const;

/** Bytes of a calibration product, its plane in 16 bits. */
export function encodeCalibration(
  kind: keyof typeof CALIBRATION_UNITS, detector: Detector, pixels: Float32Array,
): Buffer {
  const scaled = scaledPixels(pixels);
  return encodeFits([
    {
      cards: [['DETECTOR', detector.id, 'detector id'], ['DETNAME', detector.name, 'detector name'], ['OBSTYPE', kind]],
      image: null,
    },
    {
      cards: [['EXTNAME', 'IMAGE'], ['BUNIT', CALIBRATION_UNITS[kind]], ...scaled.cards],
      image: { width: detector.width, height: detector.height, pixels: scaled.pixels },
    },
  ]);
}

/**
 * Radius of the cone that a field's reference catalogue covers, degrees: the camera, and two arcminutes for dithers.
 */
export function referenceRadiusDeg(camera: Camera): number {
  return (fieldRadiusMm(camera) * camera.plateScaleArcsecPerMm) / 3600 + 2 / 60;
}

/** CSV of a field's reference stars, with the errors of a catalogue. */
export function makeReferences(seed: number, camera: Camera, field: Field, sky: SkyModel = 'demonstration'): string {
  return textOf(fieldReferences(seed, camera, field, sky));
}

/** The same as a FITS table, by declination. */
export function encodeReferences(seed: number, camera: Camera, field: Field, sky: SkyModel): Buffer {
  const rows = fieldReferences(seed, camera, field, sky);
  rows.sort((a, b) => a.decDeg - b.decDeg || (a.refId < b.refId ? -1 : 1));
  const { referencePositionErrorMas, referenceMagError } = skyConfig;
  const columns: Column<ReferenceRow>[] = [
    { name: 'refId', kind: 'K', of: ({ refId }) => refId },
    { name: 'ra', unit: 'deg', kind: 'D', of: ({ raDeg }) => raDeg },
    { name: 'dec', unit: 'deg', kind: 'D', of: ({ decDeg }) => decDeg },
    { name: 'raErrMas', unit: 'mas', kind: 'E', of: () => referencePositionErrorMas },
    { name: 'decErrMas', unit: 'mas', kind: 'E', of: () => referencePositionErrorMas },
    ...BANDS.flatMap((band, i): Column<ReferenceRow>[] => [
      { name: `${band}Mag`, unit: 'mag', kind: 'E', of: ({ mags }) => mags[i] },
      { name: `${band}MagErr`, unit: 'mag', kind: 'E', of: () => referenceMagError },
    ]),
  ];
  return encodeTable('REFERENCES', columns, rows, 'dec');
}

function fieldReferences(seed: number, camera: Camera, field: Field, sky: SkyModel): ReferenceRow[] {
  const radius = referenceRadiusDeg(camera) * (Math.PI / 180), rows: ReferenceRow[] = [];
  for (const stars of starsByCell(seed, field.raDeg, field.decDeg, radius, sky)) {
    for (const star of stars) rows.push(referenceRow(seed, star, star.place));
  }
  return rows;
}

/**
 * As `makeReferences`, of the stars that some detectors of a pointing see and half an arcminute about them, at their
 * places on the day of the visit, as a preload would carry them there.
 */
export function makeReferencesOf(
  seed: number, camera: Camera, detectors: readonly Detector[], plan: PlannedVisit, sky: SkyModel,
): string {
  const marginPx = 30 / pixelScaleArcsec(camera), seen = new Map<bigint, ReferenceRow>();
  for (const detector of detectors) {
    const map = detectorMap(camera, detector, plan.commanded), { centre, radius } = imageRadius(map);
    const { raDeg, decDeg } = skyOfVector(centre);
    for (const star of starsOfCone(seed, raDeg, decDeg, radius * 1.05, sky)) {
      const place = placeAt(star, plan.midpointMjdTai, null), at = map.toPixel(place);
      if (!at || at.x < -marginPx || at.y < -marginPx || at.x > map.width + marginPx || at.y > map.height + marginPx) {
        continue;
      }
      seen.set(star.id, referenceRow(seed, star, place));
    }
  }
  return textOf([...seen.values()]);
}

/** What a catalogue says of a star: degrees to 9 decimals, AB magnitudes to 4, by band. */
type ReferenceRow = Readonly<{ refId: bigint; raDeg: number; decDeg: number; mags: readonly number[] }>;

function referenceRow(seed: number, star: Star, place: UnitVector): ReferenceRow {
  const { referencePositionErrorMas: mas, referenceMagError: magError } = skyConfig;
  const sigma = mas / 1000 / ARCSEC_PER_RADIAN;
  const random = randomStream(seed, 'reference', Number(star.id >> 30n), Number(star.id & 0x3fffffffn));
  const { raDeg, decDeg } = skyOfVector(place), plane = tangentPlane(raDeg, decDeg);
  const measured = skyOfVector(fromTangent(plane, sigma * normal(random), sigma * normal(random)));
  const mags = star.mags.map((mag) => Number((mag + magError * normal(random)).toFixed(4)));
  return {
    refId: star.id, raDeg: Number(measured.raDeg.toFixed(9)), decDeg: Number(measured.decDeg.toFixed(9)), mags,
  };
}

function textOf(rows: readonly ReferenceRow[]): string {
  const { referencePositionErrorMas: mas, referenceMagError: magError } = skyConfig;
  const header = ['refId,ra,dec,raErrMas,decErrMas', ...BANDS.map((band) => `${band}Mag,${band}MagErr`)].join(',');
  const lines = rows.map(({ refId, raDeg, decDeg, mags }) => [
    refId, raDeg.toFixed(9), decDeg.toFixed(9), mas, mas, ...mags.map((mag) => `${mag.toFixed(4)},${magError}`),
  ].join(','));
  return `${[header, ...lines].join('\n')}\n`;
}
