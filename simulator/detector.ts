/** One detector: its response to light, saturation and bleeding, cosmic rays, and its readout through each amp. */
import type { Amp, Camera, Detector } from '../schemas/camera.ts';
import { detectorConfig } from './config.ts';
import { fieldPlace, vignette, wideFieldVignette } from './optics.ts';
import { DEMONSTRATION, EFFECT_SETS, type Effects, type SimulationModel } from './model.ts';
import { normal, poisson, randomStream, uniform, uniformBetween, type RandomStream } from './random.ts';
import { readoutSignals } from './readoutEffects.ts';

/**
 * Response to light relative to an ideal detector at the field's centre: vignetting, a smooth pattern, pixel-to-pixel
 * differences and bad columns. The same in every band and for the life of the detector.
 *
 * @returns [height × width] row-major, and the columns that are bad.
 */
export function detectorResponse(
  seed: number, camera: Camera, detector: Detector, { sky, effects }: SimulationModel = DEMONSTRATION,
): { response: Float32Array; badColumns: number[] } {
  const { width, height } = detector;
  const random = randomStream(seed, 'response', detector.id);
  const patternRms = effects.illumination ? detectorConfig.responsePattern : 0;
  const light = !effects.vignetting ? () => 1 : sky === 'survey' ? wideFieldVignette : vignette;
  const place = fieldPlace(camera, detector);
  const waveX = uniformBetween(random, 0, 2 * Math.PI), waveY = uniformBetween(random, 0, 2 * Math.PI);
  const badColumns = effects.badColumns ? badColumnsOf(seed, detector) : [];
  const patternX = Float64Array.from({ length: width }, (_, x) => Math.sin(waveX + (2 * Math.PI * x) / width));
  const response = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const patternY = Math.sin(waveY + (2 * Math.PI * y) / height);
    const [u0, v0] = place(0, y), [u1, v1] = place(width - 1, y);
    const uStep = (u1 - u0) / (width - 1), vStep = (v1 - v0) / (width - 1);
    for (let x = 0; x < width; x++) {
      // rms of the sum of two sines is 1.
      const pattern = 1 + patternRms * (patternX[x] + patternY);
      const pixel = effects.prnu ? 1 + detectorConfig.prnu * normal(random) : 1;
      response[y * width + x] = light(u0 + uStep * x, v0 + vStep * x) * pattern * pixel;
    }
    for (const column of badColumns) response[y * width + column] *= detectorConfig.badColumnResponse;
  }
  return { response, badColumns };
}

function badColumnsOf(seed: number, detector: Detector): number[] {
  const random = randomStream(seed, 'bad columns', detector.id);
  const count = poisson(random, (detectorConfig.badColumnsPer1024 * detector.width) / 1024);
  return Array.from({ length: count }, () => Math.floor(uniform(random) * detector.width));
}

/**
 * Draws the electrons that were really caught.
 *
 * @param electrons [n] expected electrons on entry, counted ones on return.
 */
export function addShotNoise(electrons: Float32Array, random: RandomStream): void {
  for (let i = 0; i < electrons.length; i++) electrons[i] = poisson(random, electrons[i]);
}

/** Charge that a pixel of an amp holds before it spills, electrons. */
export function fullWellElectrons(amp: Amp): number {
  return amp.fullWellElectrons ?? (
    amp.saturationAdu - amp.biasLevelAdu
  ) * amp.gainElectronsPerAdu * detectorConfig.fullWellOverSaturate;
}

/**
 * Lets charge above the full well spill along its column, half up and half down, into pixels that have room. It stops
 * at the amp's edges: at the register, and at the channel stop in the detector's middle.
 *
 * @param electrons [height × width] row-major. Changed in place.
 * @param saturated [height × width], set to 1 where the well is full. Written only there.
 */
