import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { voEventOf } from '../../brokers/archive/voevent.ts';
import { decodeAlert } from '../../schemas/packet.ts';
import { mjdTaiOfUnixMs, unixMsOfMjdTai } from '../../schemas/time.ts';
import { INSTRUMENT, sampleId, samplePacket } from './sampleAlerts.ts';

const GRAMMAR = fileURLToPath(new URL('voevent.rng', import.meta.url));
const hasXmllint = spawnSync('xmllint', ['--version']).status === 0;
if (!hasXmllint) console.warn('skipped: there is no xmllint (libxml2-utils), so VOEvents are not validated');

const validate = (xml: string): { status: number | null; stderr: string } =>
  spawnSync('xmllint', ['--noout', '--relaxng', GRAMMAR, '-'], { input: xml, encoding: 'utf8' });

test('an alert as VOEvent holds its id, position and time in UTC, and is the same every time', () => {
  const alert = decodeAlert(samplePacket(7));
  const xml = voEventOf(alert, INSTRUMENT, 'test');
  expect(xml).toContain(`ivorn="ivo://vesper/minicam#${sampleId(7)}"`);
  expect(xml).toContain(`<C1>${alert.diaSource.ra}</C1><C2>${alert.diaSource.dec}</C2>`);
  // 61364.25 is 06:00:00 TAI, 37 s earlier in UTC.
  expect(xml).toMatch(/<ISOTime>2026-11-20T05:59:23\.000<\/ISOTime>/);
  expect(xml).not.toContain('firstDetection'); // Null in the packet: absent, not empty.
  expect(voEventOf(alert, INSTRUMENT, 'test')).toBe(xml);
});

test.skipIf(!hasXmllint)('xmllint finds the structure of VOEvent 2.0 in it', () => {
  for (const counter of [0, 7]) {
    expect(validate(voEventOf(decodeAlert(samplePacket(counter)), INSTRUMENT, 'observation'))).toMatchObject({ status: 0 });
  }
  expect(validate(voEventOf(decodeAlert(samplePacket(7)), INSTRUMENT, 'test').replace('<Date>', '<Day>')).status).not.toBe(0);
});

test.skipIf(!hasXmllint)('whatever a packet says in a text, the XML stays whole', () => {
  const nasty = ['"><x/>', '&nbsp;<![CDATA[', ']]>', '\u0000\u0008\ufffe', '\ud800', '<?xml?>', '--><!--'];
  for (const band of nasty) {
    const alert = decodeAlert(samplePacket(7));
    const { status, stderr } = validate(voEventOf({ ...alert, diaSource: { ...alert.diaSource, band } }, INSTRUMENT, 'test'));
    expect({ status, stderr: stderr.replace(/- validates\n/, '') }, JSON.stringify(band)).toEqual({ status: 0, stderr: '' });
  }
});

test('unixMsOfMjdTai undoes mjdTaiOfUnixMs to the millisecond', () => {
  fc.assert(fc.property(fc.integer({ min: 1_483_228_800_000, max: 4_102_444_800_000 }), (ms) => {
    expect(unixMsOfMjdTai(mjdTaiOfUnixMs(ms))).toBe(ms);
  }));
});
