// The table of visits and the list of deferred detectors.
import { bareSeconds, byId, count, make, nameOf, orderOf, place, reasonItem, seconds } from './draw.js';

const DEFERRED_SHOWN = 12;
const rows = new Map(); // Table rows by group.

export function clearRows() {
  rows.clear();
  byId('visits').replaceChildren();
}

export function markSelected(selected) {
  for (const [group, row] of rows) row.setAttribute('aria-selected', String(group === selected));
}

/** Draws one visit anew; `select` is called with its group when it is clicked. */
export function drawRow(visit, budgetSeconds, select) {
  const latency = visit.latencySeconds;
  const late = visit.withinBudget !== null && visit.withinBudget < 1;
  const fill = make('span', late ? { class: 'late' } : {});
  place(fill, 0, latency?.max ?? 0, { from: 0, to: budgetSeconds });
  const isAhead = visit.expected === 0;
  const state = visit.status === 'deferred' ? `${count(visit.deferred)} deferred` : visit.status;
  const cells = [
    make(
      'td',
      {},
      make(
        'button',
        { type: 'button', title: `visit ${visit.visit ?? 'not started'}, group ${visit.group}` },
        nameOf(visit),
      ),
    ),
    make('td', {}, make('span', { class: 'band' }, visit.band ?? '–')),
    make('td', {}, make('span', { class: 'state', 'data-state': visit.status }, state)),
    make('td', { class: 'number' }, isAhead ? '–' : `${count(visit.done)}/${count(visit.expected)}`),
    make('td', { class: 'number' }, isAhead ? '–' : count(visit.alerts)),
    make('td', { class: 'number' }, bareSeconds(latency?.p50 ?? null)),
    make('td', { class: 'number' }, bareSeconds(latency?.p98 ?? null)),
    make('td', { class: 'number' }, bareSeconds(latency?.max ?? null)),
    make(
      'td',
      {},
      make(
        'div',
        { class: 'mini', title: latency === null ? null : `last alert after ${seconds(latency.max)}` },
        fill,
      ),
    ),
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

/** Newest first; what is only announced is newer than all that was observed. */
function insertInOrder(row, visit) {
  const key = orderOf(visit);
  row.dataset.order = String(key);
  const body = byId('visits');
  const next = [...body.children].find((other) => other !== row && Number(other.dataset.order) < key) ?? null;
  if (row.parentNode !== body || row.nextSibling !== next) body.insertBefore(row, next);
}

/** Every detector of the night that was given up, newest visits first. */
export function drawDeferred(visits) {
  const all = [...visits]
    .sort((a, b) => orderOf(b) - orderOf(a))
    .flatMap((visit) => visit.reasons.map((why) => ({ visit, ...why })));
  byId('deferred-card').hidden = all.length === 0;
  const rest = all.length - DEFERRED_SHOWN;
  byId('deferred').replaceChildren(
    ...all
      .slice(0, DEFERRED_SHOWN)
      .map(({ visit, detector, stage, code, reason }) =>
        reasonItem('deferred', `visit ${nameOf(visit)}, detector ${detector}, ${stage}: `, reason, code),
      ),
    ...(rest > 0 ? [make('li', {}, `and ${count(rest)} more`)] : []),
  );
}
