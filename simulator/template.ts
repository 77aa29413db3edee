/**
 * The template of one field, band and detector: a deep coadd of good nights, variables at their mean, no transients.
 */
import { pixelScaleArcsec, type Camera, type Detector } from '../schemas/camera.ts';
import { BANDS, type Band } from '../schemas/units.ts';
import { bandConfig, calibrationConfig, nightConfig } from './config.ts';
import { fullWellElectrons } from './detector.ts';
import { encodeFits, type Card, type Hdu } from './fitsWriter.ts';
import { electronsPerNJy, moffat, skyElectrons } from './optics.ts';
import { detectorMap, skyOfVector, tanGridMap, type TanGrid } from './projection.ts';
import { normal, randomStream, uniformBetween } from './random.ts';
import type { SkyModel } from './model.ts';
import { drawScene, type SurveyScene } from './scene.ts';
import type { Field } from './schedule.ts';

/** Bit of the MASK plane that this file's MP_SAT keyword declares. */
const SATURATED_BIT = 1;

/** The survey's sky as many nights show it together: no clouds, stars at the catalogue's epoch, nothing that moves. */
const STILL_SKY: SurveyScene = {
  throughput: null, refractionPxPerMag: null, referenceColour: 0, hasAureoles: true, earth: null, moving: null,
  onSource: null,
};

export type Template = Readonly<{
  grid: TanGrid; seeingArcsec: number;
  /** [height × width] row-major: nJy, nJy², mask bits. */
  image: Float32Array; variance: Float32Array; mask: Uint16Array;
}>;

/**
 * Grid of a template: the detector's pixels about the field's centre, moved a little, turned a little, and larger on
 * every side.
 */
export function templateGrid(seed: number, camera: Camera, detector: Detector, field: Field): TanGrid {
  const random = randomStream(seed, 'template grid', detector.id, ...idsOfField(field));
  const margin = calibrationConfig.templateMarginPx;
  const width = detector.width + 2 * margin, height = detector.height + 2 * margin;
  const map = detectorMap(camera, detector, { raDeg: field.raDeg, decDeg: field.decDeg, cameraAngleDeg: 0 });
  const middle = map.toSky(
    (detector.width - 1) / 2 + uniformBetween(random, -4, 4), (detector.height - 1) / 2 + uniformBetween(random, -4, 4),
  );
  const { raDeg, decDeg } = skyOfVector(middle);
  const turn = uniformBetween(random, -0.02, 0.02) * (Math.PI / 180), degrees = pixelScaleArcsec(camera) / 3600;
  const cos = degrees * Math.cos(turn), sin = degrees * Math.sin(turn);
  const crpix = [(width - 1) / 2, (height - 1) / 2] as const;
  return { width, height, crval: [raDeg, decDeg], crpix, cd: [-cos, sin, sin, cos] };
}

/** Makes the template. Its noise is that of `templateVisits` visits and not correlated from pixel to pixel. */
export function makeTemplate(
  seed: number, camera: Camera, detector: Detector, field: Field, band: Band, sky: SkyModel = 'demonstration',
): Template {
  const grid = templateGrid(seed, camera, detector, field);
  const scale = pixelScaleArcsec(camera), { templateVisits } = calibrationConfig;
  const seeingArcsec = sky === 'survey' ? calibrationConfig.surveyTemplateSeeingArcsec
    : calibrationConfig.templateSeeingArcsec;
  const perNJy = electronsPerNJy(band, nightConfig.exposureSeconds, 1);
  const shape = moffat(seeingArcsec / scale, 0.01, 0);
  const image = new Float32Array(grid.width * grid.height);
  // Its noise is four times smaller than a visit's, and drawScene's floor with it: light is drawn in electrons of 4
  // visits.
  const draw = Math.sqrt(templateVisits);
  drawScene({
    seed, band, map: tanGridMap(grid), mjdTai: null, psf: () => shape, electronsPerNJy: perNJy * draw,
    pixelScaleArcsec: scale, ...(sky === 'survey' && { survey: STILL_SKY }),
  }, image);

  const skyLevel = skyElectrons(camera, band, nightConfig.exposureSeconds, bandConfig[band].skyMag);
  const readVariance = mean(detector.amps.map((amp) => amp.readNoiseElectrons ** 2));
  const full = Math.min(...detector.amps.map(fullWellElectrons));
  const random = randomStream(seed, 'template noise', detector.id, BANDS.indexOf(band), ...idsOfField(field));
  const variance = new Float32Array(image.length), mask = new Uint16Array(image.length);
  for (let i = 0; i < image.length; i++) {
    let electrons = image[i] / draw;
    if (electrons + skyLevel > full) {
      electrons = full - skyLevel;
      mask[i] |= 1 << SATURATED_BIT;
    }
    variance[i] = (electrons + skyLevel + readVariance) / templateVisits / (perNJy * perNJy);
    image[i] = electrons / perNJy + Math.sqrt(variance[i]) * normal(random);
  }
  return { grid, seeingArcsec, image, variance, mask };
}

/** Bytes of the product, as `schemas/products.ts` says. */
export function encodeTemplate(template: Template, band: Band): Buffer {
  const { width, height, crval, crpix, cd } = template.grid;
  const wcs: Card[] = [
    ['RADESYS', 'ICRS'], ['CTYPE1', 'RA---TAN'], ['CTYPE2', 'DEC--TAN'], ['CUNIT1', 'deg'], ['CUNIT2', 'deg'],
    ['CRVAL1', crval[0]], ['CRVAL2', crval[1]], ['CRPIX1', crpix[0] + 1], ['CRPIX2', crpix[1] + 1],
    ['CD1_1', cd[0]], ['CD1_2', cd[1]], ['CD2_1', cd[2]], ['CD2_2', cd[3]],
  ];
  const about: Card[] = [
    ['BAND', band, 'band'], ['NVISITS', calibrationConfig.templateVisits, 'depth, visits'],
    ['SEEING', template.seeingArcsec, '[arcsec] full width at half maximum'],
  ];
  const plane = (cards: readonly Card[], pixels: Float32Array | Uint16Array): Hdu =>
    ({ cards: [...cards, ...wcs], image: { width, height, pixels } });
  return encodeFits([
    { cards: about, image: null },
    plane([['EXTNAME', 'IMAGE'], ['BUNIT', 'nJy'], ...about], template.image),
    plane([['EXTNAME', 'VARIANCE'], ['BUNIT', 'nJy2']], template.variance),
    plane([['EXTNAME', 'MASK'], ['MP_SAT', SATURATED_BIT, 'bit of saturated pixels']], template.mask),
  ]);
}


/** A field as integers that name a random stream: its place to a few milliarcseconds. */
function idsOfField({ raDeg, decDeg }: Field): [number, number] {
  return [Math.round(raDeg * 1e6), Math.round(decDeg * 1e6)];
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
