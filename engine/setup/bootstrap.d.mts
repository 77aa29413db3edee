export function bootstrap(options: Readonly<{
  repository: string; what: 'packages' | 'servers'; env?: NodeJS.ProcessEnv; log?: (line: string) => void;
}>): Promise<{ node: string }>;
