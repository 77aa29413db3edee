/** An object's place, degrees. */
export type ObjectPlace = Readonly<{ diaObjectId: bigint; ra: number; dec: number }>;

/** Two objects that may be one; the first has the lower id. */
export type ObjectPair = Readonly<{ first: bigint; second: bigint; separationArcsec: number }>;

const RAD = Math.PI / 180;

/**
 * Pairs of objects within a radius, nearest first. Each is compared with those behind it in declination as far as the
 * radius reaches, whatever their right ascension: there is no seam, and a million objects over a tenth of the sky have
 * some eight each to look at.
 *
 * @throws when the radius is not above 0 and at most 60″.
 */
export function closePairs(objects: readonly ObjectPlace[], radiusArcsec: number): ObjectPair[] {
  if (!(radiusArcsec > 0 && radiusArcsec <= 60)) throw new Error(`a radius of ${radiusArcsec}″ is not in 0 … 60″`);
  const byDec = [...objects].sort((a, b) => a.dec - b.dec);
  const reachDeg = radiusArcsec / 3600 + 1e-9; // Against rounding of the difference.
  const pairs: ObjectPair[] = [];
  for (let i = 0; i < byDec.length; i++) {
    const a = byDec[i];
    for (let j = i + 1; j < byDec.length && byDec[j].dec - a.dec <= reachDeg; j++) {
      const b = byDec[j];
      const separationArcsec = arcsecBetween(a, b);
      if (separationArcsec > radiusArcsec) continue;
      const [first, second] = a.diaObjectId < b.diaObjectId ? [a, b] : [b, a];
      pairs.push({ first: first.diaObjectId, second: second.diaObjectId, separationArcsec });
    }
  }
  return pairs.sort((a, b) => a.separationArcsec - b.separationArcsec || (a.first < b.first ? -1 : 1));
}

function arcsecBetween(a: ObjectPlace, b: ObjectPlace): number {
  const sinDec = Math.sin(((b.dec - a.dec) * RAD) / 2), sinRa = Math.sin(((b.ra - a.ra) * RAD) / 2);
  const h = sinDec * sinDec + Math.cos(a.dec * RAD) * Math.cos(b.dec * RAD) * sinRa * sinRa;
  return (2 * Math.asin(Math.min(1, Math.sqrt(h))) * 3600) / RAD;
}
