/** One exposure of one detector, from the sky to the amps' readouts and their truth. Pure: no clock, no files. */
import { pixelScaleArcsec, type Amp, type Camera, type Detector } from '../schemas/camera.ts';
import {
  atmosphereConfig, bandConfig, calibrationConfig, detectorConfig, streakConfig, truthConfig,
} from './config.ts';
import { cloudShape, surveyConditions, type SurveyConditions } from './atmosphere.ts';
import { addCosmicRays, addShotNoise, bleed, detectorResponse, readDetector, type CosmicRay } from './detector.ts';
import { demonstrationBodies } from './demonstrationBodies.ts';
import { earthHeliocentric } from './ephemeris.ts';
import { exposedBodies } from './minorPlanets.ts';
import { DEMONSTRATION, type SimulationModel } from './model.ts';
import {
  conditionsOf, electronsPerNJy, fieldPlace, fieldRadiusMm, psfAt, skyElectrons, skyShape, type Conditions,
} from './optics.ts';
import {
  ARCSEC_PER_RADIAN, detectorMap, tanGridMap, unitVector, type PixelMap, type UnitVector,
} from './projection.ts';
import { randomStream } from './random.ts';
import { drawScene, type ChangedSource, type DrawnSource, type SurveyScene } from './scene.ts';
import type { PlannedVisit } from './schedule.ts';
import { addDark, fringesOf, hotPixelsOf, repel, type HotPixel } from './silicon.ts';
import { drawGhost, drawStreak, streaksOf, type DrawnGhost, type DrawnStreak } from './streaks.ts';
import { templateGrid } from './template.ts';
import { isMaskedPlace, optimalSnr, type TruthRow } from './truth.ts';

/** What was put into one exposure besides sources. */
export type Artifacts = Readonly<{
  cosmicRays: readonly CosmicRay[]; streaks: readonly DrawnStreak[]; ghosts: readonly DrawnGhost[];
  hotPixels: readonly HotPixel[]; badColumns: readonly number[];
}>;

export type RenderedExposure = Readonly<{
  /** ADU, one readout an amp, [rawHeight × rawWidth] row-major. */
  amps: readonly Uint16Array[];
  truth: readonly TruthRow[];
  /** Every source that was drawn with its centre on the detector; the survey's sky alone lists them. */
  sources: readonly DrawnSource[];
  artifacts: Artifacts;
  conditions: Conditions | SurveyConditions;
  /** Pixels that reached the full well or the converter's end. */
  saturatedPixels: number;
}>;

