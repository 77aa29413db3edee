export interface Parameter {
  readonly name: string;
  readonly argument?: string;
  readonly type: 'flag' | 'path' | 'text' | 'name' | 'choice' | 'integer' | 'number' | 'id' | 'dayObs' | 'night';
  readonly default?: string | number | null;
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  readonly isRequired?: boolean;
  readonly explanation: string;
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly description: readonly string[];
  readonly examples: readonly string[];
  readonly positionals: readonly Parameter[];
  readonly options: readonly Parameter[];
  readonly setup: 'none' | 'packages' | 'servers';
  readonly needs: 'none' | 'stores';
}

export const COMMANDS: readonly Command[];
