/**
 * The sky as a pure function of seed and place: any pointing at any time sees the same one.
 *
 * It is divided into HEALPix cells. A cell's stars, galaxies and transients are drawn from streams named by the cell,
 * so no list of the whole sky exists and neighbours do not depend on each other.
 */
import { pixcoord2vec_nest, query_disc_inclusive_nest, nside2pixarea, type V3 } from '@hscmap/healpix';
import { BANDS, type Band } from '../schemas/units.ts';
import { skyConfig } from './config.ts';
import {
  FLARE_DAYS, flareFlux, SUPERNOVA_DAYS_AFTER, SUPERNOVA_DAYS_BEFORE, supernovaFlux, variableFlux, type Variable,
} from './lightCurves.ts';
import { fromTangent, skyOfVector, tangentPlane, type UnitVector } from './projection.ts';
import type { SurveyVariable } from './variables.ts';
import { normal, poisson, randomStream, uniform, uniformBetween, type RandomStream } from './random.ts';

/** AB magnitudes in the order of `BANDS`. */
export type Magnitudes = readonly number[];

/** On the sky, a year; and the angle under which the radius of Earth's orbit is seen from there. */
export type Motion = Readonly<{ eastMasPerYear: number; northMasPerYear: number; parallaxMas: number }>;

/** Stars of the demonstration's sky stand still; those of the survey's move, and their variables are of other kinds. */
export type Star = Readonly<{
  id: bigint; place: UnitVector; mags: Magnitudes; variable: Variable | null;
  motion?: Motion; surveyVariable?: SurveyVariable | null;
}>;
export type Galaxy = Readonly<{
  id: bigint; place: UnitVector; mags: Magnitudes;
  /** Half-light radius along the major axis, arcseconds; minor over major; position angle east of north, radians. */
  radiusArcsec: number; axisRatio: number; positionAngle: number;
  /** Part of the light in a bulge; the rest is a disc. All disc without. */
  bulgePart?: number;
  /** A point that varies at the centre. */
  nucleus?: Readonly<{ mags: Magnitudes; variable: SurveyVariable }> | null;
}>;
export type Cell = Readonly<{
  index: number; stars: readonly Star[]; galaxies: readonly Galaxy[];
  /** Density of the survey's stars over that far from the galactic plane. */
  starDensity?: number;
}>;

/** A source that is not there all the time. */
export type Transient = Readonly<{
  id: bigint; place: UnitVector; kind: 'supernova' | 'flare';
  /** Magnitudes at peak. */
  mags: Magnitudes; peakMjdTai: number; decayDays: number;
  /** Mean magnitudes of the star that flares: it is in the template too. Null for a supernova. */
  starMags: Magnitudes | null;
}>;

const SQUARE_DEGREE = (Math.PI / 180) ** 2;
export const CELL_SQUARE_DEGREES = nside2pixarea(skyConfig.cellNside) / SQUARE_DEGREE;
const CLASS = { star: 0, galaxy: 1, supernova: 2, flare: 3 } as const;

/** 64-bit id of a source: cell (26 bits), class (2), epoch (16), index in its cell (12). */
export function sourceId(cell: number, kind: keyof typeof CLASS, epoch: number, index: number): bigint {
  return (BigInt(cell) << 30n) | (BigInt(CLASS[kind]) << 28n) | (BigInt(epoch & 0xffff) << 12n) | BigInt(index & 0xfff);
}

/** Cells that touch a cone. @param radius Radians. */
export function cellsOfCone(centre: UnitVector, radius: number): number[] {
  const cells: number[] = [];
  // A copy of three numbers.
  query_disc_inclusive_nest(skyConfig.cellNside, [...centre] as V3, radius, (cell) => cells.push(cell));
  return cells.sort((a, b) => a - b);
}

export function skyCell(seed: number, index: number): Cell {
  return { index, stars: starsOf(seed, index), galaxies: galaxiesOf(seed, index) };
}

/** Flux of a star over its mean, of any star. */
export function relativeFlux(star: Star, band: Band, mjdTai: number): number {
  return star.variable ? variableFlux(star.variable, band, mjdTai) : 1;
}

/** Flux of a transient over its peak. */
export function transientFlux(transient: Transient, band: Band, mjdTai: number): number {
  const days = mjdTai - transient.peakMjdTai;
  return transient.kind === 'supernova' ? supernovaFlux(band, days) : flareFlux(days, transient.decayDays);
}

