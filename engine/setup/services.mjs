// The launcher's interface for TypeScript; types are in services.d.mts.
export { doctor, formatDoctor } from './doctor.mjs';
export { DirectoryInUse, lockDataDir, lockHolder, readLiveRun, removeRun, stopRun, writeRun } from './locks.mjs';
export { watchParent } from './processes.mjs';
export { findServers, withoutCredentials } from './servers.mjs';
export { startStores, withStores } from './stores.mjs';
