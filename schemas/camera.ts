/**
 * A camera is data: detectors with their place on the focal plane, amps with their boxes, gains and names.
 *
 * Conventions, which simulator and engine implement each on its own so that a sign error cannot cancel:
 * - Pixel (0, 0) is the centre of the first pixel; x is column, y is row. Boxes are half-open, in pixels.
 * - A detector's pixel (x, y) lies on the focal plane at `centerMm` + `pixelSizeMm` × R (x − (width − 1)/2, y − (height
 * − 1)/2),
 *   R turning counter-clockwise by `quarterTurns` × 90°. Science detectors are not turned.
 * - The focal plane maps to the tangent plane at the boresight: with (u, v) = focal-plane position ×
 * `plateScaleArcsecPerMm`
 *   and θ = camera angle (position angle of the focal plane's +y axis, east of north),
 *   ξ (east)  = −u cos θ + v sin θ,  η (north) = u sin θ + v cos θ. At θ = 0 north is up and east is left.
 * - With a `distortion` [k₁, k₂] the (u, v) above is first stretched: (u, v) (1 + k₁ p² + k₂ p⁴), p = |(u, v)| in
 * radians.
 * - The tangent plane is gnomonic: α, δ from ξ, η as in FITS WCS Paper II, TAN.
 * - An amp's readout begins with raw pixel (0, 0) and runs along its rows; `flipX`, `flipY` tell which way that is on
 * the
 *   detector. All amps are read at once, so raw pixels of equal place are read at the same time and talk across.
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
  /** Register pixels read before the first imaging one, where there are any. */
  rawPrescan?: Box;
  /** Whether the raw columns (rows) run against the detector's x (y). */
  flipX: boolean; flipY: boolean;
  /** `saturationAdu` is of this readout: of the well or of the converter, whichever comes first. */
  gainElectronsPerAdu: number; readNoiseElectrons: number; saturationAdu: number; biasLevelAdu: number;
  /** Charge that a pixel holds before it spills; where it is not known, `saturationAdu` is of the well. */
  fullWellElectrons?: number;
  /** [c₂, c₃]: a reading of S ADU above the bias stands for S + c₂ S² + c₃ S³ of a linear amp. Linear without. */
  linearityPolynomial?: readonly [number, number];
  /** Part of each amp's signal (ADU above the bias, in the order of the detector's amps) that appears in this one. */
  crosstalk?: readonly number[];
}>;

export type Detector = Readonly<{
  id: DetectorId; name: string;
  width: number; height: number;
  centerMm: readonly [number, number];
  amps: readonly Amp[];
  /** What it serves; science without. */
  kind?: DetectorKind;
  serial?: string;
  /** 0 … 3, counter-clockwise; 0 without. */
  quarterTurns?: number;
}>;

export type DetectorKind = 'science' | 'guide' | 'wavefront';

export type Camera = Readonly<{
  name: string;
  pixelSizeMm: number; plateScaleArcsecPerMm: number;
  physicalFilters: readonly Readonly<{ name: string; band: string }>[];
  /** Radial distortion [k₁, k₂], see above; none without. */
  distortion?: readonly [number, number];
  /** Where the telescope stands; not known without: the observer is then put at Earth's centre. */
  site?: Site;
  detectors: readonly Detector[];
}>;

/** Geodetic place (WGS 84): degrees, east positive; metres above the ellipsoid. */
export type Site = Readonly<{ latitudeDeg: number; longitudeDeg: number; heightM: number }>;

const CAMERA_FOLDER = new URL('./cameras/', import.meta.url);

export function cameraNames(): string[] {
  return readdirSync(CAMERA_FOLDER).filter((f) => f.endsWith('.json')).map((f) => f.slice(0, -5)).sort();
}

/** @throws Error that lists the known cameras when `name` is not one of them. */
export function loadCamera(name: string): Camera {
  if (!cameraNames().includes(name)) throw new Error(`unknown camera "${name}"; known: ${cameraNames().join(', ')}`);
  // Our own file.
  return expandCamera(JSON.parse(readFileSync(new URL(`${name}.json`, CAMERA_FOLDER), 'utf8')) as CameraFile);
}

