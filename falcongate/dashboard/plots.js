// Small plots over the same time, with one cursor for all of them.

import { drawn, element, mark, say } from './dom.js';
import { now } from './times.js';
import { age, isNumber, timeOfDay } from './words.js';

const WIDTH = 300;
const HEIGHT = 60;
const STEPS = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];

// `plots` are { title, words, lines: [{ key, label }] }; `words` renders a value.
export class Plots {
  #plots;
  #series = null;
  #drawn = '';
  #values = {};
  #at = null;
  #announce;

  constructor({ name, plots, announce }) {
    this.#announce = announce;
    this.#plots = plots.map((plot) => new Plot(plot));
    this.node = element(
      'div',
      { class: 'plots', tabindex: '0', role: 'group', 'aria-label': `Plots of ${name}; arrow keys read single values` },
      ...this.#plots.map((plot) => plot.node),
    );
    this.node.addEventListener('pointermove', (event) => this.#point(event));
    this.node.addEventListener('pointerdown', (event) => this.#point(event));
    this.node.addEventListener('pointerleave', () => this.#read(null));
    this.node.addEventListener('blur', () => this.#read(null));
    this.node.addEventListener('keydown', (event) => this.#step(event));
  }

  // `series` as in the picture, `values` are those of now.
  show(series, values) {
    const moved = this.#series && isNumber(series.from_s) && isNumber(series.step_s)
      ? Math.round((series.from_s - this.#series.from_s) / series.step_s) : 0;
    this.#series = series;
    this.#values = values;
    if (this.#at !== null) this.#at = Math.max(0, Math.min(this.#at - moved, this.#length() - 1));
    // It changes with each of its steps only, and drawing is the most that there is to do.
    const text = JSON.stringify(series);
    if (text !== this.#drawn) for (const plot of this.#plots) plot.draw(series);
    this.#drawn = text;
    this.#tell();
  }

  #length() {
    return this.#series ? Math.max(...this.#plots.map((plot) => plot.lengthIn(this.#series))) : 0;
  }

  #point({ target, clientX }) {
    const box = target.closest('svg')?.getBoundingClientRect();
    if (!box || !box.width || !this.#length()) return;
    this.#read(Math.round(((clientX - box.left) / box.width) * (this.#length() - 1)));
  }

  #step(event) {
    const last = this.#length() - 1;
    const to = {
      ArrowLeft: (this.#at ?? last + 1) - 1, ArrowRight: (this.#at ?? last) + 1, Home: 0, End: last, Escape: null,
    }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey || last < 0) return;
    event.preventDefault();
    this.#read(to);
    if (to !== null) this.#announce(this.#inWords());
  }

  #read(at) {
    this.#at = at === null ? null : Math.max(0, Math.min(at, this.#length() - 1));
    this.#tell();
  }

  #tell() {
    for (const plot of this.#plots) plot.tell(this.#series, this.#values, this.#at);
  }

  #inWords() {
    return [this.#plots[0].when(), ...this.#plots.map((plot) => plot.inWords())].join(', ');
  }
}

class Plot {
  #title;
  #words;
  #lines;
  #length = 0;
  #top = element('span', { class: 'axis upper' });
  #svg;
  #cursor = drawn('path', { class: 'cursor' });
  #from = element('span');
  #when = element('b');

  constructor({ title, words, lines }) {
    this.#title = title;
    this.#words = words;
    this.#lines = lines.map(({ key, label }) => ({
      key,
      label,
      path: drawn('path', { class: `line ${key}` }),
      dots: drawn('path', { class: `dots ${key}` }),
      area: drawn('path', { class: `area ${key}` }),
      value: element('b'),
    }));
    this.#svg = drawn(
      'svg',
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' },
      drawn('path', { class: 'grid', d: `M0 0H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT}H${WIDTH}` }),
      ...this.#lines.map((line) => line.area),
      ...this.#lines.map((line) => line.path),
      ...this.#lines.map((line) => line.dots),
      this.#cursor,
    );
    this.node = element(
      'figure',
      { class: 'plot' },
      element('figcaption', {}, ...this.#lines.map(({ key, label, value }) => element(
        'span', { class: `reading ${key}` }, element('i', { class: 'swatch', 'aria-hidden': 'true' }), `${label} `, value,
      ))),
      element('div', { class: 'canvas' }, this.#top, element('span', { class: 'axis lower' }, '0'), this.#svg),
      element('p', { class: 'span', 'aria-hidden': 'true' }, this.#from, this.#when, element('span', {}, 'now')),
    );
  }

  lengthIn(series) {
    return Math.max(...this.#lines.map(({ key }) => series[key].length));
  }

  draw(series) {
    this.#length = this.lengthIn(series);
    const values = this.#lines.flatMap(({ key }) => series[key]).filter(isNumber);
    const top = roundUp(Math.max(0, ...values));
    say(this.#top, values.length ? this.#words(top) : '');
    say(this.#from, values.length && isNumber(series.from_s) ? age(now() - series.from_s) : '');
    for (const { key, path, dots, area } of this.#lines) {
      const runs = runsOf(series[key], this.#length, top);
      mark(path, 'd', runs.map((run) => `M${run.map(([x, y]) => `${x} ${y}`).join('L')}`).join(''));
      // A point that stands alone would be a line without a length.
      mark(dots, 'd', runs.filter((run) => run.length === 1).map(([[x, y]]) => `M${x} ${y}h0`).join(''));
      mark(area, 'd', runs.map((run) => `M${run[0][0]} ${HEIGHT}L${run.map(([x, y]) => `${x} ${y}`).join('L')}L${run.at(-1)[0]} ${HEIGHT}Z`).join(''));
    }
    const told = this.#lines.map(({ key, label }) => {
      const known = series[key].filter(isNumber);
      return known.length
        ? `${label}: last ${this.#words(known.at(-1))}, between ${this.#words(Math.min(...known))} and ${this.#words(Math.max(...known))}`
        : `${label}: nothing yet`;
    });
    mark(this.#svg, 'aria-label', `${this.#title}. ${told.join('; ')}.`);
  }

  when() {
    return this.#when.textContent;
  }

  // The values where the cursor is, or those of now.
  tell(series, values, at) {
    const x = this.#length > 1 ? ((at ?? 0) / (this.#length - 1)) * WIDTH : 0;
    mark(this.#cursor, 'd', at === null ? '' : `M${x.toFixed(1)} 0V${HEIGHT}`);
    const moment = at === null || !isNumber(series.from_s) ? '' : timeOfDay(series.from_s + at * series.step_s);
    say(this.#when, moment);
    for (const { key, value } of this.#lines) say(value, this.#words(at === null ? values[key] : series[key][at]));
  }

  inWords() {
    return this.#lines.map(({ label, value }) => `${label} ${value.textContent}`).join(', ');
  }
}

// What is drawn in one go: values without a gap between them. The end of the series is at the right. A line of
// nothing but zeros is none: it would look as if there was something.
function runsOf(values, length, top) {
  if (!values.some((value) => value > 0)) return [];
  const runs = [];
  let run = null;
  values.forEach((value, index) => {
    if (!isNumber(value)) {
      run = null;
      return;
    }
    if (!run) runs.push((run = []));
    const x = length > 1 ? (index / (length - 1)) * WIDTH : WIDTH;
    run.push([tenth(x), tenth(HEIGHT - (value / top) * HEIGHT)]);
  });
  return runs;
}

function tenth(value) {
  return Math.round(value * 10) / 10;
}

// The next round number, so that the scale is the same for most pictures.
export function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return STEPS.find((step) => step * power >= value * 0.999) * power;
}
