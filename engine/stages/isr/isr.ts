/** Instrument signature removal: raw counts of one detector to electrons with variance and mask. */
import type { Amp, Detector } from '../../../schemas/camera.ts';
import { StageError } from '../../errors.ts';
import { measureBackground, type Background } from '../../image/background.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import { asProduct, type MaskedImage, type PostIsrImage } from '../../image/maskedImage.ts';
import { median } from '../../image/median.ts';
import type { RawAmp } from '../../image/rawExposure.ts';
import { finishSignature } from '../../kernels/finish.ts';
import { measureAmpSteps, solveAmpOffsets, subtractAmpOffsets } from './ampOffset.ts';
import { assembleDetector, defectLimits, type AmpCounts, type AmpLevels } from './assemble.ts';
import { planSteps, type DegradedStep, type IsrCalibrations, type StepPlan } from './calibrations.ts';
import type { IsrConfig } from './config.ts';
import { markCosmicRays } from './cosmicRays.ts';
import { subtractFringe } from './fringe.ts';
import { interpolateDefects } from './interpolate.ts';
import { growMask, markBleeds, markCrosstalk, markEdges, pixelsWith } from './masks.ts';
import { measureColumns, measureOverscan, type OverscanReport } from './overscan.ts';
import { fillVariance } from './variance.ts';

export type { AmpElectronics, Electronics, IsrCalibrations } from './calibrations.ts';

export type AmpReport = Readonly<{
  name: string; overscanLevelAdu: number; overscanNoiseAdu: number; rowStructureFraction: number;
  readNoiseElectrons: number; saturatedCount: number; suspectCount: number; isConstant: boolean;
}>;

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
  /** Largest step between neighbouring amps, before their offsets were taken off where that is asked for. */
  ampStepElectrons: number;
}>;

/** Work memory, each as large as the detector. Contents are destroyed. */
export type IsrScratch = Readonly<{ indices: Int32Array }>;

/** Runs a step; the shell around the stage may time it. */
export type RunStep = <T>(step: string, work: () => T) => T;

/** Of the exposure itself. `darkSeconds` is the time in which the dark collected, readout excluded. */
export type IsrExposure = Readonly<{ darkSeconds: number | null; runStep?: RunStep }>;

/**
 * @param raw     The detector's amps, in any order. Read only.
 * @param out     Planes of the detector's size, in shared memory or not; overwritten. They become the result.
 * @throws StageError (reject): AMP_MISSING, RAW_SIZE_WRONG, CALIBRATION_MISSING, CALIBRATION_SIZE_WRONG,
 *         CALIBRATION_MISMATCHED, DARK_TIME_UNKNOWN, FRAME_CONSTANT (every amp reads one value), FRAME_SATURATED,
 *         FRAME_WITHOUT_LIGHT, FRAME_NAN.
 */
export function removeInstrumentSignature(
  raw: readonly RawAmp[], detector: Detector, calibrations: IsrCalibrations, config: IsrConfig, out: MaskedImage,
  { indices }: IsrScratch, { darkSeconds, runStep = (_, work) => work() }: IsrExposure = { darkSeconds: null },
): { image: PostIsrImage; report: IsrReport } {
  const { plan, amps, defectCount } =
    assembleFrame(raw, detector, calibrations, config, out, { darkSeconds, runStep });
  if (amps.every((amp) => amp.isConstant)) {
    throw frameError('FRAME_CONSTANT', detector, 'every amp reads one constant value');
  }
  requireUnsaturated(amps, detector, out);
  const marks = runStep('masks', () => markPixels(out, detector, plan, config, indices));
  const allowed = maskBits('EDGE', 'CROSSTALK');
  const fringeSkyElectrons = plan.fringe === null ? 0
    : runStep('fringe', () => subtractFringe(out, plan.fringe ?? out.image, config.fringeSamplePx, allowed));
  const ampStepElectrons = runStep('ampSteps', () => levelAmps(out, detector, config, allowed));
  const sky = runStep('sky', () => requireSky(out, detector, config, indices));
  runStep('variance', () => {
    const darkElectrons = plan.dark === null ? 0 : Math.max(0, usualOf(plan.dark) * (darkSeconds ?? 0));
    fillVariance(out, sky, plan.flat, detector.amps, config.varianceSourceSigma, darkElectrons);
  });
  const cosmicRayPixelCount = !config.isCosmicRayRejected ? 0 : runStep('cosmicRays', () => markCosmicRays(out, {
    sigma: config.cosmicRaySigma, growthFraction: config.cosmicRayGrowthFraction, contrast: config.cosmicRayContrast,
    rounds: config.cosmicRayRounds,
  }, indices));
  const interpolatedCount = !config.isInterpolated ? 0
    : runStep('interpolate', () => interpolateDefects(out, config.interpolationRunMax, indices));
  return {
    image: asProduct('postIsrImage', out),
    report: {
      amps, degraded: plan.degraded, figures: {
        ...marks, cosmicRayPixelCount, interpolatedCount, defectCount, saturatedCount: total(amps, 'saturatedCount'),
        suspectCount: total(amps, 'suspectCount'), degradedCount: plan.degraded.length,
        noDataCount: pixelsWith(out.mask, maskBits('NO_DATA'), indices).length,
        skyElectrons: median(sky.level), skySigmaElectrons: median(sky.sigma), fringeSkyElectrons, ampStepElectrons,
      },
    },
  };
}

