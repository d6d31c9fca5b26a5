// Why a request was answered as it was: a dialog that `#why=<request id>` opens, and that can be linked to.

import { element, say } from './dom.js';
import { refusalIn } from './feed.js';
import { tell } from './telling.js';
import { shown } from './words.js';

const LINK = /^#why=(.+)$/;
const ANSWER_WITHIN_MS = 15000;
// Callers choose ids; not every sign can be part of a path.
const OF_PATHS = /^[\w~:@-][\w.~:@-]*$/;

export class Why {
  #dialog;
  #title = element('h2', { id: 'why-title', tabindex: '-1' });
  #told = element('div', { class: 'document', tabindex: '0', role: 'region', 'aria-labelledby': 'why-title' });
  #close = element('button', { type: 'button' }, 'Close');
  #opener = null;
  #asked = '';
  #instead;

  // `instead` takes the focus when what opened it is there no more.
  constructor(dialog, { instead }) {
    this.#dialog = dialog;
    this.#instead = instead;
    dialog.append(element('header', {}, this.#title, this.#close), this.#told);
    this.#close.addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => this.#closed());
    addEventListener('hashchange', () => this.follow());
  }

  // Show what the address of the page asks for.
  follow() {
    const id = idIn(location.hash);
    if (id) this.#open(id);
    else if (this.#dialog.open) this.#dialog.close();
  }

  ask(id) {
    const hash = `#why=${encodeURIComponent(id)}`;
    if (location.hash === hash) this.follow();
    else location.hash = hash;
  }

  async #open(id) {
    if (!this.#dialog.open) {
      this.#opener = document.activeElement;
      this.#dialog.showModal();
    }
    this.#asked = id;
    this.#title.replaceChildren('Why: request ', element('bdi', { class: 'code' }, shown(id)));
    this.#told.replaceChildren(element('p', { role: 'status' }, 'Asking…'));
    this.#title.focus();
    const node = await answerTo(id);
    if (this.#asked === id) this.#told.replaceChildren(node);
  }

  #closed() {
    this.#asked = '';
    this.#told.replaceChildren();
    if (LINK.test(location.hash)) history.replaceState(null, '', location.pathname + location.search);
    const opener = this.#opener;
    (opener?.isConnected && opener !== document.body ? opener : this.#instead).focus();
  }
}

function idIn(hash) {
  const found = LINK.exec(hash);
  try {
    return found ? decodeURIComponent(found[1]) : '';
  } catch {
    return '';
  }
}

async function answerTo(id) {
  const failed = element('p', { role: 'alert', class: 'told', 'data-level': 'bad' });
  try {
    const answer = await fetch(OF_PATHS.test(id) ? `/admin/why/${id}` : `/admin/why?request_id=${encodeURIComponent(id)}`, {
      headers: { Accept: 'application/json' },
      cache: 'no-store',
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    const text = await answer.text();
    if (answer.ok) return tell(JSON.parse(text));
    say(failed, refusalIn(text, answer.status));
  } catch {
    say(failed, 'The gateway does not answer, or not with a document.');
  }
  return failed;
}
