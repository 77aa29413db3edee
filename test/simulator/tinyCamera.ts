/** A camera of four small detectors with different flips, so that whole nights are rendered in a second. */
import { loadCamera, type Amp, type Camera, type Detector } from '../../schemas/camera.ts';
import { asDetectorId } from '../../schemas/ids.ts';

export const TINY_SIZE = 96;

/** Every amp differs in gain, noise and direction of reading; minicam's numbers, on 96 × 96 pixels. */
export function tinyCamera(detectorCount = 2): Camera {
  const real = loadCamera('minicam');
  const detectors = real.detectors.slice(0, detectorCount).map((detector, index): Detector => ({
    ...detector, id: asDetectorId(index), width: TINY_SIZE, height: TINY_SIZE, centerMm: [index * 1.2, 0],
    amps: detector.amps.map(shrunk),
  }));
  return { ...real, name: 'tinycam', detectors };
}

function shrunk(amp: Amp): Amp {
  const half = TINY_SIZE / 2;
  const x0 = amp.detectorBox.x0 === 0 ? 0 : half, y0 = amp.detectorBox.y0 === 0 ? 0 : half;
  return {
    ...amp, detectorBox: { x0, y0, x1: x0 + half, y1: y0 + half }, rawWidth: 3 + half + 16, rawHeight: half + 4,
    rawData: { x0: 3, y0: 0, x1: 3 + half, y1: half },
    rawSerialOverscan: { x0: 3 + half, y0: 0, x1: 3 + half + 16, y1: half },
    rawParallelOverscan: { x0: 3, y0: half, x1: 3 + half, y1: half + 4 },
  };
}
