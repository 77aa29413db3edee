/** What goes wrong in a night on purpose: rates that default to 0, drawn from (seed, exposure, detector). */
import type { DetectorId, Exposure } from '../schemas/ids.ts';
import { randomStream, uniform } from './random.ts';

/** Probabilities, 0 … 1. Those of a detector exclude each other, so their sum must not exceed 1. */
export type FaultRates = Readonly<{
  visitCanceled: number;
  neverRead: number; late: number; twice: number;
  /** A truncated file first, then the good one. */
  truncated: number;
}>;

/** Of a recorded night, which can also announce a visit elsewhere first. */
export type NightFaults = FaultRates & Readonly<{ visitRepointed: number }>;

export type DetectorFault = 'none' | 'neverRead' | 'late' | 'twice' | 'truncated';

export const NO_FAULTS: FaultRates = { visitCanceled: 0, neverRead: 0, late: 0, twice: 0, truncated: 0 };

const DETECTOR_FAULTS = ['neverRead', 'late', 'twice', 'truncated'] as const;

/** @throws Error that names a rate outside 0 … 1, or a sum above 1. */
export function checkFaultRates(rates: FaultRates): void {
  for (const [name, rate] of Object.entries(rates)) {
    if (!(rate >= 0 && rate <= 1)) throw new Error(`fault rate ${name} = ${rate} is not in 0 … 1`);
  }
  const sum = DETECTOR_FAULTS.reduce((total, name) => total + rates[name], 0);
  if (sum > 1) throw new Error(`fault rates of a detector add up to ${sum}, above 1`);
}

export function isVisitCanceled(rates: FaultRates, seed: number, exposure: Exposure): boolean {
  return uniform(randomStream(seed, 'visit canceled', exposure)) < rates.visitCanceled;
}

export function isVisitRepointed(rates: NightFaults, seed: number, exposure: Exposure): boolean {
  return uniform(randomStream(seed, 'visit repointed', exposure)) < rates.visitRepointed;
}

/**
 * Reads `late=0.01,truncated=0.002`.
 *
 * @throws Error that lists the rates there are, or names one outside 0 … 1.
 */
export function parseFaults(text: string): NightFaults {
  const rates: Record<keyof NightFaults, number> = { ...NO_FAULTS, visitRepointed: 0 };
  for (const word of text.split(',')) {
    const [name, value] = word.split('=').map((part) => part.trim());
    if (!(name in rates)) throw new Error(`unknown fault "${name}"; there are ${Object.keys(rates).join(', ')}`);
    rates[name as keyof NightFaults] = value === undefined || value === '' ? NaN : Number(value); // Just checked.
  }
  checkFaultRates(rates);
  return rates;
}

export function detectorFault(
  rates: FaultRates, seed: number, exposure: Exposure, detector: DetectorId,
): DetectorFault {
  let draw = uniform(randomStream(seed, 'detector fault', exposure, detector));
  for (const name of DETECTOR_FAULTS) {
    if (draw < rates[name]) return name;
    draw -= rates[name];
  }
  return 'none';
}

/** Times that a detector's frame is announced as read. */
export function readCount(fault: DetectorFault): number {
  return fault === 'neverRead' ? 0 : fault === 'twice' || fault === 'truncated' ? 2 : 1;
}
