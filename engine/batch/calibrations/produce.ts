/**
 * One detector's calibrations from raw frames: bias, dark, electronics, and for each band a flat and, where exposures
 * of the sky show fringes, a fringe frame.
 */
import type { FitsCard } from '../../image/fits.ts';
import { calibrationHdu } from '../../image/calibrationPlane.ts';
import { writeFits } from '../../image/fits.ts';
import type { IsrCalibrations } from '../../stages/isr/calibrations.ts';
import type { IsrConfig } from '../../stages/isr/config.ts';
import { calibrationsConfig, frameConfig, PLAIN_STEPS } from './config.ts';
import {
  addTalkSamples, createTalkSamples, fitCrosstalk, usableCrosstalk, type CrosstalkReport,
} from './crosstalk.ts';
import { combineFringes, countPlaces, skyResidual } from './fringes.ts';
import { measureElectronics, type ElectronicsReport } from './measureElectronics.ts';
import { writeElectronics } from '../../image/electronics.ts';
import { readFrame, type FrameFile } from './frames.ts';
import { addToStack, createStack, finishStack, type Stack } from './stack.ts';
import { assembleInto, usualOf, type Workshop } from './workshop.ts';

/** What was made of how many frames; null where frames were too few. */
export type ProductionReport = Readonly<{
  detector: number; detectorName: string;
  bias: Made | null; dark: (Made & Readonly<{ medianElectronsPerSecond: number; hotPixels: number }>) | null;
  electronics: (Made & ElectronicsReport & Readonly<{ crosstalk: CrosstalkReport | null }>) | null;
  flats: readonly (Made & Readonly<{ band: string; meanElectrons: number }>)[];
  fringes: readonly (Made & Readonly<{ band: string; rmsOfSky: number; noiseOfSky: number }>)[];
  /** Why crosstalk or a fringe frame was not made of exposures of the sky that there were. */
  notes: readonly string[];
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
      calibrationHdu(plane, detector.width, detector.height, [['BUNIT', unit]]),
    ]);
    return path;
  };
  const bias = makeBias(shop, of('bias'), write), hasBias = bias !== null;
  const dark = hasBias ? makeDark(shop, of('dark'), write) : null;
  const known: IsrCalibrations = { bias: shop.bias, flat: null, dark: dark === null ? null : shop.dark };
  const notes: string[] = [], talk = hasBias ? measureCrosstalk(shop, of('science'), notes) : null;
  const measured = hasBias ? measureElectronics(shop, of('flat'), known, talk?.rows ?? null) : null;
  let electronics: ProductionReport['electronics'] = null;
  if (measured !== null) {
    const path = outFile(`electronics_${number}.fits`), { frames: used, report } = measured;
    writeElectronics(path, instrument, detector, measured.electronics, [['NFRAMES', used.length], ...provenance(used)]);
    electronics = { path, frames: used.length, outliers: 0, ...report, crosstalk: talk?.report ?? null };
  }
  const bands = [...new Set(of('flat').map(({ band }) => band))].sort();
  const measuredToo = { ...known, electronics: measured?.electronics ?? null };
  const flats: ProductionReport['flats'][number][] = [], fringes: ProductionReport['fringes'][number][] = [];
  for (const band of hasBias ? bands : []) {
    const ofBand = (kind: FrameFile['kind']) => of(kind).filter((frame) => frame.band === band);
    const flat = makeFlat(shop, ofBand('flat'), band, measuredToo, write);
    if (flat === null) continue;
    flats.push(flat);
    if (ofBand('science').length === 0) continue;
    // The flat is in the workshop until the next band's.
    const fringe = makeFringe(shop, ofBand('science'), band, { ...measuredToo, flat: shop.flat }, write);
    if (typeof fringe === 'string') notes.push(fringe); else fringes.push(fringe);
  }
  return { detector: detector.id, detectorName: detector.name, bias, dark, electronics, flats, fringes, notes };
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

/** Null when no coefficient is known well enough; a note says so. */
function measureCrosstalk(
  shop: Workshop, frames: readonly FrameFile[], notes: string[],
): ReturnType<typeof usableCrosstalk> {
  const { detector, raw } = shop, [{ rawWidth, rawHeight }] = detector.amps;
  const isUniform = detector.amps.every((amp) => amp.rawWidth === rawWidth && amp.rawHeight === rawHeight);
  if (frames.length === 0 || detector.amps.length < 2 || !isUniform) return null;
  const samples = createTalkSamples(detector);
  for (const frame of frames) addTalkSamples(samples, readFrame(frame, detector, raw).amps, detector);
  const measured = fitCrosstalk(samples), usable = usableCrosstalk(measured, detector, frames.length);
  if (usable === null) {
    const errors = measured.flat().flatMap((found) => (found === null ? [] : [found.error]));
    const best = errors.length === 0 ? 'no amp has bright pixels enough'
      : `errors of ${Math.min(...errors).toExponential(1)} at best`;
    notes.push(`no crosstalk of ${frames.length} exposures: ${best}, `
      + `${calibrationsConfig.crosstalkErrorMax.toExponential(0)} required`);
  }
  return usable;
}

/** The reason, in a line, when there is none to be made. */
function makeFringe(
  shop: Workshop, frames: readonly FrameFile[], band: string, known: IsrCalibrations, write: Write,
): ProductionReport['fringes'][number] | string {
  const { fringePlacesMin, fringeCountMax, fringeSigmaMin, fringeRmsMin } = calibrationsConfig;
  const config = frameConfig({ isFringeSubtracted: false }), { width, height } = shop.detector;
  const used: FrameFile[] = [], planes: Float32Array[] = [];
  for (const frame of frames) {
    if (used.length === fringeCountMax) break;
    assembleInto(shop, frame, known, config);
    const residual = skyResidual(shop.first);
    if (residual === null) continue;
    used.push(frame);
    planes.push(residual.plane);
  }
  const places = countPlaces(used);
  if (places < fringePlacesMin) {
    return `no fringe frame in ${band}: ${used.length} exposures with a sky, of ${places} places, ${fringePlacesMin} `
      + 'places required';
  }
  const { plane, rms, noise } = combineFringes(planes, width, height);
  if (!(rms > Math.max(fringeRmsMin, fringeSigmaMin * noise))) {
    return `no fringe frame in ${band}: the sky scatters by ${rms.toExponential(1)} of itself, noise by `
      + `${noise.toExponential(1)}: no fringes`;
  }
  return {
    path: write('fringe', plane, 'relative', used, band), band, frames: used.length, outliers: 0, rmsOfSky: rms,
    noiseOfSky: noise,
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
