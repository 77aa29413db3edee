import fc from 'fast-check';
import { expect, test } from 'vitest';
import { explainFilter, type Clause, type Explanation } from '../../brokers/filters/explain.ts';
import { compileFilter } from '../../brokers/filters/expression.ts';
import { lazyAlert } from '../../brokers/filters/lazyAlert.ts';
import { predefinedFilters } from '../../brokers/filters/predefined.ts';
import type { DiaSource } from '../../schemas/diaRows.ts';
import { samplePacket } from './sampleAlerts.ts';

/** The sample alert: SNR 7, 100 nJy, band r, detector 4, no history. */
function explain(expression: string, known: Partial<DiaSource> = {}, rank?: string): Explanation {
  const definition = { user: 'ana', name: 'f', version: 1, expression, ...(rank === undefined ? {} : { rank }) };
  return explainFilter(definition, lazyAlert(samplePacket(7, known)));
}

test('a comparison shows its truth and each field and call that it read', () => {
  expect(explain('abMag(diaSource.psfFlux) < 20.0').clause).toEqual({
    text: 'abMag(diaSource.psfFlux) < 20.0',
    kind: 'test',
    truth: 'false',
    reason: null,
    values: [
      { name: 'abMag(diaSource.psfFlux)', value: expect.closeTo(26.4, 6) }, // 31.4 − 2.5 log10(100).
      { name: 'diaSource.psfFlux', value: 100 },
    ],
    clauses: [],
  });
});

test('clauses joined by && are told one by one, those behind a false one as well', () => {
  const { outcome, clause } = explain('diaSource.snr > 9.0 && diaSource.detector == 4 && diaSource.band == "g"');
  expect(outcome).toBe('notMatched');
  expect(clause.kind).toBe('all');
  expect(clause.clauses.map(({ text, truth }) => [text, truth])).toEqual([
    ['diaSource.snr > 9.0', 'false'],
    ['diaSource.detector == 4', 'true'],
    ['diaSource.band == "g"', 'false'],
  ]);
  expect(clause.clauses[1].values).toEqual([{ name: 'diaSource.detector', value: 4n }]);
});

test('a clause on a null is undecided and shows the null', () => {
  const { outcome, clause } = explain('diaSource.snr > 1.0 && diaSource.band == "g"', { band: null });
  expect(outcome).toBe('undecided');
  expect(clause.clauses[1]).toMatchObject({ truth: 'undecided', values: [{ name: 'diaSource.band', value: null }] });
});

test('a loop is told by its list, not by its inside', () => {
  const { clause } = explain('prvDiaSources.exists(s, s.snr > 3.0)');
  expect(clause).toMatchObject({ truth: 'undecided', values: [{ name: 'prvDiaSources', value: null }] });
});

test('a clause that cannot be computed says why', () => {
  const { outcome, clause } = explain('1 / (diaSource.detector - 4) == 1');
  expect(outcome).toBe('failed');
  expect(clause).toMatchObject({ truth: 'failed', reason: expect.stringMatching(/zero/) });
});

test('a rank is shown with what it is made of', () => {
  expect(explain('true', {}, 'diaSource.snr * 2.0').rank).toEqual({
    expression: 'diaSource.snr * 2.0',
    value: 14,
    values: [{ name: 'diaSource.snr', value: 7 }],
  });
  expect(explain('true', { psfFlux: -1 }, 'abMag(diaSource.psfFlux)').rank?.value).toBeNull();
});

test('whatever is joined to whatever, the clauses say what the filter says', () => {
  // Atoms that are true, false and undecided for the sample alert.
  const atom = fc.constantFrom('diaSource.snr > 1.0', 'diaSource.snr > 9.0', 'diaSource.raErr > 0.0');
  const { tree } = fc.letrec<{ tree: string }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      atom,
      fc.tuple(tie('tree'), fc.constantFrom('&&', '||'), tie('tree')).map(([a, op, b]) => `(${a} ${op} ${b})`),
      tie('tree').map((a) => `!(${a})`),
    ),
  }));
  fc.assert(
    fc.property(tree, (expression) => {
      const { outcome, clause } = explain(expression);
      expect(truthFrom(clause)).toBe(clause.truth);
      expect(outcome).toBe({ true: 'matched', false: 'notMatched', undecided: 'undecided', failed: '' }[clause.truth]);
    }),
    { numRuns: 200 },
  );
});

/** Kleene's logic over the clauses: the definition that CEL's && and || follow. */
function truthFrom({ kind, truth, clauses }: Clause): Clause['truth'] {
  const truths = clauses.map(truthFrom);
  if (kind === 'all') return truths.includes('false') ? 'false' : truths.includes('undecided') ? 'undecided' : 'true';
  if (kind === 'any') return truths.includes('true') ? 'true' : truths.includes('undecided') ? 'undecided' : 'false';
  if (kind === 'not') return truths[0] === 'undecided' ? 'undecided' : truths[0] === 'true' ? 'false' : 'true';
  return truth;
}

test('every filter that ships can be explained, and the explanation agrees with the filter', () => {
  for (const definition of Object.values(predefinedFilters)) {
    const alert = lazyAlert(samplePacket(7));
    expect(explainFilter(definition, alert).outcome).toBe(compileFilter(definition).evaluate(alert).outcome);
  }
});
