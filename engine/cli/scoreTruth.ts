/** Alerts against the simulator's truth: what was found, what is false. */

import { reliabilityConfig } from '../stages/reliability/config.ts';

/** One row of a truth table (`schemas/products.ts`). */
export type TruthRow = Readonly<{ ra: number; dec: number; fluxNJy: number; snr: number; masked: boolean }>;
export type MeasuredAlert = Readonly<{
  ra: number; dec: number; psfFlux: number | null; psfFluxErr: number | null; reliability: number | null;
}>;
/** `reliable…`: the same of the alerts with a reliability of 0.5 or more alone. */
export type TruthScore = Readonly<{
  injected: number; detectable: number; found: number; falseAlerts: number;
  reliableFound: number; reliableFalseAlerts: number;
}>;

/** A change counts as detectable from this SNR on, outside masks. */
const DETECTABLE_SNR = 8;
/** A detectable change is found by an alert this near, arcsec, whose flux agrees within this many of its errors. */
const FOUND_ARCSEC = 0.3;
const FOUND_FLUX_SIGMA = 3;
/** An alert with no changed source this near is false, arcsec. */
const FALSE_ARCSEC = 1;

/** @throws Error of one line when a column is missing. */
export function parseTruth(csv: string): TruthRow[] {
  const [header, ...lines] = csv.trim().split('\n');
  const names = header.split(',');
  const column = (name: string): number => {
    const index = names.indexOf(name);
    if (index < 0) throw new Error(`the truth table lacks the column ${name}`);
    return index;
  };
  const [ra, dec, flux, snr, masked] = ['ra', 'dec', 'fluxNJy', 'snr', 'masked'].map(column);
  return lines.filter((line) => line.length > 0).map((line) => {
    const cells = line.split(',');
    return {
      ra: Number(cells[ra]), dec: Number(cells[dec]), fluxNJy: Number(cells[flux]), snr: Number(cells[snr]),
      masked: cells[masked] === '1',
    };
  });
}

export function scoreVisit(truth: readonly TruthRow[], alerts: readonly MeasuredAlert[]): TruthScore {
  const detectable = truth.filter((row) => !row.masked && Math.abs(row.snr) >= DETECTABLE_SNR);
  const reliable = alerts.filter(({ reliability }) => (reliability ?? 0) >= reliabilityConfig.reliableMin);
  const foundBy = (some: readonly MeasuredAlert[]): number => (
    detectable.filter((row) => some.some((alert) => isMeasurementOf(alert, row))).length
  );
  const falseOf = (some: readonly MeasuredAlert[]): number => (
    some.filter((alert) => !truth.some((row) => separationArcsec(alert, row) <= FALSE_ARCSEC)).length
  );
  return {
    injected: truth.length, detectable: detectable.length, found: foundBy(alerts), falseAlerts: falseOf(alerts),
    reliableFound: foundBy(reliable), reliableFalseAlerts: falseOf(reliable),
  };
}

function isMeasurementOf(alert: MeasuredAlert, row: TruthRow): boolean {
  if (separationArcsec(alert, row) > FOUND_ARCSEC || alert.psfFlux === null || alert.psfFluxErr === null) return false;
  return Math.abs(alert.psfFlux - row.fluxNJy) <= FOUND_FLUX_SIGMA * alert.psfFluxErr;
}

/** On the tangent plane: exact enough below an arcminute. */
function separationArcsec(a: Readonly<{ ra: number; dec: number }>, b: Readonly<{ ra: number; dec: number }>): number {
  const dRa = ((a.ra - b.ra + 540) % 360) - 180;
  return 3600 * Math.hypot(dRa * Math.cos((b.dec * Math.PI) / 180), a.dec - b.dec);
}
