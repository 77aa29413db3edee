import { existsSync, readFileSync } from 'node:fs';
import avro from 'avsc';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  alertType, encodeDiaForcedSource, encodeDiaObject, encodeDiaSource, encodeMpcOrbit, encodeSsSource,
} from '../../schemas/avro.ts';
import { ALERT_SCHEMA_ID } from '../../schemas/alertSchema.ts';
import { containerBlocks, readContainerHeader } from '../../schemas/container.ts';
import type { Alert } from '../../schemas/diaRows.ts';
import { newDiaForcedSource, newDiaSource } from '../../schemas/diaRows.ts';
import { assemblePacket, decodeAlert, frame, splitPacket, unframe } from '../../schemas/packet.ts';
import type { PacketParts } from '../../schemas/packet.ts';
import { anyAlert } from './alertArbitraries.ts';

const SAMPLE = new URL('../../../shared/data/lsst-packets/lsst_fake_v11_0.avro', import.meta.url);
const isSamplePresent = existsSync(SAMPLE);
if (!isSamplePresent) console.warn('skipped: ../shared/data/lsst-packets is absent, so no test with Rubin’s packet');

const runs = { numRuns: 40 };
const diaSource = newDiaSource({
  diaSourceId: 2n ** 61n + 7n, visit: 2026112000001n, detector: 3, midpointMjdTai: 61364.25, ra: 10.5, dec: -30.25,
  x: 100.5, y: 200.25, timeProcessedMjdTai: 61364.3, bboxSize: 31,
});
const diaForcedSource = newDiaForcedSource({
  diaForcedSourceId: 1n, diaObjectId: 2n, ra: 10.5, dec: -30.25, visit: 2026112000001n, detector: 3,
  midpointMjdTai: 61364.25, timeProcessedMjdTai: 61364.3,
});
const small: Alert = {
  diaSourceId: diaSource.diaSourceId, observation_reason: 'science', target_name: null, diaSource,
  prvDiaSources: [diaSource], prvDiaForcedSources: [], diaObject: null, ssSource: null, mpc_orbits: null,
  cutoutDifference: Buffer.from('abc'), cutoutScience: null, cutoutTemplate: Buffer.alloc(0),
};

test('a spliced packet has the bytes that encoding the whole alert gives, behind its frame', () => {
  fc.assert(fc.property(anyAlert, (alert) => {
    expect(assemblePacket(partsOf(alert))).toEqual(frame(alertType.toBuffer(alert)));
  }), runs);
});

// A count or length takes a second byte from 64 on and a third from 8192 on.
test.each([0, 1, 63, 64, 8191, 8192])('%i forced sources, and a cutout as long, are spliced as encoded', (count) => {
  const prvDiaForcedSources = Array.from({ length: count }, () => diaForcedSource);
  const alert = { ...small, prvDiaForcedSources, cutoutScience: Buffer.alloc(count, 7) };
  expect(assemblePacket(partsOf(alert)).equals(frame(alertType.toBuffer(alert)))).toBe(true);
});

test('decodeAlert gives back every alert that was assembled', () => {
  fc.assert(fc.property(anyAlert, (alert) => {
    expect(decodeAlert(assemblePacket(partsOf(alert)))).toEqual(alert);
  }), runs);
});

test('splitPacket undoes assemblePacket', () => {
  fc.assert(fc.property(anyAlert, (alert) => {
    const packet = assemblePacket(partsOf(alert));
    expect(assemblePacket(splitPacket(packet))).toEqual(packet);
  }), runs);
});

test('a packet owns its memory: no other buffer shares it', () => {
  const packet = assemblePacket(partsOf(small));
  expect([packet.byteOffset, packet.buffer.byteLength]).toEqual([0, packet.length]);
});

test('a packet begins with 0 and its schema id 1100, big-endian', () => {
  expect([...assemblePacket(partsOf(small)).subarray(0, 5)]).toEqual([0, 0, 0, 0x04, 0x4c]);
});

test('a packet whose diaSource is another one is refused', () => {
  expect(() => assemblePacket({ ...partsOf(small), diaSourceId: 8n })).toThrow('packet 8: its diaSource is another');
});

describe('unframe', () => {
  test('gives the datum that was framed', () => {
    expect(unframe(frame(Buffer.from('datum')))).toEqual({ version: '11.0', datum: Buffer.from('datum') });
  });

  test('reads a frame that lies inside a larger buffer', () => {
    const larger = Buffer.concat([Buffer.from('xyz'), frame(Buffer.from('datum'))]);
    expect(Buffer.from(unframe(new Uint8Array(larger).subarray(3)).datum).toString()).toBe('datum');
  });

  test('refuses bytes that are no frame of a known schema, and says why', () => {
    expect(() => unframe(Buffer.of(0, 0, 0, 4))).toThrow('packet of 4 bytes is shorter than its frame');
    expect(() => unframe(Buffer.of(1, 0, 0, 4, 0x4c))).toThrow('packet begins with byte 1, not 0');
    expect(() => unframe(frame(Buffer.alloc(1), ALERT_SCHEMA_ID + 1))).toThrow('schema id 1101');
    expect(() => unframe(frame(Buffer.alloc(1), -1))).toThrow('schema id -1');
  });
});

