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
import { encodeTable, type Column } from './tableWriter.ts';

/** Beyond the detector's edges: an arcminute for neighbours, two for dithers. */
const MARGIN_ARCSEC = 180;
/** Depth of the coadds in r, AB: ten years of Rubin's wide survey reach 27.5, one year 26.3; the sky is drawn to 25. */
const FAINT_MAG = 25;

/** What a catalogue says of a source: degrees to 9 decimals, arcseconds and AB magnitudes to 4, by band. */
type ObjectRow = Readonly<{
  objectId: bigint; raDeg: number; decDeg: number; isGalaxy: boolean;
  /** NaN for a star. */
  radiusArcsec: number; mags: readonly number[];
}>;

const COLUMNS: readonly Column<ObjectRow>[] = [
  { name: 'objectId', kind: 'K', of: ({ objectId }) => objectId },
  { name: 'ra', unit: 'deg', kind: 'D', of: ({ raDeg }) => raDeg },
  { name: 'dec', unit: 'deg', kind: 'D', of: ({ decDeg }) => decDeg },
  { name: 'extendedness', kind: 'E', of: ({ isGalaxy }) => Number(isGalaxy) },
  { name: 'radiusArcsec', unit: 'arcsec', kind: 'E', of: ({ radiusArcsec }) => radiusArcsec },
  ...BANDS.map((band, i): Column<ObjectRow> => ({ name: `${band}Mag`, unit: 'mag', kind: 'E', of: ({ mags }) => mags[i] })),
];

/** A FITS table as `schemas/products.ts` says, by declination. */
export function encodeObjects(seed: number, camera: Camera, detector: Detector, field: Field, sky: SkyModel): Buffer {
  const map = detectorMap(camera, detector, { ...field, cameraAngleDeg: 0 });
  const { centre, radius } = imageRadius(map), reach = radius + MARGIN_ARCSEC / ARCSEC_PER_RADIAN;
  const marginPx = MARGIN_ARCSEC / pixelScaleArcsec(camera), rows: ObjectRow[] = [];
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
  rows.sort((a, b) => a.decDeg - b.decDeg || (a.objectId < b.objectId ? -1 : 1));
  return encodeTable('OBJECTS', COLUMNS, rows, 'dec');
}

function rowOf(seed: number, source: Star | Galaxy): ObjectRow {
  const random = randomStream(seed, 'object', Number(source.id >> 30n), Number(source.id & 0x3fffffffn));
  const sigma = skyConfig.referencePositionErrorMas / 1000 / ARCSEC_PER_RADIAN;
  const { raDeg, decDeg } = skyOfVector(source.place), plane = tangentPlane(raDeg, decDeg);
  const seen = skyOfVector(fromTangent(plane, sigma * normal(random), sigma * normal(random)));
  const isGalaxy = 'radiusArcsec' in source;
  return {
    objectId: source.id, raDeg: Number(seen.raDeg.toFixed(9)), decDeg: Number(seen.decDeg.toFixed(9)), isGalaxy,
    radiusArcsec: isGalaxy ? Number(source.radiusArcsec.toFixed(4)) : NaN,
    mags: source.mags.map((mag) => Number((mag + skyConfig.referenceMagError * normal(random)).toFixed(4))),
  };
}
