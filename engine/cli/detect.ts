/** `vesper detect`: the sources of any FITS image, as a catalogue. */
import type { DetectOptions } from '../setup/arguments.mjs';
import { extractDefaults } from '../stages/extract/config.ts';
import { extractSources } from '../stages/extract/extract.ts';
import { formatCsv, writeCatalog, type CatalogRow } from './detectCatalog.ts';
import { readAnyImage, type AnyImage } from './detectImage.ts';
import { detectMatched, MATCHED_COLUMNS, type MatchedResult } from './detectMatched.ts';
import { figuresOf, formatFigures, onFile, requireOtherFile, Steps } from './imageCommand.ts';
import { note, printJson } from './output.ts';

const COLUMNS = [
  'x', 'y', 'flux', 'fluxErr', 'snr', 'a', 'b', 'theta', 'flags', 'fluxIso', 'fluxIsoErr', 'pixelCount', 'kronRadius',
];

export async function runDetect(imagePath: string, options: DetectOptions): Promise<number> {
  const { threshold, matched, catalog } = options, steps = new Steps();
  if (catalog !== null) requireOtherFile('catalog', catalog, [imagePath]);
  const image = steps.run('read', () => readAnyImage(imagePath));
  const { rows, figures } = onFile(imagePath, () => (
    matched ? detectMatched(image, threshold, steps) : detectPixels(image, threshold, steps)
  ));
  const columns = matched ? MATCHED_COLUMNS : COLUMNS;
  if (catalog !== null) steps.run('write', () => writeCatalog(catalog, columns, rows));
  if (options.json) {
    printJson({
      image: imagePath, catalog, threshold, matched, unit: image.unit, figures: figuresOf(figures), steps: steps.times,
      totalMs: steps.totalMs, ...(catalog === null && { sources: rows.map(figuresOf) }),
    });
    return 0;
  }
  if (catalog === null) process.stdout.write(formatCsv(columns, rows));
  note(`${imagePath}: ${rows.length} sources in ${steps.totalMs} ms${catalog === null ? '' : `, in ${catalog}`}`);
  for (const line of formatFigures(figures)) note(line);
  return 0;
}

/** By the height of connected pixels; `flux` is that of the Kron aperture. */
function detectPixels(image: AnyImage, thresholdSigma: number, steps: Steps): MatchedResult {
  const { scratch: [light], labels } = image.work;
  const { sources, ...figures } = steps.run('extract', () => extractSources(image, image, {
    ...extractDefaults, thresholdSigma,
  }, { light, labels }));
  const rows = sources.map((source): CatalogRow => ({
    x: source.x, y: source.y, flux: source.flux, fluxErr: source.fluxErr, snr: source.snr, a: source.a, b: source.b,
    theta: source.thetaDeg, flags: source.flags, fluxIso: source.isophotalFlux, fluxIsoErr: source.isophotalFluxErr,
    pixelCount: source.pixelCount, kronRadius: source.kronRadiusPx,
  }));
  return { rows, figures: { sources: rows.length, ...figures } };
}
