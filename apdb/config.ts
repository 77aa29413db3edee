/** Tunables of the APDB: value, unit, reason. */
export const apdbConfig = {
  /**
   * Length of history in packets and preloads, days: Rubin's 12 months of 30 days (DMS-REQ-0274; dax_apdb's
   * `read_sources_months` 12).
   */
  historyDays: 12 * 30,

  /** Connections a process holds: the projection, the preloads of two overlapping visits, packets, a query. */
  connectionsMax: 6,

  /**
   * Connections beside these that help to read histories: while one waits for the disk the others send. Two overlapping
   * preloads have two each. With two cores a third reader brought nothing.
   */
  alongConnectionsMax: 4,
  readersAlong: 2,

  /** A server that does not answer in this time is down, ms. A local one needs a few. */
  connectLimitMs: 5_000,

  /** Longest statement of projection and reads, ms: the announcement's 20 s is the time a preload has. */
  statementLimitMs: 20_000,

  /**
   * A server that has sent nothing to end a statement in this time stands still, ms: its own limit is over, and there
   * was time to say so.
   */
  silenceLimitMs: 25_000,

  /** Longest wait for the other writer's transaction, ms; a batch takes well under a second. */
  lockLimitMs: 10_000,

  /** Digest, reset and migration walk whole tables, ms. */
  maintenanceLimitMs: 6 * 3_600_000,

  /**
   * Objects whose history one COPY brings. Each answer is held twice for a moment (as it arrives, then joined), and so
   * this bounds the excess: 4096 objects × 100 rows × 0.4 kB = 160 MB.
   */
  objectsPerRead: 4096,

  /**
   * Ranges of pixels that one read asks for at most. A field's 10,000 objects lie in some thousand runs; the server
   * spends 10 µs a range and partition, and each halving takes in some more rows of neighbours.
   */
  rangesPerRead: 256,

  /**
   * Ranges of one COPY: a field's 220 tiles make ten pieces, which connections share out evenly enough. A piece costs
   * 1 ms to plan, and 6 ms the first on a connection.
   */
  rangesPerJob: 24,

  /** A cache that does not answer in this time is away, ms: the tables answer in a second. */
  cacheLimitMs: 2_000,

  /**
   * What one read of a field puts into the cache at most, bytes: half of the 1 GB that ours may take, as two visits
   * overlap. A field of 70,000 objects has twice as much, and all of it would only push out what was put in before.
   */
  cacheFillBytes: 512e6,

  /** Life of a cached tile, s: a night. What is not of tonight's fields is not worth the memory. */
  cacheSeconds: 12 * 3600,
} as const;
