/** Files of orbits: the MPC's lines, tables, and what is wrong in them. */
import { expect, test } from 'vitest';
import { packedDate } from '../../engine/ephemerides/mpcLines.ts';
import { encodeOrbits, parseOrbits } from '../../engine/ephemerides/orbitFile.ts';
import { mpcOrbitRow, ssObjectIdOf } from '../../engine/ephemerides/orbit.ts';
import { decodeMpcOrbit, encodeMpcOrbit } from '../../schemas/avro.ts';

/** Ceres as the MPC's description of the format has it; columns by their places. */
const CERES = '00001    3.34  0.15 K239D  17.21569   73.47045   80.26013   10.58634  0.0788175  0.21411523   2.7671817'
  + '  0 E2023-HW3  7258 123 1801-2023 0.65 M-v 30k MPCLINUX   4000      (1) Ceres              20230705';

test('a line of MPCORB.DAT gives its elements, and its epoch from the packed date', () => {
  const { format, orbits, bad } = parseOrbits(`MINOR PLANET CENTER ORBIT DATABASE\n\n-----------\n${CERES}\n`);
  expect([format, bad]).toEqual(['mpcorb', []]);
  const [ceres] = orbits;
  expect(ceres).toMatchObject({
    designation: '(1) Ceres', packed: '00001', e: 0.0788175, i: 10.58634, node: 80.26013, argperi: 73.47045,
    h: 3.34, g: 0.15, observations: 7258, oppositions: 123, uncertainty: 0, rmsArcsec: 0.65, epochMjdTt: 60200,
  });
  expect(ceres.q).toBeCloseTo(2.7671817 * (1 - 0.0788175), 12);
  // The mean motion that the line itself tells, degrees a day: 17.21569° since perihelion.
  expect(60200 - ceres.timeOfPerihelionMjdTt).toBeCloseTo(17.21569 / 0.21411523, 3);
});

test('packed dates are those of the description', () => {
  expect(packedDate('J9611')).toBe(50083); // 1996-01-01
  expect(packedDate('J961A')).toBe(50092); // 1996-01-10
  expect(packedDate('J969U')).toBe(50356); // 1996-09-30
  expect(packedDate('J96A1')).toBe(50357); // 1996-10-01
  expect(packedDate('K01AM')).toBe(52204); // 2001-10-22
  expect(() => packedDate('K23DX')).toThrow('"K23DX" is no packed date');
});

test('a comet of CometEls.txt keeps its time of perihelion and has no magnitude of an asteroid', () => {
  const line = '    CK23A030  2024 09 27.7405  0.391423  1.000094  308.4925   21.5596  139.1109  20240702   8.0  3.2  '
    + 'C/2023 A3 (Tsuchinshan-ATLAS)                            MPEC 2024-MB8';
  const { format, orbits, bad } = parseOrbits(`${line}\n`);
  expect([format, bad]).toEqual(['comets', []]);
  expect(orbits[0]).toMatchObject({
    packed: 'CK23A030', designation: 'C/2023 A3 (Tsuchinshan-ATLAS)', q: 0.391423, e: 1.000094, i: 139.1109, h: null,
    epochMjdTt: 60493,
  });
  expect(orbits[0].timeOfPerihelionMjdTt).toBeCloseTo(60580.7405, 6); // 2024-09-27
});

test('JPL\'s table and ours are read by their headers, in JSON as in CSV, and written back the same', () => {
  const jpl = 'full_name,epoch,e,a,i,om,w,ma,H,G\n'
    + '"(433) Eros, near",2461000.5,0.2228,1.4581,10.83,304.3,178.9,310.5,10.4,\n';
  const { orbits, bad } = parseOrbits(jpl);
  expect(bad).toEqual([]);
  expect(orbits[0]).toMatchObject({ designation: '(433) Eros, near', epochMjdTt: 61000, g: null });
  const again = parseOrbits(encodeOrbits(orbits));
  expect(again).toEqual({ format: 'csv', orbits, bad: [] });
  const { row: _, ...named } = orbits[0];
  expect(parseOrbits(JSON.stringify([named])).orbits).toEqual(orbits);
  expect(parseOrbits(`${JSON.stringify(named)}\n`).orbits).toEqual(orbits);
});

test('bad lines are named with their numbers and reasons, and the others are kept', () => {
  const csv = 'designation,epochMjdTt,q,e,i,node,argperi,timeOfPerihelionMjdTt\n'
    + 'a,61000,2,0.1,5,1,2,60900\nb,61000,2,x,5,1,2,60900\nc,61000,-2,0.1,5,1,2,60900\na,61000,2,0.1,5,1,2,60900\n'
    + 'd,61000,2,0.1,5,1,2\n,61000,2,0.1,5,1,2,60900\ne,61000,2,0.1,190,1,2,60900\n';
  const { orbits, bad } = parseOrbits(csv);
  expect(orbits.map(({ designation }) => designation)).toEqual(['a']);
  expect(bad).toEqual([
    { line: 3, reason: 'e is "x", not a number' },
    { line: 4, reason: 'perihelion distance -2 au is not in 0.002 … 100000' },
    { line: 5, reason: 'a was on line 2 already' }, { line: 6, reason: '7 values for 8 columns' },
    { line: 7, reason: 'no designation' }, { line: 8, reason: 'inclination 190 is not in 0 … 180' },
  ]);
  expect(parseOrbits(`-----\n${CERES.slice(0, 60)}\n${CERES}\n`).bad)
    .toEqual([{ line: 2, reason: '60 columns; an orbit has at least 103' }]);
});

test('a file that is none is refused in one line', () => {
  expect(() => parseOrbits('')).toThrow('it is empty');
  expect(() => parseOrbits('hello world\n')).toThrow('neither MPCORB.DAT');
  expect(() => parseOrbits('designation,e\nx,0.1\n')).toThrow('its header lacks q or a, i, node');
  expect(() => parseOrbits('[{')).toThrow('it begins as JSON and is none');
});

test('ids are the packed designation\'s characters, or a digest that no such id equals', () => {
  expect(ssObjectIdOf('K08A00B')).toBe(0x4b30384130_3042n);
  const long = ssObjectIdOf('mainBelt-12345');
  expect(long >> 62n).toBe(1n);
  expect(ssObjectIdOf('mainBelt-12346')).not.toBe(long);
});

test('the record of a packet holds what the line tells and null for the rest, and is Avro', () => {
  const row = mpcOrbitRow(parseOrbits(`-----\n${CERES}\n`).orbits[0]);
  expect(decodeMpcOrbit(encodeMpcOrbit(row))).toEqual(row);
  expect(row).toMatchObject({ id: 1, packed_primary_provisional_designation: '00001', epoch_mjd: 60200 });
  expect(row.created_at).toBeNull();
  expect(row.mean_anomaly).toBeCloseTo(17.21569, 6);
  expect(row.mean_motion).toBeCloseTo(0.21411523, 7);
  expect(row.a).toBeCloseTo(2.7671817, 9);
});
