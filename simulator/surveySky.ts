/**
 * The sky of the survey: densities, colours, motions and variables as the real one has them, as pure functions of seed
 * and place. Cells and ids are those of `sky.ts`.
 */
import { pixcoord2vec_nest } from '@hscmap/healpix';
import { surveyConfig, skyConfig } from './config.ts';
import { ARCSEC_PER_RADIAN, type UnitVector } from './projection.ts';
import { normal, poisson, randomStream, uniform, uniformBetween, type RandomStream } from './random.ts';
import {
  CELL_SQUARE_DEGREES, magBetween, magnitudes, placeInCell, sourceId, starColours,
  type Cell, type Galaxy, type Magnitudes, type Motion, type Star,
} from './sky.ts';
import type { SurveyVariable } from './variables.ts';

/** North galactic pole and centre of the Galaxy, ICRS (Hipparcos catalogue, vol. 1, §1.5.3). */
const GALACTIC_POLE: UnitVector = [-0.8676661490, -0.1980763734, 0.4559837762];
const GALACTIC_CENTRE: UnitVector = [-0.0548755604, -0.8734370902, -0.4838350155];

/** Galactic latitude and longitude, radians. */
export function galactic(place: UnitVector): { latitude: number; longitude: number } {
  const dot = (a: UnitVector): number => a[0] * place[0] + a[1] * place[1] + a[2] * place[2];
  const [px, py, pz] = GALACTIC_POLE, [cx, cy, cz] = GALACTIC_CENTRE;
  const ninety: UnitVector = [py * cz - pz * cy, pz * cx - px * cz, px * cy - py * cx];
  return {
    latitude: Math.asin(Math.max(-1, Math.min(1, dot(GALACTIC_POLE)))),
    longitude: Math.atan2(dot(ninety), dot(GALACTIC_CENTRE)),
  };
}

/** Density of stars over that far from the plane. */
export function starDensity(place: UnitVector): number {
  const { latitude, longitude } = galactic(place);
  const height = 1 - Math.abs(Math.sin(latitude));
  const bulge = Math.exp(-Math.abs(latitude) * (180 / Math.PI) / surveyConfig.bulgeDegrees);
  return Math.exp(surveyConfig.planeRise * height * height) * (
    1 + surveyConfig.bulgeRise * Math.cos(longitude) * bulge
  );
}

export function surveyCell(seed: number, index: number): Cell {
  const middle = pixcoord2vec_nest(skyConfig.cellNside, index, 0.5, 0.5);
  const density = starDensity(middle);
  return {
    index, stars: starsOf(seed, index, middle, density), galaxies: galaxiesOf(seed, index), starDensity: density,
  };
}

function starsOf(seed: number, cell: number, middle: UnitVector, density: number): Star[] {
  const random = randomStream(seed, 'survey stars', cell);
  const { starSlope, starBreakMag, starBrightMag, starFaintMag } = surveyConfig;
  const perUnit = (
    surveyConfig.starsPerSquareDegree * CELL_SQUARE_DEGREES * density
  ) / (1 - 10 ** (starSlope * (starBreakMag - 25)));
  const faintCount = perUnit * (10 ** (starSlope * (starFaintMag - 25)) - 10 ** (starSlope * (starBreakMag - 25)));
  const brightCount = perUnit * 10 ** (starSlope * (starBreakMag - 25)) * (starSlope / 0.6) * (
    1 - 10 ** (0.6 * (starBrightMag - starBreakMag))
  );
  const { latitude } = galactic(middle), sinLatitude = Math.abs(Math.sin(latitude));
  // An id has 12 bits for its place in the cell.
  const count = Math.min(4095, poisson(random, faintCount + brightCount));
  return Array.from({ length: count }, (_, index): Star => {
    const isBright = uniform(random) * (faintCount + brightCount) < brightCount;
    const r = isBright ? magBetween(random, 0.6, starBrightMag, starBreakMag)
      : magBetween(random, starSlope, starBreakMag, starFaintMag);
    const place = placeInCell(random, cell), mags = starColours(random, r);
    return {
      id: sourceId(cell, 'star', 0, index), place, mags, variable: null, motion: motionOf(random, mags, sinLatitude),
      surveyVariable: variableOf(random, mags, latitude, index * 67_108_864 + cell),
    };
  });
}

/**
 * Parallax from the distance at which a dwarf of that colour has that magnitude (Jurić et al. 2008, eq. 2), proper
 * motion from the velocities of the disc or the halo there.
 */
function motionOf(random: RandomStream, mags: Magnitudes, sinLatitude: number): Motion {
  const ri = Math.min(1.8, Math.max(0.05, mags[2] - mags[3]));
  const absolute = 4 + ri * (11.86 + ri * (-10.74 + ri * (5.99 - 1.2 * ri)));
  const parsec = 10 ** ((mags[2] - absolute + 5) / 5), height = parsec * sinLatitude;
  const isHalo = height > 3000, spread = isHalo ? 140 : height > 900 ? 60 : 35, drift = isHalo ? -200 : -20;
  const masPerYear = 1000 / (4.74047 * parsec); // Of one kilometre a second.
  return {
    parallaxMas: 1000 / parsec,
    eastMasPerYear: masPerYear * (0.6 * drift + spread * normal(random)),
    northMasPerYear: masPerYear * (0.6 * drift + spread * normal(random)),
  };
}

