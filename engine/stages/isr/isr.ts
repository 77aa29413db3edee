/** Instrument signature removal: raw counts of one detector to electrons with variance and mask. */
import type { Amp, Detector } from '../../../schemas/camera.ts';
import { StageError } from '../../errors.ts';
import { measureBackground, type Background } from '../../image/background.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import { asProduct, type MaskedImage, type PostIsrImage } from '../../image/maskedImage.ts';
import { median } from '../../image/median.ts';
import type { RawAmp } from '../../image/rawExposure.ts';
import { assembleAmp, growMask, markEdges } from './assemble.ts';
import type { IsrConfig } from './config.ts';
import { markCosmicRays } from './cosmicRays.ts';
import { divideByFlat, markBiasDefects } from './flat.ts';
import { interpolateDefects } from './interpolate.ts';
import { measureOverscan } from './overscan.ts';
import { fillVariance } from './variance.ts';

/**
 * Calibrations of the detector, each [height × width]; null where a step is switched off. Bias in ADU, flat relative.
 */
export type IsrCalibrations = Readonly<{ bias: Float32Array | null; flat: Float32Array | null }>;

export type AmpReport = Readonly<{
  name: string; overscanLevelAdu: number; overscanNoiseAdu: number; rowStructureFraction: number;
  readNoiseElectrons: number; saturatedCount: number; suspectCount: number; isConstant: boolean;
}>;

/** What each step did; a step that was switched off counts 0. */
export type IsrReport = Readonly<{
  amps: readonly AmpReport[];
  saturatedCount: number; suspectCount: number; defectCount: number; cosmicRayPixelCount: number;
  interpolatedCount: number; noDataCount: number;
  skyElectrons: number; skySigmaElectrons: number;
}>;

/** Work memory, each as large as the detector. Contents are destroyed. */
export type IsrScratch = Readonly<{ plane: Float32Array; indices: Int32Array }>;

/**
 * @param raw     The detector's amps, in any order. Read only.
 * @param out     Planes of the detector's size, in shared memory or not; overwritten. They become the result.
 * @throws StageError (reject): AMP_MISSING, RAW_SIZE_WRONG, CALIBRATION_MISSING, CALIBRATION_SIZE_WRONG,
 *         FRAME_CONSTANT (every amp reads one value), FRAME_WITHOUT_LIGHT, FRAME_NAN.
 */
