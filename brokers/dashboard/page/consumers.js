// Who is owed what, and what the filters made of the night's alerts: two tables.
import { byId, make } from './draw.js';

const count = (value) => value.toLocaleString('en-US');

/** Draws what was sampled last; nothing before the first look. */
export function drawConsumers(sampled) {
  byId('consumers-card').hidden = sampled === null;
  if (sampled === null) return;
  byId('consumers').replaceChildren(...sampled.consumers.map((each) => row(
    [`${each.consumer}`, each.stream.split('_')[0].toLowerCase()],
    [each.acknowledgedUpTo, each.pending, each.unacknowledged, each.redelivered],
    each.pending > 0 && each.waitingRequests === 0 ? 'not reading' : each.pending > 0 ? 'behind' : 'up to date',
  )));
  byId('filters').replaceChildren(...sampled.filters.map((each) => row(
    [each.filter],
    [each.evaluated, each.matched, each.published, each.dropped + each.late, each.errors],
    each.evaluationMicroseconds === null ? '–' : `${each.evaluationMicroseconds.toFixed(1)} µs`,
  )));
}

function row(names, values, last) {
  return make(
    'tr', {},
    ...names.map((name) => make('td', {}, name)),
    ...values.map((value) => make('td', { class: 'number' }, count(value))),
    make('td', { class: 'number' }, last),
  );
}
