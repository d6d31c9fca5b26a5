// Limits, hosts, transitions and refusals: tables that are lists of cards where it is narrow.

import { element, say, showAll } from './dom.js';
import { shape } from './services.js';
import { time } from './times.js';
import { isNumber, milliseconds, number, shown, span, stateOf } from './words.js';

const stranger = (text, className = '') => element('bdi', className ? { class: className } : {}, shown(text));
const amount = (value) => [number(value)];
const stateWords = (state) => {
  const { words, level } = stateOf({ state });
  return element('span', { class: 'state', 'data-level': level }, shape(level), words);
};

const HOSTS = {
  empty: 'No hosts are known: without Redis, gateways do not know of each other.',
  keyOf: ({ name }) => name,
  columns: [
    ['Host', (host) => [stranger(host.name, 'long'), ...(host.is_this ? [' ', element('span', { class: 'tag' }, 'this one')] : [])]],
    ['Workers', (host) => amount(host.workers), 'number'],
    ['Version', (host) => [stranger(host.version)]],
    ['Configuration', (host) => [stranger(host.config, 'code'), ...(host.differs
      ? [' ', element('span', { class: 'state', 'data-level': 'warn' }, shape('warn'), 'differs')] : [])]],
  ],
};

const LIMITS = {
  empty: 'No limits are set.',
  keyOf: ({ name }) => name,
  columns: [
    ['Limit', (limit) => [stranger(limit.name, 'strong'), ...(limit.mode === 'enforce' ? [] : [' ', element('span', { class: 'tag' }, shown(limit.mode))])]],
    ['Rate', (limit) => [shown(limit.rates.join(', ')), element('span', { class: 'muted' }, ` by ${shown(limit.key.join(' + ')) || 'all together'}`)]],
    ['Admitted', (limit) => amount(limit.admitted), 'number'],
    ['Refused', (limit) => (limit.mode === 'shadow' ? [`${number(limit.would_refuse)} would be`] : amount(limit.refused)), 'number'],
    ['Refused most', (limit) => [callersOf(limit.top)]],
  ],
};

const TRANSITIONS = {
  empty: 'No breaker has changed its state yet.',
  keyOf: ({ at_s: at, name, state }) => `${at} ${name} ${state}`,
  columns: [
    ['When', ({ at_s: at }) => [time(at)]],
    ['Breaker', ({ name }) => [stranger(name, 'strong long')]],
    ['Change', ({ before, state }) => [stateWords(before), element('span', { class: 'to' }, element('span', { 'aria-hidden': 'true' }, '→'), element('span', { class: 'unseen' }, 'to')), stateWords(state)]],
    ['Calls', ({ calls, failures, slow }) => [`${number(calls)}, ${number(failures)} failed, ${number(slow)} slow`]],
    ['Why', ({ by, why }) => [stranger([by && `by ${by}`, why].filter(Boolean).join(': '), 'long')]],
  ],
};

const NOT_KEPT = 'Not known: without Redis, or with decisions.keep = 0, this gateway keeps no decisions.';

const REFUSALS = {
  empty: 'Nothing was refused yet.',
  keyOf: ({ at_s: at, request_id: id }) => `${at} ${id}`,
  columns: [
    ['When', ({ at_s: at }) => [time(at)]],
    ['Request', ({ method, path }) => [stranger(method, 'code'), ' ', stranger(path, 'code long')]],
    ['Service', ({ service }) => [service ? stranger(service) : '–']],
    ['Answer', ({ status, problem }) => [`${shown(status)} `, stranger(problem)]],
    ['By', ({ refused_by: by }) => [by.length ? stranger(by.join(', ')) : '–']],
    ['Took', ({ duration_ms: took }) => [milliseconds(took)], 'number'],
    ['', ({ request_id: id }) => [whyLink(id)]],
  ],
};

export class Tables {
  #hosts;
  #limits;
  #transitions;
  #refusals;
  #redis;

