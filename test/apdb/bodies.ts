/** Rows of known bodies for tests. */
import type { CommittedBodies } from '../../apdb/solarSystem.ts';
import { mpcOrbitRow, type Orbit } from '../../engine/ephemerides/orbit.ts';
import { ALERT_SCHEMA_VERSION, recordFields } from '../../schemas/alertSchema.ts';
import { encodeMpcOrbit, encodeSsSource } from '../../schemas/avro.ts';
import type { SsSource } from '../../schemas/ssRows.ts';

const ORBIT: Orbit = {
  row: 1, designation: 'x', packed: 'x', q: 2, e: 0.1, i: 5, node: 1, argperi: 2, timeOfPerihelionMjdTt: 60900,
  epochMjdTt: 61000, h: 15, g: 0.15, uncertainty: null, oppositions: null, observations: null, arcDays: null,
  rmsArcsec: null,
};

/** An ssSource that tells names, place and phase alone. */
export function ssSource(diaSourceId: bigint, ssObjectId: bigint, designation: string): SsSource {
  const told = {
    diaSourceId, ssObjectId, designation, eclLambda: 1, eclBeta: 2, galLon: 3, galLat: 4, phaseAngle: 5, helioRange: 2,
    topoRange: 1,
  };
  const names = recordFields('ssSource', ALERT_SCHEMA_VERSION).map(({ name }) => name);
  // Every field that is not told may be null.
  return { ...Object.fromEntries(names.map((name) => [name, null])), ...told } as SsSource;
}

/** The rows that a body's source brings; another `version` has another orbit. */
export function bodyRows(diaSourceId: bigint, ssObjectId: bigint, version: number): CommittedBodies {
  const designation = `body ${ssObjectId}`;
  return {
    ssSources: [encodeSsSource(ssSource(diaSourceId, ssObjectId, designation))],
    mpcOrbits: [encodeMpcOrbit(mpcOrbitRow({ ...ORBIT, designation, packed: designation, q: 2 + version / 100 }))],
  };
}
