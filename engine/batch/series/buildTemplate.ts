/** Makes the series' template and puts it on the reference's flux scale exactly. */
import type { Band } from '../../../schemas/units.ts';
import type { Wcs } from '../../image/wcs.ts';
import type { SeriesFrame, SeriesManifest } from './manifest.ts';
import { visitPlanes } from './measureFrame.ts';
import { writeTemplate } from './products.ts';
import { frameWcs } from './registration.ts';
import { subtractTemplate } from './subtract.ts';
import { combineFrames, templatePsf } from './template.ts';

export type TemplatePlan = Readonly<{
  frames: readonly SeriesFrame[];
  /** The reference as a frame of itself; it need not be among the frames. */
  reference: SeriesFrame; referenceWcs: Wcs;
  overrides: SeriesManifest['overrides']; width: number; height: number; band: Band;
  path: string;
}>;

export type BuiltTemplate = Readonly<{ checksum: string; fwhmPx: number; psfStarCount: number; psfModelError: number }>;

/**
 * The frames' flux ratios come from stars and are good to a few per cent; the kernel that takes the template to the
 * reference tells what is left, so that a star's flux on the template is its mean flux in ADU of the reference.
 *
 * @throws FrameRejected when there are too few stars for a PSF, StageError when the reference cannot be subtracted.
 */
export function buildTemplate(plan: TemplatePlan): BuiltTemplate {
  const { referenceWcs, width, height, overrides } = plan;
  const inputs = plan.frames.map((frame) => ({
    planes: visitPlanes(frame, { overrides }, 1), wcs: frameWcs(referenceWcs, frame.toReference),
    weight: (frame.fluxRatio / frame.skySigmaAdu) ** 2,
  }));
  const template = combineFrames(inputs, referenceWcs, width, height);
  const { psf, fwhmPx, starCount, modelError } = templatePsf(template);
  // A template that is the reference has its scale; nothing would be left to fit.
  const isReference = plan.frames.every(({ checksum }) => checksum === plan.reference.checksum);
  const { scale } = isReference ? { scale: 1 } : subtractTemplate(
    visitPlanes(plan.reference, { overrides }, 1), referenceWcs, template, referenceWcs, psf,
    plan.reference.toReference,
  );
  for (let j = 0; j < template.image.length; j++) {
    template.image[j] *= scale;
    template.variance[j] *= scale * scale;
  }
  const digest = writeTemplate(
    plan.path, template, referenceWcs, psf, { band: plan.band, frameCount: plan.frames.length, fwhmPx },
  );
  return { checksum: digest, fwhmPx, psfStarCount: starCount, psfModelError: modelError };
}
