/** One frame minus the template, in ADU of the reference at the reference's exposure time. */
import { applyAffine, type Affine } from '../../image/affine.ts';
import { measureBackground, subtractBackground } from '../../image/background.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import { median } from '../../image/median.ts';
import { threadPlaneMemory } from '../../image/planeMemory.ts';
import {
  asProduct, type DifferenceImage, type MaskedImage, type MatchedTemplate, type Template,
  type VisitImage,
} from '../../image/maskedImage.ts';
import { psfTermCount, type PsfModel } from '../../image/psf.ts';
import type { Wcs } from '../../image/wcs.ts';
import { differenceImages } from '../../stages/difference/difference.ts';
import { psfThroughKernel } from '../../stages/difference/psfOfDifference.ts';
import { seriesConfig } from './config.ts';

/** All planes are in the thread's memory: the next subtraction overwrites them. */
export type Subtraction = Readonly<{
  difference: DifferenceImage; differencePsf: PsfModel;
  matchedTemplate: MatchedTemplate; visitImage: VisitImage;
  /** The frame's flux scale over the template's, as the matching kernel finds it. */
  scale: number;
  figures: Readonly<Record<string, number>>;
  /** Of the same memory and the frame's size, of any contents: for the score. */
  freePlane: Float32Array;
}>;

/** Bytes of a pixel of the visit (itself, two more images, scratch, unusable pixels) and of the template. */
const VISIT_BYTES = 3 * 10 + 4 + 1, TEMPLATE_BYTES = 10;

/**
 * @param visit    Sky subtracted, roughly on the template's flux scale; a copy is brought to exactly that scale.
 * @param psf      The template's, on the reference's pixels: fluxes of all frames are multiples of it.
 * @param toReference From the frame's pixels to the reference's.
 * @throws StageError of the difference stage.
 */
export function subtractTemplate(
  visit: MaskedImage, visitWcs: Wcs, template: Template, templateWcs: Wcs, psf: PsfModel, toReference: Affine,
): Subtraction {
  const { width, height } = visit, length = width * height;
  const memory = threadPlaneMemory(VISIT_BYTES * length + TEMPLATE_BYTES * template.image.length);
  const plane = () => memory.maskedImage(width, height);
  const visitImage = asProduct('visitImage', memory.copyOf(visit));
  const ownPsf = psfOnFrame(psf, toReference, width, height);
  const result = differenceImages(
    {
      visitImage, visitPsf: ownPsf, visitWcs, template: asProduct('template', memory.copyOf(template)), templateWcs,
    },
    {
      warpedTemplate: plane(), convolved: plane(), scratch: memory.float32(length), unusable: memory.uint8(length),
    },
    seriesConfig.difference,
  );
  const { difference, matchedTemplate, kernel } = result;
  const isTemplateConvolved = result.convolved === 'template';
  const scale = isTemplateConvolved ? kernel.sum : 1 / kernel.sum;
  for (const planes of [visitImage, difference, matchedTemplate]) divide(planes, scale);
  const fwhmPx = result.figures['visitFwhmPx'];
  flatten(difference, fwhmPx);
  const modelErrorFraction = addModelError(difference, matchedTemplate);
  return {
    difference, matchedTemplate, visitImage, scale, freePlane: result.freePlane,
    differencePsf: isTemplateConvolved ? psfThroughKernel(padded(ownPsf, kernel.size), kernel) : ownPsf,
    figures: { ...result.figures, modelErrorFraction },
  };
}

/**
 * Takes off what sky the polynomials of the difference stage leave: moonlight, fringes, and what the sky's own mesh
 * took for sky among the stars. A difference is empty enough for a fine mesh; its cells are wide enough that clipping
 * passes over a source.
 */
function flatten(difference: DifferenceImage, fwhmPx: number): void {
  const { width, height, image, mask } = difference, { cellPxMin, cellFwhm } = seriesConfig.residualSky;
  const config = { ...seriesConfig.background, cellPx: Math.max(cellPxMin, cellFwhm * fwhmPx) };
  const sky = measureBackground(
    image, mask, width, height, maskBits('NO_DATA', 'SAT', 'SAT_TEMPLATE', 'BAD', 'EDGE'), config,
  );
  if (sky !== null) subtractBackground(image, sky);
}

/** Median of the square of a normal value: what turns the median of squares into a variance. */
const MEDIAN_OF_SQUARE = 0.4549;

