/** What the sky sends to one image: stars, galaxies and transients drawn on a plane of expected electrons. */
import { BANDS, nJyOfAbMag, type Band } from '../schemas/units.ts';
import { opticsConfig, renderConfig, skyConfig } from './config.ts';
import { drawGalaxy, drawStar } from './drawing.ts';
import type { PsfShape } from './optics.ts';
import { ARCSEC_PER_RADIAN, fromTangent, imageRadius, skyOfVector, tangentPlane, type PixelMap } from './projection.ts';
import {
  cellsOfCone, relativeFlux, skyCell, transientFlux, transientsOf, type Cell, type Galaxy, type Star, type Transient,
} from './sky.ts';

export type Scene = Readonly<{
  seed: number; band: Band; map: PixelMap;
  /** Time of the light curves; null shows variables at their mean and no transients, as a template does. */
  mjdTai: number | null;
  /** PSF at a pixel. */
  psf: (x: number, y: number) => PsfShape;
  electronsPerNJy: number; pixelScaleArcsec: number;
}>;

/** A point source of the scene whose flux at this time is not its mean. */
export type ChangedSource = Readonly<{
  id: bigint; kind: 'variable' | 'supernova' | 'flare';
  raDeg: number; decDeg: number; x: number; y: number;
  scienceFluxNJy: number; templateFluxNJy: number;
}>;

/** Light of a star farther out than this is not drawn, pixels beyond the image's edge: 14th magnitude reaches 50. */
const OUTSIDE_PX = 60;

/** Cells are pure functions of (seed, index); a worker keeps those it met last. */
const cellCache = new Map<string, Cell>();

export function cachedCell(seed: number, index: number): Cell {
  const key = `${seed}/${index}`;
  const cell = cellCache.get(key) ?? skyCell(seed, index);
  cellCache.delete(key);
  cellCache.set(key, cell);
  if (cellCache.size > renderConfig.cellsKept) {
    for (const oldest of cellCache.keys()) { cellCache.delete(oldest); break; }
  }
  return cell;
}

/**
 * Draws the scene.
 *
 * @param plane [height × width] row-major, electrons before the detector's response. Added to.
 * @returns Sources whose flux has changed and whose centre lies on the image, in the order of cells and ids.
 */
export function drawScene(scene: Scene, plane: Float32Array): ChangedSource[] {
  const { centre, radius } = imageRadius(scene.map);
  const margin = (OUTSIDE_PX * scene.pixelScaleArcsec) / ARCSEC_PER_RADIAN;
  const north = northOnImage(scene.map);
  const changed: ChangedSource[] = [];
  for (const index of cellsOfCone(centre, radius + margin)) {
    const cell = cachedCell(scene.seed, index);
    for (const star of cell.stars) drawOneStar(scene, plane, star, changed);
    for (const galaxy of cell.galaxies) drawOneGalaxy(scene, plane, galaxy, north);
    if (scene.mjdTai === null) continue;
    for (const transient of transientsOf(scene.seed, cell, scene.mjdTai)) {
      drawTransient(scene, plane, transient, scene.mjdTai, changed);
    }
  }
  return changed;
}

function fluxNJy(mags: readonly number[], band: Band): number {
  return nJyOfAbMag(mags[BANDS.indexOf(band)]);
}

function drawOneStar(scene: Scene, plane: Float32Array, star: Star, changed: ChangedSource[]): void {
  const at = nearImage(scene.map, star);
  if (!at) return;
  const templateFluxNJy = fluxNJy(star.mags, scene.band);
  const isChanging = scene.mjdTai !== null && star.variable !== null;
  const relative = scene.mjdTai === null ? 1 : relativeFlux(star, scene.band, scene.mjdTai);
  const scienceFluxNJy = templateFluxNJy * relative;
  drawPoint(scene, plane, at.x, at.y, scienceFluxNJy);
  if (isChanging && isInside(scene.map, at)) {
    changed.push({ id: star.id, kind: 'variable', ...skyOfVector(star.place), ...at, scienceFluxNJy, templateFluxNJy });
  }
}

