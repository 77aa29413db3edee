/** Is a night's alert stream fit to be sent? Rates, duplicates, ranges, conformance and latency against thresholds. */
import { alertType } from '../schemas/avro.ts';
import { recode } from '../schemas/containerFile.ts';
import type { Alert, DiaSource } from '../schemas/diaRows.ts';
import { partsOfDiaSourceId, type DayObs } from '../schemas/ids.ts';
import { decodeAlert, FRAME_BYTES } from '../schemas/packet.ts';
import { mjdTaiOfDayObs } from '../schemas/time.ts';
import { readPrimaryImage } from './archive/cutoutImage.ts';
import { brokersConfig } from './config.ts';

/** An alert as sent; `latencySeconds` from the end of readout to the stream, null when that is not known. */
export type JudgedAlert = Readonly<{ packet: Uint8Array; latencySeconds: number | null }>;

/** One figure and its threshold: `value` may not exceed `max`. Null when there is nothing to judge it by. */
export type QualityCheck = Readonly<{
  name: string; value: number | null; max: number; passes: boolean; example: string | null;
}>;

export type QualityReport = Readonly<{
  dayObs: DayObs; alerts: number; visits: number; bytes: number;
  perVisit: Readonly<{ least: number; median: number; most: number }>;
  latencySeconds: Readonly<{ median: number; p98: number; most: number }> | null;
  /** Alerts that have a value, by column of the diaSource, of those that may be null. */
  measuredShare: Readonly<Record<string, number>>;
  checks: readonly QualityCheck[];
  passes: boolean;
}>;

/** Columns whose share of values is told. */
const MEASURED = ['psfFlux', 'snr', 'apFlux', 'scienceFlux', 'templateFlux', 'reliability', 'extendedness', 'trailLength',
  'dipoleMeanFlux', 'band'] as const satisfies readonly (keyof DiaSource)[];

/** What can be wrong with one alert; each kind is a check with the threshold 0 unless the configuration has another. */
const FAULTS: Readonly<Record<string, (alert: Alert, dayObs: DayObs) => boolean>> = {
  positionOutOfRange: ({ diaSource: { ra, dec } }) => !(ra >= 0 && ra < 360 && Math.abs(dec) <= 90),
  errorNotPositive: ({ diaSource }) => ['psfFluxErr', 'apFluxErr', 'scienceFluxErr', 'raErr', 'decErr']
    .some((name) => isNotPositive(diaSource[name as keyof DiaSource])),
  snrOutOfRange: ({ diaSource: { snr } }) => snr !== null && !(snr >= 0 && snr < 1e6),
  reliabilityOutOfRange: ({ diaSource: { reliability } }) => reliability !== null && !(reliability >= 0 && reliability <= 1),
  timeOutsideNight: ({ diaSource: { midpointMjdTai, timeProcessedMjdTai } }, dayObs) => {
    const start = mjdTaiOfDayObs(dayObs);
    return !(midpointMjdTai >= start && midpointMjdTai < start + 1) || timeProcessedMjdTai < midpointMjdTai;
  },
  idsDisagree: ({ diaSourceId, diaSource, diaObject }) => diaSource.diaSourceId !== diaSourceId
    || Number(diaSource.visit) !== partsOfDiaSourceId(diaSourceId).visit
    || (diaObject !== null && diaObject.diaObjectId !== diaSource.diaObjectId),
  historyOutOfOrder: ({ diaSource, prvDiaSources }) => {
    const times = [...(prvDiaSources ?? []), diaSource].map(({ midpointMjdTai }) => midpointMjdTai);
    return times.some((time, i) => i > 0 && time < times[i - 1]);
  },
  withoutObject: ({ diaObject, ssSource }) => diaObject === null && ssSource === null,
  cutoutDamaged: (alert) => [alert.cutoutDifference, alert.cutoutScience, alert.cutoutTemplate]
    .some((cutout) => cutout === null || !isImage(cutout)),
};

function isNotPositive(value: unknown): boolean {
  return typeof value === 'number' && !(value > 0);
}

function isImage(cutout: Uint8Array): boolean {
  try {
    readPrimaryImage(cutout);
    return true;
  } catch {
    return false;
  }
}

