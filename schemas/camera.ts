/**
 * A camera is data: detectors with their place on the focal plane, amps with their boxes, gains and names.
 *
 * Conventions, which simulator and engine implement each on its own so that a sign error cannot cancel:
 * - Pixel (0, 0) is the centre of the first pixel; x is column, y is row. Boxes are half-open, in pixels.
 * - A detector's pixel (x, y) lies on the focal plane at `centerMm` + `pixelSizeMm` × (x − (width − 1)/2, y − (height − 1)/2).
 * - The focal plane maps to the tangent plane at the boresight: with (u, v) = focal-plane position × `plateScaleArcsecPerMm`
 *   and θ = camera angle (position angle of the focal plane's +y axis, east of north),
 *   ξ (east)  = −u cos θ + v sin θ,  η (north) = u sin θ + v cos θ. At θ = 0 north is up and east is left.
 * - The tangent plane is gnomonic: α, δ from ξ, η as in FITS WCS Paper II, TAN.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { asDetectorId, type DetectorId } from './ids.ts';

/** Half-open box: columns x0 … x1 − 1, rows y0 … y1 − 1. */
export type Box = Readonly<{ x0: number; y0: number; x1: number; y1: number }>;

export type Amp = Readonly<{
  name: string;
  /** Where the amp's pixels lie on the assembled detector. */
  detectorBox: Box;
  /** Size of its raw readout, pixels, prescan and overscan included. */
  rawWidth: number; rawHeight: number;
  /** Boxes in the raw readout. `rawData` has the size of `detectorBox`. */
  rawData: Box; rawSerialOverscan: Box; rawParallelOverscan: Box | null;
  /** Whether the raw columns (rows) run against the detector's x (y). */
  flipX: boolean; flipY: boolean;
  gainElectronsPerAdu: number; readNoiseElectrons: number; saturationAdu: number; biasLevelAdu: number;
}>;

export type Detector = Readonly<{
  id: DetectorId; name: string;
  width: number; height: number;
  centerMm: readonly [number, number];
  amps: readonly Amp[];
}>;

export type Camera = Readonly<{
  name: string;
  pixelSizeMm: number; plateScaleArcsecPerMm: number;
  physicalFilters: readonly Readonly<{ name: string; band: string }>[];
  detectors: readonly Detector[];
}>;

const CAMERA_FOLDER = new URL('./cameras/', import.meta.url);

export function cameraNames(): string[] {
  return readdirSync(CAMERA_FOLDER).filter((f) => f.endsWith('.json')).map((f) => f.slice(0, -5)).sort();
}

/** @throws Error that lists the known cameras when `name` is not one of them. */
export function loadCamera(name: string): Camera {
  if (!cameraNames().includes(name)) throw new Error(`unknown camera "${name}"; known: ${cameraNames().join(', ')}`);
  return expandCamera(JSON.parse(readFileSync(new URL(`${name}.json`, CAMERA_FOLDER), 'utf8')) as CameraFile); // Our own file.
}

export function detectorOf(camera: Camera, id: number): Detector {
  const detector = camera.detectors.find((d) => d.id === id);
  if (!detector) throw new Error(`camera ${camera.name} has no detector ${id}`);
  return detector;
}

/** Arcseconds per pixel at the field's centre. */
export function pixelScaleArcsec(camera: Camera): number {
  return camera.pixelSizeMm * camera.plateScaleArcsecPerMm;
}

/** What a camera file holds: amp layouts are shared between detectors, gains and noises are per amp. */
type CameraFile = Readonly<{
  name: string; pixelSizeMm: number; plateScaleArcsecPerMm: number;
  physicalFilters: readonly Readonly<{ name: string; band: string }>[];
  layouts: Readonly<Record<string, Readonly<{
    width: number; height: number;
    amps: readonly Readonly<{
      name: string; detectorBox: BoxFile; rawSize: readonly [number, number]; rawData: BoxFile;
      rawSerialOverscan: BoxFile; rawParallelOverscan: BoxFile | null; flipX: boolean; flipY: boolean;
    }>[];
  }>>>;
  detectors: readonly Readonly<{
    id: number; name: string; layout: string; centerMm: readonly [number, number];
    gainElectronsPerAdu: readonly number[]; readNoiseElectrons: readonly number[];
    saturationAdu: readonly number[]; biasLevelAdu: readonly number[];
  }>[];
}>;
/** x0, y0, width, height. */
type BoxFile = readonly [number, number, number, number];

function expandCamera(file: CameraFile): Camera {
  const detectors = file.detectors.map((d): Detector => {
    const layout = file.layouts[d.layout];
    if (!layout) throw new Error(`camera ${file.name}: detector ${d.name} has unknown layout ${d.layout}`);
    const amps = layout.amps.map((amp, i): Amp => ({
      name: amp.name, detectorBox: box(amp.detectorBox), rawWidth: amp.rawSize[0], rawHeight: amp.rawSize[1],
      rawData: box(amp.rawData), rawSerialOverscan: box(amp.rawSerialOverscan),
      rawParallelOverscan: amp.rawParallelOverscan && box(amp.rawParallelOverscan), flipX: amp.flipX, flipY: amp.flipY,
      gainElectronsPerAdu: d.gainElectronsPerAdu[i], readNoiseElectrons: d.readNoiseElectrons[i],
      saturationAdu: d.saturationAdu[i], biasLevelAdu: d.biasLevelAdu[i],
    }));
    return { id: asDetectorId(d.id), name: d.name, width: layout.width, height: layout.height, centerMm: d.centerMm, amps };
  });
  const { name, pixelSizeMm, plateScaleArcsecPerMm, physicalFilters } = file;
  return { name, pixelSizeMm, plateScaleArcsecPerMm, physicalFilters, detectors };
}

function box([x0, y0, width, height]: BoxFile): Box {
  return { x0, y0, x1: x0 + width, y1: y0 + height };
}
