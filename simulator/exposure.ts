/** One exposure of one detector, from the sky to the bytes of its raw file. Pure: no clock, no files. */
import { pixelScaleArcsec, type Amp, type Camera, type Detector } from '../schemas/camera.ts';
import type { DayObs } from '../schemas/ids.ts';
import { calibrationConfig, detectorConfig, truthConfig } from './config.ts';
import { addCosmicRays, addShotNoise, bleed, detectorResponse, readDetector } from './detector.ts';
import { encodeFits, type Card, type Hdu } from './fitsWriter.ts';
import { conditionsOf, electronsPerNJy, fieldPlace, psfAt, skyElectrons, skyShape, type Conditions } from './optics.ts';
import { detectorMap, tanGridMap, unitVector } from './projection.ts';
import { randomStream } from './random.ts';
import { drawScene, type ChangedSource } from './scene.ts';
import type { PlannedVisit } from './schedule.ts';
import { templateGrid } from './template.ts';
import { isMaskedPlace, optimalSnr, type TruthRow } from './truth.ts';

export type RenderedExposure = Readonly<{
  /** ADU, one readout an amp, [rawHeight × rawWidth] row-major. */
  amps: readonly Uint16Array[];
  truth: readonly TruthRow[];
  /** Pixels that reached the full well. */
  saturatedPixels: number;
}>;

/** Renders one detector of a planned visit. Equal arguments give equal results, whatever was rendered before. */
export function renderExposure(seed: number, camera: Camera, detector: Detector, plan: PlannedVisit): RenderedExposure {
  const { width, height } = detector;
  const conditions = conditionsOf(seed, plan.exposure, plan.band);
  const scale = pixelScaleArcsec(camera), place = fieldPlace(camera, detector);
  const gainOfSky = electronsPerNJy(plan.band, plan.exposureSeconds, conditions.transparency);
  const psf = (x: number, y: number): ReturnType<typeof psfAt> => psfAt(conditions, scale, ...place(x, y));
  const electrons = new Float32Array(width * height);
  const changed = drawScene({
    seed, band: plan.band, map: detectorMap(camera, detector, plan.actual), mjdTai: plan.midpointMjdTai, psf,
    electronsPerNJy: gainOfSky, pixelScaleArcsec: scale,
  }, electrons);
  const { response, badColumns } = detectorResponse(seed, camera, detector);
  addSkyAndRespond(electrons, response, detector, camera, conditions, plan);

  const snrs = changed.map((source) => optimalSnr(
    electrons, response, width, height, source.x, source.y,
    (source.scienceFluxNJy - source.templateFluxNJy) * gainOfSky, psf(source.x, source.y),
    ampAt(detector, source.x, source.y).readNoiseElectrons, calibrationConfig.templateVisits,
  ));
  addShotNoise(electrons, randomStream(seed, 'shot noise', plan.exposure, detector.id));
  if (detectorConfig.cosmicRaysPerCm2Second > 0) {
    const random = randomStream(seed, 'cosmic rays', plan.exposure, detector.id);
    addCosmicRays(electrons, width, height, camera.pixelSizeMm, plan.exposureSeconds, random);
  }
  const saturated = new Uint8Array(width * height);
  for (const amp of detector.amps) bleed(electrons, saturated, width, amp);

  const template = tanGridMap(templateGrid(seed, camera, detector, plan.field));
  const truth = changed.map((source, i): TruthRow => ({
    ...source, visit: plan.visit, detector: detector.id,
    fluxNJy: source.scienceFluxNJy - source.templateFluxNJy, snr: snrs[i],
    masked: isMaskedPlace(saturated, badColumns, width, height, source.x, source.y) || !isOnTemplate(template, source),
  }));
  const amps = readDetector(seed, detector, electrons, 'read noise', plan.exposure);
  return { amps, truth, saturatedPixels: saturated.reduce((sum, flag) => sum + flag, 0) };
}

function isOnTemplate(template: ReturnType<typeof tanGridMap>, source: ChangedSource): boolean {
  const at = template.toPixel(unitVector(source.raDeg, source.decDeg));
  if (!at) return false;
  const edge = truthConfig.edgePx;
  return at.x >= edge && at.y >= edge && at.x <= template.width - 1 - edge && at.y <= template.height - 1 - edge;
}

