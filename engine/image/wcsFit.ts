/** TAN-SIP approximation of any smooth map from an image to the sky. */
import { exponentsOf, fitPolynomials, type Sample } from './leastSquares.ts';
import { pixelToSky, separationArcsec, skyToPlane, type Sip, type Wcs } from './wcs.ts';

export type SkyMap = (x: number, y: number) => Readonly<{ raDeg: number; decDeg: number }>;

/** Orders that are tried, and the error that none of the later ones has to better, arcseconds. */
const ORDERS = [2, 3, 4, 5], ERROR_ARCSEC = 5e-5;
/** Places along each side at which the map is sampled. */
const GRID = 11;

/**
 * The WCS of lowest order that follows the map to 0.05 mas at every sampled place of the image, or of fifth order: a TAN
 * about the boresight, which is what a camera without distortion has; else a TAN-SIP whose reference point is the
 * image's middle, exactly.
 */
export function tanSipOf(map: SkyMap, width: number, height: number, boresight: readonly [number, number]): Wcs {
  const cx = (width - 1) / 2, cy = (height - 1) / 2, middle = map(cx, cy), half = Math.max(width, height) / 2;
  const about = (crval: readonly [number, number]): Place[] => samplesOf(map, width, height, crval, half);
  const plain = about(boresight), [xi, eta] = fitPolynomials(plain, 1);
  const tan = tanOf(xi, eta, boresight, [cx, cy], half);
  if (worstArcsec(tan, plain) < ERROR_ARCSEC) return tan;
  const crval = [middle.raDeg, middle.decDeg] as const, samples = about(crval);
  // The middle has to stay where it is: its weight leaves nothing to the constant term.
  samples.push({ x: cx, y: cy, sky: middle, u: 0, v: 0, value: [0, 0], weight: 1e12 });
  for (const order of ORDERS) {
    const wcs = wcsOf(fitPolynomials(samples, order), order, crval, [cx, cy], half);
    if (worstArcsec(wcs, samples) < ERROR_ARCSEC || order === ORDERS[ORDERS.length - 1]) return wcs;
  }
  throw new Error('no order of a distortion was tried');
}

type Place = Sample & Readonly<{ x: number; y: number; sky: ReturnType<SkyMap> }>;

/** A grid of places from edge to edge, projected about `crval`. */
function samplesOf(
  map: SkyMap, width: number, height: number, crval: readonly [number, number], half: number,
): Place[] {
  const cx = (width - 1) / 2, cy = (height - 1) / 2, places: Place[] = [];
  for (let j = 0; j < GRID; j++) {
    for (let i = 0; i < GRID; i++) {
      const x = (i / (GRID - 1)) * (width - 1), y = (j / (GRID - 1)) * (height - 1), sky = map(x, y);
      const { xi, eta } = skyToPlane(crval, sky.raDeg, sky.decDeg);
      places.push({ x, y, sky, u: (x - cx) / half, v: (y - cy) / half, value: [xi, eta], weight: 1 });
    }
  }
  return places;
}

function worstArcsec(wcs: Wcs, places: readonly Place[]): number {
  return places.reduce((most, { x, y, sky }) => {
    const at = pixelToSky(wcs, x, y);
    return Math.max(most, separationArcsec(at.raDeg, at.decDeg, sky.raDeg, sky.decDeg));
  }, 0);
}

/** Its reference pixel is where the plane is zero. */
function tanOf(
  xi: Float64Array, eta: Float64Array, crval: readonly [number, number], [cx, cy]: readonly [number, number],
  half: number,
): Wcs {
  const cd = [xi[1] / half, xi[2] / half, eta[1] / half, eta[2] / half] as const, [a, b, c, d] = cd;
  const determinant = a * d - b * c;
  return {
    crval, cd, sip: null,
    crpix: [cx - (d * xi[0] - b * eta[0]) / determinant, cy - (a * eta[0] - c * xi[0]) / determinant],
  };
}

/** From polynomials of (u, v) / half to CD and SIP in pixels. */
function wcsOf(
  [xi, eta]: readonly Float64Array[], order: number, crval: readonly [number, number], crpix: readonly [number, number],
  half: number,
): Wcs {
  const cd = [xi[1] / half, xi[2] / half, eta[1] / half, eta[2] / half] as const, [a, b, c, d] = cd;
  const determinant = a * d - b * c, side = order + 1;
  const sip: Sip = { order, a: new Array<number>(side * side).fill(0), b: new Array<number>(side * side).fill(0) };
  const [alongX, alongY] = [sip.a as number[], sip.b as number[]]; // Made here, and filled before anyone reads them.
  exponentsOf(order).forEach(([p, q], k) => {
    if (p + q < 2) return;
    const scale = half ** (p + q), x = xi[k] / scale, y = eta[k] / scale;
    alongX[p * side + q] = (d * x - b * y) / determinant;
    alongY[p * side + q] = (a * y - c * x) / determinant;
  });
  return { crval, crpix, cd, sip };
}
