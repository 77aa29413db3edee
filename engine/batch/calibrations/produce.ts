/** One detector's calibrations from raw calibration frames: bias, dark, electronics, and a flat for each band. */
import type { FitsCard } from '../../image/fits.ts';
import { writeFits } from '../../image/fits.ts';
import type { IsrCalibrations } from '../../stages/isr/calibrations.ts';
import type { IsrConfig } from '../../stages/isr/config.ts';
import { calibrationsConfig, frameConfig, PLAIN_STEPS } from './config.ts';
import { measureElectronics, type ElectronicsReport } from './measureElectronics.ts';
import { writeElectronics } from '../../image/electronics.ts';
import type { FrameFile } from './frames.ts';
import { addToStack, createStack, finishStack, type Stack } from './stack.ts';
import { assembleInto, usualOf, type Workshop } from './workshop.ts';

/** What was made of how many frames; null where frames were too few. */
export type ProductionReport = Readonly<{
  detector: number; detectorName: string;
  bias: Made | null; dark: (Made & Readonly<{ medianElectronsPerSecond: number; hotPixels: number }>) | null;
  electronics: (Made & ElectronicsReport) | null;
  flats: readonly (Made & Readonly<{ band: string; meanElectrons: number }>)[];
}>;

type Made = Readonly<{ path: string; frames: number; outliers: number }>;

/**
 * Makes what the frames allow and writes it.
 *
 * @param frames Of this detector alone.
 * @param provenance Cards that name a product's inputs.
 */
export function produceCalibrations(
  shop: Workshop, frames: readonly FrameFile[], outFile: (name: string) => string,
  provenance: (inputs: readonly FrameFile[]) => FitsCard[],
): ProductionReport {
  const { detector } = shop, of = (kind: FrameFile['kind']) => frames.filter((frame) => frame.kind === kind);
  const instrument = frames[0].instrument, number = String(detector.id).padStart(3, '0');
  const write = (
    kind: string, plane: Float32Array, unit: string, inputs: readonly FrameFile[], band: string | null,
  ): string => {
    const path = outFile(`${kind}_${number}${band === null ? '' : `_${band}`}.fits`);
    writeFits(path, [
      {
        data: null, cards: [
          ['OBSTYPE', kind], ['INSTRUME', instrument], ['DETECTOR', detector.id], ['DETNAME', detector.name],
          ...(band === null ? [] : [['BAND', band] as const]), ['NFRAMES', inputs.length], ...provenance(inputs),
        ],
      },
      { name: 'IMAGE', data: plane, width: detector.width, height: detector.height, cards: [['BUNIT', unit]] },
    ]);
    return path;
  };
  const bias = makeBias(shop, of('bias'), write), hasBias = bias !== null;
  const dark = hasBias ? makeDark(shop, of('dark'), write) : null;
  const known: IsrCalibrations = { bias: shop.bias, flat: null, dark: dark === null ? null : shop.dark };
  const measured = hasBias ? measureElectronics(shop, of('flat'), known) : null;
  let electronics: ProductionReport['electronics'] = null;
  if (measured !== null) {
    const path = outFile(`electronics_${number}.fits`), { frames: used, report } = measured;
    writeElectronics(path, instrument, detector, measured.electronics, [['NFRAMES', used.length], ...provenance(used)]);
    electronics = { path, frames: used.length, outliers: 0, ...report };
  }
  const bands = [...new Set(of('flat').map(({ band }) => band))].sort();
  const measuredToo = { ...known, electronics: measured?.electronics ?? null };
  const flats = !hasBias ? [] : bands.flatMap((band) =>
    makeFlat(shop, of('flat').filter((frame) => frame.band === band), band, measuredToo, write) ?? []);
  return { detector: detector.id, detectorName: detector.name, bias, dark, electronics, flats };
}

type Write = (
  kind: string, plane: Float32Array, unit: string, inputs: readonly FrameFile[], band: string | null,
) => string;

