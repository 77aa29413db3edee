/** How a subtraction went, place by place: tables for the file, and their summary. */
import { encodeTable, type TableColumn } from '../../image/fitsTable.ts';
import type { FitsCard } from '../../image/fits.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import {
  kernelShapes, STAMP_STATES, type KernelShape, type StampRecord, type StampState,
} from '../../stages/difference/diagnostics.ts';
import type { MatchingKernel } from '../../stages/difference/kernelFit.ts';
import { pairConfig } from './config.ts';

/**
 * A place with what the finished difference shows there, over the noise that its variance tells; NaN where masked, and at
 * sources that were passed over: thousands, which would take 30 ms.
 */
export type StampResidual = StampRecord & Readonly<{
  /** χ² a pixel, and the sum of the pixels over its noise, in the middle of the stamp. */
  coreChi2: number; coreSnr: number;
}>;

export type PairDiagnostics = Readonly<{ stamps: readonly StampResidual[]; kernel: readonly KernelShape[] }>;

export function diagnose(difference: MaskedImage, stamps: readonly StampRecord[], kernel: MatchingKernel): PairDiagnostics {
  return {
    stamps: stamps.map((stamp) => ({ ...stamp, ...coreOf(difference, stamp) })),
    kernel: kernelShapes(kernel, pairConfig.diagnostics.kernelGridSide),
  };
}

const UNUSED = maskBits('NO_DATA', 'SAT', 'SAT_TEMPLATE', 'BAD', 'CR');

/** What was fitted, and the stars that were not: they say how well the kernel does between its stamps. */
const MEASURED: readonly StampState[] = ['used', 'rejected', 'spare'];

function coreOf({ image, variance, mask, width, height }: MaskedImage, { x, y, state }: StampRecord) {
  if (!MEASURED.includes(state)) return { coreChi2: NaN, coreSnr: NaN };
  const half = pairConfig.diagnostics.coreHalfSizePx;
  let count = 0, squares = 0, sum = 0, noise = 0;
  for (let v = Math.max(0, y - half); v <= Math.min(height - 1, y + half); v++) {
    for (let j = v * width + Math.max(0, x - half); j <= v * width + Math.min(width - 1, x + half); j++) {
      if ((mask[j] & UNUSED) !== 0 || !(variance[j] > 0)) continue;
      count++;
      squares += (image[j] * image[j]) / variance[j];
      sum += image[j];
      noise += variance[j];
    }
  }
  return { coreChi2: count > 0 ? squares / count : NaN, coreSnr: count > 0 ? sum / Math.sqrt(noise) : NaN };
}

/** For the JSON; null where nothing was measured. */
export function summarizeDiagnostics({ stamps, kernel }: PairDiagnostics) {
  const used = stamps.filter(({ state }) => state === 'used');
  const states = Object.fromEntries(
    STAMP_STATES.map((state) => [state, stamps.filter((stamp) => stamp.state === state).length]),
  );
  const worst = [...stamps].filter(({ chi2 }) => chi2 > 0).sort((a, b) => b.chi2 - a.chi2 || a.y - b.y || a.x - b.x)
    .slice(0, pairConfig.diagnostics.worstCount)
    .map(({ x, y, state, chi2, coreSnr }) => ({ x, y, state, chi2, coreSnr: Number.isFinite(coreSnr) ? coreSnr : null }));
  const range = (of: (shape: KernelShape) => number) => ({ min: least(kernel, of), max: -least(kernel, (k) => -of(k)) });
  return {
    stamps: {
      states: states as Record<StampState, number>, // One entry a state.
      chi2: spread(used.map(({ chi2 }) => chi2)), coreChi2: spread(used.map(({ coreChi2 }) => coreChi2)),
      spareCoreChi2: spread(stamps.filter(({ state }) => state === 'spare').map(({ coreChi2 }) => coreChi2)),
      coreSnr: spread(used.map(({ coreSnr }) => Math.abs(coreSnr))), worst,
    },
    kernelVariation: {
      placeCount: kernel.length, squareSum: range(({ squareSum }) => squareSum),
      secondMomentPx2: range(({ xx, yy }) => (xx + yy) / 2), shiftPx: range((k) => Math.hypot(k.shiftX, k.shiftY)),
      changeMax: range(({ change }) => change).max,
    },
  };
}

function least(shapes: readonly KernelShape[], of: (shape: KernelShape) => number): number {
  return shapes.reduce((lowest, shape) => Math.min(lowest, of(shape)), Infinity);
}

/** Median, 90th percentile and maximum (nearest rank). */
function spread(values: readonly number[]): Readonly<{ median: number; p90: number; max: number }> | null {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b), at = (share: number): number =>
    sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  return sorted.length === 0 ? null : { median: at(0.5), p90: at(0.9), max: at(1) };
}

/** Tables STAMPS and KERNELSHAPE; STATE is explained by the keywords STATE0, STATE1, …, and X, Y count from 0. */
export function diagnosticTables({ stamps, kernel }: PairDiagnostics): Uint8Array[] {
  const states: FitsCard[] = STAMP_STATES.map((state, i) => [`STATE${i}`, state]);
  const real = (name: string, values: readonly number[], unit?: string): TableColumn =>
    ({ name, kind: 'D', values, ...(unit === undefined ? {} : { unit }) });
  const whole = (name: string, values: readonly number[]): TableColumn => ({ name, kind: 'J', values });
  const stampTable = encodeTable('STAMPS', [
    whole('X', stamps.map(({ x }) => x)), whole('Y', stamps.map(({ y }) => y)),
    whole('STATE', stamps.map(({ state }) => STAMP_STATES.indexOf(state))),
    whole('NPIX', stamps.map(({ pixelCount }) => pixelCount)),
    real('CHI2', stamps.map(({ chi2 }) => chi2)), real('SIGNALCHI2', stamps.map(({ signalChi2 }) => signalChi2)),
    real('CORECHI2', stamps.map(({ coreChi2 }) => coreChi2)), real('CORESNR', stamps.map(({ coreSnr }) => coreSnr)),
  ], [['PIXBASE', 0], ...states]);
  const column = (name: string, of: (shape: KernelShape) => number, unit?: string) => real(name, kernel.map(of), unit);
  const kernelTable = encodeTable('KERNELSHAPE', [
    column('X', ({ x }) => x, 'pixel'), column('Y', ({ y }) => y, 'pixel'), column('SUM', ({ sum }) => sum),
    column('SQUARESUM', ({ squareSum }) => squareSum), column('SHIFTX', ({ shiftX }) => shiftX, 'pixel'),
    column('SHIFTY', ({ shiftY }) => shiftY, 'pixel'), column('XX', ({ xx }) => xx, 'pixel**2'),
    column('YY', ({ yy }) => yy, 'pixel**2'), column('XY', ({ xy }) => xy, 'pixel**2'),
    column('CHANGE', ({ change }) => change),
  ], [['PIXBASE', 0]]);
  return [stampTable, kernelTable];
}
