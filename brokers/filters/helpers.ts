/** What filters can call beside CEL's own functions. */
import { EvaluationError, type Environment } from '@marcbachmann/cel-js';
import { abMagOfNJy } from '../../schemas/units.ts';

const DEGREE = Math.PI / 180;

/** CEL's names of kinds that helpers take. */
type ParameterType = 'double' | 'int' | 'string' | 'list<double>' | 'list<diaSource>' | 'diaSource' | 'diaObject';

/**
 * A function of filters. `call` gives null when there is no value: the expression around it is then undecided. Rows come
 * as they are in the packet: what it lacks is null or not there.
 */
export type Helper = Readonly<{
  name: string;
  parameters: readonly ParameterType[];
  result: 'double' | 'int';
  /** One line for people. */
  description: string;
  /** Columns that it reads of rows that it is given. */
  reads: readonly string[];
  call(...values: readonly never[]): number | bigint | null;
}>;

/** A row of a light curve, as far as helpers look at it. */
type FluxRow = Readonly<{
  midpointMjdTai: number; band?: string | null; psfFlux?: number | null; ra: number; dec: number;
}>;
type ObjectRow = Readonly<{ firstDiaSourceMjdTai?: number | null }>;

const FLUX_COLUMNS = ['midpointMjdTai', 'band', 'psfFlux'] as const;

export const HELPERS: readonly Helper[] = [
  {
    name: 'abMag', parameters: ['double'], result: 'double', reads: [], call: abMag,
    description: 'AB magnitude of a flux in nJy; no value when the flux is not positive',
  },
  {
    name: 'abs', parameters: ['double'], result: 'double', reads: [], call: (x: number) => Math.abs(x),
    description: 'absolute value',
  },
  {
    name: 'abs', parameters: ['int'], result: 'int', reads: [], call: (x: bigint) => (x < 0n ? -x : x),
    description: 'absolute value',
  },
  {
    name: 'angularDistanceArcsec', parameters: ['double', 'double', 'double', 'double'], result: 'double', reads: [],
    call: angularDistanceArcsec, description: 'distance on the sky of (ra, dec) and (ra, dec), all in degrees',
  },
  {
    name: 'nearestArcsec', parameters: ['double', 'double', 'list<double>'], result: 'double', reads: [],
    call: nearestArcsec,
    description: 'distance of (ra, dec) to the nearest of [ra, dec, ra, dec, …], degrees',
  },
  {
    name: 'daysSinceFirst', parameters: ['diaObject', 'diaSource'], result: 'double',
    reads: ['firstDiaSourceMjdTai', 'midpointMjdTai'],
    call: ({ firstDiaSourceMjdTai }: ObjectRow, { midpointMjdTai }: FluxRow) =>
      (typeof firstDiaSourceMjdTai === 'number' ? midpointMjdTai - firstDiaSourceMjdTai : null),
    description: 'days from the object\'s first detection to this one',
  },
  {
    name: 'daysSincePrevious', parameters: ['list<diaSource>', 'diaSource'], result: 'double', reads: FLUX_COLUMNS,
    call: (earlier: readonly FluxRow[], now: FluxRow) => {
      const last = lastOf(earlier, now, null);
      return last === null ? null : now.midpointMjdTai - last.midpointMjdTai;
    },
    description: 'days from the newest earlier detection of prvDiaSources to this one',
  },
  {
    name: 'riseRate', parameters: ['list<diaSource>', 'diaSource'], result: 'double', reads: FLUX_COLUMNS, call: riseRate,
    description: 'magnitudes a day that it grew brighter since the newest earlier detection in the same band',
  },
  {
    name: 'colour', parameters: ['list<diaSource>', 'diaSource', 'string', 'string'], result: 'double',
    reads: FLUX_COLUMNS, call: colour,
    description: 'magnitude in one band less that in another, of the newest detections in each',
  },
];

/** Listed in messages about unknown functions. */
export const functionHints = `; of our own there are ${
  [...new Set(HELPERS.map(({ name, parameters }) => `${name}(${parameters.join(', ')})`))].join(', ')}`;

/** Makes them known to CEL's checker and interpreter. */
export function registerHelpers(environment: Environment): void {
  for (const { name, parameters, result, description, call } of HELPERS) {
    const handler = (...values: readonly unknown[]): number | bigint => {
      const value = call(...(values as never[])); // Checked against `parameters` by CEL.
      if (value !== null) return value;
      throw new EvaluationError({ code: 'no_value', message: `${name} has no value here` });
    };
    environment.registerFunction(`${name}(${parameters.join(', ')}): ${result}`, handler, { description });
  }
}

/** AB magnitude of a flux, nJy. A flux that is not positive has none. */
function abMag(fluxNJy: number): number | null {
  return fluxNJy > 0 ? abMagOfNJy(fluxNJy) : null;
}

/** Great-circle distance, arcsec, of points in degrees; by haversines, which are exact for small angles. */
export function angularDistanceArcsec(ra1: number, dec1: number, ra2: number, dec2: number): number {
  const sinHalfDec = Math.sin(((dec2 - dec1) * DEGREE) / 2);
  const sinHalfRa = Math.sin(((ra2 - ra1) * DEGREE) / 2);
  const h = sinHalfDec ** 2 + Math.cos(dec1 * DEGREE) * Math.cos(dec2 * DEGREE) * sinHalfRa ** 2;
  return ((2 * Math.asin(Math.min(1, Math.sqrt(h)))) / DEGREE) * 3600;
}

function nearestArcsec(ra: number, dec: number, places: readonly number[]): number | null {
  if (places.length === 0 || places.length % 2 === 1) return null;
  let least = Infinity;
  for (let i = 0; i < places.length; i += 2) {
    least = Math.min(least, angularDistanceArcsec(ra, dec, places[i], places[i + 1]));
  }
  return least;
}

/** The newest row of a band (of any, for null) before `now`; null when there is none. */
function lastOf(earlier: readonly FluxRow[], now: FluxRow, band: string | null): FluxRow | null {
  let last: FluxRow | null = null;
  for (const row of earlier) {
    if (row.midpointMjdTai >= now.midpointMjdTai || (band !== null && row.band !== band)) continue;
    if (last === null || row.midpointMjdTai > last.midpointMjdTai) last = row;
  }
  return last;
}

function magOf(row: FluxRow | null): number | null {
  return typeof row?.psfFlux === 'number' ? abMag(row.psfFlux) : null;
}

function riseRate(earlier: readonly FluxRow[], now: FluxRow): number | null {
  const last = typeof now.band === 'string' ? lastOf(earlier, now, now.band) : null;
  const magNow = magOf(now), magLast = magOf(last);
  if (last === null || magNow === null || magLast === null) return null;
  return (magLast - magNow) / (now.midpointMjdTai - last.midpointMjdTai);
}

function colour(earlier: readonly FluxRow[], now: FluxRow, bluer: string, redder: string): number | null {
  const [blue, red] = [bluer, redder].map((band) => magOf(now.band === band ? now : lastOf(earlier, now, band)));
  return blue === null || red === null ? null : blue - red;
}