function drawTransient(
  scene: Scene, plane: Float32Array, transient: Transient, mjdTai: number, changed: ChangedSource[],
): void {
  const at = nearImage(scene.map, transient);
  if (!at) return;
  const templateFluxNJy = transient.starMags ? fluxNJy(transient.starMags, scene.band) : 0;
  const flux = fluxNJy(transient.mags, scene.band) * transientFlux(transient, scene.band, mjdTai);
  drawPoint(scene, plane, at.x, at.y, flux);
  if (isInside(scene.map, at)) {
    const scienceFluxNJy = templateFluxNJy + flux;
    const { id, kind, place } = transient;
    changed.push({ id, kind, ...skyOfVector(place), ...at, scienceFluxNJy, templateFluxNJy });
  }
}

function drawPoint(scene: Scene, plane: Float32Array, x: number, y: number, flux: number): void {
  const { width, height } = scene.map;
  drawStar(plane, width, height, x, y, flux * scene.electronsPerNJy, scene.psf(x, y), opticsConfig.wingFloorElectrons);
}

function drawOneGalaxy(
  scene: Scene, plane: Float32Array, galaxy: Galaxy, north: Readonly<{ angle: number; parity: number }>,
): void {
  const at = nearImage(scene.map, galaxy);
  if (!at) return;
  const disc = {
    radiusPx: galaxy.radiusArcsec / scene.pixelScaleArcsec, axisRatio: galaxy.axisRatio,
    angle: north.angle + north.parity * galaxy.positionAngle,
  };
  const electrons = fluxNJy(galaxy.mags, scene.band) * scene.electronsPerNJy;
  const { width, height } = scene.map, psf = scene.psf(at.x, at.y);
  drawGalaxy(plane, width, height, at.x, at.y, electrons, disc, psf, opticsConfig.wingFloorElectrons);
}

function nearImage(map: PixelMap, { place }: Pick<Star, 'place'>): { x: number; y: number } | null {
  const at = map.toPixel(place);
  if (!at || at.x < -OUTSIDE_PX || at.y < -OUTSIDE_PX) return null;
  return at.x > map.width + OUTSIDE_PX || at.y > map.height + OUTSIDE_PX ? null : at;
}

function isInside(map: PixelMap, { x, y }: Readonly<{ x: number; y: number }>): boolean {
  return x >= -0.5 && y >= -0.5 && x < map.width - 0.5 && y < map.height - 0.5;
}

/** Direction of north on the image, radians from +x, and on which side of it east lies (+1: towards +y from +x). */
function northOnImage(map: PixelMap): { angle: number; parity: number } {
  const x = (map.width - 1) / 2, y = (map.height - 1) / 2, step = 1e-5;
  const { raDeg, decDeg } = skyOfVector(map.toSky(x, y));
  const plane = tangentPlane(raDeg, decDeg);
  const north = map.toPixel(fromTangent(plane, 0, step)), east = map.toPixel(fromTangent(plane, step, 0));
  if (!north || !east) throw new Error('the middle of an image does not lie on it');
  const cross = (north.x - x) * (east.y - y) - (north.y - y) * (east.x - x);
  return { angle: Math.atan2(north.y - y, north.x - x), parity: Math.sign(cross) };
}

/** Stars of a cone for the reference catalogue, brighter than its limit. @param radius Radians. */
export function starsOfCone(seed: number, raDeg: number, decDeg: number, radius: number): Star[] {
  const { centre } = tangentPlane(raDeg, decDeg);
  return cellsOfCone(centre, radius).flatMap((index) =>
    cachedCell(seed, index).stars.filter((star) => star.mags[BANDS.indexOf('r')] < skyConfig.referenceFaintMag));
}
