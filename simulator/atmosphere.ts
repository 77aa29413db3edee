/** The air over the survey's telescope: seeing, extinction, clouds, glow of the sky, refraction by colour. */
import type { Band } from '../schemas/units.ts';
import { atmosphereConfig, bandConfig, opticsConfig } from './config.ts';
import { airmassAt, altitudeDeg, moonAt, requireEphemeris, sunDirection, zenithAt } from './ephemeris.ts';
import type { Conditions } from './optics.ts';
import { angleBetween, unitVector, type UnitVector } from './projection.ts';
import { normal, randomStream, uniform, uniformBetween } from './random.ts';

const RADIANS = Math.PI / 180;

/** Conditions of one exposure of the survey, and what they follow from. */
export type SurveyConditions = Conditions & Readonly<{
  zenith: UnitVector; altitudeDeg: number; airmass: number;
  sunAltitudeDeg: number; moonAltitudeDeg: number; moonPhaseDeg: number; moonDistanceDeg: number;
  /** Mean extinction by cloud over the field, magnitudes, and its waves across the field (units of its radius). */
  cloudMag: number; cloudWaves: readonly Readonly<{ u: number; v: number; phase: number; part: number }>[];
  /** Arcseconds towards the zenith for each magnitude that a source's g − i is bluer than the reference. */
  refractionArcsecPerMag: number;
}>;

export type SkyQuestion = Readonly<{
  seed: number; exposure: number; band: Band; raDeg: number; decDeg: number; mjdTai: number; hasClouds: boolean;
}>;

/** @throws Error of one line when the time is outside the ephemeris or the place below the telescope's limit. */
export function surveyConditions(question: SkyQuestion): SurveyConditions {
  const { seed, exposure, band, mjdTai } = question;
  requireEphemeris(mjdTai);
  const place = unitVector(question.raDeg, question.decDeg), zenith = zenithAt(mjdTai);
  const altitude = altitudeDeg(place, zenith);
  if (altitude < atmosphereConfig.altitudeMinDeg) {
    throw new Error(`right ascension ${question.raDeg.toFixed(3)}, declination ${question.decDeg.toFixed(3)} stands `
      + `${altitude.toFixed(1)}° high at `
      + `MJD ${mjdTai.toFixed(4)} TAI; the telescope reaches down to ${atmosphereConfig.altitudeMinDeg}°`);
  }
  const airmass = airmassAt(altitude), random = randomStream(seed, 'survey conditions', exposure);
  const cloudMag = question.hasClouds ? cloudMagAt(seed, mjdTai) : 0;
  const glow = glowOf(place, zenith, mjdTai, band, airmass), { sunAltitudeDeg } = glow.about;
  if (sunAltitudeDeg > atmosphereConfig.sunAltitudeMaxDeg) {
    throw new Error(`the Sun stands ${sunAltitudeDeg.toFixed(1)}° high at MJD ${mjdTai.toFixed(4)} TAI; the dome opens `
      + `when it is below ${atmosphereConfig.sunAltitudeMaxDeg}°`);
  }
  const angle = uniformBetween(random, 0, 2 * Math.PI), limit = opticsConfig.ellipticityMax / 3;
  const e = (): number => uniformBetween(random, -limit, limit);
  return {
    seeingArcsec: seeingAt(seed, mjdTai, band, airmass),
    // Zero points hold at one airmass.
    transparency: 10 ** (-0.4 * (atmosphereConfig.extinction[band] * (airmass - 1) + cloudMag)),
    skyMag: bandConfig[band].skyMag - 2.5 * Math.log10(glow.relative) + 0.03 * normal(random),
    skyGradient: [0.02 * Math.cos(angle), 0.02 * Math.sin(angle)],
    ellipticity: [e(), e(), e(), e(), e(), e()],
    focus: [uniformBetween(random, -0.3, 0.3), uniformBetween(random, -0.3, 0.3)],
    zenith, altitudeDeg: altitude, airmass, ...glow.about, cloudMag,
    cloudWaves: cloudMag === 0 ? [] : Array.from({ length: 4 }, () => ({
      u: 3 * normal(random), v: 3 * normal(random), phase: uniformBetween(random, 0, 2 * Math.PI), part: 0.1,
    })),
    refractionArcsecPerMag: atmosphereConfig.refractionArcsecPerMag[band] * Math.tan((90 - altitude) * RADIANS),
  };
}

