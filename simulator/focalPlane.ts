/** Where a camera's detectors lie, and a drawing of it. */
import { pixelScaleArcsec, type Amp, type Camera, type Detector, type DetectorKind } from '../schemas/camera.ts';

/** Place of a pixel on the focal plane, millimetres, by the conventions of `schemas/camera.ts`. */
export function focalPlaneMm(camera: Camera, detector: Detector, x: number, y: number): [number, number] {
  let dx = camera.pixelSizeMm * (x - (detector.width - 1) / 2), dy = camera.pixelSizeMm * (
    y - (detector.height - 1) / 2
  );
  for (let turn = detector.quarterTurns ?? 0; turn > 0; turn--) [dx, dy] = [-dy, dx];
  return [detector.centerMm[0] + dx, detector.centerMm[1] + dy];
}

/** A rectangle on the focal plane, millimetres. */
export type FocalPlaneBox = Readonly<{ x0: number; y0: number; x1: number; y1: number }>;

/** Edges of a part of a detector: pixels x0 … x1 − 1, y0 … y1 − 1, from outer edge to outer edge. */
export function boxOnFocalPlane(camera: Camera, detector: Detector, box: Amp['detectorBox']): FocalPlaneBox {
  const [ax, ay] = focalPlaneMm(camera, detector, box.x0 - 0.5, box.y0 - 0.5);
  const [bx, by] = focalPlaneMm(camera, detector, box.x1 - 0.5, box.y1 - 0.5);
  return { x0: Math.min(ax, bx), y0: Math.min(ay, by), x1: Math.max(ax, bx), y1: Math.max(ay, by) };
}

export function detectorOnFocalPlane(camera: Camera, detector: Detector): FocalPlaneBox {
  return boxOnFocalPlane(camera, detector, { x0: 0, y0: 0, x1: detector.width, y1: detector.height });
}

/** Figures of a camera for people and programs. */
export function describeCamera(camera: Camera): Readonly<{
  name: string; detectors: Readonly<Record<DetectorKind, number>>; amps: number; megapixels: number;
  pixelScaleArcsec: number; areaSquareDegrees: number; fieldDiameterDegrees: number; bands: readonly string[];
}> {
  const counts: Record<DetectorKind, number> = { science: 0, guide: 0, wavefront: 0 };
  let pixels = 0, sciencePixels = 0, amps = 0;
  for (const detector of camera.detectors) {
    const kind = detector.kind ?? 'science', area = detector.width * detector.height;
    counts[kind]++;
    pixels += area;
    amps += detector.amps.length;
    if (kind === 'science') sciencePixels += area;
  }
  const areaSquareDegrees = sciencePixels * (pixelScaleArcsec(camera) / 3600) ** 2;
  return {
    name: camera.name, detectors: counts, amps, megapixels: pixels / 1e6, pixelScaleArcsec: pixelScaleArcsec(camera),
    areaSquareDegrees,
    // Of the circle that holds as much sky as the science detectors: what a survey calls its field.
    fieldDiameterDegrees: 2 * Math.sqrt(areaSquareDegrees / Math.PI), bands: camera.physicalFilters.map((f) => f.band),
  };
}

const WIDTH = 1200, HEIGHT = 1250, PLOT = 1030, CENTRE_X = 600, CENTRE_Y = 645;
const FONT = 'font-family="Inter, Helvetica Neue, Helvetica, Arial, sans-serif"';
/** Fill and line of each kind of detector; science detectors alternate by the shape of their pixels' grid. */
const COLOURS = {
  science: [['#dbe7f5', '#3a6ea5'], ['#d9efe6', '#2f8f6b']], guide: [['#fde9c9', '#c98210']],
  wavefront: [['#f3d9e6', '#b0447d']],
} as const satisfies Record<DetectorKind, readonly (readonly [string, string])[]>;

/**
 * SVG of the focal plane as the camera's own x (right) and y (up) see it; at camera angle 0 north is up, east left.
 *
 * Each detector shows its amps, and a tick in the corner of its first pixel; each raft its name.
 */
export function drawFocalPlane(camera: Camera): string {
  const boxes = camera.detectors.map((detector) => detectorOnFocalPlane(camera, detector));
  const reach = Math.max(...boxes.map((b) => Math.max(-b.x0, b.x1, -b.y0, b.y1)));
  const scale = PLOT / 2 / reach;
  const sizes = [...new Set(camera.detectors.map(sizeOf))];
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" ${FONT}>`,
    `<title>${camera.name}</title>`, `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fbfbf9"/>`,
    ...heading(camera), ...legend(camera, sizes),
  ];
  for (const [i, detector] of camera.detectors.entries()) {
    parts.push(...drawDetector(camera, detector, boxes[i], scale, colourOf(detector, sizes)));
  }
  parts.push(...drawRafts(camera, boxes, scale), ...fieldCircle(camera, scale, reach), ...compass(), '</svg>');
  return `${parts.join('\n')}\n`;
}