  constructor(placeOf) {
    this.#hosts = new Table(placeOf('hosts'), HOSTS);
    this.#limits = new Table(placeOf('limits'), LIMITS);
    this.#transitions = new Table(placeOf('transitions'), TRANSITIONS);
    this.#refusals = new Table(placeOf('refusals'), REFUSALS);
    this.#redis = { shape: shape('none'), words: element('span') };
    placeOf('redis').append(this.#redis.shape, this.#redis.words);
  }

  show({ gateway, hosts, limits, transitions, refusals, redis }) {
    this.#hosts.show(hosts);
    this.#limits.show([...limits].sort((one, other) => (other.refused ?? 0) - (one.refused ?? 0)));
    this.#transitions.show([...transitions].sort((one, other) => other.at_s - one.at_s));
    this.#refusals.show(
      [...refusals].sort((one, other) => other.at_s - one.at_s),
      gateway.is_keeping === false ? NOT_KEPT : REFUSALS.empty,
    );
    const level = { connected: 'ok', unreachable: 'bad' }[redis.state] ?? 'none';
    this.#redis.shape.dataset.level = level;
    say(this.#redis.words, redisInWords(redis));
  }
}

class Table {
  #plan;
  #body = element('tbody', { role: 'rowgroup' });
  #empty;
  #scroller;

  constructor(place, plan) {
    this.#plan = plan;
    this.#empty = element('p', { class: 'muted' }, plan.empty);
    const title = place.closest('section').getAttribute('aria-labelledby');
    const heads = plan.columns.map(([name, , kind]) => element(
      'th', { role: 'columnheader', scope: 'col', ...(kind && { class: kind }) }, name || element('span', { class: 'unseen' }, 'Why'),
    ));
    // The roles are said because a table that is laid out as cards is none for some browsers.
    this.#scroller = element('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-labelledby': title }, element(
      'table', { role: 'table', 'aria-labelledby': title },
      element('thead', { role: 'rowgroup' }, element('tr', { role: 'row' }, ...heads)), this.#body,
    ));
    place.append(this.#empty, this.#scroller);
  }

  show(items, empty = this.#plan.empty) {
    say(this.#empty, empty);
    this.#empty.hidden = items.length > 0;
    this.#scroller.hidden = items.length === 0;
    showAll(this.#body, items, { keyOf: this.#plan.keyOf, make: () => this.#row() });
  }

  #row() {
    const node = element('tr', { role: 'row' });
    let told = '';
    return {
      node,
      show: (item) => {
        const text = JSON.stringify(item);
        if (text === told) return;
        told = text;
        node.replaceChildren(...this.#plan.columns.map(([name, cell, kind]) => element(
          'td', { role: 'cell', 'data-label': name, ...(kind && { class: kind }) }, element('div', {}, ...cell(item)),
        )));
      },
    };
  }
}

function callersOf(top) {
  if (!top.length) return element('span', { class: 'muted' }, 'nobody');
  return element('ul', { class: 'callers' }, ...top.map(({ caller, refused }) => element(
    'li', {}, stranger(caller, 'long'), element('span', { class: 'muted' }, ` ${number(refused)}`),
  )));
}

function whyLink(id) {
  if (!id) return '';
  return element('a', { href: `#why=${encodeURIComponent(id)}`, 'aria-label': `Why, of request ${shown(id)}` }, 'Why?');
}

function redisInWords({ state, is_embedded: isEmbedded, latency_ms: latency }) {
  if (state === 'none') return 'No Redis: limits and breakers are this worker’s own.';
  const kind = isEmbedded ? 'The gateway’s own Redis' : 'Redis';
  if (state !== 'connected') return `${kind} is ${shown(state)}.`;
  return `${kind} is connected${isNumber(latency) ? `, and answers in ${milliseconds(latency)}` : ''}.`;
}

export function uptime(startedS, atS) {
  return isNumber(startedS) && isNumber(atS) ? `up ${span(atS - startedS)}` : '';
}
