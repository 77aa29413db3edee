/** Whether a subtraction is one: what refuses it, and what makes its figures worth less, with the numbers that decide. */
import { StageError } from '../../errors.ts';
import { pairConfig } from './config.ts';
import { PairRefused } from './inputs.ts';
import type { NoiseReport } from './noise.ts';

/** Why a difference is worth less than its figures: one line, and the number that went beyond its limit. */
export type Fault = Readonly<{ code: string; message: string; value: number; limit: number }>;

/** What is judged. `science` and `template` are paths. */
export type Judged = Readonly<{
  science: string; template: string;
  figures: Readonly<Record<string, number>>;
  noise: Readonly<{ science: NoiseReport; template: NoiseReport }>;
}>;

/**
 * @returns What makes the difference worth less; nothing, usually.
 * @throws PairRefused NOT_ONE_SKY, NEGATIVE_FLUX_RATIO.
 */
export function judgeDifference({ science, template, figures, noise }: Judged): Fault[] {
  const { residualFractionMax, stampChi2Max, backgroundChi2Min, backgroundChi2Max, stampsUsedMin } = pairConfig.judgement;
  const { stampResidualFraction: left, kernelSum, stampChi2, backgroundChi2: chi2, stampsUsed } = figures;
  const pair = `${science} − ${template}`;
  if (!(kernelSum > 0)) {
    throw new PairRefused('NEGATIVE_FLUX_RATIO', `${pair}: the flux ratio is ${kernelSum.toPrecision(3)}, above 0 required; ` +
      'one of them shows its sources negative');
  }
  if (!(left <= residualFractionMax)) {
    throw new PairRefused('NOT_ONE_SKY', `${pair}: the template explains ${(100 * (1 - left)).toFixed(1)} % of the light at ` +
      `${stampsUsed} stamps, ${100 * (1 - residualFractionMax)} % required: they do not show the same sources`);
  }
  const faults: Fault[] = [];
  const add = (isWrong: boolean, code: string, value: number, limit: number, what: string): void => {
    if (isWrong) faults.push({ code, message: `${pair}: ${what}`, value, limit });
  };
  add(stampChi2 > stampChi2Max, 'STAMPS_LEFT_OVER', stampChi2, stampChi2Max,
    `χ² a pixel is ${stampChi2.toPrecision(3)} at the kernel's stamps, at most ${stampChi2Max} expected`);
  add(chi2 > backgroundChi2Max, 'BACKGROUND_TOO_NOISY', chi2, backgroundChi2Max,
    `χ² a pixel is ${chi2.toPrecision(3)} in the background, at most ${backgroundChi2Max} expected`);
  add(chi2 < backgroundChi2Min, 'BACKGROUND_TOO_QUIET', chi2, backgroundChi2Min,
    `χ² a pixel is ${chi2.toPrecision(3)} in the background, at least ${backgroundChi2Min} expected`);
  add(stampsUsed < stampsUsedMin, 'STAMPS_FEW', stampsUsed, stampsUsedMin,
    `${stampsUsed} stamps tell the kernel, ${stampsUsedMin} expected`);
  return [...faults, ...noiseFaults(science, noise.science), ...noiseFaults(template, noise.template)];
}

/** Noise that the sky contradicts by far: what was given is used, what a header says is not. */
function noiseFaults(path: string, { source, varianceRatio: ratio }: NoiseReport): Fault[] {
  const limit = pairConfig.noise.absurdRatio, isHigh = ratio > limit, isLow = ratio < 1 / limit;
  if (!isHigh && !isLow) return [];
  const what = source.startsWith('given') ? 'the given variance is' : 'gain and read noise of the header give';
  return [{
    code: 'NOISE_CONTRADICTED', value: ratio, limit: isHigh ? limit : 1 / limit,
    message: `${path}: ${what} ${ratio.toPrecision(3)} times the variance that the sky shows, ` +
      `${1 / limit} … ${limit} expected`,
  }];
}

/** Runs what works on both images; its expected failures then name the files. */
export function onPair<T>(science: string, template: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    throw new PairRefused(error.code, `${science} − ${template}: ${error.message}`, error);
  }
}
