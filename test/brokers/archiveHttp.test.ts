import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { PNG } from 'pngjs';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openArchive, readPacket } from '../../brokers/archive/archive.ts';
import { cutoutPng, readPrimaryImage } from '../../brokers/archive/cutoutImage.ts';
import { answerArchiveRequest, isArchivePath, type ArchiveAnswer } from '../../brokers/archive/http.ts';
import { policyPath } from '../../brokers/policy.ts';
import { lightCurveSvg } from '../../brokers/archive/lightCurve.ts';
import { writeFits } from '../../engine/image/fits.ts';
import { encodeDiaForcedSource, encodeDiaSource } from '../../schemas/avro.ts';
import { newDiaForcedSource } from '../../schemas/diaRows.ts';
import { encodeNeighbours, type Neighbours } from '../../schemas/neighbours.ts';
import { assemblePacket, withoutCutouts } from '../../schemas/packet.ts';
import { unixMsOfMjdTai } from '../../schemas/time.ts';
import { INSTRUMENT, NIGHT, sampleId, samplePacket, sampleSource } from './sampleAlerts.ts';

const OBJECT = 77n;
/** 3 × 2 pixels: 0 1 2 below, 3 4 NaN above. */
const FITS = writeFits(null, [{ data: Float32Array.of(0, 1, 2, 3, 4, NaN), width: 3, height: 2 }]);
const ID = sampleId(5);

/** Alert 5: the newest of object 77, with an earlier detection, a forced flux, and a difference cutout. */
const FULL = assemblePacket({
  diaSourceId: ID, observationReason: null, targetName: null,
  diaSource: encodeDiaSource(sampleSource(5, { diaObjectId: OBJECT, psfFluxErr: 10 })),
  prvDiaSources: [encodeDiaSource(sampleSource(3, { diaObjectId: OBJECT, midpointMjdTai: 61360, psfFlux: 50 }))],
  prvDiaForcedSources: [encodeDiaForcedSource(newDiaForcedSource({
    diaForcedSourceId: 9n, diaObjectId: OBJECT, ra: 150, dec: -2.5, visit: 1n, detector: 4, midpointMjdTai: 61362,
    psfFlux: -5, psfFluxErr: 8, band: 'g', timeProcessedMjdTai: 61362.1,
  }))],
  diaObject: null, ssSource: null, mpcOrbit: null, cutoutDifference: FITS, cutoutScience: null,
  cutoutTemplate: Buffer.from('no FITS'),
});

const NEIGHBOURS: Neighbours = {
  stars: [], galaxies: [{ objectId: 2n ** 60n, distanceArcsec: 1.5, positionAngleDeg: 90, rMag: 21, radiusArcsec: 0.75 }],
};

let dataDir: string;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'vesper-http-'));
  const archive = await openArchive(dataDir, INSTRUMENT, NIGHT);
  const packets = [0, 1, 2, 3, 4].map((i) => samplePacket(i, i === 3 ? { diaObjectId: OBJECT } : {}));
  await archive.append([...packets, FULL].map((packet, i) => readPacket({
    packet, sequence: i + 1, neighbours: i === 5 ? encodeNeighbours(NEIGHBOURS) : null,
  })));
  await archive.close();
});
afterAll(() => rm(dataDir, { recursive: true, force: true }));

const get = (url: string, accept?: string, method = 'GET'): Promise<ArchiveAnswer> =>
  answerArchiveRequest({ dataDir, instrument: INSTRUMENT }, method, url, accept);
const jsonOf = async (url: string): Promise<Record<string, unknown>> => JSON.parse(String((await get(url)).body));

test('an alert is JSON with decimal ids and links to its cutouts', async () => {
  expect(await jsonOf(`/alerts/${ID}`)).toMatchObject({
    diaSourceId: String(ID), diaSource: { diaObjectId: '77', ra: 150 + 5 / 3600 },
    cutoutDifference: `/alerts/${ID}/cutouts/difference`, cutoutScience: null,
  });
});

test.each(['application/avro', 'text/html, Application/Octet-Stream;q=0.9'])(
  'an alert asked for as %s is the packet, byte by byte', async (accept) => {
    const { headers, body } = await get(`/alerts/${ID}`, accept);
    expect(headers['content-type']).toBe('application/octet-stream');
    expect(Buffer.compare(Buffer.from(body), FULL)).toBe(0);
  },
);

test('a cutout is the FITS of the packet, with .png a picture of it, first row below', async () => {
  for (const name of ['difference', 'difference.fits']) {
    const { headers, body } = await get(`/alerts/${ID}/cutouts/${name}`);
    expect(headers['content-type']).toBe('application/fits');
    expect(Buffer.compare(Buffer.from(body), FITS)).toBe(0);
  }
  const picture = PNG.sync.read(Buffer.from((await get(`/alerts/${ID}/cutouts/difference.png`)).body));
  const pixel = (x: number, y: number): number[] => [...picture.data.subarray(4 * (y * picture.width + x))].slice(0, 4);
  expect([picture.width, picture.height]).toEqual([240, 160]);
  expect(pixel(0, 159)[0]).toBe(0); // The image's first pixel, its least flux, at the lower left.
  expect(pixel(239, 0)[3]).toBe(0); // NaN, transparent, at the upper right.
  expect(pixel(120, 0)[0]).toBeGreaterThan(pixel(0, 0)[0]);
});

