/**
 * Positions on the sky and their errors, in local tangent planes, so that neither RA = 0 nor the poles are special.
 *
 * `raErr` and `decErr` are standard errors along east and north on the sky (degrees of arc; the first is that of
 * RA × cos dec), and `ra_dec_Cov` is their covariance. That is how Rubin fills these fields: its pixel errors are carried
 * to the sky by tangent-plane offsets (lsst/afw SkyWcs::linearizePixelToSky).
 */
export type SkyPosition = Readonly<{
  ra: number; dec: number; raErr: number | null; decErr: number | null; ra_dec_Cov: number | null;
}>;

/** Symmetric covariance of an offset (east, north), arcsec². */
export type Covariance = Readonly<{ ee: number; nn: number; en: number }>;

/** Unit vectors at a point of the sky: towards it, and the directions of east and north there. */
export type LocalFrame = Readonly<{ toward: Vector; east: Vector; north: Vector }>;
type Vector = readonly [number, number, number];

export type ErrorModel = Readonly<{ sigmaFloorArcsec: number; sigmaFallbackArcsec: number }>;

export const ARCSEC_PER_DEGREE = 3600;
const ARCSEC_PER_RADIAN = (180 / Math.PI) * ARCSEC_PER_DEGREE;
const RADIANS_PER_DEGREE = Math.PI / 180;

/** @param raDeg any number of turns; @param decDeg −90 … 90. At a pole, RA tells where east is. */
export function localFrame(raDeg: number, decDeg: number): LocalFrame {
  const cosRa = Math.cos(raDeg * RADIANS_PER_DEGREE);
  const sinRa = Math.sin(raDeg * RADIANS_PER_DEGREE);
  const cosDec = Math.cos(decDeg * RADIANS_PER_DEGREE);
  const sinDec = Math.sin(decDeg * RADIANS_PER_DEGREE);
  return {
    toward: [cosDec * cosRa, cosDec * sinRa, sinDec],
    east: [-sinRa, cosRa, 0],
    north: [-sinDec * cosRa, -sinDec * sinRa, cosDec],
  };
}

/** Great-circle separation, arcsec, from the chord: exact to 1e-9″ where a cosine would lose all digits. */
export function separationArcsec(a: LocalFrame, b: LocalFrame): number {
  const chord = Math.hypot(
    a.toward[0] - b.toward[0], a.toward[1] - b.toward[1], a.toward[2] - b.toward[2],
  );
  return 2 * Math.asin(Math.min(1, chord / 2)) * ARCSEC_PER_RADIAN;
}

/** Offset of `to` from `from` in the tangent plane at `from`, arcsec. Meant for separations of arcseconds. */
export function offsetArcsec(from: LocalFrame, to: LocalFrame): readonly [east: number, north: number] {
  const dx = to.toward[0] - from.toward[0];
  const dy = to.toward[1] - from.toward[1];
  const dz = to.toward[2] - from.toward[2];
  return [
    (dx * from.east[0] + dy * from.east[1] + dz * from.east[2]) * ARCSEC_PER_RADIAN,
    (dx * from.north[0] + dy * from.north[1] + dz * from.north[2]) * ARCSEC_PER_RADIAN,
  ];
}

/**
 * Covariance of a position in its own frame, arcsec², with the floor applied along the axes of the error ellipse: no
 * direction is better known than the floor, and the result can always be inverted. Without both errors it is the
 * round fallback; without a covariance the two are taken as independent.
 */
export function covarianceOf(position: SkyPosition, model: ErrorModel): Covariance {
  const { raErr, decErr, ra_dec_Cov } = position;
  const fallback = model.sigmaFallbackArcsec ** 2;
  if (raErr === null || decErr === null) return { ee: fallback, nn: fallback, en: 0 };
  const ee = (raErr * ARCSEC_PER_DEGREE) ** 2;
  const nn = (decErr * ARCSEC_PER_DEGREE) ** 2;
  const en = (ra_dec_Cov ?? 0) * ARCSEC_PER_DEGREE ** 2;
  return withEigenvaluesAtLeast({ ee, nn, en }, model.sigmaFloorArcsec ** 2);
}

