import type { Amp, Detector } from '../../../schemas/camera.ts';
import {
  removeSignature, type SignatureAmp, type SignatureLimits, type SignatureTask,
} from '../../kernels/signature.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import type { RawAmp } from '../../image/rawExposure.ts';
import type { StepPlan } from './calibrations.ts';
import type { IsrConfig } from './config.ts';

/** One amp's levels, as the overscan has them. */
export type AmpLevels = Readonly<{ levels: Float64Array; columnLevels: Float32Array | null }>;

export type AmpCounts = Readonly<{ saturatedCount: number; suspectCount: number }>;

/**
 * Puts all amps' imaging pixels at their place on the detector, in electrons, their signature removed (order and
 * arithmetic: `removeSignature`); marks saturated (SAT), nearly saturated (SUSPECT) and defective (BAD, NO_DATA) ones.
 *
 * @param raw    The detector's amps, in its order. Read only.
 * @param isFinished False leaves dark and flat to be applied once repelled charge is back.
 * @param out    The detector's planes: image and mask are overwritten.
 * @returns Counts of each amp, and of pixels that calibrations mark.
 */
export function assembleDetector(
  raw: readonly RawAmp[], detector: Detector, levels: readonly AmpLevels[], plan: StepPlan, config: IsrConfig,
  darkSeconds: number, isFinished: boolean, out: MaskedImage,
): { amps: readonly AmpCounts[]; defectCount: number; hasMissing: boolean } {
  const amps = detector.amps.map((amp, k) => signatureAmp(raw[k], amp, levels[k], plan, k, config));
  const common = {
    bias: plan.bias, dark: plan.dark, flat: plan.flat, darkSeconds, isFinished, limits: defectLimits(config),
    saturatedBit: maskBits('SAT'), suspectBit: maskBits('SUSPECT'), badBit: maskBits('BAD'),
    missingBits: maskBits('BAD', 'NO_DATA'),
  };
  const tasks = isUniform(detector.amps) ? [taskOf(detector.amps[0], amps, common)]
    : detector.amps.map((amp, k) => taskOf(amp, [withoutOthers(amps[k], detector)], common));
  const counts = tasks.map((task) => removeSignature(task, out.image, out.mask, out.width));
  return {
    amps: counts.flatMap((count) => count.amps), defectCount: counts.reduce((sum, { marked }) => sum + marked, 0),
    hasMissing: counts.some((count) => count.hasMissing),
  };
}

export function defectLimits(config: IsrConfig): SignatureLimits {
  return {
    biasMax: config.biasDefectAdu, darkMax: config.darkDefectElectronsPerSecond, responseMin: config.flatResponseMin,
    responseMax: config.flatResponseMax,
  };
}

function signatureAmp(
  { pixels }: RawAmp, amp: Amp, { levels, columnLevels }: AmpLevels, plan: StepPlan, index: number, config: IsrConfig,
): SignatureAmp {
  const { crosstalk, polynomial, table, serialCti, parallelCti } = plan.amps[index];
  const saturationAdu = config.isSaturationMasked ? amp.saturationAdu : Infinity;
  return {
    pixels, x0: amp.detectorBox.x0, y0: amp.detectorBox.y0, flipX: amp.flipX, flipY: amp.flipY,
    gain: amp.gainElectronsPerAdu, levels: Float32Array.from(levels), columnLevels,
    polynomial: polynomial ?? [0, 0], table,
    crosstalk: (crosstalk ?? []).flatMap((part, other) => (part === 0 ? [] : [{ index: other, part }])),
    serialCti, parallelCti, suspectAdu: config.suspectFraction * saturationAdu, saturationAdu,
  };
}

type CommonTask = Omit<SignatureTask, 'amps' | 'rawWidth' | 'rawX0' | 'rawY0' | 'columns' | 'rows'>;

function taskOf({ rawWidth, rawData }: Amp, amps: readonly SignatureAmp[], common: CommonTask): SignatureTask {
  return {
    ...common, amps, rawWidth, rawX0: rawData.x0, rawY0: rawData.y0, columns: rawData.x1 - rawData.x0,
    rows: rawData.y1 - rawData.y0,
  };
}

/** Whether all readouts have one shape, so that equal places are read at the same time. */
function isUniform(amps: readonly Amp[]): boolean {
  const shape = ({ rawWidth, rawHeight, rawData: { x0, y0, x1, y1 } }: Amp) =>
    [rawWidth, rawHeight, x0, y0, x1, y1].join();
  return amps.every((amp) => shape(amp) === shape(amps[0]));
}

/** An amp that is read by itself. @throws Error for one that has crosstalk: no time of the others' pixels is known. */
function withoutOthers(amp: SignatureAmp, { name }: Detector): SignatureAmp {
  if (amp.crosstalk.length > 0) throw new Error(`amps of ${name} have crosstalk and readouts of different shapes`);
  return amp;
}