function starsOf(seed: number, cell: number): Star[] {
  const random = randomStream(seed, 'stars', cell);
  const { starSlope, starBreakMag, starBrightMag, starFaintMag } = skyConfig;
  // Counts in cumulative form: faint part ∝ 10^(s m) from the break on; bright part joins it in density with slope 0.6.
  const perUnit = skyConfig.starsPerSquareDegree * CELL_SQUARE_DEGREES / (1 - 10 ** (starSlope * (starBreakMag - 25)));
  const faintCount = perUnit * (10 ** (starSlope * (starFaintMag - 25)) - 10 ** (starSlope * (starBreakMag - 25)));
  const brightCount = perUnit * 10 ** (starSlope * (starBreakMag - 25)) * (starSlope / 0.6)
    * (1 - 10 ** (0.6 * (starBrightMag - starBreakMag)));
  const count = poisson(random, faintCount + brightCount);
  return Array.from({ length: count }, (_, index): Star => {
    const isBright = uniform(random) * (faintCount + brightCount) < brightCount;
    const r = isBright
      ? magBetween(random, 0.6, starBrightMag, starBreakMag)
      : magBetween(random, starSlope, starBreakMag, starFaintMag);
    const place = placeInCell(random, cell);
    const mags = starColours(random, r);
    const mayVary = r > skyConfig.variableBrightMag && r < skyConfig.variableFaintMag;
    const variable = uniform(random) < skyConfig.variableFraction && mayVary ? variableOf(random) : null;
    return { id: sourceId(cell, 'star', 0, index), place, mags, variable };
  });
}

/** Magnitude from counts ∝ 10^(slope m) between two limits. */
export function magBetween(random: RandomStream, slope: number, bright: number, faint: number): number {
  const low = 10 ** (slope * (bright - faint));
  return faint + Math.log10(low + (1 - low) * uniform(random)) / slope;
}

/** Even over the cell: HEALPix is an equal-area projection. */
export function placeInCell(random: RandomStream, cell: number): UnitVector {
  return pixcoord2vec_nest(skyConfig.cellNside, cell, uniform(random), uniform(random));
}

/** Colours along a stellar locus with g − r as its coordinate; faint stars are mostly red dwarfs. */
export function starColours(random: RandomStream, r: number): Magnitudes {
  const isRed = uniform(random) < 0.35 + 0.05 * (r - 16);
  const gr = Math.max(-0.3, isRed ? 1.35 + 0.12 * normal(random) : 0.55 + 0.2 * normal(random));
  const ri = isRed ? 0.4 + 1.2 * uniform(random) : 0.4 * gr;
  return magnitudes(r, { ug: 0.9 + 0.9 * gr, gr, ri, iz: 0.5 * ri, zy: 0.25 * ri });
}

export function magnitudes(r: number, colour: Readonly<Record<'ug' | 'gr' | 'ri' | 'iz' | 'zy', number>>): Magnitudes {
  const g = r + colour.gr, i = r - colour.ri, z = i - colour.iz;
  return [g + colour.ug, g, r, i, z, z - colour.zy];
}

function variableOf(random: RandomStream): Variable {
  const isRrLyrae = uniform(random) < 0.4;
  return {
    shape: isRrLyrae ? 'rrLyrae' : 'sinusoid',
    periodDays: isRrLyrae ? uniformBetween(random, 0.45, 0.8) : 10 ** uniformBetween(random, -0.7, 1.5),
    phase: uniform(random),
    amplitude: isRrLyrae ? uniformBetween(random, 0.3, 0.55) : uniformBetween(random, 0.1, 0.5),
  };
}

function galaxiesOf(seed: number, cell: number): Galaxy[] {
  const random = randomStream(seed, 'galaxies', cell);
  const { galaxySlope, galaxyBrightMag, galaxyFaintMag } = skyConfig;
  const count = poisson(random, skyConfig.galaxiesPerSquareDegree * CELL_SQUARE_DEGREES);
  return Array.from({ length: count }, (_, index): Galaxy => {
    const r = magBetween(random, galaxySlope, galaxyBrightMag, galaxyFaintMag);
    const place = placeInCell(random, cell);
    const gr = 0.6 + 0.25 * normal(random);
    const mags = magnitudes(r, { ug: 0.9, gr, ri: 0.25 + 0.3 * gr, iz: 0.25, zy: 0.1 });
    // Half-light radius falls from 1.2″ at 20 to 0.35″ at 25, with a scatter of 0.12 dex.
    const radiusArcsec = Math.min(2.5, 1.2 * 10 ** (-0.107 * (r - 20) + 0.12 * normal(random)));
    return {
      id: sourceId(cell, 'galaxy', 0, index), place, mags, radiusArcsec,
      axisRatio: uniformBetween(random, 0.4, 1), positionAngle: uniformBetween(random, 0, Math.PI),
    };
  });
}