describe('damaged packets', () => {
  test('a packet cut short at any byte is refused', () => {
    const packet = assemblePacket(partsOf(small));
    for (let size = 0; size < packet.length; size++) {
      expect(() => decodeAlert(packet.subarray(0, size)), `${size} bytes`).toThrow();
    }
  });

  test('a packet with a byte too many is refused', () => {
    const packet = assemblePacket(partsOf(small));
    expect(() => decodeAlert(Buffer.concat([packet, Buffer.of(0)]))).toThrow('1 bytes left over');
  });

  test('a packet with any one byte changed decodes or is refused with an Error, and never runs away', () => {
    const packet = assemblePacket(partsOf(small));
    fc.assert(fc.property(fc.nat({ max: packet.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
      const damaged = Buffer.from(packet);
      damaged[at] = byte;
      try {
        decodeAlert(damaged);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }), { numRuns: 500 });
  });

  test('a history that claims 2^62 rows ends where the bytes do, and names the field', () => {
    const empty = assemblePacket(partsOf({ ...small, prvDiaSources: [] }));
    const at = empty.length - partsTailSize(small);
    const huge = Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    const packet = Buffer.concat([empty.subarray(0, at), huge, empty.subarray(at)]);
    expect(() => decodeAlert(packet)).toThrow('alert.prvDiaSources');
  });
});

test('an array in several blocks, some with their size, is read as one history', () => {
  const row = encodeDiaSource(diaSource);
  const packet = assemblePacket(partsOf({ ...small, prvDiaSources: [] }));
  const at = packet.length - partsTailSize(small);
  // Block of 1; then count −2 (zigzag 3) with the size of its bytes; the ending 0 is already there.
  const size = row.length * 2;
  const sizeBytes = Buffer.of(((size * 2) & 0x7f) | 0x80, (size * 2) >> 7);
  const blocks = Buffer.concat([Buffer.of(2), row, Buffer.of(3), sizeBytes, row, row]);
  const parts = splitPacket(Buffer.concat([packet.subarray(0, at), blocks, packet.subarray(at)]));
  expect(parts.prvDiaSources).toEqual([row, row, row]);
});

describe.skipIf(!isSamplePresent)('Rubin’s sample packet of schema 11.0', () => {
  test('is decoded and encoded again to the same bytes, whole and row by row', () => {
    const blocks = [...containerBlocks(readFileSync(SAMPLE))];
    expect(blocks.map((block) => block.recordCount)).toEqual([1]);
    const datum = Buffer.from(blocks[0].data);
    const alert = decodeAlert(frame(datum));
    expect(alertType.toBuffer(alert)).toEqual(datum);
    // Its diaSource has another id than the alert has, which assemblePacket refuses, so the parts are compared.
    expect(partsOf(alert)).toEqual(splitPacket(frame(datum)));
  });

  test('says the same when it is read by its own schema', () => {
    const file = readFileSync(SAMPLE);
    const [block] = containerBlocks(file);
    const writer = avro.Type.forSchema(JSON.parse(readContainerHeader(file).schemaJson), { wrapUnions: 'never' });
    const rubin = alertType.fromBuffer(Buffer.from(block.data), alertType.createResolver(writer));
    expect(rubin).toEqual(decodeAlert(frame(block.data)));
  });
});

/** What follows an array at the end of `prvDiaSources`, for splices into a packet of `small`. */
function partsTailSize(alert: Alert): number {
  // The array's ending 0; prvDiaForcedSources [] 2; three nulls 3; cutouts: 1 + 1 + 3, 1, 1 + 1.
  expect([alert.prvDiaForcedSources, alert.cutoutDifference?.length]).toEqual([[], 3]);
  return 1 + 2 + 3 + 5 + 1 + 2;
}

function partsOf(alert: Alert): PacketParts {
  return {
    diaSourceId: alert.diaSourceId,
    observationReason: alert.observation_reason,
    targetName: alert.target_name,
    diaSource: encodeDiaSource(alert.diaSource),
    prvDiaSources: alert.prvDiaSources && alert.prvDiaSources.map(encodeDiaSource),
    prvDiaForcedSources: alert.prvDiaForcedSources && alert.prvDiaForcedSources.map(encodeDiaForcedSource),
    diaObject: alert.diaObject && encodeDiaObject(alert.diaObject),
    ssSource: alert.ssSource && encodeSsSource(alert.ssSource),
    mpcOrbit: alert.mpc_orbits && encodeMpcOrbit(alert.mpc_orbits),
    cutoutDifference: alert.cutoutDifference,
    cutoutScience: alert.cutoutScience,
    cutoutTemplate: alert.cutoutTemplate,
  };
}
