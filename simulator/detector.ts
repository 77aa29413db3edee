/** One detector: its response to light, saturation and bleeding, cosmic rays, and its readout through each amp. */
import type { Amp, Camera, Detector } from '../schemas/camera.ts';
import { detectorConfig } from './config.ts';
import { fieldPlace, vignette } from './optics.ts';
import { normal, poisson, randomStream, uniform, uniformBetween, type RandomStream } from './random.ts';

/**
 * Response to light relative to an ideal detector at the field's centre: vignetting, a smooth pattern, pixel-to-pixel
 * differences and bad columns. The same in every band and for the life of the detector.
 *
 * @returns [height × width] row-major, and the columns that are bad.
 */
export function detectorResponse(
  seed: number, camera: Camera, detector: Detector,
): { response: Float32Array; badColumns: number[] } {
  const { width, height } = detector;
  const random = randomStream(seed, 'response', detector.id);
  const place = fieldPlace(camera, detector);
  const waveX = uniformBetween(random, 0, 2 * Math.PI), waveY = uniformBetween(random, 0, 2 * Math.PI);
  const badColumns = badColumnsOf(seed, detector);
  const patternX = Float64Array.from({ length: width }, (_, x) => Math.sin(waveX + (2 * Math.PI * x) / width));
  const response = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const patternY = Math.sin(waveY + (2 * Math.PI * y) / height);
    const [u0, v] = place(0, y);
    const uStep = (place(width - 1, y)[0] - u0) / (width - 1);
    for (let x = 0; x < width; x++) {
      // rms of the sum of two sines is 1.
      const pattern = 1 + detectorConfig.responsePattern * (patternX[x] + patternY);
      response[y * width + x] = vignette(u0 + uStep * x, v) * pattern * (1 + detectorConfig.prnu * normal(random));
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
  return (amp.saturationAdu - amp.biasLevelAdu) * amp.gainElectronsPerAdu * detectorConfig.fullWellOverSaturate;
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
  const { x0, y0, x1, y1 } = amp.detectorBox;
  const excess = new Float64Array(y1 - y0);
  for (let x = x0; x < x1; x++) {
    let isFull = false;
    for (let y = y0; y < y1; y++) {
      const over = electrons[y * width + x] - full;
      excess[y - y0] = over > 0 ? over : 0;
      if (over <= 0) continue;
      isFull = true;
      electrons[y * width + x] = full;
      saturated[y * width + x] = 1;
    }
    if (!isFull) continue;
    let carry = 0;
    for (let y = y0; y < y1; y++) carry = fill(electrons, saturated, y * width + x, full, carry + excess[y - y0] / 2);
    carry = 0;
    for (let y = y1 - 1; y >= y0; y--) {
      carry = fill(electrons, saturated, y * width + x, full, carry + excess[y - y0] / 2);
    }
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

/**
 * Adds straight tracks of charge, as muons leave in 100 µm of silicon: 80 electrons a micrometre.
 *
 * @param electrons [height × width] row-major, electrons. Added to.
 */
export function addCosmicRays(
  electrons: Float32Array, width: number, height: number, pixelSizeMm: number, exposureSeconds: number,
  random: RandomStream,
): void {
  const areaCm2 = width * height * (pixelSizeMm / 10) ** 2;
  const count = poisson(random, detectorConfig.cosmicRaysPerCm2Second * areaCm2 * exposureSeconds);
  for (let k = 0; k < count; k++) {
    const x = uniform(random) * width, y = uniform(random) * height, angle = uniformBetween(random, 0, 2 * Math.PI);
    const tilt = Math.sqrt(uniform(random)); // Cosine of the zenith angle; flux ∝ cos² on a flat surface.
    const lengthPx = (0.1 * Math.sqrt(1 - tilt * tilt)) / Math.max(tilt, 0.05) / pixelSizeMm;
    const stepCount = Math.max(1, Math.ceil(lengthPx * 2));
    const perStep = (80 * 100) / Math.max(tilt, 0.05) / stepCount;
    for (let s = 0; s < stepCount; s++) {
      const column = Math.floor(x + (Math.cos(angle) * lengthPx * s) / stepCount);
      const row = Math.floor(y + (Math.sin(angle) * lengthPx * s) / stepCount);
      if (column >= 0 && column < width && row >= 0 && row < height) electrons[row * width + column] += perStep;
    }
  }
}

/**
 * Reads one amp out.
 *
 * Its bias is a level that drifts from exposure to exposure and from row to row, which the overscan sees too, and a
 * fixed pattern of the columns that only imaging pixels have.
 *
 * @param electrons [height × width] of the whole detector, row-major. Read only; null reads an unexposed detector.
 * @param width     Row length of `electrons`.
 * @param pattern   From `biasPattern`, ADU.
 * @returns [rawHeight × rawWidth] row-major, ADU.
 */
export function readAmp(
  electrons: Float32Array | null, width: number, amp: Amp, pattern: Float64Array, random: RandomStream,
): Uint16Array {
  const raw = new Uint16Array(amp.rawWidth * amp.rawHeight);
  const noiseAdu = amp.readNoiseElectrons / amp.gainElectronsPerAdu;
  const level = amp.biasLevelAdu + detectorConfig.biasExposureDriftAdu * normal(random);
  const { x0, x1, y0, y1 } = amp.rawData, box = amp.detectorBox;
  const step = amp.flipX ? -1 : 1;
  let rowDrift = 0;
  for (let y = 0; y < amp.rawHeight; y++) {
    rowDrift = 0.9 * rowDrift + detectorConfig.biasRowDriftAdu * normal(random);
    const base = level + rowDrift;
    const isData = y >= y0 && y < y1;
    const row = isData ? (amp.flipY ? box.y1 - 1 - (y - y0) : box.y0 + (y - y0)) : 0;
    const first = row * width + (amp.flipX ? box.x1 - 1 : box.x0);
    for (let x = 0, out = y * amp.rawWidth; x < amp.rawWidth; x++, out++) {
      let value = base + noiseAdu * normal(random);
      if (isData && x >= x0 && x < x1) {
        value += pattern[x - x0];
        if (electrons) value += electrons[first + step * (x - x0)] / amp.gainElectronsPerAdu;
      }
      raw[out] = value <= 0 ? 0 : value >= 65535 ? 65535 : Math.floor(value + 0.5);
    }
  }
  return raw;
}

/** Fixed bias pattern of an amp: one value a column, in the order of reading, ADU. */
export function biasPattern(seed: number, detector: Detector, ampIndex: number): Float64Array {
  const { x0, x1 } = detector.amps[ampIndex].rawData;
  const random = randomStream(seed, 'bias pattern', detector.id, ampIndex);
  const { biasColumnAdu, biasRiseAdu, biasRiseColumns } = detectorConfig;
  return Float64Array.from({ length: x1 - x0 }, (_, i) =>
    biasColumnAdu * normal(random) + biasRiseAdu * Math.exp(-i / biasRiseColumns));
}

/** Reads a whole detector out, amp by amp. @param purpose Names the streams of the noise. */
export function readDetector(
  seed: number, detector: Detector, electrons: Float32Array | null, purpose: string, exposure: number,
): Uint16Array[] {
  return detector.amps.map((amp, index) => readAmp(
    electrons, detector.width, amp, biasPattern(seed, detector, index),
    randomStream(seed, purpose, exposure, detector.id, index),
  ));
}
