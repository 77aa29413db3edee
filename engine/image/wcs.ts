/**
 * World coordinates of an image: gnomonic (TAN) projection with an optional SIP distortion.
 *
 * Calabretta & Greisen (2002, FITS WCS Paper II) for TAN; Shupe et al. (2005) for SIP. Pixels are 0-based, pixel (0, 0)
 * the centre of the first; CRPIX is 1-based in FITS cards only. Sky in degrees, ICRS.
 */
import { pixelScaleArcsec as cameraPixelScaleArcsec, type Camera, type Detector } from '../../schemas/camera.ts';
import { cardValue, numberCard, stringCard, type FitsCard, type FitsHeader } from './fitsHeader.ts';

/**
 * Distortion polynomials: u' = u + Σ a[p, q] uᵖ v^q, v' = v + Σ b[p, q] uᵖ v^q, with (u, v) pixels from the reference
 * point. The coefficient of uᵖ v^q is at p × (order + 1) + q; those with p + q < 2 or > order are zero.
 */
export type Sip = Readonly<{ order: number; a: readonly number[]; b: readonly number[] }>;

export type Wcs = Readonly<{
  /** Sky position of the reference point: right ascension, declination; degrees. */
  crval: readonly [number, number];
  /** 0-based pixel of the reference point. */
  crpix: readonly [number, number];
  /** CD1_1, CD1_2, CD2_1, CD2_2; degrees per pixel. */
  cd: readonly [number, number, number, number];
  sip: Sip | null;
}>;

const DEG = Math.PI / 180;
/**
 * Newton's steps for the inverse of a distortion: each squares the error, so 8 pass double precision from any real
 * optics.
 */
const SIP_INVERSE_STEPS = 8;

/** Sky position of a pixel; right ascension in [0, 360). */
export function pixelToSky(wcs: Wcs, x: number, y: number): { raDeg: number; decDeg: number } {
  let u = x - wcs.crpix[0], v = y - wcs.crpix[1];
  if (wcs.sip) ({ u, v } = distorted(wcs.sip, u, v));
  return planeToSky(wcs.crval, wcs.cd[0] * u + wcs.cd[1] * v, wcs.cd[2] * u + wcs.cd[3] * v);
}

/** Pixel of a sky position; both NaN when it lies 90° or more from the reference point. */
export function skyToPixel(wcs: Wcs, raDeg: number, decDeg: number): { x: number; y: number } {
  const { xi, eta } = skyToPlane(wcs.crval, raDeg, decDeg);
  const [a, b, c, d] = wcs.cd;
  const determinant = a * d - b * c;
  let u = (d * xi - b * eta) / determinant, v = (a * eta - c * xi) / determinant;
  if (wcs.sip) ({ u, v } = undistorted(wcs.sip, u, v));
  return { x: u + wcs.crpix[0], y: v + wcs.crpix[1] };
}

/**
 * Gnomonic projection of a sky position about `crval`: ξ east, η north, degrees. NaN behind the tangent plane.
 * The forms with both sines and cosines lose no precision at the poles.
 */
export function skyToPlane(
  crval: readonly [number, number], raDeg: number, decDeg: number,
): { xi: number; eta: number } {
  const deltaRa = (raDeg - crval[0]) * DEG;
  const sin0 = Math.sin(crval[1] * DEG), cos0 = Math.cos(crval[1] * DEG);
  const sin = Math.sin(decDeg * DEG), cos = Math.cos(decDeg * DEG);
  const toward = sin * sin0 + cos * cos0 * Math.cos(deltaRa);
  if (!(toward > 0)) return { xi: NaN, eta: NaN };
  return {
    xi: (cos * Math.sin(deltaRa)) / toward / DEG,
    eta: (cos0 * sin - sin0 * cos * Math.cos(deltaRa)) / toward / DEG,
  };
}

/** Inverse of `skyToPlane`. */
export function planeToSky(
  crval: readonly [number, number], xi: number, eta: number,
): { raDeg: number; decDeg: number } {
  const sin0 = Math.sin(crval[1] * DEG), cos0 = Math.cos(crval[1] * DEG);
  const x = xi * DEG, y = eta * DEG;
  const meridian = cos0 - y * sin0;
  const raDeg = crval[0] + Math.atan2(x, meridian) / DEG;
  return { raDeg: wrapDeg(raDeg), decDeg: Math.atan2(sin0 + y * cos0, Math.hypot(x, meridian)) / DEG };
}

/** Right ascension in [0, 360). */
export function wrapDeg(raDeg: number): number {
  const wrapped = raDeg - 360 * Math.floor(raDeg / 360);
  return wrapped >= 360 ? 0 : wrapped; // A tiny negative angle rounds up to 360 itself.
}

/** Angle between two sky positions, arcseconds (haversine: exact for small angles). */
export function separationArcsec(ra1Deg: number, dec1Deg: number, ra2Deg: number, dec2Deg: number): number {
  const sinDec = Math.sin(((dec2Deg - dec1Deg) * DEG) / 2), sinRa = Math.sin(((ra2Deg - ra1Deg) * DEG) / 2);
  const h = sinDec * sinDec + Math.cos(dec1Deg * DEG) * Math.cos(dec2Deg * DEG) * sinRa * sinRa;
  return (2 * Math.asin(Math.min(1, Math.sqrt(h))) / DEG) * 3600;
}

