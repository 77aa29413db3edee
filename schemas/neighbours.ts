/**
 * The catalogued stars and galaxies nearest to an alert (DMS-REQ-0271): beside the packet, because alert schema 11.0
 * has no field for them.
 */

/** An entry of the object catalogue as seen from an alert. */
export type Neighbour = Readonly<{
  objectId: bigint;
  /** From the diaSource, arcsec, and the direction to it, degrees east of north. */
  distanceArcsec: number; positionAngleDeg: number;
  /** AB magnitude in r; null where the catalogue has none. */
  rMag: number | null;
  /** Half-light radius, arcsec; null of stars, and where the catalogue has none. */
  radiusArcsec: number | null;
}>;

/** At most `NEIGHBOURS_MAX` of each within `NEIGHBOUR_RADIUS_ARCSEC`, nearest first; equal ones by objectId. */
export type Neighbours = Readonly<{ stars: readonly Neighbour[]; galaxies: readonly Neighbour[] }>;

export const NEIGHBOURS_MAX = 3;
export const NEIGHBOUR_RADIUS_ARCSEC = 60;

/** Numbers of a neighbour that are kept as float32, in this order. */
const NUMBERS = ['distanceArcsec', 'positionAngleDeg', 'rMag', 'radiusArcsec'] as const;
const ENTRY_BYTES = 8 + 4 * NUMBERS.length;
const VERSION = 1;
const HEADER_BYTES = 8;

/** Bytes of every encoded set: the same for all, so that a file of them needs no index. */
export const NEIGHBOURS_BYTES = HEADER_BYTES + 2 * NEIGHBOURS_MAX * ENTRY_BYTES;

/**
 * Little-endian: version, count of stars, count of galaxies (a byte each), five zero bytes; then three places of stars
 * and three of galaxies: objectId int64, distance, position angle, r magnitude and half-light radius float32 (NaN where
 * there is none); places not taken are zero. Values are rounded to the nearest float32.
 *
 * @throws Error when there are more than three of a kind.
 */
export function encodeNeighbours({ stars, galaxies }: Neighbours): Buffer {
  if (stars.length > NEIGHBOURS_MAX || galaxies.length > NEIGHBOURS_MAX) {
    throw new Error(`${stars.length} stars and ${galaxies.length} galaxies are too many neighbours`);
  }
  const bytes = Buffer.alloc(NEIGHBOURS_BYTES);
  bytes.set([VERSION, stars.length, galaxies.length]);
  [stars, galaxies].forEach((list, kind) => list.forEach((each, i) => {
    const at = HEADER_BYTES + ENTRY_BYTES * (NEIGHBOURS_MAX * kind + i);
    bytes.writeBigInt64LE(each.objectId, at);
    NUMBERS.forEach((name, k) => bytes.writeFloatLE(each[name] ?? NaN, at + 8 + 4 * k));
  }));
  return bytes;
}

/** @throws Error of one line when the bytes are none of `encodeNeighbours`. */
export function decodeNeighbours(bytes: Uint8Array): Neighbours {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const [version, starCount, galaxyCount] = view;
  const isSound = view.length === NEIGHBOURS_BYTES && version === VERSION && starCount <= NEIGHBOURS_MAX
    && galaxyCount <= NEIGHBOURS_MAX;
  if (!isSound) throw new Error(`${view.length} bytes are no neighbours of version ${VERSION}`);
  const list = (kind: number, count: number): Neighbour[] => Array.from({ length: count }, (_, i) => {
    const at = HEADER_BYTES + ENTRY_BYTES * (NEIGHBOURS_MAX * kind + i);
    const [distanceArcsec, positionAngleDeg, rMag, radiusArcsec] = NUMBERS
      .map((_name, k) => view.readFloatLE(at + 8 + 4 * k));
    return {
      objectId: view.readBigInt64LE(at), distanceArcsec, positionAngleDeg,
      rMag: Number.isNaN(rMag) ? null : rMag, radiusArcsec: Number.isNaN(radiusArcsec) ? null : radiusArcsec,
    };
  });
  return { stars: list(0, starCount), galaxies: list(1, galaxyCount) };
}

/** One line of JSON for people and programs: ids are decimal strings, distances to 1 mas, angles to 0.1°. */
export function neighboursJson(neighbours: Neighbours): string {
  const told = ({ objectId, distanceArcsec, positionAngleDeg, rMag, radiusArcsec }: Neighbour) => ({
    objectId: String(objectId), distanceArcsec: rounded(distanceArcsec, 3),
    positionAngleDeg: rounded(positionAngleDeg, 1), rMag: rounded(rMag, 3), radiusArcsec: rounded(radiusArcsec, 3),
  });
  return JSON.stringify({ stars: neighbours.stars.map(told), galaxies: neighbours.galaxies.map(told) });
}

function rounded(value: number | null, digits: number): number | null {
  return value === null ? null : Number(value.toFixed(digits));
}

/** Neighbours as `neighboursJson` writes them, of a message's header; null when it is absent or no such text. */
export function parseNeighbours(text: string | null | undefined): Neighbours | null {
  if (text === null || text === undefined || text === '') return null;
  try {
    // Looked at below.
    const told = JSON.parse(text) as Record<keyof Neighbours, readonly Record<keyof Neighbour, unknown>[]>;
    const list = (kind: keyof Neighbours): Neighbour[] => told[kind].slice(0, NEIGHBOURS_MAX).map((each) => ({
      objectId: BigInt(each.objectId as string), distanceArcsec: number(each.distanceArcsec),
      positionAngleDeg: number(each.positionAngleDeg),
      rMag: each.rMag === null ? null : number(each.rMag),
      radiusArcsec: each.radiusArcsec === null ? null : number(each.radiusArcsec),
    }));
    return { stars: list('stars'), galaxies: list('galaxies') };
  } catch {
    return null; // Of another hand: what cannot be read is not there.
  }
}

function number(value: unknown): number {
  if (typeof value !== 'number') throw new Error('a neighbour without a number');
  return value;
}
