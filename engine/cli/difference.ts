/** `vesper difference SCIENCE TEMPLATE`: what changed between two FITS images. Needs no stores. */
import { resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { summarizeDiagnostics } from '../batch/difference/diagnostics.ts';
import { differencePair, type PairDifference, type PairRequest } from '../batch/difference/differencePair.ts';
import { requireOtherFolder, writePairProducts, type PairFiles } from '../batch/difference/products.ts';
import { StepClock } from '../batch/difference/stepClock.ts';
import { compileKernelsOnUse } from '../kernels/kernels.ts';
import type { DifferenceOptions } from '../setup/arguments.mjs';
import { note, print, printJson } from './output.ts';

export function runDifference(science: string, template: string, options: DifferenceOptions): number {
  // Loops over pixels are compiled kernels; what JavaScript is left runs so briefly that optimizing it, on other threads,
  // takes longer than it saves: a tenth of the command's CPU.
  setFlagsFromString('--no-opt');
  compileKernelsOnUse();
  const clock = new StepClock(() => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  });
  const request = requestOf(science, template, options), directory = options.outDir ?? resolve('.');
  requireOtherFolder(directory, [request.science, request.template].flatMap(
    ({ path, maskPath, variancePath }) => [path, maskPath, variancePath].filter((file) => file !== null),
  ));
  const pair = differencePair(request, clock);
  const files = writePairProducts(directory, pair);
  clock.end('write');
  const { notes, faults } = pair.report;
  for (const line of notes) note(line);
  for (const { message, code } of faults) note(`degraded: ${message} (${code})`);
  const summary = summarize(science, template, pair, files, clock.report());
  if (options.json) printJson(summary); else print(describe(summary));
  return faults.length > 0 ? 1 : 0;
}

function requestOf(science: string, template: string, options: DifferenceOptions): PairRequest {
  return {
    science: {
      path: science, maskPath: options.scienceMask, variancePath: options.scienceVariance,
      gain: options.gain, readNoise: options.readNoise, saturation: options.saturation,
    },
    template: {
      path: template, maskPath: options.templateMask, variancePath: options.templateVariance,
      gain: options.templateGain, readNoise: options.templateReadNoise, saturation: options.templateSaturation,
    },
    isRegistered: options.register,
  };
}

function summarize(
  science: string, template: string, { rows, unit, convolved, diagnostics, report }: PairDifference, files: PairFiles,
  cpuMs: Record<string, number>,
) {
  const count = (isCounted: (row: PairDifference['rows'][number]) => boolean): number => rows.filter(isCounted).length;
  return {
    science, template, unit, convolved, ...report, ...summarizeDiagnostics(diagnostics), files,
    sources: {
      count: rows.length, positive: count((row) => row.isNegative === false),
      negative: count((row) => row.isNegative === true),
      dipoles: count((row) => row.isDipole === true),
    },
    cpuMs,
  };
}

function describe({ sources, psf, figures, defects, files, cpuMs, alignment }: ReturnType<typeof summarize>): string {
  const by = alignment.method === 'wcs' ? 'their WCSs' : `${alignment.pairCount} stars`;
  const written = Object.values(files).filter((path) => path !== null).join(', ');
  return [
    `${sources.count} sources: ${sources.positive} brighter, ${sources.negative} fainter, ${sources.dipoles} in dipoles`,
    `aligned by ${by}; seeing ${figures['visitFwhmPx'].toFixed(2)} and ${figures['templateFwhmPx'].toFixed(2)} px, ` +
      `flux ratio ${figures['kernelSum'].toFixed(4)}, ${figures['stampsUsed']} stamps, PSF of ${psf.starCount} stars`,
    `background χ² ${figures['backgroundChi2'].toFixed(3)}; ${defects.cosmicRayPixels} pixels of cosmic rays`,
    `wrote ${written} in ${(cpuMs['total'] / 1000).toFixed(1)} s of CPU`,
  ].join('\n');
}