/** @param alerts All of the night, in any order. */
export async function judgeNight(
  dayObs: DayObs, alerts: AsyncIterable<JudgedAlert> | Iterable<JudgedAlert>,
): Promise<QualityReport> {
  const night = new NightJudge(dayObs);
  for await (const alert of alerts) night.add(alert);
  return night.report();
}

class NightJudge {
  readonly #dayObs: DayObs;
  readonly #ids = new Set<bigint>();
  readonly #perVisit = new Map<number, number>();
  readonly #latencies: number[] = [];
  readonly #faults = new Map<string, { count: number; example: string | null }>();
  readonly #measured = new Map<string, number>();
  #count = 0;
  #decoded = 0;
  #bytes = 0;

  constructor(dayObs: DayObs) {
    this.#dayObs = dayObs;
    for (const name of ['undecodable', 'notAsEncoded', 'doubled', ...Object.keys(FAULTS)]) {
      this.#faults.set(name, { count: 0, example: null });
    }
  }

  add({ packet, latencySeconds }: JudgedAlert): void {
    this.#count++;
    this.#bytes += packet.length;
    if (latencySeconds !== null) this.#latencies.push(latencySeconds);
    let alert: Alert;
    try {
      alert = decodeAlert(packet);
    } catch (error) {
      this.#note('undecodable', `alert ${this.#count}: ${(error as Error).message}`);
      return;
    }
    this.#decoded++;
    const id = String(alert.diaSourceId);
    // Decoding and encoding the whole by the schema has to give the bytes that were spliced.
    const datum = Buffer.from(packet.buffer, packet.byteOffset + FRAME_BYTES, packet.length - FRAME_BYTES);
    if (Buffer.compare(recode(alertType, datum), datum) !== 0) this.#note('notAsEncoded', id);
    if (this.#ids.has(alert.diaSourceId)) this.#note('doubled', id);
    this.#ids.add(alert.diaSourceId);
    const visit = Number(alert.diaSource.visit);
    this.#perVisit.set(visit, (this.#perVisit.get(visit) ?? 0) + 1);
    for (const name of MEASURED) {
      if (alert.diaSource[name] !== null) this.#measured.set(name, (this.#measured.get(name) ?? 0) + 1);
    }
    for (const [name, hasFault] of Object.entries(FAULTS)) if (hasFault(alert, this.#dayObs)) this.#note(name, id);
  }

  report(): QualityReport {
    const visits = sorted([...this.#perVisit.values()]), latencies = sorted(this.#latencies);
    const { qualityLatencySecondsMax, qualityAlertsPerVisitMax } = brokersConfig;
    const check = (name: string, value: number | null, max: number, example: string | null = null): QualityCheck =>
      ({ name, value, max, passes: value === null || value <= max, example });
    const checks = [
      ...[...this.#faults].map(([name, { count, example }]) => check(name, count, 0, example)),
      check('alertsPerVisitMost', visits.at(-1) ?? null, qualityAlertsPerVisitMax),
      check('latencyP98Seconds', at(latencies, 0.98), qualityLatencySecondsMax),
    ];
    return {
      dayObs: this.#dayObs, alerts: this.#count, visits: visits.length, bytes: this.#bytes,
      perVisit: { least: visits[0] ?? 0, median: at(visits, 0.5) ?? 0, most: visits.at(-1) ?? 0 },
      latencySeconds: latencies.length === 0 ? null
        : { median: at(latencies, 0.5) ?? 0, p98: at(latencies, 0.98) ?? 0, most: latencies.at(-1) ?? 0 },
      measuredShare: Object.fromEntries(MEASURED.map((name) => [
        name, this.#decoded === 0 ? 0 : (this.#measured.get(name) ?? 0) / this.#decoded,
      ])),
      checks, passes: checks.every(({ passes }) => passes),
    };
  }

  #note(name: string, example: string): void {
    const fault = this.#faults.get(name);
    if (fault === undefined) throw new Error(`there is no check ${name}`);
    fault.count++;
    fault.example ??= example;
  }
}

function sorted(values: readonly number[]): readonly number[] {
  return [...values].sort((a, b) => a - b);
}

/** Nearest rank; null over nothing. */
function at(values: readonly number[], fraction: number): number | null {
  return values[Math.max(0, Math.ceil(fraction * values.length) - 1)] ?? null;
}
