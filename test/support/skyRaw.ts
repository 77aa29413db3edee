/** Raw readouts of a small two-amp detector, for tests: the second amp is flipped in both axes. */
import type { Amp, Detector } from '../../schemas/camera.ts';
import { asDetectorId } from '../../schemas/ids.ts';
import type { RawAmp } from '../../engine/image/rawExposure.ts';
import { skyRandom } from './skyRandom.ts';

const PRESCAN = 3, OVERSCAN = 32;

/** A detector of two amps side by side; the left is read straight, the right against x and y. */
export function twoAmpDetector(width = 256, height = 256): Detector {
  const half = width / 2;
  const amp = (name: string, x0: number, isFlipped: boolean, gain: number): Amp => ({
    name, detectorBox: { x0, y0: 0, x1: x0 + half, y1: height }, rawWidth: PRESCAN + half + OVERSCAN, rawHeight: height,
    rawData: { x0: PRESCAN, y0: 0, x1: PRESCAN + half, y1: height },
    rawSerialOverscan: { x0: PRESCAN + half, y0: 0, x1: PRESCAN + half + OVERSCAN, y1: height },
      rawParallelOverscan: null,
    flipX: isFlipped, flipY: isFlipped, gainElectronsPerAdu: gain, readNoiseElectrons: 6, saturationAdu: 60000,
      biasLevelAdu: 1000,
  });
  return {
    id: asDetectorId(3), name: 'T03', width, height, centerMm: [0, 0],
    amps: [amp('A', 0, false, 1.5), amp('B', half, true, 1.8)],
  };
}

export type RawOptions = Readonly<{
  seed: number; detector: Detector;
  /** [height × width] electrons that the detector caught, Poisson noise included. */
  electrons: Float32Array;
  /** ADU on the assembled detector. */
  bias?: Float32Array;
  /** Level of each amp's row, ADU. */
  level?: (ampIndex: number, row: number) => number;
  readNoiseElectrons?: number;
}>;

/** What the converter gives: level + bias + electrons / gain + read noise, rounded and clipped to 16 bits. */
export function readOut({ seed, detector, electrons, bias, level, readNoiseElectrons }: RawOptions): RawAmp[] {
  return detector.amps.map((amp, index): RawAmp => {
    const random = skyRandom(seed + 97 * index), pixels = new Uint16Array(amp.rawWidth * amp.rawHeight);
    const { x0, x1, y0, y1 } = amp.detectorBox;
    const noise = (readNoiseElectrons ?? amp.readNoiseElectrons) / amp.gainElectronsPerAdu;
    for (let row = 0; row < amp.rawHeight; row++) {
      const base = level ? level(index, row) : amp.biasLevelAdu;
      for (let column = 0; column < amp.rawWidth; column++) {
        let adu = base + noise * random.normal();
        const dx = column - amp.rawData.x0;
        if (dx >= 0 && dx < x1 - x0) {
          const x = amp.flipX ? x1 - 1 - dx : x0 + dx, y = amp.flipY ? y1 - 1 - row : y0 + row;
          adu += electrons[y * detector.width + x] / amp.gainElectronsPerAdu
            + (bias ? bias[y * detector.width + x] : 0);
        }
        pixels[row * amp.rawWidth + column] = Math.max(0, Math.min(65535, Math.round(adu)));
      }
    }
    return { name: amp.name, width: amp.rawWidth, height: amp.rawHeight, pixels };
  });
}
