// Where pictures come from: a WebSocket, or asking again and again while there is none.

const LIVE = '/admin/live';
const ASKED = '/admin/overview';
const ASK_EVERY_MS = 2000;
const ANSWER_WITHIN_MS = 8000;
const SILENT_MS = 10000;
const AGAIN_MS = [1000, 2000, 4000, 8000, 15000, 30000];

// Calls `onPicture(document)` with each picture, and `onState({ state, why })` when the way they come
// changes: 'live', 'polling' or 'lost'.
export class Feed {
  #onPicture;
  #onState;
  #socket = null;
  #isLive = false;
  #isAsking = false;
  #heard = 0;
  #failures = 0;
  #timer = 0;

  constructor({ onPicture, onState }) {
    this.#onPicture = onPicture;
    this.#onState = onState;
  }

  start() {
    this.#connect();
    // Something on the way may take a WebSocket and never answer.
    this.#timer = setTimeout(() => this.#ask(), AGAIN_MS[0]);
    setInterval(() => this.#look(), 1000);
  }

  #connect() {
    const socket = new WebSocket(new URL(LIVE, location.href.replace(/^http/, 'ws')));
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      if (!this.#take(data)) return socket.close();
      this.#failures = 0;
      this.#isLive = true;
      clearTimeout(this.#timer);
      this.#onState({ state: 'live' });
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#leave();
    };
  }

  // Go on without a WebSocket, and try one again later.
  #leave() {
    const socket = this.#socket;
    this.#socket = null;
    this.#isLive = false;
    socket?.close();
    const wait = AGAIN_MS[Math.min(this.#failures, AGAIN_MS.length - 1)];
    this.#failures += 1;
    setTimeout(() => this.#connect(), wait * (0.75 + Math.random() / 2));
    clearTimeout(this.#timer);
    this.#ask();
  }

  // A network can end without a word. So when nothing has come for a while, ask.
  #look() {
    if (this.#isLive && performance.now() - this.#heard > SILENT_MS) this.#ask();
  }

  async #ask() {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const wasLive = this.#isLive;
    let problem = null;
    try {
      const answer = await fetch(ASKED, {
        headers: { Accept: 'application/json' },
        cache: 'no-store',
        signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      });
      const text = await answer.text();
      if (!answer.ok) problem = refusalIn(text, answer.status);
      else if (!this.#take(text)) problem = 'The answer is not a picture of the gateway.';
    } catch {
      problem = 'The gateway does not answer.';
    }
    this.#isAsking = false;
    if (this.#isLive) return problem && wasLive ? this.#leave() : undefined;
    this.#onState(problem ? { state: 'lost', why: problem } : { state: 'polling' });
    this.#timer = setTimeout(() => this.#ask(), ASK_EVERY_MS);
  }

  #take(text) {
    let picture;
    try {
      picture = JSON.parse(text);
    } catch {
      return false;
    }
    if (!picture || typeof picture !== 'object') return false;
    this.#heard = performance.now();
    this.#onPicture(picture);
    return true;
  }
}

// What a problem document says, or the status where there is none.
export function refusalIn(text, status) {
  try {
    const { title, detail, suggestion } = JSON.parse(text);
    const said = [detail || title, suggestion].filter((part) => typeof part === 'string' && part);
    if (said.length) return said.join(' ');
  } catch {
    // Some proxies answer with pages of their own.
  }
  return `The answer was a ${status}.`;
}
