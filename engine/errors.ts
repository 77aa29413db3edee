/**
 * Expected failures of a stage. A broken invariant is a plain `Error`; poor data is a flag or a mask bit, never an
 * error.
 */
import type { StageName } from '../schemas/events.ts';
import type { DataId } from '../schemas/ids.ts';

export type StageErrorFields = Readonly<{
  /** Stable, upper case, for machines: `KERNEL_STARS_TOO_FEW`. */
  code: string;
  /** One line that names the thing and the reason. */
  message: string;
  stage?: StageName;
  dataId?: DataId;
  /** `retry`: the same work may succeed later. `reject`: the same pixels will fail again. */
  disposition: 'retry' | 'reject';
  /** The numbers that decided it. */
  details?: Readonly<Record<string, number | string>>;
  cause?: unknown;
}>;

export class StageError extends Error {
  readonly code: string;
  readonly stage: StageName | undefined;
  readonly dataId: DataId | undefined;
  readonly disposition: 'retry' | 'reject';
  readonly details: Readonly<Record<string, number | string>>;

  constructor(fields: StageErrorFields) {
    super(fields.message, { cause: fields.cause });
    this.name = 'StageError';
    this.code = fields.code;
    this.stage = fields.stage;
    this.dataId = fields.dataId;
    this.disposition = fields.disposition;
    this.details = fields.details ?? {};
  }
}
