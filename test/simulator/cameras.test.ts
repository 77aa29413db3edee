import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cameraNames, detectorOf, loadCamera, scienceDetectors, type Amp, type Box } from '../../schemas/camera.ts';
import { parseDetectorList } from '../../simulator/detectorList.ts';
import { describeCamera, detectorOnFocalPlane, drawFocalPlane } from '../../simulator/focalPlane.ts';
import { fieldRadiusMm } from '../../simulator/optics.ts';
import { angleBetween, detectorMap } from '../../simulator/projection.ts';

const FACTS = new URL('../../../shared/reference/lsstcam-geometry.json', import.meta.url);

describe.each(cameraNames())('camera %s', (name) => {
  const camera = loadCamera(name);

  test('the amps of each detector tile it: every pixel belongs to exactly one', () => {
    for (const { amps, width, height } of camera.detectors) {
      // Boxes inside that do not overlap and add up to the area cover it.
      for (const [k, { detectorBox: a }] of amps.entries()) {
        expect(a.x0 >= 0 && a.y0 >= 0 && a.x1 <= width && a.y1 <= height).toBe(true);
        expect(amps.slice(0, k).some(({ detectorBox: b }) => overlaps(a, b))).toBe(false);
      }
      expect(amps.reduce((sum, { detectorBox }) => sum + area(detectorBox), 0)).toBe(width * height);
    }
  });

  test('the parts of each readout lie in it and apart from each other, data as large as their place', () => {
    for (const { amps } of camera.detectors) {
      for (const amp of amps) {
        const parts = rawParts(amp);
        for (const [k, part] of parts.entries()) {
          expect(part.x0 >= 0 && part.y0 >= 0 && part.x1 <= amp.rawWidth && part.y1 <= amp.rawHeight).toBe(true);
          expect(parts.slice(0, k).some((other) => overlaps(part, other))).toBe(false);
        }
        expect(amp.rawData.x1 - amp.rawData.x0).toBe(amp.detectorBox.x1 - amp.detectorBox.x0);
        expect(amp.rawData.y1 - amp.rawData.y0).toBe(amp.detectorBox.y1 - amp.detectorBox.y0);
        expect(amp.saturationAdu).toBeGreaterThan(amp.biasLevelAdu);
        expect(amp.saturationAdu).toBeLessThanOrEqual(65_535);
        expect(amp.gainElectronsPerAdu > 0 && amp.readNoiseElectrons > 0).toBe(true);
      }
      expect(
        amps.every(({ crosstalk }, k) => !crosstalk || (crosstalk.length === amps.length && crosstalk[k] === 0)),
      ).toBe(true);
    }
  });

  test('no two detectors overlap on the focal plane, and ids and names are their own', () => {
    const boxes = camera.detectors.map((detector) => detectorOnFocalPlane(camera, detector));
    for (const [k, box] of boxes.entries()) expect(boxes.slice(0, k).some((other) => overlaps(box, other))).toBe(false);
    expect(new Set(camera.detectors.map(({ id }) => id)).size).toBe(camera.detectors.length);
    expect(new Set(camera.detectors.map((detector) => detector.name)).size).toBe(camera.detectors.length);
  });

  test('pixels go to the sky and back, distortion and turns included', () => {
    fc.assert(fc.property(
      fc.nat(camera.detectors.length - 1), fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: -90, max: 90, noNaN: true }), fc.double({ min: 0, max: 360, noNaN: true }),
      (index, u, v, decDeg, cameraAngleDeg) => {
        const detector = camera.detectors[index];
        const map = detectorMap(camera, detector, { raDeg: 321, decDeg, cameraAngleDeg });
        const x = u * detector.width, y = v * detector.height, back = map.toPixel(map.toSky(x, y));
        // 1e-16 of a radian at 1e-6 radians a pixel, times the operations: nanopixels.
        return back !== null && Math.hypot(back.x - x, back.y - y) < 1e-6;
      },
    ));
  });

  test('its drawing shows every detector once, in well-formed SVG', () => {
    const svg = drawFocalPlane(camera);
    for (const detector of camera.detectors) expect(svg.split(`<title>${detector.name},`).length).toBe(2);
    const open: string[] = [];
    for (const [, closing, tag, , selfClosing] of svg.matchAll(/<(\/?)(\w+)([^<>]*?)(\/?)>/g)) {
      if (closing) expect(open.pop()).toBe(tag); else if (!selfClosing) open.push(tag);
    }
    expect(open).toEqual([]);
    expect(svg).not.toMatch(/NaN|undefined/);
  });
});

