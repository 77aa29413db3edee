/**
 * The bytes of raw files: headers that a reader needs, one image an amp.
 *
 * Beyond the keywords of `schemas/products.ts` the simulator's raws carry, in the primary header: OBSTYPE (science,
 * bias, dark, flat, engineering), DATE-BEG (start, TAI), and where the survey's sky was seen AIRMASS, ALT, MOONALT and
 * SUNALT at the middle of the exposure. Each amp has PRESEC (its prescan) and the WCS of the commanded pointing for its
 * own raw pixels: TAN, or TAN-SIP with the camera's distortion. With compression `rice` amps are tile-compressed images
 * (§10.1).
 *
 * Words have 16 bits, as `schemas/products.ts` has raws, where LSSTCam's converters have 18: files of 32-bit words would
 * be twice as large for the few pixels a detector between 65,535 ADU (90,000 … 110,000 electrons) and the full well
 * (120,000 … 140,000). The converter ends there, truth counts the pixel as saturated, and SATURATE says 64,500.
 */
import type { Amp, Camera, Detector } from '../schemas/camera.ts';
import type { DayObs } from '../schemas/ids.ts';
import { taiSecondsOfMjd } from '../schemas/time.ts';
import { encodeFits, type Card, type Hdu } from './fitsWriter.ts';
import type { Compression } from './model.ts';
import { ARCSEC_PER_RADIAN, type Pointing } from './projection.ts';
import type { PlannedVisit } from './schedule.ts';

/** What kind of light an exposure took. */
export type ObservationType = 'science' | 'bias' | 'dark' | 'flat' | 'engineering';

/** As Rubin's visits of the survey tell it. */
const SURVEY_REASON = 'field_survey_science';

export type RawOptions = Readonly<{
  /** Writes the WCS of the commanded pointing when given; the camera's distortion is part of it. */
  camera?: Camera; compression?: Compression; observationType?: ObservationType;
  /** Cards that follow the standard ones. */
  cards?: readonly Card[];
}>;

/** Bytes of the raw file, with the keywords that `schemas/products.ts` names. */
export function encodeRaw(
  instrument: string, dayObs: DayObs, detector: Detector, plan: PlannedVisit, amps: readonly Uint16Array[],
  options: RawOptions = {},
): Buffer {
  const { commanded } = plan;
  const primary: Card[] = [
    ['INSTRUME', instrument, 'instrument'], ['DAYOBS', dayObs, 'observing night, date at TAI - 12 h'],
    ['SEQNUM', plan.sequenceNumber, 'sequence number in the night'],
    ['OBSID', `${instrument}_${plan.exposure}`, 'name of the exposure'],
    ['GROUPID', plan.group, 'group'], ['EXPOSURE', plan.exposure, 'exposure id'],
    ['SNAP', plan.snap ?? 0, 'snap of the visit'],
    ['OBJECT', plan.field.name, 'target'],
    ...options.observationType === undefined || options.observationType === 'science'
      ? [['REASON', SURVEY_REASON, 'why it was taken'] as const] : [],
    ['DETECTOR', detector.id, 'detector id'], ['DETNAME', detector.name, 'detector name'],
    ['FILTER', plan.physicalFilter, 'physical filter'], ['BAND', plan.band, 'band'],
    ['EXPTIME', plan.exposureSeconds, '[s] exposure time'],
    ['TIMESYS', 'TAI', 'time scale'], ['MJD-BEG', plan.startMjdTai, '[d] start of the exposure'],
    ['MJD-MID', plan.midpointMjdTai, '[d] middle of the exposure'], ['RADESYS', 'ICRS', 'frame of RA and DEC'],
    ['RA', commanded.raDeg, '[deg] boresight as commanded'], ['DEC', commanded.decDeg, '[deg] boresight as commanded'],
    ['ROTPA', commanded.cameraAngleDeg, '[deg] camera angle, +y east of north'],
  ];
  const type = options.observationType ?? 'science';
  if (options.camera) {
    primary.push(
      ['OBSTYPE', type, 'science, bias, dark, flat or engineering'],
      ['DATE-BEG', isoOf(plan.startMjdTai), 'start, TAI'],
    );
  }
  const isOnSky = type === 'science' || type === 'engineering';
  const extensions = detector.amps.map((amp, i): Hdu => ({
    cards: [
      ...ampCards(amp),
      ...(options.camera && isOnSky ? wcsCards(options.camera, detector, amp, commanded) : []),
    ],
    image: { width: amp.rawWidth, height: amp.rawHeight, pixels: amps[i] },
  }));
  return encodeFits(
    [{ cards: [...primary, ...options.cards ?? []], image: null }, ...extensions], options.compression ?? 'none',
  );
}

function isoOf(mjdTai: number): string {
  return new Date(Math.round(taiSecondsOfMjd(mjdTai) * 1000)).toISOString().slice(0, -1);
}

