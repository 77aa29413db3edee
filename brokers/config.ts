/** Limits of the brokers' side: every wait and every queue has one. */
export const brokersConfig = {
  /** Messages asked for ahead: at 90 kB each, 128 of them hold 12 MB. */
  feedMessagesMax: 128,
  /**
   * The same of a consumer that takes one at a time. What a slow one has read ahead costs the server a sign of life of
   * each message every third of the acknowledgement wait, and its bandwidth; a fast one needs no more than this.
   */
  singleReadAheadMax: 32,
  /**
   * Time that a durable consumer has to acknowledge before the server sends again, ms. A message in hand when a
   * consumer is killed comes back after this long; what waits in a living one is kept alive every third of it.
   */
  ackWaitMs: 5_000,
  /**
   * Life of a request for messages, ms. Half of the acknowledgement wait, so that the requests of a killed consumer
   * are gone when its messages come up again: nats-server 2.9.10 would spend one of them on a dead request.
   */
  pullExpiresMs: 2_500,
  /** Delivered and not yet acknowledged messages of one durable consumer: at 90 kB each, 256 of them are 23 MB. */
  ackPendingMax: 256,
  /** Pause between looks at the server while waiting for the last acknowledgements to arrive there, ms. */
  caughtUpPollMs: 50,
  /** Longest wait for an answer of the server, ms; the same as the engine's own (engine/stream/config.ts). */
  requestTimeoutMs: 10_000,
  /** Tries of one publication of a filtered alert; each waits `requestTimeoutMs` at most. */
  publishAttempts: 5,
  /** Alerts that the archive writes and syncs at once. A sync costs milliseconds, whatever it holds. */
  archiveBatchMax: 128,
  /** Nights whose index is kept in memory for look-ups: 32 bytes an alert, 320 MB for one of Rubin's nights. */
  archiveNightsHeld: 6,
  /** Largest cone of a query, arcsec (10°), and most alerts that an answer lists. */
  coneRadiusArcsecMax: 36_000,
  coneAlertsMax: 10_000,
  /** Archive queries answered at once; a packet and its decoded form take about 1 MB. */
  archiveRequestsMax: 32,
  /** Size of an expression, characters and nodes of its tree: no filter by hand comes near, no evaluation is long. */
  filterExpressionLengthMax: 4000,
  filterNodesMax: 500,
  filterDepthMax: 40,
  /** Lists that filters can loop over (light curves) are at most a few hundred long; a loop may hold one other. */
  filterLoopDepthMax: 2,
  /** Alerts of one visit that the ranked filters of one user share (DMS-REQ-0343, numBrokerAlerts). */
  filteredAlertsPerVisitMax: 20,
  /**
   * A selection closes this long after the end of readout, s, if the visit was not completed before: of the 60 s it
   * leaves ten to record and deliver 20 alerts to each of 100 users.
   */
  selectionSeconds: 50,
  /** Pause between looks at what ends the visits that wait for their selection, ms. */
  selectionPollMs: 250,
  /** Filters that one user may own, and that may be at work together: each costs some 10 µs an alert at most. */
  filtersPerUserMax: 20,
  filtersActiveMax: 400,
  filterSummaryLengthMax: 200,
  /** Rank of a capped filter that names none: the best measured first. */
  filterRankDefault: 'diaSource.snr',
  /** Alerts that a filter is tried on before it is activated, spread evenly over the night: a second of work. */
  filterTrialAlertsMax: 10_000,
  /**
   * Largest share of a night's alerts that an activated filter may have passed in its trial, unless an operator sets
   * another: who wants more than a quarter of all alerts is better served by the full stream.
   */
  filterShareMax: 0.25,
  /** Body of a request, bytes: the longest expression and rank, and a region. */
  requestBodyBytesMax: 256 * 1024,
  /** Trials that are run over HTTP at once. */
  filterTrialsMax: 2,
  /** A night's alerts are fit to be sent with 98 % of them within this after readout, s (LSR-REQ-0101) … */
  qualityLatencySecondsMax: 60,
  /** … and at most so many a visit: 40,000 are what the system must stand (DMS-REQ-0393); more are a bad subtraction. */
  qualityAlertsPerVisitMax: 40_000,
  /** Pause between looks at what consumers are owed, ms: an event each at most. */
  consumerSampleMs: 5_000,
  /** Pause between looks at whether some user is to have alerts without cutouts, ms. */
  usersPollMs: 1000,
  /** Longest wait for a webhook's answer, ms. */
  webhookTimeoutMs: 10_000,
  /** Matches that a trial shows in full. */
  filterTrialSamples: 5,
  /** Least time between two messages to a dashboard client, ms: four a second is as fast as an eye reads. */
  dashboardIntervalMs: 250,
  /** Visits whose detectors are sent along with the first message; older ones are fetched when asked for. */
  dashboardVisitsInDetail: 20,
  /** Bytes that a slow dashboard client may have waiting before it is skipped until it has read them. */
  dashboardBacklogBytesMax: 4 * 1024 ** 2,
  /** Dashboard clients at once; more are refused with 503. */
  dashboardClientsMax: 1000,
  /** HTTP: a request's headers, and the whole of it, have to be there within these, ms; and connections at once. */
  requestHeadersMs: 10_000,
  requestWholeMs: 30_000,
  connectionsMax: 2000,
  /** How often the dashboard asks `getCounts`, ms. Counting a night takes a fraction of this. */
  dashboardCountsIntervalMs: 2000,
  /** The latency that 98 % of a visit's alerts must meet, s (LSR-REQ-0101). */
  latencyBudgetSeconds: 60,
} as const;
