/** The ssSource of schema 11.0: what an orbit predicts for one diaSource, and how far off it lay. */
import type { DiaSource } from '../../schemas/diaRows.ts';
import type { SsSource } from '../../schemas/ssRows.ts';
import { RADIANS, type Vector } from './constants.ts';
import { toEcliptic } from './elements.ts';
import { DEFAULT_G, magnitudeHG } from './phase.ts';
import type { Apparition } from './predict.ts';

/** North galactic pole and galactic centre on the ICRS (Hipparcos catalogue, vol. 1, §1.5.3). */
const GALACTIC_POLE: Vector = [-0.867666149, -0.1980763734, 0.4559837762];
const GALACTIC_CENTRE: Vector = [-0.0548755604, -0.8734370902, -0.4838350155];

/** The body that a source was matched with. */
export type MatchedBody = Readonly<{
  ssObjectId: bigint; designation: string; h: number | null; g: number | null; seen: Apparition;
}>;

export type MatchedSource = Pick<DiaSource, 'diaSourceId' | 'ra' | 'dec'>;

/** @param distanceRank 1 when no other diaSource of the detector lies nearer to the prediction. */
export function ssSourceRow(source: MatchedSource, body: MatchedBody, distanceRank: number): SsSource {
  const { seen } = body, place = unitVector(source.ra, source.dec);
  const [eclLambda, eclBeta] = longitudeAndLatitude(toEcliptic(place));
  const [galLon, galLat] = longitudeAndLatitude(toGalactic(place));
  const [east, north] = offsetArcsec(source, seen);
  const rate = Math.hypot(seen.rateRaDegDay, seen.rateDecDegDay);
  const [alongEast, alongNorth] = rate === 0 ? [1, 0] : [seen.rateRaDegDay / rate, seen.rateDecDegDay / rate];
  const [hx, hy, hz] = seen.heliocentric, [hvx, hvy, hvz] = seen.heliocentricKmS;
  const [tx, ty, tz] = seen.topocentric, [tvx, tvy, tvz] = seen.topocentricKmS;
  return {
    diaSourceId: source.diaSourceId, ssObjectId: body.ssObjectId, designation: body.designation,
    eclLambda, eclBeta, galLon, galLat, elongation: seen.elongationDeg, phaseAngle: seen.phaseDeg,
    topoRange: seen.topoRangeAu, topoRangeRate: seen.topoRangeRateKmS,
    helioRange: seen.helioRangeAu, helioRangeRate: seen.helioRangeRateKmS,
    ephRa: seen.raDeg, ephDec: seen.decDeg, ephVmag: visualMagnitude(body),
    ephRate: rate, ephRateRa: seen.rateRaDegDay, ephRateDec: seen.rateDecDegDay,
    ephOffset: Math.hypot(east, north), ephOffsetRa: east, ephOffsetDec: north,
    ephOffsetAlongTrack: east * alongEast + north * alongNorth,
    ephOffsetCrossTrack: north * alongEast - east * alongNorth,
    helio_x: hx, helio_y: hy, helio_z: hz, helio_vx: hvx, helio_vy: hvy, helio_vz: hvz,
    helio_vtot: Math.hypot(hvx, hvy, hvz),
    topo_x: tx, topo_y: ty, topo_z: tz, topo_vx: tvx, topo_vy: tvy, topo_vz: tvz,
    topo_vtot: Math.hypot(tvx, tvy, tvz),
    diaDistanceRank: distanceRank,
  };
}

/** V magnitude by H and G; null without H. */
export function visualMagnitude({ h, g, seen }: Pick<MatchedBody, 'h' | 'g' | 'seen'>): number | null {
  if (h === null) return null;
  const mag = magnitudeHG(h, g ?? DEFAULT_G, seen.helioRangeAu, seen.topoRangeAu, seen.phaseDeg);
  return Number.isFinite(mag) ? mag : null; // The system ends before 180°.
}

/** Source minus prediction on the plane that touches the sky at the prediction: east, north. */
function offsetArcsec(source: MatchedSource, { raDeg, decDeg }: Apparition): readonly [number, number] {
  const [x, y, z] = unitVector(source.ra, source.dec);
  const cosRa = Math.cos(raDeg * RADIANS), sinRa = Math.sin(raDeg * RADIANS);
  const cosDec = Math.cos(decDeg * RADIANS), sinDec = Math.sin(decDeg * RADIANS);
  const along = cosDec * (cosRa * x + sinRa * y) + sinDec * z;
  const east = (cosRa * y - sinRa * x) / along, north = (cosDec * z - sinDec * (cosRa * x + sinRa * y)) / along;
  return [(east / RADIANS) * 3600, (north / RADIANS) * 3600];
}

function toGalactic(place: Vector): Vector {
  const [px, py, pz] = GALACTIC_POLE, [cx, cy, cz] = GALACTIC_CENTRE;
  const ninety: Vector = [py * cz - pz * cy, pz * cx - px * cz, px * cy - py * cx];
  return [dot(GALACTIC_CENTRE, place), dot(ninety, place), dot(GALACTIC_POLE, place)];
}

/** Degrees: longitude 0 … 360. */
function longitudeAndLatitude([x, y, z]: Vector): readonly [number, number] {
  const longitude = Math.atan2(y, x) / RADIANS;
  return [longitude < 0 ? longitude + 360 : longitude, Math.atan2(z, Math.hypot(x, y)) / RADIANS];
}

function unitVector(raDeg: number, decDeg: number): Vector {
  const cosDec = Math.cos(decDeg * RADIANS);
  return [cosDec * Math.cos(raDeg * RADIANS), cosDec * Math.sin(raDeg * RADIANS), Math.sin(decDeg * RADIANS)];
}

function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
