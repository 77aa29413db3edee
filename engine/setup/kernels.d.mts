export function kernelScript(repository: string): string;
export function areKernelsCurrent(repository: string): boolean;