function variableOf(random: RandomStream, mags: Magnitudes, latitude: number, seed: number): SurveyVariable | null {
  const draw = uniform(random), phase = uniform(random), size = uniform(random), period = uniform(random);
  const r = mags[2], gr = mags[1] - r, ri = r - mags[3], isPlane = Math.abs(latitude) < 0.2;
  const as = (shape: SurveyVariable['shape'], periodDays: number, amplitudeMag: number): SurveyVariable =>
    ({ shape, periodDays, phase, amplitudeMag, seed });
  const { rrLyraeOfBlue, cepheidOfPlane, longPeriodOfGiants, eclipsing, rotating } = surveyConfig;
  if (gr > -0.1 && gr < 0.35 && r < 21 && draw < rrLyraeOfBlue) {
    return as('rrLyrae', 0.44 + 0.4 * period, 0.2 + 0.35 * size);
  }
  if (isPlane && r < 17 && gr > 0.3 && gr < 1 && draw < cepheidOfPlane) {
    return as('cepheid', 10 ** (0.3 + 1.3 * period), 0.2 + 0.4 * size);
  }
  if (ri > 1.1 && r < 17.5 && draw < longPeriodOfGiants) {
    return as('longPeriod', 10 ** (2 + 0.7 * period), 0.4 + 2 * size);
  }
  if (draw > 1 - eclipsing) return as('eclipsing', 10 ** (-0.4 + 2 * period), 0.1 + 0.7 * size);
  if (draw > 1 - eclipsing - rotating) return as('rotating', 10 ** (-0.3 + 1.8 * period), 0.005 + 0.06 * size * size);
  return null;
}

function galaxiesOf(seed: number, cell: number): Galaxy[] {
  const random = randomStream(seed, 'survey galaxies', cell);
  const { galaxySlope, galaxyBrightMag, galaxyFaintMag, activeNuclei } = surveyConfig;
  const count = poisson(random, surveyConfig.galaxiesPerSquareDegree * CELL_SQUARE_DEGREES);
  return Array.from({ length: count }, (_, index): Galaxy => {
    const r = magBetween(random, galaxySlope, galaxyBrightMag, galaxyFaintMag);
    const place = placeInCell(random, cell);
    const isEarly = uniform(random) < 0.25 + 0.03 * (22 - Math.min(22, r));
    const gr = (isEarly ? 0.85 : 0.5) + 0.15 * normal(random);
    const mags = magnitudes(r, { ug: isEarly ? 1.6 : 0.8, gr, ri: 0.15 + 0.35 * gr, iz: 0.25, zy: 0.1 });
    const radiusArcsec = Math.min(12, 1.2 * 10 ** (-0.107 * (r - 20) + 0.15 * normal(random)));
    const hasNucleus = uniform(random) < activeNuclei && r < 23.5, nucleusMag = r + uniformBetween(random, -0.5, 2.5);
    const variable: SurveyVariable = {
      shape: 'activeNucleus', periodDays: 10 ** uniformBetween(random, 1.7, 2.7), phase: 0,
      amplitudeMag: uniformBetween(random, 0.05, 0.25),
      seed: cell * 4096 + index,
    };
    return {
      id: sourceId(cell, 'galaxy', 0, index), place, mags, radiusArcsec,
      axisRatio: uniformBetween(random, isEarly ? 0.6 : 0.2, 1),
      positionAngle: uniformBetween(random, 0, Math.PI),
      bulgePart: isEarly ? uniformBetween(random, 0.5, 1) : uniformBetween(random, 0, 0.35),
      nucleus: hasNucleus
        ? { mags: magnitudes(nucleusMag, { ug: 0.1, gr: 0.15, ri: 0.15, iz: 0.1, zy: 0.05 }), variable } : null,
    };
  });
}

const J = surveyConfig.epochMjdTai;

/**
 * Where a star is at a time: its catalogued place, moved along its proper motion and shifted by its parallax.
 *
 * @param earth Earth from the Sun, AU; null leaves the parallax out.
 */
export function placeAt(star: Star, mjdTai: number, earth: readonly [number, number, number] | null): UnitVector {
  const { motion, place } = star;
  if (!motion) return place;
  const [x, y, z] = place, horizontal = Math.hypot(x, y) || 1e-12;
  const east: UnitVector = [-y / horizontal, x / horizontal, 0];
  const north: UnitVector = [-z * east[1], z * east[0], horizontal];
  const years = (mjdTai - J) / 365.25, perMas = 1e-3 / ARCSEC_PER_RADIAN;
  const de = motion.eastMasPerYear * years * perMas, dn = motion.northMasPerYear * years * perMas;
  const p = motion.parallaxMas * perMas;
  const at = (i: 0 | 1 | 2): number => place[i] + de * east[i] + dn * north[i] - (earth ? p * earth[i] : 0);
  const moved: UnitVector = [at(0), at(1), at(2)], length = Math.hypot(...moved);
  return [moved[0] / length, moved[1] / length, moved[2] / length];
}
