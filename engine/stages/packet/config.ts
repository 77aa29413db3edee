/** Tunables of packets. */
export const packetConfig = {
  /**
   * Age of the oldest previous source in a packet, days before the visit's midpoint: 12 months of 30 days, as Rubin
   * reads them (diaCharacterizationCutoff of one year, DMS-REQ-0319).
   */
  historyDays: 360,
  /**
   * Sides of a cutout, pixels; both are Rubin's. 30 is 6″ at 0.2″ a pixel, enough to see a neighbour or a host. At 102
   * the three cutouts with variance and mask are 3 × 102² × 10 bytes = 312 kB; a satellite's trail across a detector
   * would be 480 MB without the limit.
   */
  cutoutSideMin: 30,
  cutoutSideMax: 102,
} as const;

export type PacketConfig = Readonly<{ [Name in keyof typeof packetConfig]: number }>;
