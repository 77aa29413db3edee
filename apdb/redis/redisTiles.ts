/** Tiles in Redis: one list a tile, its chunks in order. A server that is away, slow or full means "not there". */
import { Redis } from 'ioredis';
import { apdbConfig } from '../config.ts';
import type { TileCache } from '../tiles.ts';
import { BulkReader } from './bulkReader.ts';
import { BulkWriter } from './bulkWriter.ts';

/**
 * @param url   `redis://…`, or `unix:///path`.
 * @param epoch Names the filling of the tables that the tiles are of; other fillings' tiles are never seen.
 */
export function openRedisTiles(url: string, epoch: string): TileCache {
  const path = url.startsWith('unix://') ? url.slice('unix://'.length) : null;
  const redis = new Redis(path ?? url, {
    lazyConnect: true, maxRetriesPerRequest: 0, enableOfflineQueue: false, connectTimeout: apdbConfig.cacheLimitMs,
    commandTimeout: apdbConfig.cacheLimitMs, retryStrategy: (tries) => Math.min(5_000, 200 * tries),
  });
  redis.on('error', () => undefined); // Whoever asks next is told by the answer.
  const ready = redis.connect().catch(() => undefined);
  const key = (tile: number) => `vesper:apdb:${epoch}:${tile}`;
  const lists = listsOf(redis, path);
  return {
    read: async (tiles) => {
      await ready;
      try {
        return await lists.read(tiles.map(key));
      } catch { return tiles.map(() => []); }
    },
    fill: async (tile, base) => {
      await lists.replace(key(tile), base, apdbConfig.cacheSeconds).catch(() => undefined);
    },
    append: async (chunks) => {
      await ready;
      await Promise.all(chunks.map(({ tile, chunk }) => redis.rpushx(key(tile), chunk))).catch(() => undefined);
    },
    close: async () => {
      lists.close();
      redis.disconnect();
    },
  };
}

type Lists = Readonly<{
  read(keys: readonly string[]): Promise<readonly (readonly Buffer[])[]>;
  /** A list of one element, given in pieces. */
  replace(key: string, element: readonly Buffer[], seconds: number): Promise<void>;
  close(): void;
}>;

/** The launcher's own server is read at the pace of memory; one by URL may want a password or TLS, and a client. */
function listsOf(redis: Redis, path: string | null): Lists {
  if (path === null) {
    return {
      read: (keys) => Promise.all(keys.map((key) => redis.lrangeBuffer(key, 0, -1))),
      replace: async (key, element, seconds) => {
        await redis.multi().del(key).rpush(key, Buffer.concat(element)).expire(key, seconds).exec();
      },
      close: () => undefined,
    };
  }
  // Visits overlap: each read has a reader for itself, and gives it back.
  const idle: BulkReader[] = [];
  let writer: BulkWriter | null = null;
  return {
    read: async (keys) => {
      const reader = idle.pop() ?? new BulkReader({ path }, apdbConfig.cacheLimitMs);
      try {
        return await reader.read(keys);
      } finally {
        if (reader.isBroken) reader.close(); else idle.push(reader);
      }
    },
    replace: (key, element, seconds) => {
      if (writer === null || writer.isBroken) writer = new BulkWriter(path, apdbConfig.cacheLimitMs);
      return writer.replace(key, element, seconds);
    },
    close: () => {
      for (const reader of idle) reader.close();
      writer?.close();
    },
  };
}