type Draw = Readonly<{ x: number; y: number; width: number; height: number }>;

function onPage(box: FocalPlaneBox, scale: number): Draw {
  return {
    x: CENTRE_X + box.x0 * scale, y: CENTRE_Y - box.y1 * scale,
    width: (box.x1 - box.x0) * scale, height: (box.y1 - box.y0) * scale,
  };
}

function drawDetector(
  camera: Camera, detector: Detector, box: FocalPlaneBox, scale: number, [fill, line]: readonly [string, string],
): string[] {
  const { x, y, width, height } = onPage(box, scale), size = Math.min(width, height);
  const isLarge = size > 150;
  const lines: string[] = [];
  for (const amp of detector.amps) {
    const at = onPage(boxOnFocalPlane(camera, detector, amp.detectorBox), scale);
    lines.push(
      `M${coordinate(at.x)} ${coordinate(at.y)}h${coordinate(at.width)}v${coordinate(at.height)}`
      + `h${coordinate(-at.width)}z`,
    );
  }
  const [, slot] = raftAndSlot(detector), middleX = x + width / 2, middleY = y + height / 2;
  const label = `${slot}${isLarge ? ` · ${detector.id}` : ''}`, fontSize = Math.min(26, size * (isLarge ? 0.08 : 0.27));
  return [
    `<g><title>${detector.name}, detector ${detector.id}, ${detector.kind ?? 'science'}, ${sizeOf(detector)}</title>`,
    rect({ x, y, width, height }, `fill="${fill}" stroke="${line}" stroke-width="${isLarge ? 1.6 : 0.9}" rx="1.2"`),
    `<path d="${lines.join('')}" fill="none" stroke="${line}" stroke-width="${isLarge ? 0.8 : 0.35}" `
      + 'stroke-opacity="0.45"/>',
    firstPixelMark(camera, detector, scale, line, size * 0.07),
    ...(isLarge ? ampNames(camera, detector, scale, line) : []),
    text(middleX, middleY + fontSize * 0.36, label,
      `font-size="${coordinate(fontSize)}" fill="${line}" font-weight="600" `
      + `text-anchor="middle" paint-order="stroke" stroke="${fill}" stroke-width="${coordinate(fontSize * 0.3)}"`),
    '</g>',
  ];
}

function ampNames(camera: Camera, detector: Detector, scale: number, colour: string): string[] {
  return detector.amps.map((amp) => {
    const at = onPage(boxOnFocalPlane(camera, detector, amp.detectorBox), scale);
    const fontSize = Math.min(13, at.width * 0.3, at.height * 0.2);
    return text(at.x + at.width / 2, at.y + at.height * 0.25, amp.name,
      `font-size="${coordinate(fontSize)}" fill="${colour}" fill-opacity="0.8" text-anchor="middle"`);
  });
}

/** A filled corner at pixel (0, 0), which shows how the detector is turned. */
function firstPixelMark(camera: Camera, detector: Detector, scale: number, colour: string, sizePx: number): string {
  const [x, y] = focalPlaneMm(camera, detector, -0.5, -0.5), pixels = sizePx / scale / camera.pixelSizeMm;
  const [xa, ya] = focalPlaneMm(camera, detector, pixels, -0.5);
  const [xb, yb] = focalPlaneMm(camera, detector, -0.5, pixels);
  const points = [[x, y], [xa, ya], [xb, yb]].map(
    ([u, v]) => `${coordinate(CENTRE_X + u * scale)},${coordinate(CENTRE_Y - v * scale)}`,
  );
  return `<polygon points="${points.join(' ')}" fill="${colour}"/>`;
}

/** Frame and name of each raft of more than one detector. */
function drawRafts(camera: Camera, boxes: readonly FocalPlaneBox[], scale: number): string[] {
  const rafts = new Map<string, FocalPlaneBox[]>();
  camera.detectors.forEach((detector, i) => {
    const [raft] = raftAndSlot(detector);
    if (raft !== null) rafts.set(raft, [...rafts.get(raft) ?? [], boxes[i]]);
  });
  if (rafts.size < 2) return [];
  return [...rafts].flatMap(([name, members]) => {
    const pad = 1.1;
    const box = {
      x0: Math.min(...members.map((b) => b.x0)) - pad, x1: Math.max(...members.map((b) => b.x1)) + pad,
      y0: Math.min(...members.map((b) => b.y0)) - pad, y1: Math.max(...members.map((b) => b.y1)) + pad,
    };
    const at = onPage(box, scale);
    return [
      rect(at, 'fill="none" stroke="#3b4450" stroke-width="1.5" rx="3"'),
      text(at.x + 5, at.y + 12.5, name,
        'font-size="11.5" font-weight="700" fill="#2a313a" paint-order="stroke" stroke="#ffffff" '
        + 'stroke-width="3" stroke-opacity="0.85"'),
    ];
  });
}

