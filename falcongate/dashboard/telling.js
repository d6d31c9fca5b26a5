// A document as people read it: lists of names and values, tables where many have the same names, and a bar
// for each attempt. What it does not know is shown, too.

import { drawn, element } from './dom.js';
import { time } from './times.js';
import { isNumber, milliseconds, number, shown } from './words.js';

const DEEPEST = 8;
const MOMENT = /(^|_)at_s$|^(at|ended|since_s|until_s)$/;
const ATTEMPTS = /^(attempts|tried)$/;
const WHOLE = /^(took|total|duration|ended)_(ms|s)$/;
const LENGTH = /_(ms|s)$/;
const FIRST_MOMENT_S = 1e9;

export function tell(document) {
  return isObject(document) ? section(document, 0) : value('', document, 0);
}

function isObject(told) {
  return told !== null && typeof told === 'object' && !Array.isArray(told);
}

function words(key) {
  return shown(key).replace(LENGTH, '').replaceAll('_', ' ');
}

// What is short comes first, and then each part under its own heading.
function section(told, depth) {
  const entries = Object.entries(told);
  const isShort = ([, each]) => !isObject(each) && !isTable(each);
  const short = entries.filter(isShort);
  const names = element('dl', {}, ...short.flatMap(([key, each]) => [
    element('dt', {}, words(key)), element('dd', {}, value(key, each, depth)),
  ]));
  const parts = entries.filter((entry) => !isShort(entry)).map(([key, each]) => element(
    'section', {}, element(`h${Math.min(3 + depth, 6)}`, {}, words(key)), value(key, each, depth + 1),
  ));
  return element('div', { class: 'told-document' }, ...(short.length ? [names] : []), ...parts);
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
  if (isObject(told)) return Object.keys(told).length ? section(told, depth) : element('span', { class: 'muted' }, 'nothing');
  if (typeof told === 'boolean') return told ? 'yes' : 'no';
  if (isNumber(told)) return quantity(key, told);
  return element('bdi', { class: 'long' }, shown(told));
}

function quantity(key, told) {
  if (MOMENT.test(key) && told > FIRST_MOMENT_S) return time(told);
  if (key.endsWith('_ms')) return milliseconds(told);
  if (key.endsWith('_s')) return told < 1 ? milliseconds(1000 * told) : `${number(told)} s`;
  return number(told);
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
    ? keys.map((key) => element('td', isNumber(each[key]) ? { class: 'number' } : {}, value(key, each[key], depth + 1)))
    : [element('td', { colspan: String(keys.length) }, value('', each, depth + 1))])));
  const heads = keys.map((key) => element('th', { scope: 'col' }, words(key)));
  return element('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': 'Table' }, element(
    'table', {}, element('thead', {}, element('tr', {}, ...heads)), element('tbody', {}, ...rows),
  ));
}

function attempts(told, depth) {
  const longest = Math.max(0, ...told.filter(isObject).map(wholeMs));
  return element('ol', { class: 'attempts' }, ...told.map((each) => element(
    'li', {}, ...(isObject(each) ? attempt(each, longest, depth) : [value('', each, depth + 1)]),
  )));
}

function attempt(told, longest, depth) {
  const lengths = lengthsOf(told).map(({ key }) => key);
  const others = Object.fromEntries(Object.entries(told).filter(([key]) => !lengths.includes(key)));
  const parts = partsOf(told);
  const legend = parts.map(({ key, ms }, index) => element(
    'li', {}, element('i', { class: `swatch part-${index % 4}`, 'aria-hidden': 'true' }), `${words(key)} ${milliseconds(ms)}`,
  ));
  legend.push(element('li', { class: 'strong' }, `${milliseconds(wholeMs(told))} in all`));
  return [bar(told, longest), element('ul', { class: 'plain legend' }, ...legend), value('', others, depth + 1)];
}

function partsOf(told) {
  return lengthsOf(told).filter(({ key }) => !WHOLE.test(key));
}

function lengthsOf(told) {
  return Object.entries(told)
    .filter(([key, length]) => LENGTH.test(key) && !MOMENT.test(key) && isNumber(length) && length >= 0)
    .map(([key, length]) => ({ key, ms: key.endsWith('_ms') ? length : 1000 * length }));
}

function wholeMs(told) {
  const lengths = lengthsOf(told);
  const whole = lengths.find(({ key }) => WHOLE.test(key));
  return whole ? whole.ms : lengths.reduce((sum, { ms }) => sum + ms, 0);
}

// The parts of an attempt one after the other, as long as they took compared with the longest attempt.
function bar(told, longest) {
  const parts = partsOf(told);
  const whole = wholeMs(told);
  const percent = (ms) => `${longest ? ((100 * ms) / longest).toFixed(2) : 0}%`;
  let begin = 0;
  const drawnParts = parts.map(({ key, ms }, index) => {
    const width = Math.min(ms, Math.max(whole - begin, 0));
    const rect = drawn(
      'rect', { x: percent(begin), width: percent(width), height: '100%', class: `part-${index % 4}` },
      drawn('title', {}, `${words(key)} ${milliseconds(ms)}`),
    );
    begin += width;
    return rect;
  });
  const inWords = parts.map(({ key, ms }) => `${words(key)} ${milliseconds(ms)}`).join(', ');
  return drawn(
    'svg', { class: 'bar', role: 'img', 'aria-label': `${milliseconds(whole)} in all${inWords && `: ${inWords}`}` },
    drawn('rect', { width: percent(whole), height: '100%', class: 'part-whole' }), ...drawnParts,
  );
}
