/** Limits of the log: every wait and every queue has one. */
const GIB = 1024 ** 3;
const DAY_NS = 86_400e9;

export const streamConfig = {
  /** Longest wait for an acknowledgement, ms. A loaded server with `sync_interval: always` was seen to take 0.2 s. */
  ackTimeoutMs: 10_000,
  /** Longest pause between two stored messages that are being read, ms; the server sends them in a millisecond. */
  readIdleMs: 15_000,
  /** Tries at a fact or a commit that the server did not answer, and the pause between them, ms. */
  sendAttemptsMax: 5,
  sendAgainMs: 250,
  /**
   * Longest time without a server before the command gives up, ms: a restarted nats-server is back in about one
   * second.
   */
  reconnectLimitMs: 15_000,
  /** Duplicate window of JetStream, ns: a convenience, never the guarantee. */
  duplicateWindowNs: 120e9,
  /**
   * Rows above this, bytes, go to the spool: half of the largest message that the launcher has the server take (8 MB);
   * the rest of the entry is small.
   */
  inlineRowsBytesMax: 4 * 1024 ** 2,
  /** Sources of one correction: with their objects' new rows they fit an entry. */
  correctedSourcesMax: 2000,
  /** Objects of one entry of precovery: with 60 forced sources each, of 120 bytes, they fill half of what fits. */
  precoveredObjectsMax: 250,
  /**
   * A source is given to an object no further away than this, arcsec: ten match radii. What lies beyond is a mistaken
   * id; a body that moves has an ssObjectId.
   */
  correctionRadiusArcsec: 10,
  /** Packets published ahead of their acknowledgements: about 20 MB of 80 kB packets. */
  publishWindow: 256,
  /** Memory for packets that is kept from one commit to the next, bytes: 700 packets of 90 kB. */
  packetMemoryBytesMax: 64 * 1024 ** 2,
  /** Retention: facts of the observatory serve to resume and to re-read a night within a month. */
  observatory: { maxAgeNs: 30 * DAY_NS, maxBytes: 1 * GIB },
  /** Progress is for people and metrics: the last week. */
  pipeline: { maxAgeNs: 7 * DAY_NS, maxBytes: 1 * GIB },
  /** The truth never expires; a full disk refuses new work and loses nothing. */
  commits: { maxBytes: 8 * GIB },
  /** A night of 10,000,000 alerts needs more; an operator of such a night sets more. Brokers have 30 days. */
  alerts: { maxAgeNs: 30 * DAY_NS, maxBytes: 16 * GIB },
  filtered: { maxAgeNs: 30 * DAY_NS, maxBytes: 4 * GIB },
  /** What filters were at work at any time is never forgotten; a change is a few kB. */
  filterChanges: { maxBytes: 1 * GIB },
} as const;
