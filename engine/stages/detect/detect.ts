/** The detect stage: peaks of both signs in the score of a difference image. */
import type { Box } from '../../../schemas/camera.ts';
import { scalePlane } from '../../kernels/arithmetic.ts';
import { listRunRegions, type Run } from '../../kernels/label.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { DifferenceImage } from '../../image/maskedImage.ts';
import { psfFwhmPx, type PsfModel } from '../../image/psf.ts';
import type { DetectConfig } from './config.ts';
import { scoreImage, scoreScatter } from './score.ts';
import { maskSpikes, type Spike } from './spikes.ts';
import { maskStreaks, type Streak } from './streaks.ts';

/** A peak worth measuring. */
export type Detection = Readonly<{
  /** Pixel of the peak. */
  x: number; y: number;
  /** Score at the peak, absolute; standard deviations. */
  snr: number;
  isNegative: boolean;
  footprint: Box; footprintPixelCount: number;
  /** Whether its footprint holds other peaks. */
  isBlended: boolean;
  /** Index in the list of the nearest peak of the other sign, near enough to be the other lobe of a dipole. */
  otherLobe: number | null;
}>;

export type DropReason = 'edge' | 'saturated' | 'saturatedTemplate' | 'noData' | 'bad' | 'cosmicRay' | 'streak' | 'tooMany';

export type DetectionResult = Readonly<{
  /** Sorted by (y, x). */
  detections: readonly Detection[];
  /** All peaks: those in the list and those dropped. */
  detected: number;
  droppedByReason: Readonly<Partial<Record<DropReason, number>>>;
  /** Scatter of the score before scaling, and the factor that √variance was multiplied by. */
  scoreScatter: number; noiseScale: number;
  /** Streaks that were masked. */
  streaks: readonly Streak[];
  /** Diffraction spikes that were masked; what lies on one is not dropped but flagged as suspect. */
  spikes: readonly Spike[];
}>;

/**
 * Finds point-like changes of both signs.
 *
 * A peak is dropped, and counted by the reason, when its own pixel is masked so that nothing can be measured there; its
 * neighbours' masks become flags later. DETECTED, DETECTED_NEGATIVE, STREAK and SPIKE are set in the difference's mask.
 *
 * @param difference Image and variance read only; mask gets the four planes.
 * @param score      [height × width], overwritten: the score, positive and negative, scaled.
 */
export function detectSources(
  difference: DifferenceImage, psf: PsfModel, score: Float32Array, config: DetectConfig,
): DetectionResult {
  const { width, height, mask } = difference;
  scoreImage(difference, psf, score);
  const scatter = scoreScatter(score, mask);
  const noiseScale = config.isVarianceScaled && Number.isFinite(scatter)
    ? Math.min(Math.max(scatter, config.scaleMin), config.scaleMax) : 1;
  scalePlane(score, 1 / noiseScale);
  const fwhmPx = psfFwhmPx(psf, (width - 1) / 2, (height - 1) / 2);
  // First: a pair of spikes is a line too.
  const spikes = config.hasSpikes ? maskSpikes(difference, score, fwhmPx, config) : [];
  const streaks = config.hasStreaks ? maskStreaks(difference, score, fwhmPx, config) : [];
  const peaks: Peak[] = [];
  for (const sign of [1, -1] as const) {
    const bit = maskBits(sign > 0 ? 'DETECTED' : 'DETECTED_NEGATIVE');
    for (const { box, pixelCount, runs } of listRunRegions(score, width, height, sign, config.thresholdSigma)) {
      markRuns(mask, width, runs, bit);
      const found = peaksOf(score, runs, width, height, sign, fwhmPx, config);
      for (const peak of found) peaks.push({
        ...peak, footprint: box, footprintPixelCount: pixelCount, isBlended: found.length > 1, sign,
      });
    }
  }
  const { kept, droppedByReason } = selectPeaks(peaks, mask, width, config);
  return {
    detections: withLobes(kept, config.lobeSeparationFwhm * fwhmPx), detected: peaks.length, droppedByReason,
    scoreScatter: scatter, noiseScale, streaks, spikes,
  };
}

type Peak = Readonly<{
  x: number; y: number; snr: number; sign: 1 | -1; footprint: Box; footprintPixelCount: number; isBlended: boolean;
}>;

function markRuns(mask: Uint16Array, width: number, runs: readonly Run[], bit: number): void {
  for (const { y, x0, x1 } of runs) for (let j = y * width + x0; j < y * width + x1; j++) mask[j] |= bit;
}

