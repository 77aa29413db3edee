// Types of the launcher, which itself is plain JavaScript so that it runs before anything is installed.

/** How to reach Postgres: our own cluster by its socket's directory, or an existing server by URL. */
export type PostgresAddress =
  | { readonly host: string; readonly port: number; readonly user: string; readonly database: string }
  | { readonly url: string };

/** `redisUrl` is a URL, or `unix:///path`, which ioredis takes as it is. */
export interface StoreAddresses {
  readonly natsUrl: string;
  readonly postgres: PostgresAddress;
  readonly redisUrl: string | null;
}

export interface ServerDeath {
  readonly name: string;
  readonly code: number | null;
  readonly signal: string | null;
  /** How it ended, its last line, and where its log is: one line. */
  readonly reason: string;
}

/** Started stores. Reading `natsUrl` or `postgres` throws when that one was not asked for. */
export interface Stores extends StoreAddresses {
  /** True when an empty Postgres cluster was made: every projection begins anew. */
  readonly isNewCluster: boolean;
  /** Of the servers that were started here; those reached by URL have none. */
  readonly pids: Readonly<Partial<Record<'nats' | 'postgres' | 'redis', number>>>;
  /** Called for each server that ends without `stop()` having been called. */
  onExit(listener: (death: ServerDeath) => void): void;
  /** Start a server that has ended once more, at the same address. Fails with an Error of one line. */
  restart(name: 'nats' | 'postgres' | 'redis'): Promise<void>;
  /** End them all in good order; safe to call twice. */
  stop(): Promise<void>;
}

export interface StoresNeed {
  /** Default true. */
  readonly nats?: boolean;
  /** Default true. */
  readonly postgres?: boolean;
  /** Default false. */
  readonly redis?: boolean;
}

export interface StartOptions {
  readonly dataDir: string;
  /** Receives short lines about what is done. Default: none. */
  readonly log?: (line: string) => void;
  readonly need?: StoresNeed;
  /** Looked at for PATH and the VESPER_…_URL variables. Default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Start (or reach) the stores of a data directory; the caller holds its lock. Resolves when all are ready.
 * From the main thread only. Throws an `Error` of one line that names the server and the reason.
 */
export function startStores(options: StartOptions): Promise<Stores>;

/** Those of the live run when there is one, else private ones for the time of `work`, under the lock. */
export function withStores<T>(
  options: StartOptions & { readonly command: string },
  work: (stores: StoreAddresses & { readonly isLive: boolean }) => Promise<T>,
): Promise<T>;

export interface LockHolder {
  readonly pid: number;
  readonly command: string;
  readonly startedAt: string;
}

/** Another process owns the data directory; the message says which. */
export class DirectoryInUse extends Error {
  readonly holder: LockHolder | null;
}

/** Own a data directory until `release()` or the end of the process. Throws {@link DirectoryInUse}. */
export function lockDataDir(dataDir: string, command: string): { release(): void };

/** Who owns a data directory now; null when nobody does. */
export function lockHolder(dataDir: string): LockHolder | null;

/** The run that other commands on a data directory may use: `run.json`. */
export interface Run extends StoreAddresses {
  readonly pid: number;
  readonly pidStartTicks: number;
  readonly bootId: string;
  readonly command: string;
  readonly startedAt: string;
  readonly dashboardUrl: string | null;
}

/** Record this process as the live run; call again to change what is recorded. */
export function writeRun(
  dataDir: string,
  run: StoreAddresses & {
    readonly command: string; readonly dashboardUrl?: string | null; readonly startedAt?: string;
  },
): Run;
export function readLiveRun(dataDir: string): Run | null;
/** Remove this process's own record, or a dead one's; another live run's stays. */
export function removeRun(dataDir: string): void;
/** Ask the live run to end, wait, then kill it. */
export function stopRun(
  dataDir: string, options?: { readonly limitMs?: number },
): Promise<'none' | 'stopped' | 'killed'>;

/** Call `onDeath` once when the process that started this one has gone. Returns a function that stops watching. */
export function watchParent(onDeath: () => void): () => void;

export interface FoundServers {
  readonly nats: { readonly path: string; readonly version: string | null } | null;
  readonly redis: { readonly path: string; readonly version: string | null } | null;
  readonly postgres: { readonly bin: string; readonly version: string | null } | null;
  readonly setpriv: string | null;
}
/** An address without user and password: for those who have credentials of their own, or need none. */
export function withoutCredentials(url: string): string;
export function findServers(env?: Readonly<Record<string, string | undefined>>): Promise<FoundServers>;

export interface DoctorServer {
  readonly name: 'nats' | 'postgres' | 'redis';
  /** Set, without its password, when the variable names an existing server. */
  readonly url: string | null;
  readonly path: string | null;
  readonly version: string | null;
  readonly isReachable: boolean | null;
  readonly problem: string | null;
  /** What this version cannot promise. */
  readonly caveats: readonly string[];
}

export interface DoctorReport {
  readonly system: string;
  readonly node: { readonly running: string; readonly packaged: string | null };
  readonly packagesCurrent: boolean;
  readonly servers: readonly DoctorServer[];
  readonly setpriv: string | null;
  /** Debian packages. */
  readonly missingPackages: readonly string[];
  readonly dataDir: {
    readonly path: string; readonly exists: boolean; readonly isWritable: boolean; readonly freeBytes: number;
    readonly postgresLocation: string | null;
  };
  readonly lock: LockHolder | null;
  readonly run: Run | null;
  /** One line each; empty when nothing is missing. */
  readonly problems: readonly string[];
}
export function doctor(dataDir: string, env?: Readonly<Record<string, string | undefined>>): Promise<DoctorReport>;
export function formatDoctor(report: DoctorReport): string;
