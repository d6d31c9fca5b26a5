// A document as people read it: lists of names and values, tables where many have the same names, and a bar
// for each attempt. What it does not know is shown, too.

import { drawn, element } from './dom.js';
import { time } from './times.js';
import { isNumber, milliseconds, number, shown } from './words.js';

const DEEPEST = 8;
const ROOM = 30;
const MOMENT = /^(at|since|until)_s$/;
const ATTEMPTS = /^(attempts|tried)$/;
const LENGTH = /_(ms|s)$/;
const FIRST_MOMENT_S = 1e9;
// Of an attempt, in milliseconds since the request came; and what led there.
const MOMENTS = [
  ['began_ms', ''], ['connected_ms', 'connect'], ['sent_ms', 'send'], ['answered_ms', 'wait'], ['ended_ms', 'receive'],
];

export function tell(document) {
  return isObject(document) ? section(document, 0) : value('', document, 0);
}

function isObject(told) {
  return told !== null && typeof told === 'object' && !Array.isArray(told);
}

function words(key) {
  return shown(key).replace(/^is_/, '').replace(LENGTH, '').replaceAll('_', ' ');
}

function isEmpty([key, told]) {
  return told === null || told === '' || (MOMENT.test(key) && told === 0)
    || (typeof told === 'object' && !Object.keys(told).length);
}

function isLong(told) {
  return typeof told === 'string' && told.length > ROOM;
}

// What is short comes first, then the names of what is empty, and then each part under its own heading.
function section(told, depth) {
  const empty = Object.entries(told).filter(isEmpty).map(([key]) => words(key));
  const entries = Object.entries(told).filter((entry) => !isEmpty(entry));
  const isShort = ([, each]) => !isObject(each) && !isTable(each);
  const short = entries.filter(isShort);
  const names = element('dl', {}, ...short.map(([key, each]) => element(
    'div', isLong(each) ? { class: 'whole' } : {}, element('dt', {}, words(key)), element('dd', {}, value(key, each, depth)),
  )));
  const parts = entries.filter((entry) => !isShort(entry)).map(([key, each]) => element(
    'section', {}, element(`h${Math.min(3 + depth, 6)}`, {}, words(key)), value(key, each, depth + 1),
  ));
  const nothing = element('p', { class: 'muted' }, `Empty: ${empty.join(', ')}`);
  return element(
    'div', { class: 'told-document' }, ...(short.length ? [names] : []), ...(empty.length ? [nothing] : []), ...parts,
  );
}

function isTable(told) {
  return Array.isArray(told) && told.some(isObject);
}

function value(key, told, depth) {
  if (told === null || told === undefined || told === '') return element('span', { class: 'muted' }, '–');
  if (depth > DEEPEST) return element('bdi', {}, shown(JSON.stringify(told)));
  if (isTable(told)) {
    if (ATTEMPTS.test(key)) return attempts(told, depth);
    return told.every(isFlat) ? table(told, depth) : several(told, depth);
  }
  if (Array.isArray(told)) return listOf(key, told, depth);
  if (isObject(told)) return section(told, depth);
  if (typeof told === 'boolean') return told ? 'yes' : 'no';
  if (isNumber(told)) return quantity(key, told);
  return element('bdi', { class: 'long' }, shown(told));
}

function quantity(key, told) {
  if (MOMENT.test(key)) return told > FIRST_MOMENT_S ? time(told) : '–';
  if (key.endsWith('_ms')) return milliseconds(told);
  if (key.endsWith('_s')) return told < 1 ? milliseconds(1000 * told) : `${number(told)} s`;
  return Number.isInteger(told) ? String(told) : number(told);
}

function listOf(key, told, depth) {
  if (!told.length) return element('span', { class: 'muted' }, 'none');
  return element('ul', { class: 'plain' }, ...told.map((each) => element('li', {}, value(key, each, depth + 1))));
}

function isFlat(told) {
  return !isObject(told) || Object.values(told).every((each) => !isObject(each) && !isTable(each));
}

function several(told, depth) {
  return element('ol', { class: 'several' }, ...told.map((each) => element('li', {}, value('', each, depth + 1))));
}

function table(told, depth) {
  const keys = [...new Set(told.filter(isObject).flatMap(Object.keys))];
  const rows = told.map((each) => element('tr', {}, ...(isObject(each)
    ? keys.map((key) => element('td', {}, value(key, each[key], depth + 1)))
    : [element('td', { colspan: String(keys.length) }, value('', each, depth + 1))])));
  const heads = keys.map((key) => element('th', { scope: 'col' }, words(key)));
  return element('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': 'Table' }, element(
    'table', {}, element('thead', {}, element('tr', {}, ...heads)), element('tbody', {}, ...rows),
  ));
}

function attempts(told, depth) {
  const whole = Math.max(0, ...told.filter(isObject).map((each) => each.ended_ms).filter(isNumber));
  return element('ol', { class: 'attempts' }, ...told.map((each) => element(
    'li', {}, ...(isObject(each) ? attempt(each, whole, depth) : [value('', each, depth + 1)]),
  )));
}

function attempt(told, wholeMs, depth) {
  const parts = partsOf(told);
  if (!parts.length) return [value('', told, depth + 1)];
  const others = Object.fromEntries(Object.entries(told).filter(([key]) => !MOMENTS.some(([moment]) => moment === key)));
  const legend = parts.map(({ name, kind, ms }) => element(
    'li', {}, element('i', { class: `swatch part-${kind}`, 'aria-hidden': 'true' }), `${name} ${milliseconds(ms)}`,
  ));
  legend.push(element('li', { class: 'muted' }, `began after ${milliseconds(told.began_ms)}`));
  return [bar(parts, wholeMs), element('ul', { class: 'plain legend' }, ...legend), value('', others, depth + 1)];
}

// What took how long. Where it did not come to a moment, the rest was what should have led there.
function partsOf(told) {
  const { began_ms: began, ended_ms: ended } = told;
  if (!isNumber(began) || !isNumber(ended)) return [];
  const parts = [];
  let from = began;
  for (const [kind, [moment, name]] of MOMENTS.slice(1).entries()) {
    const isLast = !isNumber(told[moment]);
    const to = isLast ? ended : told[moment];
    parts.push({ name, kind, from, ms: Math.max(to - from, 0) });
    if (isLast) break;
    from = to;
  }
  return parts;
}

// Its parts one after the other, on the time from the request to the end of the last attempt.
function bar(parts, wholeMs) {
  const percent = (ms) => `${wholeMs ? ((100 * ms) / wholeMs).toFixed(2) : 0}%`;
  const inWords = parts.map(({ name, ms }) => `${name} ${milliseconds(ms)}`).join(', ');
  return drawn('svg', { class: 'bar', role: 'img', 'aria-label': inWords }, ...parts.map(({ kind, from, ms }) => drawn(
    'rect', { x: percent(from), width: percent(ms), height: '100%', class: `part-${kind}` },
  )));
}
