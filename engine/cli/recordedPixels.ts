/** Pixels of a recorded night, made again from its raw frames. */
import { recordedRules, withholdingOf } from '../../brokers/policy.ts';
import { loadCamera } from '../../schemas/camera.ts';
import type { ObservatoryEvent } from '../../schemas/events.ts';
import type { DayObs } from '../../schemas/ids.ts';
import { ProductCatalog } from '../archive/productCatalog.ts';
import type { ReplayOptions } from '../stream/replayNight.ts';
import type { createDetectorPool } from '../workers/pool.ts';
import { runDigests } from './digests.ts';
import { isSimulated } from './instruments.ts';
import { bodiesByDigest } from './orbitCatalogue.ts';
import { detectorProcess } from './processDetector.ts';
import { reopenSeries } from './series.ts';

/** How the pixels of a recorded night are made: a camera's by the detector pipeline, a series' by its own. */
export function recordedPixels(
  dataDir: string, instrument: string, dayObs: DayObs, facts: readonly ObservatoryEvent[],
  pool: ReturnType<typeof createDetectorPool>,
): Pick<ReplayOptions, 'camera' | 'process' | 'associate' | 'knownBodies' | 'withholding'> {
  if (!isSimulated(instrument)) return reopenSeries(dataDir, instrument);
  const opened = facts.find((event) => event.type === 'NightOpened');
  const camera = loadCamera(opened?.type === 'NightOpened' ? opened.arguments.camera : instrument);
  const catalog = new ProductCatalog(dataDir, instrument);
  return {
    camera, process: detectorProcess(camera, dataDir, catalog, pool, runDigests()),
    knownBodies: bodiesByDigest(catalog, camera, dayObs),
    withholding: (digest) => withholdingOf(recordedRules(dataDir, digest)),
  };
}