/** Renders one detector of a planned visit. Equal arguments give equal results, whatever was rendered before. */
export function renderExposure(
  seed: number, camera: Camera, detector: Detector, plan: PlannedVisit, model: SimulationModel = DEMONSTRATION,
): RenderedExposure {
  const { width, height } = detector, { effects } = model;
  const conditions = conditionsFor(seed, plan, model);
  const scale = pixelScaleArcsec(camera), place = fieldPlace(camera, detector);
  const gainOfSky = electronsPerNJy(plan.band, plan.exposureSeconds, conditions.transparency);
  const psf = (x: number, y: number): ReturnType<typeof psfAt> => psfAt(conditions, scale, ...place(x, y));
  const electrons = new Float32Array(width * height), map = detectorMap(camera, detector, plan.actual);
  const sources: DrawnSource[] = [];
  const survey = 'airmass' in conditions ? surveyScene(camera, detector, plan, map, conditions, sources, model) : null;
  const changed = drawScene({
    seed, band: plan.band, map, mjdTai: plan.midpointMjdTai, psf, electronsPerNJy: gainOfSky, pixelScaleArcsec: scale,
    ...(survey ? { survey } : {
      bodies: (centre: UnitVector, radius: number) => exposedBodies(
        demonstrationBodies(seed, plan.field, plan.midpointMjdTai), centre, radius, plan.startMjdTai,
        plan.exposureSeconds,
      ),
    }),
  }, electrons);
  const passing = addPassingLight(seed, camera, plan, map, conditions, sources, model, electrons);
  const { response, badColumns } = detectorResponse(seed, camera, detector, model);
  const hotPixels = effects.hotPixels ? hotPixelsOf(seed, detector) : [];
  addSkyAndRespond(seed, electrons, response, detector, camera, conditions, plan, model);
  addDark(electrons, detector, plan.exposureSeconds, hotPixels, effects.darkCurrent);

  const snrs = changed.map((source) => optimalSnr(
    electrons, response, width, height, source.x, source.y,
    (source.scienceFluxNJy - source.templateFluxNJy) * gainOfSky, psf(source.x, source.y),
    ampAt(detector, source.x, source.y).readNoiseElectrons, calibrationConfig.templateVisits,
  ));
  if (effects.shotNoise) addShotNoise(electrons, randomStream(seed, 'shot noise', plan.exposure, detector.id));
  const cosmicRays = !effects.cosmicRays ? [] : addCosmicRays(
    electrons, width, height, camera.pixelSizeMm, plan.exposureSeconds, detectorConfig.cosmicRaysPerCm2Second,
    randomStream(seed, 'cosmic rays', plan.exposure, detector.id),
  );
  if (effects.brighterFatter) repel(electrons, width, height);
  const saturated = new Uint8Array(width * height);
  if (effects.saturation) for (const amp of detector.amps) bleed(electrons, saturated, width, amp);

  const template = tanGridMap(templateGrid(seed, camera, detector, plan.field));
  const truth = changed.map((source, i): TruthRow => ({
    ...source, visit: plan.visit, detector: detector.id,
    fluxNJy: source.scienceFluxNJy - source.templateFluxNJy, snr: snrs[i],
    masked: isMaskedPlace(saturated, badColumns, width, height, source.x, source.y) || !isOnTemplate(template, source),
  }));
  const amps = readDetector(seed, detector, electrons, 'read noise', plan.exposure, effects);
  let saturatedPixels = 0;
  for (let i = 0; i < saturated.length; i++) saturatedPixels += saturated[i];
  const artifacts = { ...passing, cosmicRays, hotPixels, badColumns };
  return { amps, truth, sources, artifacts, conditions, saturatedPixels };
}

/** @throws Error of one line when the survey's telescope cannot point there then. */
export function conditionsFor(
  seed: number, plan: PlannedVisit, { sky, effects }: SimulationModel,
): Conditions | SurveyConditions {
  const { exposure, band, midpointMjdTai: mjdTai } = plan, { raDeg, decDeg } = plan.commanded;
  if (sky === 'demonstration') return conditionsOf(seed, exposure, band);
  return surveyConditions({ seed, exposure, band, raDeg, decDeg, mjdTai, hasClouds: effects.clouds });
}

function surveyScene(
  camera: Camera, detector: Detector, plan: PlannedVisit, map: PixelMap, conditions: SurveyConditions,
  sources: DrawnSource[],
  { effects }: SimulationModel,
): SurveyScene {
  const place = fieldPlace(camera, detector);
  return {
    throughput: conditions.cloudMag === 0 ? null : (x, y) => cloudShape(conditions, ...place(x, y)),
    refractionPxPerMag: effects.differentialRefraction
      ? towardsZenith(map, conditions.zenith, conditions.refractionArcsecPerMag / pixelScaleArcsec(camera)) : null,
    referenceColour: atmosphereConfig.referenceColour,
    hasAureoles: effects.aureoles, earth: earthHeliocentric(plan.midpointMjdTai),
    moving: {
      field: unitVector(plan.actual.raDeg, plan.actual.decDeg), fieldRadius: fieldRadius(camera),
      startMjdTai: plan.startMjdTai, seconds: plan.exposureSeconds,
    },
    onSource: (source) => sources.push(source),
  };
}

/** Radius of the whole camera's field, radians. */
function fieldRadius(camera: Camera): number {
  return (fieldRadiusMm(camera) * camera.plateScaleArcsecPerMm) / ARCSEC_PER_RADIAN;
}