/** Light that clouds let through at a place of the field, relative to their mean there. */
export function cloudShape(conditions: SurveyConditions, u: number, v: number): number {
  let mag = 0;
  for (const wave of conditions.cloudWaves) {
    mag += conditions.cloudMag * wave.part * Math.sin(wave.u * u + wave.v * v + wave.phase);
  }
  return 10 ** (-0.4 * mag);
}

/**
 * Width of a star: the air's from a series that wanders over half an hour, as airmass^0.6 and wavelength^−0.2
 * (Kolmogorov), and the telescope's, in quadrature.
 */
export function seeingAt(seed: number, mjdTai: number, band: Band, airmass: number): number {
  const { seeingMedianArcsec, seeingScatter, systemArcsec, wavelengthNm } = atmosphereConfig;
  const night = wandering(seed, 'seeing of the night', mjdTai), now = wandering(seed, 'seeing', mjdTai * 48);
  const zenith = seeingMedianArcsec * Math.exp(seeingScatter * (0.8 * night + 0.6 * now));
  const air = zenith * airmass ** 0.6 * (wavelengthNm[band] / 500) ** -0.2;
  return Math.hypot(air, systemArcsec * airmass ** 0.6);
}

/** Normal values at whole numbers, joined smoothly. Variance between them is kept by the weights' squares. */
function wandering(seed: number, purpose: string, x: number): number {
  const knot = Math.floor(x), t = x - knot, smooth = t * t * (3 - 2 * t);
  const at = (k: number): number => normal(randomStream(seed, purpose, k));
  return (at(knot) * (1 - smooth) + at(knot + 1) * smooth) / Math.hypot(smooth, 1 - smooth);
}

/** Extinction by cloud: none on a clear night; else it comes and goes over half an hour. */
export function cloudMagAt(seed: number, mjdTai: number): number {
  const night = randomStream(seed, 'clouds of the night', Math.floor(mjdTai - 0.5));
  if (uniform(night) >= atmosphereConfig.cloudyNights) return 0;
  const depth = atmosphereConfig.cloudMagMax * uniform(night) ** 2;
  return depth * Math.max(0, Math.min(1, 0.5 + 0.5 * wandering(seed, 'clouds', mjdTai * 48)));
}

type Glow = Readonly<{
  relative: number;
  about: Pick<SurveyConditions, 'sunAltitudeDeg' | 'moonAltitudeDeg' | 'moonPhaseDeg' | 'moonDistanceDeg'>;
}>;

/** Brightness of the sky over that of a dark one at the zenith: airglow, Moon, twilight. */
export function glowOf(place: UnitVector, zenith: UnitVector, mjdTai: number, band: Band, airmass: number): Glow {
  const sunAltitude = altitudeDeg(sunDirection(mjdTai), zenith), moon = moonAt(mjdTai);
  const moonAltitude = altitudeDeg(moon.direction, zenith);
  const moonDistance = angleBetween(place, moon.direction) / RADIANS;
  const airglow = airmass ** 0.6;
  // Between the astronomical and the nautical end of twilight the sky brightens by 2.2 magnitudes.
  const depression = Math.max(0, 18 + sunAltitude), twilight = 10 ** (0.4 * 0.061 * depression * depression) - 1;
  return {
    relative: airglow
      + atmosphereConfig.moonColour[band] * moonlight(moon.phaseDeg, moonDistance, moonAltitude, airmass) + twilight,
    about: {
      sunAltitudeDeg: sunAltitude, moonAltitudeDeg: moonAltitude, moonPhaseDeg: moon.phaseDeg,
      moonDistanceDeg: moonDistance,
    },
  };
}

/**
 * Scattered moonlight in V over the dark sky's 79 nanolamberts (Krisciunas & Schaefer 1991, PASP 103, 1033, eq. 15 to
 * 21).
 */
function moonlight(phaseDeg: number, distanceDeg: number, moonAltitude: number, airmass: number): number {
  if (moonAltitude <= 0) return 0;
  const phase = Math.abs(phaseDeg), extinction = 0.172;
  const illuminance = 10 ** (-0.4 * (3.84 + 0.026 * phase + 4e-9 * phase ** 4));
  const rayleigh = 10 ** 5.36 * (1.06 + Math.cos(distanceDeg * RADIANS) ** 2);
  const mie = 10 ** (6.15 - Math.max(distanceDeg, 10) / 40);
  const moonAirmass = 1 / Math.sqrt(1 - 0.96 * Math.cos(moonAltitude * RADIANS) ** 2);
  return (
    (rayleigh + mie) * illuminance * 10 ** (-0.4 * extinction * moonAirmass) * (1 - 10 ** (-0.4 * extinction * airmass))
  ) / 79;
}
