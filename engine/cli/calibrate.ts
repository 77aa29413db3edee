/** `vesper calibrate`: one post-ISR image and reference stars, one visit image with WCS, PSF and fluxes in nJy. */
import { isBand, type Band } from '../../schemas/units.ts';
import { FitsError, requireNumber, requireString, type FitsCard, type FitsHeader } from '../image/fits.ts';
import { readImageProduct, writeImageProduct, type ImageProduct } from '../image/imageProduct.ts';
import { asProduct } from '../image/maskedImage.ts';
import { createPlaneMemory } from '../image/planeMemory.ts';
import { readReferences } from '../image/references.ts';
import type { Wcs } from '../image/wcs.ts';
import type { CalibrateOptions } from '../setup/arguments.mjs';
import { calibrate } from '../stages/calibrate/calibrate.ts';
import { calibrateConfig } from '../stages/calibrate/config.ts';
import {
  figuresOf, formatFigures, namedCards, onFile, provenanceCards, requireOtherFile, Steps,
} from './imageCommand.ts';
import { print, printJson } from './output.ts';

export async function runCalibrate(imagePath: string, options: CalibrateOptions): Promise<number> {
  requireOtherFile('out', options.out, [imagePath, options.references]);
  const steps = new Steps();
  // All planes in one memory, in which the compiled pixel kernels work: image, variance, two to work with, and the mask.
  let memory = createPlaneMemory(0);
  const product = steps.run('read', () => readImageProduct(imagePath, (width, height) => {
    memory = createPlaneMemory(18 * width * height);
    return memory.maskedImage(width, height);
  }));
  const { nominal, band, exposureSeconds } = describe(product, imagePath);
  const references = steps.run('readReferences', () => readReferences(options.references, band));
  const length = product.planes.width * product.planes.height;
  const result = onFile(imagePath, () => calibrate(
    asProduct('postIsrImage', product.planes), nominal, references, exposureSeconds, calibrateConfig,
    { smooth: memory.float32(length), work: memory.float32(length) }, (step, work) => steps.run(step, work),
  ));
  steps.run('write', () => writeImageProduct(options.out, result.visitImage, {
    unit: 'nJy', wcs: result.wcs, psf: result.psf,
    cards: [
      ['PRODUCT', 'visitImage'], ...inheritedCards(product.header),
      ...provenanceCards([{ kind: 'image', path: imagePath }, { kind: 'references', path: options.references }]),
      ['NJYPERE', result.photometry.nJyPerElectron, 'nJy of one electron'],
      ...namedCards('CAL', calibrateConfig), ...namedCards('QA', result.figures),
    ],
  }));
  if (options.json) {
    printJson({
      image: imagePath, out: options.out, band, figures: figuresOf(result.figures), wcs: result.wcs,
      nJyPerElectron: result.photometry.nJyPerElectron, steps: steps.times, totalMs: steps.totalMs,
    });
    return 0;
  }
  print(`${options.out}: calibrated with ${references.length} reference stars in ${band}, in ${steps.totalMs} ms`);
  for (const line of formatFigures(result.figures)) print(line);
  return 0;
}

/** @throws FitsError of one line when the file does not say what is needed, or is calibrated already. */
function describe(
  { unit, wcs, header }: ImageProduct, path: string,
): { nominal: Wcs; band: Band; exposureSeconds: number } {
  if (unit !== 'electron') {
    const what = unit === 'nJy' ? 'is calibrated already: its unit is nJy' : `IMAGE's BUNIT is ${unit ?? 'not given'}`;
    throw new FitsError('FITS_HEADER', path, `${what}; expected electron`);
  }
  if (wcs === null) throw new FitsError('FITS_HEADER', path, 'IMAGE has no TAN world coordinates to begin with');
  const band = requireString(header, 'BAND', path), exposureSeconds = requireNumber(header, 'EXPTIME', path);
  if (!isBand(band)) throw new FitsError('FITS_HEADER', path, `BAND is "${band}"`);
  if (!(exposureSeconds > 0)) throw new FitsError('FITS_HEADER', path, `EXPTIME is ${exposureSeconds}`);
  return { nominal: wcs, band, exposureSeconds };
}

/** What names the exposure; the rest is the new product's own. */
const INHERITED = [
  'CAMERA', 'INSTRUME', 'DAYOBS', 'SEQNUM', 'OBSID', 'GROUPID', 'EXPOSURE', 'SNAP', 'DETECTOR', 'DETNAME', 'FILTER', 'BAND',
  'EXPTIME', 'TIMESYS', 'MJD-BEG', 'MJD-MID', 'RADESYS', 'RA', 'DEC', 'ROTPA',
];

function inheritedCards(header: FitsHeader): FitsCard[] {
  return INHERITED.flatMap((keyword) => header.filter(([name]) => name === keyword).slice(0, 1));
}
