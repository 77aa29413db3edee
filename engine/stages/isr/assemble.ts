import type { Amp, Detector } from '../../../schemas/camera.ts';
import {
  prepareSignature, type SignatureAmp, type SignatureLimits, type SignaturePass, type SignaturePlanes,
  type SignatureTask,
} from '../../kernels/signature.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import type { RawAmp } from '../../image/rawExposure.ts';
import type { StepPlan } from './calibrations.ts';
import type { IsrConfig } from './config.ts';

/** One amp's levels, as the overscan has them. */
export type AmpLevels = Readonly<{ levels: Float64Array; columnLevels: Float32Array | null }>;

export type AmpCounts = Readonly<{ saturatedCount: number; suspectCount: number }>;

/** What the amps' pixels are made of. */
export type AssemblyInputs = Readonly<{
  /** The detector's amps, in its order. Read only. */
  raw: readonly RawAmp[];
  detector: Detector; levels: readonly AmpLevels[]; plan: StepPlan; config: IsrConfig; darkSeconds: number;
  /** Of each amp, whether it says nothing. */
  isDead: readonly boolean[];
  /** False leaves dark and flat to be applied once repelled charge is back. */
  isFinished: boolean;
  /** As of `prepareSignature`. */
  quietAdu: number;
}>;

export type AssemblyCounts = Readonly<{ amps: readonly AmpCounts[]; defectCount: number; hasMissing: boolean }>;

/** Rows `first` … `end` − 1 of every readout at a time; `rows` is the most that an amp has. */
export type Assembly = Readonly<{
  rows: number; run(first: number, end: number): void; counts(): AssemblyCounts;
  /** Whether some pixels are NaN so far. */
  hasMissing(): boolean;
  /** As of `prepareSignature`; null also where amps are read one after another. */
  room: number | null;
}>;

/**
 * Puts all amps' imaging pixels at their place on the detector, in electrons, their signature removed (order and
 * arithmetic: `prepareSignature`); marks saturated (SAT), nearly saturated (SUSPECT) and defective (BAD, NO_DATA) ones,
 * and all of a dead amp (BAD, NO_DATA, NaN).
 *
 * @param out       The detector's planes: image and mask are overwritten.
 * @param inverse, roomBytes As of `prepareSignature`.
 */
export function prepareAssembly(
  inputs: AssemblyInputs, out: MaskedImage, inverse: Float32Array | null, roomBytes = 0,
): Assembly {
  const { detector, plan, config, darkSeconds, isFinished, quietAdu } = inputs;
  const amps = detector.amps.map((amp, k) => signatureAmp(inputs, amp, k));
  const common = {
    bias: plan.bias, dark: plan.dark, flat: plan.flat, darkSeconds, isFinished, quietAdu,
    limits: defectLimits(config),
    saturatedBit: maskBits('SAT'), suspectBit: maskBits('SUSPECT'), badBit: maskBits('BAD'),
    missingBits: maskBits('BAD', 'NO_DATA'),
  };
  const planes: SignaturePlanes = { image: out.image, mask: out.mask, inverse, width: out.width };
  if (isUniform(detector.amps)) {
    const order = orderOf(detector.amps), task = taskOf(detector.amps[0], inOrder(amps, order), common);
    const pass = prepareSignature(task, planes, roomBytes);
    return {
      rows: task.rows, run: pass.run, room: pass.room, hasMissing: pass.hasMissing, counts: () => {
        const total = totalOf([pass]);
        return { ...total, amps: amps.map((_, k) => total.amps[order.indexOf(k)]) };
      },
    };
  }
  const tasks = detector.amps.map((amp, k) => taskOf(amp, [withoutOthers(amps[k], detector)], common));
  const passes: SignaturePass[] = [];
  return {
    rows: Math.max(...tasks.map(({ rows }) => rows)), room: null, counts: () => totalOf(passes),
    hasMissing: () => passes.some((pass) => pass.hasMissing()),
    // One pass has the kernels' work memory at a time: rows are all taken at once.
    run: (first, end) => {
      if (first !== 0) throw new Error('amps of different shapes are read whole');
      for (const task of tasks) {
        const pass = prepareSignature(task, planes);
        pass.run(0, Math.min(end, task.rows));
        passes.push({ ...pass, counts: constant(pass.counts()) });
      }
    },
  };
}

