/** Where a recording keeps its files, relative to its folder. Raw files lie as in a data directory. */
import type { DayObs, DetectorId, Exposure } from '../schemas/ids.ts';
import { productPaths } from '../schemas/products.ts';

export type RecordPaths = Readonly<{
  raw: (exposure: Exposure, detector: DetectorId) => string;
  /** Changed sources of an exposure, all detectors (`schemas/products.ts`, truth). */
  changed: (exposure: Exposure) => string;
  /** Every source drawn, and everything else that was put into one frame. */
  sources: (exposure: Exposure, detector: DetectorId) => string;
  artifacts: (exposure: Exposure, detector: DetectorId) => string;
  references: (exposure: Exposure) => string;
}>;

/** Arguments, exposures and files of a recording; written last, so that its presence means that all is there. */
export const MANIFEST = 'recording.json';
/** Events of a recorded night with their times, one JSON document a line. */
export const EVENTS = 'events.jsonl';

export function recordPaths(instrument: string, dayObs: DayObs): RecordPaths {
  const folder = `truth/${instrument}/${dayObs}`;
  const frame = (exposure: Exposure, detector: DetectorId): string =>
    `${exposure}_${String(detector).padStart(3, '0')}`;
  return {
    raw: (exposure, detector) => productPaths.raw(instrument, dayObs, exposure, detector),
    changed: (exposure) => `${folder}/${exposure}.csv`,
    sources: (exposure, detector) => `${folder}/${frame(exposure, detector)}_sources.csv`,
    artifacts: (exposure, detector) => `${folder}/${frame(exposure, detector)}.json`,
    references: (exposure) => `references/${instrument}/${dayObs}/${exposure}.csv`,
  };
}
