// Moments as they are shown: local time, and an age that goes on while nothing else changes.

import { element, mark, say } from './dom.js';
import { age, isNumber, moment, timeOfDay } from './words.js';

let aheadS = 0;

// The gateway's clock: ages are told by it, because a browser's may be wrong.
export function setClock(atS) {
  if (isNumber(atS)) aheadS = atS - Date.now() / 1000;
}

export function now() {
  return Date.now() / 1000 + aheadS;
}

export function time(unixS) {
  const node = element('time');
  setTime(node, unixS);
  return node;
}

export function setTime(node, unixS) {
  if (!isNumber(unixS) || unixS <= 0) {
    node.removeAttribute('data-at');
    return say(node, '–');
  }
  mark(node, 'data-at', String(unixS));
  mark(node, 'datetime', new Date(unixS * 1000).toISOString());
  mark(node, 'title', moment(unixS));
  return tell(node);
}

export function tellAges(root = document) {
  for (const node of root.querySelectorAll('time[data-at]')) tell(node);
}

function tell(node) {
  const unixS = Number(node.dataset.at);
  const old = now() - unixS;
  const clock = Math.abs(old) < 86400 ? timeOfDay(unixS) : moment(unixS);
  say(node, `${clock} (${age(old)})`);
}
