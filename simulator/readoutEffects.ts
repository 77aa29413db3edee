/**
 * What happens to charge on its way out of a detector: deferred charge at each transfer, an amplifier that is not quite
 * linear, and signals that talk across to the other amps read at the same moment.
 */
import type { Amp, Detector } from '../schemas/camera.ts';
import { detectorConfig } from './config.ts';
import type { Effects } from './model.ts';
import { randomStream, uniformBetween } from './random.ts';

/**
 * Signals of all amps as they reach the converter, before bias and noise.
 *
 * @param electrons [height × width] row-major, charge collected. Read only.
 * @returns Per amp [rawHeight × rawWidth] row-major, ADU above the bias; null when every effect of readout is off.
 */
export function readoutSignals(
  seed: number, detector: Detector, electrons: Float32Array, effects: Effects,
): Float32Array[] | null {
  if (!effects.serialCti && !effects.parallelCti && !effects.nonlinearity && !effects.crosstalk) return null;
  const signals = detector.amps.map((amp, index) => {
    const { serial, parallel } = transferInefficiency(seed, detector, index);
    const signal = transferredCharge(
      electrons, detector.width, amp, effects.serialCti ? serial : 0, effects.parallelCti ? parallel : 0,
    );
    amplify(signal, amp, effects.nonlinearity ? amp.linearityPolynomial ?? null : null);
    return signal;
  });
  if (effects.crosstalk) addCrosstalk(signals, detector);
  return signals;
}

/** Charge transfer inefficiency of an amp, per transfer. */
export function transferInefficiency(
  seed: number, detector: Detector, ampIndex: number,
): { serial: number; parallel: number } {
  const random = randomStream(seed, 'transfer inefficiency', detector.id, ampIndex);
  return {
    serial: detectorConfig.serialCti * uniformBetween(random, 0.5, 1.5),
    parallel: detectorConfig.parallelCti * uniformBetween(random, 0.5, 1.5),
  };
}

/**
 * Charge of one amp in the order in which it arrives. After n transfers a packet has left n ε of itself in the one that
 * follows, so the last imaging pixel trails into the overscan (extended pixel edge response, Janesick 2001, §5.3).
 *
 * @param serial, parallel ε per transfer.
 * @returns [rawHeight × rawWidth] row-major, electrons.
 */
function transferredCharge(
  electrons: Float32Array, width: number, amp: Amp, serial: number, parallel: number,
): Float32Array {
  const { rawWidth, rawHeight, rawData: data, detectorBox: box } = amp;
  const out = new Float32Array(rawWidth * rawHeight), columns = data.x1 - data.x0;
  const step = amp.flipX ? -1 : 1;
  for (let y = data.y0; y < data.y1; y++) {
    const row = amp.flipY ? box.y1 - 1 - (y - data.y0) : box.y0 + (y - data.y0);
    const kept = 1 - parallel * (y - data.y0 + 1), deferred = parallel * (y - data.y0 + 1);
    const here = y * rawWidth + data.x0, next = y + 1 < rawHeight ? here + rawWidth : -1;
    for (let i = 0, from = row * width + (amp.flipX ? box.x1 - 1 : box.x0); i < columns; i++, from += step) {
      const charge = electrons[from];
      out[here + i] += charge * kept;
      if (next >= 0) out[next + i] += charge * deferred;
    }
  }
  if (serial === 0) return out;
  for (let y = 0; y < rawHeight; y++) {
    let carry = 0;
    for (let x = 0, i = y * rawWidth; x < rawWidth; x++, i++) {
      const deferred = out[i] * serial * (x + 1);
      out[i] += carry - deferred;
      carry = deferred;
    }
  }
  return out;
}

/**
 * Electrons to ADU in place. A linear T reads as S with S + c₂ S² + c₃ S³ = T; by series, S = T − c₂ T² + (2 c₂² − c₃)
 * T³, of which the next term is 5 c₂³ T⁴: below 1e-7 of T for the 0.4 % that real amps bend.
 */
function amplify(signal: Float32Array, amp: Amp, polynomial: readonly [number, number] | null): void {
  const perElectron = 1 / amp.gainElectronsPerAdu;
  if (!polynomial) {
    for (let i = 0; i < signal.length; i++) signal[i] *= perElectron;
    return;
  }
  const [c2, c3] = polynomial, third = 2 * c2 * c2 - c3;
  for (let i = 0; i < signal.length; i++) {
    const t = signal[i] * perElectron;
    signal[i] = t * (1 - t * (c2 - third * t));
  }
}

/** Adds to each amp its part of the others' signals, pixel by pixel in the order of reading. */
function addCrosstalk(signals: readonly Float32Array[], detector: Detector): void {
  const { amps } = detector;
  if (!amps.some((amp) => amp.crosstalk)) return;
  const sources = amps.map(
    (amp) => (amp.crosstalk ?? []).flatMap((part, index) => (part === 0 ? [] : [{ part, index }])),
  );
  const { rawWidth, rawHeight } = amps[0];
  const rows = amps.map(() => new Float32Array(rawWidth)), sum = new Float64Array(rawWidth);
  for (let y = 0; y < rawHeight; y++) {
    const start = y * rawWidth;
    for (let k = 0; k < amps.length; k++) rows[k].set(signals[k].subarray(start, start + rawWidth));
    for (let k = 0; k < amps.length; k++) {
      sum.set(rows[k]);
      for (const { part, index } of sources[k]) addScaled(sum, rows[index], part);
      signals[k].set(sum, start);
    }
  }
}

function addScaled(sum: Float64Array, row: Float32Array, part: number): void {
  for (let x = 0; x < sum.length; x++) sum[x] += part * row[x];
}
