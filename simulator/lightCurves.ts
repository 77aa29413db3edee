/** Light curves: pure functions of time. Variables are relative to their mean, transients relative to their peak. */
import type { Band } from '../schemas/units.ts';

export type Variable = Readonly<{
  shape: 'sinusoid' | 'rrLyrae'; periodDays: number; phase: number;
  /** Half of the swing of the r-band flux over its mean. */
  amplitude: number;
}>;

/** Swing in each band over that in r: hot pulsators swing more in the blue. */
const SWING: Readonly<Record<Band, number>> = { u: 1.25, g: 1.2, r: 1, i: 0.85, z: 0.8, y: 0.75 };

/** Part of a cycle that a RR Lyrae star (type ab) takes to rise. */
const RISE = 0.15;

/** Flux over mean flux; its mean over one cycle is exactly 1. */
export function variableFlux(variable: Variable, band: Band, mjdTai: number): number {
  const cycles = mjdTai / variable.periodDays + variable.phase;
  const phase = cycles - Math.floor(cycles);
  const shape = variable.shape === 'sinusoid' ? Math.sin(2 * Math.PI * phase) : sawtooth(phase);
  return 1 + variable.amplitude * SWING[band] * shape;
}

/** From −1 up to 1 during the rise, then straight down: mean 0. */
function sawtooth(phase: number): number {
  return phase < RISE ? -1 + (2 * phase) / RISE : 1 - (2 * (phase - RISE)) / (1 - RISE);
}

/** Days before peak and after it within which a supernova is drawn. */
export const SUPERNOVA_DAYS_BEFORE = 18, SUPERNOVA_DAYS_AFTER = 90;

/** Decline in each band, days per e-fold: blue light fades first. */
const DECLINE: Readonly<Record<Band, number>> = { u: 10, g: 16, r: 24, i: 27, z: 30, y: 32 };

/**
 * Flux of a supernova over its peak: rises as (t − t₀)² (Arnett 1982, early), turns over smoothly, then fades
 * exponentially, as a type Ia supernova does to a few tens of per cent.
 *
 * @param days Time since peak.
 */
export function supernovaFlux(band: Band, days: number): number {
  if (days < -SUPERNOVA_DAYS_BEFORE || days > SUPERNOVA_DAYS_AFTER) return 0;
  if (days >= 0) return Math.exp(-days * days / (DECLINE[band] * (DECLINE[band] + days)));
  const rise = 1 + days / SUPERNOVA_DAYS_BEFORE;
  return rise * rise * (3 - 2 * rise);
}

/** Longest time after its start during which a flare is drawn, days. */
export const FLARE_DAYS = 0.25;

/** Flux of a stellar flare over its peak: one minute up, then an exponential decay. */
export function flareFlux(days: number, decayDays: number): number {
  const riseDays = 1 / 1440;
  if (days <= 0 || days > FLARE_DAYS) return 0;
  return days < riseDays ? days / riseDays : Math.exp(-(days - riseDays) / decayDays);
}
