import { encodeDiaSource } from '../../schemas/avro.ts';
import { newDiaSource, type DiaSource } from '../../schemas/diaRows.ts';
import { asDayObs, asDetectorId, diaSourceIdOf, visitOf } from '../../schemas/ids.ts';
import { assemblePacket } from '../../schemas/packet.ts';

export const INSTRUMENT = 'minicam';
export const NIGHT = asDayObs(20261120);

/** Packet number `counter` of one detector; what is not given is null. `cutoutBytes` makes it as large as wanted. */
export function samplePacket(counter: number, known: Partial<DiaSource> = {}, cutoutBytes = 0): Buffer {
  return assemblePacket({
    diaSourceId: sampleId(counter),
    observationReason: null,
    targetName: null,
    diaSource: encodeDiaSource(sampleSource(counter, known)),
    prvDiaSources: null,
    prvDiaForcedSources: null,
    diaObject: null,
    ssSource: null,
    mpcOrbit: null,
    cutoutDifference: cutoutBytes === 0 ? null : new Uint8Array(cutoutBytes).fill(counter % 251),
    cutoutScience: null,
    cutoutTemplate: null,
  });
}

export function sampleSource(counter: number, known: Partial<DiaSource> = {}): DiaSource {
  return newDiaSource({
    diaSourceId: sampleId(counter),
    visit: 2026112000001n,
    detector: 4,
    midpointMjdTai: 61364.25,
    ra: 150 + counter / 3600,
    dec: -2.5,
    x: 10,
    y: 20,
    timeProcessedMjdTai: 61364.26,
    bboxSize: 12,
    snr: counter,
    psfFlux: 100,
    band: 'r',
    ...known,
  });
}

export function sampleId(counter: number): bigint {
  return diaSourceIdOf(visitOf(NIGHT, 1), asDetectorId(4), counter);
}
