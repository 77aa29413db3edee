/**
 * One live page about a night, on HTTP and a WebSocket; read-only. Serves the schema registry and the alert archive
 * beside it.
 */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import type { NatsConnection } from '@nats-io/nats-core';
import type { FilterFigures } from '../../schemas/events.ts';
import type { DayObs } from '../../schemas/ids.ts';
import { answerArchiveRequest, isArchivePath, type ArchiveLocation } from '../archive/http.ts';
import { brokersConfig } from '../config.ts';
import { consumerMetrics, prometheusText } from '../consumerMetrics.ts';
import { openFilterLog } from '../filters/filterLog.ts';
import { answerFilterRequest, isFilterPath, type FilterPlace } from '../filters/http.ts';
import { answerRegistryRequest } from '../registry.ts';
import { BodyTooLong, changeRefusalOf, guardOf, readBody, type Guard } from './guard.ts';
import { followNight, type NightFeed } from './feed.ts';
import { Board } from './board.ts';
import type { VerifiedCounts } from './nightSummary.ts';

export type DashboardOptions = Readonly<{
  connection: NatsConnection;
  instrument: string;
  dayObs: DayObs;
  /** 0 lets the system choose. */
  port: number;
  /** By default 127.0.0.1. Beyond loopback it takes `tls` and users with tokens (`vesper access`). */
  host?: string;
  /** Certificate and key, PEM. */
  tls?: Readonly<{ cert: Buffer; key: Buffer }> | null;
  /** Where the archive, the users and the nights are, for alerts and filters; without it they are answered with 404. */
  dataDir?: string;
  /** Asked every two seconds for counts recomputed from the log and the stores. */
  getCounts?: () => Promise<VerifiedCounts>;
}>;

export type Dashboard = Readonly<{
  /** Address of the page. */
  url: string;
  /** Shows these in place of the counts that events tell, until newer ones come. */
  setCounts(counts: VerifiedCounts): void;
  close(): Promise<void>;
}>;

/**
 * Starts the page of one night. A client gets the whole view at once, then what changes, at most four times a second.
 *
 * @throws Error of one line that names the port when it is taken or not allowed.
 */
export async function startDashboard(options: DashboardOptions): Promise<Dashboard> {
  const host = options.host ?? '127.0.0.1';
  let feed: NightFeed | null = null;
  const board = new Board(options.instrument, options.dayObs, () => feed?.night() ?? null);
  const { dataDir, instrument } = options;
  const guard = guardOf(host, dataDir, options.tls ?? null);
  const answerArchive = dataDir === undefined ? null : archiveAnswerer({ dataDir, instrument }, guard);
  const answerFilters = dataDir === undefined ? null : filterAnswerer(
    { filters: await openFilterLog(options.connection), dataDir, instrument }, guard,
  );
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const { url = '' } = request;
    if (!guard.mayLook(request)) return send(response, 401, { ...TEXT, ...CHALLENGE }, 'a token is needed\n');
    if (answerArchive !== null && isArchivePath(url)) void answerArchive(request, response);
    else if (answerFilters !== null && isFilterPath(url)) void answerFilters(request, response);
    else if (METRICS_PATHS.has(url.split('?', 1)[0])) {
      void answerMetrics(options, feed?.night().sampled?.filters ?? [], request, response);
    } else answer(board, request, response);
  };
  const server = options.tls ? createTlsServer({ ...options.tls }, onRequest) : createServer(onRequest);
  // A client that sends nothing, or a byte now and then, must not keep others out.
  server.headersTimeout = brokersConfig.requestHeadersMs;
  server.requestTimeout = brokersConfig.requestWholeMs;
  server.maxConnections = brokersConfig.connectionsMax;
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 1024 });
  server.on('upgrade', (request, socket, head) => upgrade(sockets, board, guard, request, socket, head));
  const port = await listen(server, options.port, host);
  feed = await followNight(
    options.connection,
    options.instrument,
    options.dayObs,
    () => board.markChanged(),
    (reason) => board.setProblem('streams', reason),
  );
  const ticking = setInterval(() => board.broadcast(), brokersConfig.dashboardIntervalMs);
  const stopCounting = pollCounts(options.getCounts, board);
  const stopWatching = watchConnection(options.connection, board);
  const shownHost = host.includes(':') ? `[${host}]` : host;
  return {
    url: `${options.tls ? 'https' : 'http'}://${shownHost}:${port}/`,
    setCounts: (counts) => board.setCounts(counts),
    async close() {
      clearInterval(ticking);
      stopCounting();
      stopWatching();
      await feed?.stop();
      board.broadcast();
      for (const client of sockets.clients) client.close(1001, 'the dashboard ends');
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      for (const client of sockets.clients) client.terminate();
      server.closeAllConnections();
      await closed;
    },
  };
}

