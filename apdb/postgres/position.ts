/** Where the tables stand in the log: one row, and the lock of whoever writes. */
import type { CommitPosition } from '../../schemas/ids.ts';
import type { Session } from './session.ts';

/** The stored position, locked to the end of the transaction: writers go one after the other. */
export async function lockPosition(session: Session): Promise<CommitPosition> {
  return positionOf(await session.rows<{ position: string }>('SELECT position FROM projection FOR UPDATE'));
}

export async function readPosition(session: Session): Promise<CommitPosition> {
  return positionOf(await session.rows<{ position: string }>('SELECT position FROM projection'));
}

export async function setPosition(session: Session, position: CommitPosition): Promise<void> {
  await session.rows('UPDATE projection SET position = $1', [position]);
}

function positionOf(rows: readonly { position: string }[]): CommitPosition {
  return Number(rows[0].position) as CommitPosition; // The one row, which only ever held positions.
}