function ampCards(amp: Amp): Card[] {
  const cards: Card[] = [
    ['EXTNAME', amp.name, 'amp'], ['GAIN', amp.gainElectronsPerAdu, '[electron/adu]'],
    ['RDNOISE', amp.readNoiseElectrons, '[electron] rms'], ['SATURATE', amp.saturationAdu, '[adu] of this readout'],
    ['DATASEC', section(amp.rawData), 'imaging pixels'], ['BIASSEC', section(amp.rawSerialOverscan), 'serial overscan'],
  ];
  if (amp.rawPrescan) cards.push(['PRESEC', section(amp.rawPrescan), 'prescan']);
  if (amp.rawParallelOverscan) cards.push(['POSCSEC', section(amp.rawParallelOverscan), 'parallel overscan']);
  cards.push(['DETSEC', section(amp.detectorBox, amp.flipX, amp.flipY), 'place on the detector']);
  return cards;
}

/** FITS section: 1-based, inclusive, reversed along a flipped axis. */
function section({ x0, y0, x1, y1 }: Amp['detectorBox'], flipX = false, flipY = false): string {
  const x = flipX ? `${x1}:${x0 + 1}` : `${x0 + 1}:${x1}`, y = flipY ? `${y1}:${y0 + 1}` : `${y0 + 1}:${y1}`;
  return `[${x},${y}]`;
}

/**
 * WCS of one amp's raw image: TAN about the boresight, whose pixel lies far outside, with the radial distortion as SIP
 * (Shupe et al. 2005). About the boresight u (k₁ p² + k₂ p⁴) is a polynomial of order 5 as it stands, and odd in both
 * axes, so that amps read backwards have the same coefficients.
 */
function wcsCards(camera: Camera, detector: Detector, amp: Amp, { raDeg, decDeg, cameraAngleDeg }: Pointing): Card[] {
  const theta = (cameraAngleDeg * Math.PI) / 180, turns = detector.quarterTurns ?? 0;
  const cos = Math.round(Math.cos((turns * Math.PI) / 2)), sin = Math.round(Math.sin((turns * Math.PI) / 2));
  const size = camera.pixelSizeMm, degrees = (size * camera.plateScaleArcsecPerMm) / 3600;
  const [centreX, centreY] = detector.centerMm;
  // The boresight's pixel of the assembled detector, then of the raw image.
  const x = (detector.width - 1) / 2 - (centreX * cos + centreY * sin) / size;
  const y = (detector.height - 1) / 2 - (centreY * cos - centreX * sin) / size;
  const box = amp.detectorBox, signX = amp.flipX ? -1 : 1, signY = amp.flipY ? -1 : 1;
  const rawX = amp.rawData.x0 + signX * (x - (amp.flipX ? box.x1 - 1 : box.x0));
  const rawY = amp.rawData.y0 + signY * (y - (amp.flipY ? box.y1 - 1 : box.y0));
  // ξ = −u cos θ + v sin θ, η = u sin θ + v cos θ, of (u, v) = R (dx, dy).
  const xi = (u: number, v: number): number => -u * Math.cos(theta) + v * Math.sin(theta);
  const eta = (u: number, v: number): number => u * Math.sin(theta) + v * Math.cos(theta);
  const hasDistortion = camera.distortion !== undefined;
  const cards: Card[] = [
    ['WCSAXES', 2], ['CTYPE1', hasDistortion ? 'RA---TAN-SIP' : 'RA---TAN'],
    ['CTYPE2', hasDistortion ? 'DEC--TAN-SIP' : 'DEC--TAN'],
    ['CUNIT1', 'deg'], ['CUNIT2', 'deg'], ['RADESYS', 'ICRS'], ['CRVAL1', raDeg], ['CRVAL2', decDeg],
    ['CRPIX1', rawX + 1], ['CRPIX2', rawY + 1],
    ['CD1_1', signX * degrees * xi(cos, sin)], ['CD1_2', signY * degrees * xi(-sin, cos)],
    ['CD2_1', signX * degrees * eta(cos, sin)], ['CD2_2', signY * degrees * eta(-sin, cos)],
  ];
  if (!camera.distortion) return cards;
  const radians2 = (size * camera.plateScaleArcsecPerMm / ARCSEC_PER_RADIAN) ** 2, [k1, k2] = camera.distortion;
  const third = k1 * radians2, fifth = k2 * radians2 * radians2;
  cards.push(
    ['A_ORDER', 5], ['A_3_0', third], ['A_1_2', third], ['A_5_0', fifth], ['A_3_2', 2 * fifth], ['A_1_4', fifth],
  );
  cards.push(
    ['B_ORDER', 5], ['B_0_3', third], ['B_2_1', third], ['B_0_5', fifth], ['B_2_3', 2 * fifth], ['B_4_1', fifth],
  );
  return cards;
}