/** Peaks of one footprint, the highest first: local maxima that stand clear of every higher one. */
function peaksOf(
  score: Float32Array, runs: readonly Run[], width: number, height: number, sign: number, fwhmPx: number,
  config: DetectConfig,
): { x: number; y: number; snr: number }[] {
  const maxima: { x: number; y: number; snr: number }[] = [];
  for (const { y, x0, x1 } of runs) {
    for (let x = x0; x < x1; x++) {
      if (isMaximum(score, width, height, x, y, sign)) maxima.push({ x, y, snr: sign * score[y * width + x] });
    }
  }
  maxima.sort((a, b) => b.snr - a.snr || a.y - b.y || a.x - b.x);
  const kept: { x: number; y: number; snr: number }[] = [];
  for (const peak of maxima) {
    const isOwn = kept.every((higher) => {
      const distance = Math.hypot(higher.x - peak.x, higher.y - peak.y);
      if (distance < config.peakSeparationFwhm * fwhmPx) return false;
      return peak.snr - lowestBetween(score, width, peak, higher, sign) >= config.saddleDepthSigma;
    });
    if (isOwn) kept.push(peak);
  }
  return kept;
}

/** Whether no neighbour is higher; of equal ones the last in row-major order counts. */
function isMaximum(score: Float32Array, width: number, height: number, x: number, y: number, sign: number): boolean {
  const value = sign * score[y * width + x];
  for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
    for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
      const other = sign * score[v * width + u], isLater = v > y || (v === y && u > x);
      if (other > value || (other === value && isLater)) return false;
    }
  }
  return true;
}

/** Lowest score on the straight line between two peaks. */
function lowestBetween(
  score: Float32Array, width: number, a: { x: number; y: number }, b: { x: number; y: number }, sign: number,
): number {
  const steps = Math.max(Math.abs(b.x - a.x), Math.abs(b.y - a.y));
  let lowest = Infinity;
  for (let i = 0; i <= steps; i++) {
    const x = Math.round(a.x + ((b.x - a.x) * i) / steps), y = Math.round(a.y + ((b.y - a.y) * i) / steps);
    lowest = Math.min(lowest, sign * score[y * width + x]);
  }
  return lowest;
}

/** In order of precedence: a pixel without data is not also at the edge. */
const DROPS: readonly (readonly [DropReason, number])[] = [
  ['noData', maskBits('NO_DATA')], ['saturated', maskBits('SAT')], ['saturatedTemplate', maskBits('SAT_TEMPLATE')],
  ['cosmicRay', maskBits('CR')], ['bad', maskBits('BAD')], ['edge', maskBits('EDGE')], ['streak', maskBits('STREAK')],
];

function selectPeaks(
  peaks: readonly Peak[], mask: Uint16Array, width: number, config: DetectConfig,
): { kept: Peak[]; droppedByReason: Partial<Record<DropReason, number>> } {
  const droppedByReason: Partial<Record<DropReason, number>> = {};
  const drop = (reason: DropReason, count: number): void => {
    if (count > 0) droppedByReason[reason] = (droppedByReason[reason] ?? 0) + count;
  };
  let kept: Peak[] = [];
  for (const peak of peaks) {
    const reason = DROPS.find(([, bits]) => (mask[peak.y * width + peak.x] & bits) !== 0);
    if (reason) drop(reason[0], 1);
    else kept.push(peak);
  }
  if (kept.length > config.detectionCountMax) {
    kept.sort((a, b) => b.snr - a.snr || a.y - b.y || a.x - b.x);
    drop('tooMany', kept.length - config.detectionCountMax);
    kept = kept.slice(0, config.detectionCountMax);
  }
  kept.sort((a, b) => a.y - b.y || a.x - b.x);
  return { kept, droppedByReason };
}

/** Names for each peak the nearest of the other sign within `reachPx`; peaks come sorted by y. */
function withLobes(peaks: readonly Peak[], reachPx: number): Detection[] {
  return peaks.map(({ sign, ...peak }, i) => {
    let otherLobe: number | null = null, nearest = reachPx;
    const look = (k: number): boolean => {
      if (Math.abs(peaks[k].y - peak.y) > reachPx) return false;
      const distance = Math.hypot(peaks[k].x - peak.x, peaks[k].y - peak.y);
      if (peaks[k].sign !== sign && distance <= nearest) { nearest = distance; otherLobe = k; }
      return true;
    };
    for (let k = i - 1; k >= 0 && look(k); k--);
    for (let k = i + 1; k < peaks.length && look(k); k++);
    return { ...peak, isNegative: sign < 0, otherLobe };
  });
}
