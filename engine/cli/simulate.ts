/** `vesper simulate`: frames of a camera written to files, and a recorded night told to the log. */
import { availableParallelism } from 'node:os';
import { loadCamera } from '../../schemas/camera.ts';
import { asDayObs } from '../../schemas/ids.ts';
import { isBand, type Band } from '../../schemas/units.ts';
import { planCalibrations } from '../../simulator/calibrationFrames.ts';
import { conditionsFor } from '../../simulator/exposure.ts';
import { parseDetectorList } from '../../simulator/detectorList.ts';
import { parseFaults } from '../../simulator/faults.ts';
import { parseEffects, type SimulationModel } from '../../simulator/model.ts';
import { record, type FrameOrder, type RecordingOptions, type RecordingSummary } from '../../simulator/recording.ts';
import { physicalFilterOf } from '../../simulator/schedule.ts';
import { planEngineering, planExposure, planSurveyNight } from '../../simulator/surveySchedule.ts';
import type {
  RenderingOptions, SimulateCalibrationsOptions, SimulateExposureOptions, SimulateNightOptions,
} from '../setup/arguments.mjs';
import { lockDataDir, readLiveRun, startStores } from '../setup/services.mjs';
import { closeLog, openLog } from '../stream/log.ts';
import { openInstrumentStreams } from '../stream/streams.ts';
import { note, print, printJson } from './output.ts';
import { readRecordedNight, tellNight } from './recordedNight.ts';
import { Teardown } from './teardown.ts';

/** Calibrations of a night are numbered from here, apart from its visits. */
const CALIBRATION_SEQUENCE = 90_001;
/** What a night takes in the afternoon. */
const AFTERNOON = { biases: 5, darks: 2, darkSeconds: 60, flatLevels: [20_000] };

export async function runSimulateNight(options: SimulateNightOptions, signal: AbortSignal): Promise<number> {
  const base = recordingOf(options, options.sky), { camera, seed, dayObs } = base;
  const bands = options.bands === null ? null : options.bands.split(',').map((band) => bandOf(base, band.trim()));
  const snaps = options.snaps === 2 ? 2 : 1;
  const visits = planSurveyNight({ dayObs, camera, seed, visitCount: options.visits, snaps, bands });
  const calibrations = !options.calibrations ? []
    : planCalibrations(
      { ...AFTERNOON, dayObs, camera, band: visits[0].band, firstSequenceNumber: CALIBRATION_SEQUENCE },
    );
  const orders: FrameOrder[] = [
    ...calibrations,
    ...planEngineering(visits, options.engineering).map(
      (plan): FrameOrder => ({ plan, observationType: 'engineering', light: null }),
    ),
    ...visits.map((plan): FrameOrder => ({ plan, observationType: 'science', light: null })),
  ];
  const summary = await record({
    ...base, signal, hasReferences: options.references, hasProducts: options.products,
    faults: parseFaults(options.faults ?? 'late=0'),
    request: {
      command: 'night', visits: options.visits, bands, snaps, calibrations: options.calibrations,
      engineering: options.engineering, faults: options.faults, references: options.references,
      products: options.products,
    },
  }, orders);
  reportRecording(options, summary);
  return options.publish ? publishNight(options, camera.name, signal) : 0;
}

export async function runSimulateExposure(options: SimulateExposureOptions, signal: AbortSignal): Promise<number> {
  const base = recordingOf(options, options.sky), { camera, seed, dayObs } = base, band = bandOf(base, options.band);
  const [raDeg, decDeg, ...rest] = options.pointing.split(',').map((part) => (part.trim() === '' ? NaN : Number(part)));
  if (rest.length > 0 || !(raDeg >= 0 && raDeg < 360 && Math.abs(decDeg) <= 90)) {
    throw new Error(`--pointing must be right ascension 0 … 360 and declination -90 … 90, not "${options.pointing}"`);
  }
  const plan = planExposure({
    dayObs, camera, seed, band, raDeg, decDeg, cameraAngleDeg: options.angle, exposureSeconds: options.exposureSeconds,
    startMjdTai: options.mjd,
  });
  conditionsFor(seed, plan, base.model); // Refuses a place below the horizon before anything is written.
  const summary = await record({
    ...base, signal, hasReferences: options.references, hasProducts: false, faults: null,
    request: {
      command: 'exposure', pointing: [raDeg, decDeg], angle: options.angle, band,
      exposureSeconds: options.exposureSeconds, mjd: options.mjd, references: options.references,
    },
  }, [{ plan, observationType: 'science', light: null }]);
  reportRecording(options, summary);
  return 0;
}

