/** Makes sure that the products a visit needs exist and stand in the index before the visit is announced. */
import { join } from 'node:path';
import { pixelScaleArcsec, type Camera, type Detector } from '../schemas/camera.ts';
import type { DayObs, DetectorId } from '../schemas/ids.ts';
import { productPaths, type Product, type ProductIndex } from '../schemas/products.ts';
import type { Band } from '../schemas/units.ts';
import { referenceRadiusDeg } from './calibrations.ts';
import { detectorConfig, skyConfig } from './config.ts';
import { readIfPresent, sha256, writeWhole } from './files.ts';
import { DEMONSTRATION, effectNames, type SimulationModel } from './model.ts';
import { fieldRadiusMm } from './optics.ts';
import { makeOrbitFile } from './orbitFile.ts';
import { ARCSEC_PER_RADIAN, detectorMap, skyOfVector } from './projection.ts';
import type { Renderer } from './render.ts';
import type { RenderTask } from './renderTasks.ts';
import type { Field } from './schedule.ts';

export type ProductStore = Readonly<{
  /** Resolves when every product of this field and band is there, right and indexed. */
  ensure: (field: Field, band: Band) => Promise<void>;
}>;

export type ProductStoreOptions = Readonly<{
  dataDir: string; instrument: string; camera: Camera; seed: number; dayObs: DayObs; renderer: Renderer;
  /** Those to make products for; all of the camera's without. */
  detectors?: readonly Detector[];
  model: SimulationModel;
  /** Fields of the whole night: what moves through them is known. */
  fields: readonly Field[];
}>;

/** Products made, not yet indexed: what `describe` lacks is the checksum. */
type Wanted = Omit<Product, 'checksum' | 'fromDayObs'>;

type TemplateTarget = Omit<Extract<RenderTask, { task: 'template' }>, 'task' | 'path'>;

