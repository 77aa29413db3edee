/** Transients of the survey sky: where and when they happen, and their light in each band. */
import { BANDS, type Band } from '../schemas/units.ts';
import { surveyConfig } from './config.ts';
import { flareFlux, FLARE_DAYS } from './lightCurves.ts';
import type { UnitVector } from './projection.ts';
import { normal, poisson, randomStream, uniform, uniformBetween, type RandomStream } from './random.ts';
import { magnitudes, near, placeInCell, type Cell, type Galaxy, type Magnitudes, type Star } from './sky.ts';

export type SurveyTransientKind = keyof typeof surveyConfig.rates;

export type SurveyTransient = Readonly<{
  id: bigint; place: UnitVector; kind: SurveyTransientKind;
  /** Magnitudes at peak, of the transient's own light; of the star that was there before, null without. */
  mags: Magnitudes; starMags: Magnitudes | null;
  peakMjdTai: number;
  /**
   * Factor on all times: 1 + redshift times the stretch, the crossing time of a lens, the decay of a flare; days where
   * so.
   */
  timescale: number;
  /** Impact parameter of a lens in Einstein radii. */
  impact: number;
}>;

const KINDS = [
  'typeIa', 'coreCollapse', 'tidalDisruption', 'kilonova', 'nova', 'microlensing', 'flare',
] as const satisfies readonly SurveyTransientKind[];
/** Days before and after the peak within which one is drawn, at timescale 1, and the longest timescale. */
const SPAN: Readonly<Record<SurveyTransientKind, readonly [number, number]>> = {
  typeIa: [40, 220], coreCollapse: [30, 320], tidalDisruption: [60, 500], kilonova: [2, 30], nova: [3, 200],
  microlensing: [300, 300],
  flare: [0, FLARE_DAYS],
};
/** Days of a drawing epoch; flares come by the day. */
const EPOCH_DAYS: Readonly<Record<SurveyTransientKind, number>> =
  { typeIa: 50, coreCollapse: 50, tidalDisruption: 200, kilonova: 50, nova: 50, microlensing: 200, flare: 1 };

/** Transients of a cell that shine at a time, above `fluxMin` of their peak. */
export function surveyTransientsOf(
  seed: number, cell: Cell, areaSquareDegrees: number, mjdTai: number, fluxMin: number,
): SurveyTransient[] {
  const found: SurveyTransient[] = [];
  for (const kind of KINDS) {
    const [before, after] = SPAN[kind], days = EPOCH_DAYS[kind];
    for (let epoch = Math.floor((mjdTai - after) / days); epoch <= Math.floor((mjdTai + before) / days); epoch++) {
      const random = randomStream(seed, kind, cell.index, epoch);
      const count = poisson(random, surveyConfig.rates[kind] * crowding(kind, cell) * areaSquareDegrees * days);
      for (let index = 0; index < count; index++) {
        const transient = transientOf(random, kind, cell, epoch, index, (epoch + uniform(random)) * days);
        if (transient && BANDS.some((band) => surveyTransientFlux(transient, band, mjdTai) > fluxMin)) {
          found.push(transient);
        }
      }
    }
  }
  return found;
}

/** Events of the Milky Way go with its stars; lensing needs two of them. */
function crowding(kind: SurveyTransientKind, cell: Cell): number {
  const density = cell.starDensity ?? 1;
  return kind === 'nova' || kind === 'flare' ? density : kind === 'microlensing' ? density * density : 1;
}