export function bleed(electrons: Float32Array, saturated: Uint8Array, width: number, amp: Amp): void {
  const full = fullWellElectrons(amp);
  // Where the converter gives up before the well is full, pixels are lost without spilling.
  const lost = Math.min(
    full, (amp.saturationAdu - amp.biasLevelAdu) * amp.gainElectronsPerAdu * detectorConfig.fullWellOverSaturate,
  );
  const { x0, y0, x1, y1 } = amp.detectorBox;
  const isFull = new Uint8Array(x1 - x0);
  let fullColumns = 0;
  for (let y = y0; y < y1; y++) {
    for (let x = x0, i = y * width + x0; x < x1; x++, i++) {
      if (electrons[i] <= lost) continue;
      saturated[i] = 1;
      if (electrons[i] > full) fullColumns += isFull[x - x0] === 0 ? isFull[x - x0] = 1 : 0;
    }
  }
  if (fullColumns === 0) return;
  const excess = new Float64Array(y1 - y0);
  for (let x = x0; x < x1; x++) if (isFull[x - x0] === 1) spill(electrons, saturated, width, x, y0, y1, full, excess);
}

/** One column of an amp. @param excess Scratch of one column; contents are destroyed. */
function spill(
  electrons: Float32Array, saturated: Uint8Array, width: number, x: number, y0: number, y1: number, full: number,
  excess: Float64Array,
): void {
  for (let y = y0; y < y1; y++) {
    const over = electrons[y * width + x] - full;
    excess[y - y0] = Math.max(0, over);
    if (over > 0) electrons[y * width + x] = full;
  }
  let carry = 0;
  for (let y = y0; y < y1; y++) carry = fill(electrons, saturated, y * width + x, full, carry + excess[y - y0] / 2);
  carry = 0;
  for (let y = y1 - 1; y >= y0; y--) {
    carry = fill(electrons, saturated, y * width + x, full, carry + excess[y - y0] / 2);
  }
}

/** Puts as much of `charge` into a pixel as fits; returns what is left. */
function fill(electrons: Float32Array, saturated: Uint8Array, index: number, full: number, charge: number): number {
  if (charge <= 0) return 0;
  const taken = Math.min(charge, full - electrons[index]);
  electrons[index] += taken;
  if (taken < charge) saturated[index] = 1;
  return charge - taken;
}

/** A muon's track: where it entered, the way it went, and its charge. */
export type CosmicRay = Readonly<{ x: number; y: number; lengthPx: number; angle: number; electrons: number }>;

/**
 * Adds straight tracks of charge, as muons leave in 100 µm of silicon: 80 electrons a micrometre.
 *
 * @param electrons [height × width] row-major, electrons. Added to.
 * @param ratePerCm2Second At sea level 0.02; on a mountain of 2,700 m about 0.04.
 */
export function addCosmicRays(
  electrons: Float32Array, width: number, height: number, pixelSizeMm: number, exposureSeconds: number,
  ratePerCm2Second: number, random: RandomStream,
): CosmicRay[] {
  const areaCm2 = width * height * (pixelSizeMm / 10) ** 2;
  const count = poisson(random, ratePerCm2Second * areaCm2 * exposureSeconds);
  return Array.from({ length: count }, (): CosmicRay => {
    const x = uniform(random) * width, y = uniform(random) * height, angle = uniformBetween(random, 0, 2 * Math.PI);
    // Cosine of the zenith angle; flux ∝ cos² on a flat surface.
    const tilt = Math.max(Math.sqrt(uniform(random)), 0.05);
    const lengthPx = (0.1 * Math.sqrt(1 - tilt * tilt)) / tilt / pixelSizeMm;
    const stepCount = Math.max(1, Math.ceil(lengthPx * 2));
    const total = (80 * 100) / tilt;
    for (let s = 0; s < stepCount; s++) {
      const column = Math.floor(x + (Math.cos(angle) * lengthPx * s) / stepCount);
      const row = Math.floor(y + (Math.sin(angle) * lengthPx * s) / stepCount);
      if (column >= 0 && column < width && row >= 0 && row < height) {
        electrons[row * width + column] += total / stepCount;
      }
    }
    return { x, y, lengthPx, angle, electrons: total };
  });
}