export function createProductStore(options: ProductStoreOptions): ProductStore {
  const { camera, renderer, detectors = camera.detectors } = options;
  const folder = `products/${options.instrument}/sky${skyConfig.version}-seed${options.seed}${kindOf(options.model)}`;
  const verified = new Map<string, string>(); // Path → checksum of what was made or checked in this process.
  let lastChange: Promise<void> = Promise.resolve();

  async function isGood(wanted: Wanted, indexed: Product | null): Promise<boolean> {
    if (verified.has(wanted.uri)) return true;
    if (indexed === null) return false;
    const { checksum } = await renderer.run<'checksum'>({ task: 'checksum', path: wanted.uri });
    if (checksum !== indexed.checksum) return false;
    verified.set(wanted.uri, checksum);
    return true;
  }

  async function ensureOne(index: ProductIndex, wanted: Wanted, make: () => Promise<{ checksum: string }>): Promise<void> {
    if (await isGood(wanted, indexedUri(index, wanted))) return;
    verified.set(wanted.uri, (await make()).checksum);
  }

  async function ensureBiasAndFlat(index: ProductIndex, detector: DetectorId): Promise<void> {
    const bias = biasOf(folder, detector), flat = flatOf(folder, detector);
    const good = await Promise.all([bias, flat].map((wanted) => isGood(wanted, indexedUri(index, wanted))));
    if (good.every(Boolean)) return;
    const paths = { biasPath: bias.uri, flatPath: flat.uri };
    const made = await renderer.run<'biasAndFlat'>({ task: 'biasAndFlat', detector, ...paths });
    verified.set(bias.uri, made.biasChecksum).set(flat.uri, made.flatChecksum);
  }

  const ensureReferences = (index: ProductIndex, wanted: Wanted, field: Field): Promise<void> =>
    ensureOne(index, wanted, () => renderer.run<'references'>({ task: 'references', field, path: wanted.uri }));

  const ensureTemplate = (index: ProductIndex, wanted: Wanted, target: TemplateTarget): Promise<void> =>
    ensureOne(index, wanted, () => renderer.run<'template'>({ task: 'template', ...target, path: wanted.uri }));

  const ensureOptional = (index: ProductIndex, wanted: Wanted, detector: DetectorId): Promise<void> => ensureOne(
    index, wanted,
    () => {
      const { kind, band, uri: path } = wanted;
      if (kind === 'fringe' && band) return renderer.run<'fringe'>({ task: 'fringe', detector, band, path });
      return kind === 'electronics' ? renderer.run<'electronics'>({ task: 'electronics', detector, path })
        : renderer.run<'dark'>({ task: 'dark', detector, path });
    },
  );

  const ensureObjects = (index: ProductIndex, wanted: Wanted, field: Field, detector: DetectorId): Promise<void> =>
    ensureOne(index, wanted, () => renderer.run<'objects'>({ task: 'objects', detector, field, path: wanted.uri }));

  function asMade(wanted: Wanted): Product {
    const checksum = verified.get(wanted.uri);
    if (checksum === undefined) throw new Error(`${wanted.uri} was neither made nor checked`);
    return { ...wanted, checksum, fromDayObs: options.dayObs };
  }

  async function makeAndIndex(field: Field, band: Band): Promise<void> {
    const index = readIndex(options.dataDir, options.instrument);
    const references = referencesOf(folder, camera, field);
    const templates = detectors.map((d) => templateOf(folder, camera, field, band, d));
    const objects = detectors.map((d) => objectsOf(folder, camera, field, d));
    const optional = detectors.map((d) => optionalOf(folder, options.model, band, d.id));
    await Promise.all([
      ensureReferences(index, references, field),
      ...detectors.map((d) => ensureBiasAndFlat(index, d.id)),
      ...detectors.map((d, i) => ensureTemplate(index, templates[i], { detector: d.id, field, band })),
      ...detectors.map((d, i) => ensureObjects(index, objects[i], field, d.id)),
      ...detectors.flatMap((d, i) => optional[i].map((wanted) => ensureOptional(index, wanted, d.id))),
    ]);
    const orbits = orbitsOf(folder, options.dayObs);
    if (!verified.has(orbits.uri)) {
      const radius = (fieldRadiusMm(camera) * camera.plateScaleArcsecPerMm) / ARCSEC_PER_RADIAN;
      const text = makeOrbitFile(options.seed, options.fields, radius, options.dayObs, options.model.sky);
      verified.set(orbits.uri, writeWhole(join(options.dataDir, orbits.uri), text).checksum);
    }
    const calibrations = detectors.flatMap((d) => [biasOf(folder, d.id), flatOf(folder, d.id)]);
    const made = [references, orbits, ...calibrations, ...optional.flat(), ...objects, ...templates].map(asMade);
    const next = mergeIndex(index, made);
    if (next === index) return;
    writeWhole(join(options.dataDir, productPaths.index(options.instrument)), `${JSON.stringify(next, null, 1)}\n`);
  }

  return {
    // One change at a time: the index is read, extended and replaced.
    ensure(field, band) {
      const change = lastChange.then(() => makeAndIndex(field, band));
      // Reported to the caller of this change; the next one starts from the index.
      lastChange = change.catch(() => undefined);
      return change;
    },
  };
}

/** Tells products of another sky or of other effects apart; empty for the demonstration's. */
function kindOf(model: SimulationModel): string {
  if (JSON.stringify(model) === JSON.stringify(DEMONSTRATION)) return '';
  const effects = effectNames(model.effects).join();
  return `-${model.sky}-${sha256(Buffer.from(effects)).slice(0, 8)}`;
}

/** @throws Error of one line when the index is there and unreadable. */
export function readIndex(dataDir: string, instrument: string): ProductIndex {
  const path = join(dataDir, productPaths.index(instrument));
  const bytes = readIfPresent(path);
  if (bytes === null) return { instrument, products: [] };
  try {
    return JSON.parse(bytes.toString('utf8')) as ProductIndex; // Written by this file alone, and replaced as a whole.
  } catch (error) {
    throw new Error(`${path} is not a product index`, { cause: error });
  }
}

/**
 * The index with these products in force from their night on. A product already in force stays as it is, with its first
 * night; one that another supersedes stays for the nights before.
 *
 * @returns `index` itself when nothing changes.
 */
