// The live page of one night. Holds what the server has told, and draws what has changed.
import { byId, make, orderOf, plural, setText } from './draw.js';
import { drawConsumers } from './consumers.js';
import { drawFlow, drawTiles } from './tiles.js';
import { clearRows, drawDeferred, drawRow, markSelected } from './visits.js';
import { drawWaterfall } from './waterfall.js';

const visits = new Map(); // Summaries by group.
const details = new Map(); // Detectors by group.
let night = null;
let selected = null; // A group that was clicked, or null: the newest visit that has something to show.
let retryMs = 500;

connect();

function connect() {
  const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/live`);
  socket.addEventListener('message', ({ data }) => {
    retryMs = 500;
    take(JSON.parse(data));
  });
  socket.addEventListener('close', () => {
    showLink('lost', 'connection lost, trying again');
    setTimeout(connect, retryMs);
    retryMs = Math.min(8000, retryMs * 2);
  });
}

/** Recomputed counts, unless more has been published since. */
function current(verified) {
  return verified !== null && verified.counts.published < night.live.published ? null : verified;
}

function take(message) {
  if (message.isWhole) {
    visits.clear();
    details.clear();
    clearRows();
  }
  night = message.night;
  for (const visit of message.visits) visits.set(visit.group, visit);
  for (const detail of message.details) details.set(detail.group, detail);
  if (message.isConnected) showLink('live', 'live');
  else showLink('lost', 'the log is away');
  byId('problem').hidden = message.problem === null;
  setText('problem', message.problem ?? '');
  drawHeader();
  setText('summit', summitText(night));
  drawTiles(night, [...visits.values()], current(message.verified));
  drawFlow(night, current(message.verified));
  drawConsumers(night.sampled);
  for (const visit of message.visits) drawRow(visit, night.budgetSeconds, select);
  byId('visits-empty').hidden = visits.size > 0;
  if (message.visits.length > 0) drawDeferred(visits.values());
  drawSelected();
}

function showLink(state, text) {
  byId('link').dataset.state = state;
  setText('link-text', text);
}

function drawHeader() {
  const date = String(night.dayObs).replace(/(\d{4})(\d\d)(\d\d)/, '$1-$2-$3');
  const state = night.closedAtMs === null ? 'observing' : 'observing ended';
  byId('night').replaceChildren(
    make('strong', {}, night.instrument),
    ` night of ${date}${night.simulated ? ', simulated' : ''}, ${state}`,
  );
  document.title = `${night.instrument} ${date} – Vesper`;
  setText(
    'foot',
    "t = 0 is the end of readout of a visit's last detector. " +
      "An alert's latency is that of its detector's last packet." +
      (night.malformed > 0 ? ` ${plural(night.malformed, 'event')} could not be read.` : ''),
  );
}

/** The summit in one line: what its sensors say, where the mount looks, and the last order. */
function summitText({ telemetry, lastCommand }) {
  const measured =
    telemetry === null
      ? []
      : [
          `outside ${telemetry.outsideTemperatureC.toFixed(1)} °C`,
          `wind ${telemetry.windSpeedMetrePerSecond.toFixed(1)} m/s`,
          `humidity ${telemetry.humidityPercent.toFixed(0)} %`,
          `mount at altitude ${telemetry.mountAltitudeDeg.toFixed(1)}°, azimuth ${telemetry.mountAzimuthDeg.toFixed(1)}°`,
          `camera ${telemetry.cameraTemperatureC.toFixed(1)} °C`,
        ];
  const ordered = lastCommand === null ? [] : [`last order: ${lastCommand.component} ${lastCommand.command}`];
  return [...measured, ...ordered].join(' · ');
}

async function select(group) {
  selected = group;
  const { visit } = visits.get(group);
  if (!details.has(group) && visit !== null) {
    const response = await fetch(`/api/visits/${visit}`);
    if (response.ok) details.set(group, await response.json());
  }
  drawSelected();
}

byId('follow').addEventListener('click', () => {
  selected = null;
  drawSelected();
});

function shownVisit() {
  if (selected !== null && visits.has(selected)) return visits.get(selected);
  const withBars = [...visits.values()].filter(({ group }) =>
    details.get(group)?.detectors.some(({ bars }) => bars.length > 0),
  );
  return withBars.sort((a, b) => orderOf(b) - orderOf(a))[0] ?? null;
}

function drawSelected() {
  const visit = shownVisit();
  byId('follow').hidden = selected === null;
  markSelected(visit?.group);
  drawWaterfall(visit, details.get(visit?.group)?.detectors ?? [], night.budgetSeconds);
}