/** Side of the square of a pixel's area at the reference point, arcseconds. */
export function pixelScaleArcsec(wcs: Wcs): number {
  return Math.sqrt(Math.abs(wcs.cd[0] * wcs.cd[3] - wcs.cd[1] * wcs.cd[2])) * 3600;
}

/** Position angle of the image's +y axis, degrees east of north, [0, 360): the camera angle of `schemas/camera.ts`. */
export function positionAngleDeg(wcs: Wcs): number {
  return wrapDeg(Math.atan2(wcs.cd[1], wcs.cd[3]) / DEG);
}

/**
 * WCS of a detector from where the telescope was told to point; conventions of `schemas/camera.ts`. A radial distortion
 * is a SIP of fifth order about the boresight, exactly.
 */
export function nominalWcs(
  camera: Camera, detector: Detector, boresightRaDeg: number, boresightDecDeg: number, cameraAngleDeg: number,
): Wcs {
  const scaleDeg = cameraPixelScaleArcsec(camera) / 3600;
  const cos = Math.cos(cameraAngleDeg * DEG), sin = Math.sin(cameraAngleDeg * DEG);
  const [turnCos, turnSin] = QUARTER_TURNS[detector.quarterTurns ?? 0], [centreX, centreY] = detector.centerMm;
  // The focal plane's axes on the sky times the detector's axes on the focal plane.
  const [a, b, c, d] = [-scaleDeg * cos, scaleDeg * sin, scaleDeg * sin, scaleDeg * cos];
  return {
    crval: [wrapDeg(boresightRaDeg), boresightDecDeg],
    crpix: [
      (detector.width - 1) / 2 - (centreX * turnCos + centreY * turnSin) / camera.pixelSizeMm,
      (detector.height - 1) / 2 - (centreY * turnCos - centreX * turnSin) / camera.pixelSizeMm,
    ],
    cd: [a * turnCos + b * turnSin, b * turnCos - a * turnSin, c * turnCos + d * turnSin, d * turnCos - c * turnSin],
    sip: camera.distortion === undefined ? null : radialSip(camera.distortion, scaleDeg * DEG),
  };
}

/** Cosine and sine of each number of quarter turns. */
const QUARTER_TURNS: readonly (readonly [number, number])[] = [[1, 0], [0, 1], [-1, 0], [0, -1]];

/** u (1 + k₁ p² + k₂ p⁴) with p = scale × |(u, v)|, and so for v. */
function radialSip([k1, k2]: readonly [number, number], scale: number): Sip {
  const order = 5, a = new Array<number>((order + 1) ** 2).fill(0), b = a.slice();
  const cubic = k1 * scale ** 2, quintic = k2 * scale ** 4;
  for (const [p, q, value] of [[3, 0, cubic], [1, 2, cubic], [5, 0, quintic], [3, 2, 2 * quintic], [1, 4, quintic]]) {
    a[p * (order + 1) + q] = value;
    b[q * (order + 1) + p] = value;
  }
  return { order, a, b };
}

/** The same sky on an image that begins at pixel (x0, y0) of this one: a cutout's WCS. */
export function shiftedWcs(wcs: Wcs, x0: number, y0: number): Wcs {
  return { ...wcs, crpix: [wcs.crpix[0] - x0, wcs.crpix[1] - y0] };
}

/**
 * TAN approximation about a pixel: its sky position as reference and the WCS's derivatives there. Exact to second
 * order.
 */
export function localTanWcs(wcs: Wcs, x: number, y: number): Wcs {
  const { raDeg, decDeg } = pixelToSky(wcs, x, y);
  const crval = [raDeg, decDeg] as const;
  const at = (dx: number, dy: number) => {
    const sky = pixelToSky(wcs, x + dx, y + dy);
    return skyToPlane(crval, sky.raDeg, sky.decDeg);
  };
  const right = at(1, 0), left = at(-1, 0), up = at(0, 1), down = at(0, -1);
  return {
    crval, crpix: [x, y], sip: null,
    cd: [(right.xi - left.xi) / 2, (up.xi - down.xi) / 2, (right.eta - left.eta) / 2, (up.eta - down.eta) / 2],
  };
}

function distorted(sip: Sip, u: number, v: number): { u: number; v: number } {
  return { u: u + polynomial(sip.a, sip.order, u, v), v: v + polynomial(sip.b, sip.order, u, v) };
}

/** Newton's method on both axes, with derivatives by central differences of half a pixel, exact enough to converge. */
function undistorted(sip: Sip, uTarget: number, vTarget: number): { u: number; v: number } {
  let u = uTarget, v = vTarget;
  for (let step = 0; step < SIP_INVERSE_STEPS; step++) {
    const here = distorted(sip, u, v);
    const errorU = here.u - uTarget, errorV = here.v - vTarget;
    if (Math.abs(errorU) + Math.abs(errorV) < 1e-11) break;
    const right = distorted(sip, u + 0.5, v), left = distorted(sip, u - 0.5, v);
    const up = distorted(sip, u, v + 0.5), down = distorted(sip, u, v - 0.5);
    const uu = right.u - left.u, uv = up.u - down.u, vu = right.v - left.v, vv = up.v - down.v;
    const determinant = uu * vv - uv * vu;
    u -= (vv * errorU - uv * errorV) / determinant;
    v -= (uu * errorV - vu * errorU) / determinant;
  }
  return { u, v };
}