export type AssembledFrame = Readonly<{ plan: StepPlan; amps: readonly AmpReport[]; defectCount: number }>;

/**
 * The part of the signature that needs no sky: raw counts to electrons with marks of saturation and defects, for frames
 * of any light or none. Variance is left as it is.
 *
 * @throws StageError as `removeInstrumentSignature`, but for those of frames.
 */
export function assembleFrame(
  raw: readonly RawAmp[], detector: Detector, calibrations: IsrCalibrations, config: IsrConfig, out: MaskedImage,
  { darkSeconds, runStep = (_, work) => work() }: IsrExposure,
): AssembledFrame {
  const { width, height } = out;
  if (width !== detector.width || height !== detector.height) throw new Error('planes of another size');
  const rawAmps = detector.amps.map((amp) => requireAmp(raw, amp, detector));
  const plan = planSteps(detector, calibrations, config, darkSeconds);
  const overscans = runStep('overscan', () => detector.amps.map((amp, k) => levelsOf(rawAmps[k], amp, config)));
  const { amps, defectCount } = runStep('assemble', () => {
    const { repulsion } = plan, seconds = darkSeconds ?? 0;
    const counts = assembleDetector(rawAmps, detector, overscans, plan, config, seconds, repulsion === null, out);
    const marked = repulsion === null ? 0 : finishSignature({
      flowX: repulsion.x, flowY: repulsion.y, dark: plan.dark, flat: plan.flat, darkSeconds: seconds,
      limits: defectLimits(config), badBit: maskBits('BAD'), missingBits: maskBits('BAD', 'NO_DATA'),
      hasMissing: counts.hasMissing,
    }, out.image, out.mask, width, height);
    return { amps: ampReports(detector, rawAmps, counts.amps, overscans), defectCount: counts.defectCount + marked };
  });
  amps.forEach((amp, k) => { if (amp.isConstant) markDead(out, detector.amps[k]); });
  return { plan, amps, defectCount };
}

function requireAmp(raw: readonly RawAmp[], amp: Amp, detector: Detector): RawAmp {
  const found = raw.find((candidate) => candidate.name === amp.name);
  if (!found) throw frameError('AMP_MISSING', detector, `amp ${amp.name} is missing`);
  if (found.width !== amp.rawWidth || found.height !== amp.rawHeight
    || found.pixels.length !== found.width * found.height) {
    throw frameError('RAW_SIZE_WRONG', detector,
      `amp ${amp.name} is ${found.width} × ${found.height} pixels, expected ${amp.rawWidth} × ${amp.rawHeight}`);
  }
  return found;
}

function levelsOf(raw: RawAmp, amp: Amp, config: IsrConfig): AmpLevels & OverscanReport {
  const levels = new Float64Array(amp.rawData.y1 - amp.rawData.y0);
  if (!config.isOverscanSubtracted) {
    return { levels, columnLevels: null, levelAdu: 0, noiseAdu: 0, rowStructureFraction: 0 };
  }
  const report = measureOverscan(raw, amp, config, levels);
  const columnLevels = config.isParallelOverscanSubtracted ? measureColumns(raw, amp, config, report.noiseAdu) : null;
  return { ...report, levels, columnLevels };
}

function ampReports(
  { amps }: Detector, raw: readonly RawAmp[], counts: readonly AmpCounts[], overscans: readonly OverscanReport[],
): AmpReport[] {
  return amps.map((amp, k) => {
    const { name, gainElectronsPerAdu } = amp, { levelAdu, noiseAdu, rowStructureFraction } = overscans[k];
    return {
      name, overscanLevelAdu: levelAdu, overscanNoiseAdu: noiseAdu, rowStructureFraction,
      readNoiseElectrons: noiseAdu * gainElectronsPerAdu, saturatedCount: counts[k].saturatedCount,
      suspectCount: counts[k].suspectCount, isConstant: isConstant(raw[k], amp),
    };
  });
}

