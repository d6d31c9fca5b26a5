// Orders to breakers: a dialog that asks for the reason, gives the order and says what became of it.

import { element, say } from './dom.js';
import { refusalIn } from './feed.js';
import { moment, shown, stateOf } from './words.js';

const ORDERS = [
  { order: 'disable', title: 'Disable', about: 'takes it out of traffic; callers are told that it is disabled', ends: true },
  { order: 'enable', title: 'Enable', about: 'ends what disable, open or close began' },
  { order: 'reset', title: 'Reset', about: 'closes it, whatever its state, and forgets all counts' },
  { order: 'open', title: 'Open', about: 'refuses all requests, as if it had failed', ends: true },
  { order: 'close', title: 'Close', about: 'lets all requests pass, whatever fails', ends: true },
];
const HELD = ['DISABLED', 'FORCED_OPEN', 'FORCED_CLOSED'];
const LONGEST_REASON = 200;
const ANSWER_WITHIN_MS = 15000;

export class Orders {
  #dialog;
  #title = element('h2', { id: 'order-title' });
  #form;
  #length;
  #lengthPart;
  #reason;
  #told = element('p', { role: 'alert', class: 'told' });
  #give = element('button', { type: 'submit', class: 'main' });
  #cancel = element('button', { type: 'button' }, 'Cancel');
  #name = '';
  #opener = null;

  constructor(dialog) {
    this.#dialog = dialog;
    this.#length = element('input', {
      name: 'for', autocomplete: 'off', pattern: '[1-9][0-9]{0,6}[smhd]', placeholder: '15m', 'aria-describedby': 'length-about',
    });
    this.#reason = element('input', { name: 'reason', required: '', autocomplete: 'off', maxlength: String(LONGEST_REASON) });
    this.#lengthPart = element(
      'label', { class: 'field' }, 'For how long ', this.#length,
      element('small', { id: 'length-about', class: 'muted' }, 'Like 90s, 15m, 2h or 7d. Empty: until it is enabled or reset.'),
    );
    this.#form = element(
      'form', {},
      element('fieldset', {}, element('legend', {}, 'Order'), ...ORDERS.map(choice)),
      this.#lengthPart,
      element('label', { class: 'field' }, 'Reason ', this.#reason,
        element('small', { class: 'muted' }, 'For those who look later; it is kept with your name.')),
      this.#told,
      element('div', { class: 'buttons' }, this.#cancel, this.#give),
    );
    dialog.append(this.#title, this.#form);
    this.#form.addEventListener('change', () => this.#suit());
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#cancel.addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => this.#opener?.isConnected && this.#opener.focus());
  }

  // Ask for an order to the breaker of this name, which is in this state.
  open(name, state) {
    this.#opener = document.activeElement;
    this.#name = name;
    this.#form.reset();
    this.#busy(false);
    this.#give.hidden = false;
    say(this.#cancel, 'Cancel');
    say(this.#told, '');
    this.#told.removeAttribute('data-level');
    this.#title.replaceChildren('Change the breaker of ', element('bdi', {}, shown(name)), ` (${stateOf({ state }).words})`);
    this.#form.elements.order.value = HELD.includes(state) ? 'enable' : state === 'CLOSED' ? 'disable' : 'reset';
    this.#suit();
    this.#dialog.showModal();
    this.#reason.focus();
  }

  #suit() {
    const { title, ends } = this.#chosen();
    this.#lengthPart.hidden = !ends;
    this.#length.disabled = !ends;
    say(this.#give, title);
  }

  #chosen() {
    return ORDERS.find(({ order }) => order === this.#form.elements.order.value);
  }

  async #send() {
    const { order, ends } = this.#chosen();
    const said = { reason: this.#reason.value.trim() };
    if (!said.reason) return this.#tell('bad', 'Say why: somebody will want to know.');
    if (ends && this.#length.value.trim()) said.for = this.#length.value.trim();
    this.#busy(true);
    say(this.#told, '');
    try {
      const answer = await fetch(`/circuit-breaker/${order}/${encodeURIComponent(this.#name)}`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
        body: JSON.stringify(said),
        signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      });
      const text = await answer.text();
      if (answer.ok) this.#done(JSON.parse(text));
      else this.#tell('bad', refusalIn(text, answer.status));
    } catch {
      this.#tell('bad', 'No answer came. Look at the state before you try again: the order may have been carried out.');
    }
    this.#busy(false);
  }

  #done({ state, until, by }) {
    const { words } = stateOf({ state });
    const end = Date.parse(until ?? '');
    this.#tell('ok', `Done: it is ${words}${end ? ` until ${moment(end / 1000)}` : ''}${by ? `, by ${shown(by)}` : ''}.`);
    this.#give.hidden = true;
    say(this.#cancel, 'Close');
    this.#cancel.focus();
  }

  #tell(level, text) {
    this.#told.dataset.level = level;
    say(this.#told, text);
  }

  #busy(isBusy) {
    this.#give.disabled = isBusy;
    this.#form.setAttribute('aria-busy', String(isBusy));
  }
}

function choice({ order, title, about }) {
  return element(
    'label', { class: 'choice' },
    element('input', { type: 'radio', name: 'order', value: order, required: '' }),
    element('span', {}, element('strong', {}, title), ' ', element('span', { class: 'muted' }, about)),
  );
}