/** Amps by their place, so that a row of the detector is written from its first pixel to its last. */
function orderOf(amps: readonly Amp[]): number[] {
  const places = amps.map(({ detectorBox: { x0, y0 } }) => ({ x0, y0 }));
  return [...amps.keys()].sort((i, j) => places[i].y0 - places[j].y0 || places[i].x0 - places[j].x0);
}

function inOrder(amps: readonly SignatureAmp[], order: readonly number[]): SignatureAmp[] {
  return order.map((k) => ({
    ...amps[k], crosstalk: amps[k].crosstalk.map(({ index, part }) => ({ index: order.indexOf(index), part })),
  }));
}

function constant<T>(value: T): () => T {
  return () => value;
}

function totalOf(passes: readonly SignaturePass[]): AssemblyCounts {
  const counts = passes.map((pass) => pass.counts());
  return {
    amps: counts.flatMap((count) => count.amps), defectCount: counts.reduce((sum, { marked }) => sum + marked, 0),
    hasMissing: counts.some((count) => count.hasMissing),
  };
}

export function defectLimits(config: IsrConfig): SignatureLimits {
  return {
    biasMax: config.biasDefectAdu, darkMax: config.darkDefectElectronsPerSecond, responseMin: config.flatResponseMin,
    responseMax: config.flatResponseMax,
  };
}

function signatureAmp({ raw, levels, plan, config, isDead }: AssemblyInputs, amp: Amp, index: number): SignatureAmp {
  const { crosstalk, polynomial, table, serialCti, parallelCti } = plan.amps[index];
  const saturationAdu = config.isSaturationMasked ? amp.saturationAdu : Infinity;
  return {
    pixels: raw[index].pixels, x0: amp.detectorBox.x0, y0: amp.detectorBox.y0, flipX: amp.flipX, flipY: amp.flipY,
    gain: amp.gainElectronsPerAdu, levels: Float32Array.from(levels[index].levels),
    columnLevels: levels[index].columnLevels, polynomial: polynomial ?? [0, 0], table,
    crosstalk: (crosstalk ?? []).flatMap((part, other) => (part === 0 ? [] : [{ index: other, part }])),
    serialCti, parallelCti, suspectAdu: config.suspectFraction * saturationAdu, saturationAdu, isDead: isDead[index],
  };
}

type CommonTask = Omit<SignatureTask, 'amps' | 'rawWidth' | 'rawX0' | 'rawY0' | 'columns' | 'rows'>;

function taskOf({ rawWidth, rawData }: Amp, amps: readonly SignatureAmp[], common: CommonTask): SignatureTask {
  return {
    ...common, amps, rawWidth, rawX0: rawData.x0, rawY0: rawData.y0, columns: rawData.x1 - rawData.x0,
    rows: rawData.y1 - rawData.y0,
  };
}

/** Whether all readouts have one shape, so that equal places are read at the same time. */
export function isUniform(amps: readonly Amp[]): boolean {
  const shape = ({ rawWidth, rawHeight, rawData: { x0, y0, x1, y1 } }: Amp) =>
    [rawWidth, rawHeight, x0, y0, x1, y1].join();
  return amps.every((amp) => shape(amp) === shape(amps[0]));
}

/** An amp that is read by itself. @throws Error for one that has crosstalk: no time of the others' pixels is known. */
function withoutOthers(amp: SignatureAmp, { name }: Detector): SignatureAmp {
  if (amp.crosstalk.length > 0) throw new Error(`amps of ${name} have crosstalk and readouts of different shapes`);
  return amp;
}
