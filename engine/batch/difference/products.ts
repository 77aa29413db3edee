/** The files of a difference: FITS planes, catalogue, sheet of stamps. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { FitsCard } from '../../image/fits.ts';
import { streamFits } from '../../image/fitsStream.ts';
import { MASK_PLANES } from '../../image/maskPlanes.ts';
import { psfTermCount } from '../../image/psf.ts';
import { wcsToCards } from '../../image/wcs.ts';
import { catalogCsv } from './catalog.ts';
import { diagnosticTables } from './diagnostics.ts';
import type { PairDifference } from './differencePair.ts';
import { tripletSheet } from './triplets.ts';

export type PairFiles = Readonly<{ difference: string; catalog: string; triplets: string | null }>;

/**
 * Writes difference.fits, diaSources.csv and, when anything was found, triplets.png. All are complete before any takes
 * its place, and those of an earlier run are replaced whole, or gone where there are none now.
 * The planes of the difference and the score are used up: their numbers are turned round where they lie.
 *
 * @throws Error of one line when they cannot be written; nothing half-written is left.
 */
export function writePairProducts(directory: string, pair: PairDifference): PairFiles {
  const [difference, catalog, triplets] = PRODUCTS.map((name) => join(directory, name)), parts: string[] = [];
  const part = (path: string): string => {
    parts.push(path);
    return partOf(path);
  };
  try {
    mkdirSync(directory, { recursive: true });
    writeFileSync(part(catalog), catalogCsv(pair.rows, pair.skyWcs !== null));
    // Before the planes are written, which uses them up.
    const sheet = tripletSheet(pair);
    if (sheet !== null) writeFileSync(part(triplets), sheet);
    writeDifference(part(difference), pair);
    for (const path of parts) renameSync(partOf(path), path);
    if (sheet === null) rmSync(triplets, { force: true });
    return { difference, catalog, triplets: sheet === null ? null : triplets };
  } catch (cause) {
    for (const path of parts) rmSync(partOf(path), { force: true });
    throw new Error(`${directory}: cannot be written (${(cause as Error).message})`, { cause }); // fs throws Errors.
  }
}

/** @throws Error of one line when a product would replace what it is made from. */
export function requireOtherFolder(directory: string, inputs: readonly string[]): void {
  for (const path of PRODUCTS.map((name) => resolve(directory, name))) {
    if (inputs.some((input) => resolve(input) === path)) throw new Error(`--out-dir ${directory} would replace the input ${path}`);
  }
}

const PRODUCTS = ['difference.fits', 'diaSources.csv', 'triplets.png'] as const;

function partOf(path: string): string {
  return `${path}.${process.pid}.new`;
}

/**
 * IMAGE, MASK (bits as MP_* keywords), VARIANCE, SCORE: planes of the science image.
 * PSF: its coefficients, one plane of `PSFSIZE` rows a term of 1, u, v, u², uv, v² (u, v = −1 … 1 on the image).
 * KERNEL: the matching kernel's, one plane of `KERSIZE` rows a term of its polynomial, ordered by degree.
 * STAMPS, KERNELSHAPE: tables of the places that were looked at for it, and of its shape over the image.
 */
function writeDifference(path: string, pair: PairDifference): void {
  const { difference: { width, height, image, variance, mask }, score, differencePsf: psf, kernel, unit } = pair;
  const wcs = pair.skyWcs === null ? [] : wcsToCards(pair.skyWcs);
  const unitCard = (name: string): FitsCard[] => (unit === null ? [] : [['BUNIT', name]]);
  const maskCards: FitsCard[] = Object.entries(MASK_PLANES).map(([plane, bit]) => [`MP_${plane}`, bit]);
  const kernels = new Float32Array(kernel.kernels.length * kernel.size ** 2);
  kernel.kernels.forEach((plane, k) => kernels.set(plane, k * kernel.size ** 2));
  streamFits(path, [
    { data: null },
    { name: 'IMAGE', cards: [...wcs, ...unitCard(unit ?? '')], data: image, width, height, isUsedUp: true },
    { name: 'MASK', cards: maskCards, data: mask, width, height, isUsedUp: true },
    { name: 'VARIANCE', cards: [...wcs, ...unitCard(`(${unit ?? ''})**2`)], data: variance, width, height, isUsedUp: true },
    { name: 'SCORE', cards: wcs, data: score, width, height, isUsedUp: true },
    {
      name: 'PSF', cards: [['PSFSIZE', psf.size], ['PSFORDER', psf.order]], data: psf.coefficients, width: psf.size,
      height: psf.size * psfTermCount(psf.order),
    },
    {
      name: 'KERNEL', cards: [
        ['KERSIZE', kernel.size], ['KERORDER', kernel.order], ['KERSUM', kernel.sum], ['CONVOLVD', pair.convolved],
      ],
      data: kernels, width: kernel.size, height: kernel.size * kernel.kernels.length,
    },
  ], diagnosticTables(pair.diagnostics));
}
