/**
 * What the sky sends to one image: stars, galaxies, transients and moving bodies drawn on a plane of expected
 * electrons.
 */
import { abMagOfNJy, BANDS, nJyOfAbMag, type Band } from '../schemas/units.ts';
import { opticsConfig, renderConfig, skyConfig, surveyConfig } from './config.ts';
import { drawAureole, drawGalaxy, drawStar } from './drawing.ts';
import type { SpaceVector } from './ephemeris.ts';
import { movingSources, type MinorPlanetClass, type MovingSource } from './minorPlanets.ts';
import type { SkyModel } from './model.ts';
import type { PsfShape } from './optics.ts';
import {
  ARCSEC_PER_RADIAN, fromTangent, imageRadius, skyOfVector, tangentPlane, type PixelMap, type UnitVector,
} from './projection.ts';
import {
  CELL_SQUARE_DEGREES, cellsOfCone, relativeFlux, skyCell, transientFlux, transientsOf,
  type Cell, type Galaxy, type Magnitudes, type Star, type Transient,
} from './sky.ts';
import { placeAt, surveyCell } from './surveySky.ts';
import {
  surveyTransientFlux, surveyTransientsOf, type SurveyTransient, type SurveyTransientKind,
} from './surveyTransients.ts';
import { surveyVariableFlux, type SurveyVariable } from './variables.ts';

export type Scene = Readonly<{
  seed: number; band: Band; map: PixelMap;
  /** Time of the light curves; null shows variables at their mean and no transients, as a template does. */
  mjdTai: number | null;
  /** PSF at a pixel. */
  psf: (x: number, y: number) => PsfShape;
  electronsPerNJy: number; pixelScaleArcsec: number;
  /** Minor planets of the demonstration within a cone; the survey has its own. */
  bodies?: (centre: UnitVector, radius: number) => readonly MovingSource[];
  /** What only the survey's sky has; the demonstration's without. */
  survey?: SurveyScene;
}>;

export type SurveyScene = Readonly<{
  /** Light that arrives at a pixel, relative: clouds. */
  throughput: ((x: number, y: number) => number) | null;
  /** Pixels by which a source is shifted for each magnitude that its g − i is bluer than the reference. */
  refractionPxPerMag: readonly [number, number] | null; referenceColour: number;
  /** Whether bright stars have aureoles. */
  hasAureoles: boolean;
  /** Earth from the Sun, AU: parallax. */
  earth: SpaceVector | null;
  /** Shutter, and the whole camera's field: bodies that move through it. Null leaves them out. */
  moving: Readonly<{ field: UnitVector; fieldRadius: number; startMjdTai: number; seconds: number }> | null;
  /** Told of every source whose centre lies on the image. */
  onSource: ((source: DrawnSource) => void) | null;
}>;

/** A source as it was drawn. */
export type DrawnSource = Readonly<{
  id: bigint; kind: 'star' | 'galaxy' | ChangedKind; raDeg: number; decDeg: number; x: number; y: number;
  fluxNJy: number; mag: number;
}>;

export type ChangedKind =
  | 'variable' | 'supernova' | SurveyTransientKind | SurveyVariable['shape'] | MinorPlanetClass;

/** A source of the scene whose flux at this time is not its mean. */
export type ChangedSource = Readonly<{
  id: bigint; kind: ChangedKind;
  raDeg: number; decDeg: number; x: number; y: number;
  scienceFluxNJy: number; templateFluxNJy: number;
  /** Where a body was when the shutter opened and closed, pixels; null for what stands still. */
  trail?: Readonly<{ x0: number; y0: number; x1: number; y1: number }>;
}>;

/**
 * Light of a star farther out than this is not drawn, pixels beyond the image's edge: 14th magnitude reaches 50, the
 * survey's 9th 80, and its aureole 390.
 */
const OUTSIDE_PX = 60, SURVEY_OUTSIDE_PX = 100, AUREOLE_OUTSIDE_PX = 400, AUREOLE_MAG = 14;

