/** What the clients of the dashboard have been told, and what they have to be told next. */
import { WebSocket } from 'ws';
import type { DayObs } from '../../schemas/ids.ts';
import { brokersConfig } from '../config.ts';
import { emptyNight, type NightView, type VisitView } from './nightView.ts';
import {
  detailVisit,
  summarizeNight,
  summarizeVisit,
  type NightSummary,
  type VerifiedCounts,
  type VisitDetail,
  type VisitSummary,
} from './nightSummary.ts';

/** One message to a client: the visits and details that changed, in the first message all (and the newest). */
export type BoardMessage = Readonly<{
  isWhole: boolean;
  night: NightSummary;
  verified: VerifiedCounts | null;
  isConnected: boolean;
  problem: string | null;
  visits: readonly VisitSummary[];
  details: readonly VisitDetail[];
}>;

export class Board {
  readonly #read: () => NightView;
  readonly #clients = new Set<WebSocket>();
  /** Clients that were skipped because they read too slowly; they get the whole view when they have caught up. */
  readonly #behind = new Set<WebSocket>();
  #told: NightView;
  #hasChanged = false;
  #verified: VerifiedCounts | null = null;
  #isConnected = true;
  readonly #problems = new Map<string, string>();

  constructor(instrument: string, dayObs: DayObs, read: () => NightView | null) {
    const empty = emptyNight(instrument, dayObs);
    this.#read = () => read() ?? empty;
    this.#told = empty;
  }

  markChanged(): void {
    this.#hasChanged = true;
  }

  setCounts(counts: VerifiedCounts): void {
    this.#verified = counts;
    this.markChanged();
  }

  setConnected(isConnected: boolean): void {
    this.#isConnected = isConnected;
    this.markChanged();
  }

  /** Shows what is wrong with one of the dashboard's sources, until `null` says that it works again. */
  setProblem(source: string, problem: string | null): void {
    if (problem === (this.#problems.get(source) ?? null)) return;
    if (problem === null) this.#problems.delete(source);
    else this.#problems.set(source, problem);
    this.markChanged();
  }

  add(client: WebSocket): void {
    this.#clients.add(client);
    client.on('close', () => {
      this.#clients.delete(client);
      this.#behind.delete(client);
    });
    client.send(JSON.stringify(this.whole()));
  }

  /** Tells every client what has changed since the last time, if anything has. */
  broadcast(): void {
    if (this.#hasChanged) {
      const message = JSON.stringify(this.#changes());
      for (const client of this.#clients) {
        if (this.#behind.has(client)) continue;
        if (client.bufferedAmount > brokersConfig.dashboardBacklogBytesMax) this.#behind.add(client);
        else if (client.readyState === WebSocket.OPEN) client.send(message);
      }
    }
    for (const client of this.#behind) {
      if (client.bufferedAmount > 0) continue;
      this.#behind.delete(client);
      client.send(JSON.stringify(this.whole()));
    }
  }

  /** Everything, with the detectors of the newest visits. */
  whole(): BoardMessage {
    const visits = Object.values(this.#read().visits);
    const newest = visits
      .toSorted((a, b) => (b.visit ?? Infinity) - (a.visit ?? Infinity))
      .slice(0, brokersConfig.dashboardVisitsInDetail);
    return this.#message(true, visits, newest);
  }

  /** The detectors of one visit, or null when there is no such visit tonight. */
  detailOf(visit: number): VisitDetail | null {
    const view = Object.values(this.#read().visits).find((each) => each.visit === visit);
    return view === undefined ? null : detailVisit(view);
  }

  #changes(): BoardMessage {
    const night = this.#read();
    // The fold shares what it does not change, so that a visit that is another record is one that changed.
    const changed = Object.entries(night.visits).flatMap(([group, visit]) =>
      this.#told.visits[group] === visit ? [] : [visit],
    );
    this.#told = night;
    this.#hasChanged = false;
    return this.#message(false, changed, changed);
  }

  #message(isWhole: boolean, visits: readonly VisitView[], inDetail: readonly VisitView[]): BoardMessage {
    return {
      isWhole,
      night: summarizeNight(this.#read()),
      verified: this.#verified,
      isConnected: this.#isConnected,
      problem: this.#problems.size === 0 ? null : [...this.#problems.values()].join('; '),
      visits: visits.map(summarizeVisit),
      details: inDetail.map(detailVisit),
    };
  }
}
