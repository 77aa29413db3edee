import {
  decodeDiaForcedSource,
  decodeDiaObject,
  decodeDiaSource,
  decodeMpcOrbit,
  decodeSsSource,
} from '../../schemas/avro.ts';
import type { DiaSource } from '../../schemas/diaRows.ts';
import { parseNeighbours, type Neighbours } from '../../schemas/neighbours.ts';
import { splitPacket, type PacketParts } from '../../schemas/packet.ts';
import type { FilterableAlert } from './expression.ts';

/**
 * A framed packet as an alert that decodes each of its records when it is first read, and once: filters look at few
 * of them, and a light curve of a year is most of the work.
 *
 * @param neighbours As in the alert's header; without it none are known.
 * @throws as `splitPacket` when the packet is damaged; damage inside a record shows when that is read.
 */
export function lazyAlert(packet: Uint8Array, neighbours?: string | null): FilterableAlert {
  return new LazyAlert(splitPacket(packet), neighbours);
}

class LazyAlert implements FilterableAlert {
  readonly #parts: PacketParts;
  readonly #neighbours: string | null | undefined;
  readonly #decoded = new Map<string, unknown>();

  constructor(parts: PacketParts, neighbours: string | null | undefined) {
    this.#parts = parts;
    this.#neighbours = neighbours;
  }

  get diaSourceId(): FilterableAlert['diaSourceId'] {
    return this.#parts.diaSourceId;
  }
  get observation_reason(): FilterableAlert['observation_reason'] {
    return this.#parts.observationReason;
  }
  get target_name(): FilterableAlert['target_name'] {
    return this.#parts.targetName;
  }
  get diaSource(): FilterableAlert['diaSource'] {
    return this.#once('diaSource', () => decodeDiaSource(this.#parts.diaSource));
  }
  get prvDiaSources(): FilterableAlert['prvDiaSources'] {
    return this.#once('prvDiaSources', () => this.#parts.prvDiaSources?.map(decodeDiaSource) ?? null);
  }
  get prvDiaForcedSources(): FilterableAlert['prvDiaForcedSources'] {
    return this.#once(
      'prvDiaForcedSources',
      () => this.#parts.prvDiaForcedSources?.map(decodeDiaForcedSource) ?? null,
    );
  }
  get diaObject(): FilterableAlert['diaObject'] {
    return this.#once('diaObject', () => this.#parts.diaObject && decodeDiaObject(this.#parts.diaObject));
  }
  get ssSource(): FilterableAlert['ssSource'] {
    return this.#once('ssSource', () => this.#parts.ssSource && decodeSsSource(this.#parts.ssSource));
  }
  get mpc_orbits(): FilterableAlert['mpc_orbits'] {
    return this.#once('mpc_orbits', () => this.#parts.mpcOrbit && decodeMpcOrbit(this.#parts.mpcOrbit));
  }

  get nearestStars(): Neighbours['stars'] | null {
    return this.#near()?.stars ?? null;
  }
  get nearestGalaxies(): Neighbours['galaxies'] | null {
    return this.#near()?.galaxies ?? null;
  }

  #near(): Neighbours | null {
    return this.#once('neighbours', () => parseNeighbours(this.#neighbours));
  }

  #once<T>(name: string, decode: () => T): T {
    if (!this.#decoded.has(name)) this.#decoded.set(name, decode());
    return this.#decoded.get(name) as T; // Set by the same getter, with its type.
  }
}

/** An alert of which only the diaSource is known. */
export function diaSourceOnly(diaSource: DiaSource): FilterableAlert {
  return {
    diaSourceId: diaSource.diaSourceId, observation_reason: null, target_name: null, diaSource, prvDiaSources: null,
    prvDiaForcedSources: null, diaObject: null, ssSource: null, mpc_orbits: null, nearestStars: null,
    nearestGalaxies: null,
  };
}
