/** `vesper camera`: what a camera is made of, and its focal plane as a drawing. */
import { loadCamera } from '../../schemas/camera.ts';
import { writeWhole } from '../../simulator/files.ts';
import { describeCamera, drawFocalPlane } from '../../simulator/focalPlane.ts';
import type { CameraOptions } from '../setup/arguments.mjs';
import { note, print, printJson, table } from './output.ts';

export async function runCamera(name: string, options: CameraOptions): Promise<number> {
  const camera = loadCamera(name), about = describeCamera(camera);
  if (options.svg !== null) {
    writeWhole(options.svg, drawFocalPlane(camera));
    note(`drew ${camera.name} to ${options.svg}`);
  }
  if (options.json) {
    printJson({ ...about, detectorList: camera.detectors.map((d) => ({
      id: d.id, name: d.name, kind: d.kind ?? 'science', width: d.width, height: d.height, centerMm: d.centerMm,
      quarterTurns: d.quarterTurns ?? 0,
      amps: d.amps.length,
    })) });
    return 0;
  }
  const kinds = Object.entries(about.detectors).filter(([, count]) => count > 0).map(
    ([kind, count]) => `${count} ${kind}`,
  );
  print(`${camera.name}: ${kinds.join(', ')} detectors, ${about.amps} amps, ${about.megapixels.toFixed(1)} megapixels, `
    + `${about.pixelScaleArcsec.toFixed(3)}″ a pixel, ${about.areaSquareDegrees.toPrecision(4)} square degrees, `
    + `bands ${about.bands.join(' ')}`);
  const header = ['detector', 'id', 'kind', 'pixels', 'x mm', 'y mm', 'gain', 'read noise e⁻'];
  print(table(header, camera.detectors.map((d) => {
    const mean = (pick: (amp: (typeof d.amps)[number]) => number): string =>
      (d.amps.reduce((sum, amp) => sum + pick(amp), 0) / d.amps.length).toFixed(2);
    return [
      d.name, String(d.id), d.kind ?? 'science', `${d.width}×${d.height}`, d.centerMm[0].toFixed(2),
      d.centerMm[1].toFixed(2),
      mean((amp) => amp.gainElectronsPerAdu), mean((amp) => amp.readNoiseElectrons),
    ];
  })));
  return 0;
}
