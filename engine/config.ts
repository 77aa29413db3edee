/** What an operator may tune in the engine's shell. Stages keep theirs beside them, in `stages/<stage>/config.ts`. */
export const engineConfig = {
  /** Seconds from the end of readout to the acknowledged packet (DMS-REQ-0406, OTT1). */
  alertBudgetSeconds: 60,
  /**
   * A detector's task is told to stop after this time of work, ms, and its worker is ended `workerGraceMs` later: with
   * 60 s in all and a commit, packets and publication still to come, a task that has not finished by then cannot make
   * its alerts in time.
   */
  detectorLimitMs: 45_000,
  /**
   * How long a detector may wait for a worker, ms. Late alerts still serve (≤ 1 % of visits may be late, ≤ 0.1 %
   * without alerts, DMS-REQ-0392), so only a machine that will never catch up gives detectors to the offline queue.
   */
  detectorQueueLimitMs: 900_000,
  /** How long a task that was told to stop may still take before its worker is ended, ms. */
  workerGraceMs: 5_000,
  /**
   * How long a visit waits for a raw that did not come, or came damaged, after the end of the exposure, ms. Readout
   * takes 2 s and a file sent again a few more; the rest of the visit does not wait.
   */
  rawWaitMs: 20_000,
  /**
   * How long a visit waits for its preload, ms: the announcement comes 20 s ahead, so this is only spent on a store that
   * is away. A database that was killed is up again in seconds, on a busy machine in half a minute; late alerts still
   * serve, and without the history every source would make an object of its own.
   */
  preloadLimitMs: 120_000,
  /** Pause between tries of a preload while the store is away, ms. */
  preloadRetryMs: 500,
  /** Pause between two looks for a night that somebody else opens, ms. */
  nightPollMs: 500,
  /**
   * How long a commit waits for the night's solar-system objects, ms. They are there before the first visit unless an
   * operator starts a night with a million new orbits: those take half a minute, and an alert has one in all.
   */
  knownBodiesLimitMs: 5_000,
  /** Attempts at a detector whose failure may pass, such as a worker that died. */
  attemptsMax: 2,
  /**
   * Padding of the preloaded sky region beyond the focal plane, arcsec: dithers and pointing errors (Rubin: 30–50).
   */
  regionPaddingArcsec: 60,
  /** Padding of one detector's own cone, arcsec: pointing error of the mount plus the association gate. */
  detectorPaddingArcsec: 20,
  /**
   * Padding of the reference stars about a detector beyond its cone, arcsec: a pointing that is 20″ off, 0.5° of
   * rotation, and the distortion that the first look at them leaves out.
   */
  referencePaddingArcsec: 120,
  /** History that goes into packets and features, days: 12 × 30 (DMS-REQ-0319, diaCharacterizationCutoff). */
  historyDays: 360,
  /** Tries to write a commit when other writers are in the way, or the server is slow. */
  commitAttemptsMax: 5,
  /** Pause between tries of the projection while the store is away, ms. */
  projectionRetryMs: 500,
  /** How long the end of a night waits for projection, archive and consumers to catch up, ms. */
  drainLimitMs: 120_000,
  /**
   * Detectors of a visit that are processed once more with synthetic sources at most, whatever the share: of a large
   * camera, 40 s of one idle core.
   */
  fakesDetectorsMax: 8,
  /**
   * Synthetic sources of such a detector: so few that they leave its sky as it is, so many that a night of 100 visits
   * knows each half magnitude to a percent.
   */
  fakesPerDetector: 50,
  /** Detectors that may wait for their second pass: four visits of them; more would outlive the night. */
  fakesQueueMax: 32,
  /** How long the end of a night waits for second passes under way, ms; what is not done by then is dropped. */
  fakesEndLimitMs: 10_000,
  /** Visits that a new diaObject is measured on, days before its birth (DMS-REQ-0287). */
  precoveryDays: 30,
  /**
   * New diaObjects of so many nights before are taken up by a running night, days: a night's rest is done within 24
   * hours by the next, and a clouded one between does no harm. Older ones are the command's.
   */
  precoveryOwedDays: 3,
  /** Detectors that are measured before their fluxes are written: of these a night that is killed repeats them. */
  precoveryDetectorsAtOnce: 9,
  /** How long the end of a night waits until what was measured is written, ms: a read and an entry. */
  precoveryWriteLimitMs: 10_000,
  /** Pause between two looks of a stand-by whether the night has lost its process, ms: far below the alerts' minute. */
  standbyPollMs: 100,
  /** Visits announced last whose regions a stand-by holds: one exposed, one announced, one at work. */
  standbyRegions: 3,
  /** Pause between two tries of a stand-by to follow the night that runs, ms. */
  standbyFollowMs: 1_000,
  /** Pause between tries to start a database that has died, ms: a full disk is not emptied faster. */
  storeRestartMs: 2_000,
  /** Commits in one transaction of the projection at most. */
  projectionBatchMax: 64,
} as const;
