/** What a season of calibration frames tells of a detector's charge transfer and repulsion. */
import type { Detector } from '../schemas/camera.ts';
import { calibrationConfig, detectorConfig } from './config.ts';
import { encodeFits, type Card } from './fitsWriter.ts';
import type { SimulationModel } from './model.ts';
import { normal, randomStream } from './random.ts';
import { transferInefficiency } from './readoutEffects.ts';

/**
 * The bytes of an electronics product (`schemas/products.ts`): the truth with the relative error of a measurement;
 * effects that the model has not are 0 or left out.
 */
export function makeElectronics(seed: number, detector: Detector, { effects }: SimulationModel): Buffer {
  const random = randomStream(seed, 'electronics', detector.id), { amps } = detector;
  const measured = (value: number): number => value * (1 + calibrationConfig.electronicsError * normal(random));
  const transfers = amps.flatMap((_, k) => {
    const { serial, parallel } = transferInefficiency(seed, detector, k);
    return [effects.serialCti ? measured(serial) : 0, effects.parallelCti ? measured(parallel) : 0];
  });
  const hdus = [
    {
      cards: [
        ['DETECTOR', detector.id, 'detector id'], ['DETNAME', detector.name, 'detector name'],
        ['OBSTYPE', 'electronics'], ...amps.map(({ name }, k): Card => [`AMP${k + 1}`, name]),
      ] satisfies Card[], image: null,
    },
    {
      cards: [['EXTNAME', 'CTI']] satisfies Card[],
      image: { width: 2, height: amps.length, pixels: Float32Array.from(transfers) },
    },
  ];
  if (!effects.brighterFatter) return encodeFits(hdus);
  // Half of what passes for each electron of difference and of mean charge, as squares differ by twice their product.
  const flow = detectorConfig.brighterFatterPerElectron / 2;
  const repulsion = { width: 2, height: 1, pixels: Float32Array.of(measured(flow), measured(flow)) };
  return encodeFits([...hdus, { cards: [['EXTNAME', 'REPULSION']] satisfies Card[], image: repulsion }]);
}
