/**
 * A worker of a series: all work on its pixels, one task a call. Names and numbers pass; pixels stay here and in files.
 */
import { StageError } from '../../errors.ts';
import type { StageName } from '../../../schemas/events.ts';
import { FrameRejected, readFrame, type FrameFile } from './frame.ts';
import type { HeaderOverrides } from './frameHeader.ts';
import { buildTemplate, type BuiltTemplate, type TemplatePlan } from './buildTemplate.ts';
import type { SeriesFrame, SeriesManifest } from './manifest.ts';
import { differenceFrame, forceFrame, type ForcedPoint, type FrameDifference } from './measureFrame.ts';
import { readSeriesTemplate, writePlanes, type SeriesTemplate } from './products.ts';
import { findFrameStars, registerFrame, type FrameStars, type Registration } from './registration.ts';

export type SurveyedFrame = Readonly<{ file: FrameFile; stars: FrameStars }>;

export type SeriesFailure = Readonly<{
  stage: StageName; code: string; message: string; details: Readonly<Record<string, number | string>>;
}>;

/** What one may ask of a worker, and what comes back. */
export type SeriesTasks = {
  survey: [{ path: string; overrides: HeaderOverrides }, SurveyedFrame];
  register: [{ frame: FrameStars; reference: FrameStars; width: number; height: number }, Registration];
  template: [TemplatePlan, BuiltTemplate];
  difference: [
    { frame: SeriesFrame; manifest: SeriesManifest; templatePath: string; differencePath: string }, FrameDifference,
  ];
  force: [
    {
      frame: SeriesFrame; manifest: SeriesManifest; differencePath: string;
      made: Pick<FrameDifference, 'differencePsf' | 'scale' | 'blurPx' | 'noiseScale'>;
      positions: readonly Readonly<{ raDeg: number; decDeg: number }>[];
    }, ForcedPoint[],
  ];
};

export type SeriesTaskName = keyof SeriesTasks;
export type SeriesTask = {
  [Name in SeriesTaskName]: Readonly<{ kind: Name; input: SeriesTasks[Name][0] }>
}[SeriesTaskName];
export type SeriesResult<Name extends SeriesTaskName> =
  | Readonly<{ status: 'done'; result: SeriesTasks[Name][1] }>
  | Readonly<{ status: 'failed'; failure: SeriesFailure }>;

/** Expected failures are results; anything else is a bug and fails the call. */
export default function runSeriesTask(task: SeriesTask): SeriesResult<SeriesTaskName> {
  try {
    return { status: 'done', result: perform(task) };
  } catch (error) {
    return { status: 'failed', failure: failureOf(error) };
  }
}

/** @throws what is no expected failure. */
function failureOf(error: unknown): SeriesFailure {
  if (error instanceof FrameRejected) {
    return { stage: 'ingest', code: 'FRAME_REJECTED', message: error.message, details: {} };
  }
  if (!(error instanceof StageError)) throw error;
  const { code, message, details } = error;
  return { stage: error.stage ?? 'difference', code, message, details };
}

function perform(task: SeriesTask): SeriesTasks[SeriesTaskName][1] {
  switch (task.kind) {
    case 'survey': {
      const { file, planes } = readFrame(task.input.path, task.input.overrides);
      return { file, stars: findFrameStars(planes) };
    }
    case 'register': {
      const { frame, reference, width, height } = task.input;
      return registerFrame(frame, reference, width, height);
    }
    case 'template': return buildTemplate(task.input);
    case 'difference': {
      const { frame, manifest, templatePath, differencePath } = task.input;
      return differenceFrame(
        frame, manifest, templateAt(templatePath, manifest.template.checksum),
        (planes) => writePlanes(differencePath, planes),
      );
    }
    case 'force': {
      const { frame, manifest, differencePath, made, positions } = task.input;
      return forceFrame(frame, manifest, differencePath, made, positions);
    }
    default: throw new Error(`unknown task ${JSON.stringify(task satisfies never)}`);
  }
}

/** The last template read: all frames of a series share it. */
let last: { checksum: string; template: SeriesTemplate } | null = null;

function templateAt(path: string, checksum: string): SeriesTemplate {
  if (last?.checksum !== checksum) last = { checksum, template: readSeriesTemplate(path, checksum) };
  return last.template;
}
