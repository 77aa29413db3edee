/** True when node_modules holds exactly what package-lock.json asks for on this machine. */
export function arePackagesCurrent(repository: string): boolean;
/** Record that `npm ci` succeeded. */
export function recordPackages(repository: string): void;
