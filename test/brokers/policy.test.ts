import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { grantAccess, needsLiteStream, pixelRights } from '../../brokers/access.ts';
import {
  embargoEndMs, isHeld, parsePolicy, PIXEL_EMBARGO_HOURS, policyPath, readPolicy, recordedRules, recordRules, withholdingOf,
} from '../../brokers/policy.ts';
import { encodeDiaSource } from '../../schemas/avro.ts';
import { mjdTaiOfUnixMs } from '../../schemas/time.ts';
import { sampleSource } from './sampleAlerts.ts';

let dataDir: string;
beforeEach(() => { dataDir = mkdtempSync(join(tmpdir(), 'vesper-policy-')); });
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const RULE = { name: 'artificial', expression: 'diaSource.trailLength > 10.0', hours: 80 };
const policyOf = (...withhold: (typeof RULE)[]) => parsePolicy(JSON.stringify({ withhold }), 'policy.json');

test('without a file pixels are withheld for 80 hours and no alert is', () => {
  expect(readPolicy(dataDir)).toEqual({ pixelEmbargoHours: PIXEL_EMBARGO_HOURS, withhold: [] });
  expect(withholdingOf(readPolicy(dataDir))).toBeNull();
});

test('a rule withholds what it matches; what it cannot tell is not withheld, what fails is', () => {
  const row = (known: Parameters<typeof sampleSource>[1]) => encodeDiaSource(sampleSource(5, known));
  const withholding = withholdingOf(policyOf(RULE))!;
  expect(withholding.ruleOf(row({ trailLength: 11 }))).toBe('artificial');
  expect(withholding.ruleOf(row({ trailLength: 9 }))).toBeNull();
  expect(withholding.ruleOf(row({ trailLength: null }))).toBeNull();
  const failing = withholdingOf(policyOf({ ...RULE, expression: '1 / (diaSource.detector - 4) == 1' }))!;
  expect(failing.ruleOf(row({}))).toBe('artificial');
});

test('the first rule that matches gives its name, and a replay finds the rules by their digest', () => {
  const policy = policyOf(RULE, { ...RULE, name: 'bright', expression: 'diaSource.snr > 1.0' });
  recordRules(dataDir, policy);
  const { digest, ruleOf } = withholdingOf(policy)!;
  const again = withholdingOf(recordedRules(dataDir, digest))!;
  expect(again.digest).toBe(digest);
  const row = encodeDiaSource(sampleSource(5, { trailLength: 20 }));
  expect([ruleOf(row), again.ruleOf(row)]).toEqual(['artificial', 'artificial']);
  writeFileSync(join(dataDir, 'policies', `${digest}.json`), JSON.stringify({ withhold: [RULE] }));
  expect(() => recordedRules(dataDir, digest)).toThrow('was changed');
  expect(() => recordedRules(dataDir, 'f'.repeat(64))).toThrow('the policy of a commit is missing');
});

test('times run from the exposure or, later, its processing', () => {
  const nowMs = Date.UTC(2026, 10, 20), now = mjdTaiOfUnixMs(nowMs), policy = policyOf(RULE);
  const old = { midpointMjdTai: now - 50, timeProcessedMjdTai: now - 79 / 24 };
  expect(embargoEndMs(policy, old, nowMs)! - nowMs).toBeCloseTo(3_600_000, -2); // A double of MJD holds 1 µs.
  expect(isHeld(policy, 'artificial', old, nowMs)).toBe(true);
  const over = { midpointMjdTai: now - 50, timeProcessedMjdTai: now - 81 / 24 };
  expect(embargoEndMs(policy, over, nowMs)).toBeNull();
  expect(isHeld(policy, 'artificial', over, nowMs)).toBe(false);
  expect(isHeld(policy, 'forgotten', old, nowMs)).toBe(false);
  expect(embargoEndMs({ ...policy, pixelEmbargoHours: 0 }, old, nowMs)).toBeNull();
});

test.each([
  ['no JSON', '{', 'policy.json is not JSON'],
  ['a list', '[]', 'policy.json is not a policy'],
  ['a misspelled setting', '{"pixelEmbargoHour": 3}', 'has no "pixelEmbargoHour"'],
  ['an endless embargo', '{"pixelEmbargoHours": 1e9}', 'pixelEmbargoHours is to be from 0 to 744'],
  ['a rule without a name', '{"withhold": [{"expression": "true", "hours": 2}]}', 'a rule has a name'],
  ['a rule without an end', JSON.stringify({ withhold: [{ ...RULE, hours: undefined }] }), 'artificial: hours'],
  ['an unknown column', JSON.stringify({ withhold: [{ ...RULE, expression: 'diaSource.nope > 1.0' }] }), 'nope'],
  ['history', JSON.stringify({ withhold: [{ ...RULE, expression: 'diaObject.nDiaSources > 1' }] }), 'not diaObject'],
  ['two rules of one name', JSON.stringify({ withhold: [RULE, RULE] }), 'two rules of one name'],
])('a policy with %s is refused in one line', (_, text, message) => {
  writeFileSync(policyPath(dataDir), text);
  const refused = (): unknown => readPolicy(dataDir);
  expect(refused).toThrow(message.replace('policy.json', policyPath(dataDir)));
  expect(refused).toThrow(/^[^\n]+$/);
});

test('pixels are for all while there are no users, then for those entitled and the operators\' own filters', () => {
  expect(pixelRights(dataDir)('ana')).toBe(true);
  expect(needsLiteStream(dataDir)).toBe(false);
  const rights = { isOperator: false, natsPublicKey: `U${'A'.repeat(55)}` };
  grantAccess(dataDir, { user: 'ana', hasPixels: true, ...rights });
  expect(needsLiteStream(dataDir)).toBe(false);
  grantAccess(dataDir, { user: 'ben', hasPixels: false, ...rights });
  expect(['ana', 'ben', 'stranger', 'vesper'].map(pixelRights(dataDir))).toEqual([true, false, false, true]);
  expect(needsLiteStream(dataDir)).toBe(true);
  writeFileSync(policyPath(dataDir), '{"pixelEmbargoHours": 0}');
  expect(pixelRights(dataDir)('ben')).toBe(true);
  expect(needsLiteStream(dataDir)).toBe(false);
});