const PAGE_FILES: Readonly<Record<string, Readonly<{ file: string; type: string }>>> = {
  '/': { file: 'index.html', type: 'text/html; charset=utf-8' },
  '/page.css': { file: 'page.css', type: 'text/css; charset=utf-8' },
  '/page.js': { file: 'page.js', type: 'text/javascript; charset=utf-8' },
  '/consumers.js': { file: 'consumers.js', type: 'text/javascript; charset=utf-8' },
  '/draw.js': { file: 'draw.js', type: 'text/javascript; charset=utf-8' },
  '/tiles.js': { file: 'tiles.js', type: 'text/javascript; charset=utf-8' },
  '/visits.js': { file: 'visits.js', type: 'text/javascript; charset=utf-8' },
  '/waterfall.js': { file: 'waterfall.js', type: 'text/javascript; charset=utf-8' },
  '/icon.svg': { file: 'icon.svg', type: 'image/svg+xml' },
};

/** Read once: a request names an entry here or nothing, so that no path leads out of the folder. */
const pages = new Map(
  Object.entries(PAGE_FILES).map(([path, { file, type }]) => [
    path,
    { type, body: readFileSync(new URL(`./page/${file}`, import.meta.url)) },
  ]),
);

const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
} as const;

function answer(board: Board, request: IncomingMessage, response: ServerResponse): void {
  const { method = '', url = '/' } = request;
  const registry = answerRegistryRequest(method, url, request.headers.accept);
  if (registry !== null) return send(response, registry.status, registry.headers, registry.body);
  if (method !== 'GET') return send(response, 405, { ...TEXT, allow: 'GET' }, 'only GET\n');
  const path = url.split('?', 1)[0];
  const page = pages.get(path);
  if (page !== undefined)
    return send(response, 200, { 'content-type': page.type, 'cache-control': 'no-cache' }, page.body);
  if (path === '/api/night') return send(response, 200, JSON_HEADERS, JSON.stringify(board.whole()));
  const visit = /^\/api\/visits\/(\d{1,15})$/.exec(path);
  const detail = visit === null ? null : board.detailOf(Number(visit[1]));
  if (detail !== null) return send(response, 200, JSON_HEADERS, JSON.stringify(detail));
  send(response, 404, TEXT, 'not found\n');
}

/** Answers from the archive, so many requests at once; a failure is logged and told without its cause. */
function archiveAnswerer(
  archive: ArchiveLocation, guard: Guard,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  let atWork = 0;
  return async (request, response) => {
    const { method = '', url = '/', headers: { accept } } = request;
    if (atWork >= brokersConfig.archiveRequestsMax) {
      return send(response, 503, { ...TEXT, 'retry-after': '1' }, 'too many requests\n');
    }
    atWork++;
    try {
      const { status, headers, body } = await answerArchiveRequest(
        archive, method, url, accept, guard.hasPixels(request),
      );
      send(response, status, headers, body);
    } catch (error) {
      process.stderr.write(`vesper: archive query failed: ${(error as Error).message}\n`); // Only Errors are thrown.
      send(response, 500, TEXT, 'the archive cannot be read\n');
    } finally {
      atWork--;
    }
  };
}

/** Answers about filters; a failure is logged and told without its cause. */
function filterAnswerer(
  place: FilterPlace, guard: Guard,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  return async (request, response) => {
    const { method = '', url = '/' } = request;
    try {
      const refusal = method === 'GET' ? null : changeRefusalOf(request);
      if (refusal !== null) return send(response, refusal.status, TEXT, `${refusal.reason}\n`);
      const { status, headers, body } = await answerFilterRequest(
        place, method, url, guard.actorOf(request), () => readBody(request),
      );
      send(response, status, headers, body);
    } catch (error) {
      if (error instanceof BodyTooLong) return send(response, 413, { ...TEXT, connection: 'close' }, 'too long\n');
      process.stderr.write(`vesper: filter request failed: ${(error as Error).message}\n`); // Only Errors are thrown.
      send(response, 500, TEXT, 'the filters cannot be reached\n');
    }
  };
}

