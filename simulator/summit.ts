/** What the summit is told to do and what its sensors say: pure functions of seed, night and time. */
import { SUMMIT_COMPONENTS, type SummitComponent } from '../schemas/events.ts';
import type { DayObs } from '../schemas/ids.ts';
import { messageId } from '../schemas/subjects.ts';
import { mjdTaiOfDayObs, taiSecondsOfMjd } from '../schemas/time.ts';
import { nightConfig } from './config.ts';
import { altitudeDeg, zenithAt } from './ephemeris.ts';
import type { IdentifiedEvent } from './observatoryEvents.ts';
import { unitVector } from './projection.ts';
import { normal, randomStream } from './random.ts';
import type { PlannedVisit } from './schedule.ts';

export type SummitNight = Readonly<{ instrument: string; dayObs: DayObs; seed: number }>;

const DAY_SECONDS = 86400;

/** Orders before the first visit: every component enabled, the dome opened. */
export function openingCommands(night: SummitNight, mjdTai: number): IdentifiedEvent[] {
  return [
    ...[...SUMMIT_COMPONENTS].reverse().map((component) => commanded(night, mjdTai, component, 'enable')),
    commanded(night, mjdTai + 10 / DAY_SECONDS, 'dome', 'open'),
  ];
}

export function closingCommands(night: SummitNight, mjdTai: number): IdentifiedEvent[] {
  return [...SUMMIT_COMPONENTS].reverse().map((component) => commanded(night, mjdTai, component, 'disable'));
}

/** Orders of one exposure: the filter when it changes, the slew of a visit's first exposure, the shutter. */
export function exposureCommands(
  night: SummitNight, plan: PlannedVisit, bandBefore: string | null,
): Readonly<{ filter: IdentifiedEvent | null; slew: IdentifiedEvent | null; take: IdentifiedEvent }> {
  const { startMjdTai: start, commanded: { raDeg, decDeg }, exposureSeconds } = plan, snap = plan.snap ?? 0;
  return {
    filter: plan.band === bandBefore ? null
      : commanded(night, start - 125 / DAY_SECONDS, 'camera', 'setFilter', { filter: plan.physicalFilter }),
    slew: snap > 0 ? null : commanded(night, start - 6 / DAY_SECONDS, 'mount', 'slew', { raDeg, decDeg }),
    take: commanded(night, start, 'camera', 'takeImage', { exposureSeconds, snap }),
  };
}

function commanded(
  { instrument, dayObs }: SummitNight, commandedMjdTai: number, component: SummitComponent, command: string,
  parameters: Readonly<Record<string, string | number>> = {},
): IdentifiedEvent {
  return {
    event: { type: 'ControlCommanded', instrument, dayObs, commandedMjdTai, component, command, parameters },
    id: idOf(instrument, commandedMjdTai, `ControlCommanded-${component}-${command}`),
  };
}

/**
 * Air that cools through the night, a mirror that lags behind it, wind in gusts, and where the mount looks.
 *
 * @param pointing Where the mount points at that time, degrees.
 */
export function telemetryAt(
  { instrument, dayObs, seed }: SummitNight, pointing: Readonly<{ raDeg: number; decDeg: number }>, mjdTai: number,
): IdentifiedEvent {
  const dusk = mjdTaiOfDayObs(dayObs) + nightConfig.eveningHours / 24;
  const random = randomStream(seed, 'telemetry', dayObs, Math.round((mjdTai - dusk) * DAY_SECONDS + DAY_SECONDS));
  const night = randomStream(seed, 'weather', dayObs);
  const base = 9 + 3 * normal(night), wind = Math.abs(6 + 3 * normal(night));
  const from = 360 * ((normal(night) / 10 + 1) % 1), hours = (mjdTai - dusk) * 24;
  const round = (value: number, digits = 2): number => Number(value.toFixed(digits));
  const { altitude, azimuth } = horizontal(pointing, mjdTai);
  return {
    id: idOf(instrument, mjdTai, 'TelemetrySampled'),
    event: {
      type: 'TelemetrySampled', instrument, dayObs, sampledMjdTai: mjdTai,
      outsideTemperatureC: round(base - 0.35 * hours + 0.1 * normal(random)),
      mirrorTemperatureC: round(base + 0.6 - 0.3 * hours + 0.03 * normal(random)),
      cameraTemperatureC: round(-100 + 0.05 * normal(random)),
      windSpeedMetrePerSecond: round(Math.abs(wind + 1.5 * normal(random))),
      windDirectionDeg: round((from + 8 * normal(random) + 360) % 360, 1),
      humidityPercent: round(Math.min(100, Math.max(2, 25 + 2 * hours + normal(random))), 1),
      pressureHpa: round(742 + 0.2 * normal(random)),
      mountAltitudeDeg: round(altitude, 4), mountAzimuthDeg: round(azimuth, 4),
      trackingErrorArcsec: round(Math.abs(0.05 * normal(random)), 3),
    },
  };
}

/** Degrees; azimuth from north over east. */
function horizontal(
  { raDeg, decDeg }: Readonly<{ raDeg: number; decDeg: number }>, mjdTai: number,
): { altitude: number; azimuth: number } {
  const zenith = zenithAt(mjdTai), place = unitVector(raDeg, decDeg), altitude = altitudeDeg(place, zenith);
  const northZ = Math.hypot(zenith[0], zenith[1]);
  const towardsEast = (place[1] * zenith[0] - place[0] * zenith[1]) / northZ;
  const towardsNorth = (place[2] - zenith[2] * Math.sin((altitude * Math.PI) / 180)) / northZ;
  return { altitude, azimuth: ((Math.atan2(towardsEast, towardsNorth) * 180) / Math.PI + 360) % 360 };
}

/** Told once for each moment, so that the moment names it. */
function idOf(instrument: string, mjdTai: number, event: string): string {
  const moment = new Date(Math.round(taiSecondsOfMjd(mjdTai) * 1000)).toISOString().slice(0, -1);
  return messageId({ instrument, group: moment, exposure: 0, snap: 0, detector: 'all', event, attempt: 1 });
}
