/** Priority of threads. */
import { setPriority } from 'node:os';

/** Of what the system runs, this thread gives way to everything from now on. */
export function lowestPriority(): void {
  // On Linux a priority is of a thread, and 0 names the calling one (setpriority(2), NOTES).
  setPriority(0, 19);
}
