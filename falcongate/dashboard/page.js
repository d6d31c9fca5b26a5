// The page: pictures of the gateway come in by the feed, each part shows its own.

import { element, mark, say, showAll } from './dom.js';
import { Feed } from './feed.js';
import { Orders } from './orders.js';
import { pictureOf } from './picture.js';
import { Services, shape } from './services.js';
import { Tables, uptime } from './tables.js';
import { now, setClock, tellAges } from './times.js';
import { troublesOf, worst } from './troubles.js';
import { age, brief, count } from './words.js';
import { Why } from './why.js';

const MOST_TROUBLES = 12;
const QUIET_MS = 5000;
const FEED = {
  live: () => 'Live',
  polling: () => 'Polling every 2 s',
  lost: (old) => `Lost, last seen ${old}`,
};
const placeOf = (id) => document.getElementById(id);

let picture = null;
let feed = { state: 'none' };
let isDrawn = true;
let announced = '';
let announcedAt = -Infinity;

const orders = new Orders(placeOf('order'));
const why = new Why(placeOf('why'), { instead: placeOf('refusals-title') });
const services = new Services({
  place: placeOf('services'),
  counter: placeOf('services-count'),
  find: placeOf('find'),
  change: (name, state) => orders.open(name, state),
  announce: (text) => say(placeOf('said'), text),
});
const tables = new Tables(placeOf);

placeOf('ask').addEventListener('submit', (event) => {
  event.preventDefault();
  const id = event.target.elements.id.value.trim();
  if (id) why.ask(id);
});

function draw() {
  isDrawn = true;
  setClock(picture.at_s);
  const { you, gateway } = picture;
  say(placeOf('rights'), you.may_change ? '' : ', who may look and not change');
  say(placeOf('gateway'), [
    gateway.version, gateway.host, gateway.config && `configuration ${gateway.config}`, uptime(gateway.started_s, picture.at_s),
  ].filter(Boolean).map(brief).join(' · '));
  services.show(picture.services, { mayChange: Boolean(you.may_change) });
  tables.show(picture);
  drawTroubles();
  tellAges();
}

function drawTroubles() {
  const troubles = picture ? troublesOf(picture) : [];
  if (feed.state === 'lost') {
    const text = picture ? `${feed.why} What is shown is from ${age(now() - picture.at_s)}.` : feed.why;
    troubles.unshift({ key: 'lost', level: 'bad', text, href: '#feed' });
  }
  const summary = summaryOf(troubles);
  mark(placeOf('glance'), 'data-level', picture || troubles.length ? worst([...troubles.map(({ level }) => level), 'ok']) : 'none');
  say(placeOf('summary'), summary);
  const more = troubles.length - MOST_TROUBLES;
  const chosen = troubles.slice(0, MOST_TROUBLES);
  if (more > 0) chosen.push({ key: 'more', level: 'note', text: `and ${more} more`, href: '#services-title' });
  showAll(placeOf('troubles'), chosen, { keyOf: ({ key, level }) => `${level} ${key}`, make: troubleItem });
  announce(troubles, summary);
}

function summaryOf(troubles) {
  if (!picture && !troubles.length) return 'Waiting for the first picture';
  const bad = troubles.filter(({ level }) => level === 'bad').length;
  const warn = troubles.filter(({ level }) => level === 'warn').length;
  if (!bad && !warn) return troubles.length ? 'All works' : 'All is well';
  return [bad && `${count(bad, 'thing is', 'things are')} broken`, warn && `${count(warn, 'thing needs', 'things need')} a look`]
    .filter(Boolean).join(', ');
}

function troubleItem({ level, href }) {
  const words = element('span');
  return {
    node: element('li', {}, element('a', { href, 'data-level': level }, shape(level), words)),
    show: ({ text }) => say(words, text),
  };
}

// What is new is said aloud, not how old it gets, and not more often than somebody can listen.
function announce(troubles, summary) {
  const keys = JSON.stringify(troubles.filter(({ level }) => level !== 'note').map(({ key, level }) => [level, key]));
  if (keys === announced || performance.now() - announcedAt < QUIET_MS || !(picture || troubles.length)) return;
  announced = keys;
  announcedAt = performance.now();
  const first = troubles.filter(({ level }) => level === 'bad' || level === 'warn').slice(0, 3).map(({ text }) => text);
  say(placeOf('said'), [summary, ...first].join('. '));
}

function showFeed() {
  mark(placeOf('feed'), 'data-state', feed.state);
  const words = FEED[feed.state];
  if (words) say(placeOf('feed').querySelector('.words'), words(picture ? age(now() - picture.at_s) : 'never'));
}

new Feed({
  onPicture(told) {
    picture = pictureOf(told);
    if (!isDrawn) return;
    isDrawn = false;
    requestAnimationFrame(draw);
  },
  onState(state) {
    feed = state;
    showFeed();
    drawTroubles();
  },
}).start();

setInterval(() => {
  tellAges();
  showFeed();
  if (feed.state === 'lost') drawTroubles();
}, 1000);
why.follow();
