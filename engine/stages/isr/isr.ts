/** Instrument signature removal: raw counts of one detector to electrons with variance and mask. */
import type { Detector } from '../../../schemas/camera.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import { asProduct, type MaskedImage, type PostIsrImage } from '../../image/maskedImage.ts';
import { median } from '../../image/median.ts';
import type { RawAmp } from '../../image/rawExposure.ts';
import { prepareAddScaled } from '../../kernels/arithmetic.ts';
import { finishRoomBytes, prepareFinish } from '../../kernels/finish.ts';
import { pixelsOf, valueAt, type ReadPlane } from '../../kernels/scaled.ts';
import { prepareVariance, varianceRoomBytes, type VarianceLists } from '../../kernels/variance.ts';
import { measureAmpSteps, solveAmpOffsets, subtractAmpOffsets } from './ampOffset.ts';
import { isUniform, prepareAssembly, type AssemblyCounts } from './assemble.ts';
import type { DegradedStep, IsrCalibrations, StepPlan } from './calibrations.ts';
import type { IsrConfig } from './config.ts';
import { markCosmicRays, RAYLESS } from './cosmicRays.ts';
import {
  ampReports, assembleWhole, finishTask, frameError, openFrame, type AmpReport, type IsrExposure, type OpenFrame,
} from './frame.ts';
import { fringeScale, placesOf } from './fringe.ts';
import { interpolateDefects } from './interpolate.ts';
import { growMask, markBleeds, markCrosstalk, markEdges, pixelsWith } from './masks.ts';
import { bandsOf, isContinuous, readoutRows, type Run } from './rowOrder.ts';
import { measureSky, meshOf, sampleStep, type SampledSky } from './sky.ts';
import { varianceTask } from './variance.ts';

export type { IsrCalibrations } from './calibrations.ts';
export { assembleFrame, type AmpReport, type IsrExposure, type RunStep } from './frame.ts';

/** What each step did; a step that was switched off or had no calibration counts 0. */
export type IsrReport = Readonly<{
  amps: readonly AmpReport[];
  /** Steps that were asked for and left out, as their calibrations are missing. */
  degraded: readonly DegradedStep[];
  figures: IsrFigures;
}>;

export type IsrFigures = Readonly<{
  saturatedCount: number; suspectCount: number; defectCount: number; cosmicRayPixelCount: number;
  interpolatedCount: number; noDataCount: number; bleedColumnCount: number; crosstalkPixelCount: number;
  degradedCount: number;
  skyElectrons: number; skySigmaElectrons: number;
  /** Sky that the fringes which were taken off belong to. */
  fringeSkyElectrons: number;
  /** Part of a packet left behind at a transfer that was put back, mean of the amps; 0 for none. */
  serialCti: number; parallelCti: number;
  /** Flow between neighbours along x and y that was put back, per electron²; 0 for none. */
  repulsionX: number; repulsionY: number;
  /** Largest step between neighbouring amps, before their offsets were taken off where that is asked for. */
  ampStepElectrons: number;
}>;

/** Work memory, each as large as the detector. Contents are destroyed. */
export type IsrScratch = Readonly<{ indices: Int32Array }>;

/**
 * Rows of readout that are worked on at a time: with their calibrations and variance half of a second-level cache.
 * Repelled charge is put back with `KEPT_ROWS` at hand, two more than these at least.
 */
const BAND_ROWS = 4;
/** Between what kernels keep side by side. */
const ALIGNMENT_BYTES = 64;

/**
 * @param raw     The detector's amps, in any order. Read only.
 * @param out     Planes of the detector's size, in shared memory or not; overwritten. They become the result.
 * @throws StageError (reject): AMP_MISSING, RAW_SIZE_WRONG, CALIBRATION_MISSING, CALIBRATION_SIZE_WRONG,
 *         CALIBRATION_MISMATCHED, DARK_TIME_UNKNOWN, FRAME_CONSTANT (every amp reads one value), FRAME_SATURATED,
 *         FRAME_WITHOUT_LIGHT, FRAME_NAN.
 */