function makeBias(shop: Workshop, frames: readonly FrameFile[], write: Write): Made | null {
  const { detector: { amps, width } } = shop;
  if (frames.length < calibrationsConfig.biasCountMin) return null;
  const stack = stackOf(shop, shop.bias, frames, { bias: null, flat: null }, frameConfig(PLAIN_STEPS), () => 1);
  const noise = Math.max(...amps.map(({ readNoiseElectrons }) => readNoiseElectrons));
  const outliers = finishStack(stack, calibrationsConfig.outlierSigma, () => noise);
  for (const { detectorBox: { x0, y0, x1, y1 }, gainElectronsPerAdu: gain } of amps) {
    for (let y = y0; y < y1; y++) for (let i = y * width + x0; i < y * width + x1; i++) shop.bias[i] /= gain;
  }
  return { path: write('bias', shop.bias, 'adu', frames, null), frames: frames.length, outliers };
}

function makeDark(shop: Workshop, frames: readonly FrameFile[], write: Write): ProductionReport['dark'] {
  if (frames.length < calibrationsConfig.darkCountMin) return null;
  const config = frameConfig({ ...PLAIN_STEPS, isBiasSubtracted: true });
  const stack = stackOf(shop, shop.dark, frames, { bias: shop.bias, flat: null }, config,
    ({ exposureSeconds }) => 1 / exposureSeconds);
  const seconds = Math.min(...frames.map(({ exposureSeconds }) => exposureSeconds));
  const noise = Math.max(...shop.detector.amps.map(({ readNoiseElectrons }) => readNoiseElectrons));
  const outliers = finishStack(stack, calibrationsConfig.outlierSigma,
    (mean) => Math.sqrt(Math.max(mean, 0) * seconds + noise * noise) / seconds);
  let hotPixels = 0;
  for (const current of shop.dark) if (!(current <= config.darkDefectElectronsPerSecond)) hotPixels++;
  return {
    path: write('dark', shop.dark, 'electron/s', frames, null), frames: frames.length, outliers, hotPixels,
    medianElectronsPerSecond: usualOf(shop.dark),
  };
}

function makeFlat(
  shop: Workshop, frames: readonly FrameFile[], band: string, known: IsrCalibrations, write: Write,
): ProductionReport['flats'][number] | null {
  const config = frameConfig({ isFlatDivided: false, isFringeSubtracted: false }), { flat, detector } = shop;
  const saturation = Math.min(...detector.amps.map((amp) =>
    (amp.saturationAdu - amp.biasLevelAdu) * amp.gainElectronsPerAdu));
  const { flatLevelMin, flatLevelMax } = calibrationsConfig;
  const levels = new Map(frames.map((frame) => {
    assembleInto(shop, frame, known, config);
    return [frame, usualOf(shop.first.image) / saturation] as const;
  }));
  // Levels alike, so that none of the frames is much noisier than the others.
  const best = Math.max(0, ...[...levels.values()].filter((level) => level <= flatLevelMax));
  const used = frames.filter((frame) => {
    const level = levels.get(frame) ?? 0;
    return level >= Math.max(flatLevelMin, best / 2) && level <= best;
  });
  if (used.length < 2) return null;
  const stack = stackOf(shop, flat, used, known, config, () => 1 / usualOf(shop.first.image));
  const least = Math.min(...used.map((frame) => (levels.get(frame) ?? 0) * saturation));
  const outliers = finishStack(stack, calibrationsConfig.outlierSigma,
    (mean) => Math.sqrt(Math.max(mean, 0.01) / least));
  let sum = 0, count = 0;
  for (const value of flat) if (Number.isFinite(value)) { sum += value; count++; }
  for (let i = 0; i < flat.length; i++) flat[i] *= count / sum;
  return {
    path: write('flat', flat, 'relative', used, band), band, frames: used.length, outliers,
    meanElectrons: used.reduce((total, frame) => total + (levels.get(frame) ?? 0) * saturation, 0) / used.length,
  };
}

function stackOf(
  shop: Workshop, sum: Float32Array, frames: readonly FrameFile[], known: IsrCalibrations, config: IsrConfig,
  scaleOf: (frame: FrameFile) => number,
): Stack {
  const stack = createStack(sum, shop.highest);
  for (const frame of frames) {
    assembleInto(shop, frame, known, config);
    addToStack(stack, shop.first.image, scaleOf(frame));
  }
  return stack;
}
