/** Light of the survey sky's variables: pure functions of time, relative to their mean. */
import type { Band } from '../schemas/units.ts';
import { randomStream, uniform } from './random.ts';

export type SurveyVariable = Readonly<{
  shape: 'rrLyrae' | 'cepheid' | 'eclipsing' | 'longPeriod' | 'rotating' | 'activeNucleus';
  periodDays: number; phase: number;
  /** Magnitudes in r: half the swing of a pulsator, the depth of the main eclipse, the rms of a nucleus. */
  amplitudeMag: number;
  /** Names the stream of what is not periodic. */
  seed: number;
}>;

/** Swing in each band over that in r: hot pulsators swing more in the blue, cool ones much more. */
const HOT_SWING: Readonly<Record<Band, number>> = { u: 1.4, g: 1.35, r: 1, i: 0.8, z: 0.72, y: 0.68 };
const COOL_SWING: Readonly<Record<Band, number>> = { u: 1.8, g: 1.5, r: 1, i: 0.65, z: 0.5, y: 0.42 };
const NO_SWING: Readonly<Record<Band, number>> = { u: 1, g: 1, r: 1, i: 1, z: 1, y: 1 };

/** Flux over the flux of the mean magnitude. */
export function surveyVariableFlux(variable: SurveyVariable, band: Band, mjdTai: number): number {
  const cycles = mjdTai / variable.periodDays + variable.phase, phase = cycles - Math.floor(cycles);
  const { amplitudeMag } = variable;
  switch (variable.shape) {
    case 'rrLyrae': return 10 ** (-0.4 * amplitudeMag * HOT_SWING[band] * pulse(phase, 0.15));
    case 'cepheid': return 10 ** (-0.4 * amplitudeMag * HOT_SWING[band] * pulse(phase, 0.28));
    case 'longPeriod': return 10 ** (-0.4 * amplitudeMag * COOL_SWING[band] * pulse(phase, 0.42));
    case 'rotating': return 10 ** (-0.4 * amplitudeMag * COOL_SWING[band] * Math.sin(2 * Math.PI * phase));
    case 'eclipsing': return 10 ** (-0.4 * amplitudeMag * NO_SWING[band] * eclipses(phase));
    case 'activeNucleus': return 10 ** (
      -0.4 * amplitudeMag * HOT_SWING[band] * wandering(variable.seed, mjdTai, variable.periodDays)
    );
  }
}

/** +1 at the faintest to −1 at the brightest, with a rise of that part of the cycle, smooth at both ends; mean 0. */
function pulse(phase: number, rise: number): number {
  return phase < rise ? Math.cos((Math.PI * phase) / rise) : -Math.cos((Math.PI * (phase - rise)) / (1 - rise));
}

/** 1 in the main eclipse, 0.4 in the other, 0 outside: each lasts a twelfth of the period, half of it partial. */
function eclipses(phase: number): number {
  const depth = (centre: number): number => {
    const away = Math.abs(phase - centre), distance = Math.min(away, 1 - away);
    return Math.max(0, Math.min(1, (0.042 - distance) / 0.021));
  };
  return Math.max(depth(0), 0.4 * depth(0.5));
}

/**
 * A damped random walk of unit rms as a sum of waves: its spectrum 1/(1 + (ω τ)²) sampled at 32 frequencies evenly in
 * the logarithm, so that the same nucleus can be asked at any time (Kelly, Bechtold & Siemiginowska 2009).
 */
function wandering(seed: number, mjdTai: number, dampingDays: number): number {
  const random = randomStream(seed, 'active nucleus');
  const count = 32, low = 0.05 / dampingDays, ratio = (20 * dampingDays) ** (1 / count) / 0.05 ** (1 / count);
  let sum = 0, power = 0;
  for (let k = 0; k < count; k++) {
    const omega = low * ratio ** (k + uniform(random)), weight = omega / (1 + (omega * dampingDays) ** 2);
    sum += Math.sqrt(2 * weight) * Math.sin(omega * mjdTai + 2 * Math.PI * uniform(random));
    power += weight;
  }
  return sum / Math.sqrt(power);
}
