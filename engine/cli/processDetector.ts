/** Prepares one detector's task: which files serve it, with which digests, and hands it to the pool. */
import type { Camera } from '../../schemas/camera.ts';
import { detectorOf } from '../../schemas/camera.ts';
import { isAbsolute, join } from 'node:path';
import type { NextVisit } from '../../schemas/events.ts';
import type { DayObs } from '../../schemas/ids.ts';
import { isBand } from '../../schemas/units.ts';
import { OPTIONAL_PRODUCTS, type DetectorProductKind } from '../../schemas/products.ts';
import { ProductCatalog, type LocatedProduct } from '../archive/productCatalog.ts';
import { findProducts, type Boresight } from '../preload.ts';
import { namesOf, type ProcessDetector } from '../stream/engineRun.ts';
import type { InputFile, TaskFailure } from '../workers/detectorTask.ts';
import type { FileChecker } from '../workers/fileChecker.ts';
import type { DetectorPool } from '../workers/pool.ts';
import type { RunDigests } from './digests.ts';

/**
 * Processes detectors of a camera with the products of its catalog.
 *
 * @param checker Knows which products were checked already; without one each worker checks what it reads.
 */
export function detectorProcess(
  camera: Camera, dataDir: string, catalog: ProductCatalog, pool: DetectorPool, digests: RunDigests,
  checker: FileChecker | null = null,
): ProcessDetector {
  const inputFile = (product: LocatedProduct | null): InputFile => {
    if (product === null) throw new Error('a product was looked for and not found'); // Required ones are there by then.
    const file = { path: product.path, checksum: product.checksum };
    return checker?.known(file) ?? file;
  };
  return async ({ ended, read, boresight, attempt, known, knownPosition, fakes }) => {
    const detector = detectorOf(camera, read.detector);
    const products = findProducts(
      (query) => catalog.find(query), camera, detector, boresight, ended.band, read.dayObs,
    );
    // Keys of the record's own type.
    const missing = (Object.keys(products) as DetectorProductKind[])
      .find((kind) => products[kind] === null && !OPTIONAL_PRODUCTS.some((optional) => optional === kind));
    if (missing !== undefined) {
      const failure: TaskFailure = {
        stage: missing === 'template' ? 'difference' : 'isr', code: `${missing.toUpperCase()}_MISSING`,
        disposition: 'reject', details: {},
        message: `no ${missing} of band ${ended.band} for detector ${detector.name} `
          + `at ${boresight.raDeg.toFixed(4)}, ${boresight.decDeg.toFixed(4)}`,
      };
      return { status: 'failed', failure, progress: [] };
    }
    return pool.run({
      ...namesOf(ended, read, attempt), instrument: read.instrument, camera: camera.name, boresight,
      raw: { path: isAbsolute(read.uri) ? read.uri : join(dataDir, read.uri), checksum: read.checksum },
      bias: inputFile(products.bias), flat: inputFile(products.flat),
      dark: products.dark && inputFile(products.dark), fringe: products.fringe && inputFile(products.fringe),
      electronics: products.electronics && inputFile(products.electronics),
      objects: products.objects && inputFile(products.objects), references: inputFile(products.references),
      template: inputFile(products.template), known, knownPosition, digests,
      ...(fakes && { fakes }),
    });
  };
}

/**
 * Reads and checks a visit's products ahead of its readout.
 *
 * @returns Detectors that have a template.
 */
export async function warmProducts(
  camera: Camera, catalog: ProductCatalog, checker: FileChecker, visit: NextVisit, boresight: Boresight, dayObs: DayObs,
): Promise<number> {
  const band = camera.physicalFilters.find(({ name }) => name === visit.filters)?.band;
  if (band === undefined || !isBand(band)) return 0;
  let templates = 0;
  for (const detector of camera.detectors) {
    const products = findProducts((query) => catalog.find(query), camera, detector, boresight, band, dayObs);
    if (products.template) templates++;
    await checker.check(Object.values(products).flatMap((product) => (
      product === null ? [] : [{ path: product.path, checksum: product.checksum }])));
  }
  return templates;
}
