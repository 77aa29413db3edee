/** The catalogue of the survey's coadds about one detector: stars and galaxies with the errors of a measurement. */
import { pixelScaleArcsec, type Camera, type Detector } from '../schemas/camera.ts';
import { BANDS } from '../schemas/units.ts';
import { skyConfig } from './config.ts';
import type { SkyModel } from './model.ts';
import { ARCSEC_PER_RADIAN, detectorMap, fromTangent, imageRadius, skyOfVector, tangentPlane } from './projection.ts';
import { normal, randomStream } from './random.ts';
import { cachedCell } from './scene.ts';
import { cellsOfCone, type Galaxy, type Star } from './sky.ts';
import type { Field } from './schedule.ts';

/** Beyond the detector's edges: an arcminute for neighbours, two for dithers. */
const MARGIN_ARCSEC = 180;
/** Depth of the coadds in r, AB: ten years of Rubin's wide survey reach 27.5, one year 26.3; the sky is drawn to 25. */
const FAINT_MAG = 25;

/** CSV as `schemas/products.ts` says, in the order of the sky's cells and their sources. */
export function makeObjects(seed: number, camera: Camera, detector: Detector, field: Field, sky: SkyModel): string {
  const map = detectorMap(camera, detector, { ...field, cameraAngleDeg: 0 });
  const { centre, radius } = imageRadius(map), reach = radius + MARGIN_ARCSEC / ARCSEC_PER_RADIAN;
  const marginPx = MARGIN_ARCSEC / pixelScaleArcsec(camera);
  const rows = ['objectId,ra,dec,extendedness,radiusArcsec,' + BANDS.map((band) => `${band}Mag`).join(',')];
  for (const index of cellsOfCone(centre, reach)) {
    const cell = cachedCell(seed, index, sky);
    for (const source of [...cell.stars, ...cell.galaxies]) {
      if (source.mags[BANDS.indexOf('r')] > FAINT_MAG) continue;
      const at = map.toPixel(source.place);
      const isNear = at && at.x > -marginPx && at.y > -marginPx
        && at.x < map.width + marginPx && at.y < map.height + marginPx;
      if (isNear) rows.push(rowOf(seed, source));
    }
  }
  return `${rows.join('\n')}\n`;
}

function rowOf(seed: number, source: Star | Galaxy): string {
  const random = randomStream(seed, 'object', Number(source.id >> 30n), Number(source.id & 0x3fffffffn));
  const sigma = skyConfig.referencePositionErrorMas / 1000 / ARCSEC_PER_RADIAN;
  const { raDeg, decDeg } = skyOfVector(source.place), plane = tangentPlane(raDeg, decDeg);
  const seen = skyOfVector(fromTangent(plane, sigma * normal(random), sigma * normal(random)));
  const isGalaxy = 'radiusArcsec' in source;
  const mags = source.mags.map((mag) => (mag + skyConfig.referenceMagError * normal(random)).toFixed(4));
  return [
    source.id, seen.raDeg.toFixed(9), seen.decDeg.toFixed(9), Number(isGalaxy),
    isGalaxy ? source.radiusArcsec.toFixed(4) : '', ...mags,
  ].join(',');
}
