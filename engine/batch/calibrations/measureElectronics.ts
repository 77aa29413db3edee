/** Linearity, charge transfer and repulsion of a detector from its flats. */
import type { Amp } from '../../../schemas/camera.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import type { AmpElectronics, Electronics } from '../../image/electronics.ts';
import type { IsrCalibrations } from '../../stages/isr/calibrations.ts';
import { calibrationsConfig, frameConfig } from './config.ts';
import { groupByTime, readFrame, type FrameFile } from './frames.ts';
import { fitLinearity, type FlatLevel, type LinearityFit } from './linearity.ts';
import { fitRepulsion, measureCovariances, type Covariances } from './repulsion.ts';
import { measureTransfers, type TransferSample } from './transfers.ts';
import { assembleInto, type Workshop } from './workshop.ts';

export type ElectronicsReport = Readonly<{
  /** Largest departure from linearity over the amps, of the signal, before and after correction; null: not measured. */
  departureMax: number | null; residualMax: number | null;
  serialCtiMedian: number; parallelCtiMedian: number;
  repulsion: Readonly<{ x: number; y: number }> | null;
  levels: number; pairs: number;
}>;

/**
 * @param known     Bias, and dark where there is one.
 * @param crosstalk [amp][amp] as it was measured; null for the camera's own.
 * @returns null when no flat serves.
 */
export function measureElectronics(
  shop: Workshop, frames: readonly FrameFile[], known: IsrCalibrations,
  crosstalk: readonly (readonly number[])[] | null,
): { electronics: Electronics; report: ElectronicsReport; frames: readonly FrameFile[] } | null {
  const { amps } = shop.detector, levels: FlatLevel[][] = amps.map(() => []), usable: FrameFile[] = [];
  const plain = frameConfig({
    isFlatDivided: false, isLinearized: false, isChargeTransferCorrected: false, isBrighterFatterCorrected: false,
    isFringeSubtracted: false,
  });
  let brightest: { frame: FrameFile; level: number } | null = null;
  for (const frame of frames) {
    assembleInto(shop, frame, known, plain);
    const signals = amps.map((amp) => meanOf(shop.first, amp) / amp.gainElectronsPerAdu);
    const level = Math.max(...signals.map((adu, k) => adu / (amps[k].saturationAdu - amps[k].biasLevelAdu)));
    if (!(level <= calibrationsConfig.electronicsLevelMax) || signals.some((adu) => !(adu > 0))) continue;
    usable.push(frame);
    signals.forEach((signalAdu, k) => levels[k].push({ seconds: frame.exposureSeconds, signalAdu }));
    if (brightest === null || level > brightest.level) brightest = { frame, level };
  }
  if (brightest === null) return null;
  const times = new Set(usable.map(({ exposureSeconds }) => exposureSeconds)).size;
  const fits = levels.map((list) => (times >= calibrationsConfig.linearityLevelsMin ? fitLinearity(list) : null));
  const transfers = transfersOf(shop, brightest.frame);
  const electronics = amps.map((amp, k): AmpElectronics => ({
    name: amp.name, crosstalk: crosstalk?.[k] ?? amp.crosstalk ?? null, polynomial: fits[k]?.polynomial ?? null,
    table: null, serialCti: transfers[k].serial, parallelCti: transfers[k].parallel ?? 0,
  }));
  const pairs = covariancesOf(shop, usable, { ...known, electronics: { amps: electronics, repulsion: null } });
  const repulsion = fitRepulsion(pairs.measured);
  return {
    electronics: { amps: electronics, repulsion }, frames: usable,
    report: {
      departureMax: largest(fits, 'departure'), residualMax: largest(fits, 'residual'),
      serialCtiMedian: middle(transfers.map(({ serial }) => serial)),
      parallelCtiMedian: middle(transfers.map(({ parallel }) => parallel ?? 0)), repulsion, levels: times,
      pairs: pairs.count,
    },
  };
}

function transfersOf(shop: Workshop, frame: FrameFile): TransferSample[] {
  const { amps: raw } = readFrame(frame, shop.detector, shop.raw);
  // Less than nothing is the noise of a good amp.
  return shop.detector.amps.map((amp, k) => {
    const { serial, parallel } = measureTransfers(raw[k], amp);
    return { serial: Math.max(0, serial), parallel: parallel === null ? null : Math.max(0, parallel) };
  });
}

/** Of all pairs of flats that are bright enough, amp by amp. */
function covariancesOf(
  shop: Workshop, frames: readonly FrameFile[], known: IsrCalibrations,
): { measured: Covariances[]; count: number } {
  const config = frameConfig({ isFlatDivided: false, isBrighterFatterCorrected: false, isFringeSubtracted: false });
  const measured: Covariances[] = [], { first, second, detector: { amps, width } } = shop;
  let count = 0;
  for (const group of groupByTime(frames)) {
    for (let k = 0; k + 1 < group.length; k += 2) {
      assembleInto(shop, group[k], known, config, first);
      if (meanOf(first, amps[0]) < calibrationsConfig.repulsionElectronsMin) continue;
      assembleInto(shop, group[k + 1], known, config, second);
      const masks = [first.mask, second.mask] as const;
      measured.push(...amps.map(({ detectorBox }) => measureCovariances(
        first.image, second.image, masks, width, detectorBox, calibrationsConfig.covarianceClipSigma,
      )));
      count++;
    }
  }
  return { measured, count };
}

/** Mean of an amp's pixels that nothing marks. */
function meanOf({ image, mask, width }: MaskedImage, { detectorBox: { x0, y0, x1, y1 } }: Amp): number {
  let sum = 0, count = 0;
  for (let y = y0; y < y1; y++) {
    for (let i = y * width + x0; i < y * width + x1; i++) if (mask[i] === 0) { sum += image[i]; count++; }
  }
  return sum / count;
}

function largest(fits: readonly (LinearityFit | null)[], name: 'departure' | 'residual'): number | null {
  const values = fits.flatMap((fit) => (fit === null ? [] : [fit[name]]));
  return values.length === 0 ? null : Math.max(...values);
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}