/** Cells are pure functions of (seed, index); a worker keeps those it met last. */
const cellCache = new Map<string, Cell>();
let sourcesKept = 0;

export function cachedCell(seed: number, index: number, sky: SkyModel = 'demonstration'): Cell {
  const key = `${sky}/${seed}/${index}`, known = cellCache.get(key);
  const cell = known ?? (sky === 'survey' ? surveyCell(seed, index) : skyCell(seed, index));
  if (known) cellCache.delete(key); else sourcesKept += sourceCount(cell);
  cellCache.set(key, cell);
  while (sourcesKept > renderConfig.sourcesKeptMax && cellCache.size > 1) dropOldest();
  return cell;
}

function dropOldest(): void {
  for (const [key, cell] of cellCache) {
    cellCache.delete(key);
    sourcesKept -= sourceCount(cell);
    return;
  }
}

function sourceCount({ stars, galaxies }: Cell): number {
  return stars.length + galaxies.length;
}

/**
 * Draws the scene.
 *
 * @param plane [height × width] row-major, electrons before the detector's response. Added to.
 * @returns Sources whose flux has changed and whose centre lies on the image, in the order of cells and ids.
 */
export function drawScene(scene: Scene, plane: Float32Array): ChangedSource[] {
  const { centre, radius } = imageRadius(scene.map);
  const outside = scene.survey?.hasAureoles ? AUREOLE_OUTSIDE_PX : outsidePx(scene, []);
  const reach = radius + (outside * scene.pixelScaleArcsec) / ARCSEC_PER_RADIAN;
  const north = northOnImage(scene.map);
  const changed: ChangedSource[] = [];
  for (const index of cellsOfCone(centre, reach)) {
    const cell = cachedCell(scene.seed, index, scene.survey ? 'survey' : 'demonstration');
    for (const star of cell.stars) drawOneStar(scene, plane, star, changed);
    for (const galaxy of cell.galaxies) drawOneGalaxy(scene, plane, galaxy, north, changed);
    if (scene.mjdTai === null) continue;
    if (scene.survey) {
      for (
        const transient of surveyTransientsOf(
          scene.seed, cell, CELL_SQUARE_DEGREES, scene.mjdTai, skyConfig.transientFluxMin,
        )
      ) {
        drawSurveyTransient(scene, plane, transient, scene.mjdTai, changed);
      }
    } else {
      for (const transient of transientsOf(scene.seed, cell, scene.mjdTai)) {
        drawTransient(scene, plane, transient, scene.mjdTai, changed);
      }
    }
  }
  if (scene.survey?.moving) {
    const { field, fieldRadius, startMjdTai, seconds } = scene.survey.moving;
    for (const body of movingSources(scene.seed, field, fieldRadius, centre, reach, startMjdTai, seconds)) {
      drawMoving(scene, plane, body, changed);
    }
  }
  for (const body of scene.bodies?.(centre, reach) ?? []) drawMoving(scene, plane, body, changed);
  return changed;
}

function outsidePx(scene: Scene, mags: Magnitudes): number {
  if (!scene.survey) return OUTSIDE_PX;
  return scene.survey.hasAureoles && mags[BANDS.indexOf('r')] < AUREOLE_MAG ? AUREOLE_OUTSIDE_PX : SURVEY_OUTSIDE_PX;
}

function fluxNJy(mags: readonly number[], band: Band): number {
  return nJyOfAbMag(mags[BANDS.indexOf(band)]);
}