/** The covariance as seen in another frame; they differ by the convergence of the meridians. */
export function inFrame(covariance: Covariance, own: LocalFrame, other: LocalFrame): Covariance {
  const a = dot(other.east, own.east);
  const b = dot(other.east, own.north);
  const c = dot(other.north, own.east);
  const d = dot(other.north, own.north);
  const { ee, nn, en } = covariance;
  return {
    ee: a * a * ee + 2 * a * b * en + b * b * nn,
    nn: c * c * ee + 2 * c * d * en + d * d * nn,
    en: a * c * ee + (a * d + b * c) * en + b * d * nn,
  };
}

/**
 * Error-weighted mean of positions within arcseconds of each other: the generalized least-squares mean, weights being
 * the inverse covariances, which for independent axes is the inverse-variance mean of each. Summed in index order in
 * the tangent plane of the first. One position gives itself. The errors are null when no position came with errors.
 *
 * @param positions [count × stride] row-major: each row holds ra, dec, raErr, decErr [degrees], ra_dec_Cov [degrees²]
 *   from `place` on; NaN is "not known". Read only.
 */
export function meanPosition(
  positions: Float64Array, count: number, stride: number, place: number, model: ErrorModel,
): SkyPosition {
  const origin = localFrame(positions[place], positions[place + 1]);
  const [x0, y0, z0] = origin.toward, [eastX, eastY] = origin.east, [northX, northY, northZ] = origin.north;
  let wee = 0, wnn = 0, wen = 0, sumEast = 0, sumNorth = 0;
  let isMeasured = false;
  // The frames, covariances and inverses of the functions below, without an object for each: this is a third of the
  // time of an association.
  for (let i = 0; i < count; i++) {
    const at = i * stride + place;
    if (positions[at + 2] >= 0 && positions[at + 3] >= 0) isMeasured = true;
    readCovariance(positions, at, model);
    const ee = covarianceRead[0], nn = covarianceRead[1], en = covarianceRead[2];
    const ra = positions[at] * RADIANS_PER_DEGREE, dec = positions[at + 1] * RADIANS_PER_DEGREE;
    const cosRa = Math.cos(ra), sinRa = Math.sin(ra), cosDec = Math.cos(dec), sinDec = Math.sin(dec);
    const dx = cosDec * cosRa - x0, dy = cosDec * sinRa - y0, dz = sinDec - z0;
    const east = (dx * eastX + dy * eastY) * ARCSEC_PER_RADIAN;
    const north = (dx * northX + dy * northY + dz * northZ) * ARCSEC_PER_RADIAN;
    // Directions of east and north at the point, seen in the frame of the first.
    const a = eastY * cosRa - eastX * sinRa, b = -sinDec * (eastX * cosRa + eastY * sinRa);
    const c = northY * cosRa - northX * sinRa;
    const d = northZ * cosDec - sinDec * (northX * cosRa + northY * sinRa);
    const ownEe = a * a * ee + 2 * a * b * en + b * b * nn;
    const ownNn = c * c * ee + 2 * c * d * en + d * d * nn;
    const ownEn = a * c * ee + (a * d + b * c) * en + b * d * nn;
    const determinant = ownEe * ownNn - ownEn * ownEn;
    const weightEe = ownNn / determinant, weightNn = ownEe / determinant, weightEn = -ownEn / determinant;
    wee += weightEe;
    wnn += weightNn;
    wen += weightEn;
    sumEast += weightEe * east + weightEn * north;
    sumNorth += weightEn * east + weightNn * north;
  }
  const covariance = inverse({ ee: wee, nn: wnn, en: wen });
  const { ra, dec } = count === 1 ? { ra: positions[place], dec: positions[place + 1] } : movedBy(
    origin,
    covariance.ee * sumEast + covariance.en * sumNorth,
    covariance.en * sumEast + covariance.nn * sumNorth,
  );
  if (!isMeasured) return { ra, dec, raErr: null, decErr: null, ra_dec_Cov: null };
  const there = inFrame(covariance, origin, localFrame(ra, dec));
  return {
    ra, dec,
    raErr: Math.sqrt(there.ee) / ARCSEC_PER_DEGREE,
    decErr: Math.sqrt(there.nn) / ARCSEC_PER_DEGREE,
    ra_dec_Cov: there.en / ARCSEC_PER_DEGREE ** 2,
  };
}