/** Adds the sky and lets the detector respond: electrons become those expected to be caught. */
function addSkyAndRespond(
  electrons: Float32Array, response: Float32Array, detector: Detector, camera: Camera, conditions: Conditions,
  plan: PlannedVisit,
): void {
  const { width, height } = detector;
  const level = skyElectrons(camera, plan.band, plan.exposureSeconds, conditions.skyMag);
  const place = fieldPlace(camera, detector);
  for (let y = 0; y < height; y++) {
    // The sky is linear across the field, so a row is a straight line between its ends.
    const first = level * skyShape(conditions, ...place(0, y));
    const step = (level * skyShape(conditions, ...place(width - 1, y)) - first) / (width - 1);
    for (let x = 0, i = y * width; x < width; x++, i++) electrons[i] = (electrons[i] + first + step * x) * response[i];
  }
}

function ampAt(detector: Detector, x: number, y: number): Amp {
  const column = Math.round(x), row = Math.round(y);
  const amp = detector.amps.find(({ detectorBox: b }) => column >= b.x0 && column < b.x1 && row >= b.y0 && row < b.y1);
  if (!amp) throw new Error(`no amp of ${detector.name} holds pixel (${column}, ${row})`);
  return amp;
}

/** Bytes of the raw file, with the keywords that `schemas/products.ts` names. */
export function encodeRaw(
  instrument: string, dayObs: DayObs, detector: Detector, plan: PlannedVisit, amps: readonly Uint16Array[],
): Buffer {
  const { commanded } = plan;
  const primary: Card[] = [
    ['INSTRUME', instrument, 'instrument'], ['DAYOBS', dayObs, 'observing night, date at TAI - 12 h'],
    ['SEQNUM', plan.sequenceNumber, 'sequence number in the night'],
    ['OBSID', `${instrument}_${plan.exposure}`, 'name of the exposure'],
    ['GROUPID', plan.group, 'group'], ['EXPOSURE', plan.exposure, 'exposure id'], ['SNAP', 0, 'snap of the visit'],
    ['DETECTOR', detector.id, 'detector id'], ['DETNAME', detector.name, 'detector name'],
    ['FILTER', plan.physicalFilter, 'physical filter'], ['BAND', plan.band, 'band'],
    ['EXPTIME', plan.exposureSeconds, '[s] exposure time'],
    ['TIMESYS', 'TAI', 'time scale'], ['MJD-BEG', plan.startMjdTai, '[d] start of the exposure'],
    ['MJD-MID', plan.midpointMjdTai, '[d] middle of the exposure'], ['RADESYS', 'ICRS', 'frame of RA and DEC'],
    ['RA', commanded.raDeg, '[deg] boresight as commanded'], ['DEC', commanded.decDeg, '[deg] boresight as commanded'],
    ['ROTPA', commanded.cameraAngleDeg, '[deg] camera angle, +y east of north'],
  ];
  const extensions = detector.amps.map((amp, i): Hdu => ({
    cards: ampCards(amp), image: { width: amp.rawWidth, height: amp.rawHeight, pixels: amps[i] },
  }));
  return encodeFits([{ cards: primary, image: null }, ...extensions]);
}

function ampCards(amp: Amp): Card[] {
  const cards: Card[] = [
    ['EXTNAME', amp.name, 'amp'], ['GAIN', amp.gainElectronsPerAdu, '[electron/adu]'],
    ['RDNOISE', amp.readNoiseElectrons, '[electron] rms'], ['SATURATE', amp.saturationAdu, '[adu] of this readout'],
    ['DATASEC', section(amp.rawData), 'imaging pixels'], ['BIASSEC', section(amp.rawSerialOverscan), 'serial overscan'],
  ];
  if (amp.rawParallelOverscan) cards.push(['POSCSEC', section(amp.rawParallelOverscan), 'parallel overscan']);
  cards.push(['DETSEC', section(amp.detectorBox, amp.flipX, amp.flipY), 'place on the detector']);
  return cards;
}

/** FITS section: 1-based, inclusive, reversed along a flipped axis. */
function section({ x0, y0, x1, y1 }: Amp['detectorBox'], flipX = false, flipY = false): string {
  const x = flipX ? `${x1}:${x0 + 1}` : `${x0 + 1}:${x1}`, y = flipY ? `${y1}:${y0 + 1}` : `${y0 + 1}:${y1}`;
  return `[${x},${y}]`;
}
