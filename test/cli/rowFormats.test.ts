import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { parquetReadObjects } from 'hyparquet';
import { expect, test } from 'vitest';
import { csvOf, deliver, formatted, parquetOf } from '../../engine/cli/rowFormats.ts';
import { encodeDiaSource, decodeDiaSource } from '../../schemas/avro.ts';
import { anyDiaSource } from '../schemas/alertArbitraries.ts';

const rows = fc.array(anyDiaSource.map((row) => decodeDiaSource(encodeDiaSource(row))), { minLength: 1, maxLength: 5 });

test('Parquet gives back every field of every row, ids exact', async () => {
  await fc.assert(fc.asyncProperty(rows, async (list) => {
    const file = await parquetOf('diaSource', list);
    const read = await parquetReadObjects({ file: file.buffer.slice(0) as ArrayBuffer });
    const plain = (row: object) => JSON.stringify(Object.entries(row)
      .map(([name, value]) => [name, typeof value === 'bigint' ? String(value) : value ?? null]));
    expect(read.map(plain)).toEqual(list.map(plain));
  }), { numRuns: 25 });
});

test('CSV has a cell for every field, null empty and quotes doubled', () => {
  const [row] = fc.sample(rows, { numRuns: 1, seed: 4 })[0];
  const [header, line] = csvOf('diaSource', [{ ...row, band: 'a"b,c', reliability: null }]).trimEnd().split('\n');
  const names = header.split(',');
  expect(names).toEqual(Object.keys(row));
  expect(line).toContain('"a""b,c"');
  const cells = line.replace('"a""b,c"', 'band').split(',');
  expect(cells).toHaveLength(names.length);
  expect(cells[names.indexOf('reliability')]).toBe('');
  expect(cells[names.indexOf('diaSourceId')]).toBe(String(row.diaSourceId));
});

test('a file is written whole, and a place that cannot be written is named with nothing left behind', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'vesper-rows-'));
  try {
    const content = await formatted('json', 'diaSource', [], []);
    deliver(content, join(folder, 'rows.json'));
    expect(readFileSync(join(folder, 'rows.json'), 'utf8')).toBe('[]\n');
    expect(() => deliver(content, join(folder, 'none', 'rows.json'))).toThrow(/^cannot write .*rows\.json: /);
  } finally { rmSync(folder, { recursive: true, force: true }); }
  const parquet = await formatted('parquet', 'diaSource', [], []);
  expect(() => deliver(parquet, null)).toThrow('--out FILE');
});
