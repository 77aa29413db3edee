/** A thread that reads a file and tells whether it is the one named. */
import { lowestPriority } from './priority.ts';
import type { InputFile } from './detectorTask.ts';
import { ChecksumError, fileState, requireChecksum } from './inputFiles.ts';

lowestPriority();

/** The file's state; null when it is not the file named, which the task that needs it will say. */
export default function checkFile(file: InputFile): string | null {
  try {
    const state = fileState(file.path);
    requireChecksum(file);
    return state;
  } catch (error) {
    if (error instanceof ChecksumError) return null;
    throw error;
  }
}