/**
 * Reads one amp out.
 *
 * Its bias is a level that drifts from exposure to exposure and from row to row, which the overscan sees too, and a
 * fixed pattern of the columns that only imaging pixels have.
 *
 * @param electrons [height × width] of the whole detector, row-major. Read only; null reads an unexposed detector.
 * @param width     Row length of `electrons`.
 * @param signal    [rawHeight × rawWidth] ADU above the bias, taken in place of `electrons`; null takes those. Read
 * only.
 * @param pattern   From `biasPattern`, ADU.
 * @returns [rawHeight × rawWidth] row-major, ADU.
 */
export function readAmp(
  electrons: Float32Array | null, width: number, amp: Amp, signal: Float32Array | null, pattern: Float64Array,
  random: RandomStream, effects: Effects = EFFECT_SETS.basic,
): Uint16Array {
  const raw = new Uint16Array(amp.rawWidth * amp.rawHeight);
  const noiseAdu = effects.readNoise ? amp.readNoiseElectrons / amp.gainElectronsPerAdu : 0;
  const level = amp.biasLevelAdu + (effects.biasDrift ? detectorConfig.biasExposureDriftAdu * normal(random) : 0);
  const rowDriftAdu = effects.biasDrift ? detectorConfig.biasRowDriftAdu : 0;
  const { x0, x1, y0, y1 } = amp.rawData, box = amp.detectorBox;
  const step = amp.flipX ? -1 : 1;
  let rowDrift = 0;
  for (let y = 0; y < amp.rawHeight; y++) {
    if (rowDriftAdu > 0) rowDrift = 0.9 * rowDrift + rowDriftAdu * normal(random);
    const base = level + rowDrift;
    const isData = y >= y0 && y < y1;
    const row = isData ? (amp.flipY ? box.y1 - 1 - (y - y0) : box.y0 + (y - y0)) : 0;
    const first = row * width + (amp.flipX ? box.x1 - 1 : box.x0);
    for (let x = 0, out = y * amp.rawWidth; x < amp.rawWidth; x++, out++) {
      let value = noiseAdu > 0 ? base + noiseAdu * normal(random) : base;
      if (signal) value += signal[out];
      if (isData && x >= x0 && x < x1) {
        value += pattern[x - x0];
        if (electrons && !signal) value += electrons[first + step * (x - x0)] / amp.gainElectronsPerAdu;
      }
      raw[out] = value <= 0 ? 0 : value >= 65535 ? 65535 : Math.floor(value + 0.5);
    }
  }
  return raw;
}

/** Fixed bias pattern of an amp: one value a column, in the order of reading, ADU. */
export function biasPattern(
  seed: number, detector: Detector, ampIndex: number, effects: Effects = EFFECT_SETS.basic,
): Float64Array {
  const { x0, x1 } = detector.amps[ampIndex].rawData;
  if (!effects.biasStructure) return new Float64Array(x1 - x0);
  const random = randomStream(seed, 'bias pattern', detector.id, ampIndex);
  const { biasColumnAdu, biasRiseAdu, biasRiseColumns } = detectorConfig;
  return Float64Array.from({ length: x1 - x0 }, (_, i) =>
    biasColumnAdu * normal(random) + biasRiseAdu * Math.exp(-i / biasRiseColumns));
}

/** Reads a whole detector out, amp by amp. @param purpose Names the streams of the noise. */
export function readDetector(
  seed: number, detector: Detector, electrons: Float32Array | null, purpose: string, exposure: number,
  effects: Effects = EFFECT_SETS.basic,
): Uint16Array[] {
  const signals = electrons ? readoutSignals(seed, detector, electrons, effects) : null;
  return detector.amps.map((amp, index) => readAmp(
    electrons, detector.width, amp, signals && signals[index], biasPattern(seed, detector, index, effects),
    randomStream(seed, purpose, exposure, detector.id, index), effects,
  ));
}