/** Length of the epochs in which supernovae are drawn, days. */
const EPOCH_DAYS = 50;

/** Transients of a cell that shine at a time. Their light is none of the template's. */
export function transientsOf(seed: number, cell: Cell, mjdTai: number): Transient[] {
  const found: Transient[] = [];
  const first = Math.floor((mjdTai - SUPERNOVA_DAYS_AFTER) / EPOCH_DAYS);
  const last = Math.floor((mjdTai + SUPERNOVA_DAYS_BEFORE) / EPOCH_DAYS);
  for (let epoch = first; epoch <= last; epoch++) found.push(...supernovaeOf(seed, cell, epoch));
  const firstDay = Math.floor(mjdTai - FLARE_DAYS), lastDay = Math.floor(mjdTai);
  for (let day = firstDay; day <= lastDay; day++) found.push(...flaresOf(seed, cell, day));
  return found.filter((transient) => transientFlux(transient, 'r', mjdTai) > skyConfig.transientFluxMin);
}

/**
 * Half of them lie in a galaxy of the cell, within about its half-light radius; the others' hosts are too faint to
 * see.
 */
function supernovaeOf(seed: number, cell: Cell, epoch: number): Transient[] {
  const random = randomStream(seed, 'supernovae', cell.index, epoch);
  const count = poisson(random, skyConfig.supernovaePerSquareDegreeDay * CELL_SQUARE_DEGREES * EPOCH_DAYS);
  return Array.from({ length: count }, (_, index): Transient => {
    const r = 20 + 4.5 * Math.sqrt(uniform(random)); // More at the faint end, as volume grows with distance.
    const isHosted = uniform(random) < 0.5 && cell.galaxies.length > 0;
    const host = isHosted ? cell.galaxies[Math.floor(uniform(random) * cell.galaxies.length)] : null;
    const place = host ? near(host, random) : placeInCell(random, cell.index);
    const gr = 0.1 + 0.15 * normal(random);
    return {
      id: sourceId(cell.index, 'supernova', epoch, index), place, kind: 'supernova', starMags: null,
      mags: magnitudes(r, { ug: 1, gr, ri: -0.1 + 0.1 * normal(random), iz: 0, zy: 0 }),
      peakMjdTai: (epoch + uniform(random)) * EPOCH_DAYS, decayDays: 0,
    };
  });
}

export function near(host: Galaxy, random: RandomStream): UnitVector {
  const arcsec = host.radiusArcsec * Math.abs(normal(random)), angle = uniformBetween(random, 0, 2 * Math.PI);
  const { raDeg, decDeg } = skyOfVector(host.place);
  const radians = (arcsec / 3600) * (Math.PI / 180);
  return fromTangent(tangentPlane(raDeg, decDeg), radians * Math.sin(angle), radians * Math.cos(angle));
}

/** Flares of a cell's stars on one day: the blue light of a hot plasma on a star of any colour. */
function flaresOf(seed: number, cell: Cell, day: number): Transient[] {
  const random = randomStream(seed, 'flares', cell.index, day);
  const count = poisson(random, skyConfig.flaresPerSquareDegreeDay * CELL_SQUARE_DEGREES);
  const r = BANDS.indexOf('r');
  const hosts = cell.stars.filter((star) => !star.variable && star.mags[r] > skyConfig.variableBrightMag);
  if (hosts.length === 0) return [];
  return Array.from({ length: count }, (_, index): Transient => {
    const host = hosts[Math.floor(uniform(random) * hosts.length)];
    const peakMag = uniformBetween(random, 19.5, 23.5);
    return {
      id: sourceId(cell.index, 'flare', day, index), place: host.place, kind: 'flare', starMags: host.mags,
      mags: magnitudes(peakMag, { ug: -0.6, gr: -0.2, ri: -0.2, iz: -0.2, zy: -0.1 }),
      peakMjdTai: day + uniform(random), decayDays: uniformBetween(random, 0.01, 0.06),
    };
  });
}
