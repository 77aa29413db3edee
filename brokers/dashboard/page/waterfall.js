// Where the seconds of one visit went: the budget on one line, and every detector below it.
import { byId, make, nameOf, place, plural, reasonItem, seconds, setText, stepColor, ticks } from './draw.js';

/** `visit` is null when there is none to show; `detectors` are those of its detail. */
export function drawWaterfall(visit, detectors, budgetSeconds) {
  byId('waterfall-empty').hidden = detectors.some(({ bars }) => bars.length > 0);
  setText('waterfall-title', titleOf(visit));
  drawOverview(visit, budgetSeconds);
  drawLegend(visit);
  drawChart(detectors, budgetSeconds);
  drawReasons(detectors);
}

function titleOf(visit) {
  if (visit === null) return 'Where the seconds went';
  const end = visit.endSeconds;
  const when = end === null ? '' : `, ${isOver(visit) ? '' : 'so far '}${seconds(end)} after the end of readout`;
  return `Where the seconds went: visit ${nameOf(visit)}${when}`;
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
function drawOverview(visit, budgetSeconds) {
  const scale = { from: 0, to: Math.max(budgetSeconds, (visit?.endSeconds ?? 0) * 1.02) };
  let from = 0;
  const pieces = medianPieces(visit).map((each) => {
    const piece = make('span', {
      class: `piece ${each.step}`,
      title: `${each.step}: ${seconds(each.seconds)} (median)`,
    });
    piece.style.background = stepColor(each.step);
    place(piece, from, from + each.seconds, scale);
    from += each.seconds;
    return piece;
  });
  const marks = [0, 15, 30, 45, budgetSeconds].map((value, i) =>
    place(
      make(
        'span',
        { class: i === 0 ? 'tick first' : 'tick' },
        value === budgetSeconds ? `${value} s budget` : `${value} s`,
      ),
      value,
      null,
      scale,
    ),
  );
  const end = visit?.endSeconds ?? null;
  const isRight = end !== null && end > scale.to * 0.8;
  const endMark =
    end === null
      ? []
      : [
          place(
            make(
              'div',
              { class: isRight ? 'end left' : 'end' },
              make('span', {}, `${isOver(visit) ? 'done' : 'so far'} ${seconds(end)}`),
            ),
            end,
            null,
            scale,
          ),
        ];
  byId('overview').setAttribute(
    'aria-label',
    end === null
      ? 'no detector done'
      : `the visit was done ${seconds(end)} after the end of readout, of ${budgetSeconds} s`,
  );
  byId('overview').replaceChildren(...pieces, ...marks, ...endMark);
}

function drawLegend(visit) {
  byId('legend').replaceChildren(
    ...medianPieces(visit).map((each) => {
      const swatch = make('i', { class: each.step });
      swatch.style.background = stepColor(each.step);
      return make(
        'li',
        { title: 'median over the detectors' },
        swatch,
        each.step,
        make('b', {}, seconds(each.seconds)),
      );
    }),
  );
}

function drawChart(detectors, budgetSeconds) {
  const chart = byId('chart');
  if (!detectors.some(({ bars }) => bars.length > 0)) return chart.replaceChildren();
  const ends = detectors.flatMap(({ bars, failures }) => [
    ...bars.map((bar) => bar.endSeconds),
    ...failures.map(({ atSeconds }) => atSeconds),
  ]);
  const starts = detectors.flatMap(({ bars }) => bars.map((bar) => bar.startSeconds));
  const scale = { from: Math.min(0, ...starts), to: Math.max(1, ...ends) * 1.04 };
  chart.classList.toggle('dense', detectors.length > 40);
  const axis = make(
    'div',
    { class: 'axis' },
    ...ticks(scale.from, scale.to).map((value) => place(make('span', {}, `${value} s`), value, null, scale)),
  );
  const lanes = detectors.flatMap((detector) => [
    make('span', { class: 'label' }, String(detector.detector)),
    drawLane(detector, scale, budgetSeconds),
    drawResult(detector),
  ]);
  chart.replaceChildren(...lanes, make('span', { class: 'label' }, ''), axis, make('span', {}, ''));
}

function drawLane({ bars, failures }, scale, budgetSeconds) {
  const lane = make('div', { class: 'lane' });
  for (const bar of bars) {
    const rowsText = bar.rows > 0 ? `, ${plural(bar.rows, 'row')}` : '';
    const element = make('span', {
      title:
        `${bar.step}: ${seconds(bar.endSeconds - bar.startSeconds)}, ended at ` +
        `${seconds(bar.endSeconds)}${rowsText}`,
    });
    element.style.background = stepColor(bar.step);
    lane.append(place(element, bar.startSeconds, bar.endSeconds, scale));
  }
  for (const failure of failures) {
    lane.append(
      place(
        make('span', { class: 'failed', title: `${failure.stage}: ${failure.reason}` }),
        failure.atSeconds,
        null,
        scale,
      ),
    );
  }
  if (scale.to >= budgetSeconds) lane.append(place(make('i', { title: 'budget' }), budgetSeconds, null, scale));
  return lane;
}

function drawResult({ status, alerts, latencySeconds }) {
  const text =
    status === 'done'
      ? `${plural(alerts, 'alert')}${latencySeconds === null ? '' : ` at ${seconds(latencySeconds)}`}`
      : status;
  return make('span', { class: 'result', 'data-state': status }, text);
}

function drawReasons(detectors) {
  const all = detectors.flatMap(({ detector, failures }) => failures.map((failure) => ({ detector, ...failure })));
  byId('reasons').replaceChildren(
    ...all.map(({ detector, stage, code, reason, deferred }) =>
      reasonItem(
        deferred ? 'deferred' : 'passed',
        `detector ${detector} ${deferred ? 'deferred' : 'failed'} in ${stage}: `,
        reason,
        code,
      ),
    ),
  );
}
