import { EvaluationError, type Environment } from '@marcbachmann/cel-js';
import { abMagOfNJy } from '../../schemas/units.ts';

const DEGREE = Math.PI / 180;

/** Listed in messages about unknown functions. */
export const functionHints = '; of our own there are abMag(flux), abs(x), angularDistanceArcsec(ra, dec, ra, dec)';

/** What filters can call beside CEL's own functions. */
export function registerHelpers(environment: Environment): void {
  environment
    .registerFunction('abMag(double): double', abMag, {
      description: 'AB magnitude of a flux in nJy; no value when the flux is not positive',
    })
    .registerFunction('abs(double): double', (x: number) => Math.abs(x), { description: 'Absolute value' })
    .registerFunction('abs(int): int', (x: bigint) => (x < 0n ? -x : x), { description: 'Absolute value' })
    .registerFunction('angularDistanceArcsec(double, double, double, double): double', angularDistanceArcsec, {
      description: 'Distance on the sky of (ra, dec) and (ra, dec), all in degrees',
    });
}

/** AB magnitude of a flux, nJy. A flux that is not positive has none: the expression around it is undecided. */
function abMag(fluxNJy: number): number {
  if (fluxNJy > 0) return abMagOfNJy(fluxNJy);
  throw new EvaluationError({ code: 'no_value', message: `a flux of ${fluxNJy} nJy has no magnitude` });
}

/** Great-circle distance, arcsec, of points in degrees; by haversines, which are exact for small angles. */
export function angularDistanceArcsec(ra1: number, dec1: number, ra2: number, dec2: number): number {
  const sinHalfDec = Math.sin(((dec2 - dec1) * DEGREE) / 2);
  const sinHalfRa = Math.sin(((ra2 - ra1) * DEGREE) / 2);
  const h = sinHalfDec ** 2 + Math.cos(dec1 * DEGREE) * Math.cos(dec2 * DEGREE) * sinHalfRa ** 2;
  return ((2 * Math.asin(Math.min(1, Math.sqrt(h)))) / DEGREE) * 3600;
}
