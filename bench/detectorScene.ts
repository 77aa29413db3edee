/**
 * One detector's exposure for benches and quality figures: rendered by the simulator with everything that is needed to
 * calibrate it, and the truth to judge it by.
 */
import type { Camera, Detector } from '../schemas/camera.ts';
import { asDayObs } from '../schemas/ids.ts';
import type { Band } from '../schemas/units.ts';
import { arenaViews, createArena, planArena, type ArenaViews } from '../engine/image/arena.ts';
import { rawPixelCount, type RawAmp } from '../engine/image/rawExposure.ts';
import { parseReferences, type ReferenceStar } from '../engine/image/references.ts';
import { loadKernels } from '../engine/kernels/kernels.ts';
import { makeBias, makeFlat, makeReferencesOf } from '../simulator/calibrations.ts';
import { renderExposure, type RenderedExposure } from '../simulator/exposure.ts';
import { parseEffects, type SimulationModel } from '../simulator/model.ts';
import type { PlannedVisit } from '../simulator/schedule.ts';
import { planExposure } from '../simulator/surveySchedule.ts';

export type SceneQuestion = Readonly<{
  camera: Camera; detector: Detector; seed: number; band: Band;
  raDeg: number; decDeg: number; cameraAngleDeg: number; exposureSeconds: number;
  /** As `vesper simulate` takes them. */
  effects: string;
}>;

export type DetectorScene = Readonly<{
  question: SceneQuestion; plan: PlannedVisit; model: SimulationModel;
  rendered: RenderedExposure; rawAmps: readonly RawAmp[]; bias: Float32Array; flat: Float32Array;
  references: readonly ReferenceStar[];
}>;

/** @param calibrations Of the same detector and effects, when they were made before. */
export function renderScene(
  question: SceneQuestion, calibrations: Pick<DetectorScene, 'bias' | 'flat'> | null = null,
): DetectorScene {
  const { camera, detector, seed, band, effects } = question;
  const model: SimulationModel = { sky: 'survey', effects: parseEffects(effects), compression: 'none' };
  const plan = planExposure({ ...question, dayObs: asDayObs(20261001), startMjdTai: null });
  const rendered = renderExposure(seed, camera, detector, plan, model);
  const bias = calibrations?.bias ?? makeBias(seed, detector, model);
  return {
    question, plan, model, rendered, bias, flat: calibrations?.flat ?? makeFlat(seed, camera, detector, bias, model),
    rawAmps: detector.amps.map((amp, k) => ({
      name: amp.name, width: amp.rawWidth, height: amp.rawHeight, pixels: rendered.amps[k],
    })),
    references: parseReferences(makeReferencesOf(seed, camera, [detector], plan, 'survey'), band, 'references'),
  };
}

/** An arena without a template, its calibrations in place and the kernels loaded. */
export function arenaOf(scene: DetectorScene): { views: ArenaViews; rawAmps: RawAmp[] } {
  const { question: { detector }, bias, flat } = scene;
  const plan = planArena(detector.width, detector.height, 1, 1, rawPixelCount(detector)), memory = createArena(plan);
  loadKernels(memory, plan.planes.kernelWork.offset);
  const views = arenaViews(memory, plan);
  views.bias.set(bias);
  views.flat.set(flat);
  let used = 0;
  const rawAmps = scene.rawAmps.map((amp) => {
    const pixels = views.raw.subarray(used, used += amp.pixels.length);
    pixels.set(amp.pixels);
    return { ...amp, pixels };
  });
  return { views, rawAmps };
}