function drawOneStar(scene: Scene, plane: Float32Array, star: Star, changed: ChangedSource[]): void {
  const { mjdTai, survey } = scene;
  const place = survey ? placeAt(star, mjdTai ?? surveyConfig.epochMjdTai, survey.earth) : star.place;
  const at = nearImage(scene, place, star.mags);
  if (!at) return;
  const templateFluxNJy = fluxNJy(star.mags, scene.band);
  const variable = star.surveyVariable ?? null;
  const isChanging = mjdTai !== null && (star.variable !== null || variable !== null);
  const relative = mjdTai === null ? 1 : variable ? surveyVariableFlux(variable, scene.band, mjdTai)
    : relativeFlux(star, scene.band, mjdTai);
  const scienceFluxNJy = templateFluxNJy * relative;
  drawPoint(scene, plane, at.x, at.y, scienceFluxNJy);
  if (!isInside(scene.map, at)) return;
  if (isChanging) {
    const kind = variable ? variable.shape : 'variable';
    changed.push({ id: star.id, kind, ...skyOfVector(place), ...at, scienceFluxNJy, templateFluxNJy });
  }
  tell(scene, star.id, isChanging && variable ? variable.shape : 'star', place, at, scienceFluxNJy);
}

function drawTransient(
  scene: Scene, plane: Float32Array, transient: Transient, mjdTai: number, changed: ChangedSource[],
): void {
  const flux = fluxNJy(transient.mags, scene.band) * transientFlux(transient, scene.band, mjdTai);
  drawNew(scene, plane, transient, flux, changed);
}

function drawSurveyTransient(
  scene: Scene, plane: Float32Array, transient: SurveyTransient, mjdTai: number, changed: ChangedSource[],
): void {
  const flux = fluxNJy(transient.mags, scene.band) * surveyTransientFlux(transient, scene.band, mjdTai);
  drawNew(scene, plane, transient, flux, changed);
}

function drawNew(
  scene: Scene, plane: Float32Array, transient: Transient | SurveyTransient, flux: number, changed: ChangedSource[],
): void {
  const { id, kind, place } = transient;
  const at = nearImage(scene, place, transient.mags);
  if (!at) return;
  const templateFluxNJy = transient.starMags ? fluxNJy(transient.starMags, scene.band) : 0;
  drawPoint(scene, plane, at.x, at.y, flux);
  if (!isInside(scene.map, at)) return;
  changed.push({ id, kind, ...skyOfVector(place), ...at, scienceFluxNJy: templateFluxNJy + flux, templateFluxNJy });
  tell(scene, id, kind, place, at, flux);
}

/** A body's light in points half a pixel apart along its way, so that its trail is as smooth as the PSF. */
function drawMoving(scene: Scene, plane: Float32Array, body: MovingSource, changed: ChangedSource[]): void {
  const start = scene.map.toPixel(body.start), end = scene.map.toPixel(body.end);
  const at = nearImage(scene, body.middle, body.mags);
  if (!start || !end || !at) return;
  const flux = fluxNJy(body.mags, scene.band), length = Math.hypot(end.x - start.x, end.y - start.y);
  const count = Math.max(1, Math.ceil(length * 2));
  for (let k = 0; k < count; k++) {
    const part = (k + 0.5) / count - 0.5;
    drawPoint(scene, plane, at.x + part * (end.x - start.x), at.y + part * (end.y - start.y), flux / count);
  }
  if (!isInside(scene.map, at)) return;
  const { id, class: kind } = body.planet;
  const trail = { x0: start.x, y0: start.y, x1: end.x, y1: end.y };
  changed.push({ id, kind, ...skyOfVector(body.middle), ...at, scienceFluxNJy: flux, templateFluxNJy: 0, trail });
  tell(scene, id, kind, body.middle, at, flux);
}

function tell(
  scene: Scene, id: bigint, kind: DrawnSource['kind'], place: UnitVector, at: Readonly<{ x: number; y: number }>,
  flux: number,
): void {
  scene.survey?.onSource?.({ id, kind, ...skyOfVector(place), ...at, fluxNJy: flux, mag: abMagOfNJy(flux) });
}