/** A step of that many pixels on the image towards the zenith. */
function towardsZenith(map: PixelMap, zenith: UnitVector, lengthPx: number): readonly [number, number] {
  const x = (map.width - 1) / 2, y = (map.height - 1) / 2, middle = map.toSky(x, y), step = 1e-5;
  const nearer: UnitVector = [middle[0] + step * zenith[0], middle[1] + step * zenith[1], middle[2] + step * zenith[2]];
  const norm = Math.hypot(...nearer), at = map.toPixel([nearer[0] / norm, nearer[1] / norm, nearer[2] / norm]);
  if (!at) throw new Error('the middle of an image does not lie on it');
  const distance = Math.hypot(at.x - x, at.y - y);
  return [(lengthPx * (at.x - x)) / distance, (lengthPx * (at.y - y)) / distance];
}

/** Streaks and ghosts. @param electrons [height × width] row-major, before the detector's response. Added to. */
function addPassingLight(
  seed: number, camera: Camera, plan: PlannedVisit, map: PixelMap, conditions: Conditions,
  sources: readonly DrawnSource[],
  { effects }: SimulationModel, electrons: Float32Array,
): Pick<Artifacts, 'streaks' | 'ghosts'> {
  const field = unitVector(plan.actual.raDeg, plan.actual.decDeg), scale = pixelScaleArcsec(camera);
  const electronsOf = (mag: number): number =>
    conditions.transparency * 10 ** (0.4 * (bandConfig[plan.band].zeroPointMag - mag));
  const streaks = !effects.streaks ? []
    : streaksOf(seed, plan.exposure, field, fieldRadius(camera), plan.midpointMjdTai, plan.exposureSeconds)
      .map((streak) => drawStreak(electrons, map, streak, electronsOf(streak.mag), conditions.seeingArcsec, scale));
  const bright = effects.ghosts ? sources.filter(({ kind, mag }) => kind === 'star' && mag < streakConfig.ghostStarMag)
    : [];
  const ghosts = bright.map(({ raDeg, decDeg, mag }) =>
    drawGhost(electrons, map, unitVector(raDeg, decDeg), field, electronsOf(mag) * plan.exposureSeconds, scale));
  return { streaks: streaks.filter((streak) => streak !== null), ghosts: ghosts.filter((ghost) => ghost !== null) };
}

function isOnTemplate(template: ReturnType<typeof tanGridMap>, source: ChangedSource): boolean {
  const at = template.toPixel(unitVector(source.raDeg, source.decDeg));
  if (!at) return false;
  const edge = truthConfig.edgePx;
  return at.x >= edge && at.y >= edge && at.x <= template.width - 1 - edge && at.y <= template.height - 1 - edge;
}

/** Adds the sky and lets the detector respond: electrons become those expected to be caught. */
function addSkyAndRespond(
  seed: number, electrons: Float32Array, response: Float32Array, detector: Detector, camera: Camera,
  conditions: Conditions,
  plan: PlannedVisit, { effects }: SimulationModel,
): void {
  const { width, height } = detector;
  const level = effects.skyBackground ? skyElectrons(camera, plan.band, plan.exposureSeconds, conditions.skyMag) : 0;
  const fringes = effects.fringing && level > 0 ? fringesOf(seed, detector, plan.band) : null;
  const place = fieldPlace(camera, detector);
  for (let y = 0; y < height; y++) {
    // The sky is linear across the field, so a row is a straight line between its ends.
    const first = level * skyShape(conditions, ...place(0, y));
    const step = (level * skyShape(conditions, ...place(width - 1, y)) - first) / (width - 1);
    if (fringes) for (let x = 0, i = y * width; x < width; x++, i++) electrons[i] += level * fringes(x, y);
    for (let x = 0, i = y * width; x < width; x++, i++) electrons[i] = (electrons[i] + first + step * x) * response[i];
  }
}

function ampAt(detector: Detector, x: number, y: number): Amp {
  const column = Math.round(x), row = Math.round(y);
  const amp = detector.amps.find(({ detectorBox: b }) => column >= b.x0 && column < b.x1 && row >= b.y0 && row < b.y1);
  if (!amp) throw new Error(`no amp of ${detector.name} holds pixel (${column}, ${row})`);
  return amp;
}
