/** Synthetic sources, bin by bin: which share of them is found at each magnitude. */
import { median } from '../image/median.ts';
import type { FakeSource } from '../../schemas/events.ts';
import { abMagOfNJy } from '../../schemas/units.ts';
import { reliabilityConfig } from '../stages/reliability/config.ts';

/** A synthetic source of a visit-detector; `mag` is of the size of its flux. */
export type Fake = FakeSource & Readonly<{ visit: number; detector: number; band: string; mag: number }>;

export function fakeOf(
  source: FakeSource, names: Readonly<{ visit: number; detector: number; band: string }>,
): Fake {
  return { ...source, ...names, mag: abMagOfNJy(Math.abs(source.fluxNJy)) };
}

/** Masked ones left out. `reliable` are those found with a reliability of 0.5 or more. */
export type Shares = Readonly<{ injected: number; found: number; reliable: number }>;

export type EfficiencyBin = Shares & Readonly<{ magMin: number; magMax: number }>;

/** By the SNR of an ideal fit on the difference; the last bin is open. */
export type SnrBin = Shares & Readonly<{ snrMin: number; snrMax: number | null }>;

export type BandEfficiency = Readonly<{
  band: string; bins: readonly EfficiencyBin[];
  /** Magnitude to which half, or nine of ten, are found reliably; null where the bins do not reach it. */
  mag50: number | null; mag90: number | null;
}>;

export type Efficiency = Readonly<{
  injected: number; masked: number; bands: readonly BandEfficiency[];
  bySnr: readonly SnrBin[];
  /** Of those that should all be found, by what they do and what lies below them. */
  kinds: Readonly<Record<'positiveBlank' | 'positiveHosted' | 'negativeBlank' | 'negativeHosted', Shares>>;
  /** Of those found with SNR ≥ 10: measured over injected flux, and robust scatter of the pulls. */
  photometry: Readonly<{ count: number; ratioMedian: number | null; pullScatter: number | null }>;
}>;

/** Width of a bin, magnitudes. */
const BIN_MAG = 0.5;
/** Edges of the bins of SNR: narrow around the threshold of 5, where the share rises from 0.16 to 0.84 within two. */
const SNR_EDGES = [0, 3, 4, 4.5, 5, 5.5, 6, 7, 8, 10, 15, 20, 40] as const;
/** Three errors above the threshold: a finder of 5 σ loses one in a thousand of these. */
const BRIGHT_SNR = 8;

export function summarizeEfficiency(fakes: readonly Fake[]): Efficiency {
  const usable = fakes.filter(({ isMasked }) => !isMasked), bands = [...new Set(usable.map(({ band }) => band))].sort();
  return {
    injected: fakes.length, masked: fakes.length - usable.length,
    bands: bands.map((band) => {
      const bins = binsOf(usable.filter((fake) => fake.band === band));
      return { band, bins, mag50: magnitudeAt(bins, 0.5), mag90: magnitudeAt(bins, 0.9) };
    }),
    bySnr: SNR_EDGES.map((snrMin, k) => {
      const snrMax = SNR_EDGES[k + 1] ?? null;
      return { snrMin, snrMax, ...sharesOf(usable.filter(({ snr }) => snr >= snrMin && snr < (snrMax ?? Infinity))) };
    }),
    kinds: {
      positiveBlank: sharesOf(brightOf(usable, false, false)), positiveHosted: sharesOf(brightOf(usable, false, true)),
      negativeBlank: sharesOf(brightOf(usable, true, false)), negativeHosted: sharesOf(brightOf(usable, true, true)),
    },
    photometry: photometryOf(usable),
  };
}

function brightOf(fakes: readonly Fake[], isNegative: boolean, hosted: boolean): Fake[] {
  return fakes.filter((fake) => isBright(fake) && fake.fluxNJy < 0 === isNegative && fake.isHosted === hosted);
}

export function isBright({ snr }: Fake): boolean {
  return snr >= BRIGHT_SNR;
}

export function sharesOf(fakes: readonly Fake[]): Shares {
  return {
    injected: fakes.length, found: fakes.filter(({ found }) => found !== null).length,
    reliable: fakes.filter(isReliable).length,
  };
}

function binsOf(fakes: readonly Fake[]): EfficiencyBin[] {
  const groups = new Map<number, Fake[]>();
  for (const fake of fakes) {
    const bin = Math.floor(fake.mag / BIN_MAG);
    groups.set(bin, [...groups.get(bin) ?? [], fake]);
  }
  return [...groups.keys()].sort((a, b) => a - b).map((bin) => {
    const members = groups.get(bin) ?? [];
    return { magMin: bin * BIN_MAG, magMax: (bin + 1) * BIN_MAG, ...sharesOf(members) };
  });
}

function isReliable({ found }: Fake): boolean {
  return found !== null && (found.reliability ?? 0) >= reliabilityConfig.reliableMin;
}

/** Where the share falls through a value for the last time, straight between the middles of bins. */
function magnitudeAt(bins: readonly EfficiencyBin[], share: number): number | null {
  for (let k = bins.length - 1; k > 0; k--) {
    const a = bins[k - 1].reliable / bins[k - 1].injected, b = bins[k].reliable / bins[k].injected;
    if (a < share || b >= share) continue;
    const middle = (bin: EfficiencyBin) => (bin.magMin + bin.magMax) / 2;
    return middle(bins[k - 1]) + ((a - share) / (a - b)) * (middle(bins[k]) - middle(bins[k - 1]));
  }
  return null;
}

function photometryOf(fakes: readonly Fake[]): Efficiency['photometry'] {
  const ratios: number[] = [], pulls: number[] = [];
  for (const { found, fluxNJy, snr } of fakes) {
    if (found === null || found.psfFlux === null || !found.psfFluxErr || snr < 10) continue;
    ratios.push(found.psfFlux / fluxNJy);
    pulls.push((found.psfFlux - fluxNJy) / found.psfFluxErr);
  }
  if (pulls.length < 3) return { count: pulls.length, ratioMedian: null, pullScatter: null };
  const middle = median(pulls);
  return {
    count: pulls.length, ratioMedian: median(ratios),
    pullScatter: 1.4826 * median(pulls.map((pull) => Math.abs(pull - middle))),
  };
}