export function removeInstrumentSignature(
  raw: readonly RawAmp[], detector: Detector, calibrations: IsrCalibrations, config: IsrConfig, out: MaskedImage,
  { indices }: IsrScratch, exposure: IsrExposure = { darkSeconds: null },
): { image: PostIsrImage; report: IsrReport } {
  if (out.width !== detector.width || out.height !== detector.height) throw new Error('planes of another size');
  const { runStep = (_, work) => work() } = exposure;
  const frame = openFrame(raw, detector, calibrations, config, exposure);
  if (frame.isDead.every((isDead) => isDead)) {
    throw frameError('FRAME_CONSTANT', detector, 'every amp reads one constant value');
  }
  const made = makeImage(frame, out, indices, exposure), { plan } = frame;
  const { sky, marks: { defects, missing, ...marks } } = made;
  const amps = ampReports(frame, made.counts.amps);
  const rays = !config.isCosmicRayRejected ? [] : runStep('cosmicRays', () => markCosmicRays(out, {
    sigma: config.cosmicRaySigma, growthFraction: config.cosmicRayGrowthFraction, contrast: config.cosmicRayContrast,
    rounds: config.cosmicRayRounds,
  }, indices, made.sharp));
  const interpolatedCount = !config.isInterpolated ? 0 : runStep('interpolate', () =>
    interpolateDefects(out, config.interpolationRunMax, defects)
    + interpolateDefects(out, config.interpolationRunMax, rays));
  return {
    image: asProduct('postIsrImage', out),
    report: {
      amps, degraded: plan.degraded, figures: {
        ...marks, cosmicRayPixelCount: rays.length, interpolatedCount, defectCount: made.counts.defectCount,
        saturatedCount: total(amps, 'saturatedCount'), suspectCount: total(amps, 'suspectCount'),
        degradedCount: plan.degraded.length,
        noDataCount: missing.reduce((sum, i) => sum + ((out.mask[i] & maskBits('NO_DATA')) && 1), 0),
        skyElectrons: median(sky.level), skySigmaElectrons: median(sky.sigma),
        fringeSkyElectrons: made.fringeSkyElectrons, ampStepElectrons: made.ampStepElectrons, ...chargeFigures(plan),
      },
    },
  };
}

/** What was undone of charge that went astray. */
function chargeFigures(
  { amps, repulsion }: StepPlan,
): Pick<IsrFigures, 'serialCti' | 'parallelCti' | 'repulsionX' | 'repulsionY'> {
  const mean = (name: 'serialCti' | 'parallelCti') => amps.reduce((sum, amp) => sum + amp[name], 0) / amps.length;
  return {
    serialCti: mean('serialCti'), parallelCti: mean('parallelCti'), repulsionX: repulsion?.x ?? 0,
    repulsionY: repulsion?.y ?? 0,
  };
}

type Marks = Readonly<{
  bleedColumnCount: number; crosstalkPixelCount: number;
  /** Pixels that calibrations mark (BAD, NO_DATA), in order, and those without data among them. */
  defects: Int32Array; missing: Int32Array;
}>;
type MadeImage = Readonly<{
  counts: AssemblyCounts; sky: SampledSky; marks: Marks; fringeSkyElectrons: number; ampStepElectrons: number;
  /** Pixels that may begin a cosmic ray; null when they are too many. */
  sharp: Int32Array | null;
}>;

/**
 * Image, variance and mask but for cosmic rays: in one go while the rows are at hand where nothing has to know the
 * whole image between electrons and variance, else step by step.
 */
