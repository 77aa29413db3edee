/** Where a detector's calibrations are made: planes, and frames brought to electrons in them. */
import type { Detector } from '../../../schemas/camera.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import type { PlaneMemory } from '../../image/planeMemory.ts';
import { rawPixelCount } from '../../image/rawExposure.ts';
import type { IsrCalibrations } from '../../stages/isr/calibrations.ts';
import type { IsrConfig } from '../../stages/isr/config.ts';
import { assembleFrame } from '../../stages/isr/isr.ts';
import { readFrame, type FrameFile } from './frames.ts';

export type Workshop = Readonly<{
  detector: Detector;
  raw: Uint16Array; first: MaskedImage; second: MaskedImage;
  bias: Float32Array; dark: Float32Array; flat: Float32Array; highest: Float32Array;
}>;

/** Bytes of planes that a detector's production needs. */
export function workshopBytes({ width, height, amps }: Detector): number {
  const raw = amps.reduce((sum, amp) => sum + amp.rawWidth * amp.rawHeight, 0);
  return 2 * raw + width * height * (4 * 4 + 2 * 10);
}

export function createWorkshop(detector: Detector, memory: PlaneMemory): Workshop {
  const { width, height } = detector, n = width * height, plane = () => memory.float32(n);
  const bytes = memory.float32(Math.ceil(rawPixelCount(detector) / 2));
  return {
    detector, raw: new Uint16Array(bytes.buffer, bytes.byteOffset, rawPixelCount(detector)),
    first: memory.maskedImage(width, height), second: memory.maskedImage(width, height), bias: plane(), dark: plane(),
    flat: plane(), highest: plane(),
  };
}

/** Brings a frame to electrons in `shop.first`, or another image. */
export function assembleInto(
  shop: Workshop, frame: FrameFile, known: IsrCalibrations, config: IsrConfig, out: MaskedImage = shop.first,
): void {
  const { amps, exposureSeconds } = readFrame(frame, shop.detector, shop.raw);
  assembleFrame(amps, shop.detector, known, config, out, { darkSeconds: exposureSeconds });
}

/** Median of every 997th value: a prime, so that no column is preferred. */
export function usualOf(plane: Float32Array): number {
  const values: number[] = [];
  for (let i = 0; i < plane.length; i += 997) if (Number.isFinite(plane[i])) values.push(plane[i]);
  return values.sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}
