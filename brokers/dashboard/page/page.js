// The live page of one night. Holds what the server has told, and draws what has changed.
import { bareSeconds, byId, count, make, place, plural, reasonsText, seconds, setFigure, setText, stepColor, ticks } from './draw.js';

const visits = new Map(); // Summaries by group.
const details = new Map(); // Detectors by group.
const rows = new Map(); // Table rows by group.
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
    rows.clear();
    byId('visits').replaceChildren();
  }
  night = message.night;
  for (const visit of message.visits) visits.set(visit.group, visit);
  for (const detail of message.details) details.set(detail.group, detail);
  if (message.isConnected) showLink('live', 'live');
  else showLink('lost', 'the log is away');
  byId('problem').hidden = message.problem === null;
  setText('problem', message.problem ?? '');
  drawHeader();
  drawTiles(current(message.verified));
  drawFlow(current(message.verified));
  for (const visit of message.visits) drawRow(visit);
  byId('visits-empty').hidden = visits.size > 0;
  if (message.visits.length > 0) drawDeferred();
  drawWaterfall();
}

function showLink(state, text) {
  byId('link').dataset.state = state;
  setText('link-text', text);
}

function drawHeader() {
  const date = String(night.dayObs).replace(/(\d{4})(\d\d)(\d\d)/, '$1-$2-$3');
  const state = night.closedAtMs === null ? 'observing' : 'observing ended';
  byId('night').replaceChildren(make('strong', {}, night.instrument), ` night of ${date}${night.simulated ? ', simulated' : ''}, ${state}`);
  document.title = `${night.instrument} ${date} – Vesper`;
  setText('foot', `t = 0 is the end of readout of a visit's last detector. An alert's latency is that of its detector's last packet.${
    night.malformed > 0 ? ` ${plural(night.malformed, 'event')} could not be read.` : ''}`);
}

/** Lost, in flight or closed: from counts that were recomputed when they are of now, else from the events. */
function verdictOf(verified) {
  if (verified !== null && !verified.closes && verified.violations.length > 0) {
    return { state: 'bad', figure: 'Counts do not close', note: plural(verified.violations.length, 'violation') };
  }
  const { associated, published } = night.live;
  const working = night.detectors.expected - night.detectors.done - night.detectors.deferred;
  const flying = associated - published;
  if (night.detectors.expected === 0) return { state: 'idle', figure: 'No data yet', note: 'waiting for the first readout' };
  if (working > 0 || flying > 0) {
    return { state: 'flight', figure: 'In flight', note: `${plural(working, 'detector')} at work, ${plural(Math.max(0, flying), 'alert')} to publish` };
  }
  if (verified?.closes === false) return { state: 'bad', figure: 'Counts do not close', note: 'recomputed from the log' };
  if (verified?.closes) return { state: 'good', figure: 'Nothing lost', note: 'every count closes, recomputed from the log' };
  return { state: 'good', figure: 'All published', note: 'every associated source is out; not yet recounted' };
}

function drawTiles(verified) {
  const verdict = verdictOf(verified);
  byId('verdict').dataset.state = verdict.state;
  setText('verdict-figure', verdict.figure);
  setText('verdict-note', verdict.note);
  const latency = night.latencySeconds;
  setFigure('latency-figure', bareSeconds(latency?.p98 ?? null), latency === null ? '' : ` s of ${night.budgetSeconds}`);
  const share = (latency?.p98 ?? 0) / night.budgetSeconds;
  byId('latency-meter').dataset.state = share > 1 ? 'bad' : share > 0.75 ? 'warn' : 'good';
  byId('latency-meter').setAttribute('aria-label', `${Math.round(share * 100)} % of the budget`);
  byId('latency-meter').firstElementChild.style.width = `${Math.min(100, share * 100)}%`;
  setText('latency-note', latency === null ? 'no alert yet'
    : `p50 ${seconds(latency.p50)}, p95 ${seconds(latency.p95)}, max ${seconds(latency.max)}; ${Math.floor(night.withinBudget * 1000) / 10} % in budget`);
  const all = [...visits.values()];
  const done = all.filter(({ status }) => status === 'complete' || status === 'deferred').length;
  setFigure('alerts-figure', count(night.live.published));
  setText('alerts-note', done === 0 ? '' : `${count(Math.round(night.live.published / done))} a visit, ${plural(sumOf(all, 'newDiaObjects'), 'new object')}`);
  setFigure('visits-figure', count(done), night.visitsPlanned === null ? '' : ` of ${count(night.visitsPlanned)}`);
  const canceled = all.filter(({ status }) => status === 'canceled').length;
  const now = all.filter(({ status }) => status === 'processing' || status === 'exposing').length;
  setText('visits-note', [now > 0 ? `${count(now)} at work` : '', canceled > 0 ? `${count(canceled)} canceled` : ''].filter(Boolean).join(', ')
    || `${plural(night.detectors.done, 'detector')} processed`);
  const { deferred, expected } = night.detectors;
  byId('deferred-tile').dataset.state = deferred > 0 ? 'bad' : 'good';
  setFigure('deferred-figure', count(deferred), ` of ${count(expected)}`);
  const codes = {};
  for (const { reasons } of all) for (const { code } of reasons) codes[code] = (codes[code] ?? 0) + 1;
  setText('deferred-note', deferred === 0 ? 'every detector went through' : reasonsText(codes));
}