function makeImage(
  frame: OpenFrame, out: MaskedImage, indices: Int32Array, exposure: IsrExposure,
): MadeImage {
  const { detector, plan, config } = frame, { runStep = (_, work) => work() } = exposure;
  const rows = !config.isAmpOffsetCorrected && isUniform(detector.amps) ? orderOf(frame) : null;
  if (rows !== null) {
    const sampled = sampledRows(frame, rows);
    runStep('sampledRows', () => { assembleSome(frame, rows, sampled, out); });
    const scale = plan.fringe === null ? 0 : runStep('fringe', () =>
      removeFringe(frame, out, sampled, Array.from(sampled, (y): Run => [y, y + 1])));
    const sky = runStep('sky', () => requireSky(frame, out, sampled));
    const { counts, sharp, marked } = runStep('assemble', () => fillPlanes(frame, rows, sky, scale, out, indices));
    requireUnsaturated(counts, detector, out.mask.length);
    const marks = runStep('masks', () =>
      markPixels(out, detector, plan, config, marked ?? markedPixels(out, indices)));
    const ampStepElectrons = runStep('ampSteps', () => levelAmps(out, detector, config));
    return { counts, sky, marks, fringeSkyElectrons: scale, ampStepElectrons, sharp };
  }
  const counts = runStep('assemble', () => assembleWhole(frame, out, out.variance));
  requireUnsaturated(counts, detector, out.mask.length);
  const marks = runStep('masks', () => markPixels(out, detector, plan, config, markedPixels(out, indices)));
  const every = Int32Array.from({ length: out.height }, (_, y) => y), sampled = sampledRows(frame, every);
  const fringeSkyElectrons = plan.fringe === null ? 0
    : runStep('fringe', () => removeFringe(frame, out, sampled, [[0, out.height]]));
  const ampStepElectrons = runStep('ampSteps', () => levelAmps(out, detector, config));
  const sky = runStep('sky', () => requireSky(frame, out, sampled));
  const sharp = runStep('variance', () => {
    const lists = listsOf(frame, out, indices), pass = prepareVariance(taskOf(frame, out, sky, lists));
    pass.run(0, out.height);
    return listed(lists.sharp, pass.found().sharp);
  });
  return { counts, sky, marks, fringeSkyElectrons, ampStepElectrons, sharp };
}

/** The readout row of each row of the detector; null where the steps cannot follow each other from row to row. */
function orderOf({ detector, plan }: OpenFrame): Int32Array | null {
  const rows = readoutRows(detector);
  return rows !== null && (plan.repulsion === null || isContinuous(rows)) ? rows : null;
}

/**
 * Brings those rows, and all others that are read with them, to electrons: charge that neighbours repelled stays where
 * it is, as it does not change how much there is.
 */
function assembleSome(frame: OpenFrame, rows: Int32Array, sampled: Int32Array, out: MaskedImage): void {
  const assembly = prepareAssembly({ ...frame, isFinished: true }, out, out.variance);
  for (const row of new Set(Array.from(sampled, (y) => rows[y]))) assembly.run(row, row + 1);
  requireUnsaturated(assembly.counts(), frame.detector, sampled.length * out.width);
}

/** Sky that the fringes of an image belong to, electrons, by some of its rows; then they are taken off all of `runs`. */
function removeFringe(
  { plan: { fringe }, config }: OpenFrame, out: MaskedImage, sampled: Int32Array, runs: Iterable<Run>,
): number {
  if (fringe === null) return 0;
  const { image, width } = out;
  const scale = fringeScale(out, fringe, placesOf(sampled, width, config.fringeSamples), HARMLESS);
  const subtract = prepareAddScaled(image, fringe, -scale);
  for (const [y0, y1] of runs) subtract(y0 * width, y1 * width);
  return scale;
}

/** Detector rows that tell the sky: those whose readout rows are so far apart. */
function sampledRows({ detector: { width, height }, config }: OpenFrame, rows: Int32Array): Int32Array {
  const step = sampleStep(meshOf(width, height, config.varianceMeshPx), config.skyRowsPerCell);
  const sampled: number[] = [];
  for (let y = 0; y < rows.length; y++) if (rows[y] % step === step >> 1) sampled.push(y);
  return Int32Array.from(sampled);
}