/** Σ c[p, q] uᵖ v^q by Horner's scheme in both. */
function polynomial(c: readonly number[], order: number, u: number, v: number): number {
  let sum = 0;
  for (let p = order; p >= 0; p--) {
    let inner = 0;
    for (let q = order - p; q >= 0; q--) inner = inner * v + c[p * (order + 1) + q];
    sum = sum * u + inner;
  }
  return sum;
}

/** FITS cards of a WCS (CRPIX 1-based there). */
export function wcsToCards(wcs: Wcs): FitsCard[] {
  const suffix = wcs.sip ? '-SIP' : '';
  const cards: FitsCard[] = [
    ['CTYPE1', `RA---TAN${suffix}`], ['CTYPE2', `DEC--TAN${suffix}`], ['CUNIT1', 'deg'], ['CUNIT2', 'deg'],
    ['CRVAL1', wcs.crval[0]], ['CRVAL2', wcs.crval[1]], ['CRPIX1', wcs.crpix[0] + 1], ['CRPIX2', wcs.crpix[1] + 1],
    ['CD1_1', wcs.cd[0]], ['CD1_2', wcs.cd[1]], ['CD2_1', wcs.cd[2]], ['CD2_2', wcs.cd[3]], ['RADESYS', 'ICRS'],
  ];
  if (wcs.sip) {
    cards.push(...sipCards('A', wcs.sip.order, wcs.sip.a), ...sipCards('B', wcs.sip.order, wcs.sip.b));
  }
  return cards;
}

function sipCards(letter: 'A' | 'B', order: number, coefficients: readonly number[]): FitsCard[] {
  const cards: FitsCard[] = [[`${letter}_ORDER`, order]];
  for (let p = 0; p <= order; p++) {
    for (let q = 0; q <= order - p; q++) {
      const value = coefficients[p * (order + 1) + q];
      if (value !== 0) cards.push([`${letter}_${p}_${q}`, value]);
    }
  }
  return cards;
}

/**
 * WCS of a header: TAN or TAN-SIP with CD, PC + CDELT or CDELT + CROTA2 (Paper II, §6.1).
 *
 * @returns null when the header has no celestial WCS, has one of another projection, or a singular one.
 */
export function wcsFromHeader(header: FitsHeader): Wcs | null {
  const type = stringCard(header, 'CTYPE1') ?? '';
  const [ra, dec, px, py] = ['CRVAL1', 'CRVAL2', 'CRPIX1', 'CRPIX2'].map((keyword) => numberCard(header, keyword));
  if (!/^RA---TAN(-SIP)?$/.test(type) || ra === null || dec === null || px === null || py === null) return null;
  const cd = cdMatrix(header);
  if (cd === null || !(Math.abs(cd[0] * cd[3] - cd[1] * cd[2]) > 0)) return null;
  return { crval: [wrapDeg(ra), dec], crpix: [px - 1, py - 1], cd, sip: sipFromHeader(header) };
}

function cdMatrix(header: FitsHeader): [number, number, number, number] | null {
  const of = (keyword: string) => numberCard(header, keyword);
  if (['CD1_1', 'CD1_2', 'CD2_1', 'CD2_2'].some((keyword) => cardValue(header, keyword) !== undefined)) {
    return [of('CD1_1') ?? 0, of('CD1_2') ?? 0, of('CD2_1') ?? 0, of('CD2_2') ?? 0];
  }
  const step1 = of('CDELT1'), step2 = of('CDELT2');
  if (step1 === null || step2 === null) return null;
  const rotation = of('CROTA2');
  if (rotation !== null) {
    const cos = Math.cos(rotation * DEG), sin = Math.sin(rotation * DEG);
    return [step1 * cos, -step2 * sin, step1 * sin, step2 * cos];
  }
  return [step1 * (of('PC1_1') ?? 1), step1 * (of('PC1_2') ?? 0), step2 * (of('PC2_1') ?? 0),
    step2 * (of('PC2_2') ?? 1)];
}

function sipFromHeader(header: FitsHeader): Sip | null {
  const orderA = numberCard(header, 'A_ORDER'), orderB = numberCard(header, 'B_ORDER');
  if (orderA === null || orderB === null) return null;
  const order = Math.max(orderA, orderB);
  const read = (letter: string) => {
    const values = new Array<number>((order + 1) ** 2).fill(0);
    for (let p = 0; p <= order; p++) {
      for (let q = 0; q <= order - p; q++) values[p * (order + 1) + q] = numberCard(header, `${letter}_${p}_${q}`) ?? 0;
    }
    return values;
  };
  return { order, a: read('A'), b: read('B') };
}
