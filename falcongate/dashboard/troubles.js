// What an operator should know first, from one picture. Pure.

import { brief, count, stateOf } from './words.js';

const LEVELS = ['bad', 'warn', 'note', 'ok', 'none'];
const ERRORS_BAD = 0.5;
const ERRORS_WARN = 0.05;
// A second. Where hardly anybody asks, a single error is the greater part.
const ERRORS_FEW = 0.1;
const REFUSING = ['OPEN', 'FORCED_OPEN', 'DISABLED'];
const RECENT_S = 60;

export function worst(levels) {
  return LEVELS.find((level) => levels.includes(level)) ?? 'none';
}

export function errorShare({ requests_per_s: all, errors_per_s: failed }) {
  return all > 0 && failed > 0 ? Math.min(failed / all, 1) : 0;
}

export function levelOfTarget(target) {
  const health = target.health === 'unreachable' ? 'bad' : target.health === 'reachable' ? 'ok' : 'none';
  return worst([health, stateOf(target.breaker).level]);
}

// Where a breaker lets nothing pass, its refusals are the errors; the breaker is the trouble then.
function levelOfErrors({ breaker, now }) {
  const share = errorShare(now);
  if (share < ERRORS_WARN || REFUSING.includes(breaker?.state)) return 'ok';
  return share >= ERRORS_BAD && now.errors_per_s >= ERRORS_FEW ? 'bad' : 'warn';
}

// One whose targets are in part away still works.
export function levelOfService(service) {
  const targets = service.targets.map(levelOfTarget);
  const ofTargets = targets.includes('bad') && targets.some((level) => level !== 'bad') ? 'warn' : worst(targets);
  return worst([stateOf(service.breaker).level, levelOfErrors(service), ofTargets]);
}

export function idOfService(name) {
  return `service-${encodeURIComponent(name)}`;
}

// Each is { key, level, text, href }, worst first; `key` is the same for as long as the trouble is.
export function troublesOf(picture) {
  const found = [
    ...ofRedis(picture.redis),
    ...picture.services.flatMap(ofService),
    ...ofHosts(picture.hosts),
    ...ofRefusals(picture),
  ];
  return found.sort((one, other) => LEVELS.indexOf(one.level) - LEVELS.indexOf(other.level));
}

function ofService(service) {
  const name = brief(service.name);
  const href = `#${idOfService(service.name)}`;
  const found = [];
  const add = (kind, level, text) => found.push({ key: `${service.name} ${kind}`, level, text, href });
  const state = stateOf(service.breaker);
  if (service.breaker && state.level !== 'ok') add(service.breaker.state, state.level, `${name}: breaker ${state.words}`);
  const away = service.targets.filter((target) => target.health === 'unreachable').length;
  const all = service.targets.length;
  if (away) {
    const text = all === 1 ? `${name}: unreachable` : `${name}: ${away} of ${count(all, 'target')} unreachable`;
    add('unreachable', away === all ? 'bad' : 'warn', text);
  }
  for (const { url, breaker } of service.targets) {
    const its = stateOf(breaker);
    if (breaker && its.level !== 'ok') add(`${url} ${breaker.state}`, 'warn', `${name}: breaker of ${brief(url)} ${its.words}`);
  }
  const level = levelOfErrors(service);
  if (level !== 'ok') add(`errors ${level}`, level, `${name}: ${Math.round(100 * errorShare(service.now))} % errors`);
  return found;
}

function ofRedis(redis) {
  const href = '#hosts-title';
  if (redis.state === 'unreachable') {
    return [{ key: 'redis', level: 'bad', text: 'Redis unreachable: each host counts alone', href }];
  }
  if (redis.state === 'none') return [{ key: 'redis', level: 'note', text: 'No Redis: nothing is shared', href }];
  return [];
}

function ofHosts(hosts) {
  const differ = hosts.filter((host) => host.differs).length;
  if (!differ) return [];
  const text = `${count(differ, 'host')} with another version or configuration`;
  return [{ key: 'hosts', level: 'warn', text, href: '#hosts-title' }];
}

function ofRefusals({ refusals, at_s: at }) {
  const recent = refusals.filter((refusal) => at - refusal.at_s <= RECENT_S).length;
  if (!recent) return [];
  const text = `${count(recent, 'refusal')} in the last minute`;
  return [{ key: 'refusals', level: 'note', text, href: '#refusals-title' }];
}
