// Small helpers: everything that comes from outside is put on the page as text, never as markup.

const STEPS = [
  'ingest',
  'isr',
  'calibrate',
  'difference',
  'detect',
  'measure',
  'associate',
  'packet',
  'distribute',
  'archive',
];

/** An element with a class, attributes and children; strings become text. */
export function make(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (value === null || value === undefined) continue;
    if (name === 'class') element.className = value;
    else if (name === 'onclick') element.addEventListener('click', value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

export function setText(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

/** A figure with its unit set small. */
export function setFigure(id, value, unit = '') {
  byId(id).replaceChildren(value, ...(unit === '' ? [] : [make('small', {}, unit)]));
}

/** Place `element` between two values of a scale from `from` to `to`, in per cent of its parent. */
export function place(element, start, end, { from, to }) {
  const percent = (value) => Math.min(100, Math.max(0, ((value - from) / (to - from)) * 100));
  element.style.left = `${percent(start)}%`;
  if (end !== null) element.style.width = `${percent(end) - percent(start)}%`;
  return element;
}

/** The colour of a step; none for waiting, which the style sheet hatches. */
export function stepColor(step) {
  if (step === 'waiting') return '';
  return STEPS.includes(step) ? `var(--${step})` : 'var(--quiet)';
}

export function seconds(value) {
  if (value === null || value === undefined) return '–';
  if (value < 0.0995) return `${Math.round(value * 1000)} ms`;
  return value < 9.95 ? `${value.toFixed(1)} s` : `${Math.round(value)} s`;
}

export function bareSeconds(value) {
  return value === null ? '–' : value < 9.95 ? value.toFixed(1) : String(Math.round(value));
}

export function count(value) {
  return value === null || value === undefined ? '–' : value.toLocaleString('en-US');
}

export function plural(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Whole steps of 1, 2 or 5 · 10ⁿ that divide a span into about five. */
export function ticks(from, to) {
  const rough = (to - from) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(6)));
}

/** "edge 3, saturated 1": the largest first. */
export function reasonsText(byReason) {
  return Object.entries(byReason)
    .sort((a, b) => b[1] - a[1])
    .map(([reason, value]) => `${reason} ${count(value)}`)
    .join(', ');
}

/** The number of a visit in its night; before the first exposure it has none. */
export function nameOf({ sequence }) {
  return sequence === null ? 'next' : String(sequence);
}

export function orderOf({ sequence, announcedMs }) {
  return sequence === null ? 1e9 + (announcedMs ?? 0) : sequence;
}

export function reasonItem(state, where, reason, code) {
  return make('li', { 'data-state': state }, make('b', {}, where), reason, ' ', make('span', {}, `(${code})`));
}