function transientOf(
  random: RandomStream, kind: SurveyTransientKind, cell: Cell, epoch: number, index: number, peakMjdTai: number,
): SurveyTransient | null {
  // Cell (26 bits), epoch (16), index (8); kind and the survey's mark above 56 bits.
  const id = (
    BigInt(2 + KINDS.indexOf(kind)) << 56n
  ) | (BigInt(cell.index) << 24n) | (BigInt(epoch & 0xffff) << 8n) | BigInt(index & 0xff);
  const common = { id, kind, peakMjdTai, impact: 0 };
  switch (kind) {
    case 'typeIa': case 'coreCollapse': return supernova(random, kind, cell, common);
    case 'tidalDisruption': {
      const host = galaxyOf(random, cell);
      if (!host) return null;
      const r = Math.max(18, host.mags[2] - 0.5 + normal(random));
      return {
        ...common, place: host.place, starMags: null, timescale: 1.1,
        mags: magnitudes(r, { ug: -0.2, gr: -0.2, ri: -0.2, iz: -0.1, zy: -0.1 }),
      };
    }
    case 'kilonova': {
      const host = galaxyOf(random, cell), r = uniformBetween(random, 19, 24);
      return {
        ...common, place: host ? near(host, random) : placeInCell(random, cell.index), starMags: null, timescale: 1,
        mags: magnitudes(r, { ug: 0.6, gr: 0.2, ri: 0.1, iz: 0.1, zy: 0.1 }),
      };
    }
    case 'nova': return {
      ...common, place: placeInCell(random, cell.index), starMags: null, timescale: uniformBetween(random, 0.5, 3),
      mags: magnitudes(uniformBetween(random, 8, 16), { ug: 0.4, gr: 0.3, ri: 0.2, iz: 0.1, zy: 0.1 }),
    };
    case 'microlensing': case 'flare': return onStar(random, kind, cell, common);
  }
}

type Common = Pick<SurveyTransient, 'id' | 'kind' | 'peakMjdTai' | 'impact'>;

/** A supernova at a redshift drawn by volume, peak −19.3 (Ia) or fainter, its time stretched by 1 + z. */
function supernova(random: RandomStream, kind: 'typeIa' | 'coreCollapse', cell: Cell, common: Common): SurveyTransient {
  const z = (kind === 'typeIa' ? 0.8 : 0.4) * Math.cbrt(uniform(random)) + 0.005;
  // Luminosity distance to second order for q₀ = −0.55 and 70 km/s/Mpc: within 3 % below z = 0.8.
  const distanceMpc = (299792.458 / 70) * z * (1 + 0.775 * z);
  const absolute = kind === 'typeIa' ? -19.3 + 0.15 * normal(random) : -17.2 + 0.9 * normal(random);
  const r = absolute + 5 * Math.log10(distanceMpc) + 25;
  const host = galaxyOf(random, cell), redder = 1.6 * z; // Light is shifted out of the blue bands.
  const mags = magnitudes(
    r,
    {
      ug: 0.5 + 2 * redder, gr: 0.05 + redder, ri: -0.15 + 0.7 * redder, iz: -0.1 + 0.4 * redder,
      zy: 0.05 + 0.2 * redder,
    },
  );
  const stretch = kind === 'typeIa' ? uniformBetween(random, 0.85, 1.15) : uniformBetween(random, 0.8, 1.2);
  return {
    ...common, place: host ? near(host, random) : placeInCell(random, cell.index), starMags: null, mags,
    timescale: (1 + z) * stretch,
  };
}

/** A host, chosen by its light: stars that explode are where stars are. */
function galaxyOf(random: RandomStream, cell: Cell): Galaxy | null {
  let total = 0;
  for (const galaxy of cell.galaxies) total += 10 ** (-0.4 * galaxy.mags[2]);
  let draw = uniform(random) * total;
  for (const galaxy of cell.galaxies) {
    draw -= 10 ** (-0.4 * galaxy.mags[2]);
    if (draw <= 0) return galaxy;
  }
  return null;
}

function onStar(
  random: RandomStream, kind: 'microlensing' | 'flare', cell: Cell, common: Common,
): SurveyTransient | null {
  const isRed = (star: Star): boolean => star.mags[2] - star.mags[3] > 0.9;
  const hosts = cell.stars.filter(
    (star) => star.variable === null && star.mags[2] > 15 && (kind === 'microlensing' || isRed(star)),
  );
  if (hosts.length === 0) return null;
  const host = hosts[Math.floor(uniform(random) * hosts.length)];
  if (kind === 'flare') {
    const rise = 4 * uniform(random) ** 3; // Brightening in u, magnitudes over the star's r: great flares are rare.
    const peak = host.mags[2] + 1 - rise;
    return { ...common, place: host.place, starMags: host.mags, timescale: uniformBetween(random, 0.005, 0.04),
      mags: [peak, peak + 0.6, peak + 1.2, peak + 1.7, peak + 2, peak + 2.2] };
  }
  const impact = Math.max(0.01, uniform(random)), gain = 2.5 * Math.log10(magnification(impact) - 1);
  return { ...common, impact, place: host.place, starMags: host.mags, timescale: 10 ** uniformBetween(random, 0.7, 2),
    mags: host.mags.map((mag) => mag - gain) };
}

