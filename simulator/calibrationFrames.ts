/** Calibration frames as a camera takes them: biases, darks, and flats in pairs at several levels. */
import type { Camera, Detector } from '../schemas/camera.ts';
import { exposureOf, visitOf, type DayObs } from '../schemas/ids.ts';
import { mjdTaiOfDayObs } from '../schemas/time.ts';
import type { Band } from '../schemas/units.ts';
import { detectorConfig } from './config.ts';
import { addCosmicRays, addShotNoise, bleed, detectorResponse, readDetector } from './detector.ts';
import type { SimulationModel } from './model.ts';
import { randomStream } from './random.ts';
import type { ObservationType } from './rawFile.ts';
import { groupOf, physicalFilterOf, type PlannedVisit } from './schedule.ts';
import { addDark, hotPixelsOf, repel } from './silicon.ts';

export type CalibrationLight = Readonly<{
  type: 'bias' | 'dark' | 'flat';
  /** Shutter, or the time in the dark. */
  seconds: number;
  /** Light of a flat at the field's centre; 0 in the dark. */
  electrons: number;
}>;

/** @returns The readouts, and the mean charge of a pixel before readout. */
export function calibrationFrame(
  seed: number, camera: Camera, detector: Detector, { type, seconds, electrons: level }: CalibrationLight,
  exposure: number,
  model: SimulationModel,
): { amps: Uint16Array[]; electrons: number } {
  const { width, height } = detector, { effects } = model;
  if (type === 'bias') {
    return { amps: readDetector(seed, detector, null, 'read noise', exposure, effects), electrons: 0 };
  }
  const electrons = new Float32Array(width * height);
  if (type === 'flat') {
    const { response } = detectorResponse(seed, camera, detector, model);
    for (let i = 0; i < electrons.length; i++) electrons[i] = level * response[i];
  }
  addDark(electrons, detector, seconds, effects.hotPixels ? hotPixelsOf(seed, detector) : [], effects.darkCurrent);
  if (effects.shotNoise) addShotNoise(electrons, randomStream(seed, 'shot noise', exposure, detector.id));
  if (effects.cosmicRays) {
    const random = randomStream(seed, 'cosmic rays', exposure, detector.id);
    addCosmicRays(electrons, width, height, camera.pixelSizeMm, seconds, detectorConfig.cosmicRaysPerCm2Second, random);
  }
  if (effects.brighterFatter) repel(electrons, width, height);
  if (effects.saturation) {
    const saturated = new Uint8Array(width * height);
    for (const amp of detector.amps) bleed(electrons, saturated, width, amp);
  }
  let sum = 0;
  for (let i = 0; i < electrons.length; i++) sum += electrons[i];
  return {
    amps: readDetector(seed, detector, electrons, 'read noise', exposure, effects), electrons: sum / electrons.length,
  };
}

export type CalibrationSequence = Readonly<{
  dayObs: DayObs; camera: Camera; band: Band; biases: number; darks: number; darkSeconds: number;
  /** Electrons at the field's centre; each level is taken twice. */
  flatLevels: readonly number[];
  /** Number of the first exposure. */
  firstSequenceNumber: number;
}>;

export type PlannedCalibration = Readonly<{
  plan: PlannedVisit; observationType: ObservationType; light: CalibrationLight
}>;

/** The sequence in the order in which it is taken, in the afternoon before the night. */
export function planCalibrations(sequence: CalibrationSequence): PlannedCalibration[] {
  const { biases, darks, darkSeconds, flatLevels } = sequence;
  const lights: CalibrationLight[] = [
    ...Array.from({ length: biases }, (): CalibrationLight => ({ type: 'bias', seconds: 0, electrons: 0 })),
    ...Array.from({ length: darks }, (): CalibrationLight => ({ type: 'dark', seconds: darkSeconds, electrons: 0 })),
    // The lamp is steady, so the shutter makes the level: 10,000 electrons a second.
    ...flatLevels.flatMap(
      (electrons) => [1, 2].map((): CalibrationLight => ({ type: 'flat', seconds: electrons / 10_000, electrons })),
    ),
  ];
  // Four hours after the night's calendar begins: afternoon.
  let startMjdTai = mjdTaiOfDayObs(sequence.dayObs) + 4 / 24;
  return lights.map((light, index) => {
    const sequenceNumber = sequence.firstSequenceNumber + index, begunMjdTai = startMjdTai;
    startMjdTai += (light.seconds + 4) / 86400;
    const still = { raDeg: 0, decDeg: 0, cameraAngleDeg: 0 };
    const plan: PlannedVisit = {
      visit: visitOf(sequence.dayObs, sequenceNumber), exposure: exposureOf(sequence.dayObs, sequenceNumber),
      sequenceNumber,
      group: groupOf(begunMjdTai), field: { name: 'calibration', raDeg: 0, decDeg: 0 }, band: sequence.band,
      physicalFilter: physicalFilterOf(sequence.camera, sequence.band), commanded: still, actual: still,
      startMjdTai: begunMjdTai, midpointMjdTai: begunMjdTai + light.seconds / 2 / 86400, exposureSeconds: light.seconds,
    };
    return { plan, observationType: light.type, light };
  });
}
