// Services: breaker, rates and latency, targets. Those in trouble come first.

import { element, mark, say, showAll } from './dom.js';
import { Plots } from './plots.js';
import { setTime, time } from './times.js';
import { idOfService, levelOfService, levelOfTarget } from './troubles.js';
import { count, isNumber, milliseconds, number, shown, stateOf } from './words.js';

const ORDER = ['bad', 'warn', 'note', 'ok', 'none'];
const HEALTH = { reachable: 'reachable', unreachable: 'unreachable', 'not asked yet': 'not asked yet' };

export class Services {
  #place;
  #count;
  #find;
  #services = [];
  #tools;

  // `change(name, state)` opens the orders for a breaker, `announce` says something.
  constructor({ place, counter, find, change, announce }) {
    this.#place = place;
    this.#count = counter;
    this.#find = find;
    this.#tools = { change, announce };
    find.addEventListener('input', () => this.#draw());
  }

  show(services, { mayChange }) {
    this.#services = services.map((service) => ({ ...service, level: levelOfService(service), mayChange }));
    this.#draw();
  }

  #draw() {
    const wanted = this.#find.value.trim().toLowerCase();
    const chosen = this.#services.filter(({ name }) => String(name).toLowerCase().includes(wanted));
    chosen.sort((one, other) => ORDER.indexOf(one.level) - ORDER.indexOf(other.level)
      || String(one.name).localeCompare(String(other.name)));
    // Nothing moves away under a pointer or from under the keyboard.
    const isInUse = this.#place.matches(':hover, :focus-within') && this.#find.value === '';
    showAll(this.#place, chosen, {
      keyOf: ({ name }) => name, make: (service) => serviceCard(service, this.#tools), keepsOrder: isInUse,
    });
    const all = this.#services.length;
    say(this.#count, chosen.length === all ? String(all) : `${chosen.length} of ${all}`);
  }
}

export function shape(level) {
  return element('span', { class: 'shape', 'data-level': level, 'aria-hidden': 'true' });
}

function serviceCard({ name }, { change, announce }) {
  const title = shown(name);
  const state = stateMark();
  const button = changeButton(title, (state) => change(name, state));
  const about = aboutBreaker();
  const plots = new Plots({
    name: title,
    announce,
    plots: [
      {
        title: `Requests and errors per second of ${title}`,
        words: number,
        lines: [{ key: 'requests_per_s', label: 'requests/s' }, { key: 'errors_per_s', label: 'errors/s' }],
      },
      {
        title: `Latency of ${title}`,
        words: milliseconds,
        lines: [{ key: 'p50_ms', label: 'p50' }, { key: 'p99_ms', label: 'p99' }],
      },
    ],
  });
  const targets = element('ul', { class: 'targets', 'aria-label': `Targets of ${title}` });
  const node = element(
    'article',
    { class: 'service panel', id: idOfService(name), tabindex: '-1', 'aria-label': title },
    element('header', {}, element('h3', {}, element('bdi', {}, title)), state.node, button),
    about.node,
    plots.node,
    targets,
  );
  return {
    node,
    show(service) {
      mark(node, 'data-level', service.level);
      state.show(service.breaker);
      button.hidden = !service.mayChange || !service.breaker;
      button.dataset.state = service.breaker?.state ?? '';
      about.show(service.breaker);
      plots.show(service.series, service.now);
      showAll(targets, service.targets.map((target) => ({ ...target, service: name, mayChange: service.mayChange })), {
        keyOf: ({ url }) => url, make: (target) => targetLine(target, change),
      });
    },
  };
}

function targetLine({ url, service }, change) {
  const its = shape('none');
  const health = element('span', { class: 'health' });
  const inFlight = element('span', { class: 'muted' });
  const state = stateMark();
  const name = `${service}@${String(url).replace(/^[^/]*:\/\//, '')}`;
  const button = changeButton(shown(name), (state) => change(name, state));
  const about = aboutBreaker();
  const node = element(
    'li', {}, its, element('bdi', { class: 'url' }, shown(url)), health, inFlight, state.node, button, about.node,
  );
  return {
    node,
    show(target) {
      mark(its, 'data-level', levelOfTarget(target));
      say(health, HEALTH[target.health] ?? shown(target.health));
      say(inFlight, `${number(target.in_flight)} in flight`);
      state.node.hidden = !target.breaker;
      state.show(target.breaker);
      button.hidden = !target.mayChange || !target.breaker;
      button.dataset.state = target.breaker?.state ?? '';
      about.show(target.breaker);
    },
  };
}

function changeButton(title, change) {
  const button = element('button', { type: 'button', class: 'change', 'aria-haspopup': 'dialog' }, 'Change…');
  button.setAttribute('aria-label', `Change the breaker of ${title}…`);
  button.addEventListener('click', () => change(button.dataset.state));
  return button;
}

function stateMark() {
  const its = shape('none');
  const words = element('span');
  return {
    node: element('span', { class: 'state' }, its, words),
    show(breaker) {
      const { words: said, level } = stateOf(breaker);
      mark(this.node, 'data-level', level);
      mark(its, 'data-level', level);
      say(words, said);
    },
  };
}

// Since when, until when, who and why, and what was counted; nothing where all is as it should be.
function aboutBreaker() {
  const since = time(0);
  const until = time(0);
  const untilPart = element('span', {}, 'until ', until);
  const why = element('bdi', { class: 'why' });
  const counts = element('span', { class: 'muted' });
  return {
    node: element('p', { class: 'about' }, element('span', {}, 'since ', since), untilPart, why, counts),
    show(breaker) {
      this.node.hidden = !breaker || breaker.state === 'CLOSED';
      if (this.node.hidden) return;
      setTime(since, breaker.since_s);
      setTime(until, breaker.until_s);
      untilPart.hidden = !isNumber(breaker.until_s) || breaker.until_s <= 0;
      say(why, [breaker.by && `by ${shown(breaker.by)}`, shown(breaker.why)].filter(Boolean).join(': '));
      say(counts, `${count(breaker.calls, 'call')}, ${number(breaker.failures)} failed, ${number(breaker.slow)} slow`);
    },
  };
}
