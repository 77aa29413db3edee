export const KERNELS_PATH: string;
export function sourcesDigest(): Buffer;
export function isCurrent(bytes: Uint8Array, digest?: Buffer): boolean;
export function buildKernels(options?: Readonly<{ force?: boolean }>): Promise<{ bytes: Buffer; isNew: boolean }>;
