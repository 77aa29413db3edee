/** Detectors chosen by people: ids, ranges, names, rafts, kinds. */
import { scienceDetectors, type Camera, type Detector } from '../schemas/camera.ts';

/**
 * Reads `all`, or a comma-separated list of ids (`94`), ranges (`90-98`), names (`R22_S11`), rafts (`R22`) and kinds
 * (`science`, `guide`, `wavefront`). `all` is every science detector.
 *
 * @returns In the order of the camera, each once.
 * @throws Error of one line that names what the camera does not have.
 */
export function parseDetectorList(camera: Camera, text: string): Detector[] {
  if (text.trim() === 'all') return [...scienceDetectors(camera)];
  const chosen = new Set<Detector>();
  for (const word of text.split(',').map((part) => part.trim())) {
    const matching = camera.detectors.filter((detector) => isMeant(detector, word));
    if (matching.length === 0) {
      const ids = camera.detectors.map(({ id }) => id), { name } = camera.detectors[0];
      throw new Error(
        `camera ${camera.name} has no detector "${word}"; ids are ${Math.min(...ids)} … ${Math.max(...ids)}, `
        + `names like ${name}`,
      );
    }
    for (const detector of matching) chosen.add(detector);
  }
  return camera.detectors.filter((detector) => chosen.has(detector));
}

function isMeant(detector: Detector, word: string): boolean {
  const range = /^(\d+)-(\d+)$/.exec(word);
  if (range) return detector.id >= Number(range[1]) && detector.id <= Number(range[2]);
  if (/^\d+$/.test(word)) return detector.id === Number(word) || detector.name === word;
  return detector.name === word || (detector.kind ?? 'science') === word
    || (/^R\w\w$/.test(word) && detector.name.startsWith(`${word}_`));
}
