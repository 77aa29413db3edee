/** Alerts of production size from a seed: a history of 30 detections and 60 forced fluxes, three cutouts, about 90 kB. */
import { encodeDiaForcedSource, encodeDiaObject, encodeDiaSource } from '../schemas/avro.ts';
import { newDiaForcedSource, newDiaObject, newDiaSource, type DiaSource } from '../schemas/diaRows.ts';
import { asDayObs, asDetectorId, asVisit, diaSourceIdOf, visitOf, type Visit } from '../schemas/ids.ts';
import type { PacketParts } from '../schemas/packet.ts';

export const BENCH_NIGHT = asDayObs(20261120);
export const BENCH_INSTRUMENT = 'minicam';
export const HISTORY = { sources: 30, forced: 60, cutoutBytes: 25_000 } as const;

/** mulberry32: the same numbers in every run. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Visit and id of alert `n`: 1,000 alerts a visit. */
export function placeOf(n: number): { visit: Visit; detector: number; id: bigint } {
  const visit = asVisit(visitOf(BENCH_NIGHT, 1 + Math.floor(n / 1000)));
  return { visit, detector: n % 9, id: diaSourceIdOf(visit, asDetectorId(n % 9), n % 1000) };
}

const BANDS = ['g', 'r', 'i', 'z'] as const;
const START_MJD = 61_364;

/** A measured detection: most columns have a value, as in a real packet. */
export function benchSource(n: number, epoch: number, random: () => number): DiaSource {
  const { visit, detector, id } = placeOf(n);
  const psfFlux = 10 ** (2 + 3 * random()) * (random() < 0.2 ? -1 : 1);
  const psfFluxErr = 100 * (0.5 + random());
  return newDiaSource({
    diaSourceId: epoch === 0 ? id : id - BigInt(epoch) * 2n ** 40n, diaObjectId: id, visit: BigInt(visit), detector,
    midpointMjdTai: START_MJD - 3.1 * epoch, ra: 150 + random(), dec: -2 + random(), x: 4000 * random(),
    y: 4000 * random(), timeProcessedMjdTai: START_MJD + 0.001, bboxSize: 9, raErr: 2e-5, decErr: 2e-5,
    psfFlux, psfFluxErr, snr: Math.abs(psfFlux) / psfFluxErr, psfChi2: 90, psfNdata: 400,
    apFlux: psfFlux, apFluxErr: psfFluxErr, scienceFlux: psfFlux + 1000, scienceFluxErr: psfFluxErr,
    templateFlux: 1000 * random(), templateFluxErr: 50, ixx: 2, iyy: 2, ixy: 0.1, band: BANDS[n % BANDS.length],
    extendedness: random(), reliability: random(), isDipole: false, pixelFlags_edge: false,
    pixelFlags_saturatedCenter: false, trailLength: 1, trailFlux: psfFlux,
  });
}

/** What alert `n` is assembled from. Histories of different alerts share their bytes: memory holds one of each kind. */
export function partsMaker(seed: number): (n: number) => PacketParts {
  const random = randomFrom(seed);
  const histories = Array.from({ length: 50 }, (_, h) => ({
    sources: Array.from({ length: HISTORY.sources }, (__, i) => encodeDiaSource(benchSource(h, HISTORY.sources - i, random))),
    forced: Array.from({ length: HISTORY.forced }, (__, i) => encodeDiaForcedSource(newDiaForcedSource({
      diaForcedSourceId: BigInt(1000 * h + i + 1), diaObjectId: placeOf(h).id, ra: 150, dec: -2, visit: 1n, detector: 1,
      midpointMjdTai: START_MJD - 200 + i, timeProcessedMjdTai: START_MJD - 199 + i, psfFlux: 50 * random(),
      psfFluxErr: 20, band: BANDS[i % BANDS.length], scienceFlux: 1000, scienceFluxErr: 30,
    }))),
  }));
  const cutout = Buffer.alloc(HISTORY.cutoutBytes).map((_, i) => (i * 131) % 251);
  return (n) => {
    const { id } = placeOf(n);
    const { sources, forced } = histories[n % histories.length];
    return {
      diaSourceId: id, observationReason: null, targetName: null,
      diaSource: encodeDiaSource(benchSource(n, 0, random)), prvDiaSources: sources, prvDiaForcedSources: forced,
      diaObject: encodeDiaObject(newDiaObject({
        diaObjectId: id, validityStartMjdTai: START_MJD, ra: 150, dec: -2, nDiaSources: 1 + (n % 40),
        firstDiaSourceMjdTai: START_MJD - 90, lastDiaSourceMjdTai: START_MJD,
      })),
      ssSource: null, mpcOrbit: null, cutoutDifference: cutout, cutoutScience: cutout, cutoutTemplate: cutout,
    };
  };
}