export function detectorOf(camera: Camera, id: number): Detector {
  const detector = camera.detectors.find((d) => d.id === id);
  if (!detector) throw new Error(`camera ${camera.name} has no detector ${id}`);
  return detector;
}

/** The detectors whose frames make alerts. */
export function scienceDetectors(camera: Camera): readonly Detector[] {
  return camera.detectors.filter((detector) => (detector.kind ?? 'science') === 'science');
}

/** Arcseconds per pixel at the field's centre. */
export function pixelScaleArcsec(camera: Camera): number {
  return camera.pixelSizeMm * camera.plateScaleArcsecPerMm;
}

/**
 * What a camera file holds: amp layouts are shared between detectors; a list has an entry an amp, a number serves all.
 */
type CameraFile = Omit<Camera, 'detectors'> & Readonly<{
  layouts: Readonly<Record<string, Readonly<{
    width: number; height: number;
    amps: readonly Readonly<{
      name: string; detectorBox: BoxFile; rawSize: readonly [number, number]; rawData: BoxFile; rawPrescan?: BoxFile;
      rawSerialOverscan: BoxFile; rawParallelOverscan: BoxFile | null; flipX: boolean; flipY: boolean;
    }>[];
    /** One row an amp. */
    crosstalk?: readonly (readonly number[])[];
  }>>>;
  detectors: readonly (Omit<Detector, 'id' | 'width' | 'height' | 'amps'> & Readonly<{
    id: number; layout: string;
    gainElectronsPerAdu: PerAmp; readNoiseElectrons: PerAmp; saturationAdu: PerAmp; biasLevelAdu: PerAmp;
    fullWellElectrons?: PerAmp; linearityPolynomial?: readonly [number, number];
  }>)[];
}>;
/** x0, y0, width, height. */
type BoxFile = readonly [number, number, number, number];
type PerAmp = number | readonly number[];

function expandCamera({ layouts, detectors, ...common }: CameraFile): Camera {
  return { ...common, detectors: detectors.map((detector) => expandDetector(common.name, layouts, detector)) };
}

function expandDetector(
  camera: string, layouts: CameraFile['layouts'], file: CameraFile['detectors'][number],
): Detector {
  const layout = layouts[file.layout];
  if (!layout) throw new Error(`camera ${camera}: detector ${file.name} has unknown layout ${file.layout}`);
  const amps = layout.amps.map((amp, i): Amp => ({
    name: amp.name, detectorBox: box(amp.detectorBox), rawWidth: amp.rawSize[0], rawHeight: amp.rawSize[1],
    rawData: box(amp.rawData), rawSerialOverscan: box(amp.rawSerialOverscan),
    rawParallelOverscan: amp.rawParallelOverscan && box(amp.rawParallelOverscan), flipX: amp.flipX, flipY: amp.flipY,
    gainElectronsPerAdu: at(file.gainElectronsPerAdu, i), readNoiseElectrons: at(file.readNoiseElectrons, i),
    saturationAdu: at(file.saturationAdu, i), biasLevelAdu: at(file.biasLevelAdu, i),
    ...(amp.rawPrescan && { rawPrescan: box(amp.rawPrescan) }),
    ...(file.fullWellElectrons !== undefined && { fullWellElectrons: at(file.fullWellElectrons, i) }),
    ...(file.linearityPolynomial && { linearityPolynomial: file.linearityPolynomial }),
    ...(layout.crosstalk && { crosstalk: layout.crosstalk[i] }),
  }));
  const { id, name, centerMm, kind, serial, quarterTurns } = file;
  return {
    id: asDetectorId(id), name, width: layout.width, height: layout.height, centerMm, amps,
    ...(kind && { kind }), ...(serial !== undefined && { serial }), ...(quarterTurns !== undefined && { quarterTurns }),
  };
}

function at(values: PerAmp, index: number): number {
  return typeof values === 'number' ? values : values[index];
}

function box([x0, y0, width, height]: BoxFile): Box {
  return { x0, y0, x1: x0 + width, y1: y0 + height };
}