export function removeInstrumentSignature(
  raw: readonly RawAmp[], detector: Detector, calibrations: IsrCalibrations, config: IsrConfig, out: MaskedImage,
  scratch: IsrScratch,
): { image: PostIsrImage; report: IsrReport } {
  if (out.width !== detector.width || out.height !== detector.height) throw new Error('planes of another size');
  const rawAmps = detector.amps.map((amp) => requireAmp(raw, amp, detector));
  const bias = requireCalibration('bias', config.isBiasSubtracted, calibrations.bias, out);
  const flat = requireCalibration('flat', config.isFlatDivided, calibrations.flat, out);

  const amps = detector.amps.map((amp, k) => processAmp(rawAmps[k], amp, bias, config, out));
  if (amps.every((amp) => amp.isConstant)) {
    throw frameError('FRAME_CONSTANT', detector, 'every amp reads one constant value');
  }
  const bytes = new Uint8Array(scratch.plane.buffer, scratch.plane.byteOffset, out.image.length);
  if (config.isSaturationMasked) {
    growMask(out.mask, out.width, out.height, maskBits('SAT'), config.saturationGrowthPx, bytes);
  }
  markEdges(out.mask, out.width, out.height, config.edgePx);
  const biasDefects = bias === null ? 0 : markBiasDefects(bias, out.mask, config.biasDefectAdu);
  const flatDefects = flat === null ? 0 : divideByFlat(flat, out, config.flatResponseMin, config.flatResponseMax);

  const sky = requireSky(out, detector, config);
  fillVariance(out, sky, flat, detector.amps, config.varianceSourceSigma, scratch.plane);
  const cosmicRayPixelCount = config.isCosmicRayRejected ? markCosmicRays(out, {
    sigma: config.cosmicRaySigma, growthFraction: config.cosmicRayGrowthFraction,
    contrast: config.cosmicRayContrast, rounds: config.cosmicRayRounds,
  }, scratch.plane, scratch.indices) : 0;
  const interpolatedCount = config.isInterpolated ? interpolateDefects(out, config.interpolationRunMax) : 0;
  return {
    image: asProduct('postIsrImage', out),
    report: {
      amps, cosmicRayPixelCount, interpolatedCount, defectCount: biasDefects + flatDefects,
      saturatedCount: total(amps, 'saturatedCount'), suspectCount: total(amps, 'suspectCount'),
      noDataCount: countBits(out.mask, maskBits('NO_DATA')),
      skyElectrons: median(sky.level), skySigmaElectrons: median(sky.sigma),
    },
  };
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

function requireCalibration(
  kind: 'bias' | 'flat', isWanted: boolean, plane: Float32Array | null, out: MaskedImage,
): Float32Array | null {
  if (!isWanted) return null;
  if (plane === null) {
    // Another try may find it: productions add calibrations while the night runs.
    throw new StageError({
      code: 'CALIBRATION_MISSING', message: `no ${kind} for this detector`, stage: 'isr', disposition: 'retry',
    });
  }
  if (plane.length !== out.width * out.height) {
    throw new StageError({
      code: 'CALIBRATION_SIZE_WRONG', stage: 'isr', disposition: 'reject',
      message: `the ${kind} has ${plane.length} pixels, the detector ${out.width} × ${out.height}`,
      details: { pixels: plane.length, width: out.width, height: out.height },
    });
  }
  return plane;
}

function processAmp(
  raw: RawAmp, amp: Amp, bias: Float32Array | null, config: IsrConfig, out: MaskedImage,
): AmpReport {
  const levels = new Float64Array(amp.rawData.y1 - amp.rawData.y0);
  const row = new Float32Array(amp.rawSerialOverscan.x1 - amp.rawSerialOverscan.x0);
  const overscan = config.isOverscanSubtracted ? measureOverscan(raw, amp, config.overscanSmoothingRows, levels, row)
    : { levelAdu: 0, noiseAdu: 0, rowStructureFraction: 0 };
  const saturationAdu = config.isSaturationMasked ? amp.saturationAdu : Infinity;
  const counts = assembleAmp(raw, amp, levels, bias, config.suspectFraction * saturationAdu, saturationAdu, out);
  const isConstant = counts.lowestAdu === counts.highestAdu;
  if (isConstant) markBox(out, amp, maskBits('BAD', 'NO_DATA'));
  return {
    name: amp.name, overscanLevelAdu: overscan.levelAdu, overscanNoiseAdu: overscan.noiseAdu,
    rowStructureFraction: overscan.rowStructureFraction,
    readNoiseElectrons: overscan.noiseAdu * amp.gainElectronsPerAdu,
    saturatedCount: counts.saturatedCount, suspectCount: counts.suspectCount, isConstant,
  };
}

/** A dead amp costs its own pixels, not the detector. */
function markBox(out: MaskedImage, amp: Amp, bits: number): void {
  const { x0, y0, x1, y1 } = amp.detectorBox;
  for (let y = y0; y < y1; y++) {
    for (let i = y * out.width + x0; i < y * out.width + x1; i++) { out.mask[i] |= bits; out.image[i] = NaN; }
  }
}

function requireSky(out: MaskedImage, detector: Detector, config: IsrConfig): Background {
  const sky = measureBackground(out.image, out.mask, out.width, out.height, maskBits('BAD', 'NO_DATA', 'SAT'), {
    cellPx: config.varianceMeshPx, clipSigma: 3, usableFractionMin: 0.2,
  });
  if (sky === null) {
    const noDataCount = countBits(out.mask, maskBits('NO_DATA'));
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

function frameError(code: string, detector: Detector, reason: string): StageError {
  return new StageError({
    code, message: `detector ${detector.name}: ${reason}`, stage: 'isr', disposition: 'reject',
    details: { detector: detector.id },
  });
}

function total(amps: readonly AmpReport[], name: 'saturatedCount' | 'suspectCount'): number {
  return amps.reduce((sum, amp) => sum + amp[name], 0);
}

function countBits(mask: Uint16Array, bits: number): number {
  let count = 0;
  for (let i = 0; i < mask.length; i++) if ((mask[i] & bits) !== 0) count++;
  return count;
}
