import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

test('the same command trains the same model and writes the same card, byte for byte', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vesper-train-')), main = join(import.meta.dirname, '..', '..', 'engine', 'main.ts');
  try {
    const [first, again] = ['a', 'b'].map((name) => {
      const out = join(folder, name), { status, stderr } = spawnSync(process.execPath, [
        main, 'train', 'reliability', '--out', out, '--seed', '3', '--pairs', '8', '--skies', '0', '--unseen', '1',
      ], { encoding: 'utf8' });
      expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
      return ['model.json', 'modelCard.json'].map((file) => readFileSync(join(out, file), 'utf8'));
    });
    expect(again).toEqual(first);
    const card = JSON.parse(first[1]) as { trainedOn: { real: number; bogus: number }; noiseBound: { noisePeaks: number } };
    expect(card.trainedOn.real).toBeGreaterThan(300);
    expect(card.noiseBound.noisePeaks).toBeGreaterThan(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 300_000);
