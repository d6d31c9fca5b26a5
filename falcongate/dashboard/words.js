// Values in words: numbers, times, ages, states. Pure.

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const fine = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 2 });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const LONGEST = 400;
const SHORT = 60;
// Controls, and what turns the direction of text or is not seen at all.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

export const STATES = {
  CLOSED: { words: 'closed', level: 'ok' },
  HALF_OPEN: { words: 'half-open', level: 'warn' },
  OPEN: { words: 'open', level: 'bad' },
  FORCED_OPEN: { words: 'held open', level: 'bad' },
  FORCED_CLOSED: { words: 'held closed', level: 'warn' },
  DISABLED: { words: 'disabled', level: 'warn' },
};

export function stateOf(breaker) {
  if (!breaker) return { words: 'no breaker', level: 'none' };
  return STATES[breaker.state] ?? { words: brief(breaker.state), level: 'warn' };
}

// A stranger's text as it can be shown: what would not be seen is spelled out, and it ends somewhere.
export function shown(text, longest = LONGEST) {
  const said = String(text ?? '');
  const cut = said.length > longest ? `${said.slice(0, longest)}…` : said;
  return cut.replace(UNSEEN, (sign) => `⟨U+${sign.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`);
}

// As `shown`, where there is little room.
export function brief(text) {
  return shown(text, SHORT);
}

export function number(value) {
  if (!isNumber(value)) return '–';
  if (value === 0 || Math.abs(value) >= 100 || Number.isInteger(value)) return whole.format(value);
  return Math.abs(value) >= 1 ? tenths.format(value) : fine.format(value);
}

export function milliseconds(value) {
  if (!isNumber(value)) return '–';
  return value >= 1000 ? `${tenths.format(value / 1000)} s` : `${number(value)} ms`;
}

// A length of time, by its two largest parts at most.
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return s < 600 && s % 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export function age(seconds) {
  if (seconds < -0.5) return `in ${span(-seconds)}`;
  return seconds < 1 ? 'now' : `${span(seconds)} ago`;
}

export function timeOfDay(unixS) {
  return clock.format(unixS * 1000);
}

export function moment(unixS) {
  return calendar.format(unixS * 1000);
}

export function count(amount, one, many = `${one}s`) {
  return `${number(amount)} ${amount === 1 ? one : many}`;
}

export function isNumber(value) {
  return typeof value === 'number' && Number.isFinite(value);
}
