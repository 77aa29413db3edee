/**
 * Atmosphere and optics: how wide and round a star is at each place of the field, and how much of its light arrives.
 */
import type { Camera, Detector } from '../schemas/camera.ts';
import { pixelScaleArcsec } from '../schemas/camera.ts';
import type { Band } from '../schemas/units.ts';
import { AB_ZERO_POINT_NJY } from '../schemas/units.ts';
import { bandConfig, opticsConfig } from './config.ts';
import { detectorOnFocalPlane, focalPlaneMm } from './focalPlane.ts';
import { normal, randomStream, uniformBetween } from './random.ts';

/** What one exposure's air and optics were like. Everything is drawn from (seed, exposure). */
export type Conditions = Readonly<{
  seeingArcsec: number; transparency: number; skyMag: number;
  /** Direction in which the sky brightens, and how much from edge to edge, relative. */
  skyGradient: readonly [number, number];
  /** Mean ellipticity, and its change from the field's centre to its edge along x and y. */
  ellipticity: readonly [number, number, number, number, number, number];
  /** Place of the best focus, in units of the field's radius. */
  focus: readonly [number, number];
}>;

/** Shape of a Moffat PSF: intensity ∝ (1 + (a dx² + 2 b dx dy + c dy²)/α²)^−β with a c − b² = 1. */
export type PsfShape = Readonly<{ alphaPx: number; a: number; b: number; c: number }>;

export function conditionsOf(seed: number, exposure: number, band: Band): Conditions {
  const random = randomStream(seed, 'conditions', exposure);
  const { seeingMinArcsec, seeingMaxArcsec, transparencyMin, transparencyMax } = opticsConfig;
  const { ellipticityMax, skyScatterMag } = opticsConfig;
  const angle = uniformBetween(random, 0, 2 * Math.PI);
  const e = (): number => uniformBetween(random, -ellipticityMax / 3, ellipticityMax / 3);
  return {
    seeingArcsec: uniformBetween(random, seeingMinArcsec, seeingMaxArcsec),
    transparency: uniformBetween(random, transparencyMin, transparencyMax),
    skyMag: bandConfig[band].skyMag + skyScatterMag * normal(random),
    skyGradient: [opticsConfig.skyGradient * Math.cos(angle), opticsConfig.skyGradient * Math.sin(angle)],
    ellipticity: [e(), e(), e(), e(), e(), e()],
    focus: [uniformBetween(random, -0.3, 0.3), uniformBetween(random, -0.3, 0.3)],
  };
}

/** Electrons that one nanojansky gives in an exposure, before the detector's response. */
export function electronsPerNJy(band: Band, exposureSeconds: number, transparency: number): number {
  return exposureSeconds * transparency * 10 ** (0.4 * (bandConfig[band].zeroPointMag - AB_ZERO_POINT_NJY));
}

/** Sky in electrons per pixel at the field's centre. */
export function skyElectrons(camera: Camera, band: Band, exposureSeconds: number, skyMag: number): number {
  return exposureSeconds * 10 ** (0.4 * (bandConfig[band].zeroPointMag - skyMag)) * pixelScaleArcsec(camera) ** 2;
}

/** Place of a pixel in the field, in units of the field's radius: the farthest corner of any detector is at 1. */
export function fieldPlace(camera: Camera, detector: Detector): (x: number, y: number) => readonly [number, number] {
  const radius = fieldRadiusMm(camera);
  return (x, y) => {
    const [u, v] = focalPlaneMm(camera, detector, x, y);
    return [u / radius, v / radius];
  };
}

export function fieldRadiusMm(camera: Camera): number {
  return Math.max(...camera.detectors.map((detector) => {
    const { x0, y0, x1, y1 } = detectorOnFocalPlane(camera, detector);
    return Math.hypot(Math.max(-x0, x1), Math.max(-y0, y1));
  }));
}

/** Light that reaches a place of the field, relative to its centre. */
export function vignette(u: number, v: number): number {
  return 1 - opticsConfig.vignetting * (u * u + v * v) ** 2;
}

/**
 * As `vignette`, of a wide-field telescope: flat to 1.2° of 2° and steep beyond, where its own rings shade the field.
 */
export function wideFieldVignette(u: number, v: number): number {
  const r2 = u * u + v * v;
  return 1 - opticsConfig.wideFieldVignetting * r2 * r2 * r2;
}

/** Sky brightness at a place of the field, relative to its centre. */
export function skyShape(conditions: Conditions, u: number, v: number): number {
  return 1 + 0.5 * (conditions.skyGradient[0] * u + conditions.skyGradient[1] * v);
}

/** PSF at a place of the field (u, v in units of its radius). */
export function psfAt(conditions: Conditions, scaleArcsec: number, u: number, v: number): PsfShape {
  const du = u - conditions.focus[0], dv = v - conditions.focus[1];
  const growth = 1 + opticsConfig.seeingFieldGrowth * Math.min(1, (du * du + dv * dv) / 1.5);
  const [e1, e2, e1u, e1v, e2u, e2v] = conditions.ellipticity;
  return moffat((conditions.seeingArcsec * growth) / scaleArcsec, e1 + e1u * u + e1v * v, e2 + e2u * u + e2v * v);
}

/** Moffat of that full width at half maximum; (e1, e2) stretch it along x and along the diagonal. */
export function moffat(fwhmPx: number, e1: number, e2: number): PsfShape {
  const alphaPx = fwhmPx / (2 * Math.sqrt(2 ** (1 / opticsConfig.moffatBeta) - 1));
  const norm = Math.sqrt(1 - e1 * e1 - e2 * e2);
  return { alphaPx, a: (1 - e1) / norm, b: -e2 / norm, c: (1 + e1) / norm };
}

/** Peak of a star of unit flux: ∫ of the Moffat profile is π α²/(β − 1). */
export function psfPeak(shape: PsfShape): number {
  return (opticsConfig.moffatBeta - 1) / (Math.PI * shape.alphaPx * shape.alphaPx);
}