/**
 * Adds to the variance what the kernel's model fails by, a share of the template's light, as the stars of this very
 * frame tell: the usual excess of the residual's square over its noise. Changed stars are too few to move the median.
 *
 * @returns The share.
 */
function addModelError(difference: DifferenceImage, matchedTemplate: MatchedTemplate): number {
  const { image, variance, mask } = difference, light = matchedTemplate.image;
  const { lightSigmaMin, pixelCountMin, fractionMax } = seriesConfig.modelError;
  const blank = maskBits('NO_DATA', 'SAT', 'SAT_TEMPLATE', 'BAD', 'EDGE'), excess: number[] = [];
  for (let j = 0; j < image.length; j++) {
    if ((mask[j] & blank) !== 0 || !(light[j] * light[j] > lightSigmaMin ** 2 * variance[j])) continue;
    excess.push((image[j] * image[j] - MEDIAN_OF_SQUARE * variance[j]) / (light[j] * light[j]));
  }
  const share2 = excess.length < pixelCountMin ? 0 : Math.max(0, median(excess)) / MEDIAN_OF_SQUARE;
  const share = Math.min(Math.sqrt(share2), fractionMax);
  for (let j = 0; j < image.length; j++) {
    if ((mask[j] & maskBits('NO_DATA')) === 0 && light[j] > 0) variance[j] += (share * light[j]) ** 2;
  }
  return share;
}

function divide({ image, variance }: MaskedImage, scale: number): void {
  for (let j = 0; j < image.length; j++) {
    image[j] /= scale;
    variance[j] /= scale * scale;
  }
}

/** The same PSF on a larger stamp, zero in the new part: room for what a kernel adds around it. */
function padded(psf: PsfModel, kernelSize: number): PsfModel {
  const size = psf.size + kernelSize - 1, offset = (size - psf.size) / 2, terms = psfTermCount(psf.order);
  const coefficients = new Float32Array(terms * size * size);
  for (let k = 0; k < terms; k++) {
    for (let y = 0; y < psf.size; y++) {
      const from = (k * psf.size + y) * psf.size;
      coefficients.set(psf.coefficients.subarray(from, from + psf.size), (k * size + y + offset) * size + offset);
    }
  }
  return { ...psf, size, coefficients };
}

/**
 * The reference's PSF as a polynomial of the frame's pixels. Its shape is turned only for a frame that is upside down:
 * other rotations are of a degree or two.
 */
export function psfOnFrame(psf: PsfModel, toReference: Affine, width: number, height: number): PsfModel {
  const termCount = psfTermCount(psf.order), n = psf.size * psf.size;
  const coefficients = new Float32Array(termCount * n);
  // u and v of the reference are linear in u' and v' of the frame; their products follow.
  const toUv = (x: number, y: number) => ({ u: (2 * x) / (psf.width - 1) - 1, v: (2 * y) / (psf.height - 1) - 1 });
  const at = (u: number, v: number) => {
    const p = applyAffine(toReference, ((u + 1) * (width - 1)) / 2, ((v + 1) * (height - 1)) / 2);
    return toUv(p.x, p.y);
  };
  const o = at(0, 0), right = at(1, 0), up = at(0, 1);
  const linear = (a: number, b: number, c: number) => [a, b, c, 0, 0, 0];
  const u = linear(o.u, right.u - o.u, up.u - o.u), v = linear(o.v, right.v - o.v, up.v - o.v);
  const terms = [[1, 0, 0, 0, 0, 0], u, v, product(u, u), product(u, v), product(v, v)];
  for (let k = 0; k < termCount; k++) {
    for (let t = 0; t < termCount; t++) {
      const weight = terms[k][t];
      if (weight === 0) continue;
      for (let j = 0; j < n; j++) coefficients[t * n + j] += weight * psf.coefficients[k * n + j];
    }
  }
  // Half a turn of a stamp is its pixels in reverse.
  const isTurned = toReference.a + toReference.e < 0;
  for (let t = 0; isTurned && t < termCount; t++) coefficients.subarray(t * n, (t + 1) * n).reverse();
  return { size: psf.size, width, height, order: psf.order, coefficients };
}

/** Product of two linear polynomials in 1, u, v, u², uv, v². */
function product(p: readonly number[], q: readonly number[]): number[] {
  return [
    p[0] * q[0], p[0] * q[1] + p[1] * q[0], p[0] * q[2] + p[2] * q[0], p[1] * q[1], p[1] * q[2] + p[2] * q[1],
    p[2] * q[2],
  ];
}