function sumOf(list, field) {
  return list.reduce((total, each) => total + each[field], 0);
}

function drawFlow(verified) {
  const counts = verified?.counts ?? night.live;
  setText('flow-source', verified === null ? '(as events tell)' : '(recomputed from the log, the database and the streams)');
  const dropped = sumValues(counts.droppedByReason);
  const withheld = sumValues(counts.withheldByReason);
  const steps = [
    flowStep('detected', counts.detected, null, ''),
    flowStep('associated', counts.associated, counts.detected - dropped - counts.associated, dropped > 0 ? `${count(dropped)} dropped: ${reasonsText(counts.droppedByReason)}` : 'none dropped'),
    flowStep('packed', counts.packed, counts.associated - withheld - counts.packed, withheld > 0 ? `${count(withheld)} withheld: ${reasonsText(counts.withheldByReason)}` : 'none withheld'),
    flowStep('published', counts.published, counts.packed - counts.published, 'all'),
    flowStep('archived', counts.archived, counts.published - counts.archived, 'all'),
    ...Object.entries(counts.delivered).map(([consumer, delivered]) => {
      const owed = counts.owed[consumer] ?? 0;
      return flowStep(`delivered to ${consumer}`, delivered, null, owed > 0 ? `${count(owed)} still owed` : 'nothing owed', owed > 0 ? 'flight' : 'good');
    }),
  ];
  const closes = verified === null ? null : verified.closes;
  byId('flow').replaceChildren(...steps.map(({ name, value, missing, note, state }) => {
    const isOpen = missing !== null && missing !== 0;
    const open = missing > 0 ? `${count(missing)} ${closes === false ? 'missing' : 'on the way'}` : `${count(-missing)} too many`;
    const text = !isOpen ? note : note.startsWith('none') || note === 'all' ? open : `${open}; ${note}`;
    const shown = isOpen ? (closes === false || missing < 0 ? 'bad' : 'flight') : state;
    return make('li', { 'data-state': shown }, make('b', {}, count(value)), make('span', {}, name), make('span', { class: 'lost' }, text));
  }));
  byId('violations').replaceChildren(...(verified?.violations ?? []).map((line) => make('li', {}, line)));
}

function flowStep(name, value, missing, note, state = 'good') {
  return { name, value, missing, note, state };
}

function sumValues(record) {
  return Object.values(record).reduce((total, value) => total + value, 0);
}

function drawRow(visit) {
  const latency = visit.latencySeconds;
  const late = visit.withinBudget !== null && visit.withinBudget < 1;
  const fill = make('span', late ? { class: 'late' } : {});
  place(fill, 0, latency?.max ?? 0, { from: 0, to: night.budgetSeconds });
  const isAhead = visit.expected === 0;
  const state = visit.status === 'deferred' ? `${count(visit.deferred)} deferred` : visit.status;
  const cells = [
    make('td', {}, make('button', { type: 'button', title: `visit ${visit.visit ?? 'not started'}, group ${visit.group}` }, nameOf(visit))),
    make('td', {}, make('span', { class: 'band' }, visit.band ?? '–')),
    make('td', {}, make('span', { class: 'state', 'data-state': visit.status }, state)),
    make('td', { class: 'number' }, isAhead ? '–' : `${count(visit.done)}/${count(visit.expected)}`),
    make('td', { class: 'number' }, isAhead ? '–' : count(visit.alerts)),
    make('td', { class: 'number' }, bareSeconds(latency?.p50 ?? null)),
    make('td', { class: 'number' }, bareSeconds(latency?.p98 ?? null)),
    make('td', { class: 'number' }, bareSeconds(latency?.max ?? null)),
    make('td', {}, make('div', { class: 'mini', title: latency === null ? null : `last alert after ${seconds(latency.max)}` }, fill)),
  ];
  let row = rows.get(visit.group);
  if (row === undefined) {
    row = make('tr', { onclick: () => select(visit.group) });
    rows.set(visit.group, row);
  }
  const hadFocus = row.contains(document.activeElement);
  row.replaceChildren(...cells);
  if (hadFocus) row.querySelector('button').focus();
  insertInOrder(row, visit);
}

