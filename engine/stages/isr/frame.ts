/** A detector's amps on their way to one image: what is known before, and the steps that need no sky. */
import type { Amp, Detector } from '../../../schemas/camera.ts';
import { StageError } from '../../errors.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import type { RawAmp } from '../../image/rawExposure.ts';
import { finishSignature, type FinishTask } from '../../kernels/finish.ts';
import {
  defectLimits, prepareAssembly, type AmpCounts, type AmpLevels, type AssemblyCounts, type AssemblyInputs,
} from './assemble.ts';
import { planSteps, type IsrCalibrations } from './calibrations.ts';
import type { IsrConfig } from './config.ts';
import { measureColumns, measureOverscan, type OverscanReport } from './overscan.ts';

export type AmpReport = Readonly<{
  name: string; overscanLevelAdu: number; overscanNoiseAdu: number; rowStructureFraction: number;
  readNoiseElectrons: number; saturatedCount: number; suspectCount: number; isConstant: boolean;
}>;

/** Runs a step; the shell around the stage may time it. */
export type RunStep = <T>(step: string, work: () => T) => T;

/** Of the exposure itself. */
export type IsrExposure = Readonly<{
  /** Time in which the dark collected, readout excluded; null when it is not known. */
  darkSeconds: number | null;
  runStep?: RunStep;
}>;

export type OpenFrame = AssemblyInputs & Readonly<{ levels: readonly (AmpLevels & OverscanReport)[] }>;

/**
 * Checks what a frame is made of and measures its overscans.
 *
 * @throws StageError (reject): AMP_MISSING, RAW_SIZE_WRONG, CALIBRATION_MISSING, CALIBRATION_SIZE_WRONG,
 *         CALIBRATION_MISMATCHED, DARK_TIME_UNKNOWN.
 */
export function openFrame(
  raw: readonly RawAmp[], detector: Detector, calibrations: IsrCalibrations, config: IsrConfig,
  { darkSeconds, runStep = (_, work) => work() }: IsrExposure,
): OpenFrame {
  const rawAmps = detector.amps.map((amp) => requireAmp(raw, amp, detector));
  const plan = planSteps(detector, calibrations, config, darkSeconds);
  const levels = runStep('overscan', () => detector.amps.map((amp, k) => levelsOf(rawAmps[k], amp, config)));
  return {
    raw: rawAmps, detector, levels, plan, config, darkSeconds: darkSeconds ?? 0,
    isDead: detector.amps.map((amp, k) => isConstant(rawAmps[k], amp)), isFinished: plan.repulsion === null,
    quietAdu: config.crosstalkQuietAdu,
  };
}

/** All of a frame at once. @param inverse As of `prepareSignature`. */
export function assembleWhole(frame: OpenFrame, out: MaskedImage, inverse: Float32Array | null): AssemblyCounts {
  const { repulsion } = frame.plan, assembly = prepareAssembly(frame, out, inverse);
  assembly.run(0, assembly.rows);
  const counts = assembly.counts();
  if (repulsion === null) return counts;
  const marked = finishSignature(finishTask(frame, repulsion, counts.hasMissing), { ...out, inverse });
  return { ...counts, defectCount: counts.defectCount + marked };
}

/** What is left to do once charge that neighbours repelled has to be put back first. */
export function finishTask(
  { plan: { dark, flat }, darkSeconds, config }: OpenFrame, repulsion: Readonly<{ x: number; y: number }>,
  hasMissing: boolean,
): FinishTask {
  return {
    flowX: repulsion.x, flowY: repulsion.y, dark, flat, darkSeconds, limits: defectLimits(config),
    badBit: maskBits('BAD'), missingBits: maskBits('BAD', 'NO_DATA'), hasMissing,
  };
}

export type AssembledFrame = Readonly<{ amps: readonly AmpReport[]; defectCount: number }>;

/**
 * The part of the signature that needs no sky: raw counts to electrons with marks of saturation and defects, for frames
 * of any light or none. Variance is left as it is.
 *
 * @throws StageError as `openFrame`.
 */
export function assembleFrame(
  raw: readonly RawAmp[], detector: Detector, calibrations: IsrCalibrations, config: IsrConfig, out: MaskedImage,
  exposure: IsrExposure,
): AssembledFrame {
  const frame = openFrame(raw, detector, calibrations, config, exposure), counts = assembleWhole(frame, out, null);
  return { amps: ampReports(frame, counts.amps), defectCount: counts.defectCount };
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

export function ampReports(
  { detector: { amps }, levels, isDead }: OpenFrame, counts: readonly AmpCounts[],
): AmpReport[] {
  return amps.map((amp, k) => {
    const { name, gainElectronsPerAdu } = amp, { levelAdu, noiseAdu, rowStructureFraction } = levels[k];
    return {
      name, overscanLevelAdu: levelAdu, overscanNoiseAdu: noiseAdu, rowStructureFraction,
      readNoiseElectrons: noiseAdu * gainElectronsPerAdu, saturatedCount: counts[k].saturatedCount,
      suspectCount: counts[k].suspectCount, isConstant: isDead[k],
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

export function frameError(code: string, detector: Detector, reason: string): StageError {
  return new StageError({
    code, message: `detector ${detector.name}: ${reason}`, stage: 'isr', disposition: 'reject',
    details: { detector: detector.id },
  });
}