const METRICS_PATHS: ReadonlySet<string> = new Set(['/metrics', '/api/consumers']);

/** Consumers of the night: JSON, or the text format of Prometheus. */
async function answerMetrics(
  { connection, instrument, dayObs }: DashboardOptions, filters: readonly FilterFigures[],
  { method, url = '' }: IncomingMessage, response: ServerResponse,
): Promise<void> {
  if (method !== 'GET') return send(response, 405, { ...TEXT, allow: 'GET' }, 'only GET\n');
  try {
    const metrics = await consumerMetrics(connection, instrument, dayObs);
    if (url.startsWith('/metrics')) return send(response, 200, TEXT, prometheusText(metrics, filters));
    send(response, 200, JSON_HEADERS, JSON.stringify(metrics));
  } catch (error) {
    send(response, 503, TEXT, `the log does not answer: ${(error as Error).message.split('\n', 1)[0]}\n`);
  }
}

const CHALLENGE = { 'www-authenticate': 'Basic realm="vesper", charset="UTF-8"' } as const;
const TEXT = { 'content-type': 'text/plain; charset=utf-8' } as const;
const JSON_HEADERS = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' } as const;

function send(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string | Buffer,
): void {
  response.writeHead(status, { ...SECURITY_HEADERS, ...headers });
  response.end(body);
}

function upgrade(
  sockets: WebSocketServer,
  board: Board,
  guard: Guard,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const refusal = guard.mayLook(request) ? refusalOf(sockets, request) : '401 Unauthorized';
  if (refusal !== null) {
    socket.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    return;
  }
  sockets.handleUpgrade(request, socket, head, (client: WebSocket) => {
    client.on('error', () => client.terminate()); // A client that breaks the protocol loses its connection, no more.
    board.add(client);
  });
}

/** A page of another origin may not read the night through a visitor's browser. */
function refusalOf(sockets: WebSocketServer, request: IncomingMessage): string | null {
  if (request.url !== '/live') return '404 Not Found';
  const { origin, host } = request.headers;
  if (origin !== undefined && URL.parse(origin)?.host !== host) return '403 Forbidden';
  return sockets.clients.size >= brokersConfig.dashboardClientsMax ? '503 Service Unavailable' : null;
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason =
        error.code === 'EADDRINUSE'
          ? 'it is in use by another program'
          : error.code === 'EACCES'
            ? 'not allowed (ports below 1024 need root)'
            : error.message;
      reject(new Error(`dashboard: cannot listen on port ${port} of ${host}: ${reason}`, { cause: error }));
    });
    server.listen(port, host, () => {
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
      resolve(address.port);
    });
  });
}

/** Asks for counts, one question at a time; a failure is shown on the page and the next try may mend it. */
function pollCounts(getCounts: (() => Promise<VerifiedCounts>) | undefined, board: Board): () => void {
  if (getCounts === undefined) return () => undefined;
  let isAsking = false;
  const ask = async (): Promise<void> => {
    if (isAsking) return;
    isAsking = true;
    try {
      board.setCounts(await getCounts());
      board.setProblem('counts', null);
    } catch (error) {
      board.setProblem('counts', `counting failed: ${(error as Error).message}`);
    }
    isAsking = false;
  };
  const timer = setInterval(() => void ask(), brokersConfig.dashboardCountsIntervalMs);
  return () => clearInterval(timer);
}

function watchConnection(connection: NatsConnection, board: Board): () => void {
  const statuses = connection.status();
  let isStopped = false;
  void (async () => {
    for await (const { type } of statuses) {
      if (isStopped) return;
      if (type === 'disconnect') board.setConnected(false);
      if (type === 'reconnect') board.setConnected(true);
    }
  })();
  void connection.closed().then(() => board.setConnected(false));
  return () => {
    isStopped = true;
  };
}