test('a cutout that is not there is 404, one that is no image fails without taking the packet for one', async () => {
  expect((await get(`/alerts/${ID}/cutouts/science`)).status).toBe(404);
  await expect(get(`/alerts/${ID}/cutouts/template.png`)).rejects.toThrow(/FITS/);
});

test('damaged FITS is refused in one line, never read beyond its end', () => {
  expect(readPrimaryImage(FITS)).toMatchObject({ width: 3, height: 2 });
  fc.assert(fc.property(fc.nat(FITS.length - 1), fc.nat(2879), fc.nat(255), (end, at, byte) => {
    const damaged = Uint8Array.from(FITS);
    damaged[at] = byte;
    for (const bytes of [damaged, damaged.subarray(0, end)]) {
      try {
        expect(cutoutPng(bytes).length).toBeGreaterThan(0);
      } catch (error) {
        expect((error as Error).message).toMatch(/^a cutout [^\n]+$/);
      }
    }
  }), { numRuns: 50 });
});

test('pixels are refused to those from whom they are withheld, until the policy lets them go', async () => {
  const stranger = (url: string, accept?: string): Promise<ArchiveAnswer> =>
    answerArchiveRequest({ dataDir, instrument: INSTRUMENT }, 'GET', url, accept, false);
  await writeFile(policyPath(dataDir), '{"pixelEmbargoHours": 744}');
  vi.useFakeTimers({ now: unixMsOfMjdTai(61364.26) + 1000, toFake: ['Date'] }); // A second after its processing.
  try {
    for (const name of ['difference', 'difference.png', 'science']) {
      const refused = await stranger(`/alerts/${ID}/cutouts/${name}`);
      expect(refused.status).toBe(403);
      expect(String(refused.body)).toContain('withheld until 2026-12-21T');
    }
    const told = JSON.parse(String((await stranger(`/alerts/${ID}`)).body)) as Record<string, unknown>;
    expect(told).toMatchObject({ diaSourceId: String(ID), cutoutDifference: null });
    expect(told['pixelsWithheldUntil']).toMatch(/^2026-12-21T/);
    const raw = await stranger(`/alerts/${ID}`, 'application/avro');
    expect(Buffer.compare(Buffer.from(raw.body), withoutCutouts(FULL))).toBe(0);
    expect(raw.headers['x-pixels-withheld-until']).toMatch(/^2026-12-21T/);
    expect((await stranger(`/alerts/${ID}/neighbours`)).status).toBe(200);
    await writeFile(policyPath(dataDir), '{"pixelEmbargoHours": 0}');
    expect((await stranger(`/alerts/${ID}/cutouts/difference`)).status).toBe(200);
    await rm(policyPath(dataDir));
    expect((await stranger(`/alerts/${ID}/cutouts/difference`)).status).toBe(403);
    vi.setSystemTime(unixMsOfMjdTai(61364.26) + 81 * 3_600_000);
    expect(Buffer.compare(Buffer.from((await stranger(`/alerts/${ID}`, 'application/avro')).body), FULL)).toBe(0);
  } finally {
    vi.useRealTimers();
    await rm(policyPath(dataDir), { force: true });
  }
});

test('neighbours of an alert are told with decimal ids; an alert without a catalogue has none', async () => {
  expect(await jsonOf(`/alerts/${ID}/neighbours`)).toEqual({
    stars: [], galaxies: [{ ...NEIGHBOURS.galaxies[0], objectId: String(2n ** 60n) }],
  });
  expect((await get(`/alerts/${sampleId(1)}/neighbours`)).status).toBe(404);
});

test('a cone lists the alerts of the newest night within its radius, and says how many it left out', async () => {
  const cone = `/alerts?ra=${150 + 2 / 3600}&dec=-2.5&radius=1.5`;
  const found = await jsonOf(cone) as { alerts: { diaSourceId: string }[] };
  expect(found).toMatchObject({ night: NIGHT, found: 3 });
  expect(found.alerts.map(({ diaSourceId }) => BigInt(diaSourceId))).toEqual([1, 2, 3].map(sampleId));
  expect(await jsonOf(`${cone}&limit=1`)).toMatchObject({ found: 3, alerts: [{ diaSourceId: String(sampleId(1)) }] });
  expect(await jsonOf(`${cone}&night=20261119`)).toMatchObject({ night: 20261119, found: 0 });
});

