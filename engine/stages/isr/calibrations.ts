/** What is known of a detector before an exposure: its calibrations, and whether a step can do without. */
import type { Amp, Detector } from '../../../schemas/camera.ts';
import type { AmpElectronics, Electronics } from '../../image/electronics.ts';
import { StageError } from '../../errors.ts';
import { pixelsOf, type ReadPlane } from '../../kernels/scaled.ts';
import type { IsrConfig } from './config.ts';

/** Calibrations of the detector, each [height × width]; null where there is none. */
export type IsrCalibrations = Readonly<{
  /** ADU left after the overscan. */
  bias: ReadPlane | null;
  /** Response relative to its mean. */
  flat: ReadPlane | null;
  /** Electrons a second. */
  dark?: ReadPlane | null;
  /** Fringes of the band's night sky, relative to the sky's level; mean about 0. */
  fringe?: ReadPlane | null;
  /** As measured; what it lacks is taken from the camera. */
  electronics?: Electronics | null;
}>;

/** Optional calibrations that a detector can go without, at a price that its product names. */
export type DegradedStep = 'dark' | 'electronics' | 'crosstalk';

export type StepPlan = Readonly<{
  bias: ReadPlane | null; flat: ReadPlane | null; dark: ReadPlane | null; fringe: ReadPlane | null;
  amps: readonly AmpElectronics[];
  repulsion: Readonly<{ x: number; y: number }> | null;
  /** Steps that were asked for and left out. */
  degraded: readonly DegradedStep[];
}>;

/**
 * Which steps run, with what.
 *
 * @throws StageError: CALIBRATION_MISSING (retry) for a bias or flat; CALIBRATION_SIZE_WRONG,
 *         CALIBRATION_MISMATCHED, DARK_TIME_UNKNOWN (reject).
 */
export function planSteps(
  detector: Detector, calibrations: IsrCalibrations, config: IsrConfig, darkSeconds: number | null,
): StepPlan {
  const { electronics = null } = calibrations, take = (
    kind: 'bias' | 'flat' | 'dark' | 'fringe', isWanted: boolean, plane: ReadPlane | null,
  ) => (isWanted ? requireSize(kind, plane, detector) : null);
  requireAmps(electronics, detector);
  const dark = take('dark', config.isDarkSubtracted, calibrations.dark ?? null);
  if (dark !== null && !(darkSeconds !== null && darkSeconds >= 0)) {
    throw rejected('DARK_TIME_UNKNOWN', `a dark cannot be scaled to an exposure of ${darkSeconds} s`);
  }
  const amps = detector.amps.map((amp, k) => ampPlan(amp, electronics?.amps[k] ?? null, config));
  const degraded: DegradedStep[] = [];
  if (config.isDarkSubtracted && dark === null) degraded.push('dark');
  if ((config.isBrighterFatterCorrected || config.isChargeTransferCorrected) && electronics === null) {
    degraded.push('electronics');
  }
  if (config.isCrosstalkRemoved && detector.amps.length > 1 && amps.every((amp) => amp.crosstalk === null)) {
    degraded.push('crosstalk');
  }
  return {
    bias: requirePlane('bias', take('bias', config.isBiasSubtracted, calibrations.bias), config.isBiasSubtracted),
    flat: requirePlane('flat', take('flat', config.isFlatDivided, calibrations.flat), config.isFlatDivided),
    dark, fringe: take('fringe', config.isFringeSubtracted, calibrations.fringe ?? null), amps,
    repulsion: config.isBrighterFatterCorrected ? electronics?.repulsion ?? null : null, degraded,
  };
}

function ampPlan(amp: Amp, measured: AmpElectronics | null, config: IsrConfig): AmpElectronics {
  const crosstalk = measured?.crosstalk ?? amp.crosstalk ?? null;
  const table = measured?.table ?? null, polynomial = measured?.polynomial ?? amp.linearityPolynomial ?? null;
  return {
    name: amp.name, crosstalk: config.isCrosstalkRemoved ? crosstalk : null,
    // A table that was measured replaces the camera's polynomial.
    polynomial: config.isLinearized && (table === null || measured?.polynomial) ? polynomial : null,
    table: config.isLinearized ? table : null,
    serialCti: config.isChargeTransferCorrected ? measured?.serialCti ?? 0 : 0,
    parallelCti: config.isChargeTransferCorrected ? measured?.parallelCti ?? 0 : 0,
  };
}

function requireAmps(electronics: Electronics | null, { amps, name }: Detector): void {
  if (electronics === null) return;
  const names = electronics.amps.map((amp) => amp.name).join(), wanted = amps.map((amp) => amp.name).join();
  if (names !== wanted) {
    throw rejected('CALIBRATION_MISMATCHED', `the electronics are of amps ${names}, detector ${name} has ${wanted}`);
  }
  const odd = electronics.amps.find(({ crosstalk }) => crosstalk !== null && crosstalk.length !== amps.length);
  if (odd !== undefined) {
    throw rejected('CALIBRATION_MISMATCHED', `amp ${odd.name} has ${odd.crosstalk?.length} crosstalk coefficients`);
  }
}

function requirePlane(kind: 'bias' | 'flat', plane: ReadPlane | null, isWanted: boolean): ReadPlane | null {
  if (plane !== null || !isWanted) return plane;
  // Another try may find it: productions add calibrations while the night runs.
  throw new StageError({
    code: 'CALIBRATION_MISSING', message: `no ${kind} for this detector`, stage: 'isr', disposition: 'retry',
  });
}

function requireSize(
  kind: string, plane: ReadPlane | null, { width, height }: Detector,
): ReadPlane | null {
  const pixels = plane === null ? width * height : pixelsOf(plane).length;
  if (pixels === width * height) return plane;
  throw new StageError({
    code: 'CALIBRATION_SIZE_WRONG', stage: 'isr', disposition: 'reject',
    message: `the ${kind} has ${pixels} pixels, the detector ${width} × ${height}`,
    details: { pixels, width, height },
  });
}

function rejected(code: string, message: string): StageError {
  return new StageError({ code, message, stage: 'isr', disposition: 'reject' });
}
