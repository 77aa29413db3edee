/**
 * Are cones found by pixel ranges as fast as by q3c (Koposov & Bartunov 2006), astronomers' index for Postgres?
 * The same objects, the same connection, the same columns to the client; the two must find the same objects.
 *
 *     node bench/cone.ts [--objects N] [--cones N] [--seed N] [--json]
 *
 * q3c is Debian's `postgresql-15-q3c`. Minimum, median and 99th percentile of a cone's milliseconds, and the ratio of
 * the medians. Exit 1 when a median is above q3c's by more than a third, 2 when the objects differ or q3c is missing.
 */
import { parseArgs } from 'node:util';
import { CopyBinaryReader } from '../apdb/postgres/copyBinary.ts';
import { regionObjects } from '../apdb/postgres/history.ts';
import type { Session } from '../apdb/postgres/session.ts';
import type { Cone } from '../apdb/apdb.ts';
import { CENTER, coneOf, HISTORY_POSITION, makeSky, mulberry } from './apdbSky.ts';
import { BenchStore } from './apdbStore.ts';

const RADII_DEG = [1 / 3600, 1 / 60, 0.1, 1] as const;
/** The pixels of a wide cone hold up to a quarter more objects than the cone, and medians scatter by a tenth. */
const RATIO_MAX = 1.35;

const { values } = parseArgs({ options: {
  objects: { type: 'string', default: '200000' }, cones: { type: 'string', default: '200' },
  seed: { type: 'string', default: '1' }, json: { type: 'boolean', default: false },
} });
const objects = Number(values.objects), cones = Number(values.cones), seed = Number(values.seed);

type Timing = Readonly<{ min: number; median: number; p99: number }>;
type Compared = Readonly<{ radiusDeg: number; found: number; pixels: Timing; q3c: Timing; ratio: number }>;

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench cone: ${(error as Error).message.split('\n')[0]}\n`);
  process.exitCode = 2;
}

async function main(): Promise<number> {
  const store = await BenchStore.open(objects);
  try {
    await store.fill(makeSky(objects, seed), 1, seed, () => undefined);
    const server = store.server();
    try {
      await server.transaction('maintain', (session) => session.execute(`CREATE EXTENSION q3c;
        CREATE INDEX objects_q3c ON "DiaObjectLast" (q3c_ang2ipix(ra, dec)); ANALYZE "DiaObjectLast"`));
      const compared: Compared[] = [];
      for (const radiusDeg of RADII_DEG) {
        compared.push(await server.transaction('read', (session) => compare(session, radiusDeg)));
      }
      report(compared);
      return compared.every(({ ratio }) => ratio <= RATIO_MAX) ? 0 : 1;
    } finally {
      await server.close();
    }
  } finally {
    await store.close();
  }
}

/** Cones at random places of the sky that the store covers, each asked for in both ways, first in turns. */
async function compare(session: Session, radiusDeg: number): Promise<Compared> {
  const random = mulberry(seed), reachDeg = coneOf(objects).radiusDeg * 0.7;
  const byPixels: number[] = [], byQ3c: number[] = [];
  let found = 0;
  for (let k = 0; k < cones; k++) {
    const decDeg = CENTER.decDeg + (2 * random() - 1) * reachDeg;
    const raDeg = CENTER.raDeg + ((2 * random() - 1) * reachDeg) / Math.cos(decDeg * Math.PI / 180);
    const cone = { raDeg, decDeg, radiusDeg };
    const ways = [
      async () => timed(byPixels, async () => (await regionObjects(session, cone, HISTORY_POSITION, true))
        .map(({ diaObjectId }) => diaObjectId)),
      async () => timed(byQ3c, () => q3cObjects(session, cone)),
    ];
    const [first, second] = k % 2 === 0 ? ways : ways.toReversed();
    const [a, b] = [await first(), await second()];
    if (a.length !== b.length || a.some((id, i) => id !== b[i])) {
      throw new Error(`cone of ${radiusDeg}° at (${raDeg}, ${decDeg}): ${a.length} and ${b.length} objects`);
    }
    found += a.length;
  }
  const pixels = timingOf(byPixels), q3c = timingOf(byQ3c);
  return { radiusDeg, found, pixels, q3c, ratio: Math.round((100 * pixels.median) / q3c.median) / 100 };
}

async function q3cObjects(session: Session, { raDeg, decDeg, radiusDeg }: Cone): Promise<bigint[]> {
  const reader = new CopyBinaryReader(await session.copyOut(`COPY (
    SELECT "diaObjectId", ra, dec, "homePixel", payload FROM "DiaObjectLast"
    WHERE q3c_radial_query(ra, dec, ${raDeg}, ${decDeg}, ${radiusDeg}) ORDER BY "diaObjectId"
  ) TO STDOUT (FORMAT binary)`));
  const ids: bigint[] = [];
  while (reader.next()) {
    ids.push(reader.bigint());
    reader.double();
    reader.double();
    reader.integer();
    reader.sized();
  }
  return ids;
}

async function timed<T>(spent: number[], run: () => Promise<T>): Promise<T> {
  const startMs = performance.now(), result = await run();
  spent.push(performance.now() - startMs);
  return result;
}

function timingOf(spent: readonly number[]): Timing {
  const sorted = [...spent].sort((a, b) => a - b);
  const at = (part: number) => Math.round(1000 * sorted[Math.floor((sorted.length - 1) * part)]) / 1000;
  return { min: at(0), median: at(0.5), p99: at(0.99) };
}

function report(compared: readonly Compared[]): void {
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ objects, cones, compared })}\n`);
    return;
  }
  for (const { radiusDeg, found, pixels, q3c, ratio } of compared) {
    process.stdout.write(`cone of ${(radiusDeg * 3600).toFixed(0)}″: ${found} objects in ${cones}; pixel ranges `
      + `${pixels.min} / ${pixels.median} / ${pixels.p99} ms, q3c ${q3c.min} / ${q3c.median} / ${q3c.p99} ms, `
      + `ratio ${ratio}\n`);
  }
}
