/** Tiles in Redis: one list a tile, its chunks in order. A server that is away, slow or full means "not there". */
import { Redis } from 'ioredis';
import { apdbConfig } from '../config.ts';
import type { TileCache } from '../tiles.ts';

/**
 * @param url   `redis://…`, or `unix:///path`.
 * @param epoch Names the filling of the tables that the tiles are of; other fillings' tiles are never seen.
 */
export function openRedisTiles(url: string, epoch: string): TileCache {
  const redis = new Redis(url.startsWith('unix://') ? url.slice('unix://'.length) : url, {
    lazyConnect: true, maxRetriesPerRequest: 0, enableOfflineQueue: false, connectTimeout: apdbConfig.cacheLimitMs,
    commandTimeout: apdbConfig.cacheLimitMs, retryStrategy: (tries) => Math.min(5_000, 200 * tries),
  });
  redis.on('error', () => undefined); // Whoever asks next is told by the answer.
  const ready = redis.connect().catch(() => undefined);
  const key = (tile: number) => `vesper:apdb:${epoch}:${tile}`;
  return {
    read: async (tiles) => {
      await ready;
      try {
        return await Promise.all(tiles.map((tile) => redis.lrangeBuffer(key(tile), 0, -1)));
      } catch { return tiles.map(() => []); }
    },
    fill: async (tile, base) => {
      await redis.multi().del(key(tile)).rpush(key(tile), base).expire(key(tile), apdbConfig.cacheSeconds).exec()
        .catch(() => undefined);
    },
    append: async (chunks) => {
      await ready;
      await Promise.all(chunks.map(({ tile, chunk }) => redis.rpushx(key(tile), chunk))).catch(() => undefined);
    },
    close: async () => { redis.disconnect(); },
  };
}
