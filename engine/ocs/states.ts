/**
 * States and commands of a commandable component, as Rubin's (LSE-209): which command is allowed when, as a plain
 * table.
 */
export type ComponentState = 'OFFLINE' | 'STANDBY' | 'DISABLED' | 'ENABLED' | 'FAULT';
export const COMMANDS = ['start', 'enable', 'disable', 'standby', 'exitControl'] as const;
export type ComponentCommand = (typeof COMMANDS)[number];

/** Acknowledgement codes of Rubin's middleware (SAL). */
export const ACK = { complete: 303, notPermitted: -300, failed: -302 } as const;

const TRANSITIONS: Readonly<Record<ComponentState, Partial<Record<ComponentCommand, ComponentState>>>> = {
  OFFLINE: {},
  STANDBY: { start: 'DISABLED', exitControl: 'OFFLINE' },
  DISABLED: { enable: 'ENABLED', standby: 'STANDBY' },
  ENABLED: { disable: 'DISABLED' },
  FAULT: { standby: 'STANDBY' },
};

/** The state that a command leads to, or null when it is not allowed. */
export function nextState(state: ComponentState, command: ComponentCommand): ComponentState | null {
  return TRANSITIONS[state][command] ?? null;
}
