// The tiles at the top and the counts from detection to delivery.
import { bareSeconds, byId, count, make, plural, reasonsText, seconds, setFigure, setText } from './draw.js';

/** `visits`: the summaries of all visits; `verified`: recomputed counts, or null. */
export function drawTiles(night, visits, verified) {
  const verdict = verdictOf(night, verified);
  byId('verdict').dataset.state = verdict.state;
  setText('verdict-figure', verdict.figure);
  setText('verdict-note', verdict.note);
  const latency = night.latencySeconds;
  setFigure(
    'latency-figure',
    bareSeconds(latency?.p98 ?? null),
    latency === null ? '' : ` s of ${night.budgetSeconds}`,
  );
  const share = (latency?.p98 ?? 0) / night.budgetSeconds;
  byId('latency-meter').dataset.state = share > 1 ? 'bad' : share > 0.75 ? 'warn' : 'good';
  byId('latency-meter').setAttribute('aria-label', `${Math.round(share * 100)} % of the budget`);
  byId('latency-meter').firstElementChild.style.width = `${Math.min(100, share * 100)}%`;
  setText(
    'latency-note',
    latency === null
      ? 'no alert yet'
      : `p50 ${seconds(latency.p50)}, p95 ${seconds(latency.p95)}, max ${seconds(latency.max)}; ` +
          `${Math.floor(night.withinBudget * 1000) / 10}\u00a0%\u00a0in\u00a0budget`,
  );
  const done = visits.filter(({ status }) => status === 'complete' || status === 'deferred').length;
  const { usable, reliable } = night.fakes;
  setFigure('alerts-figure', count(night.live.published));
  setText(
    'alerts-note',
    done === 0
      ? ''
      : `${count(Math.round(night.live.published / done))} a visit, ` +
          plural(sumOf(visits, 'newDiaObjects'), 'new object') +
          (night.precovery === null
            ? ''
            : `, ${count(night.precovery.precovered)} precovered`) +
          (usable === 0 ? '' : `; ${Math.round((100 * reliable) / usable)}\u00a0% of synthetic sources found`),
  );
  setFigure('visits-figure', count(done), night.visitsPlanned === null ? '' : ` of ${count(night.visitsPlanned)}`);
  const canceled = visits.filter(({ status }) => status === 'canceled').length;
  const now = visits.filter(({ status }) => status === 'processing' || status === 'exposing').length;
  setText(
    'visits-note',
    [now > 0 ? `${count(now)} at work` : '', canceled > 0 ? `${count(canceled)} canceled` : '']
      .filter(Boolean)
      .join(', ') || `${plural(night.detectors.done, 'detector')} processed`,
  );
  const { deferred, expected } = night.detectors;
  byId('deferred-tile').dataset.state = deferred > 0 ? 'bad' : 'good';
  setFigure('deferred-figure', count(deferred), ` of ${count(expected)}`);
  const codes = {};
  for (const { reasons } of visits) for (const { code } of reasons) codes[code] = (codes[code] ?? 0) + 1;
  setText('deferred-note', deferred === 0 ? 'every detector went through' : reasonsText(codes));
}

/** Lost, in flight or closed: from counts that were recomputed when they are of now, else from the events. */
function verdictOf(night, verified) {
  if (verified !== null && !verified.closes && verified.violations.length > 0) {
    return { state: 'bad', figure: 'Counts do not close', note: plural(verified.violations.length, 'violation') };
  }
  const { associated, published, withheldByReason } = night.live;
  const withheld = Object.values(withheldByReason).reduce((total, count) => total + count, 0);
  const working = night.detectors.expected - night.detectors.done - night.detectors.deferred;
  const flying = associated - withheld - published;
  if (night.detectors.expected === 0)
    return { state: 'idle', figure: 'No data yet', note: 'waiting for the first readout' };
  if (working > 0 || flying > 0) {
    return {
      state: 'flight',
      figure: 'In flight',
      note: `${plural(working, 'detector')} at work, ${plural(Math.max(0, flying), 'alert')} to publish`,
    };
  }
  if (verified?.closes === false)
    return { state: 'bad', figure: 'Counts do not close', note: 'recomputed from the log' };
  if (verified?.closes)
    return { state: 'good', figure: 'Nothing lost', note: 'every count closes, recomputed from the log' };
  return { state: 'good', figure: 'All published', note: 'every associated source is out; not yet recounted' };
}

function sumOf(list, field) {
  return list.reduce((total, each) => total + each[field], 0);
}

export function drawFlow(night, verified) {
  const counts = verified?.counts ?? night.live;
  setText(
    'flow-source',
    verified === null ? '(as events tell)' : '(recomputed from the log, the database and the streams)',
  );
  const dropped = sumValues(counts.droppedByReason);
  const withheld = sumValues(counts.withheldByReason);
  const steps = [
    flowStep('detected', counts.detected, null, ''),
    flowStep(
      'associated',
      counts.associated,
      counts.detected - dropped - counts.associated,
      dropped > 0 ? `${count(dropped)} dropped: ${reasonsText(counts.droppedByReason)}` : 'none dropped',
    ),
    flowStep(
      'packed',
      counts.packed,
      counts.associated - withheld - counts.packed,
      withheld > 0 ? `${count(withheld)} withheld: ${reasonsText(counts.withheldByReason)}` : 'none withheld',
    ),
    flowStep('published', counts.published, counts.packed - counts.published, 'all'),
    flowStep('archived', counts.archived, counts.published + (counts.released ?? 0) - counts.archived, 'all'),
    ...Object.entries(counts.delivered).map(([consumer, delivered]) => {
      const owed = counts.owed[consumer] ?? 0;
      return flowStep(
        `delivered to ${consumer}`,
        delivered,
        null,
        owed > 0 ? `${count(owed)} still owed` : 'nothing owed',
        owed > 0 ? 'flight' : 'good',
      );
    }),
  ];
  const closes = verified === null ? null : verified.closes;
  byId('flow').replaceChildren(
    ...steps.map(({ name, value, missing, note, state }) => {
      const isOpen = missing !== null && missing !== 0;
      const open =
        missing > 0
          ? `${count(missing)} ${closes === false ? 'missing' : 'on the way'}`
          : `${count(-missing)} too many`;
      const text = !isOpen ? note : note.startsWith('none') || note === 'all' ? open : `${open}; ${note}`;
      const shown = isOpen ? (closes === false || missing < 0 ? 'bad' : 'flight') : state;
      return make(
        'li',
        { 'data-state': shown },
        make('b', {}, count(value)),
        make('span', {}, name),
        make('span', { class: 'lost' }, text),
      );
    }),
  );
  byId('violations').replaceChildren(...(verified?.violations ?? []).map((line) => make('li', {}, line)));
}

function flowStep(name, value, missing, note, state = 'good') {
  return { name, value, missing, note, state };
}

function sumValues(record) {
  return Object.values(record).reduce((total, value) => total + value, 0);
}
