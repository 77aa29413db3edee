/** Postgres behind Redis: the contract of every store, and a cache that is stale, torn, foreign or gone. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Apdb } from '../../apdb/apdb.ts';
import { pixelOf } from '../../apdb/pixelization.ts';
import { openPostgresApdb } from '../../apdb/postgres/postgresApdb.ts';
import { openRedisTiles } from '../../apdb/redis/redisTiles.ts';
import { tileOf, tilesAround } from '../../apdb/tiles.ts';
import { startStores, type Stores } from '../../engine/setup/services.mjs';
import { commitOf, NIGHT, WHOLE_FIELD } from './commits.ts';
import { correctedArbitrary } from './corrections.ts';
import { apdbContract } from './contract.ts';
import { naiveHistories, plainHistory } from './naiveFold.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'vesper-cached-'));
let stores: Stores;
let redis: Redis;
let apdb: Apdb;
/** Names what is cached since the last reset; fills of before may still be under way. */
let epoch: string | null = null;

beforeAll(async () => {
  chmodSync(dataDir, 0o755); // Postgres's account must be able to enter.
  stores = await startStores({ dataDir, need: { nats: false, redis: true }, env: { PATH: process.env['PATH'] } });
  redis = new Redis((stores.redisUrl ?? '').replace('unix://', ''));
  apdb = await openPostgresApdb(stores.postgres, 'cached', (since) => {
    epoch = since;
    return openRedisTiles(stores.redisUrl ?? '', since);
  });
});

afterAll(async () => {
  redis?.disconnect();
  await apdb?.close();
  await stores?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

apdbContract(() => apdb, 8);

const seen = (object: number, ra = 0.5) => ({ object, ra, dec: -10, isVersion: true, isForced: true });

/** Tiles are written behind the answer. */
async function cachedTiles(count: number): Promise<string[]> {
  for (;;) {
    const keys = await redis.keys(`vesper:apdb:${epoch}:*`);
    if (keys.length >= count) return keys.sort();
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
}

test('whatever was cached before, a region holds what a fold of the commits holds', async () => {
  const damage = fc.constantFrom('none', 'flush', 'truncate', 'foreign', 'doubled');
  const manyDamages = fc.array(damage, { maxLength: 10 });
  await fc.assert(fc.asyncProperty(correctedArbitrary, manyDamages, async (commits, damages) => {
    await apdb.reset();
    for (const [k, commit] of commits.entries()) {
      await apdb.project([commit]);
      const region = await apdb.loadRegion(WHOLE_FIELD, 0);
      expect(region.objects.map(plainHistory)).toEqual(naiveHistories(commits, 0, commit.position));
      const [key] = await redis.keys(`vesper:apdb:*:${tileOf(pixelOf(0.5, -10))}`);
      if (key === undefined) continue;
      if (damages[k] === 'flush') await redis.flushall();
      const base = await redis.lindexBuffer(key, 0);
      if (damages[k] === 'truncate' && base !== null) await redis.lset(key, 0, base.subarray(0, 30));
      if (damages[k] === 'foreign') await redis.lset(key, 0, 'not a chunk');
      if (damages[k] === 'doubled') await redis.rpush(key, ...await redis.lrangeBuffer(key, 0, -1));
    }
  }), { numRuns: 12 });
});

test('whenever history was packed, a region holds what a fold of the commits holds, also after going back', async () => {
  let packedTiles = 0;
  const step = fc.record({
    isPacked: fc.boolean(), isAtOnce: fc.boolean(), isCached: fc.boolean(), back: fc.integer({ min: 0, max: 8 }),
  });
  const steps = fc.array(step, { minLength: 10, maxLength: 10 });
  await fc.assert(fc.asyncProperty(correctedArbitrary, steps, async (commits, kinds) => {
    await apdb.reset();
    for (const [k, commit] of commits.entries()) {
      const { isPacked, isAtOnce, isCached, back } = kinds[k % kinds.length];
      // What is packed while commits come must not be of before them for good.
      if (isAtOnce) {
        const [maintained] = await Promise.all([apdb.maintain(null), apdb.project([commit])]);
        packedTiles += maintained.packedTiles;
      } else await apdb.project([commit]);
      if (isPacked) packedTiles += (await apdb.maintain(null)).packedTiles;
      if (back === 0 && k > 0) {
        await apdb.rewind(commits[k - 1].position);
        await apdb.project([commit]);
      }
      if (!isCached) await redis.flushall();
      const region = await apdb.loadRegion(WHOLE_FIELD, 0);
      expect(region.objects.map(plainHistory)).toEqual(naiveHistories(commits, 0, commit.position));
    }
  }), { numRuns: 8 });
  expect(packedTiles).toBeGreaterThan(0);
});

test('months that were dropped do not come back out of packed history', async () => {
  await apdb.reset();
  const commits = [61180, 61210, 61240, 61364].map((time, k) => commitOf(NIGHT, k + 1, [seen(1)], time));
  await apdb.project(commits);
  expect((await apdb.maintain(null)).packedTiles).toBe(1);
  expect((await apdb.maintain(61200)).retainedFromMjdTai).toBe(61200);
  await redis.flushall();
  const [{ sources }] = (await apdb.loadRegion(WHOLE_FIELD, 0)).objects;
  expect([...sources].map(({ midpointMjdTai }) => midpointMjdTai)).toEqual([61210, 61240, 61364]);
});

test('a commit of the night is put behind the tiles that are cached, which then serve the next visit', async () => {
  await apdb.reset();
  await redis.flushall();
  await apdb.project([commitOf(NIGHT, 1, [seen(1), seen(2, 0.9)])]);
  const cold = await apdb.loadRegion(WHOLE_FIELD, 0), tiles = tilesAround(WHOLE_FIELD).length;
  await cachedTiles(tiles);
  await apdb.project([commitOf(NIGHT, 2, [seen(1)])]);
  const warm = await apdb.loadRegion(WHOLE_FIELD, 0);
  expect(cold.objects.map(({ sources }) => sources.length)).toEqual([1, 1]);
  expect(warm.objects.map(({ sources }) => sources.length)).toEqual([2, 1]);
  const lengths = await Promise.all((await cachedTiles(tiles)).map((name) => redis.llen(name)));
  expect(lengths).toHaveLength(tiles); // Those without an object too: the tables are not asked again.
  // Not filled anew: the commit was put behind the base.
  expect(lengths.filter((length) => length !== 1)).toEqual([2]);
});

test('a cache that goes away in the middle of the night changes nothing but the time', async () => {
  await apdb.reset();
  const commits = [1, 2, 3].map((sequence) => commitOf(NIGHT, sequence, [seen(1), seen(sequence + 1)]));
  await apdb.project(commits.slice(0, 1));
  await apdb.loadRegion(WHOLE_FIELD, 0);
  redis.on('error', () => undefined); // It dies with the server.
  const pid = stores.pids.redis;
  if (pid !== undefined) process.kill(pid, 'SIGKILL');
  await apdb.project(commits.slice(1));
  const region = await apdb.loadRegion(WHOLE_FIELD, 0);
  expect(region.objects.map(plainHistory)).toEqual(naiveHistories(commits, 0, commits[2].position));
});