function drawPoint(scene: Scene, plane: Float32Array, x: number, y: number, flux: number): void {
  const { width, height } = scene.map, electrons = flux * scene.electronsPerNJy * throughputAt(scene, x, y);
  const shape = scene.psf(x, y), { wingFloorElectrons, aureolePart, aureoleWidth, aureoleElectronsMin } = opticsConfig;
  if (!scene.survey?.hasAureoles || electrons < aureoleElectronsMin) {
    drawStar(plane, width, height, x, y, electrons, shape, wingFloorElectrons);
    return;
  }
  drawStar(plane, width, height, x, y, electrons * (1 - aureolePart), shape, wingFloorElectrons);
  const core = aureoleWidth * shape.alphaPx;
  drawAureole(plane, width, height, x, y, electrons * aureolePart, core, wingFloorElectrons);
}

function throughputAt(scene: Scene, x: number, y: number): number {
  return scene.survey?.throughput?.(x, y) ?? 1;
}

function drawOneGalaxy(
  scene: Scene, plane: Float32Array, galaxy: Galaxy, north: Readonly<{ angle: number; parity: number }>,
  changed: ChangedSource[],
): void {
  const at = nearImage(scene, galaxy.place, galaxy.mags);
  if (!at) return;
  const disc = {
    radiusPx: galaxy.radiusArcsec / scene.pixelScaleArcsec, axisRatio: galaxy.axisRatio,
    angle: north.angle + north.parity * galaxy.positionAngle, bulgePart: galaxy.bulgePart ?? 0,
  };
  const flux = fluxNJy(galaxy.mags, scene.band);
  const electrons = flux * scene.electronsPerNJy * throughputAt(scene, at.x, at.y);
  const { width, height } = scene.map, psf = scene.psf(at.x, at.y);
  drawGalaxy(plane, width, height, at.x, at.y, electrons, disc, psf, opticsConfig.wingFloorElectrons);
  const isOnImage = isInside(scene.map, at);
  if (isOnImage) tell(scene, galaxy.id, 'galaxy', galaxy.place, at, flux);
  if (!galaxy.nucleus) return;
  const { mags, variable } = galaxy.nucleus, templateFluxNJy = fluxNJy(mags, scene.band);
  const scienceFluxNJy = templateFluxNJy * (
    scene.mjdTai === null ? 1 : surveyVariableFlux(variable, scene.band, scene.mjdTai)
  );
  drawPoint(scene, plane, at.x, at.y, scienceFluxNJy);
  if (!isOnImage || scene.mjdTai === null) return;
  changed.push(
    { id: galaxy.id, kind: variable.shape, ...skyOfVector(galaxy.place), ...at, scienceFluxNJy, templateFluxNJy },
  );
}

function nearImage(scene: Scene, place: UnitVector, mags: Magnitudes): { x: number; y: number } | null {
  const at = scene.map.toPixel(place), outside = outsidePx(scene, mags);
  if (!at || at.x < -outside || at.y < -outside) return null;
  if (at.x > scene.map.width + outside || at.y > scene.map.height + outside) return null;
  const shift = scene.survey?.refractionPxPerMag;
  if (!scene.survey || !shift) return at;
  const bluer = scene.survey.referenceColour - (mags[BANDS.indexOf('g')] - mags[BANDS.indexOf('i')]);
  return { x: at.x + shift[0] * bluer, y: at.y + shift[1] * bluer };
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
export function starsOfCone(
  seed: number, raDeg: number, decDeg: number, radius: number, sky: SkyModel = 'demonstration',
): Star[] {
  return [...starsByCell(seed, raDeg, decDeg, radius, sky)].flat();
}

/** As `starsOfCone`, cell by cell: a wide camera's cone towards the Galaxy holds more stars than fit in memory. */
export function* starsByCell(
  seed: number, raDeg: number, decDeg: number, radius: number, sky: SkyModel = 'demonstration',
): Generator<readonly Star[]> {
  for (const index of cellsOfCone(tangentPlane(raDeg, decDeg).centre, radius)) {
    yield cachedCell(seed, index, sky).stars.filter(
      (star) => star.mags[BANDS.indexOf('r')] < skyConfig.referenceFaintMag,
    );
  }
}
