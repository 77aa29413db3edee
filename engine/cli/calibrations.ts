/** `vesper calibrations`: bias, dark, flats, fringe frames and electronics of each detector, of raw frames. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { detectorOf, loadCamera } from '../../schemas/camera.ts';
import { findFrames, type FrameFile } from '../batch/calibrations/frames.ts';
import { produceCalibrations, type ProductionReport } from '../batch/calibrations/produce.ts';
import { createWorkshop, workshopBytes } from '../batch/calibrations/workshop.ts';
import { threadPlaneMemory } from '../image/planeMemory.ts';
import type { CalibrationsOptions } from '../setup/arguments.mjs';
import { onFile, provenanceCards, Steps } from './imageCommand.ts';
import { note, print, printJson, table } from './output.ts';

/** Exit 1 when a detector got neither bias nor flat. */
export async function runCalibrations(directory: string, options: CalibrationsOptions): Promise<number> {
  const steps = new Steps(), frames = steps.run('find', () => findFrames(directory));
  if (frames.length === 0) throw new Error(`${directory}: no raw frame of a bias, dark or flat`);
  const instruments = [...new Set(frames.map(({ instrument }) => instrument))];
  if (instruments.length > 1) throw new Error(`${directory}: frames of several cameras, ${instruments.join(', ')}`);
  const camera = loadCamera(options.camera ?? instruments[0]);
  mkdirSync(options.out, { recursive: true });
  const ids = [...new Set(frames.map(({ detector }) => detector))].sort((a, b) => a - b);
  const reports = ids.map((id): ProductionReport => {
    const detector = detectorOf(camera, id), own = frames.filter((frame) => frame.detector === id);
    note(`${detector.name}: ${own.length} frames`);
    return steps.run(`detector ${id}`, () => onFile(directory, () => produceCalibrations(
      createWorkshop(detector, threadPlaneMemory(workshopBytes(detector))), own, (name) => join(options.out, name),
      (inputs) => provenanceCards(inputs.map(inputOf)),
    )));
  });
  const isWhole = reports.every(({ bias, flats }) => bias !== null && flats.length > 0);
  if (options.json) {
    printJson({
      frames: frames.length, out: options.out, camera: camera.name, detectors: reports, steps: steps.times,
      totalMs: steps.totalMs,
    });
    return isWhole ? 0 : 1;
  }
  const columns = ['detector', 'bias', 'dark', 'flats', 'fringes', 'linearity', 'serial CTI', 'repulsion'];
  print(table(columns, reports.map((made) => [
    made.detectorName, String(made.bias?.frames ?? '-'), String(made.dark?.frames ?? '-'),
    made.flats.map(({ band, frames: count }) => `${band} ${count}`).join(' ') || '-',
    made.fringes.map(({ band, rmsOfSky }) => `${band} ${(100 * rmsOfSky).toFixed(2)} %`).join(' ') || '-',
    made.electronics?.residualMax?.toExponential(1) ?? '-', made.electronics?.serialCtiMedian.toExponential(2) ?? '-',
    made.electronics?.repulsion?.x.toExponential(2) ?? '-',
  ])));
  for (const { detectorName, notes } of reports) for (const line of notes) print(`  ${detectorName}: ${line}`);
  return isWhole ? 0 : 1;
}

function inputOf({ kind, path }: FrameFile): { kind: string; path: string } {
  return { kind, path };
}