export function mergeIndex(index: ProductIndex, made: readonly Product[]): ProductIndex {
  let products = index.products;
  for (const product of made) {
    const inForce = productInForce(products, product);
    if (inForce && inForce.uri === product.uri && inForce.checksum === product.checksum) continue;
    // A night that was observed names its orbits by digest: they stay, behind the newer ones.
    const isReplaced = (p: Product): boolean => isSamePurpose(p, product) && p.fromDayObs === product.fromDayObs
      && (p.kind !== 'orbits' || p.checksum === product.checksum);
    products = products.filter((p) => !isReplaced(p)).concat(product);
  }
  return products === index.products ? index : { ...index, products };
}

function productInForce(products: readonly Product[], wanted: Product): Product | null {
  let best: Product | null = null;
  for (const product of products) {
    if (!isSamePurpose(product, wanted) || product.fromDayObs > wanted.fromDayObs) continue;
    if (best === null || product.fromDayObs >= best.fromDayObs) best = product;
  }
  return best;
}

function isSamePurpose(a: Product, b: Product): boolean {
  return a.kind === b.kind && a.band === b.band && a.detector === b.detector
    && a.sky?.raDeg === b.sky?.raDeg && a.sky?.decDeg === b.sky?.decDeg;
}

function indexedUri(index: ProductIndex, wanted: Wanted): Product | null {
  return index.products.findLast((product) => product.uri === wanted.uri) ?? null;
}

function biasOf(folder: string, detector: DetectorId): Wanted {
  return { kind: 'bias', band: null, detector, uri: `${folder}/bias_${padded(detector)}.fits`, sky: null };
}

function flatOf(folder: string, detector: DetectorId): Wanted {
  return { kind: 'flat', band: null, detector, uri: `${folder}/flat_${padded(detector)}.fits`, sky: null };
}

/** What the effects of a model make worth having. */
function optionalOf(folder: string, { effects }: SimulationModel, band: Band, detector: DetectorId): Wanted[] {
  const wanted: Wanted[] = [], file = `${padded(detector)}.fits`;
  if (effects.darkCurrent || effects.hotPixels) {
    wanted.push({ kind: 'dark', band: null, detector, uri: `${folder}/dark_${file}`, sky: null });
  }
  if (effects.fringing && detectorConfig.fringeAmplitude[band] > 0) {
    wanted.push({ kind: 'fringe', band, detector, uri: `${folder}/fringe_${band}_${file}`, sky: null });
  }
  if (effects.serialCti || effects.parallelCti || effects.brighterFatter) {
    wanted.push({ kind: 'electronics', band: null, detector, uri: `${folder}/electronics_${file}`, sky: null });
  }
  return wanted;
}

/** It serves where a detector's middle lies on it; a camera's fields overlap, but not the places of one detector. */
function templateOf(folder: string, camera: Camera, field: Field, band: Band, detector: Detector): Wanted {
  const map = detectorMap(camera, detector, { ...field, cameraAngleDeg: 0 });
  const { raDeg, decDeg } = skyOfVector(map.toSky((detector.width - 1) / 2, (detector.height - 1) / 2));
  const radiusDeg = (Math.min(detector.width, detector.height) / 2 * pixelScaleArcsec(camera)) / 3600;
  const uri = `${folder}/${field.name}/template_${band}_${padded(detector.id)}.fits`;
  return { kind: 'template', band, detector: detector.id, uri, sky: { raDeg, decDeg, radiusDeg } };
}

/** Valid where the template is. */
function objectsOf(folder: string, camera: Camera, field: Field, detector: Detector): Wanted {
  const { sky } = templateOf(folder, camera, field, 'r', detector);
  const uri = `${folder}/${field.name}/objects_${padded(detector.id)}.fits`;
  return { kind: 'objects', band: null, detector: detector.id, uri, sky };
}

function referencesOf(folder: string, camera: Camera, field: Field): Wanted {
  const sky = { raDeg: field.raDeg, decDeg: field.decDeg, radiusDeg: referenceRadiusDeg(camera) };
  return { kind: 'references', band: null, detector: null, uri: `${folder}/${field.name}/references.fits`, sky };
}

function orbitsOf(folder: string, dayObs: DayObs): Wanted {
  return { kind: 'orbits', band: null, detector: null, uri: `${folder}/orbits_${dayObs}.csv`, sky: null };
}

function padded(detector: DetectorId): string {
  return String(detector).padStart(3, '0');
}
