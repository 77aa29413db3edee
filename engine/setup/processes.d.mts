/** Types of what TypeScript uses of processes.mjs. */

/** Call `onDeath` once when the process that started this one has gone. Returns a function that stops watching. */
export function watchParent(onDeath: () => void): () => void;