/** The number of a visit in its night; before the first exposure it has none. */
function nameOf({ sequence }) {
  return sequence === null ? 'next' : String(sequence);
}

/** Newest first; what is only announced is newer than all that was observed. */
function insertInOrder(row, visit) {
  const key = orderOf(visit);
  row.dataset.order = String(key);
  const body = byId('visits');
  const next = [...body.children].find((other) => other !== row && Number(other.dataset.order) < key) ?? null;
  if (row.parentNode !== body || row.nextSibling !== next) body.insertBefore(row, next);
}

function orderOf({ sequence, announcedMs }) {
  return sequence === null ? 1e9 + (announcedMs ?? 0) : sequence;
}

const DEFERRED_SHOWN = 12;

/** Every detector of the night that was given up, newest visits first. */
function drawDeferred() {
  const all = [...visits.values()].sort((a, b) => orderOf(b) - orderOf(a)).flatMap((visit) => visit.reasons.map((why) => ({ visit, ...why })));
  byId('deferred-card').hidden = all.length === 0;
  const rest = all.length - DEFERRED_SHOWN;
  byId('deferred').replaceChildren(
    ...all.slice(0, DEFERRED_SHOWN).map(({ visit, detector, stage, code, reason }) =>
      reasonItem('deferred', `visit ${nameOf(visit)}, detector ${detector}, ${stage}: `, reason, code)),
    ...(rest > 0 ? [make('li', {}, `and ${count(rest)} more`)] : []));
}

function reasonItem(state, where, reason, code) {
  return make('li', { 'data-state': state }, make('b', {}, where), reason, ' ', make('span', {}, `(${code})`));
}

async function select(group) {
  selected = group;
  const { visit } = visits.get(group);
  if (!details.has(group) && visit !== null) {
    const response = await fetch(`/api/visits/${visit}`);
    if (response.ok) details.set(group, await response.json());
  }
  drawWaterfall();
}

byId('follow').addEventListener('click', () => {
  selected = null;
  drawWaterfall();
});

function shownVisit() {
  if (selected !== null && visits.has(selected)) return visits.get(selected);
  const withBars = [...visits.values()].filter(({ group }) => details.get(group)?.detectors.some(({ bars }) => bars.length > 0));
  return withBars.sort((a, b) => orderOf(b) - orderOf(a))[0] ?? null;
}

function drawWaterfall() {
  const visit = shownVisit();
  byId('follow').hidden = selected === null;
  for (const [group, row] of rows) row.setAttribute('aria-selected', String(group === visit?.group));
  const detectors = visit === null ? [] : details.get(visit.group)?.detectors ?? [];
  byId('waterfall-empty').hidden = detectors.some(({ bars }) => bars.length > 0);
  setText('waterfall-title', visit === null ? 'Where the seconds went'
    : `Where the seconds went: visit ${nameOf(visit)}${visit.endSeconds === null ? '' : `, ${isOver(visit) ? '' : 'so far '}${seconds(visit.endSeconds)} after the end of readout`}`);
  drawOverview(visit);
  drawLegend(visit);
  drawChart(visit, detectors);
  drawReasons(detectors);
}

function isOver({ status }) {
  return status === 'complete' || status === 'deferred';
}

/** The wait for a worker, then the steps that took time: what a median detector did. */
function medianPieces(visit) {
  const wait = visit?.medianWaitSeconds ?? 0;
  const steps = (visit?.medianSteps ?? []).filter((each) => each.seconds > 0);
  return wait > 0 ? [{ step: 'waiting', seconds: wait }, ...steps] : steps;
}