/** Of a point by a point, at u Einstein radii (Paczyński 1986, ApJ 304, 1). */
export function magnification(u: number): number {
  return (u * u + 2) / (u * Math.sqrt(u * u + 4));
}

/** Flux over the flux at peak in that band. */
export function surveyTransientFlux(transient: SurveyTransient, band: Band, mjdTai: number): number {
  const elapsed = mjdTai - transient.peakMjdTai, days = elapsed / transient.timescale;
  switch (transient.kind) {
    case 'typeIa': return typeIaFlux(band, days);
    case 'coreCollapse': return plateauFlux(band, days);
    case 'tidalDisruption': return days < 0 ? Math.exp(-((days / 18) ** 2)) : (1 + days / 40) ** (-5 / 3);
    case 'kilonova': return days < 0 ? Math.max(0, 1 + days / 0.5) : Math.exp(-days / KILONOVA_DAYS[band]);
    case 'nova': return days < 0 ? Math.max(0, 1 + days) : (1 + days / 2) ** -1.75; // Strope, Schaefer & Henden 2010.
    case 'microlensing':
      return (
        magnification(Math.hypot(transient.impact, elapsed / transient.timescale)) - 1
      ) / (magnification(transient.impact) - 1);
    case 'flare': return flareFlux(elapsed, transient.timescale);
  }
}

const KILONOVA_DAYS: Readonly<Record<Band, number>> = { u: 0.4, g: 0.7, r: 1.2, i: 2, z: 3, y: 4 };
/** Magnitudes lost in the first 15 days but for the second maximum of the redder bands, and that one's height. */
const DECLINE_15: Readonly<Record<Band, number>> = { u: 1.9, g: 1.15, r: 0.75, i: 1.3, z: 1.2, y: 1.3 };
const SECOND_MAXIMUM: Readonly<Record<Band, number>> = { u: 0, g: 0, r: 0.08, i: 0.4, z: 0.42, y: 0.5 };

/**
 * Type Ia: a fireball's t² from −18 days, decline rates of a normal one, iron's second maximum, then cobalt's decay.
 */
export function typeIaFlux(band: Band, days: number): number {
  if (days < -18) return 0;
  if (days < 0) { const rise = 1 + days / 18; return rise * rise * (3 - 2 * rise); }
  const early = 10 ** (-0.4 * DECLINE_15[band] * (days < 30 ? (days / 15) ** 1.3 : 2 ** 1.3 + (days - 30) * 0.013));
  const second = SECOND_MAXIMUM[band] * Math.exp(-(((days - 26) / 8) ** 2) / 2) * (1 - Math.exp(-days / 6));
  return Math.min(1, early + second);
}

/**
 * Type II-P: up in a week, a plateau of 95 days that the blue leaves early, a fall, and the tail of cobalt (0.98 mag in
 * 100 d).
 */
export function plateauFlux(band: Band, days: number): number {
  const blueLossMag: Readonly<Record<Band, number>> = { u: 0.05, g: 0.018, r: 0.005, i: 0.003, z: 0.002, y: 0.002 };
  if (days < -8) return 0;
  if (days < 0) return ((days + 8) / 8) ** 2;
  const lossMag = blueLossMag[band] * Math.min(days, 95);
  const fallMag = days < 95 ? 0 : 2 * (1 - Math.exp(-(days - 95) / 10)) + 0.0098 * (days - 95);
  return 10 ** (-0.4 * (lossMag + fallMag));
}