/** Electrons, and the variance, sharp and marked pixels of each row as soon as those beside it are there. */
function fillPlanes(
  frame: OpenFrame, rows: Int32Array, sky: SampledSky, fringeSky: number, out: MaskedImage, indices: Int32Array,
): { counts: AssemblyCounts; sharp: Int32Array | null; marked: MarkedPixels | null } {
  const lists = listsOf(frame, out, indices), task = taskOf(frame, out, sky, lists), { repulsion, fringe } = frame.plan;
  const varianceBytes = Math.ceil(varianceRoomBytes(task) / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
  const assembly = prepareAssembly(
    { ...frame, quietAdu: quietOf(frame, sky) }, out, out.variance,
    varianceBytes + (repulsion === null ? 0 : finishRoomBytes(out.width)),
  );
  const { room } = assembly, variance = prepareVariance(task, room);
  const finish = repulsion && prepareFinish(
    finishTask(frame, repulsion, false), { ...out, inverse: out.variance }, room === null ? null : room + varianceBytes,
  );
  const unfringe = fringe === null || fringeSky === 0 ? null : prepareAddScaled(out.image, fringe, -fringeSky);
  for (const { first, end, own, runs } of bandsOf(rows, BAND_ROWS, finish === null ? 1 : 3)) {
    assembly.run(first, end);
    if (finish !== null) {
      if (assembly.hasMissing()) finish.guard();
      for (const run of runs[0]) finish.restore(...run);
      for (const run of runs[1]) finish.finish(...run);
    }
    if (unfringe !== null) {
      for (const [y0, y1] of finish === null ? own : runs[1]) unfringe(y0 * out.width, y1 * out.width);
    }
    for (const run of runs[runs.length - 1]) variance.run(...run);
  }
  const found = variance.found(), pairs = listed(lists.marked, 2 * found.marked), counts = assembly.counts();
  return {
    counts: { ...counts, defectCount: counts.defectCount + (finish?.marked() ?? 0) },
    sharp: listed(lists.sharp, found.sharp), marked: pairs && sortMarked(pairs, out),
  };
}

/** By the noise of this sky, in ADU of the amp whose gain makes it least. */
function quietOf({ config, detector: { amps } }: OpenFrame, { sigma }: SampledSky): number {
  const gain = Math.max(...amps.map(({ gainElectronsPerAdu }) => gainElectronsPerAdu));
  return Math.max(config.crosstalkQuietAdu, (config.crosstalkQuietFraction * median(sigma)) / gain);
}

/** Each list has half of the work memory. */
function listsOf({ config }: OpenFrame, { mask }: MaskedImage, indices: Int32Array): VarianceLists {
  const half = indices.length >> 1;
  return {
    mask, sharpSigma: config.isCosmicRayRejected ? config.cosmicRaySigma : Infinity, blockingBits: RAYLESS,
    sharp: indices.subarray(0, half), markedBits: maskBits(...MARKS), marked: indices.subarray(half),
  };
}

/** A copy of what was found; null when it is not all. */
function listed(list: Int32Array, found: number): Int32Array | null {
  return found <= list.length ? list.slice(0, found) : null;
}

function taskOf(
  { plan, darkSeconds, detector, config }: OpenFrame, out: MaskedImage, sky: SampledSky, lists: VarianceLists,
) {
  const darkElectrons = plan.dark === null ? 0 : Math.max(0, usualOf(plan.dark) * darkSeconds);
  return varianceTask(
    out, plan.flat !== null, sky, detector.amps, config.varianceSourceSigma, darkElectrons, lists,
  );
}

/** Marks of pixels that tell the sky as well as others. */
const HARMLESS = maskBits('EDGE', 'CROSSTALK');
/** Marks of pixels that others follow from. */
const MARKS = ['SAT', 'SUSPECT', 'BAD', 'NO_DATA'] as const;

/** Saturation with what it spoils, edges, crosstalk that is not known well. */
function markPixels(
  out: MaskedImage, detector: Detector, plan: StepPlan, config: IsrConfig,
  { saturated, suspect, defects, missing }: MarkedPixels,
): Marks {
  const { mask, width, height } = out;
  const bleedColumnCount = markBleeds(out, detector.amps, saturated, config, config.suspectGrowthPx);
  const crosstalkPixelCount =
    markCrosstalk(out, detector.amps, plan.amps, saturated, config.crosstalkMaskElectrons);
  growMask(mask, width, height, maskBits('SUSPECT'), config.suspectGrowthPx, suspect);
  growMask(mask, width, height, maskBits('SAT'), config.saturationGrowthPx, saturated);
  markEdges(mask, width, height, config.edgePx);
  return { bleedColumnCount, crosstalkPixelCount, defects, missing };
}

/** Pixels by their marks, each list in order. */
type MarkedPixels = Readonly<{
  saturated: Int32Array; suspect: Int32Array; defects: Int32Array; missing: Int32Array;
}>;

/** From the mask. @param indices Work as large as it. */
function markedPixels({ mask, width, height }: MaskedImage, indices: Int32Array): MarkedPixels {
  const marked = pixelsWith(mask, maskBits(...MARKS), indices), pairs = new Int32Array(2 * marked.length);
  marked.forEach((i, k) => { pairs[2 * k] = i; pairs[2 * k + 1] = mask[i]; });
  return sortMarked(pairs, { width, height });
}

/** @param pairs Pixels with their bits, in order within a row; rows in any order. */
function sortMarked(pairs: Int32Array, { width, height }: Readonly<{ width: number; height: number }>): MarkedPixels {
  const kinds = [maskBits('SAT'), maskBits('SUSPECT'), maskBits('BAD', 'NO_DATA'), maskBits('NO_DATA')];
  const [saturated, suspect, defects, missing] = kinds.map((kind) => {
    // Where each row's begin; the row after next, so that they end as where the next begin.
    const starts = new Int32Array(height + 2);
    for (let k = 0; k < pairs.length; k += 2) {
      if ((pairs[k + 1] & kind) !== 0) starts[Math.floor(pairs[k] / width) + 2]++;
    }
    for (let y = 2; y < starts.length; y++) starts[y] += starts[y - 1];
    const sorted = new Int32Array(starts[height + 1]);
    for (let k = 0; k < pairs.length; k += 2) {
      if ((pairs[k + 1] & kind) !== 0) sorted[starts[Math.floor(pairs[k] / width) + 1]++] = pairs[k];
    }
    return sorted;
  });
  return { saturated, suspect, defects, missing };
}

/** Largest step between amps; levels them when that is asked for. */
function levelAmps(out: MaskedImage, { amps }: Detector, config: IsrConfig): number {
  const steps = measureAmpSteps(out, amps, config.ampStepPx, HARMLESS, config.isAmpOffsetCorrected ? 2 : 4);
  if (config.isAmpOffsetCorrected) subtractAmpOffsets(out, amps, solveAmpOffsets(amps.length, steps));
  return steps.reduce((most, { step }) => Math.max(most, Math.abs(step)), 0);
}

/** More than half of the pixels: what is left is no sky, and lists of the others would cost the visit's time. */
function requireUnsaturated({ amps }: AssemblyCounts, detector: Detector, pixels: number): void {
  const count = amps.reduce((sum, { saturatedCount }) => sum + saturatedCount, 0);
  if (count > pixels / 2) {
    throw frameError('FRAME_SATURATED', detector, `${count} of ${pixels} pixels are saturated`);
  }
}

function requireSky({ detector, config }: OpenFrame, out: MaskedImage, sampled: Int32Array): SampledSky {
  const mesh = meshOf(out.width, out.height, config.varianceMeshPx);
  const sky = measureSky(out, maskBits('BAD', 'NO_DATA', 'SAT'), mesh, sampled);
  if (sky === null) {
    const missing = maskBits('NO_DATA'), pixels = sampled.length * out.width;
    const noDataCount = sampled.reduce((sum, y) => sum
      + out.mask.subarray(y * out.width, (y + 1) * out.width).reduce((n, bits) => n + ((bits & missing) && 1), 0), 0);
    const isNaN = noDataCount > pixels / 2;
    throw frameError(isNaN ? 'FRAME_NAN' : 'FRAME_SATURATED', detector,
      isNaN ? `${noDataCount} of ${pixels} pixels are NaN` : 'hardly a pixel is neither bad nor saturated');
  }
  const level = median(sky.level);
  if (!(level >= config.lightMinElectrons)) {
    throw frameError('FRAME_WITHOUT_LIGHT', detector,
      `no light: the sky is ${level.toFixed(2)} electrons, ${config.lightMinElectrons} required`);
  }
  return sky;
}

/** Median of every 9973rd value: a prime, so that no column is preferred. */
function usualOf(plane: ReadPlane): number {
  const values: number[] = [], { length } = pixelsOf(plane);
  for (let i = 0; i < length; i += 9973) if (Number.isFinite(valueAt(plane, i))) values.push(valueAt(plane, i));
  return values.length === 0 ? 0 : median(values);
}

function total(amps: readonly AmpReport[], name: 'saturatedCount' | 'suspectCount'): number {
  return amps.reduce((sum, amp) => sum + amp[name], 0);
}
