/**
 * How the frames of a series become measurements: in the run with differences made ahead and kept, in a replay anew.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { seriesPaths, type SeriesFrame, type SeriesManifest } from '../batch/series/manifest.ts';
import type { FrameDifference } from '../batch/series/measureFrame.ts';
import type { SeriesFailure, SeriesResult } from '../batch/series/worker.ts';
import type { ProcessDetector } from '../stream/engineRun.ts';
import type { DetectorMeasurements, DetectorOutcome, KnownPosition } from '../workers/detectorTask.ts';
import type { RunDigests } from './digests.ts';
import type { SeriesPool } from './seriesPool.ts';

type Kept = Readonly<{ result: SeriesResult<'difference'>; path: string }>;

/** Differences of a series' frames, each made once, on demand or ahead. */
export class Differences {
  readonly #manifest: SeriesManifest;
  readonly #pool: SeriesPool;
  readonly #templatePath: string;
  readonly #folder: string;
  readonly #made = new Map<number, Promise<Kept>>();

  /** @param folder Holds the difference images until they are dropped. */
  constructor(manifest: SeriesManifest, templatePath: string, folder: string, pool: SeriesPool) {
    this.#manifest = manifest;
    this.#templatePath = templatePath;
    this.#folder = folder;
    this.#pool = pool;
  }

  of(frame: SeriesFrame): Promise<Kept> {
    let kept = this.#made.get(frame.visit);
    if (!kept) this.#made.set(frame.visit, kept = this.#make(frame));
    return kept;
  }

  /** Forgets rows and cutouts of a frame that has been committed; its image and PSF stay for the light curves. */
  async lighten(frame: SeriesFrame): Promise<void> {
    const { result, path } = await this.of(frame);
    if (result.status === 'failed') return;
    this.#made.set(
      frame.visit,
      Promise.resolve({ path, result: { status: 'done', result: { ...result.result, rows: [], cutouts: null } } }),
    );
  }

  async drop(frame: SeriesFrame): Promise<void> {
    const kept = this.#made.get(frame.visit);
    this.#made.delete(frame.visit);
    if (kept) rmSync((await kept).path, { force: true });
  }

  async #make(frame: SeriesFrame): Promise<Kept> {
    const path = seriesPaths.difference(this.#folder, frame);
    mkdirSync(dirname(path), { recursive: true });
    const result = await this.#pool.run(
      'difference', { frame, manifest: this.#manifest, templatePath: this.#templatePath, differencePath: path },
    );
    return { result, path };
  }
}

/** @param onUsed Called when a frame's pixels are no longer needed by this process. */
export function seriesProcess(
  manifest: SeriesManifest, manifestDigest: string, differences: Differences, pool: SeriesPool, digests: RunDigests,
  onUsed: (frame: SeriesFrame) => Promise<void>,
): ProcessDetector {
  const frames = new Map<number, SeriesFrame>(manifest.frames.map((frame) => [frame.visit, frame]));
  return async ({ read, known, knownPosition }): Promise<DetectorOutcome> => {
    const frame = frames.get(read.visit);
    if (!frame) throw new Error(`visit ${read.visit} is not of series ${manifest.instrument}`);
    const { result, path } = await differences.of(frame);
    if (result.status === 'failed') return failure(result.failure);
    const made = result.result, { differencePsf, scale, blurPx, noiseScale } = made;
    const forced = await pool.run(
      'force', {
        frame, manifest, differencePath: path, made: { differencePsf, scale, blurPx, noiseScale }, positions: known,
      },
    );
    await onUsed(frame);
    if (forced.status === 'failed') return failure(forced.failure);
    const inputs = { raw: frame.checksum, template: manifest.template.checksum, manifest: manifestDigest, ...digests };
    return {
      status: 'measured', knownPosition, progress: [],
      measurements: measurementsOf(made, known, forced.result, inputs),
    };
  };
}

function failure({ stage, code, message, details }: SeriesFailure): DetectorOutcome {
  return { status: 'failed', progress: [], failure: { stage, code, message, details, disposition: 'reject' } };
}

function measurementsOf(
  made: FrameDifference, known: readonly KnownPosition[],
  forced: readonly Omit<DetectorMeasurements['forced'][number], keyof KnownPosition>[],
  inputs: Readonly<Record<string, string>>,
): DetectorMeasurements {
  return {
    outcome: 'alerts', measured: made.rows, detected: made.detected, droppedByReason: made.droppedByReason,
    cutouts: made.cutouts,
    // An object off the frame, or without a good pixel, has no measurement and so no row.
    forced: known.flatMap((object, i) => {
      const { psfFlux, scienceFlux } = forced[i];
      return psfFlux === null && scienceFlux === null ? [] : [{ ...object, ...forced[i] }];
    }),
    summary: made.figures, inputs,
  };
}
