/** Home pixels of objects: where the first version was, for good. */
import type { DecodedCommit } from '../rows.ts';
import { CopyBinaryReader } from './copyBinary.ts';
import type { Session } from './session.ts';

/** Home pixels by diaObjectId of all objects that the commits name: of those stored, and of those that they make. */
export async function objectHomes(session: Session, commits: readonly DecodedCommit[]): Promise<Map<bigint, number>> {
  const named = new Set<bigint>();
  for (const { diaSources, diaObjects, diaForcedSources } of commits) {
    for (const { row } of diaSources) if (row.diaObjectId !== null) named.add(row.diaObjectId);
    for (const { row } of diaObjects) named.add(row.diaObjectId);
    for (const { row } of diaForcedSources) named.add(row.diaObjectId);
  }
  const homes = await storedHomes(session, named);
  for (const { diaObjects } of commits) {
    for (const { row, pixelId } of diaObjects) {
      if (!homes.has(row.diaObjectId)) homes.set(row.diaObjectId, pixelId);
    }
  }
  return homes;
}

/** Home pixels of the objects that hold now. */
export async function storedHomes(session: Session, ids: ReadonlySet<bigint>): Promise<Map<bigint, number>> {
  const homes = new Map<bigint, number>();
  if (ids.size === 0) return homes;
  const reader = new CopyBinaryReader(await session.copyOut(`COPY (
    SELECT l."diaObjectId", l."homePixel" FROM unnest('{${[...ids].join(',')}}'::bigint[]) AS asked (id)
    JOIN "DiaObjectLast" l ON l."diaObjectId" = asked.id
  ) TO STDOUT (FORMAT binary)`));
  while (reader.next()) homes.set(reader.bigint(), reader.integer());
  return homes;
}