/** Whether all imaging pixels have one value; a live amp's second has another mostly. */
function isConstant({ pixels, width }: RawAmp, { rawData: { x0, y0, x1, y1 } }: Amp): boolean {
  const first = pixels[y0 * width + x0];
  for (let y = y0; y < y1; y++) {
    for (let i = y * width + x0; i < y * width + x1; i++) if (pixels[i] !== first) return false;
  }
  return true;
}

/** A dead amp costs its own pixels, not the detector. */
function markDead(out: MaskedImage, amp: Amp): void {
  const { x0, y0, x1, y1 } = amp.detectorBox, bits = maskBits('BAD', 'NO_DATA');
  for (let y = y0; y < y1; y++) {
    for (let i = y * out.width + x0; i < y * out.width + x1; i++) { out.mask[i] |= bits; out.image[i] = NaN; }
  }
}

/** Saturation with what it spoils, edges, crosstalk that is not known well. */
function markPixels(
  out: MaskedImage, detector: Detector, plan: StepPlan, config: IsrConfig, indices: Int32Array,
): { bleedColumnCount: number; crosstalkPixelCount: number } {
  const { mask, width, height } = out;
  const saturated = pixelsWith(mask, maskBits('SAT'), indices).slice();
  const bleedColumnCount = markBleeds(out, detector.amps, saturated, config);
  const crosstalkPixelCount =
    markCrosstalk(out, detector.amps, plan.amps, saturated, config.crosstalkMaskElectrons);
  growMask(mask, width, height, maskBits('SUSPECT'), config.suspectGrowthPx, indices);
  growMask(mask, width, height, maskBits('SAT'), config.saturationGrowthPx, indices);
  markEdges(mask, width, height, config.edgePx);
  return { bleedColumnCount, crosstalkPixelCount };
}

/** Largest step between amps; levels them when that is asked for. */
function levelAmps(out: MaskedImage, { amps }: Detector, config: IsrConfig, allowed: number): number {
  const steps = measureAmpSteps(out, amps, config.ampStepPx, allowed);
  if (config.isAmpOffsetCorrected) subtractAmpOffsets(out, amps, solveAmpOffsets(amps.length, steps));
  return steps.reduce((most, { step }) => Math.max(most, Math.abs(step)), 0);
}

/** More than half of the pixels: what is left is no sky, and lists of the others would cost the visit's time. */
function requireUnsaturated(amps: readonly AmpReport[], detector: Detector, out: MaskedImage): void {
  const count = total(amps, 'saturatedCount');
  if (count > out.mask.length / 2) {
    throw frameError('FRAME_SATURATED', detector, `${count} of ${out.mask.length} pixels are saturated`);
  }
}

function requireSky(out: MaskedImage, detector: Detector, config: IsrConfig, indices: Int32Array): Background {
  const sky = measureBackground(out.image, out.mask, out.width, out.height, maskBits('BAD', 'NO_DATA', 'SAT'), {
    cellPx: config.varianceMeshPx, clipSigma: 3, usableFractionMin: 0.2,
  });
  if (sky === null) {
    const noDataCount = pixelsWith(out.mask, maskBits('NO_DATA'), indices).length;
    const isNaN = noDataCount > out.mask.length / 2;
    throw frameError(isNaN ? 'FRAME_NAN' : 'FRAME_SATURATED', detector,
      isNaN ? `${noDataCount} of ${out.mask.length} pixels are NaN` : 'hardly a pixel is neither bad nor saturated');
  }
  const level = median(sky.level);
  if (!(level >= config.lightMinElectrons)) {
    throw frameError('FRAME_WITHOUT_LIGHT', detector,
      `no light: the sky is ${level.toFixed(2)} electrons, ${config.lightMinElectrons} required`);
  }
  return sky;
}

/** Median of every 997th value: a prime, so that no column is preferred. */
function usualOf(plane: Float32Array): number {
  const values: number[] = [];
  for (let i = 0; i < plane.length; i += 997) if (Number.isFinite(plane[i])) values.push(plane[i]);
  return values.length === 0 ? 0 : median(values);
}

function frameError(code: string, detector: Detector, reason: string): StageError {
  return new StageError({
    code, message: `detector ${detector.name}: ${reason}`, stage: 'isr', disposition: 'reject',
    details: { detector: detector.id },
  });
}

function total(amps: readonly AmpReport[], name: 'saturatedCount' | 'suspectCount'): number {
  return amps.reduce((sum, amp) => sum + amp[name], 0);
}
