/** Which detectors' alerts are all in the archive: published and archived counts meet, whichever comes first. */
import type { DiaSourcesAssociated } from '../../schemas/commit.ts';
import { workKey } from './associator.ts';

type Tally = { commit: DiaSourcesAssociated | null; published: number; archived: number; isReported: boolean };

export class ArchiveTally {
  readonly #tallies = new Map<string, Tally>();
  readonly #onComplete: (commit: DiaSourcesAssociated, alerts: number) => void;

  constructor(onComplete: (commit: DiaSourcesAssociated, alerts: number) => void) {
    this.#onComplete = onComplete;
  }

  published(commit: DiaSourcesAssociated, alerts: number): void {
    const tally = this.#of(workKey(commit));
    tally.commit = commit;
    tally.published = alerts;
    this.#check(tally);
  }

  /** One alert more of a visit-detector is in the archive. */
  archived(key: string): void {
    const tally = this.#of(key);
    tally.archived++;
    this.#check(tally);
  }

  #check(tally: Tally): void {
    if (tally.isReported || !tally.commit || tally.archived < tally.published) return;
    tally.isReported = true;
    this.#onComplete(tally.commit, tally.published);
  }

  #of(key: string): Tally {
    let tally = this.#tallies.get(key);
    if (!tally) this.#tallies.set(key, tally = { commit: null, published: 0, archived: 0, isReported: false });
    return tally;
  }
}