/** ee, nn and en of the position that was read last: no object for each of the 300,000 of a visit. */
const covarianceRead = new Float64Array(3);

/** `covarianceOf` from columns, into `covarianceRead`; NaN is "not known". */
function readCovariance(positions: Float64Array, at: number, model: ErrorModel): void {
  const raErr = positions[at + 2], decErr = positions[at + 3], covariance = positions[at + 4];
  const floor = model.sigmaFloorArcsec ** 2;
  let ee = model.sigmaFallbackArcsec ** 2, nn = ee, en = 0;
  if (!Number.isNaN(raErr) && !Number.isNaN(decErr)) {
    ee = (raErr * ARCSEC_PER_DEGREE) ** 2;
    nn = (decErr * ARCSEC_PER_DEGREE) ** 2;
    if (Number.isNaN(covariance) || covariance === 0) {
      ee = Math.max(ee, floor);
      nn = Math.max(nn, floor);
    } else {
      en = covariance * ARCSEC_PER_DEGREE ** 2;
      if ((ee + nn) / 2 - Math.hypot((ee - nn) / 2, en) < floor) {
        ({ ee, nn, en } = withEigenvaluesAtLeast({ ee, nn, en }, floor));
      }
    }
  }
  covarianceRead[0] = ee;
  covarianceRead[1] = nn;
  covarianceRead[2] = en;
}

/** Inverse of a symmetric matrix whose determinant is positive. */
export function inverse({ ee, nn, en }: Covariance): Covariance {
  const determinant = ee * nn - en * en;
  return { ee: nn / determinant, nn: ee / determinant, en: -en / determinant };
}

function movedBy(from: LocalFrame, eastArcsec: number, northArcsec: number): { ra: number; dec: number } {
  const east = eastArcsec / ARCSEC_PER_RADIAN;
  const north = northArcsec / ARCSEC_PER_RADIAN;
  const x = from.toward[0] + east * from.east[0] + north * from.north[0];
  const y = from.toward[1] + east * from.east[1] + north * from.north[1];
  const z = from.toward[2] + east * from.east[2] + north * from.north[2];
  const ra = Math.atan2(y, x) / RADIANS_PER_DEGREE;
  // The second test: a tiny negative angle plus 360 rounds to 360 itself.
  const wrapped = ra < 0 ? ra + 360 : ra;
  return { ra: wrapped >= 360 ? 0 : wrapped, dec: Math.atan2(z, Math.hypot(x, y)) / RADIANS_PER_DEGREE };
}

/** Raises the eigenvalues of a symmetric matrix to at least `floor`, keeping its axes. */
function withEigenvaluesAtLeast(matrix: Covariance, floor: number): Covariance {
  const { ee, nn, en } = matrix;
  if (en === 0) return { ee: Math.max(ee, floor), nn: Math.max(nn, floor), en };
  const middle = (ee + nn) / 2;
  const half = Math.hypot((ee - nn) / 2, en);
  if (middle - half >= floor) return matrix;
  const high = Math.max(middle + half, floor);
  // M = middle·1 + half·A, where A has eigenvalues ±1; the same A serves the raised eigenvalues.
  const newMiddle = (high + floor) / 2;
  const scale = (high - floor) / 2 / half;
  return { ee: newMiddle + (scale * (ee - nn)) / 2, nn: newMiddle - (scale * (ee - nn)) / 2, en: scale * en };
}

function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