export async function runSimulateCalibrations(
  options: SimulateCalibrationsOptions, signal: AbortSignal,
): Promise<number> {
  const base = recordingOf(options, 'survey'), { camera, dayObs } = base, band = bandOf(base, options.band);
  const flatLevels = options.flatLevels.trim() === '' ? [] : options.flatLevels.split(',').map((part) => {
    const level = Number(part);
    if (part.trim() === '' || !(level > 0 && level <= 1e6)) {
      throw new Error(`--flat-levels must be electrons up to 1000000, not "${part}"`);
    }
    return level;
  });
  const { biases, darks, darkSeconds } = options;
  const orders = planCalibrations(
    { dayObs, camera, band, biases, darks, darkSeconds, flatLevels, firstSequenceNumber: CALIBRATION_SEQUENCE },
  );
  if (orders.length === 0) throw new Error('a calibration sequence needs a bias, a dark or a flat');
  const request = { command: 'calibrations', biases, darks, darkSeconds, flatLevels, band };
  reportRecording(options, await record(
    { ...base, signal, hasReferences: false, hasProducts: false, faults: null, request }, orders,
  ));
  return 0;
}

function recordingOf(
  options: RenderingOptions, sky: SimulationModel['sky'],
): Omit<RecordingOptions, 'request' | 'faults' | 'hasReferences' | 'hasProducts'> {
  const camera = loadCamera(options.camera);
  return {
    outDir: options.out, camera, detectors: parseDetectorList(camera, options.detectors), seed: options.seed,
    dayObs: asDayObs(options.start),
    model: { sky, effects: parseEffects(options.effects), compression: options.compression },
    threads: options.threads ?? availableParallelism(), report: note,
  };
}

/** @throws Error of one line that names the camera's bands. */
function bandOf({ camera }: Pick<RecordingOptions, 'camera'>, band: string): Band {
  physicalFilterOf(camera, band);
  if (!isBand(band)) throw new Error(`"${band}" is not a band`);
  return band;
}

function reportRecording(
  options: RenderingOptions, { manifest, wasThere, frames, bytes, sources, changed, cpuSeconds }: RecordingSummary,
): void {
  const { camera, dayObs, exposures, detectors } = manifest;
  if (options.json) {
    printJson(
      {
        out: options.out, camera, dayObs, wasThere, exposures: exposures.length, detectors: detectors.length, frames,
        bytes, sources, changed, cpuSeconds,
      },
    );
    return;
  }
  const done = wasThere ? 'already there'
    : `${(cpuSeconds / Math.max(1, frames)).toFixed(2)} s CPU a frame, ${sources} sources, ${changed} changed`;
  print(
    `${options.out}: ${exposures.length} exposures of ${camera}, night ${dayObs}, ${frames} frames, `
    + `${(bytes / 1e6).toFixed(1)} MB; ${done}`,
  );
}

/** Tells the recorded events to the live run's log, or to the data directory's own stores, at the pace asked for. */
async function publishNight(options: SimulateNightOptions, instrument: string, signal: AbortSignal): Promise<number> {
  const night = readRecordedNight(options.out), teardown = new Teardown();
  try {
    const natsUrl = readLiveRun(options.dataDir)?.natsUrl ?? await ownStores(options.dataDir, teardown);
    const log = await openLog(natsUrl, 'vesper simulate', note);
    teardown.add(() => closeLog(log));
    await openInstrumentStreams(log, instrument);
    const count = await tellNight(log, night, { pace: options.pace, told: new Set(), signal });
    note(`told ${count} of ${night.events.length} events of ${instrument}`);
    return signal.aborted ? 1 : 0;
  } finally {
    await teardown.run();
  }
}

async function ownStores(dataDir: string, teardown: Teardown): Promise<string> {
  const lock = lockDataDir(dataDir, 'simulate');
  teardown.add(() => lock.release());
  const stores = await startStores({ dataDir, log: note });
  teardown.add(() => stores.stop());
  return stores.natsUrl;
}
