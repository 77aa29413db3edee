/** Reads of one snapshot shared among connections: a field comes in pieces, and who is free takes the next. */
import { apdbConfig } from '../config.ts';
import type { PostgresServer, Session } from './session.ts';

export type ReadJob = (session: Session) => Promise<void>;

/** A transaction that others may help. */
export type SharedRead = Readonly<{ server: PostgresServer; session: Session; snapshot: string }>;

export async function sharedRead(server: PostgresServer, session: Session): Promise<SharedRead> {
  return { server, session, snapshot: await session.exportSnapshot() };
}

/**
 * Does every job once: on the transaction's own connection when `first` is through, on the others from now on.
 * @throws the first failure, when nobody reads any more.
 */
export async function readTogether<T>(
  { server, session, snapshot }: SharedRead, jobs: readonly ReadJob[], first: () => Promise<T>,
): Promise<T> {
  let next = 0;
  const drain = async (on: Session) => {
    try {
      while (next < jobs.length) await jobs[next++](on);
    } catch (error) {
      next = jobs.length;
      throw error;
    }
  };
  const own = async () => {
    const result = await first();
    await drain(session);
    return result;
  };
  const along = Math.min(apdbConfig.readersAlong, jobs.length - 1);
  const helpers = Array.from({ length: Math.max(0, along) }, () => server.readAlong(snapshot, drain));
  const [result, ...helped] = await Promise.allSettled([own(), ...helpers]);
  for (const one of [result, ...helped]) if (one.status === 'rejected') throw one.reason as Error;
  return (result as PromiseFulfilledResult<T>).value;
}