test('a span of time narrows a cone, or stands alone', async () => {
  expect(await jsonOf('/alerts?from=61364.2&to=61364.3&limit=2')).toMatchObject({
    night: NIGHT, found: 6, alerts: [{ diaSourceId: String(sampleId(0)) }, { diaSourceId: String(sampleId(1)) }],
  });
  expect(await jsonOf('/alerts?from=61364.26')).toMatchObject({ found: 0, alerts: [] });
  expect(await jsonOf(`/alerts?ra=${150 + 2 / 3600}&dec=-2.5&radius=1.5&to=61364.2`)).toMatchObject({ found: 0 });
  for (const bad of ['from=x', 'from=1&from=2', 'to=1e9', 'from=61364&ra=150', 'from=-1']) {
    expect((await get(`/alerts?${bad}`)).status).toBe(400);
  }
});

test('a light curve is that of the newest alert: earlier detections and forced fluxes, oldest first', async () => {
  expect(await jsonOf(`/objects/${OBJECT}/lightcurve`)).toMatchObject({
    diaObjectId: '77', diaSourceId: String(ID),
    points: [
      { kind: 'detection', psfFlux: 50, midpointMjdTai: 61360 },
      { kind: 'forced', psfFlux: -5, band: 'g', id: '9' },
      { kind: 'detection', psfFlux: 100, id: String(ID) },
    ],
    // Of the detections alone, by band, those with an error.
    statistics: { r: { count: 1, mean: 100, percentile50: 100, linearSlope: null } },
  });
  const { headers, body } = await get(`/objects/${OBJECT}/lightcurve.svg`);
  expect(headers['content-type']).toMatch(/^image\/svg\+xml/);
  expect(String(body).match(/<circle /g)).toHaveLength(3);
  expect((await get('/objects/78/lightcurve')).status).toBe(404);
});

test('a plot of nothing, of one point, and of a band that is markup, is still a plain plot', () => {
  const measured = { midpointMjdTai: 61360, band: '<script>', psfFlux: 1, psfFluxErr: null };
  const point = { ...measured, kind: 'forced', id: 1n } as const;
  const base = { diaObjectId: 1n, diaSourceId: 1n, raDeg: 0, decDeg: 0, statistics: {} };
  for (const points of [[], [point], [{ ...point, psfFlux: null }], [point, { ...point, psfFlux: 1e30 }]]) {
    const svg = lightCurveSvg({ ...base, points });
    expect(svg).not.toMatch(/NaN|Infinity|script/);
  }
});

test.each([
  ['/alerts/0', 400], ['/alerts/9223372036854775808', 400], ['/alerts/-1', 400], ['/alerts/1e3', 400],
  ['/alerts/%2e%2e%2fetc%2fpasswd', 400], ['/alerts/../../etc/passwd', 404], ['/alerts/1/cutouts/../x', 404],
  [`/alerts/${(131_071n << 32n) | (6000n << 49n)}`, 404], ['/alerts/1', 404], ['/alerts/1/cutouts/difference.exe', 404],
  ['/alerts', 400], ['/alerts?ra=1&dec=91&radius=1', 400], ['/alerts?ra=1&ra=2&dec=1&radius=1', 400],
  ['/alerts?ra=NaN&dec=1&radius=1', 400], ['/alerts?ra=1&dec=1&radius=1e99', 400],
  ['/alerts?ra=1&dec=1&radius=1&night=20260230', 400], ['/alerts?ra=1&dec=1&radius=1&night=../x', 400],
  ['/alerts?ra=1&dec=1&radius=1&__proto__=1', 400], ['/objects/1', 404], ['/objects/x/lightcurve', 400],
] as const)('%s is refused with %i', async (url, status) => {
  expect((await get(url)).status).toBe(status);
});

test('only GET is answered', async () => {
  expect(await get(`/alerts/${ID}`, undefined, 'DELETE')).toMatchObject({ status: 405, headers: { allow: 'GET' } });
});

test('whatever is asked, the answer is a refusal that does not repeat it', async () => {
  const secret = 'x9"><script>\u0000../%00';
  const place = fc.constantFrom(
    (s: string) => `/alerts/${s}`, (s: string) => `/alerts/${ID}/${s}/difference`,
    (s: string) => `/alerts/${s}/cutouts/${s}`,
    (s: string) => `/alerts/${ID}/cutouts/${s}`, (s: string) => `/objects/${s}/lightcurve`,
    (s: string) => `/objects/${OBJECT}/${s}`, (s: string) => `/alerts?ra=${s}&dec=1&radius=1`,
    (s: string) => `/alerts?ra=1&dec=1&radius=1&night=${s}`, (s: string) => `/alerts?ra=1&dec=1&radius=1&${s}=1`,
  );
  await fc.assert(fc.asyncProperty(place, fc.string({ unit: 'binary' }), async (at, text) => {
    const { status, body } = await get(at(`${text}${secret}`));
    expect([400, 404]).toContain(status);
    expect(String(body)).not.toContain('script');
  }), { numRuns: 150 });
});

test('only paths of the archive are taken from the page', () => {
  expect(['/alerts', '/alerts?x', '/alerts/1', '/objects/1/lightcurve'].every(isArchivePath)).toBe(true);
  expect(['/', '/alertsx', '/api/night', '/schemas/ids/1100'].some(isArchivePath)).toBe(false);
});