/** The whole budget on one line: the median detector's steps, and where the last detector ended. */
function drawOverview(visit) {
  const scale = { from: 0, to: Math.max(night.budgetSeconds, (visit?.endSeconds ?? 0) * 1.02) };
  let from = 0;
  const pieces = medianPieces(visit).map((each) => {
    const piece = make('span', { class: `piece ${each.step}`, title: `${each.step}: ${seconds(each.seconds)} (median)` });
    piece.style.background = stepColor(each.step);
    place(piece, from, from + each.seconds, scale);
    from += each.seconds;
    return piece;
  });
  const marks = [0, 15, 30, 45, night.budgetSeconds].map((value, i) =>
    place(make('span', { class: i === 0 ? 'tick first' : 'tick' }, value === night.budgetSeconds ? `${value} s budget` : `${value} s`), value, null, scale));
  const end = visit?.endSeconds ?? null;
  const isRight = end !== null && end > scale.to * 0.8;
  const endMark = end === null ? [] : [place(make('div', { class: isRight ? 'end left' : 'end' }, make('span', {}, `${isOver(visit) ? 'done' : 'so far'} ${seconds(end)}`)), end, null, scale)];
  byId('overview').setAttribute('aria-label', end === null ? 'no detector done' : `the visit was done ${seconds(end)} after the end of readout, of ${night.budgetSeconds} s`);
  byId('overview').replaceChildren(...pieces, ...marks, ...endMark);
}

function drawLegend(visit) {
  byId('legend').replaceChildren(...medianPieces(visit).map((each) => {
    const swatch = make('i', { class: each.step });
    swatch.style.background = stepColor(each.step);
    return make('li', { title: 'median over the detectors' }, swatch, each.step, make('b', {}, seconds(each.seconds)));
  }));
}

function drawChart(visit, detectors) {
  const chart = byId('chart');
  if (!detectors.some(({ bars }) => bars.length > 0)) return chart.replaceChildren();
  const ends = detectors.flatMap(({ bars, failures }) => [...bars.map((bar) => bar.endSeconds), ...failures.map(({ atSeconds }) => atSeconds)]);
  const starts = detectors.flatMap(({ bars }) => bars.map((bar) => bar.startSeconds));
  const scale = { from: Math.min(0, ...starts), to: Math.max(1, ...ends) * 1.04 };
  chart.classList.toggle('dense', detectors.length > 40);
  const axis = make('div', { class: 'axis' }, ...ticks(scale.from, scale.to).map((value) => place(make('span', {}, `${value} s`), value, null, scale)));
  const lanes = detectors.flatMap((detector) => [
    make('span', { class: 'label' }, String(detector.detector)), drawLane(detector, scale), drawResult(detector),
  ]);
  chart.replaceChildren(...lanes, make('span', { class: 'label' }, ''), axis, make('span', {}, ''));
}

function drawLane({ bars, failures }, scale) {
  const lane = make('div', { class: 'lane' });
  for (const bar of bars) {
    const rowsText = bar.rows > 0 ? `, ${plural(bar.rows, 'row')}` : '';
    const element = make('span', { title: `${bar.step}: ${seconds(bar.endSeconds - bar.startSeconds)}, ended at ${seconds(bar.endSeconds)}${rowsText}` });
    element.style.background = stepColor(bar.step);
    lane.append(place(element, bar.startSeconds, bar.endSeconds, scale));
  }
  for (const failure of failures) {
    lane.append(place(make('span', { class: 'failed', title: `${failure.stage}: ${failure.reason}` }), failure.atSeconds, null, scale));
  }
  if (scale.to >= night.budgetSeconds) lane.append(place(make('i', { title: 'budget' }), night.budgetSeconds, null, scale));
  return lane;
}

function drawResult({ status, alerts, latencySeconds }) {
  const text = status === 'done' ? `${plural(alerts, 'alert')}${latencySeconds === null ? '' : ` at ${seconds(latencySeconds)}`}` : status;
  return make('span', { class: 'result', 'data-state': status }, text);
}

function drawReasons(detectors) {
  const all = detectors.flatMap(({ detector, failures }) => failures.map((failure) => ({ detector, ...failure })));
  byId('reasons').replaceChildren(...all.map(({ detector, stage, code, reason, deferred }) =>
    reasonItem(deferred ? 'deferred' : 'passed', `detector ${detector} ${deferred ? 'deferred' : 'failed'} in ${stage}: `, reason, code)));
}
