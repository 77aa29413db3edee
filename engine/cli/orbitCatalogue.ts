/** The orbits of an instrument's nights: a product like any other, found by night or by digest. */
import { readFile } from 'node:fs/promises';
import type { Camera } from '../../schemas/camera.ts';
import { sha256 } from '../../schemas/commit.ts';
import type { DayObs } from '../../schemas/ids.ts';
import type { LocatedProduct, ProductCatalog } from '../archive/productCatalog.ts';
import { parseOrbitsInSteps } from '../ephemerides/orbitFile.ts';
import { inSteps, openKnownBodies, type KnownBodies } from '../stream/knownBodies.ts';

/** Bodies of a night by the orbits in force; null when the instrument has none. */
export async function bodiesOfNight(
  catalog: ProductCatalog, camera: Camera, dayObs: DayObs, note: (line: string) => void,
): Promise<KnownBodies | null> {
  const product = catalog.findOrbits(dayObs);
  if (!product) return null;
  const bodies = await openOrbits(product, camera, dayObs);
  if (bodies.lost.length > 0) {
    note(`${bodies.lost.length} orbits cannot be followed to this night, such as ${bodies.lost[0].designation}`);
  }
  return bodies;
}

/** For replays: by the digest that a commit recorded; the last night opened is kept. */
export function bodiesByDigest(
  catalog: ProductCatalog, camera: Camera, dayObs: DayObs,
): (digest: string) => Promise<KnownBodies> {
  let last: { digest: string; bodies: Promise<KnownBodies> } | null = null;
  return (digest) => {
    if (last?.digest === digest) return last.bodies;
    const product = catalog.byChecksum(digest);
    if (!product) throw new Error(`the orbits with digest ${digest} are not in the index of products any more`);
    last = { digest, bodies: openOrbits(product, camera, dayObs) };
    return last.bodies;
  };
}

async function openOrbits(product: LocatedProduct, camera: Camera, dayObs: DayObs): Promise<KnownBodies> {
  const bytes = await readFile(product.path), digest = sha256(bytes);
  if (digest !== product.checksum) {
    const [own, indexed] = [digest, product.checksum].map((hex) => hex.slice(0, 12));
    throw new Error(`${product.path} has SHA-256 ${own}…, the index says ${indexed}…`);
  }
  const { orbits, bad } = await inSteps(parseOrbitsInSteps(bytes.toString('utf8')));
  if (bad.length > 0) throw new Error(`${product.path}, line ${bad[0].line}: ${bad[0].reason}`);
  return openKnownBodies(orbits, digest, dayObs, camera.site ?? null);
}
