/** The SSObject of schema 11.0: one body, summed up from all its sources. */
import type { DiaSource } from '../../schemas/diaRows.ts';
import type { MpcOrbit, SsObject, SsSource } from '../../schemas/ssRows.ts';
import { abMagOfNJy, BANDS, type Band } from '../../schemas/units.ts';
import { RADIANS } from './constants.ts';
import { moidWithEarth } from './moid.ts';
import { fitPhaseCurve, type PhasePoint } from './phaseCurve.ts';

/** One observation of a body. */
export type SsObservation = Readonly<{
  source: Pick<
    DiaSource, 'diaSourceId' | 'midpointMjdTai' | 'band' | 'psfFlux' | 'psfFluxErr' | 'extendedness'>;
  prediction: Pick<SsSource, 'helioRange' | 'topoRange' | 'phaseAngle'>;
}>;

/** Magnitude error of a relative flux error: 2.5 / ln 10. */
const POGSON = 2.5 / Math.LN10;
const JUPITER_AXIS_AU = 5.2038;

/**
 * @param orbit The newest one of the body; null where it is not known.
 * @param observations All of the body's, in any order, at least one.
 */
export function ssObjectRow(
  ssObjectId: bigint, designation: string | null, orbit: MpcOrbit | null, observations: readonly SsObservation[],
): SsObject {
  const times = observations.map(({ source }) => source.midpointMjdTai).sort((a, b) => a - b);
  const extendedness = observations.flatMap(({ source }) => (source.extendedness === null ? [] : [source.extendedness]))
    .sort((a, b) => a - b);
  // Every band's fields are there: the record of their names is complete by construction.
  const bands = Object.assign({}, ...BANDS.map((band) => bandFields(band, observations))) as BandFields;
  return {
    ssObjectId, designation, nObs: observations.length, arc: times[times.length - 1] - times[0],
    firstObservationMjdTai: times[0],
    ...(orbit === null ? NO_ENCOUNTER : moidWithEarth(orbit) ?? NO_ENCOUNTER),
    tisserand_J: orbit === null ? null : tisserand(orbit),
    extendednessMax: extendedness.at(-1) ?? null, extendednessMin: extendedness[0] ?? null,
    extendednessMedian: median(extendedness), ...bands,
  };
}

type BandFields = Pick<SsObject, Extract<keyof SsObject, `${Band}_${string}`>>;

const NO_ENCOUNTER = {
  MOIDEarth: null, MOIDEarthDeltaV: null, MOIDEarthEclipticLongitude: null, MOIDEarthTrueAnomaly: null,
  MOIDEarthTrueAnomalyObject: null,
};

function bandFields(band: Band, observations: readonly SsObservation[]): Record<string, number | boolean | null> {
  const own = observations.filter(({ source }) => source.band === band);
  const fit = fitPhaseCurve(own.flatMap(phasePoint));
  const phases = own.flatMap(({ prediction }) => (prediction.phaseAngle === null ? [] : [prediction.phaseAngle]))
    .sort((a, b) => a - b);
  return {
    [`${band}_nObs`]: own.length, [`${band}_H`]: fit?.h ?? null, [`${band}_HErr`]: fit?.hErr ?? null,
    [`${band}_G12`]: fit?.g12 ?? null, [`${band}_G12Err`]: fit?.g12Err ?? null,
    [`${band}_H_${band}_G12_Cov`]: fit?.covariance ?? null, [`${band}_nObsUsed`]: fit?.used ?? 0,
    [`${band}_Chi2`]: fit?.chi2 ?? null, [`${band}_phaseAngleMin`]: phases[0] ?? null,
    [`${band}_phaseAngleMax`]: phases.at(-1) ?? null, [`${band}_slope_fit_failed`]: fit?.isAssumed ?? null,
  };
}

/** A flux that is not above zero has no magnitude. */
function phasePoint({ source: { psfFlux, psfFluxErr }, prediction }: SsObservation): PhasePoint[] {
  const { helioRange, topoRange, phaseAngle } = prediction;
  if (psfFlux === null || psfFluxErr === null || !(psfFlux > 0) || !(psfFluxErr > 0)) return [];
  if (helioRange === null || topoRange === null || phaseAngle === null) return [];
  return [{
    mag: abMagOfNJy(psfFlux), magErr: (POGSON * psfFluxErr) / psfFlux, helioRangeAu: helioRange,
    topoRangeAu: topoRange, phaseDeg: phaseAngle,
  }];
}

/** Tisserand's parameter with respect to Jupiter; null for what does not orbit the Sun in a closed orbit. */
function tisserand({ a, e, i }: MpcOrbit): number | null {
  if (a === null || e === null || i === null || !(e < 1)) return null;
  return JUPITER_AXIS_AU / a + 2 * Math.cos(i * RADIANS) * Math.sqrt((a / JUPITER_AXIS_AU) * (1 - e * e));
}

function median(sorted: readonly number[]): number | null {
  if (sorted.length === 0) return null;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