describe('LSSTCam', () => {
  const camera = loadCamera('LSSTCam');

  test('has 189 science detectors in 21 rafts, 8 guide and 8 wavefront detectors, and the field of its survey', () => {
    const about = describeCamera(camera);
    expect(about.detectors).toEqual({ science: 189, guide: 8, wavefront: 8 });
    expect(new Set(scienceDetectors(camera).map(({ name }) => name.slice(0, 3))).size).toBe(21);
    expect(about.pixelScaleArcsec).toBeCloseTo(0.2, 12);
    expect(Math.abs(about.fieldDiameterDegrees - 3.5)).toBeLessThan(0.05);
    expect(detectorOf(camera, 94).name).toBe('R22_S11');
    expect(detectorOf(camera, 94).centerMm).toEqual([0, 0]);
    // The corner of the outermost raft, through the optics: 2.05° from the axis.
    expect(fieldRadiusMm(camera) * camera.plateScaleArcsecPerMm / 3600).toBeGreaterThan(1.75);
  });

  test('distortion moves the edge of the field by some arcseconds and the centre not at all', () => {
    const pointing = { raDeg: 10, decDeg: -30, cameraAngleDeg: 0 }, { distortion: _, ...flat } = camera;
    const shift = (name: string): number => {
      const detector = parseDetectorList(camera, name)[0], x = detector.width / 2, y = detector.height / 2;
      const place = detectorMap(camera, detector, pointing).toSky(x, y);
      return angleBetween(place, detectorMap(flat, detector, pointing).toSky(x, y)) * 206_265;
    };
    expect(shift('R22_S11')).toBeLessThan(1e-6);
    expect(shift('R30_S00')).toBeGreaterThan(1);
    expect(shift('R30_S00')).toBeLessThan(10);
  });

  test.skipIf(
    !existsSync(FACTS),
  )('agrees with the persisted camera description in boxes, gains, noise, places and turns', () => {
    const facts = JSON.parse(readFileSync(FACTS, 'utf8')) as Facts;
    expect(facts.detectors.length).toBe(camera.detectors.length);
    for (const fact of facts.detectors) {
      const detector = detectorOf(camera, fact.id), layout = facts.ampLayouts[fact.ampLayout];
      expect(
        [detector.name, detector.serial, (detector.kind ?? 'science').slice(0, 5)],
      ).toEqual([fact.name, fact.serial, fact.type.toLowerCase().slice(0, 5)]);
      expect([detector.width, detector.height]).toEqual([fact.bbox[2] + 1, fact.bbox[3] + 1]);
      expect(
        detector.amps.map((amp) => [amp.gainElectronsPerAdu, amp.readNoiseElectrons, amp.fullWellElectrons]),
      ).toEqual(fact.ampGainReadNoiseSaturation);
      expect(
        detector.amps.map(
          (amp) =>
            [amp.name, amp.flipX, amp.flipY, boxOf(amp.detectorBox), boxOf(amp.rawData), boxOf(amp.rawSerialOverscan)],
        ),
      )
        .toEqual(
          layout.map((amp) => [amp.name, amp.rawFlipX, amp.rawFlipY, amp.box, amp.rawData, amp.rawSerialOverscan]),
        );
      // The reference pixel stands where the description puts it: turned by yaw about it.
      const turn = fact.yaw, dx = fact.referencePointPx[0] - (detector.width - 1) / 2;
      const dy = fact.referencePointPx[1] - (detector.height - 1) / 2;
      const at = [dx * Math.cos(turn) - dy * Math.sin(turn), dx * Math.sin(turn) + dy * Math.cos(turn)];
      expect(detector.centerMm[0] + 0.01 * at[0]).toBeCloseTo(fact.focalPlaneMm[0], 3);
      expect(detector.centerMm[1] + 0.01 * at[1]).toBeCloseTo(fact.focalPlaneMm[1], 3);
      expect(Math.abs(Math.cos(turn - ((detector.quarterTurns ?? 0) * Math.PI) / 2) - 1)).toBeLessThan(1e-9);
    }
  });

  test('detectors are chosen by id, range, name, raft and kind, and in the camera\'s order', () => {
    const names = (text: string): string[] => parseDetectorList(camera, text).map(({ name }) => name);
    expect(names('R22_S11,0')).toEqual(['R01_S00', 'R22_S11']);
    expect(parseDetectorList(camera, '90-98').map(({ id }) => id)).toEqual([90, 91, 92, 93, 94, 95, 96, 97, 98]);
    expect(names('R22').length).toBe(9);
    expect(names('wavefront,guide').length).toBe(16);
    expect(names('all').length).toBe(189);
    expect(() => names('R22_S33')).toThrow(
      'camera LSSTCam has no detector "R22_S33"; ids are 0 … 204, names like R01_S00',
    );
    expect(() => names('300')).toThrow(/no detector "300"/);
    expect(() => names('')).toThrow(/no detector ""/);
  });
});

test('ComCam has 9 detectors, LATISS one', () => {
  expect(loadCamera('ComCam').detectors.length).toBe(9);
  expect(loadCamera('LATISS').detectors.length).toBe(1);
});

type Facts = Readonly<{
  ampLayouts: Readonly<Record<string, readonly Readonly<{
    name: string; box: number[]; rawData: number[]; rawSerialOverscan: number[]; rawFlipX: boolean; rawFlipY: boolean;
  }>[]>>;
  detectors: readonly Readonly<{
    id: number; name: string; serial: string; type: string; bbox: number[]; focalPlaneMm: number[];
    referencePointPx: number[]; yaw: number;
    ampLayout: string; ampGainReadNoiseSaturation: number[][];
  }>[];
}>;

const boxOf = ({ x0, y0, x1, y1 }: Box): number[] => [x0, y0, x1 - x0, y1 - y0];
const area = ({ x0, y0, x1, y1 }: Box): number => (x1 - x0) * (y1 - y0);
const overlaps = (a: Box, b: Box): boolean => a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1;
const rawParts = (amp: Amp): Box[] =>
  [
    amp.rawData, amp.rawSerialOverscan, amp.rawParallelOverscan, amp.rawPrescan,
  ].filter((part) => part !== null && part !== undefined);