function heading(camera: Camera): string[] {
  const about = describeCamera(camera);
  const kinds = (Object.entries(about.detectors) as [DetectorKind, number][]) // Keys are the kinds by construction.
    .filter(([, count]) => count > 0).map(([kind, count]) => `${count} ${kind}`).join(' + ');
  const facts = [
    `${kinds} detector${camera.detectors.length > 1 ? 's' : ''}`, `${about.amps} amps`,
    `${about.megapixels.toFixed(0)} megapixels`,
    `${about.pixelScaleArcsec.toFixed(2)}″ a pixel`, `${about.areaSquareDegrees.toPrecision(3)} square degrees`,
  ];
  return [
    text(60, 58, camera.name, 'font-size="36" font-weight="700" fill="#1c232b"'),
    text(60, 90, facts.join('  ·  '), 'font-size="16.5" fill="#525c68"'),
  ];
}

function legend(camera: Camera, sizes: readonly string[]): string[] {
  const entries = new Map<string, readonly [string, string]>();
  for (const detector of camera.detectors) {
    entries.set(`${detector.kind ?? 'science'} ${sizeOf(detector)}`, colourOf(detector, sizes));
  }
  return [...entries].sort(([a], [b]) => order(a) - order(b)).flatMap(([name, [fill, line]], i) => {
    const x = 210 + 235 * i, y = HEIGHT - 34;
    return [
      rect({ x, y: y - 11, width: 14, height: 14 }, `fill="${fill}" stroke="${line}" stroke-width="1.2" rx="2"`),
      text(x + 22, y + 1, name, 'font-size="15" fill="#3b4450"'),
    ];
  });
}

const order = (name: string): number => ['science', 'guide', 'wavefront'].findIndex((kind) => name.startsWith(kind));

function fieldCircle(camera: Camera, scale: number, reach: number): string[] {
  const { fieldDiameterDegrees } = describeCamera(camera);
  const radiusMm = (fieldDiameterDegrees * 1800) / camera.plateScaleArcsecPerMm;
  if (camera.detectors.length < 20 || radiusMm > reach * 1.05) return [];
  const r = radiusMm * scale, degrees = fieldDiameterDegrees.toFixed(1);
  return [
    `<circle cx="${CENTRE_X}" cy="${CENTRE_Y}" r="${coordinate(r)}" fill="none" stroke="#1c232b" stroke-width="1.6" `
      + `stroke-opacity="0.55" stroke-dasharray="9 7"/>`,
    text(
      CENTRE_X + r * 0.745, CENTRE_Y - r * 0.745 - 4, `${degrees}° field`,
      'font-size="15" fill="#1c232b" fill-opacity="0.7"',
    ),
  ];
}

function compass(): string[] {
  const x = 120, y = HEIGHT - 42, length = 40;
  return [
    `<g stroke="#3b4450" stroke-width="1.8" fill="none"><path d="M${x} ${y}V${y - length}m-4.5 8l4.5 -8l4.5 8"/>`,
    `<path d="M${x} ${y}H${x - length}m8 -4.5l-8 4.5l8 4.5"/></g>`,
    text(x, y - length - 7, 'N, +y', 'font-size="13" fill="#3b4450" text-anchor="middle"'),
    text(x - length, y + 20, 'E, −x', 'font-size="13" fill="#3b4450" text-anchor="middle"'),
  ];
}

/** R22 and S11 of R22_S11; a detector without raft is its own name. */
function raftAndSlot(detector: Detector): readonly [string | null, string] {
  const match = /^(R\w\w)_(\w+)$/.exec(detector.name);
  return match ? [match[1], match[2]] : [null, detector.name];
}

function colourOf(detector: Detector, sizes: readonly string[]): readonly [string, string] {
  const choice: readonly (readonly [string, string])[] = COLOURS[detector.kind ?? 'science'];
  return choice[sizes.indexOf(sizeOf(detector)) % choice.length];
}

function sizeOf({ width, height }: Detector): string {
  return `${width} × ${height}`;
}

function rect({ x, y, width, height }: Draw, style: string): string {
  return `<rect x="${coordinate(x)}" y="${coordinate(y)}" width="${coordinate(width)}" height="${coordinate(height)}" `
    + `${style}/>`;
}

function text(x: number, y: number, content: string, style: string): string {
  return `<text x="${coordinate(x)}" y="${coordinate(y)}" ${style}>${content}</text>`;
}

function coordinate(value: number): string {
  return String(Math.round(value * 100) / 100);
}
