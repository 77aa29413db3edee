/** `vesper verify`: recomputes every count of a night and says whether they close. */
import { catchUp } from '../stream/projector.ts';
import { countNight, type NightAudit } from './countNight.ts';
import { print, printJson, table } from './output.ts';
import { chooseNight, withOpenStores } from './stores.ts';

export async function runVerify(
  options: Readonly<{ dataDir: string; night: number | null; instrument: string | null; json: boolean }>,
): Promise<number> {
  const audit = await withOpenStores(options.dataDir, 'verify', async ({ log, openApdb }) => {
    const { instrument, dayObs } = await chooseNight(log, options.instrument, options.night);
    const apdb = await openApdb(instrument);
    // Behind the log is allowed: a run that was killed may have left commits that are not projected yet.
    await catchUp(log, apdb, instrument, options.dataDir);
    return countNight({ log, apdb, dataDir: options.dataDir, instrument, dayObs });
  });
  if (options.json) printJson(audit); else print(formatAudit(audit));
  return audit.closes ? 0 : 1;
}

export function formatAudit({ dayObs, counts, closes, violations }: NightAudit): string {
  const reasons = (totals: Readonly<Record<string, number>>) =>
    Object.entries(totals).map(([reason, n]) => `${n} ${reason}`).join(', ');
  const rows = [
    ['detected', String(counts.detected)],
    ['dropped', `${reasons(counts.droppedByReason) || '0'}`],
    ['associated', String(counts.associated)],
    ['withheld', `${reasons(counts.withheldByReason) || '0'}`],
    ...(counts.released > 0 ? [['released since', String(counts.released)]] : []),
    ...(counts.lite === null ? [] : [['published without cutouts', String(counts.lite)]]),
    ['packed', String(counts.packed)], ['published', String(counts.published)], ['archived', String(counts.archived)],
    ...Object.entries(counts.delivered)
      .map(([consumer, n]) => [`delivered to ${consumer}`, `${n}, ${counts.owed[consumer]} owed`]),
    ['ranked filters', `${counts.ranked.matched} matched: ${counts.ranked.selected} selected, `
      + `${counts.ranked.dropped} beyond the cap, ${counts.ranked.late} late; ${counts.ranked.delivered} delivered`],
  ];
  return [
    `night ${dayObs}: ${closes ? 'all counts close' : 'COUNTS DO NOT CLOSE'}`, table(['count', 'value'], rows),
    ...violations.map((violation) => `  ✗ ${violation}`),
  ].join('\n');
}
