// The picture of the gateway as the page counts on it: every list a list, every part there. Pure.

const list = (value) => (Array.isArray(value) ? value : []);
const part = (value) => (value && typeof value === 'object' ? value : {});
const parts = (value) => list(value).filter((each) => each && typeof each === 'object');

export function pictureOf(told) {
  return {
    at_s: told.at_s,
    you: part(told.you),
    gateway: part(told.gateway),
    redis: { state: 'none', ...part(told.redis) },
    hosts: parts(told.hosts),
    services: parts(told.services).map(serviceOf),
    limits: parts(told.limits).map((limit) => ({
      ...limit, rates: list(limit.rates), key: list(limit.key), top: parts(limit.top),
    })),
    transitions: parts(told.transitions),
    refusals: parts(told.refusals).map((refusal) => ({ ...refusal, refused_by: list(refusal.refused_by) })),
  };
}

function serviceOf(service) {
  const series = part(service.series);
  return {
    ...service,
    targets: parts(service.targets),
    now: part(service.now),
    series: {
      from_s: series.from_s,
      step_s: series.step_s,
      requests_per_s: list(series.requests_per_s),
      errors_per_s: list(series.errors_per_s),
      p50_ms: list(series.p50_ms),
      p99_ms: list(series.p99_ms),
    },
  };
}
